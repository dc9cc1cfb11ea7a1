"""UTC days of a point: what is kept of each, and each reading counted once over the whole point. Pure.

A reading is (boot, mono_ms) of its point, and its earliest place counts (`hakari.wire.rows.once`, I10). Repetitions
lie in one slot, so a day by itself tells nearly everything. Only an edge that gives one instant of its clock to two
slots can put a reading on two days; such days show by sharing a stretch of a boot's monotonic clock, and are counted
together.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import accumulate, compress, groupby, islice, repeat
from operator import gt, lt
from typing import NamedTuple, overload

from hakari.quality import Quality
from hakari.registers.reading import FLOATS, SIGNED, WIDTH_BITS, exact_value
from hakari.store.view import ViewDay
from hakari.wire.rows import Row, once

DAY_MS = 86_400_000
TIME_LIMIT_MS = 1 << 63
ALL_MS = (-TIME_LIMIT_MS, TIME_LIMIT_MS - 1)

# A pattern of one of these types grows with its value; floats and signed ones are compared by their exact value.
_ORDERED = frozenset(WIDTH_BITS) - SIGNED - FLOATS

# Compared once a row: a plain integer is many times faster than a member of an enumeration.
_GOOD = int(Quality.GOOD)

Read = Callable[[int, int], Iterable[Row]]


class Course(Sequence[int]):
    """Integers told by the first and the steps between them; they are made only when they are asked for one by one."""

    __slots__ = ("_all", "first", "steps")

    def __init__(self, first: int, steps: array[int]) -> None:
        self.first = first
        self.steps = steps
        self._all: list[int] | None = None

    def __len__(self) -> int:
        return len(self.steps) + 1

    def __iter__(self) -> Iterator[int]:
        return iter(self._made())

    @overload
    def __getitem__(self, k: int) -> int: ...
    @overload
    def __getitem__(self, k: slice) -> Sequence[int]: ...
    def __getitem__(self, k: int | slice) -> int | Sequence[int]:
        if self._all is None and k in (0, -1):
            return self.first if k == 0 else self.first + sum(self.steps)
        return self._made()[k]

    def count(self, value: object) -> int:
        """How many of them are `value`."""
        return self._made().count(value)  # type: ignore[arg-type]

    def _made(self) -> list[int]:
        if self._all is None:
            self._all = list(accumulate(self.steps, initial=self.first))
        return self._all


class Columns(NamedTuple):
    """Rows of one point without it, a sequence a field of `Row`, ordered by (t_ms, epoch, leaf, boot, mono_ms)."""

    t_ms: Sequence[int]
    type: Sequence[str]
    raw: Sequence[int]
    exponent: Sequence[int]
    quality: Sequence[int]
    reason: Sequence[str]
    epoch: Sequence[int]
    leaf: Sequence[int]
    boot: Sequence[str]
    mono_ms: Sequence[int]


class _Good(NamedTuple):
    """What is needed of the GOOD rows of a day."""

    t_ms: Sequence[int]
    type: Sequence[str]
    raw: Sequence[int]
    exponent: Sequence[int]


class Span(NamedTuple):
    """The stretch of a boot's monotonic clock that the rows of a day lie in, both ends included."""

    boot: str
    first_ms: int
    last_ms: int


class Summary(NamedTuple):
    """One UTC day by itself: its readings, each once within the day, and the clocks that they may be found by."""

    day: ViewDay
    spans: tuple[Span, ...]


