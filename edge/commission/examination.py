"""Asks meters who they are: their identity points one by one, and device identification where the bus can.

Guaranteed: a meter that is silent or busy gives no fingerprint at all; what it refuses as unknown to it is part
of its fingerprint, and so is what it told once and tells no more. Nothing but reads is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from edge.commission.identity import (
    MAX_FIELDS,
    MAX_VALUE_CHARS,
    Fields,
    Finding,
    Known,
    Note,
    Raw,
    differing,
    judged,
    known_of,
)
from edge.modbus.bus import Bus, is_gateway, is_not_there, is_silent, is_untried
from edge.modbus.identification import OBJECTS, identified
from hakari.clock import PlantClock
from hakari.registers.decode import identities
from hakari.registers.profile import Point
from hakari.registers.profile_hash import SERIAL
from hakari.registers.requests import FUNCTION_OF, ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.frozen import by_meter
from hakari.wire.leaf import Block, Sample

REFUSED = "refused"
NO_LONGER_TOLD = "no longer told"
# So many examinations in a row one that answers reads may leave its device identification unanswered.
UNHEARD_TIMES = 3
DEVICE = "device."
CALM_INTERVAL_S = 10
ROOM_SHARE = 0.8
PATIENCE_MS = 3_600_000
DAY_MS = 86_400_000


class Fingerprint(NamedTuple):
    """What a meter told of itself, and the requests and answers (hex) in which it did.

    `unheard` where it told its device identification once, and now there was silence.
    """

    fields: Fields
    raw: list[Raw]
    unheard: bool = False


def identity_points(meter: Meter) -> list[Point]:
    """The points of the meter's profile that say which meter it is."""
    return [point for point in meter.profile.points if point.kind == "identity"]


def tells_itself(meter: Meter, known: Known | None) -> bool:
    """Whether anything the meter tells is its own alone: its serial, by a register or by device identification."""
    told = known.accepted if known is not None else {}
    return any(point.name == SERIAL for point in identity_points(meter)) or any(SERIAL in name for name in told)


def needs_device(meter: Meter, known: Known | None) -> bool:
    """Whether only device identification shows that the meter is the one known: no sample holds its serial."""
    by_register = known is not None and not known.accepted.get(SERIAL, REFUSED).startswith(REFUSED)
    in_sample = by_register and any(point.name == SERIAL for point in identity_points(meter))
    return bool(told_device(known)) and not in_sample


def moves(before: Meter, now: Meter) -> bool:
    """Whether another meter may stand behind the same id: it is asked at another place, or said to be another."""
    return any(
        getattr(before, name) != getattr(now, name) for name in ("bus", "place", "unit", "serial", "identity_proof")
    )


def asks_device(known: Known | None, interval_s: int) -> bool:
    """Whether a running edge asks the meter for its device identification.

    Where it answered before; else once, where a silence, which is how many meters refuse, costs no sample.
    """
    if known is None:
        return interval_s >= CALM_INTERVAL_S
    return bool(told_device(known))


def told_device(known: Known | None) -> list[str]:
    """The fields of its device identification that the meter is known by."""
    return [name for name in known.accepted if name.startswith(DEVICE)] if known is not None else []


def no_longer_told(found: Fingerprint, known: Known) -> Fingerprint:
    """`found` with the fields of device identification that were told once and are not now: a change like another."""
    gone = {name: NO_LONGER_TOLD for name in told_device(known) if name not in found.fields}
    return Fingerprint(found.fields | gone, found.raw)


