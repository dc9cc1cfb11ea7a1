"""What a commissioning finds: registers held against the meter's display, each on its own terms. Pure.

Guaranteed: a point matches only where the register was there when it was asked for alone, had a value, and that
value is the one typed in, within a tolerance that would have shown a scale wrong by ten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec

from edge.commission.identity import Commissioned, Fields, Raw, raw_data
from hakari.errors import BadConfiguration
from hakari.registers.profile import Point
from hakari.registers.profile_hash import profile_sha256
from hakari.registers.reading import Reading
from hakari.units import EXACT, UnitMismatch, UnitUnknown, convert
from hakari.wire.configuration import Meter
from hakari.wire.events import COMMISSIONING, COMMISSIONING_POINTS
from hakari.wire.leaf import Event

MATCHED, MATCHED_COARSELY = "matched", "matched, scale not proven"
DIFFERS, NOT_BACKED, NO_VALUE, COARSE = "differs", "not backed", "no value", "too coarse to prove the scale"
NOT_COMPARED = "not compared"
COUNTS = frozenset({MATCHED, MATCHED_COARSELY})
# A register wrong by ten either way lies at least nine tenths of its value away from the display.
PROVING_SHARE = Decimal("0.9")
MAX_DISPLAY_CHARS = 40
# Register and display that lie so many times apart differ in unit or scale, not in what was counted.
FACTORS = (10, 100, 1000)
FACTOR_SLACK = Decimal("0.02")
POINTS_AN_EVENT = 24
RIGHT, REVERSED, UNSEEN = "as wired", "reversed", "not seen"
POWER, IMPORT, EXPORT = "active_power", "energy_import", "energy_export"
_WITH_UNIT = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([^0-9.\s].*)")


class DisplayUnreadable(BadConfiguration):
    """A display value, tolerance or point given to a commissioning cannot be used."""


class PointResult(msgspec.Struct, frozen=True):
    """One point: exact decimals in its unit; `request` and `answer` (hex) are those of the register asked for alone."""

    point: str
    unit: str
    register: str | None
    display: str
    difference: str
    tolerance: str
    verdict: str
    reason: str
    request: str
    answer: str


class MeterResult(msgspec.Struct, frozen=True):
    """A meter's commissioning; `ok` when nothing contradicts.

    `matched` are the points that matched now, `kept` those of a commissioning before that count on.
    """

    meter: str
    bus: str
    place: str
    unit: int
    profile: str
    profile_sha256: str
    serial: str
    identity_proof: str
    fingerprint: Fields
    direction: str
    direction_reason: str
    points: list[PointResult]
    matched: list[str]
    ok: bool
    kept: list[str] = []


class Single(NamedTuple):
    """A point's registers asked for alone."""

    request: str
    answer: str
    error: str


class Record(NamedTuple):
    """Who commissioned, and what was said beside the figures."""

    by: str
    witness: str = ""
    ct: str = ""
    note: str = ""


def number(text: str, where: str) -> Decimal:
    """The exact decimal that a person typed; DisplayUnreadable names `where`."""
    cleaned = text.strip()
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or len(cleaned) > MAX_DISPLAY_CHARS:
        raise DisplayUnreadable(f"{where}: {text[:MAX_DISPLAY_CHARS]!r} is no number; type it such as 1234.5")
    return value


class Typed(NamedTuple):
    """What a person typed, in the point's unit, and one count of its last digit."""

    value: Decimal
    digit: Decimal


def typed(text: str, unit: str, where: str) -> Typed:
    """A display as typed, a number in `unit` or one with its own unit (971.4 kWh); DisplayUnreadable names `where`."""
    found = _WITH_UNIT.fullmatch(text.strip())
    if found is None or len(text.strip()) > MAX_DISPLAY_CHARS:
        value = number(text, where)
        return Typed(value, digit_of(value))
    value = number(found[1], where)
    try:
        return Typed(convert(value, found[2], unit), convert(digit_of(value), found[2], unit))
    except (UnitUnknown, UnitMismatch) as error:
        raise DisplayUnreadable(
            f"{where}: {text.strip()!r}: {error}; type the number in {unit or 'no unit'}, or in a unit of its kind"
        ) from error


def digit_of(value: Decimal) -> Decimal:
    """One count of the last digit that was typed: 0.1 for 1234.5, 1 for 1200."""
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) and exponent < 0 else 0)


