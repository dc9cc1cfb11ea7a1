"""The commands of calc as their user calls them: tables with the standing, JSON, sentences and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hakari.cli.root import main
from tests.unit import calc_world as w
from tests.unit.test_calc_worker import feed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[w.World]:
    """A logged month with settings and a project file, in the present folder; nothing registered."""
    monkeypatch.chdir(tmp_path)
    world = w.World(tmp_path)
    world.record(w.month(), world.configure())
    world.write_settings()
    (tmp_path / "owner.pub").write_text(f"{world.owner.verifier}\n")
    (tmp_path / "plant.toml").write_text(w.project_text())
    text = w.project_text(standing="demo").replace("FIXTURE_PUBLISHED", "PV_CONSERVATIVE")
    text = text.replace('name = "EF"', 'name = "EF_RE"').replace('"EXP"', '"EG"').replace('id = "plant"', 'id = "pv"')
    (tmp_path / "pv.toml").write_text(text[: text.index('[[monitored]]\nparameter = "IMP"')])
    with w.fixture_methodology():
        yield world


def test_from_a_project_file_to_a_verified_pack(plant: w.World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["project", "add", "plant.toml"]) == 0
    assert main(["project", "add", "pv.toml"]) == 0
    assert main(["calc", "run", "--once"]) == 0
    table = capsys.readouterr().out
    assert "plant-2016-07" in table
    for head in ("measured to", "reference tCO2", "project emissions tCO2", "reductions tCO2", "whole t"):
        assert f"  {head}" in table
    assert "recalled*, parameters DEMO" in table
    assert "* not checked against the approved text / 承認された" in table
    assert main(["pack", "write", "--period", "pv-2016-07", "--out", "pv.hakari"]) == 0
    capsys.readouterr()
    assert main(["verify", "pv.hakari", "--owner-key", "owner.pub", "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["ok"], verdict["meaning"]) == (True, "provisional, credits nothing")
    assert verdict["reductions_tco2"] == "3.72"
    assert main(["verify", "pv.hakari", "--owner-key", str(plant.owner.verifier)]) == 0
    shown = capsys.readouterr().out
    assert "recalled (not checked against the approved text / 承認された" in shown
    assert "EG site-e1/export/energy (S-export): 12440000 Wh − 5000000 Wh = 7.44 MWh, leaves 1/1 and 1/94" in shown
    assert "period 2016-07-01T00:00:00Z to 2016-08-01T00:00:00Z, Etc/UTC; measured to 2016-08-01T00:00:00Z" in shown
    assert shown.endswith("OK: provisional, credits nothing\n")


def test_period_show_gives_registers_and_leaves(plant: w.World, capsys: pytest.CaptureFixture[str]) -> None:
    del plant
    main(["project", "add", "plant.toml"])
    main(["calc", "run", "--once"])
    capsys.readouterr()
    assert main(["period", "show", "plant-2016-07"]) == 0
    shown = capsys.readouterr().out
    for part in ("5000000 Wh", "12440000 Wh", "1/1 1/94", "PUBLISHED", "reductions 3.348 tCO2"):
        assert part in shown
    assert main(["period", "list", "plant", "--json"]) == 0
    periods = json.loads(capsys.readouterr().out)["periods"]
    assert [period["period_id"] for period in periods] == ["plant-2016", "plant-2016-07", "plant-2016-08"]
    assert main(["project", "show", "plant"]) == 0
    assert capsys.readouterr().out.strip() == w.project_text().strip()
    assert main(["project", "list"]) == 0


def test_locking_refuses_with_6_until_the_view_agrees(plant: w.World, capsys: pytest.CaptureFixture[str]) -> None:
    main(["project", "add", "plant.toml"])
    main(["calc", "run", "--once"])
    view = w.open_view(plant.folder / "view.db")
    assert main(["period", "lock", "plant-2016-07"]) == 6
    assert "has reached leaf 0" in capsys.readouterr().err
    feed(plant, view, None)
    view.close()
    assert main(["period", "lock", "plant-2016-07"]) == 0
    assert "hakari statement v1" in capsys.readouterr().out
    assert main(["pack", "write", "--period", "plant-2016-07", "--json"]) == 0
    assert main(["verify", "plant-2016-07.hakari", "--owner-key", "owner.pub"]) == 0
    assert "OK: locked by a signed statement" in capsys.readouterr().out


def test_verify_ends_with_5_for_a_bad_pack_and_3_for_a_bad_key(
    plant: w.World, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["project", "add", "plant.toml"])
    main(["calc", "run", "--once"])
    main(["pack", "write", "--period", "plant-2016-07", "--out", "a.hakari"])
    content = Path("a.hakari").read_bytes()
    Path("short.hakari").write_bytes(content[:-100])
    capsys.readouterr()
    assert main(["verify", "short.hakari", "--owner-key", "owner.pub"]) == 5
    assert "problem: pack: pack is cut off" in capsys.readouterr().out
    assert main(["verify", "a.hakari", "--owner-key", "no key"]) == 3
    assert main(["verify", "a.hakari", "--owner-key", str(plant.owner.verifier)[:-3] + "AAA"]) == 3
    assert main(["verify", "none.hakari", "--owner-key", "owner.pub"]) == 3
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["project", "add", "none.toml"], 3, "cannot be read"),
        (["project", "show", "none"], 3, "is not registered"),
        (["period", "show", "none"], 3, "is not in the ledger"),
        (["period", "list", "none"], 3, "is not registered"),
        (["methodology", "show", "PV_CONSERVATVE", "1.0"], 3, "did you mean PV_CONSERVATIVE 1.0"),
        (["calc", "run", "--once", "--config", "none.toml"], 3, "none.toml"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    plant: w.World, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    del plant
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_refused_quantity_is_said_and_is_no_plain_ok(plant: w.World, capsys: pytest.CaptureFixture[str]) -> None:
    del plant
    text = Path("plant.toml").read_text()
    Path("plant.toml").write_text(w.replaced(text, w.EXPORT, f"{w.EDGE}/export/none"))
    main(["project", "add", "plant.toml"])
    main(["calc", "run", "--once"])
    main(["pack", "write", "--period", "plant-2016-07", "--out", "a.hakari"])
    capsys.readouterr()
    assert main(["verify", "a.hakari", "--owner-key", "owner.pub"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("OK, but no total: a quantity is refused; provisional, credits nothing\n")
    assert "reductions refused tCO2, in whole tonnes refused;" in shown
    assert "EXP site-e1/export/none (S-export): no register − no register = refused, leaves none" in shown
    assert main(["period", "show", "plant-2016-07"]) == 0
    shown += capsys.readouterr().out
    assert "reductions refused tCO2  whole tonnes refused" in shown
    assert "None" not in shown


@pytest.mark.parametrize(
    ("edge", "why"),
    [
        ("site-e9", "edge site-e9 is not in the roster"),
        (w.EDGE, "point site-e1/none/energy is not in its edge's configuration"),
    ],
)
def test_a_project_without_a_period_says_why(
    plant: w.World, caplog: pytest.LogCaptureFixture, edge: str, why: str
) -> None:
    del plant
    text = Path("pv.toml").read_text()
    Path("pv.toml").write_text(w.replaced(text, w.EXPORT, f"{edge}/none/energy"))
    assert main(["project", "add", "pv.toml"]) == 0
    assert main(["calc", "run", "--once"]) == 0
    assert f"pv: no period; {why}" in caplog.messages


def test_settings_are_checked(plant: w.World, capsys: pytest.CaptureFixture[str]) -> None:
    path = plant.folder / "calc.toml"
    good = path.read_text()
    path.write_text(w.replaced(good, "grace_h", "grace_hours"))
    assert main(["calc", "run", "--once"]) == 3
    assert "did you mean grace_h?" in capsys.readouterr().err
    path.write_text(w.replaced(good, 'statement_key_name = "statement"', 'statement_key_name = "other"'))
    assert main(["project", "add", "plant.toml"]) == 0
    assert main(["calc", "run", "--once"]) == 0
    assert main(["pack", "write", "--period", "plant-2016-07"]) == 3
    assert "the roster has no statement key" in capsys.readouterr().err


def test_methodologies_show_their_standing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methodology", "list"]) == 0
    assert "recalled" in capsys.readouterr().out
    assert main(["methodology", "show", "MN_AM002", "1.0"]) == 0
    shown = capsys.readouterr().out
    for part in ("standing: recalled", "not checked against the approved text", "η_RE", "monitored, debited"):
        assert part in shown


def test_verify_needs_neither_a_database_library_nor_a_broker_nor_a_modbus_client() -> None:
    code = "import calc.cli, sys; print([m for m in sys.modules if m.split('.')[0] in {banned}])".replace(
        "{banned}", "('sqlalchemy', 'alembic', 'paho', 'pymodbus', 'fastapi', 'rich', 'sqlite3')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


def test_a_third_partys_methodology_is_loaded_from_the_path() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hakari", "methodology", "list", "--json"],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(w.FIXTURES)])},
    )  # fmt: skip
    codes = {one["code"]: one["standing"] for one in json.loads(done.stdout)["methodologies"]}
    assert codes["FIXTURE_PUBLISHED"] == "published"
