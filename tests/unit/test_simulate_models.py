"""The seeded plants: a pure function of seed and time, plausible, and counting what they deliver."""

from __future__ import annotations

from fractions import Fraction

import pytest

from simulate.boiler import BoilerModel
from simulate.chiller import ChillerModel
from simulate.solar import SLOT_MS, SolarModel
from simulate.source import MAX_SLOTS, Integrator, Source, SourceInvalid
from simulate.transformer import Rating, TransformerModel

START_MS = 1_467_331_200_000  # 2016-07-01T00:00:00Z
DAY_MS = 86_400_000
CAPACITY_W = 1_400_000
RATING = Rating(capacity_va=1e6, primary_v=22_000, secondary_v=400, no_load_w=450, load_w=9000)
MONTH = range(START_MS, START_MS + 31 * DAY_MS, 3 * SLOT_MS)


def solar(seed: int = 1) -> SolarModel:
    return SolarModel(seed, capacity_w=6000, latitude_deg=35.7, longitude_deg=139.7, start_ms=START_MS)


def boiler(seed: int = 1) -> BoilerModel:
    return BoilerModel(seed, capacity_w=2_000_000, mean_outdoor_c=7, start_ms=START_MS)


def chiller(seed: int = 1) -> ChillerModel:
    return ChillerModel(seed, capacity_w=CAPACITY_W, mean_outdoor_c=22, longitude_deg=-105, start_ms=START_MS)


def transformer(seed: int = 1, outages: int = 2) -> TransformerModel:
    return TransformerModel(seed, rating=RATING, outages=outages, longitude_deg=-105, start_ms=START_MS)


@pytest.mark.parametrize("make", [solar, boiler, chiller, transformer])
def test_a_restart_and_another_order_give_the_same_values(make: type[Source]) -> None:
    times = [START_MS + k * 1_234_567 for k in range(200)]
    one, other = make(), make()
    forward = [[one.value(q, t) for q in sorted(one.quantities)] for t in times]
    backward = [[other.value(q, t) for q in sorted(other.quantities)] for t in reversed(times)]
    assert forward == backward[::-1]


def test_another_seed_gives_another_plant() -> None:
    end = START_MS + 5 * DAY_MS
    assert solar(1).value("export_wh", end) != solar(2).value("export_wh", end)
    assert boiler(1).value("heat_wh", end) != boiler(2).value("heat_wh", end)
    assert chiller(1).value("import_wh", end) != chiller(2).value("import_wh", end)
    assert transformer(1).value("primary_wh", end) != transformer(2).value("primary_wh", end)


def test_a_july_of_a_six_kilowatt_system_is_plausible() -> None:
    model = solar()
    month_kwh = model.value("export_wh", START_MS + 31 * DAY_MS) / 1000
    assert 400 < month_kwh < 1100
    assert model.value("power_w", START_MS + 15 * 3_600_000) < 0  # midnight in Japan
    assert max(model.value("power_w", START_MS + k * SLOT_MS) for k in range(0, 288 * 31, 3)) <= 6000


def test_a_winter_takes_more_heat_than_a_summer() -> None:
    model = boiler()
    july = model.value("heat_wh", START_MS + 31 * DAY_MS)
    january = model.value("heat_wh", START_MS + 215 * DAY_MS) - model.value("heat_wh", START_MS + 184 * DAY_MS)
    assert january > 3 * july > 0
    assert Fraction(1, 200) < model.value("aux_wh", START_MS + DAY_MS) / model.value("heat_wh", START_MS + DAY_MS) < 1


def test_the_counter_is_the_integral_of_the_power() -> None:
    model = solar()
    counted = sum(max(model.value("power_w", START_MS + k * SLOT_MS), Fraction(0)) for k in range(288)) / 12
    assert model.value("export_wh", START_MS + DAY_MS) == counted
    assert model.value("import_wh", START_MS + DAY_MS) > 0


def test_a_time_before_the_start_is_refused() -> None:
    with pytest.raises(SourceInvalid, match="set `start`"):
        solar().value("export_wh", START_MS - DAY_MS)


@pytest.mark.parametrize("make", [solar, boiler, chiller, transformer])
def test_a_model_knows_no_time_that_its_counters_cannot_count_to(make: type[Source]) -> None:
    flat = Integrator(lambda _: 1000, START_MS, SLOT_MS)
    end_ms = make().span.end_ms
    assert flat.positive_wh(end_ms) > 0
    assert end_ms < 4_102_444_800_000
    with pytest.raises(SourceInvalid, match=f"outside the {MAX_SLOTS} slots"):
        flat.positive_wh(end_ms + 1)


def test_a_model_ends_with_the_year_2099_where_it_begins_late() -> None:
    begun_ms = 4_000_000_000_000
    late = SolarModel(1, capacity_w=6000, latitude_deg=35.7, longitude_deg=139.7, start_ms=begun_ms)
    assert late.span == (begun_ms, 4_102_444_800_000)


def test_a_chillers_water_carries_its_load_and_its_power_exactly() -> None:
    model = chiller()
    chilled_w_k, cooling_w_k = Fraction(CAPACITY_W, 5), Fraction(CAPACITY_W, 5) * 6 / 5
    ran = 0
    for t_ms in MONTH:
        value = {name: model.value(name, t_ms) for name in model.quantities}
        assert value["cooling_w"] == chilled_w_k * (value["chilled_in_c"] - value["chilled_out_c"])
        if value["load_percent"]:
            ran += 1
            heat_w = value["cooling_w"] + value["power_w"]
            assert heat_w == cooling_w_k * (value["cooling_out_c"] - value["cooling_in_c"])
            assert value["cop"] * value["power_w"] == value["cooling_w"]
    assert 0.3 < ran / len(MONTH) < 0.9  # days, and warm evenings


