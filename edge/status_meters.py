"""How each meter stands, out of what the edge committed: its newest samples, and the notes of its spool. Pure.

Guaranteed: a meter of the configuration is told whatever the spool holds of it; the samples are asked for newest first,
and none beyond the one in which every meter has answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from edge.commission.identity import Known, Note, NoteUnreadable, known_of
from edge.modbus.bus import NOT_TRIED
from edge.reads.learned import Refused, parse
from edge.reads.sampling import note_key
from hakari.registers.decode import IDENTITY_MISMATCH, decode_sample
from hakari.registers.profile import MEASURED, Point
from hakari.registers.profile_hash import SERIAL
from hakari.registers.requests import RequestMalformed
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.frozen import by_meter
from hakari.wire.leaf import Block, Sample

MAX_NAMES = 4


class MeterStatus(msgspec.Struct, frozen=True):
    """`last_answer_ms` is the newest slot that the meter answered, `silent_since_ms` the first one after it (0: none).

    Of a meter that answered none of the slots that were looked at, `last_answer_ms` is 0 and `silent_since_ms` the
    oldest of them. `error` is what its newest sample says where it did not answer, or answered as another meter.
    `refused` are points whose registers it says that it does not have. `counting` of the `measured` points count: they
    are not refused, and commissioned where their profile is unproven; none while the meter is `suspended`. `identity`
    is what it was accepted by.
    """

    meter: str
    bus: str
    unit: int
    last_answer_ms: int
    silent_since_ms: int
    error: str
    refused: list[str]
    suspended: str
    counting: int
    measured: int
    identity: dict[str, str]
    identity_proof: str


class _Seen:
    """What the samples, newest first, say of one meter."""

    def __init__(self) -> None:
        self.last_answer_ms = 0
        self.silent_since_ms = 0
        self.newest: Sequence[Block] = ()

    def look(self, slot_ms: int, blocks: Sequence[Block]) -> None:
        self.newest = self.newest or blocks
        if self.last_answer_ms:
            return
        if all(block.error for block in blocks):
            self.silent_since_ms = slot_ms
        else:
            self.last_answer_ms = slot_ms


def meters_status(configuration: MeteringConfiguration, note: Note, newest: Iterable[Sample]) -> list[MeterStatus]:
    """Each meter of the configuration in force; `newest` are committed samples, the newest first."""
    seen = {meter.id: _Seen() for meter in configuration.meters}
    for sample in newest:
        for meter_id, blocks in by_meter(sample).items():
            if meter_id in seen:
                seen[meter_id].look(sample.slot_ms, blocks)
        if all(one.last_answer_ms for one in seen.values()):
            break
    return [_status(meter, seen[meter.id], note) for meter in configuration.meters]


def _status(meter: Meter, seen: _Seen, note: Note) -> MeterStatus:
    refused = _refused(meter, note)
    measured = [point.name for point in meter.profile.points if point.kind in MEASURED]
    known = _known(meter, note)
    return MeterStatus(
        meter=meter.id,
        bus=meter.bus,
        unit=meter.unit,
        last_answer_ms=seen.last_answer_ms,
        silent_since_ms=seen.silent_since_ms,
        error=_silence(seen) or _stranger(meter, seen.newest),
        refused=refused,
        suspended=meter.suspended,
        counting=sum(not meter.doubt(name) and name not in refused for name in measured),
        measured=len(measured),
        identity=known.accepted if known is not None else {},
        identity_proof=meter.identity_proof,
    )


def _silence(seen: _Seen) -> str:
    return seen.newest[0].error.removeprefix(NOT_TRIED) if seen.silent_since_ms else ""


def _stranger(meter: Meter, blocks: Sequence[Block]) -> str:
    """What of the newest answers says that they are another meter's."""
    told = [(bytes.fromhex(b.request), bytes.fromhex(b.answer), b.error) for b in blocks]
    try:
        readings = [one for block in decode_sample(meter.profile, meter.id, told) for one in block]
    except RequestMalformed:  # an older profile's
        return ""
    return next((one.reason for one in readings if one.reason.startswith(IDENTITY_MISMATCH)), "")


def _refused(meter: Meter, note: Note) -> list[str]:
    places = parse(note(note_key(meter.id)), meter).refused
    return [point.name for point in meter.profile.points if point.kind in MEASURED and is_refused(point, places)]


def is_refused(point: Point, places: Iterable[Refused]) -> bool:
    """Whether the point lies in registers that its meter refuses."""
    end = point.address + point.length
    return any(one.table == point.table and one.start <= point.address and end <= one.end for one in places)


def _known(meter: Meter, note: Note) -> Known | None:
    try:
        return known_of(meter.id, note)
    except NoteUnreadable:
        return None


def state_of(told: MeterStatus, silent_text: str) -> str:
    """The meter in a few words, the worst first; `silent_text` is since when it is silent."""
    parts = [f"suspended: {told.suspended}"] if told.suspended else []
    if told.silent_since_ms:
        parts.append(f"no answer {silent_text}: {told.error}")
    elif told.error:
        parts.append(f"another meter answers, {told.error}")
    elif told.last_answer_ms:
        parts.append("answers")
    else:
        parts.append("no sample of it yet")
    if told.refused:
        parts.append(f"refuses {few(told.refused)}")
    return "; ".join(parts)


def few(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(names[:MAX_NAMES]) + (" …" if len(names) > MAX_NAMES else "")


def identity_of(told: MeterStatus) -> str:
    """By what the meter is known."""
    serial = next((value for name, value in told.identity.items() if SERIAL in name), "")
    if serial:
        return f"serial {serial}"
    if told.identity_proof:
        return f"proof {told.identity_proof}"
    return few([f"{name} {value}" for name, value in told.identity.items()]) or "none told"
