"""The seeded plants: a pure function of seed and time, plausible, and counting what they deliver."""

from __future__ import annotations

from fractions import Fraction

import pytest

from simulate.boiler import BoilerModel
from simulate.solar import SLOT_MS, SolarModel
from simulate.source import Source, SourceInvalid

START_MS = 1_467_331_200_000  # 2016-07-01T00:00:00Z
DAY_MS = 86_400_000


def solar(seed: int = 1) -> SolarModel:
    return SolarModel(seed, capacity_w=6000, latitude_deg=35.7, longitude_deg=139.7, start_ms=START_MS)


def boiler(seed: int = 1) -> BoilerModel:
    return BoilerModel(seed, capacity_w=2_000_000, mean_outdoor_c=7, start_ms=START_MS)


@pytest.mark.parametrize("make", [solar, boiler])
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
