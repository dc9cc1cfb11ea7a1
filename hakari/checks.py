"""Contextual checks of a meter's readings against each other, pure: ingest alarms with them, calc decides by its own.

Guaranteed: nothing here alters a value; the order in which readings came does not matter, since each rule looks at a
course of readings by slot. Values are floats in the units that the arguments name: they are for alarms, no credit is
computed from them. Each rule gives a sentence, "" where nothing is wrong. Thresholds stand at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from hakari.clock import UNSYNCHRONISED

CAPACITY_MARGIN = Decimal("1.2")  # calc's rule "capacity" has the same one
MARGIN = float(CAPACITY_MARGIN)
HOUR_MS = 3_600_000
STANDSTILL_MS = HOUR_MS
STANDSTILL_READINGS = 4
NEVER_MOVED_MS = 20 * HOUR_MS
STANDSTILL_COUNTS = 8.0
IDLE_SHARE = 0.02
POWER_SPAN_MS = 6 * HOUR_MS
POWER_READINGS = 6
POWER_TOLERANCE = 0.25
POWER_COUNTS = 3.0
MAX_STEP_INTERVALS = 2.5
WRAP_FROM = 0.9
COMMON_SHARE = 0.5
CLOCK_OFFSET_LIMIT_MS = 2000


class At(NamedTuple):
    """One GOOD reading: its slot, and its value in the rule's unit."""

    t_ms: int
    value: float


Course = Sequence[At]
"""GOOD readings of one point in the order of their slots, one a slot."""


def backward(counter: Course, count: float, modulus: float, most_an_hour: float | None) -> str:
    """That a counter fell by `count` (its resolution) or more and did not wrap at `modulus` (0: it never wraps).

    `most_an_hour` is what it can count in an hour, None where nobody knows: then a wrap is a fall from the last tenth
    of the width into the first.
    """
    for before, after in pairwise(counter):
        fell = before.value - after.value
        if fell >= count and not _wrapped(before, after, modulus, most_an_hour):
            return f"the counter fell by {fell:g} to {after.value:g}"
    return ""


def _wrapped(before: At, after: At, modulus: float, most_an_hour: float | None) -> bool:
    if not modulus:
        return False
    if most_an_hour is None:
        return before.value >= WRAP_FROM * modulus and after.value <= (1 - WRAP_FROM) * modulus
    return modulus - before.value + after.value <= _most(most_an_hour, before, after)


def _most(most_an_hour: float, before: At, after: At) -> float:
    return most_an_hour * MARGIN * (after.t_ms - before.t_ms) / HOUR_MS


def beyond_capacity(counter: Course, count: float, most_an_hour: float) -> str:
    """That a step is more than capacity × time × margin and one `count`."""
    for before, after in pairwise(counter):
        step, most = after.value - before.value, _most(most_an_hour, before, after)
        if step > most + count:
            return f"a step of {step:g} in {(after.t_ms - before.t_ms) // 1000} s, where {most:g} is possible"
    return ""


def together(courses: Sequence[Course]) -> list[At]:
    """The sum of counters, at the slots that all of them have."""
    at = [dict(course) for course in courses]
    slots = sorted(set.intersection(*(set(one) for one in at)))
    return [At(t_ms, sum(one[t_ms] for one in at)) for t_ms in slots]


def standing_still(counter: Course, power: Course, count: float, interval_ms: int) -> str:
    """That a counter has not moved since an hour or more, while `power` (unit of the counter an hour) flowed.

    Every power reading since must be so large that the counter would have gone on by several counts.
    """
    since = next((k + 1 for k in reversed(range(len(counter) - 1)) if counter[k].value != counter[-1].value), 0)
    still = counter[since:]
    # Of a counter that was never seen moving nobody knows which direction of power moves it: a whole day must pass.
    least_ms = STANDSTILL_MS if since else NEVER_MOVED_MS
    if len(still) < STANDSTILL_READINGS or still[-1].t_ms - still[0].t_ms < least_ms:
        return ""
    # What a meter shows while its plant sleeps is no flow: the standby of an inverter runs the other way.
    idle = IDLE_SHARE * max((abs(one.value) for one in power), default=0.0)
    flowing = [one if abs(one.value) > idle else one._replace(value=0.0) for one in power]
    among = [one for one in flowing if still[0].t_ms <= one.t_ms <= still[-1].t_ms]
    least = sum(bounds(among, 1, interval_ms, both=False)[:1]) or sum(bounds(among, -1, interval_ms, both=False)[:1])
    if least < STANDSTILL_COUNTS * count:
        return ""
    minutes = (still[-1].t_ms - still[0].t_ms) // 60_000
    return f"the counter has stood still for {minutes} minutes, in which at least {least:g} flowed"


