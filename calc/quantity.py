"""A period's quantity of a cumulative register: end − start between boundary registers, never a sum of steps.

Guaranteed: neighbouring periods share their boundary register, so that quantities add up over any cut; where
a boundary is missing a credited quantity only gets smaller and a debited one is refused. A measurement gap over a
boundary (`calc.lost`) gives neither period anything that is credited, and each the whole of what is debited.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

from calc.lost import measurement_gaps
from calc.registers import HOUR_MS, Course, Incident, Metering, Sample
from calc.rules import GAP_INTERVALS
from calc.text import decimal_text
from hakari.period import time_text
from hakari.units import EXACT
from hakari.wire.rows import Row

MAX_INCIDENTS = 50


class Measured(NamedTuple):
    """What one point measured in a period; `quantity` in register units, None with a reason in `refusals`."""

    quantity: Decimal | None
    start: Sample | None
    end: Sample | None
    incidents: list[Incident]
    good_slots: int
    expected_slots: int
    refusals: list[str]


class _Boundary(NamedTuple):
    at: int
    incident: Incident | None
    refusal: str


def measure(course: Course, metering: Metering, start_ms: int, end_ms: int, unused: Sequence[Row] = ()) -> Measured:
    """The quantity between the boundary registers of `[start_ms, end_ms)`, from commissioning on.

    `unused` are readings that do not count; they alter no figure, only what is said where one is missing.
    """
    incidents, (start_ms, end_ms) = uncommissioned(metering, start_ms, end_ms)
    if start_ms >= end_ms:
        return Measured(Decimal(0), None, None, incidents, 0, 0, [])
    slots = slots_of(course.times, metering.interval_ms, start_ms, end_ms)
    reach_ms = metering.boundary_limit_ms
    first, last = _start(course, metering, start_ms), _end(course, metering, end_ms)
    debited = metering.role == "debited"
    first = _explained(first, unused, *((start_ms - reach_ms, start_ms) if debited else (start_ms, end_ms)))
    last = _explained(last, unused, (end_ms if debited else start_ms) - reach_ms, end_ms)
    incidents += measurement_gaps(course, metering, start_ms, end_ms)
    refusals = [boundary.refusal for boundary in (first, last) if boundary.refusal]
    if not refusals and first.at > last.at and last.at in course.lost:
        first = last = _Boundary(last.at, None, "")
    if not refusals and first.at > last.at:
        why = why_unused(unused, start_ms, end_ms)
        refusals = [f"no GOOD reading between {time_text(start_ms)} and {time_text(end_ms)}{why}"]
    if refusals:
        inside = [one for one in course.incidents if start_ms <= one.end_ms < end_ms]
        refusals += sorted({one.text for one in inside if one.rule == "scale"})
        return Measured(None, None, None, bounded(incidents + inside), *slots, refusals)
    incidents += [boundary.incident for boundary in (first, last) if boundary.incident is not None]
    return _between(course, metering, (first.at, last.at), incidents, slots)


def _between(
    course: Course, metering: Metering, at: tuple[int, int], incidents: list[Incident], slots: tuple[int, int]
) -> Measured:
    start, end = course.samples[at[0]], course.samples[at[1]]
    inside = [one for one in course.incidents if start.row.t_ms < one.end_ms and _known_ms(one) <= end.row.t_ms]
    found = bounded(incidents + inside + _gaps(course, metering, *at))
    refusals = [f"{one.text} at {time_text(one.end_ms)}" for one in inside if one.rule == "reset"]
    quantity = EXACT.subtract(end.running, start.running)
    if quantity < 0:
        refusals.append(f"the register's course falls by {decimal_text(-quantity)} between its boundaries")
    return Measured(None if refusals else quantity, start, end, found, *slots, refusals)


def _known_ms(incident: Incident) -> int:
    """From when on an end boundary has the incident before it: a reset casts doubt on all readings of its time.

    A frozen meter is shown in the period in which it froze, though the boundary is a reading before it.
    """
    if incident.rule == "frozen":
        return incident.start_ms
    return incident.start_ms + 1 if incident.rule == "reset" else incident.end_ms


def _start(course: Course, metering: Metering, start_ms: int) -> _Boundary:
    at = course.at(start_ms)
    if _holds(course, at, start_ms, metering):
        return _Boundary(at, None, "")
    if metering.role == "debited":
        return _Boundary(at, None, "" if at in course.lost else _missing("start", start_ms, metering))
    following = at + 1
    if following == len(course.samples):
        return _Boundary(at, None, f"no GOOD reading after {time_text(start_ms)}")
    text = "no boundary register at the start; counted from the first GOOD reading inside"
    return _Boundary(following, _moved(start_ms, course.times[following], text), "")


def _end(course: Course, metering: Metering, end_ms: int) -> _Boundary:
    at = course.at(end_ms)
    if metering.role == "debited" and at in course.lost and course.times[at] < end_ms:
        return _Boundary(at + 1, None, "" if at + 1 < len(course.samples) else _unread(end_ms))
    if _holds(course, at, end_ms, metering):
        return _Boundary(at, None, "")
    if metering.role == "debited":
        return _Boundary(at, None, _missing("end", end_ms, metering))
    if at < 0:
        return _Boundary(at, None, f"no GOOD reading before {time_text(end_ms)}")
    text = "no boundary register at the end; counted to the last GOOD reading inside"
    return _Boundary(at, _moved(course.times[at], end_ms, text), "")


def _explained(boundary: _Boundary, unused: Sequence[Row], start_ms: int, end_ms: int) -> _Boundary:
    """The boundary, and where it is missing or moved also why readings there did not count.

    They are looked for in [start_ms, end_ms] where it is missing.
    """
    if boundary.refusal:
        return boundary._replace(refusal=boundary.refusal + why_unused(unused, start_ms, end_ms))
    if boundary.incident is None:
        return boundary
    one = boundary.incident
    return boundary._replace(incident=one._replace(text=one.text + why_unused(unused, one.start_ms, one.end_ms)))


def why_unused(unused: Sequence[Row], start_ms: int, end_ms: int) -> str:
    """The commonest reason of the readings in [start_ms, end_ms] that did not count, "" where there are none."""
    reasons = Counter(row.reason or "no value" for row in unused if start_ms <= row.t_ms <= end_ms)
    if not reasons:
        return ""
    reason, count = min(reasons.items(), key=lambda one: (-one[1], one[0]))
    return f"; {reasons.total()} readings there do not count, {count} of them because: {reason}"


def _moved(start_ms: int, end_ms: int, text: str) -> Incident:
    return Incident("boundary-moved", start_ms, end_ms, Decimal(0), text)


def _holds(course: Course, at: int, t_ms: int, metering: Metering) -> bool:
    return at >= 0 and t_ms - course.times[at] <= metering.boundary_limit_ms


def _missing(which: str, t_ms: int, metering: Metering) -> str:
    hours = decimal_text(Decimal(metering.boundary_limit_ms) / HOUR_MS)
    return f"no GOOD reading within {hours} h before the {which} {time_text(t_ms)}, and the quantity is debited"


def _unread(end_ms: int) -> str:
    return (
        f"bodies of leaves around the end {time_text(end_ms)} are forgone, no GOOD reading after them is in the cut,"
        " and the quantity is debited"
    )


def _gaps(course: Course, metering: Metering, first: int, last: int) -> list[Incident]:
    """Steps over missing slots that are no measurement gap: the register ran on meanwhile."""
    longest = int(GAP_INTERVALS * metering.interval_ms)
    text = "readings are missing; the register ran on and its step is counted"
    return [
        Incident("telemetry-gap", one.row.t_ms, two.row.t_ms, EXACT.subtract(two.running, one.running), text)
        for k, (one, two) in enumerate(pairwise(course.samples[first : last + 1]), first)
        if two.row.t_ms - one.row.t_ms > longest and k not in course.lost
    ]


def bounded(incidents: list[Incident]) -> list[Incident]:
    """In order of time; of each rule at most the limit one by one, its rest as one with their sum."""
    ordered = sorted(incidents, key=lambda one: (one.start_ms, one.end_ms, one.rule))
    kept: list[Incident] = []
    for rule in sorted({one.rule for one in ordered}):
        same = [one for one in ordered if one.rule == rule]
        kept += same[:MAX_INCIDENTS]
        if rest := same[MAX_INCIDENTS:]:
            quantity = reduce(EXACT.add, (one.quantity for one in rest), Decimal(0))
            text = f"{len(rest)} more like the ones before, not listed one by one; the quantity is their sum"
            kept.append(Incident(rule, rest[0].start_ms, rest[-1].end_ms, quantity, text))
    return sorted(kept, key=lambda one: (one.start_ms, one.end_ms, one.rule))


def slots_of(times: Sequence[int], interval_ms: int, start_ms: int, end_ms: int) -> tuple[int, int]:
    """Slots of the plan's interval with a GOOD reading among `times` (sorted), and slots in all."""
    begin, stop = bisect_left(times, start_ms), bisect_left(times, end_ms)
    seen = {(t_ms - start_ms) // interval_ms for t_ms in times[begin:stop]}
    return len(seen), -(-(end_ms - start_ms) // interval_ms)


def uncommissioned(metering: Metering, start_ms: int, end_ms: int) -> tuple[list[Incident], tuple[int, int]]:
    """What of a period lies before the point was commissioned, as an incident, and what is left of the period."""
    commissioned_ms = metering.commissioned_ms
    if commissioned_ms is None or commissioned_ms <= start_ms:
        return [], (start_ms, end_ms)
    text = "nothing is counted before the point was commissioned"
    return [Incident("commissioned", start_ms, min(commissioned_ms, end_ms), Decimal(0), text)], (
        commissioned_ms,
        end_ms,
    )
