"""Which meter it is: its fingerprint, what is remembered of it, and what that means for its readings. Pure.

Guaranteed: a field that changed suspends the meter until somebody explains it; a field that was not answered
changes nothing; what stands in the spool's notes reaches the metering configuration and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from hakari.errors import DataProblem
from hakari.registers.profile_hash import profile_sha256
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Event

MAX_FIELDS = 64
MAX_VALUE_CHARS = 250
MAX_RAW = 16
MAX_RAW_CHARS = 800
MAX_SUSPENDED_CHARS = 300
FIRST, CHANGED = "identity", "identity-changed"
NOT_EXAMINED = "not examined since the edge started or the meter moved"
NOTE_SPOILT = (
    "the spool's note of its identity is not what was written; hakari edge commission, or replace-meter, settles it"
)

Fields = dict[str, str]
Raw = tuple[str, str]
Note = Callable[[str], str]


class NoteUnreadable(DataProblem):
    """A note of the spool on a meter is not what this version writes."""


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """Note `identity/{meter}`: the accepted fingerprint, and why the meter is suspended, "" where it is not.

    `seen` is the fingerprint that suspended it, `serial` what the settings call the accepted meter.
    """

    accepted: Fields
    suspended: str = ""
    seen: Fields = {}
    serial: str = ""


class Commissioned(msgspec.Struct, frozen=True, omit_defaults=True):
    """Note `commissioned/{meter}`: the points that matched, and with what; anything else there voids it.

    `profile` is the hash of `profile_sha256`, `fingerprint` what the meter told then, `place` where the bus was.
    """

    profile: str
    bus: str
    unit: int
    serial: str
    fingerprint: Fields
    points: list[str]
    by: str
    at_ms: int
    place: str = ""
    identity_proof: str = ""


class Finding(NamedTuple):
    """What an examination of `meter` came to: the note to keep, None where nothing is new, and the events to log."""

    meter: str
    known: Known | None
    events: list[Event]


N = TypeVar("N", Known, Commissioned)


def identity_key(meter_id: str) -> str:
    """The note of a meter's identity."""
    return f"identity/{meter_id}"


def commissioned_key(meter_id: str) -> str:
    """The note of a meter's commissioning."""
    return f"commissioned/{meter_id}"


def known_of(meter_id: str, note: Note) -> Known | None:
    """What is remembered of the meter's identity, None where it was never examined."""
    return _read(identity_key(meter_id), note, Known)


def commissioned_of(meter_id: str, note: Note) -> Commissioned | None:
    """The meter's commissioning, whether or not it still holds."""
    return _read(commissioned_key(meter_id), note, Commissioned)


def _read(key: str, note: Note, kind: type[N]) -> N | None:
    text = note(key)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NoteUnreadable(
            f"the spool's note {key} cannot be read ({str(error)[:MAX_VALUE_CHARS]}); commission the meter again"
        ) from error


def text_of_note(note: Known | Commissioned) -> str:
    """The note as the spool keeps it."""
    return msgspec.json.encode(note).decode()


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The fields told both times and not alike."""
    return sorted(name for name in before.keys() & now.keys() if before[name] != now[name])


def judged(meter: Meter, known: Known | None, found: Fields, raw: Iterable[Raw], wall_ms: int) -> Finding:
    """What it means that `meter` told `found`; `raw` are the requests and answers (hex) that say so."""
    if known is None or not known.accepted:
        if not found and known is not None:
            return Finding(meter.id, None, [])
        first = Known(found, known.suspended if known else "", serial=meter.serial)
        return Finding(
            meter.id, first, [_event(FIRST, meter, wall_ms, raw, {f"field.{k}": v for k, v in found.items()})]
        )
    changed = differing(known.accepted, found)
    fresh = {name: value for name, value in found.items() if name not in known.accepted}
    if changed and not (known.suspended and not differing(known.seen, found)):
        data = {f"before.{name}": known.accepted[name] for name in changed}
        data |= {f"after.{name}": found[name] for name in changed}
        suspended = known.suspended or _why(changed, known.accepted, found)
        kept = msgspec.structs.replace(known, suspended=suspended, seen=found)
        return Finding(meter.id, kept, [_event(CHANGED, meter, wall_ms, raw, data)])
    if changed or not fresh or known.suspended:
        return Finding(meter.id, None, [])
    kept = msgspec.structs.replace(known, accepted=known.accepted | fresh)
    return Finding(meter.id, kept, [_event(FIRST, meter, wall_ms, raw, {f"field.{k}": v for k, v in fresh.items()})])


def _why(changed: list[str], before: Fields, now: Fields) -> str:
    name = changed[0]
    more = f" and {len(changed) - 1} more fields" if len(changed) > 1 else ""
    sentence = (
        f"{name} was {before[name][:60]!r} and is {now[name][:60]!r}{more}; hakari edge replace-meter explains it"
    )
    return sentence[:MAX_SUSPENDED_CHARS]


def _event(kind: str, meter: Meter, wall_ms: int, raw: Iterable[Raw], data: Mapping[str, str]) -> Event:
    told = {"meter": meter.id, "unit": str(meter.unit), "profile": meter.profile.id}
    if meter.identity_proof:
        told["identity_proof"] = meter.identity_proof
    return Event(kind, wall_ms, told | dict(data) | raw_data(raw))


def raw_data(raw: Iterable[Raw]) -> dict[str, str]:
    """Requests and answers (hex) as an event holds them."""
    return {
        f"raw.{number}": f"{request} {answer}"[:MAX_RAW_CHARS]
        for number, (request, answer) in enumerate(list(raw)[:MAX_RAW])
    }


def with_notes(
    configuration: MeteringConfiguration, note: Note, unexamined: Collection[str] = ()
) -> MeteringConfiguration:
    """`configuration` with what the spool's notes say of its meters: commissioned points and suspensions.

    `unexamined` are meters that have yet to show that they are still the ones known: suspended until then.
    """
    meters = [_noted(meter, note, unexamined) for meter in configuration.meters]
    return msgspec.structs.replace(configuration, meters=meters)


def _noted(meter: Meter, note: Note, unexamined: Collection[str]) -> Meter:
    known, done = known_of(meter.id, note), commissioned_of(meter.id, note)
    points = sorted(done.points) if done is not None and holds(done, meter, known) else []
    suspended = known.suspended if known else ""
    if not suspended and meter.id in unexamined:
        suspended = NOT_EXAMINED
    if not suspended and not points:
        suspended = meter.suspended
    return msgspec.structs.replace(meter, commissioned=points, suspended=suspended)


def holds(done: Commissioned, meter: Meter, known: Known | None) -> bool:
    """Whether a commissioning was of this very meter at this place, read by this very profile.

    Where nothing is known of the meter's identity, or less than was told then, nobody can say so: it does not hold.
    """
    then = (done.profile, done.bus, done.place, done.unit, done.serial, done.identity_proof)
    now = (meter.bus, meter.place, meter.unit, meter.serial, meter.identity_proof)
    if known is None or then != (profile_sha256(meter.profile), *now):
        return False
    return all(known.accepted.get(name) == value for name, value in done.fingerprint.items())


def is_spoilt(known: Known | None) -> bool:
    """Whether the meter is suspended because what was known of it is lost, which a commissioning settles."""
    return known is not None and known.suspended == NOTE_SPOILT