def compared(
    point: Point,
    single: Single,
    readings: Sequence[Reading],
    display: str,
    stated: Decimal | None,
    *,
    accept_coarse: bool,
) -> PointResult:
    """`point` held against `display` ("" where it shows none); `readings` are those before and after the look at it.

    Within one digit as typed, or `stated`, of what the register held meanwhile. A display of nearly nothing would
    match a scale wrong by ten as well: it proves nothing unless `accept_coarse` takes that upon itself.
    """
    values = [reading.value for reading in readings if reading.value is not None]
    problem = _problem(single, readings)
    register = values[-1] if values else None
    if problem or not display or register is None:
        return _result(point, single, register, display, *(problem or (NOT_COMPARED, "")))
    value, digit = typed(display, point.unit, f"point {point.name}: display")
    tolerance = digit if stated is None else stated
    below, above = EXACT.subtract(min(values), value), EXACT.subtract(value, max(values))
    difference = max(below, above, Decimal(0))
    verdict, reason = _verdict(value, difference, tolerance, accept_coarse=accept_coarse)
    if verdict == DIFFERS:
        reason += _advice(point, values, value)
    return _result(point, single, register, display, verdict, reason, difference, tolerance)


def _verdict(value: Decimal, difference: Decimal, tolerance: Decimal, *, accept_coarse: bool) -> tuple[str, str]:
    if difference > tolerance:
        return DIFFERS, f"differs by {difference:f}, tolerance {tolerance:f}"
    if tolerance < PROVING_SHARE * abs(value):
        return MATCHED, ""
    if accept_coarse:
        return MATCHED_COARSELY, "accepted as it is"
    return COARSE, "a scale wrong by ten would match too; come back when more was counted, or type more digits"


def _advice(point: Point, registers: Sequence[Decimal], display: Decimal) -> str:
    """What may lie behind a difference: a unit or scale, or a counter that went on; else which option allows more."""
    if apart := _apart(registers[-1], display):
        example = f"'… {point.unit}'" if point.unit else "its unit"
        return f"; {apart}: another unit or scale? Type the display with its own unit, such as {example}"
    moved = EXACT.subtract(max(registers), min(registers))
    if point.kind == "counter" and min(registers) > display and moved:
        went_on = f"; the register counted {moved:f} while it was read: read the display once more"
    else:
        went_on = ""
    return f"{went_on}; where a difference is in order, --tolerance {point.name}=VALUE allows it"


def _apart(register: Decimal, display: Decimal) -> str:
    """That one is about 10, 100 or 1000 times the other, "" where it is not."""
    for factor in FACTORS:
        for more, less, words in (
            (register, display, "the register is about {} times the display"),
            (display, register, "the display is about {} times the register"),
        ):
            if less and abs(EXACT.subtract(more, less * factor)) <= abs(less) * factor * FACTOR_SLACK:
                return words.format(factor)
    return ""


def _problem(single: Single, readings: Sequence[Reading]) -> tuple[str, str] | None:
    if single.error:
        return NOT_BACKED, f"asked for alone: {single.error}"
    wrong = next((reading.reason for reading in readings if reading.value is None), "")
    return (NO_VALUE, wrong) if wrong or not readings else None


def _result(
    point: Point,
    single: Single,
    register: Decimal | None,
    display: str,
    verdict: str,
    reason: str,
    difference: Decimal | None = None,
    tolerance: Decimal | None = None,
) -> PointResult:
    return PointResult(
        point=point.name, unit=point.unit, register=_text(register), display=display.strip(),
        difference=_text(difference) or "", tolerance=_text(tolerance) or "", verdict=verdict, reason=reason,
        request=single.request, answer=single.answer,
    )  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def contradicts(result: PointResult) -> bool:
    """Whether a point speaks against the profile: one that nobody looked at, or that has no value now, does not."""
    if result.verdict == NO_VALUE:
        return bool(result.display)
    return result.verdict not in COUNTS and result.verdict != NOT_COMPARED


