"""Hours under voltage: additive at any instant, and no outage, gap or doubt ever raises what is credited."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from calc.energised import measure_energised, voltage_of
from calc.methodologies import chiller, transformer
from calc.quantity import Measured
from calc.registers import Incident, Metering
from hakari.ledger.result import Role
from hakari.quality import Quality
from hakari.wire.rows import Row

INTERVAL_MS = 900_000
ABOVE = Decimal(100)
VOLTS = st.lists(st.sampled_from([0, 99, 100, 101, 230, None]), min_size=1, max_size=40)
INSTANTS = st.integers(-3 * INTERVAL_MS, 44 * INTERVAL_MS)
SEEDS = st.integers(0, 2**32)
ROLES: tuple[Role, ...] = ("credited", "both", "debited")


def _metering(role: Role, commissioned_ms: int | None = None) -> Metering:
    return Metering(role, INTERVAL_MS, 0, None, commissioned_ms)


def _rows(volts: list[int | None], *, jitter: random.Random | None = None) -> list[Row]:
    """One reading a slot; None is one that is not GOOD. With `jitter` the slots lie unevenly."""
    at = [k * INTERVAL_MS + (jitter.randrange(INTERVAL_MS) if jitter else 0) for k in range(len(volts))]
    quality = [Quality.BAD if volt is None else Quality.GOOD for volt in volts]
    return [Row("s-e/m/p", at[k], "u16", volt or 0, 0, quality[k], "", 1, k, "b", k) for k, volt in enumerate(volts)]


def _measured(rows: list[Row], start: int, end: int, metering: Metering) -> Measured:
    return measure_energised(voltage_of(rows, metering, ABOVE), metering, (start, end))


def _ms(rows: list[Row], start: int, end: int, role: Role = "both") -> Decimal:
    quantity = _measured(rows, start, end, _metering(role)).quantity
    assert quantity is not None
    return quantity


@settings(max_examples=200, deadline=None)
@given(VOLTS, st.lists(INSTANTS, min_size=2, max_size=8), SEEDS)
def test_periods_split_at_any_instants_add_up_exactly(volts: list[int | None], instants: list[int], seed: int) -> None:
    cuts = sorted(instants)
    for rows in (_rows(volts), _rows(volts, jitter=random.Random(seed))):
        for role in ROLES:
            parts = [_ms(rows, one, two, role) for one, two in pairwise(cuts)]
            assert sum(parts) == _ms(rows, cuts[0], cuts[-1], role)


@settings(max_examples=200, deadline=None)
@given(VOLTS, INSTANTS, INSTANTS)
def test_what_counts_and_what_its_lines_say_is_the_whole_time(volts: list[int | None], one: int, two: int) -> None:
    start, end = sorted((one, two))
    for role in ROLES:
        measured = _measured(_rows(volts), start, end, _metering(role))
        told = {
            rule: sum(x.quantity for x in measured.incidents if x.rule == rule) for rule in ("outage", "energised-gap")
        }
        uncounted = told["outage"] + (0 if role == "debited" else told["energised-gap"])
        assert (measured.quantity or 0) + uncounted == end - start
        assert measured.refusals == []


@settings(max_examples=200, deadline=None)
@given(VOLTS, SEEDS)
def test_a_lost_reading_or_a_voltage_gone_never_raises_credited_nor_lowers_debited_time(
    volts: list[int | None], seed: int
) -> None:
    rnd = random.Random(seed)
    end = len(volts) * INTERVAL_MS
    before = {role: _ms(_rows(volts), 0, end, role) for role in ROLES}
    lost = [row for row in _rows(volts) if rnd.random() < 0.8]
    doubted = [row._replace(quality=Quality.UNCERTAIN) if rnd.random() < 0.2 else row for row in _rows(volts)]
    for rows in (lost, doubted):
        assert _ms(rows, 0, end, "both") <= before["both"]
        assert _ms(rows, 0, end, "debited") >= before["debited"]
    down = [row._replace(raw=0) if rnd.random() < 0.2 else row for row in _rows(volts)]
    assert _ms(down, 0, end, "both") <= before["both"]
    assert before["both"] == before["credited"] <= before["debited"]


@settings(max_examples=100, deadline=None)
@given(VOLTS, SEEDS)
def test_order_repetition_and_a_second_reading_in_a_slot_change_nothing_for_the_better(
    volts: list[int | None], seed: int
) -> None:
    rnd = random.Random(seed)
    rows = _rows(volts)
    shuffled = [*rows, *rnd.choices(rows, k=3)]
    rnd.shuffle(shuffled)
    end = len(volts) * INTERVAL_MS
    again = [row._replace(raw=rnd.choice([0, 230]), quality=0, boot="c", leaf=99) for row in rnd.sample(rows, 1)]
    for role in ROLES:
        assert _ms(shuffled, 0, end, role) == _ms(rows, 0, end, role)
    good = [row for row in rows if row.quality == Quality.GOOD]
    if good and again[0].t_ms in {row.t_ms for row in good}:
        assert _ms(rows + again, 0, end, "both") <= _ms(rows, 0, end, "both")
        assert _ms(rows + again, 0, end, "debited") >= _ms(rows, 0, end, "debited")


def test_only_time_between_two_good_readings_above_the_threshold_and_near_each_other_counts() -> None:
    """Slots 0–1 count; 2 is not above; 4 is not GOOD, so that 3 and 5 are two intervals apart; 5–6 count."""
    rows = _rows([101, 101, 100, 230, None, 230, 230])
    assert _ms(rows, 0, 10 * INTERVAL_MS) == 2 * INTERVAL_MS
    assert _ms(rows, INTERVAL_MS // 2, 6 * INTERVAL_MS - 1) == INTERVAL_MS // 2 + INTERVAL_MS - 1
    at_limit = [rows[0], rows[1]._replace(t_ms=INTERVAL_MS * 3 // 2)]
    assert _ms(at_limit, 0, 10 * INTERVAL_MS) == INTERVAL_MS * 3 // 2
    beyond = [rows[0], rows[1]._replace(t_ms=INTERVAL_MS * 3 // 2 + 1)]
    assert _ms(beyond, 0, 10 * INTERVAL_MS) == 0
    commissioned = _measured(rows, 0, 10 * INTERVAL_MS, _metering("both", INTERVAL_MS))
    assert (commissioned.quantity, commissioned.incidents[0].rule) == (Decimal(INTERVAL_MS), "commissioned")
    first, last = _measured(rows, 0, 10 * INTERVAL_MS, _metering("both"))[1:3]
    assert first is not None
    assert last is not None
    assert (first.row.t_ms, last.row.t_ms) == (0, 6 * INTERVAL_MS)


CHILLER = {name: Decimal(value) for name, value in {
    "EF_elec": "0.533", "COP_RE": "5.33", "TD_chilled": "1.5", "TD_cooling": "1.5", "T_cooling_std": "37",
    "T_chilled_std": "7", "T_cooling_out": "36", "T_chilled_out": "7", "COP_PJ": "6.1", "units": "1",
}.items()}  # fmt: skip
TRANSFORMER = {name: Decimal(value) for name, value in {
    "EF_grid": "0.533", "Br": "0.003", "tolerance": "0.1", "NLL_RE": "1400", "NLL_PJ": "450", "units": "1",
}.items()}  # fmt: skip
AMOUNTS = st.decimals(0, 1_000_000, places=7)


@settings(max_examples=200, deadline=None)
@given(AMOUNTS, AMOUNTS, st.integers(1, 10_000), st.integers(0, 10_000))
def test_more_time_energy_or_units_never_lower_the_reductions(
    amount: Decimal, more: Decimal, units: int, further: int
) -> None:
    def reductions(hours: Decimal, count: int) -> Decimal:
        parameters = TRANSFORMER | {"units": Decimal(count)}
        reference, project = transformer.METHODOLOGY.evaluate({"H": hours}, parameters)
        return reference - project

    assert 0 <= reductions(amount, units) <= reductions(amount + more, units)
    assert reductions(amount, units) <= reductions(amount, units + further)
    one, two = (chiller.METHODOLOGY.evaluate({"EC": energy}, CHILLER) for energy in (amount, amount + more))
    assert 0 <= one.reference - one.project <= two.reference - two.project


def test_what_the_course_says_of_its_readings_is_shown_where_it_touches_the_period() -> None:
    course = voltage_of(_rows([230] * 9), _metering("both"), ABOVE)
    still = Incident("frozen", INTERVAL_MS, 4 * INTERVAL_MS, Decimal(0), "the meter stood still")
    course = course._replace(incidents=[still])
    for period, shown in (((0, INTERVAL_MS), []), ((3 * INTERVAL_MS, 8 * INTERVAL_MS), [still])):
        assert measure_energised(course, _metering("both"), period).incidents == shown
