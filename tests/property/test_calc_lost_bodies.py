"""Forgone leaf bodies: whatever ranges are lost, no more is credited than with them, and no less debited."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calc.energised import measure_energised, voltage_of
from calc.lost import RULE, without_lost
from calc.quantity import Measured, measure
from calc.registers import HOUR_MS, Course, Metering, course_of
from hakari.ledger.result import Role
from hakari.quality import Quality
from hakari.wire.rows import Row
from tests.property import test_calc_true_register as true_register

CAPACITY = Decimal(50)
ABOVE = Decimal(100)
STEPS = st.lists(st.integers(0, 50), min_size=6, max_size=80)
SEEDS = st.integers(0, 2**32)
ROLES: tuple[Role, ...] = ("credited", "both", "debited")
MAX_RUNS = 3
METERS = 600


class Lossy(NamedTuple):
    """All readings, those of leaves that have their bodies, and where the runs of the others begin."""

    rows: list[Row]
    kept: list[Row]
    lost: list[tuple[int, int]]


def _metering(role: Role) -> Metering:
    return Metering(role, HOUR_MS, 2 * HOUR_MS, CAPACITY, None)


def _row(hour: int, raw: int, place: tuple[int, int], quality: Quality = Quality.GOOD) -> Row:
    return Row("s-e/m/p", hour * HOUR_MS, "u32", raw % 2**32, 0, quality, "", *place, "b" * 16, hour * HOUR_MS)


def _lossy(raws: Sequence[int], rnd: random.Random) -> Lossy:
    """Readings in leaves of one to four, in two epochs, of which up to three runs of leaves are lost."""
    places: list[tuple[int, int]] = []
    second = rnd.randrange(len(raws))
    epoch, leaf = 1, 0
    while len(places) < len(raws):
        if epoch == 1 and len(places) >= second:
            epoch, leaf = 2, 0
        places += [(epoch, leaf)] * rnd.randint(1, 4)
        leaf += 1
    rows = [_row(hour, raw, places[hour], rnd.choice([0, 0, 0, 0, 0, 0, 1])) for hour, raw in enumerate(raws)]  # type: ignore[arg-type]
    leaves = sorted({(row.epoch, row.leaf) for row in rows})
    gone: set[tuple[int, int]] = set()
    for _ in range(rnd.randint(1, MAX_RUNS)):
        start = rnd.randrange(len(leaves))
        gone |= set(leaves[start : start + rnd.randint(1, 6)])
    lost = [place for place in sorted(gone) if (place[0], place[1] - 1) not in gone]
    return Lossy(rows, [row for row in rows if (row.epoch, row.leaf) not in gone], lost)


def _course(rows: list[Row], role: Role, lost: list[tuple[int, int]]) -> Course:
    return without_lost(course_of(rows, _metering(role)), _metering(role), lost)


def _measured(course: Course, role: Role, start: int, end: int) -> Measured:
    return measure(course, _metering(role), start * HOUR_MS, end * HOUR_MS)


def _raws(steps: list[int], rnd: random.Random) -> list[int]:
    raw = rnd.choice([1_000_000, 2**32 - 60, 0])
    raws = [raw]
    for step in steps:
        raw += step
        raws.append(raw)
    return raws


@settings(max_examples=300, deadline=None)
@given(STEPS, SEEDS)
def test_lost_bodies_credit_no_more_and_debit_no_less_in_any_period(steps: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    found = _lossy(_raws(steps, rnd), rnd)
    for role in ROLES:
        whole, lossy = _course(found.rows, role, []), _course(found.kept, role, found.lost)
        for _ in range(6):
            start, end = sorted(rnd.sample(range(len(found.rows)), 2))
            before, after = (_measured(course, role, start, end).quantity for course in (whole, lossy))
            if before is None or after is None:
                continue
            assert after >= before if role == "debited" else after <= before


@settings(max_examples=200, deadline=None)
@given(STEPS, SEEDS)
def test_neighbouring_periods_credit_no_more_than_their_whole(steps: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    found = _lossy(_raws(steps, rnd), rnd)
    start, cut, end = sorted(rnd.sample(range(len(found.rows)), 3))
    for role in ROLES:
        course = _course(found.kept, role, found.lost)
        parts = [_measured(course, role, *part).quantity for part in ((start, cut), (cut, end), (start, end))]
        if None not in parts:
            one, two, both = (part or Decimal(0) for part in parts)
            assert one + two >= both if role == "debited" else one + two <= both


@settings(max_examples=200, deadline=None)
@given(STEPS, SEEDS)
def test_what_counts_and_the_lines_of_measurement_gaps_make_up_the_register(steps: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    found = _lossy(_raws(steps, rnd), rnd)
    whole = course_of(found.kept, _metering("credited"))
    if len(whole.samples) < 2:
        return
    first, last = whole.times[0] // HOUR_MS, whole.times[-1] // HOUR_MS
    if first == last:
        return
    measured = _measured(_course(found.kept, "credited", found.lost), "credited", first, last)
    told = sum((one.quantity for one in measured.incidents if one.rule == RULE), Decimal(0))
    assert measured.quantity is not None
    assert measured.quantity + told == whole.samples[-1].running - whole.samples[0].running


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([0, 100, 101, 230]), min_size=4, max_size=60), SEEDS)
def test_lost_bodies_never_raise_credited_nor_lower_debited_time_under_voltage(volts: list[int], seed: int) -> None:
    rnd = random.Random(seed)
    found = _lossy(volts, rnd)
    start, end = sorted(rnd.sample(range(len(volts) * 4), 2))
    for role in ROLES:
        metering = _metering(role)
        before, after = (
            measure_energised(voltage_of(rows, metering, ABOVE, lost), metering, (start * HOUR_MS // 4, end * HOUR_MS))
            for rows, lost in ((found.rows, []), (found.kept, found.lost))
        )
        assert before.quantity is not None
        assert after.quantity is not None
        assert after.quantity >= before.quantity if role == "debited" else after.quantity <= before.quantity


@pytest.mark.parametrize("role", ROLES)
def test_a_gap_over_a_whole_period_credits_nothing_and_debits_all(role: Role) -> None:
    rows = [_row(hour, 1000 + 10 * hour, (1, hour)) for hour in range(100) if not 10 < hour < 90]
    course = _course(rows, role, [(1, 11)])
    measured = _measured(course, role, 24, 72)
    assert (measured.quantity, measured.refusals) == (Decimal(800 if role == "debited" else 0), [])
    assert [(one.rule, one.quantity) for one in measured.incidents] == [(RULE, Decimal(800))]
    halves = [_measured(course, role, *part).quantity for part in ((0, 48), (48, 95))]
    assert halves == ([900, 850] if role == "debited" else [100, 50])
    assert _measured(_course(rows, role, []), role, 24, 72).quantity is None, "without a decision it is a silence"


def test_a_debited_period_waits_for_a_reading_after_its_lost_end() -> None:
    rows = [_row(hour, 1000 + 10 * hour, (1, hour)) for hour in range(24)]
    refused = _measured(_course(rows, "debited", [(1, 24)]), "debited", 0, 25)
    assert refused.quantity is None
    assert "forgone" in refused.refusals[0]
    assert [(one.rule, one.quantity) for one in refused.incidents] == [(RULE, Decimal(0))]
    credited = _measured(_course(rows, "credited", [(1, 24)]), "credited", 0, 25)
    assert credited.quantity == 230
    assert _measured(_course(rows, "debited", [(1, 24)]), "debited", 0, 23).quantity == 230, "it ends before the gap"


def test_a_true_register_with_faults_is_never_credited_more_nor_debited_less_over_lost_bodies() -> None:
    """As `test_calc_true_register`; a glitch right beside lost bodies is what no rule tells from a reading."""
    measured_of = 0
    for seed in range(METERS):
        rnd = random.Random(seed)
        meter = true_register._meter(rnd)
        gone = {at for _ in range(2) for at in _some(rnd, len(meter.energy))}
        rows = [row for row in true_register._rows(meter) if row.leaf not in gone]
        meter = meter._replace(clean=[k for k in meter.clean if k not in gone])
        lost = [(1, k) for k in sorted(gone) if k - 1 not in gone]
        course = without_lost(course_of(rows, meter.metering), meter.metering, lost)
        for start, end in true_register._cuts(meter, rnd):
            quarter_ms = true_register.QUARTER_MS
            measured = measure(course, meter.metering, start * quarter_ms, end * quarter_ms)
            if measured.start is None or measured.end is None or measured.quantity is None:
                continue
            measured_of += any(one.rule == RULE for one in measured.incidents)
            ends = {measured.start.row.leaf, measured.end.row.leaf}
            if meter.metering.role != "debited":
                assert true_register._wrong(meter, measured, start, end) <= 0, (seed, start, end)
            elif ends <= set(meter.clean):
                ran = meter.energy[end] - meter.energy[start]
                assert measured.quantity >= ran - true_register._allowed(meter), (seed, start, end)
    assert measured_of > METERS / 4, "in most of them there was no measurement gap"


def _some(rnd: random.Random, length: int) -> range:
    start = rnd.randrange(length)
    return range(start, start + rnd.randint(1, 20))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("volts", "counted_h"), [(230, 4), (0, 0)])
def test_energised_time_over_lost_bodies_is_unknown_however_near_its_readings_are(
    role: Role, volts: int, counted_h: int
) -> None:
    near = [_row(hour, volts, (1, 2 * hour)) for hour in range(6)]
    far = [_row(9, volts, (1, 18))]
    metering = _metering(role)
    course = voltage_of(near + far, metering, ABOVE, [(1, 3), (1, 11)])
    measured = measure_energised(course, metering, (0, 9 * HOUR_MS))
    gaps = [(one.start_ms, one.end_ms, int(one.quantity)) for one in measured.incidents if one.rule == RULE]
    assert gaps == [(HOUR_MS, 2 * HOUR_MS, HOUR_MS), (5 * HOUR_MS, 9 * HOUR_MS, 4 * HOUR_MS)]
    assert measured.quantity == (counted_h + (5 if role == "debited" else 0)) * HOUR_MS