def direction_of(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> tuple[str, str]:
    """Whether energy is counted on the side that the power's sign says, from readings some time apart.

    Sold or generated energy of a meter with one counter has no other side, so that nothing can be reversed there.
    """
    names = {POWER, IMPORT, EXPORT}
    if not names <= before.keys() & after.keys():
        return UNSEEN, f"needs the points {', '.join(sorted(names))}"
    power = min(before[POWER], after[POWER], key=abs)
    if before[POWER] * after[POWER] <= 0:
        return UNSEEN, "no power, or its sign changed meanwhile"
    rose = {name for name in (IMPORT, EXPORT) if after[name] > before[name]}
    if len(rose) != 1:
        return UNSEEN, f"{'both counters' if rose else 'no counter'} rose meanwhile at {power:f} of power"
    (counted,) = rose
    told = f"{counted} rose by {EXACT.subtract(after[counted], before[counted]):f} at {power:f} of power"
    return (RIGHT if (counted == IMPORT) == (power > 0) else REVERSED), told


def meter_result(
    meter: Meter, fingerprint: Fields, direction: tuple[str, str], points: list[PointResult]
) -> MeterResult:
    """The meter's result; of a meter that counts on the wrong side no energy matched."""
    verdict, reason = direction
    wrong_side = {IMPORT, EXPORT, POWER} if verdict == REVERSED else set()
    matched = [one.point for one in points if one.verdict in COUNTS and one.point not in wrong_side]
    return MeterResult(
        meter=meter.id, bus=meter.bus, place=meter.place, unit=meter.unit, profile=meter.profile.id,
        profile_sha256=profile_sha256(meter.profile), serial=meter.serial, identity_proof=meter.identity_proof,
        fingerprint=fingerprint, direction=verdict, direction_reason=reason, points=points, matched=matched,
        ok=not wrong_side and not any(contradicts(one) for one in points),
    )  # fmt: skip


def still_commissioned(result: MeterResult, before: Sequence[str]) -> list[str]:
    """Those of the points commissioned before that nobody compared again, or that counted nothing to compare."""
    unseen = {
        one.point
        for one in result.points
        if one.verdict == NOT_COMPARED or (one.verdict == NO_VALUE and not one.display)
    }
    return [] if result.direction == REVERSED else [point for point in before if point in unseen]


def note_of(result: MeterResult, record: Record, wall_ms: int, kept: Sequence[str] = ()) -> Commissioned:
    """What the spool keeps of it; `kept` are points of a commissioning before that still holds."""
    return Commissioned(
        profile=result.profile_sha256, bus=result.bus, unit=result.unit, serial=result.serial,
        fingerprint=result.fingerprint, points=sorted({*result.matched, *kept}), by=record.by, at_ms=wall_ms,
        place=result.place, identity_proof=result.identity_proof,
    )  # fmt: skip


def events_of(result: MeterResult, record: Record, blocks: Sequence[Raw], wall_ms: int) -> list[Event]:
    """The signed record: who, what and how it came out, then every point with its words; `blocks` is the plan's read.

    A point's text: register | display | difference | tolerance | verdict | request and answer of the register alone.
    """
    data = {
        "meter": result.meter, "bus": result.bus, "place": result.place, "unit": str(result.unit),
        "profile": result.profile, "profile_sha256": result.profile_sha256, "serial": result.serial,
        "identity_proof": result.identity_proof,
        "by": record.by, "witness": record.witness, "ct": record.ct, "note": record.note,
        "direction": f"{result.direction}: {result.direction_reason}", "matched": " ".join(result.matched)[:2000],
        "result": "matched" if result.ok else "contradicted",
    } | {f"field.{name}": value for name, value in result.fingerprint.items()}  # fmt: skip
    head = Event(COMMISSIONING, wall_ms, {name: value for name, value in data.items() if value} | raw_data(blocks))
    parts = [result.points[k : k + POINTS_AN_EVENT] for k in range(0, len(result.points), POINTS_AN_EVENT)]
    return [head, *(_points_event(result.meter, number_, part, wall_ms) for number_, part in enumerate(parts, 1))]


def _points_event(meter: str, part: int, points: Sequence[PointResult], wall_ms: int) -> Event:
    told = {
        f"point.{one.point}": " | ".join(
            (f"{one.register or 'none'} {one.unit}".strip(), one.display or "none", one.difference or "none",
             one.tolerance or "none", f"{one.verdict}{': ' + one.reason if one.reason else ''}",
             f"{one.request} {one.answer}".strip())
        )[:2000]
        for one in points
    }  # fmt: skip
    return Event(COMMISSIONING_POINTS, wall_ms, {"meter": meter, "part": str(part)} | told)
