"""Every adapter of the readings view tells the same days, the same last reading and the same totals, packed or not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from hakari.store.days import DAY_MS, fell, order
from hakari.store.view import ReadingsView, ViewDay
from hakari.wire.rows import Row, once
from ingest.view.view_total import period_total

EDGE = "sola-e1"
POINT = f"{EDGE}/meter/energy"
OTHER = f"{EDGE}/meter/power"
FOREVER = (-(2**62), 2**62)
SLOT_MS = 3_600_000

Opener = Callable[[Path], ReadingsView]


def at(t_ms: int, raw: int, leaf: int = 0, mono_ms: int | None = None, quality: int = 0, point: str = POINT) -> Row:
    return Row(point, t_ms, "u32", raw, -1, quality, "", 1, leaf, "boot", t_ms if mono_ms is None else mono_ms)


def put(view: ReadingsView, rows: Iterable[Row]) -> None:
    given = list(rows)
    view.write(EDGE, 1, 1 + max(row.leaf for row in given), given, [])


def hours(count: int, start: int = 0, step: int = 3) -> list[Row]:
    return [at(k * SLOT_MS, k * step, leaf=k) for k in range(start, start + count)]


def by_definition(rows: list[Row], start_ms: int, end_ms: int) -> list[ViewDay]:
    counted, days = once(rows), []
    for start in sorted({row.t_ms // DAY_MS * DAY_MS for row in counted}):
        if start_ms <= start and start + DAY_MS <= end_ms:
            of_day = [row for row in counted if start <= row.t_ms < start + DAY_MS]
            good = [row for row in of_day if row.quality == 0]
            first, last = (good[0], good[-1]) if good else (None, None)
            falls = sum(fell(a, b) for a, b in pairwise(good))
            days.append(ViewDay(rows[0].point, start, len(of_day), len({row.t_ms for row in good}), first, last, falls))
    return days


def test_an_empty_view_has_no_days(view: ReadingsView) -> None:
    assert list(view.days(POINT, *FOREVER)) == []
    assert view.last(POINT) is None
    assert view.close_days(2**62) == 0


def test_days_lie_wholly_in_the_range(view: ReadingsView) -> None:
    rows = hours(24 * 4)
    put(view, rows)
    for start_ms, end_ms in ((0, 4 * DAY_MS), (1, 4 * DAY_MS), (0, 4 * DAY_MS - 1), (DAY_MS, 2 * DAY_MS), (5, 6)):
        assert list(view.days(POINT, start_ms, end_ms)) == by_definition(rows, start_ms, end_ms)
    assert [day.start_ms for day in view.days(POINT, 1, 4 * DAY_MS - 1)] == [DAY_MS, 2 * DAY_MS]


def test_last_is_good_and_of_the_greatest_slot(view: ReadingsView) -> None:
    put(view, [at(5000, 1, leaf=1), at(7000, 2, leaf=2, quality=1), at(6000, 3, leaf=0), at(9000, 4, point=OTHER)])
    assert view.last(POINT) == at(6000, 3, leaf=0)
    put(view, [at(6000, 5, leaf=4), at(6000, 6, leaf=3)])
    assert view.last(POINT) == at(6000, 5, leaf=4)
    put(view, [at(8000, 7, leaf=9, quality=2)])
    assert view.last(POINT) == at(6000, 5, leaf=4)


def test_last_may_be_a_repetition_that_counts_elsewhere(view: ReadingsView) -> None:
    repeated = at(3 * SLOT_MS, 9, leaf=5, mono_ms=SLOT_MS)
    put(view, [*hours(3), repeated])
    for _ in range(2):
        assert view.last(POINT) == repeated
        assert [(day.rows, day.last) for day in view.days(POINT, *FOREVER)] == [(3, hours(3)[-1])]
        view.close_days(DAY_MS)


def test_closing_changes_nothing_that_is_read(opener: Opener, tmp_path: Path) -> None:
    seeded = random.Random(11)
    rows = [
        Row(
            seeded.choice([POINT, OTHER]), k * SLOT_MS // 4, seeded.choice(["u32", "u64", "f32"]),
            seeded.getrandbits(31), seeded.randint(-3, 0), seeded.choice([0, 0, 0, 1, 2]),
            seeded.choice(["", "late acquisition"]), 1, k // 3, f"boot{k // 200}", k,
        )
        for k in range(600)
    ]  # fmt: skip
    view = opener(tmp_path)
    put(view, rows)
    before = answers(view)
    view.close_days(5 * DAY_MS)
    assert answers(view) == before
    assert view.close_days(5 * DAY_MS) == 0
    view.close()
    again = opener(tmp_path)
    assert answers(again) == before
    for point in (POINT, OTHER):
        mine = sorted((row for row in rows if row.point == point), key=order)
        assert list(again.read(point, *FOREVER)) == mine
        assert list(again.days(point, *FOREVER)) == by_definition(mine, *FOREVER)
    put(again, rows)
    assert answers(again) == before
    again.clear()
    assert answers(again) == ([], [], [], [], (0, 0))
    again.close()


def answers(view: ReadingsView) -> tuple[object, ...]:
    points = view.points()
    return (
        points,
        [list(view.read(point, *FOREVER)) for point in points],
        [list(view.days(point, *FOREVER)) for point in points],
        [view.last(point) for point in points],
        view.counts(),
    )


def test_what_comes_late_for_a_closed_day_is_there(view: ReadingsView) -> None:
    rows = hours(48)
    late = rows.pop(5)
    put(view, rows)
    view.close_days(2 * DAY_MS)
    put(view, [late])
    whole = sorted([*rows, late], key=order)
    for _ in range(2):
        assert list(view.read(POINT, *FOREVER)) == whole
        assert list(view.read(POINT, 5 * SLOT_MS, 6 * SLOT_MS)) == [late]
        assert list(view.days(POINT, *FOREVER)) == by_definition(whole, *FOREVER)
        view.close_days(2 * DAY_MS)


def test_a_repetition_on_another_day_counts_at_its_earliest_place(view: ReadingsView) -> None:
    rows = [*hours(72), at(10 * SLOT_MS, 30, leaf=90, mono_ms=30 * SLOT_MS), at(60 * SLOT_MS, 9, mono_ms=25 * SLOT_MS)]
    put(view, rows)
    rows.sort(key=order)
    expected = by_definition(rows, *FOREVER)
    assert [day.rows for day in expected] == [24, 23, 25]
    for _ in range(2):
        assert list(view.days(POINT, *FOREVER)) == expected
        for day in expected:
            assert list(view.days(POINT, day.start_ms, day.start_ms + DAY_MS)) == [day]
        view.close_days(3 * DAY_MS)


@pytest.mark.parametrize("closed", [False, True])
def test_total_of_a_period_at_any_hours(view: ReadingsView, closed: bool) -> None:
    put(view, [row for row in hours(24 * 5) if row.leaf != 30])
    if closed:
        view.close_days(4 * DAY_MS)
    for start, end in ((0, 24), (1, 119), (7, 9), (24, 96), (20, 30), (30, 90), (29, 31)):
        found = period_total(view, POINT, start * SLOT_MS, end * SLOT_MS)
        first, last = (hour - (hour == 30) for hour in (start, end))
        assert (found.quantity, found.refused) == (Decimal(last - first) * 3 / 10, "")
        slots = end - start - (start <= 30 < end)
        assert (found.readings, found.good_slots, found.expected_slots) == (slots, slots, end - start)
