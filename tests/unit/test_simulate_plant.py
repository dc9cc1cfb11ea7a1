"""Plant and scenario files: what cannot be used is one sentence."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

import pytest

from hakari.errors import BadConfiguration
from simulate.plant import load_plant
from simulate.run import serving
from simulate.scenario import check_known, load_scenario

DATA = Path(__file__).resolve().parents[2] / "simulate" / "data"
PLANT = """
name = "p"
[source]
kind = "boiler"
capacity_kw = 100.0
start = 2020-01-01T00:00:00Z
[[meters]]
model = "spirax-sarco-tva"
unit = 1
serial = "T1"
"""


def refused_plant(folder: Path, text: str) -> str:
    (folder / "plant.toml").write_text(text)
    with pytest.raises(BadConfiguration) as caught:
        load_plant(folder / "plant.toml", {})
    return str(caught.value)


def test_the_shipped_plants_load() -> None:
    assert [m.unit for m in load_plant(DATA / "solar.toml", {}).meters] == [1, 2]
    for name in ("boiler", "chiller", "transformer"):
        assert [m.unit for m in load_plant(DATA / f"{name}.toml", {}).meters] == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("spirax-sarco-tva", "spirax", "model 'spirax' is unknown; known: abb-b23"),
        ("spirax-sarco-tva", "abb-b23", "the source gives no import_wh, power_w; it gives aux_power_w"),
        ("unit = 1", "unit = 300", "unit = 300"),
        ("T00:00:00Z", "T00:00:00", "timezone"),
        ('serial = "T1"', 'serial = "T1"\noffsets = { heat = 1 }', "`offsets` names 'heat', which the model has not"),
        ('serial = "T1"', 'serial = "T1"\nreads = { heat = "x" }', "`reads` names 'heat'"),
        ('kind = "boiler"', 'kind = "bioler"', "bioler"),
        ("capacity_kw", "capacity_mw", "did you mean capacity_kw?"),
    ],
)
def test_a_plant_file_that_cannot_be_used(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert says in refused_plant(tmp_path, PLANT.replace(old, new))


def test_a_unit_given_twice(tmp_path: Path) -> None:
    twice = PLANT + '[[meters]]\nmodel = "spirax-sarco-tva"\nunit = 1\nserial = "T2"\n'
    assert "unit 1 is given to two meters" in refused_plant(tmp_path, twice)


SCENARIO = f"""
plants = ["{DATA / "solar.toml"}"]
start = 2016-07-01T00:00:00-07:00
end = 2016-07-01T01:00:00-07:00
[lockstep]
edges = ["sola-e1"]
"""


def test_a_scenario_gives_its_ticks(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SCENARIO)
    scenario = load_scenario(tmp_path / "s.toml", {})
    assert scenario.times_ms == [1_467_356_400_000 + k * 900_000 for k in range(5)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("end = 2016-07-01", "end = 2016-12-01", "plant solar knows 2016-07-01T07:00:00"),
        ("end = 2016-07-01", "end = 2016-06-01", "is before start"),
        ("sola-e1", "sola", "edge id 'sola'"),
        ("start =", "step_s = 0\nstart =", "step_s = 0"),
    ],
)
def test_a_scenario_that_cannot_be_used(tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "s.toml").write_text(SCENARIO.replace(old, new))
    with pytest.raises(BadConfiguration) as caught:
        load_scenario(tmp_path / "s.toml", {})
    assert says in str(caught.value)


def test_a_time_beyond_what_the_counters_can_count_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT.replace("2020-", "2004-"))
    plant = load_plant(tmp_path / "plant.toml", {})
    with pytest.raises(BadConfiguration, match=r"plant p knows 2004-01-01T00:00:00.* to 2024-.* another `start`"):
        check_known(plant, 1_780_000_000_000, 1_780_000_000_000)


def test_every_meter_is_counted_up_before_one_is_listened_to(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    plant = load_plant(tmp_path / "plant.toml", {})
    asked: list[int] = []
    now_ms = plant.source.span.start_ms + 86_400_000

    class Watched:
        span, quantities = plant.source.span, plant.source.quantities

        def value(self, quantity: str, t_ms: int) -> Fraction:
            asked.append(t_ms)
            return plant.source.value(quantity, t_ms)

    for meter in plant.meters:
        meter._source = Watched()

    async def run() -> list[int]:
        async with serving([plant], lambda: now_ms):
            return list(asked)

    assert set(asyncio.run(run())) == {now_ms}
