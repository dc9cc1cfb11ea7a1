"""The course of one cumulative register: phantoms removed, wraps joined, steps beyond capacity taken off.

Guaranteed: the course depends on the readings alone, neither on their order nor on their being repeated nor on
any period, so that neighbouring periods share it and no cut of a period changes the sum. It never falls. With a
capacity any stretch of a credited one rises by at most capacity × time × margin and one count of its coarsest scale.
Where readings allow two histories, a credited course takes the smaller one and a debited one is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from typing import NamedTuple

from calc.rules import PHANTOM_LIMIT_MS
from calc.text import decimal_text
from calc.values import count_of, span_of, usable_value
from hakari.checks import CAPACITY_MARGIN
from hakari.ledger.result import Role
from hakari.period import PeriodInvalid, time_text
from hakari.units import EXACT
from hakari.wire.leaf import GIVEN_BOOT
from hakari.wire.rows import Row, once

HOUR_MS = 3_600_000
WRAP_LIMIT_MS = 24 * HOUR_MS  # after a longer silence a register that fell was as likely exchanged as wrapped
COARSEST_COUNT_MS = 24 * HOUR_MS  # a register that counts more slowly than once in this time measures nothing
MAX_SHOWN = 3
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
    """A register's course in order of time with everything that happened on it.

    `lost` has the index of each sample behind which lies a measurement gap (`calc.lost`), with the step over it.
    """

    samples: list[Sample]
    times: list[int]
    incidents: list[Incident]
    lost: Mapping[int, Decimal] = {}

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
    good = [(row, value) for row in once(rows) if (value := usable_value(row)) is not None]
    coarse = [row for row, _ in good if _too_coarse(row, metering)]
    good = [(row, value) for row, value in good if not _too_coarse(row, metering)]
    walk = _Walk([row for row, _ in good], [value for _, value in good], metering)
    position = 0
    while position < len(good):
        position = walk.step(position)
    text = "one count is more than capacity × margin gives in 24 h; the reading is not used"
    walk.incidents += [Incident("scale", row.t_ms, row.t_ms, count_of(row), text) for row in coarse]
    return Course(walk.samples, [sample.row.t_ms for sample in walk.samples], walk.incidents)


def _too_coarse(row: Row, metering: Metering) -> bool:
    limit = limit_of(metering, COARSEST_COUNT_MS)
    return limit is not None and count_of(row) > limit


class _Walk:
    """One pass over GOOD readings; every step either accepts reading `position` or removes some.

    `_spent` has for each sample what quantisation may still add to steps beyond their limit, and the coarsest count
    so far: one such count is granted once, spent by steps above their limit and won back by steps below it. (Granted
    at every step it would let a register of coarse counts run at any speed.)
    """

    def __init__(self, good: Sequence[Row], values: Sequence[Decimal], metering: Metering) -> None:
        self._good = good
        self._values = values
        self._metering = metering
        self._debited = metering.role == "debited"
        self._index: list[int] = []
        self._spent: list[tuple[Decimal, Decimal]] = []
        self._came_down: tuple[int, int] | None = None
        self._at_most: tuple[int, Decimal] | None = None
        self.samples: list[Sample] = []
        self.incidents: list[Incident] = []

    def step(self, position: int) -> int:
        """Deals with reading `position` and tells which comes next."""
        if not self.samples:
            return self._accept(position, Decimal(0))
        last = self._index[-1]
        rise = self._rise(last, position)
        if self._fell(last, position):
            return self._fall(last, position)
        if rise < 0:
            text = "the register fell by less than one count of the coarser scale; the reading is not used"
            self._note("scale", last, position, EXACT.minus(rise), text)
            return position + 1
        if not self._follows(last, position):
            return self._high(last, position)
        if self._debited and self._may_have_wrapped_unseen(last, position):
            text = "the register had time to run through its whole width unseen"
            self._note("reset", last, position, Decimal(0), text)
        return self._accept(position, self._lesser(last, position, rise))

    def _lesser(self, last: int, position: int, rise: Decimal) -> Decimal:
        """The step, or what the readings left out before it gave where they were another history of it."""
        if self._at_most is None or self._at_most[0] != position or self._at_most[1] >= rise:
            return rise
        text = "readings left out ran on and then rose beyond capacity; that rise is not credited"
        self._note("capacity", last, position, EXACT.subtract(rise, self._at_most[1]), text)
        return self._at_most[1]

    def _rise(self, before: int, after: int) -> Decimal:
        return EXACT.subtract(self._values[after], self._values[before])

    def _fell(self, before: int, after: int) -> bool:
        """Whether the register went back by more than a change of scale explains."""
        one, other = self._good[before], self._good[after]
        tolerance = max(count_of(one), count_of(other)) if one.exponent != other.exponent else Decimal(0)
        fall = -self._rise(before, after)
        return fall > 0 and fall >= tolerance

    def _elapsed(self, before: int, after: int) -> int:
        return self._good[after].t_ms - self._good[before].t_ms

    def _limit(self, before: int, after: int) -> Decimal | None:
        return limit_of(self._metering, self._elapsed(before, after))

    def _granted(self, position: int) -> Decimal:
        """The slack with reading `position` on the course: more by what its count is coarser than all before."""
        slack, coarsest = self._spent[-1]
        return CAP_CONTEXT.add(slack, max(Decimal(0), CAP_CONTEXT.subtract(count_of(self._good[position]), coarsest)))

    def _follows(self, last: int, position: int) -> bool:
        """Whether the register can have run on from the course's last reading; always without a capacity."""
        limit = self._limit(last, position)
        return limit is None or self._rise(last, position) <= CAP_CONTEXT.add(limit, self._granted(position))

    def _can_run(self, before: int, after: int) -> bool:
        """The same between any two readings, which may be off the course."""
        limit = self._limit(before, after)
        count = max(count_of(self._good[before]), count_of(self._good[after]))
        return limit is None or self._rise(before, after) <= CAP_CONTEXT.add(limit, count)

    def _accept(self, position: int, rise: Decimal) -> int:
        running, slack = Decimal(0), count_of(self._good[position])
        coarsest = slack
        if self.samples:
            last = self._index[-1]
            # A given number has the decimals that it was written with: no register changed its scale.
            given = self._good[position].boot == GIVEN_BOOT
            if not given and self._good[last].exponent != self._good[position].exponent:
                self._note("scale", last, position, Decimal(0), self._scales(last, position))
            running = EXACT.add(self.samples[-1].running, rise)
            coarsest = max(coarsest, self._spent[-1][1])
            unused = CAP_CONTEXT.subtract(self._limit(last, position) or Decimal(0), rise)
            slack = max(Decimal(0), CAP_CONTEXT.add(self._granted(position), unused))
        self.samples.append(Sample(self._good[position], self._values[position], running))
        self._index.append(position)
        self._spent.append((min(coarsest, slack), coarsest))
        return position + 1

    def _scales(self, last: int, position: int) -> str:
        return f"the scale changed from 10^{self._good[last].exponent} to 10^{self._good[position].exponent}"

    def _fall(self, last: int, position: int) -> int:
        returned = self._returns(last, position)
        if returned is None or self._runs(position, returned):
            joined = self._joined(last, position)
            if joined is not None:
                self._note("wrap", last, position, joined, "the register wrapped at its width and was joined")
                return self._accept(position, joined)
        if returned is not None and not (self._debited and self._may_be_reset(position, returned)):
            return self._phantom(position, returned)
        keep = self._not_above(position)
        if returned is None and keep and self._metering.capacity is None and not self._debited:
            self._drop(keep, position)
            return position
        fall = EXACT.subtract(self._values[last], self._values[position])
        # What the fall lands on may be the truth, and what came since may have been too high: no boundary either.
        doubted = self._index[keep - 1] if keep else last
        values = f"{decimal_text(self._values[last])} to {decimal_text(self._values[position])}"
        text = f"the register fell and does not return ({values})"
        self._note("reset", doubted, position, fall, text)
        return self._accept(position, Decimal(0))

    def _joined(self, last: int, position: int) -> Decimal | None:
        """The step across a wrap, None where it is none.

        Needs one scale, at most a day, a register that cannot have run through half its width meanwhile (or it may
        have wrapped twice, and every fall would look like a wrap), a plausible step and a plausible one after it.
        """
        before, after = self._good[last], self._good[position]
        one_scale = before.type == after.type and before.exponent == after.exponent
        limit, span = self._limit(last, position), span_of(before)
        if limit is None or span is None or not one_scale or self._elapsed(last, position) > WRAP_LIMIT_MS:
            return None
        if self._was_cut(position):
            return None
        joined = EXACT.add(self._rise(last, position), span)
        following = position + 1
        if 2 * limit >= span or joined > CAP_CONTEXT.add(limit, self._granted(position)):
            return None
        return joined if following == len(self._good) or self._can_run(position, following) else None

    def _may_have_wrapped_unseen(self, last: int, position: int) -> bool:
        limit, span = self._limit(last, position), span_of(self._good[last])
        return limit is not None and span is not None and EXACT.add(self._rise(last, position), span) <= limit

    def _returns(self, last: int, position: int) -> int | None:
        """The reading at which the register is back on its course after `position` was too low or too high.

        It comes back by a step up from below or down from above. Readings that stay too high and only become
        plausible as time goes by are those of another register, and so are those on which it runs on after a step.
        """
        high = not self._fell(last, position)
        for k in range(position + 1, len(self._good)):
            if self._elapsed(position, k) > PHANTOM_LIMIT_MS:
                return None
            stepped = self._fell(last, k - 1) or self._fell(k - 1, k)
            if not stepped or self._fell(last, k):
                continue
            back = self._follows(last, k) and (not high or self._fell(position, k))
            runs_on = k + 1 < len(self._good) and self._runs(k, k + 1)
            if (back or runs_on) and not self._island(position, k):
                return k if back else None
        return None

    def _island(self, position: int, k: int) -> bool:
        """Whether the readings from `position` on continue after `k`, which left them for fewer than they are."""
        return any(
            not self._runs(j - 1, j) and not self._fell(k - 1, j) and self._can_run(k - 1, j)
            for j in range(k + 1, min(2 * k - position, len(self._good)))
        )

    def _runs(self, position: int, returned: int) -> bool:
        """Whether the register can have run through every reading from one to the other."""
        return all(not self._fell(k, k + 1) and self._can_run(k, k + 1) for k in range(position, returned))

    def _may_be_reset(self, position: int, returned: int) -> bool:
        """Whether a dip of a debited register may be a reset, or another meter, that ran on past the old value."""
        grew = any(self._can_run(k, returned) for k in range(position, returned))
        return grew or self._moves(position, returned)

    def _moves(self, position: int, returned: int) -> bool:
        """Whether readings off the course differ, as those of another meter would."""
        return any(self._values[k] != self._values[position] for k in range(position + 1, returned))

    def _not_above(self, position: int) -> int:
        """How many samples come before those of the last day that are above reading `position`; 0 for no answer.

        Those behind a step of that day that explains the fall are among them, though the register has passed them.
        """
        for keep in range(len(self._index), 0, -1):
            k = self._index[keep - 1]
            if not self._fell(k, position):
                return self._before_rise(keep, position)
            # What lies before a wrap or a reset cannot be compared.
            fell = keep > 1 and self.samples[keep - 1].value < self.samples[keep - 2].value
            if fell or self._elapsed(k, position) > PHANTOM_LIMIT_MS:
                return 0
        return 0

    def _before_rise(self, keep: int, position: int) -> int:
        """How many of `keep` samples come before the first step of the last day as large as the fall to `position`."""
        fall = -self._rise(self._index[-1], position)
        first = keep
        for at in range(keep - 1, 0, -1):
            before, after = self._index[at - 1], self._index[at]
            if self._elapsed(before, position) > PHANTOM_LIMIT_MS or self._fell(before, after):
                break
            if self._rise(before, after) >= fall:
                first = at
        return first

    def _plain(self, keep: int) -> bool:
        """Whether the step to the last of `keep` samples was the register's own: no wrap, no reset, not cut."""
        if keep < 2:
            return True
        one, two = self.samples[keep - 2 : keep]
        return EXACT.subtract(two.value, one.value) == EXACT.subtract(two.running, one.running)

    def _was_cut(self, position: int) -> bool:
        """Whether a step of the day before was beyond capacity: what looks like a wrap may then fall from a spike."""
        for keep in range(len(self.samples), 1, -1):
            if self._elapsed(self._index[keep - 1], position) > PHANTOM_LIMIT_MS:
                return False
            if not self._plain(keep) and self.samples[keep - 1].value > self.samples[keep - 2].value:
                return True
        return False

    def _drop(self, keep: int, position: int) -> None:
        """Takes samples back off the course that may have been too high."""
        off = self._index[keep:]
        shown = self._shown(off[0], off[-1] + 1)
        text = f"{len(off)} readings may have been too high; they add nothing ({shown})"
        self._note("phantom", self._index[keep], position, Decimal(0), text)
        del self._index[keep:], self.samples[keep:], self._spent[keep:]

    def _phantom(self, position: int, returned: int) -> int:
        """Leaves out the readings up to `returned`, and of a credited register those that may have been too high.

        Where what is left out lies below the last samples, either may be wrong: neither becomes a boundary.
        """
        shown = self._shown(position, returned)
        text = f"{returned - position} readings off the register's course, which returned; they add nothing ({shown})"
        self._note("phantom", position, returned, Decimal(0), text)
        if any(self._fell(k, returned) for k in range(position, returned)):
            self._came_down = (self._index[-1], returned)
        keep = len(self._index)
        for k in range(position, returned):
            if not self._debited and self._fell(self._index[keep - 1], k):
                keep = self._not_above(k) or keep
        if any(not self._plain(after) for after in range(keep + 1, len(self._index) + 1)):
            text = "the register rose beyond capacity and was lower again before it went on"
            self._note("reset", self._index[keep - 1], returned, Decimal(0), text)
        elif keep < len(self._index):
            self._at_most = self._other_history(keep, position, returned)
            self._drop(keep, position)
        return returned

    def _other_history(self, keep: int, position: int, returned: int) -> tuple[int, Decimal] | None:
        """What the register gave up to `returned` if what is left out was true, and not the samples after `keep`.

        That is so of readings that run on from the samples before and are more than those they contradict; the step
        after them, beyond capacity, is then another meter's.
        """
        kept, more = self._index[keep - 1], returned - position > len(self._index) - keep
        runs = not self._fell(kept, position) and self._can_run(kept, position) and self._runs(position, returned - 1)
        if not more or not runs or self._can_run(returned - 1, returned):
            return None
        return returned, max(Decimal(0), self._rise(kept, returned - 1))

    def _high(self, last: int, position: int) -> int:
        """Deals with a step beyond capacity: a phantom, or accepted: credited nothing, debited whole."""
        returned = self._returns(last, position)
        if returned is not None and not (self._debited and self._may_be_true(last, position, returned)):
            return self._phantom(position, returned)
        rise = self._rise(last, position)
        limit = self._limit(last, position) or Decimal(0)
        if self._debited:
            excess = EXACT.subtract(rise, limit)
            text = f"the step exceeds capacity × time; counted whole (to {self._at(position)})"
            self._note("capacity", last, position, excess, text)
            return self._accept(position, rise)
        if self._came_down is not None and self._elapsed(self._came_down[1], position) <= PHANTOM_LIMIT_MS:
            text = "the register rose beyond capacity, came down and rose beyond it again"
            self._note("reset", self._came_down[0], position, rise, text)
        text = f"a step beyond capacity × time × margin is not credited (to {self._at(position)})"
        self._note("capacity", last, position, rise, text)
        return self._accept(position, Decimal(0))

    def _may_be_true(self, last: int, position: int, returned: int) -> bool:
        """Whether a debited register may have been as high as it read and then been reset or exchanged.

        It cannot where the step is beyond what it could catch up in a day, nothing moves up there, and it comes back
        to where it cannot have run from zero.
        """
        day = limit_of(self._metering, self._elapsed(last, position) + PHANTOM_LIMIT_MS) or Decimal(0)
        caught_up = self._rise(last, position) <= CAP_CONTEXT.add(day, self._granted(position))
        since = self._limit(returned - 1, returned) or Decimal(0)
        from_zero = self._values[returned] <= CAP_CONTEXT.add(since, count_of(self._good[returned]))
        return caught_up or from_zero or self._moves(position, returned)

    def _at(self, position: int) -> str:
        t_ms = self._good[position].t_ms
        try:
            when = time_text(t_ms)
        except PeriodInvalid:
            when = f"{t_ms} ms"
        return f"{decimal_text(self._values[position])} at {when}"

    def _shown(self, first: int, after: int) -> str:
        """The values of readings that are left out; of many the first and the last."""
        if after - first <= MAX_SHOWN:
            return ", ".join(self._at(k) for k in range(first, after))
        return f"{self._at(first)} to {self._at(after - 1)}"

    def _note(self, rule: str, start: int, end: int, quantity: Decimal, text: str) -> None:
        self.incidents.append(Incident(rule, self._good[start].t_ms, self._good[end].t_ms, quantity, text))