async def examine(
    bus: Bus, meter: Meter, clock: PlantClock, *, device: bool = True, known: Known | None = None
) -> Fingerprint | None:
    """The meter's fingerprint, None when it did not answer all of it; with `device` its device identification too.

    A meter that does not know device identification, or answers it by silence, tells nothing by it. One that is
    `known` by it and refuses it now, or a part of it, has changed; after a silence nothing is said of it yet.
    """
    fields: Fields = {}
    raw: list[Raw] = []
    for point in identity_points(meter):
        request = ReadRequest(meter.unit, FUNCTION_OF[point.table], point.address, point.length)
        exchange = await bus.read(request, clock)
        if exchange.error and not is_not_there(exchange.error):
            return None
        raw.append((exchange.request.hex(), exchange.answer.hex()))
        told = identities(meter.profile, exchange.request, exchange.answer)
        value = f"{REFUSED}: {exchange.error}" if exchange.error else told[point.name]
        fields[point.name] = value[:MAX_VALUE_CHARS]
    if not device:
        return Fingerprint(_limited(fields), raw)
    objects, exchanges = await identified(bus, meter.unit, clock)
    fields |= {f"{DEVICE}{OBJECTS.get(number, str(number))}": text for number, text in objects.items()}
    expected = told_device(known)
    raw += [(one.request.hex(), one.answer.hex()) for one in exchanges if (objects or expected) and one.answer]
    found = Fingerprint(_limited(fields), raw)
    error = exchanges[-1].error
    if known is None or not expected:
        return found
    if not error or is_not_there(error):
        return no_longer_told(found, known)
    return found._replace(unheard=True) if is_silent(error) and not (is_gateway(error) or is_untried(error)) else None


def _limited(fields: Fields) -> Fields:
    return dict(list(fields.items())[:MAX_FIELDS])


def told_in(meter: Meter, known: Known, blocks: Iterable[Block]) -> Fields:
    """What the identity points in a sample's blocks say; a failed read says nothing.

    Nor does one of a register that was refused when it was asked for alone: there a longer read may make one up.
    """
    fields: Fields = {}
    for block in blocks:
        if not block.error:
            told = identities(meter.profile, bytes.fromhex(block.request), bytes.fromhex(block.answer))
            fields |= {name: value[:MAX_VALUE_CHARS] for name, value in told.items()}
    return {name: value for name, value in fields.items() if not known.accepted.get(name, "").startswith(REFUSED)}


class Rounds:
    """Which meters are due: all of them at the start and at the first slot of each UTC day, those that answer only."""

    def __init__(self) -> None:
        self._day = -1
        self._due: dict[str, int] = {}
        self._added: set[str] = set()

    def begin(self, slot_ms: int, meters: Iterable[str]) -> None:
        """Takes note of a slot."""
        if slot_ms // DAY_MS != self._day:
            self._day = slot_ms // DAY_MS
            self._due = dict.fromkeys(meters, slot_ms)
        self._due = dict.fromkeys(self._added, slot_ms) | self._due
        self._added = set()

    def add(self, meters: Iterable[str]) -> None:
        """These are due as well, before the others."""
        self._added |= set(meters)

    def due(self, sample: Sample, room: Callable[[], bool]) -> Iterable[str]:
        """The meters to examine now, one after the other while there is room; one that waited an hour needs none."""
        answered = {block.meter for block in sample.blocks if not block.error}
        for meter_id, since_ms in list(self._due.items()):
            if meter_id in answered and (room() or sample.slot_ms - since_ms > PATIENCE_MS):
                del self._due[meter_id]
                yield meter_id

    def again(self, meter_id: str, slot_ms: int) -> None:
        """The meter did not answer: it is due once more."""
        self._due[meter_id] = slot_ms


def room_until(interval_s: float, spent_s: float) -> Callable[[], bool]:
    """Whether the interval still has room for an examination, of which `spent_s` are gone; machine time."""
    end_s = time.monotonic() - spent_s + ROOM_SHARE * interval_s
    return lambda: time.monotonic() < end_s


