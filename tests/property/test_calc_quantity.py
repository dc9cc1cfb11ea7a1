"""What must hold for every course of a register, every cut of a period and every loss of readings."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from calc.quantity import measure
from calc.registers import HOUR_MS, Metering, course_of
from hakari.ledger.result import Role
from hakari.quality import Quality
from hakari.wire.rows import Row

CAPACITY = Decimal(50)
STEPS = st.lists(st.integers(0, 50), min_size=4, max_size=60)
SEEDS = st.integers(0, 2**32)


def _metering(role: Role = "credited", capacity: Decimal | None = CAPACITY) -> Metering:
    return Metering(role, HOUR_MS, HOUR_MS, capacity, None)


def _row(hour: int, raw: int, quality: Quality = Quality.GOOD) -> Row:
    return Row("s-e/m/p", hour * HOUR_MS, "u32", raw % 2**32, 0, quality, "", 1, hour, "b" * 16, hour * HOUR_MS)


def _rows(steps: list[int], first: int = 1_000_000) -> list[Row]:
    raw, rows = first, []
    for hour, step in enumerate([0, *steps]):
        raw += step
        rows.append(_row(hour, raw))
    return rows


def _quantity(rows: list[Row], start: int, end: int, metering: Metering | None = None) -> Decimal | None:
    metering = metering or _metering()
    return measure(course_of(rows, metering), metering, start * HOUR_MS, end * HOUR_MS).quantity


@settings(max_examples=60, deadline=None)
@given(STEPS, SEEDS)
def test_a_quantity_is_the_sum_over_any_cut_of_its_period(steps: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    # Sometimes the register wraps on its way, sometimes a step exceeds the capacity, sometimes a reading is missing.
    rows = _rows(steps, rnd.choice([1_000_000, 2**32 - 40]))
    rows = [row for k, row in enumerate(rows) if k in (0, len(rows) - 1) or rnd.random() > 0.15]
    kept = [row.t_ms // HOUR_MS for row in rows]
    cuts = sorted({kept[0], kept[-1], *rnd.sample(kept, min(3, len(kept)))})
    parts = [_quantity(rows, a, b) for a, b in pairwise(cuts)]
    assert None not in parts
    assert sum(part for part in parts if part is not None) == _quantity(rows, kept[0], kept[-1])


@settings(max_examples=60, deadline=None)
@given(STEPS, SEEDS)
def test_order_and_repetition_of_rows_change_nothing(steps: list[int], seed: int) -> None:
    rows = _rows(steps)
    shuffled = rows + random.Random(seed).choices(rows, k=5)
    random.Random(seed).shuffle(shuffled)
    assert course_of(shuffled, _metering()) == course_of(rows, _metering())


@settings(max_examples=60, deadline=None)
@given(STEPS, SEEDS, st.sampled_from(["credited", "debited", "both"]), st.booleans())
def test_a_phantom_adds_nothing(steps: list[int], seed: int, role: Role, high: bool) -> None:
    rnd = random.Random(seed)
    rows = _rows([1 + step for step in steps])
    at = rnd.randrange(1, len(rows) - 1)
    wrong = rows[at].raw + rnd.randrange(10_000, 10**9) if high else rnd.randrange(rows[0].raw - 1000)
    phantom = [*rows[:at], rows[at]._replace(raw=wrong), *rows[at + 1 :]]
    # A debited register near zero may be a true reset; elsewhere the phantom is one for every role.
    metering = _metering(role, CAPACITY + 1)
    assert _quantity(phantom, 0, len(rows) - 1, metering) == Decimal(rows[-1].raw - rows[0].raw)


@settings(max_examples=80, deadline=None)
@given(STEPS, SEEDS)
def test_a_gap_never_raises_what_is_credited_nor_lowers_what_is_debited(steps: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    rows = _rows(steps)
    start, end = 0, len(steps) // 2
    first, last = sorted(rnd.sample(range(len(rows)), 2))
    lossy = rows[:first] + rows[last:]
    whole = _quantity(rows, start, end), _quantity(rows, end, len(steps))
    credited = _quantity(lossy, start, end), _quantity(lossy, end, len(steps))
    # A boundary register just before midnight moves energy between neighbours, which never adds any.
    assert sum(q or 0 for q in credited) <= sum(q or 0 for q in whole)
    halves = ((start, end), (end, len(steps)))
    debited = [_quantity(lossy, *half, _metering("debited")) for half in halves]
    if None not in debited:
        assert sum(q or 0 for q in debited) >= sum(q or 0 for q in whole)


@settings(max_examples=60, deadline=None)
@given(STEPS, SEEDS)
def test_an_uncertain_or_bad_reading_is_as_good_as_none(steps: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    rows = _rows(steps)
    marked = {rnd.randrange(len(rows)) for _ in range(4)}
    doubted = [row._replace(quality=rnd.choice([1, 2])) if k in marked else row for k, row in enumerate(rows)]
    missing = [row for k, row in enumerate(rows) if k not in marked]
    assert course_of(doubted, _metering()) == course_of(missing, _metering())


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_wrapped_register_gives_what_an_endless_one_gives(steps: list[int]) -> None:
    endless = _quantity(_rows(steps), 0, len(steps))
    for first in (2**32 - 1, 2**32 - 30, 2**32 - 200):
        assert _quantity(_rows(steps, first), 0, len(steps)) == endless
