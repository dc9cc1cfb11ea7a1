"""The course of one cumulative register: phantoms removed, wraps joined, steps beyond capacity taken off.

Guaranteed: the course depends on the readings alone, neither on their order nor on their being repeated nor on
any period, so that neighbouring periods share it and no cut of a period changes the sum.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import NamedTuple

from calc.rules import CAPACITY_MARGIN, PHANTOM_LIMIT_MS
from hakari.ledger.result import Role
from hakari.quality import Quality
from hakari.registers.reading import EXACT, WIDTH_BITS, exact_value
from hakari.wire.rows import Row, once

HOUR_MS = 3_600_000
MAX_DIGITS_BEFORE = 40
MAX_DIGITS_AFTER = 160
UNSIGNED = frozenset({"u16", "u32", "u64", "acc32"})
CAP_CONTEXT = Context(prec=50, rounding=ROUND_FLOOR)


class Metering(NamedTuple):
    """What the plan says of a point. `capacity` is in register units an hour, None where it was not declared."""

    role: Role
    interval_ms: int
    boundary_limit_ms: int
    capacity: Decimal | None
    commissioned_ms: int | None


class Sample(NamedTuple):
    """A GOOD reading on the register's course: its value, and the register as if it had never wrapped."""

    row: Row
    value: Decimal
    running: Decimal


class Incident(NamedTuple):
    """Something between two instants: `rule` of the rule table, `quantity` in register units."""

    rule: str
    start_ms: int
    end_ms: int
    quantity: Decimal
    text: str


class Course(NamedTuple):
    """A register's course in order of time with everything that happened on it."""

    samples: list[Sample]
    times: list[int]
    incidents: list[Incident]

    def at(self, t_ms: int) -> int:
        """Index of the last sample at or before `t_ms`; −1 where there is none."""
        return bisect_right(self.times, t_ms) - 1


def limit_of(metering: Metering, elapsed_ms: int) -> Decimal | None:
    """The most that the register can have run in `elapsed_ms`, rounded down; None without a capacity."""
    if metering.capacity is None:
        return None
    product = CAP_CONTEXT.multiply(metering.capacity, CAPACITY_MARGIN)
    return CAP_CONTEXT.divide(CAP_CONTEXT.multiply(product, Decimal(elapsed_ms)), Decimal(HOUR_MS))


def course_of(rows: Iterable[Row], metering: Metering) -> Course:
    """The course of the register whose readings are `rows`, in any order and with any repeated."""
    good = [(row, value) for row in once(rows) if (value := _usable(row)) is not None]
    walk = _Walk([row for row, _ in good], [value for _, value in good], metering)
    position = 0
    while position < len(good):
        position = walk.step(position)
    return Course(walk.samples, [sample.row.t_ms for sample in walk.samples], walk.incidents)


def _usable(row: Row) -> Decimal | None:
    """The value of a GOOD reading; None also for a number so large or fine that exact sums would not hold it."""
    if row.quality != Quality.GOOD or row.type not in WIDTH_BITS:
        return None
    try:
        value = exact_value(row.type, row.raw, row.exponent)
    except (Inexact, InvalidOperation, Overflow):
        return None
    exponent = value.as_tuple().exponent
    fits = isinstance(exponent, int) and -exponent <= MAX_DIGITS_AFTER and value.adjusted() < MAX_DIGITS_BEFORE
    return value if fits else None


