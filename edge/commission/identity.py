"""Which meter it is: its fingerprint, what is remembered of it, and what that means for its readings. Pure.

Guaranteed: a field that changed suspends the meter until somebody explains it; a field that was not answered
changes nothing; what stands in the spool's notes reaches the metering configuration and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from hakari.errors import DataProblem
from hakari.registers.profile import Profile
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Event

MAX_FIELDS = 64
MAX_VALUE_CHARS = 250
MAX_RAW = 16
MAX_RAW_CHARS = 800
MAX_SUSPENDED_CHARS = 300
SERIAL = "serial"
FIRST, CHANGED = "identity", "identity-changed"

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

    `profile` is the hash of `profile_sha256`, `fingerprint` what the meter told then.
    """

    profile: str
    bus: str
    unit: int
    serial: str
    fingerprint: Fields
    points: list[str]
    by: str
    at_ms: int


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


def profile_sha256(profile: Profile) -> str:
    """The hash (hex) of everything that decides how a profile's words become numbers.

    Notes, page numbers, rates and the expected serial are no part of it: they alter no value.
    """
    points = [msgspec.structs.replace(point, every=1, manual="", expect=_expected(point.name, point.expect))
              for point in profile.points]  # fmt: skip
    told = {"id": profile.id, "separate": profile.separate, "points": points}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def _expected(name: str, expect: str | None) -> str | None:
    return None if name == SERIAL else expect


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


def with_notes(configuration: MeteringConfiguration, note: Note) -> MeteringConfiguration:
    """`configuration` with what the spool's notes say of its meters: commissioned points and suspensions."""
    return msgspec.structs.replace(configuration, meters=[_noted(meter, note) for meter in configuration.meters])


def _noted(meter: Meter, note: Note) -> Meter:
    known, done = known_of(meter.id, note), commissioned_of(meter.id, note)
    points = sorted(done.points) if done is not None and holds(done, meter, known) else []
    return msgspec.structs.replace(meter, commissioned=points, suspended=known.suspended if known else "")


def holds(done: Commissioned, meter: Meter, known: Known | None) -> bool:
    """Whether a commissioning was of this meter at this place, read by this very profile."""
    place = (done.profile, done.bus, done.unit, done.serial)
    if place != (profile_sha256(meter.profile), meter.bus, meter.unit, meter.serial):
        return False
    return known is None or not differing(done.fingerprint, known.accepted)