def test_a_chillers_figures_are_those_of_a_centrifugal_machine() -> None:
    """Between refrigerants 1.5 K beyond 7 and 37 °C Carnot allows 278.65 / 33 = 8.4; machines reach 50 to 70 %."""
    model = chiller()
    for t_ms in (t for t in MONTH if model.value("load_percent", t) > 0):
        value = {name: float(model.value(name, t_ms)) for name in model.quantities}
        lift_k = value["cooling_out_c"] - value["chilled_out_c"]
        assert 20 <= value["load_percent"] <= 100
        assert 6.5 < value["chilled_out_c"] < 7.5
        assert 12 < lift_k < 36
        assert value["cooling_in_c"] > value["wet_bulb_c"]
        reached = value["cop"] * (lift_k + 3) / (value["chilled_out_c"] + 271.65)
        assert 0.5 < reached < 0.7
        assert reached == pytest.approx(0.68 * (1 - 0.6 * (value["load_percent"] / 100 - 0.8) ** 2), rel=1e-3)


def test_more_lift_at_the_same_load_takes_more_power() -> None:
    model = chiller()
    running = [t_ms for t_ms in MONTH if 75 <= model.value("load_percent", t_ms) <= 85]
    by_lift = sorted(running, key=lambda t: model.value("cooling_in_c", t) - model.value("chilled_out_c", t))
    tenth = len(by_lift) // 10
    assert tenth > 10
    least = sum(model.value("cop", t) for t in by_lift[:tenth])
    most = sum(model.value("cop", t) for t in by_lift[-tenth:])
    assert least > most * 11 / 10


def test_a_chiller_that_stands_still_uses_its_standby_only() -> None:
    model = chiller()
    night_ms = START_MS + 10 * 3_600_000  # 3 o'clock in the morning at 105° west
    assert model.value("load_percent", night_ms) == 0
    assert model.value("power_w", night_ms) == CAPACITY_W / 2000
    assert model.value("chilled_in_c", night_ms) == model.value("chilled_out_c", night_ms) > 10
    assert model.value("cooling_out_c", night_ms) == model.value("cooling_in_c", night_ms)


def test_a_chillers_counter_is_the_integral_of_its_power() -> None:
    model = chiller()
    counted = sum(model.value("power_w", START_MS + k * SLOT_MS) for k in range(288)) / 12
    assert model.value("import_wh", START_MS + DAY_MS) == counted


def test_a_transformer_takes_what_it_delivers_and_loses_exactly() -> None:
    model = transformer()
    for t_ms in MONTH:
        value = {name: model.value(name, t_ms) for name in model.quantities}
        losses_w = value["no_load_loss_w"] + value["load_loss_w"]
        assert value["primary_w"] == value["secondary_w"] + losses_w
        if value["primary_w"]:
            voltage = value["primary_phase_v"] * Fraction(3**0.5) / 22_000
            assert value["no_load_loss_w"] == pytest.approx(450 * float(voltage) ** 2, rel=1e-5)
            assert value["load_loss_w"] == pytest.approx(9000 * float(value["load_percent"] / 100) ** 2, rel=1e-3)
            assert 0.97 < voltage < 1.03
            assert 220 < value["secondary_phase_v"] < 236
            assert 15 < value["load_percent"] < 100
    end_ms = START_MS + 31 * DAY_MS
    slots = range(START_MS, end_ms, SLOT_MS)
    lost = sum(model.value(name, t_ms) for t_ms in slots for name in ("no_load_loss_w", "load_loss_w")) / 12
    assert model.value("primary_wh", end_ms) == model.value("secondary_wh", end_ms) + lost
    assert 0.003 < lost / model.value("primary_wh", end_ms) < 0.012


def test_an_outage_has_no_voltage_no_flow_and_no_hours() -> None:
    model = transformer()
    away = model.outages(0)
    assert len(away) == 2
    for outage in away:
        assert outage.start_ms >= START_MS + 3 * DAY_MS
        assert 45 * 60_000 - SLOT_MS <= outage.end_ms - outage.start_ms <= 180 * 60_000
        inside = [outage.start_ms, outage.end_ms - 1]
        names = ("primary_w", "secondary_w", "primary_phase_v", "secondary_phase_v", "no_load_loss_w", "primary_var")
        assert [model.value(name, t_ms) for name in names for t_ms in inside] == [0] * 12
        assert model.value("primary_wh", outage.start_ms) == model.value("primary_wh", outage.end_ms)
        assert model.value("primary_phase_v", outage.start_ms - 1) > 12_000
        assert model.value("primary_phase_v", outage.end_ms) > 12_000
    dark_ms = sum(outage.end_ms - outage.start_ms for outage in away)
    assert model.value("energised_h", START_MS + 30 * DAY_MS) == 720 - Fraction(dark_ms, 3_600_000)


def test_a_transformer_without_outages_is_always_under_voltage() -> None:
    model = transformer(outages=0)
    assert model.value("energised_h", START_MS + 31 * DAY_MS) == 31 * 24


def test_every_thirty_days_have_their_outages() -> None:
    model = transformer(outages=20)
    for block in range(12):
        start_ms = START_MS + block * 30 * DAY_MS
        away = model.outages(block)
        assert len(away) == 20
        assert all(
            start_ms + 3 * DAY_MS - SLOT_MS < one.start_ms < one.end_ms <= start_ms + 30 * DAY_MS for one in away
        )
