"""`hakari demo` as a stranger runs it: four plants to a month's total, told alike by terminal, HTTP and offline."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from simulate.layout import argv

DEMO_LIMIT_S = 240.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished demo: its folder and what it printed as JSON."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    done = subprocess.run(
        argv("demo", folder, "--exit", "--json"), capture_output=True, text=True, timeout=DEMO_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def hakari(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv(*words), capture_output=True, text=True, timeout=60, check=False)


def totals(folder: Path) -> dict[str, Any]:
    """The boiler month's figures as calc tells them now."""
    done = hakari("period", "show", "demo-boiler-2016-07", "--json", "--config", folder / "calc.toml")
    period = json.loads(done.stdout)["result"]
    return {key: period[key] for key in period if key.endswith("_tco2")} | {"vintages": period["vintages"]}


@pytest.mark.system
def test_every_plant_comes_out_and_every_pack_verifies(demo: tuple[Path, dict[str, Any]]) -> None:
    plants = {plant["plant"]: plant for plant in demo[1]["plants"]}
    assert set(plants) == {"solar", "boiler", "chiller", "transformer"}
    solar = plants["solar"]["period"]
    assert solar["vintages"][0]["quantities"] == {"EG": "0.858896"}
    assert solar["totals"]["reductions_tco2"] == "0.457791568"
    assert plants["boiler"]["period"]["totals"]["reductions_whole_tco2"] == 13
    assert plants["chiller"]["period"]["vintages"][0]["quantities"] == {"EC[ch-1]": "53.8131"}
    transformer = plants["transformer"]["period"]
    assert transformer["vintages"][0]["quantities"] == {"H[t-1000]": "740"}  # of 744: the grid was away twice
    assert [line["rule"] for line in transformer["lines"]] == ["outage", "outage"]
    for plant in plants.values():
        assert plant["verdict"]["ok"]
        assert plant["verdict"]["notes"] == []
        assert plant["verdict"]["meaning"] == "provisional, credits nothing"
        assert plant["verdict"]["reductions_tco2"] == plant["period"]["totals"]["reductions_tco2"]
        assert plant["period"]["standing"] == "recalled"
        assert plant["period"]["notice"] == "not checked against the approved text"
        assert plant["period"]["completeness"] == "1"


@pytest.mark.system
def test_what_is_only_recalled_cannot_be_locked(demo: tuple[Path, dict[str, Any]]) -> None:
    done = hakari("period", "lock", "demo-solar-2016-07", "--config", demo[0] / "calc.toml")
    assert done.returncode == 6
    assert "recalled and not checked against the approved text" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.system
def test_the_evidence_is_sound_and_the_view_can_be_made_again(demo: tuple[Path, dict[str, Any]]) -> None:
    folder = demo[0]
    assert hakari("log", "fsck", "--config", folder / "ingest.toml").returncode == 0
    before = totals(folder)
    (folder / "view.db").unlink()
    assert hakari("view", "rebuild", "--config", folder / "ingest.toml").returncode == 0
    assert hakari("calc", "run", "--once", "--config", folder / "calc.toml").returncode == 0
    assert totals(folder) == before


@pytest.mark.system
def test_one_changed_byte_in_a_pack_is_found(demo: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    plant = demo[1]["plants"][0]
    data = bytearray(Path(plant["pack"]).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.hakari").write_bytes(data)
    done = hakari("verify", tmp_path / "changed.hakari", "--owner-key", demo[1]["owner_key"])
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


@pytest.mark.system
def test_a_folder_with_something_in_it_is_left_alone(demo: tuple[Path, dict[str, Any]]) -> None:
    done = hakari("demo", demo[0], "--exit")
    assert done.returncode == 6
    assert "is not empty" in done.stderr