def against_power(steps: Sequence[tuple[Course, int]], power: Course, count: float, interval_ms: int) -> str:
    """That counters rose by another amount than the power (their unit an hour) gives, whatever lies between readings.

    `steps` are the counters, each with the sign of its direction. Between two readings the power is taken to lie
    between them; the tolerance is for what it did besides. A meter's sign of power is not known: either one will do.
    """
    slots = set.intersection({at.t_ms for at in power}, *({at.t_ms for at in course} for course, _ in steps))
    among = [at for at in power if at.t_ms in slots]
    if len(among) < POWER_READINGS or among[-1].t_ms - among[0].t_ms < POWER_SPAN_MS:
        return ""
    if any(b.t_ms - a.t_ms > MAX_STEP_INTERVALS * interval_ms for a, b in pairwise(among)):
        return ""
    both = len(steps) > 1
    rose = sum((sign if both else 1) * _rise(course, among[0].t_ms, among[-1].t_ms) for course, sign in steps)
    ranges = [bounds(among, sign, interval_ms, both=both) for sign in (1, -1)]
    for least, most in ranges:
        slack = POWER_TOLERANCE * max(abs(least), abs(most), abs(rose)) + POWER_COUNTS * count
        if least - slack <= rose <= most + slack:
            return ""
    least, most = max(ranges, key=sum)
    hours = (among[-1].t_ms - among[0].t_ms) / HOUR_MS
    return f"in {hours:g} h the counters rose by {rose:g}, the power gives {least:g} to {most:g}"


def bounds(power: Course, sign: int, interval_ms: int, *, both: bool) -> tuple[float, float]:
    """The least and most energy of a course of power, in its unit times hours; `both`: negative power counts down.

    Time between readings that are further apart than two and a half intervals counts nothing.
    """
    least = most = 0.0
    for one, other in pairwise(power):
        if other.t_ms - one.t_ms > MAX_STEP_INTERVALS * interval_ms:
            continue
        low, high = sorted((sign * one.value, sign * other.value))
        hours = (other.t_ms - one.t_ms) / HOUR_MS
        least += (low if both else max(0.0, low)) * hours
        most += (high if both else max(0.0, high)) * hours
    return least, most


def _rise(course: Course, first_ms: int, last_ms: int) -> float:
    at = {one.t_ms: one.value for one in course}
    return at[last_ms] - at[first_ms]


def differing(parts: Sequence[Course], whole: Course, counts: float, tolerance: float, window_ms: int) -> str:
    """That the rises of `parts` together differ from that of `whole` by more than the share `tolerance` and `counts`.

    Compared is from the first to the last slot that all have within the window before the last; what spans less than
    half the window is not judged.
    """
    courses = (*parts, whole)
    slots = sorted(set.intersection(*({at.t_ms for at in course} for course in courses)))
    slots = [t_ms for t_ms in slots if t_ms >= slots[-1] - window_ms]
    if len(slots) < 2 or slots[-1] - slots[0] < COMMON_SHARE * window_ms:
        return ""
    given = sum(_rise(part, slots[0], slots[-1]) for part in parts)
    expected = _rise(whole, slots[0], slots[-1])
    if abs(given - expected) <= tolerance * max(abs(given), abs(expected)) + counts:
        return ""
    hours = (slots[-1] - slots[0]) / HOUR_MS
    return f"in {hours:g} h {given:g} were counted against {expected:g}, tolerance {tolerance:.1%}"


def clock_wrong(state: str, offset_ms: int) -> str:
    """That an edge's clock was not synchronised when a leaf was cut, or by how much it was off."""
    if state == UNSYNCHRONISED:
        return "the clock is not synchronised"
    if abs(offset_ms) > CLOCK_OFFSET_LIMIT_MS:
        return f"the clock is off by {offset_ms} ms, limit {CLOCK_OFFSET_LIMIT_MS} ms"
    return ""


def before_commissioning(t_ms: int, commissioned_ms: int) -> bool:
    """Whether a slot lies before the point, or its edge, was there."""
    return t_ms < commissioned_ms
