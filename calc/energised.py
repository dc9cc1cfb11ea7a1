"""Energised hours: how long a gauge, such as a transformer's voltage, stood above the plan's threshold.

Guaranteed: each instant either counts or does not, whatever the period, so that neighbouring periods add up exactly at
any instant. Of a credited quantity only time between two GOOD readings above the threshold counts, of a debited one
all but that between two at or below it. Where bodies of leaves between two readings are forgone (`calc.lost`) nobody
knows the voltage.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Literal

from calc.lost import RULE, VOLTAGE_TEXT, Starts, straddle
from calc.quantity import Measured, bounded, slots_of, uncommissioned
from calc.registers import Course, Incident, Metering, Sample
from calc.rules import GAP_INTERVALS
from calc.values import usable_value
from hakari.wire.rows import Row, once

State = Literal["counted", "outage", "energised-gap", "measurement-gap"]
TEXTS: dict[str, str] = {
    "outage": "the voltage stood at or below the threshold; what lies beside such a reading is not energised",
    "energised-gap": "readings are missing, so that nobody knows the voltage",
    RULE: VOLTAGE_TEXT,
}


def voltage_of(rows: Iterable[Row], metering: Metering, above: Decimal, lost: Starts = ()) -> Course:
    """The GOOD readings in `rows`, in any order and with any repeated; one a slot, of several the more careful.

    `running` is what counted since the first of them, in milliseconds; incidents are the outages and gaps between.
    `lost` as in `calc.lost.straddle`.
    """
    found: list[Sample] = []
    for _, same in groupby(once(rows), key=lambda row: row.t_ms):
        values = [(value, row) for row in same if (value := usable_value(row)) is not None]
        if values:
            careful = max if metering.role == "debited" else min
            value, row = careful(values, key=lambda one: one[0])
            found.append(Sample(row, value, Decimal(0)))
    states = [
        "measurement-gap" if straddle(lost, one.row, two.row) else _state(one, two, metering, above)
        for one, two in pairwise(found)
    ]
    counted_ms = 0
    for k, state in enumerate(states):
        counted_ms += _length(found, k) if _counts(state, metering) else 0
        found[k + 1] = found[k + 1]._replace(running=Decimal(counted_ms))
    return Course(found, [sample.row.t_ms for sample in found], _incidents(found, states))


def _state(one: Sample, two: Sample, metering: Metering, above: Decimal) -> State:
    if two.row.t_ms - one.row.t_ms > int(GAP_INTERVALS * metering.interval_ms):
        return "energised-gap"
    high = (one.value > above, two.value > above)
    counts = any(high) if metering.role == "debited" else all(high)
    return "counted" if counts else "outage"


def _counts(state: State, metering: Metering) -> bool:
    return state == "counted" or (state != "outage" and metering.role == "debited")


def _length(samples: Sequence[Sample], k: int) -> int:
    return samples[k + 1].row.t_ms - samples[k].row.t_ms


def _incidents(samples: Sequence[Sample], states: Sequence[State]) -> list[Incident]:
    """What follows one another in one state is one incident."""
    incidents, at = [], 0
    for state, same in groupby(states):
        until = at + len(list(same))
        if state != "counted":
            incidents.append(_incident(state, samples[at].row.t_ms, samples[until].row.t_ms))
        at = until
    return incidents


def _incident(rule: str, start_ms: int, end_ms: int) -> Incident:
    return Incident(rule, start_ms, end_ms, Decimal(end_ms - start_ms), TEXTS[rule])


def measure_energised(course: Course, metering: Metering, period: tuple[int, int]) -> Measured:
    """The counted milliseconds of `[start, end)`, from commissioning on, with every outage, gap and standstill."""
    incidents, (start_ms, end_ms) = uncommissioned(metering, *period)
    if start_ms >= end_ms:
        return Measured(Decimal(0), None, None, incidents, 0, 0, [])
    quantity = _counted(course, metering, end_ms) - _counted(course, metering, start_ms)
    before, after = _outside(course, start_ms, end_ms)
    for one in [*before, *course.incidents, *after]:
        begin_ms, stop_ms = max(one.start_ms, start_ms), min(one.end_ms, end_ms)
        if begin_ms < stop_ms:
            _append(incidents, _incident(one.rule, begin_ms, stop_ms) if one.rule in TEXTS else one)
    first, last = _ends(course, start_ms, end_ms)
    good, expected = slots_of(course.times, metering.interval_ms, start_ms, end_ms)
    return Measured(quantity, first, last, bounded(incidents), good, expected, [])


def _counted(course: Course, metering: Metering, t_ms: int) -> Decimal:
    """What counts up to an instant; before the first reading and after the last all of a debited quantity does."""
    at = course.at(t_ms)
    if at < 0 or at + 1 == len(course.times):
        unknown_ms = t_ms - course.times[at] if at >= 0 else t_ms - course.times[0] if course.times else t_ms
        known = course.samples[at].running if at >= 0 else Decimal(0)
        return known + (unknown_ms if metering.role == "debited" else 0)
    one, two = course.samples[at : at + 2]
    return one.running + (t_ms - one.row.t_ms if two.running > one.running else 0)


def _outside(course: Course, start_ms: int, end_ms: int) -> tuple[list[Incident], list[Incident]]:
    """What of a period lies before the first reading and after the last."""
    first_ms, last_ms = (course.times[0], course.times[-1]) if course.times else (end_ms, end_ms)
    before = [_incident("energised-gap", start_ms, first_ms)] if start_ms < first_ms else []
    return before, [_incident("energised-gap", last_ms, end_ms)] if last_ms < end_ms else []


def _append(incidents: list[Incident], one: Incident) -> None:
    """Adds an incident, to the last one where it goes on."""
    last = incidents[-1] if incidents else None
    if last is not None and (last.rule, last.end_ms) == (one.rule, one.start_ms) and one.rule in TEXTS:
        incidents[-1] = _incident(one.rule, last.start_ms, one.end_ms)
    else:
        incidents.append(one)


def _ends(course: Course, start_ms: int, end_ms: int) -> tuple[Sample | None, Sample | None]:
    """The readings before the first and after the last counted time between readings; None where nothing counted."""
    at, until = max(0, course.at(start_ms)), course.at(end_ms - 1) + 1
    samples = course.samples[at : until + 1]
    if not samples or samples[0].running == samples[-1].running:
        return None, None
    first = bisect_right(samples, samples[0].running, key=lambda one: one.running) - 1
    last = bisect_left(samples, samples[-1].running, key=lambda one: one.running)
    return samples[first], samples[last]