class _Walk:
    """One pass over GOOD readings; every step either accepts reading `position` or removes some."""

    def __init__(self, good: Sequence[Row], values: Sequence[Decimal], metering: Metering) -> None:
        self._good = good
        self._values = values
        self._metering = metering
        self._index: list[int] = []
        self.samples: list[Sample] = []
        self.incidents: list[Incident] = []

    def step(self, position: int) -> int:
        """Deals with reading `position` and tells which comes next."""
        if not self.samples:
            return self._accept(position, Decimal(0))
        last = self._index[-1]
        if self._fell(last, position):
            return self._fall(last, position)
        if not self._plausible(last, position):
            returned = self._returns_from_above(last, position)
            if returned is not None:
                return self._phantom(position, returned)
            return self._beyond(last, position)
        return self._accept(position, self._rise(last, position))

    def _rise(self, before: int, after: int) -> Decimal:
        return EXACT.subtract(self._values[after], self._values[before])

    def _fell(self, before: int, after: int) -> bool:
        """Whether the register went back by more than a change of scale explains."""
        one, other = self._good[before].exponent, self._good[after].exponent
        tolerance = Decimal(1).scaleb(max(one, other)) if one != other else Decimal(0)
        fall = -self._rise(before, after)
        return fall > 0 and fall >= tolerance

    def _elapsed(self, before: int, after: int) -> int:
        return self._good[after].t_ms - self._good[before].t_ms

    def _plausible(self, before: int, after: int) -> bool:
        """Whether the register can have run from one to the other; always without a capacity."""
        limit = limit_of(self._metering, self._elapsed(before, after))
        return limit is None or self._rise(before, after) <= limit + self._count(before, after)

    def _count(self, before: int, after: int) -> Decimal:
        """One count of the coarser scale: what quantisation alone can add to a step."""
        return Decimal(1).scaleb(max(self._good[before].exponent, self._good[after].exponent))

    def _accept(self, position: int, rise: Decimal) -> int:
        running = EXACT.add(self.samples[-1].running, rise) if self.samples else Decimal(0)
        self.samples.append(Sample(self._good[position], self._values[position], running))
        self._index.append(position)
        return position + 1

    def _fall(self, last: int, position: int) -> int:
        joined = self._joined(last, position)
        if joined is not None:
            self._note("wrap", last, position, joined, "the register wrapped at its width and was joined")
            return self._accept(position, joined)
        returned = self._returns(last, position)
        if returned is not None and not self._may_be_reset(last, position, returned):
            return self._phantom(position, returned)
        if returned is None and self._drop_spike(position):
            return position
        fall = EXACT.subtract(self._values[last], self._values[position])
        self._note("reset", last, position, fall, "the register fell and does not return")
        return self._accept(position, Decimal(0))

    def _joined(self, last: int, position: int) -> Decimal | None:
        """The step across a wrap, None where it is none: needs a capacity, one scale and a plausible step."""
        before, after = self._good[last], self._good[position]
        one_scale = before.type == after.type and before.exponent == after.exponent
        limit = limit_of(self._metering, self._elapsed(last, position))
        if limit is None or not one_scale or before.type not in UNSIGNED:
            return None
        raw = after.raw - before.raw + (1 << WIDTH_BITS[before.type])
        joined = EXACT.scaleb(Decimal(raw), before.exponent)
        following = position + 1
        if joined > limit or (following < len(self._good) and not self._plausible(position, following)):
            return None
        return joined

    def _returns(self, last: int, position: int) -> int | None:
        """The reading within the limit at which the register is back on its course after a dip."""
        return self._first(position, lambda k: not self._fell(last, k) and self._plausible(last, k))

    def _returns_from_above(self, last: int, position: int) -> int | None:
        """The same after a reading that was too high."""
        return self._first(
            position,
            lambda k: self._fell(position, k) and not self._fell(last, k) and self._plausible(last, k),
        )

    def _first(self, position: int, holds: Callable[[int], bool]) -> int | None:
        for k in range(position + 1, len(self._good)):
            if self._elapsed(position, k) > PHANTOM_LIMIT_MS:
                return None
            if holds(k):
                return k
        return None

    def _may_be_reset(self, last: int, position: int, returned: int) -> bool:
        """Whether a dip of a debited register may be a true reset that grew back; credited it counts less."""
        if self._metering.role != "debited":
            return False
        if self._metering.capacity is None:
            return True
        low = self._values[position]
        limit = limit_of(self._metering, self._elapsed(last, position))
        from_zero = limit is not None and low <= limit + self._count(last, position)
        return from_zero and self._plausible(returned - 1, returned)

    def _drop_spike(self, position: int) -> bool:
        """Takes readings back off the course that were too high, where no capacity could tell at once."""
        if self._metering.capacity is not None or self._metering.role == "debited":
            return False
        keep = len(self._index)
        while keep and self._fell(self._index[keep - 1], position):
            keep -= 1
        if not keep or self._elapsed(self._index[keep], position) > PHANTOM_LIMIT_MS:
            return False
        first = self._index[keep]
        self._note("phantom", first, position, Decimal(0), f"{position - first} readings too high, add nothing")
        del self._index[keep:], self.samples[keep:]
        return True

    def _phantom(self, position: int, returned: int) -> int:
        text = f"{returned - position} readings off the register's course, which returned; they add nothing"
        self._note("phantom", position, returned, Decimal(0), text)
        return returned

    def _beyond(self, last: int, position: int) -> int:
        """Accepts a step beyond capacity: credited up to the limit, debited whole."""
        rise = self._rise(last, position)
        limit = limit_of(self._metering, self._elapsed(last, position)) or Decimal(0)
        excess = EXACT.subtract(rise, limit)
        if self._metering.role == "debited":
            self._note("capacity", last, position, excess, "the step exceeds capacity × time; counted whole")
            return self._accept(position, rise)
        self._note("capacity", last, position, excess, "what exceeds capacity × time × margin is not credited")
        return self._accept(position, limit)

    def _note(self, rule: str, start: int, end: int, quantity: Decimal, text: str) -> None:
        self.incidents.append(Incident(rule, self._good[start].t_ms, self._good[end].t_ms, quantity, text))
