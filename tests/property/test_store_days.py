"""Days of a point: a reading counts once over the whole point, whatever part of it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakari.registers.reading import exact_value
from hakari.store.days import ALL_MS, DAY_MS, Read, Summary, columns_of, fell, once_over, rows_of, summarise, whole_days
from hakari.store.view import ViewDay
from hakari.wire.rows import Row, once

POINT = "sola-e1/meter/energy"
FOREVER = (-(2**62), 2**62)

ROWS = st.builds(
    Row,
    point=st.just(POINT),
    t_ms=st.integers(-6, 20).map(lambda slot: slot * (DAY_MS // 4)),
    type=st.sampled_from(["u32", "u32", "u32", "i16", "f32", "unknown"]),
    raw=st.one_of(st.integers(0, 4), st.sampled_from([0xFFFF, 0x3F80_0000, 0x7F80_0000, 2**64 - 1])),
    exponent=st.sampled_from([0, 0, 0, -1, 10**7]),
    quality=st.integers(0, 2),
    reason=st.just(""),
    epoch=st.integers(1, 3),
    leaf=st.integers(0, 4),
    boot=st.sampled_from(["b1", "b2"]),
    mono_ms=st.integers(0, 30),
)
POINTS_ROWS = st.lists(
    ROWS, max_size=25, unique_by=lambda row: (row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms)
).map(lambda rows: sorted(rows, key=lambda row: (row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms)))


def reader(rows: list[Row]) -> Callable[[int, int], Iterator[Row]]:
    return lambda start_ms, end_ms: (row for row in rows if start_ms <= row.t_ms < end_ms)


def view_days(
    point: str, start_ms: int, end_ms: int, read: Read, others: Iterable[Summary] | None = None
) -> list[ViewDay]:
    """`ReadingsView.days` from rows alone: `others` are the days outside the range."""
    first_ms, last_ms = whole_days(start_ms, end_ms)
    own = list(summarise(point, read(first_ms, last_ms))) if first_ms < last_ms else []
    if own and others is None:
        others = chain(summarise(point, read(ALL_MS[0], first_ms)), summarise(point, read(last_ms, ALL_MS[1])))
    return once_over(own, others or (), read)


def by_definition(rows: list[Row], start_ms: int, end_ms: int) -> list[ViewDay]:
    """Days as the port says them, straight from `once` over everything."""
    counted = once(rows)
    days = []
    for start in sorted({row.t_ms // DAY_MS * DAY_MS for row in counted}):
        if start < start_ms or start + DAY_MS > end_ms:
            continue
        of_day = [row for row in counted if start <= row.t_ms < start + DAY_MS]
        good = [row for row in of_day if row.quality == 0]
        first, last = (good[0], good[-1]) if good else (None, None)
        falls = sum(fell(a, b) for a, b in pairwise(good))
        days.append(ViewDay(POINT, start, len(of_day), len({row.t_ms for row in good}), first, last, falls))
    return days


@given(POINTS_ROWS, st.integers(-3, 6), st.integers(-3, 6), st.integers(-1, 1))
def test_days_are_those_of_the_definition(rows: list[Row], first: int, end: int, shift_ms: int) -> None:
    start_ms, end_ms = first * DAY_MS + shift_ms, end * DAY_MS + shift_ms
    assert view_days(POINT, *FOREVER, reader(rows)) == by_definition(rows, *FOREVER)
    assert view_days(POINT, start_ms, end_ms, reader(rows)) == by_definition(rows, start_ms, end_ms)


@given(POINTS_ROWS)
def test_columns_hold_the_rows(rows: list[Row]) -> None:
    assert list(rows_of(POINT, columns_of(rows))) == rows


def at(t_ms: int, raw: int, mono_ms: int, epoch: int = 1, leaf: int = 0, quality: int = 0) -> Row:
    return Row(POINT, t_ms, "u32", raw, 0, quality, "", epoch, leaf, "boot", mono_ms)


def test_a_day_has_its_counts_ends_and_falls() -> None:
    rows = [at(0, 5, 0), at(60_000, 4, 1), at(60_000, 9, 2, quality=1), at(60_000, 7, 3), at(DAY_MS - 1, 6, 4)]
    (summary,) = summarise(POINT, rows)
    assert summary.day == ViewDay(POINT, 0, 5, 3, rows[0], rows[4], 2)
    assert summary.spans == (("boot", 0, 4),)


def test_a_reading_on_two_days_counts_at_its_earliest_place() -> None:
    rows = [at(0, 1, 10, leaf=7), at(1, 1, 11, leaf=7), at(DAY_MS, 1, 10, leaf=3), at(2 * DAY_MS, 2, 99)]
    days = view_days(POINT, *FOREVER, reader(rows))
    assert [(day.start_ms, day.rows, day.first) for day in days] == [
        (0, 1, rows[1]), (DAY_MS, 1, rows[2]), (2 * DAY_MS, 1, rows[3])
    ]  # fmt: skip
    # The other place lies outside the range, and decides all the same.
    assert view_days(POINT, 0, DAY_MS, reader(rows)) == days[:1]
    assert view_days(POINT, 0, DAY_MS, reader(rows[:1] + rows[2:3])) == []


def test_rows_are_read_again_only_of_days_that_share_a_clock() -> None:
    rows = [at(day * DAY_MS, day, day * 1000) for day in range(5)]
    rows.append(at(4 * DAY_MS + 1, 3, 3000, leaf=9))
    asked: list[tuple[int, int]] = []

    def read(start_ms: int, end_ms: int) -> Iterator[Row]:
        asked.append((start_ms, end_ms))
        return reader(rows)(start_ms, end_ms)

    assert sum(day.rows for day in view_days(POINT, *FOREVER, read, ())) == 5
    again = asked[1:]
    assert {start_ms // DAY_MS for start_ms, _ in again} == {3, 4}


@pytest.mark.parametrize(
    ("before", "after", "falls"),
    [
        (("u32", 5, 0), ("u32", 4, 0), True),
        (("u32", 5, 0), ("u32", 5, 0), False),
        (("u32", 10, 0), ("u32", 99, -1), True),
        (("u32", 10, 0), ("u32", 100, -1), False),
        (("i16", 0xFFFF, 0), ("i16", 0, 0), False),
        (("i16", 0, 0), ("i16", 0xFFFF, 0), True),
        (("f32", 0x3F80_0000, 0), ("f32", 0xBF80_0000, 0), True),
        (("f32", 0x7F80_0000, 0), ("f32", 0, 0), False),
        (("unknown", 5, 0), ("unknown", 4, 0), False),
        (("u32", 5, 10**7), ("u32", 4, 0), False),
    ],
)
def test_a_fall_is_one_in_exact_values(before: tuple[str, int, int], after: tuple[str, int, int], falls: bool) -> None:
    rows = [Row(POINT, k, *three, 0, "", 1, 0, "b", k) for k, three in enumerate((before, after))]
    assert fell(*rows) is falls
    (summary,) = summarise(POINT, rows)
    assert summary.day.falls == falls


def test_order_of_values_is_that_of_exact_values() -> None:
    patterns = [("i32", raw) for raw in (0, 1, 2**31 - 1, 2**31, 2**32 - 1)]
    for a in patterns:
        for b in patterns:
            rows = [Row(POINT, 0, type_, raw, -3, 0, "", 1, 0, "b", 0) for type_, raw in (a, b)]
            assert fell(*rows) == (exact_value(*b, -3) < exact_value(*a, -3))


def test_whole_days_of_a_range() -> None:
    assert whole_days(0, DAY_MS) == (0, DAY_MS)
    assert whole_days(1, 2 * DAY_MS + 1) == (DAY_MS, 2 * DAY_MS)
    assert whole_days(-1, DAY_MS - 1) == (0, 0)
    assert whole_days(-DAY_MS - 1, -1) == (-DAY_MS, -DAY_MS)