def whole_days(start_ms: int, end_ms: int) -> tuple[int, int]:
    """The first and the end of the UTC days that lie wholly in [start_ms, end_ms)."""
    return -(-start_ms // DAY_MS) * DAY_MS, end_ms // DAY_MS * DAY_MS


def day_of(t_ms: int) -> int:
    """Where the UTC day of an instant starts."""
    return t_ms // DAY_MS * DAY_MS


def summarise(point: str, rows: Iterable[Row]) -> Iterator[Summary]:
    """Each UTC day of `rows`, which come by (t_ms, epoch, leaf): one day's rows are held at a time."""
    for start_ms, of_day in groupby(rows, key=lambda row: row.t_ms // DAY_MS):
        yield summarise_day(point, start_ms * DAY_MS, columns_of(sorted(of_day, key=order)))


def once_over(own: Sequence[Summary], others: Iterable[Summary], read: Read) -> list[ViewDay]:
    """The days `own`, each reading once over them and `others`; rows are read only of days that share a clock.

    A day whose readings all count on other days has none and is left out.
    """
    wanted = {summary.day.start_ms for summary in own}
    shared = _shared([*own, *others], wanted)
    if not shared:
        return [summary.day for summary in own]
    places: dict[tuple[str, int], tuple[int, int, int]] = {}
    for day_ms in sorted(shared):
        for row in read(day_ms, day_ms + DAY_MS):
            place, identity = (row.epoch, row.leaf, row.t_ms), (row.boot, row.mono_ms)
            places[identity] = min(place, places.get(identity, place))
    return [day for summary in own if (day := _counted(summary.day, shared, places, read)).rows]


def summarise_day(point: str, start_ms: int, columns: Columns) -> Summary:
    """The UTC day that starts at `start_ms`, from all its rows; its work is done a column at a time."""
    spans, apart = _clocks(columns)
    if not apart:
        columns = columns_of(once(rows_of(point, columns)))
    count = len(columns.t_ms)
    good = _Good(columns.t_ms, columns.type, columns.raw, columns.exponent)
    ends = (0, -1)
    if columns.quality.count(_GOOD) != count:
        kept = [quality == _GOOD for quality in columns.quality]
        if not any(kept):
            return Summary(ViewDay(point, start_ms, count, 0, None, None, 0), spans)
        t_ms, type_, raw, exponent = good
        good = _Good(
            list(compress(t_ms, kept)), list(compress(type_, kept)), list(compress(raw, kept)),
            list(compress(exponent, kept)),
        )  # fmt: skip
        ends = (kept.index(True), -1 - kept[::-1].index(True))
    first, last = (Row._make((point, *(column[k] for column in columns))) for k in ends)
    slots = 1 + _rises(good.t_ms)
    return Summary(ViewDay(point, start_ms, count, slots, first, last, _falls(good)), spans)


def columns_of(rows: Sequence[Row]) -> Columns:
    """The columns of rows of one point, in their order."""
    return Columns(*list(zip(*rows, strict=True))[1:] or [()] * len(Columns._fields))


def rows_of(point: str, columns: Columns) -> Iterator[Row]:
    """The rows of `point` that `columns` hold."""
    return map(Row._make, zip(repeat(point), *columns))


def value_of(type_: str, raw: int, exponent: int) -> Decimal | None:
    """The exact value of a reading, None for a type or pattern that has none."""
    try:
        return exact_value(type_, raw, exponent) if type_ in WIDTH_BITS else None
    except ArithmeticError:
        return None


def order(row: Row) -> tuple[int, int, int, str, int]:
    """The order of `ReadingsView.read` within a point."""
    return row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms


def fell(before: Row, after: Row) -> bool:
    """Whether `after` stands below `before`: in exact values, no fall where one of them has none."""
    return _fell(before[2:5], after[2:5])


def _clocks(columns: Columns) -> tuple[tuple[Span, ...], bool]:
    """The spans of the rows, and whether no reading is there twice."""
    boots, clock = columns.boot, columns.mono_ms
    if boots.count(boots[0]) != len(boots):
        by_boot: dict[str, list[int]] = {}
        for boot, mono_ms in zip(boots, clock, strict=True):
            by_boot.setdefault(boot, []).append(mono_ms)
        spans = tuple(Span(boot, min(found), max(found)) for boot, found in sorted(by_boot.items()))
        return spans, all(len(set(found)) == len(found) for found in by_boot.values())
    if 1 + _rises(clock) == len(clock):
        return (Span(boots[0], clock[0], clock[-1]),), True
    return (Span(boots[0], min(clock), max(clock)),), len(set(clock)) == len(clock)


def _rises(values: Sequence[int]) -> int:
    """How often one of them is greater than the one before it."""
    if isinstance(values, range):
        return len(values) - 1 if values.step > 0 else 0
    if isinstance(values, Course) and min(values.steps, default=1) > 0:
        return len(values.steps)
    return sum(map(lt, values, islice(values, 1, None)))


def _falls(good: _Good) -> int:
    """How often a reading stands below the one before it."""
    count, type_, exponent = len(good.raw), good.type[0], good.exponent[0]
    if type_ in _ORDERED and good.type.count(type_) == count and good.exponent.count(exponent) == count:
        if isinstance(good.raw, Course):
            steps = good.raw.steps
            return 0 if min(steps, default=0) >= 0 else sum(step < 0 for step in steps)
        return sum(map(gt, good.raw, islice(good.raw, 1, None)))
    each = list(zip(good.type, good.raw, good.exponent, strict=True))
    return sum(map(_fell, each, each[1:]))


def _fell(before: tuple[str, int, int], after: tuple[str, int, int]) -> bool:
    if before == after:
        return False
    if before[0] == after[0] and before[2] == after[2] and after[0] in _ORDERED:
        return after[1] < before[1]
    was, now = value_of(*before), value_of(*after)
    return was is not None and now is not None and now < was


def _shared(summaries: Sequence[Summary], wanted: set[int]) -> set[int]:
    """Days that have a stretch of a boot's clock in common with another day, as far as those of `wanted` need them."""
    by_boot: dict[str, list[tuple[int, int, int]]] = {}
    for summary in summaries:
        for boot, first_ms, last_ms in summary.spans:
            by_boot.setdefault(boot, []).append((first_ms, last_ms, summary.day.start_ms))
    shared: set[int] = set()
    for spans in by_boot.values():
        for days in _chains(sorted(spans)):
            if len(days) > 1 and not wanted.isdisjoint(days):
                shared |= days
    return shared


def _chains(spans: Sequence[tuple[int, int, int]]) -> Iterator[set[int]]:
    """The days of each row of overlapping spans."""
    days: set[int] = set()
    until_ms = 0
    for first_ms, last_ms, day_ms in spans:
        if days and first_ms > until_ms:
            yield days
            days = set()
        until_ms = max(until_ms, last_ms) if days else last_ms
        days.add(day_ms)
    yield days


def _counted(
    day: ViewDay, shared: set[int], places: dict[tuple[str, int], tuple[int, int, int]], read: Read
) -> ViewDay:
    """`day` without the readings whose earliest place is on another day."""
    if day.start_ms not in shared:
        return day
    rows = [
        row
        for row in read(day.start_ms, day.start_ms + DAY_MS)
        if (row.epoch, row.leaf, row.t_ms) == places.get((row.boot, row.mono_ms))
    ]
    return next(summarise(day.point, rows)).day if rows else day._replace(rows=0)