class Identities:
    """The meters' identities under a running edge: what is remembered, what a sample tells, what is due."""

    def __init__(self, note: Note) -> None:
        """`note` reads the spool's notes."""
        self._note = note
        self._rounds = Rounds()
        self._meters: dict[str, Meter] = {}
        self._known: dict[str, Known | None] = {}
        self._unheard: dict[str, int] = {}
        self._moved: set[str] = set()
        self.unexamined: frozenset[str] = frozenset()

    def configure(self, configuration: MeteringConfiguration) -> None:
        """Takes the meters of another configuration; those that are new or stand elsewhere are due.

        Those of them that no sample would prove are `unexamined` until they were asked.
        """
        meters = {meter.id: meter for meter in configuration.meters}
        moved = {one for one in meters.keys() & self._meters.keys() if moves(self._meters[one], meters[one])}
        fresh = moved | (meters.keys() - self._meters.keys())
        self._moved = (self._moved & meters.keys()) | moved
        self._rounds.add(sorted(fresh))
        self._meters = meters
        self._known = {meter_id: known_of(meter_id, self._note) for meter_id in meters}
        silent = {one for one in fresh if needs_device(meters[one], self._known[one])}
        self.unexamined = frozenset(silent | (self.unexamined & meters.keys()))
        self._unheard = {one: times for one, times in self._unheard.items() if one in meters and one not in fresh}

    def in_sample(self, sample: Sample) -> list[Finding]:
        """What a sample's own identity registers say that was not known; it is judged before the sample counts."""
        found = []
        for meter_id, blocks in by_meter(sample).items():
            known = self._known.get(meter_id)
            if known is None or not known.accepted:
                continue
            meter = self._meters[meter_id]
            told = told_in(meter, known, blocks)
            if differing(known.accepted, told):
                raw = [(block.request, block.answer) for block in blocks if not block.error]
                found.append(self._take(meter, judged(meter, known, told, raw, sample.slot_ms)))
        return [finding for finding in found if finding.known is not None]

    async def after_sample(
        self, sample: Sample, buses: Mapping[str, Bus], clock: PlantClock, interval_s: int, spent_s: float
    ) -> list[Finding]:
        """Examines the meters that are due as far as the interval has room; what is new of them.

        While there are meters that moved or are unexamined, one a slot needs no room.
        """
        room = room_until(interval_s, spent_s)
        self._rounds.begin(sample.slot_ms, self._meters)
        urgent, found = bool(self.unexamined or self._moved), list[Finding]()
        for meter_id in self._rounds.due(sample, lambda: room() or (urgent and not found)):
            finding = await self._examined(meter_id, buses, clock, interval_s)
            if finding is None:
                self._rounds.again(meter_id, sample.slot_ms)
                break  # it stopped to answer: the next slot tries on
            found.append(finding)
        return [finding for finding in found if finding.known is not None]

    async def before_first(self, buses: Mapping[str, Bus], clock: PlantClock, interval_s: int) -> list[Finding]:
        """Examines the meters that no sample would prove, before there is one; what is new of them.

        One that does not answer, or not within the interval, stays unexamined, and costs no other meter more than that.
        """
        room = room_until(interval_s, 0.0)
        found = [await self._examined(one, buses, clock, interval_s) for one in sorted(self.unexamined) if room()]
        self._unheard.clear()  # a meter that answers no read either is merely not there
        return [finding for finding in found if finding is not None and finding.known is not None]

    async def _examined(
        self, meter_id: str, buses: Mapping[str, Bus], clock: PlantClock, interval_s: int
    ) -> Finding | None:
        """What came of asking one meter, None where it has to be asked again."""
        meter, known = self._meters[meter_id], self._known[meter_id]
        told = await examine(buses[meter.bus], meter, clock, device=asks_device(known, interval_s), known=known)
        if told is not None and told.unheard and known is not None:
            self._unheard[meter_id] = self._unheard.get(meter_id, 0) + 1
            told = no_longer_told(told, known) if self._unheard[meter_id] >= UNHEARD_TIMES else None
        if told is None:
            return None
        self._unheard.pop(meter_id, None)
        self.unexamined -= {meter_id}
        self._moved.discard(meter_id)
        return self._take(meter, judged(meter, known, told.fields, told.raw, clock.now().wall_ms))

    def _take(self, meter: Meter, finding: Finding) -> Finding:
        if finding.known is not None:
            self._known[meter.id] = finding.known
        return finding
