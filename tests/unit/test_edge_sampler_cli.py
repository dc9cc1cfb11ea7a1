"""`hakari edge read` as its user runs it, against a real Modbus server."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.commission.commission import MATCHED, PointResult, Record, meter_result, note_of
from edge.commission.identity import Known, commissioned_key, identity_key, text_of_note
from edge.settings import load_settings, metering_configuration
from edge.spool import Spool
from hakari.cli.root import main
from tests.unit.edge_folder import one_meter, settings_text
from tests.unit.edge_server import serving

CASE = Path(__file__).resolve().parent.parent / "cases" / "profiles" / "sunspec-inverter-103" / "case.toml"


def _words() -> list[int]:
    pdu = bytes.fromhex(" ".join(tomllib.loads(CASE.read_text())["answer"][0]["pdu"]))[2:]
    return [int.from_bytes(pdu[k : k + 2], "big") for k in range(0, len(pdu), 2)]


@pytest.fixture(scope="module")
def inverter() -> Iterator[int]:
    """The port of a server with the registers of the SunSpec case at unit 1."""
    with serving(1, 40000, _words()) as port:
        yield port


def _settings(folder: Path, port: int, serial: str = "PV-000123") -> str:
    place = f'host = "127.0.0.1"\nport = {port}\ntimeout_s = 2'
    path = folder / "edge.toml"
    body = one_meter("sunspec-inverter-103", "inverter", "pv", place)
    path.write_text(settings_text(f'{body}serial = "{serial}"\n'))
    for name in ("edge.pem", "roster.note"):
        (folder / name).write_text("x")
    return str(path)


def test_read_shows_a_live_sample(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, inverter), "--meter", "inverter"]) == 0
    shown = capsys.readouterr().out
    assert "serial: PV-000123" in shown
    (told,) = [line.split() for line in shown.splitlines() if line.startswith("energy_export")]
    assert told[:4] == ["energy_export", "12345670", "Wh", "UNCERTAIN"]
    assert "profile unproven and point not commissioned  0012 d687" in shown


def test_read_as_json(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, inverter), "--meter", "inverter", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["errors"] == []
    (power,) = [one for one in told["readings"] if one["point"] == "active_power"]
    assert {key: power[key] for key in ("value", "unit", "quality", "reason")} == {
        "value": "8370", "unit": "W", "quality": "UNCERTAIN",
        "reason": "profile unproven and point not commissioned"}  # fmt: skip
    assert power["age_ms"] < 60_000


def test_exchanged_meter_is_a_data_problem(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, inverter, "PV-000124"), "--meter", "inverter"]) == 5
    assert "identity mismatch: serial holds 'PV-000123', not 'PV-000124'" in capsys.readouterr().out


def test_unreachable_meter_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, 1), "--meter", "inverter"]) == 4
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: meter inverter gives no answer; tcp://127.0.0.1:1: the host refuses the connection")


def test_failed_request_ends_with_5(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(_settings(tmp_path, inverter))
    path.write_text(path.read_text().replace("sunspec-inverter-103", "abb-b23"))
    assert main(["edge", "read", str(path), "--meter", "inverter"]) == 5
    assert "request failed: holding registers 20480 to 20487: exception 2 (illegal data" in capsys.readouterr().out


def test_unknown_meter_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, 1), "--meter", "heat"]) == 3
    assert "known are inverter" in capsys.readouterr().err


def test_what_the_spool_says_is_commissioned_reads_as_the_log_will_have_it(
    tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _settings(tmp_path, inverter)
    base = metering_configuration(load_settings(Path(config), {}), tmp_path)
    (meter,) = base.meters
    identity = {"serial": "PV-000123"}
    points = [PointResult("active_power", "W", "8370", "8370", "0", "1", MATCHED, "", "", "")]
    result = meter_result(meter, identity, ("not seen", ""), points)
    spool = Spool(str(tmp_path / "edge.spool"))
    spool.put_note(commissioned_key("inverter"), text_of_note(note_of(result, Record("Ann"), 9)))
    spool.put_note(identity_key("inverter"), text_of_note(Known(identity, serial="PV-000123")))
    spool.close()
    assert main(["edge", "read", config, "--meter", "inverter", "--json"]) == 0
    told = {one["point"]: one["quality"] for one in json.loads(capsys.readouterr().out)["readings"]}
    assert (told["active_power"], told["energy_export"]) == ("GOOD", "UNCERTAIN")


def test_a_modicon_number_that_is_refused_is_explained(inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    target = ["edge", "read", f"tcp://127.0.0.1:{inverter}", "--unit", "1"]
    assert main([*target, "--table", "input", "--address", "30005"]) == 5
    assert "in Modicon notation 30005 is input register 4: --table input --address 4" in capsys.readouterr().err
    assert main([*target, "--table", "input", "--address", "30005", "--type", "u16"]) == 5
    assert "input register 30005: exception 2 (illegal data address); in Modicon" in capsys.readouterr().out


def test_a_scan_without_a_terminal_shows_its_progress_as_lines(
    inverter: int, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["edge", "scan", f"tcp://127.0.0.1:{inverter}", "--units", "1", "--no-guess"]
    assert main(target) == 0
    said = capsys.readouterr().err
    assert "0/1 unit 1, 0 found\n0/1 unit 1 answers, asking who it is\n" in said
    assert main([*target, "--json"]) == 0
    assert "0/1" not in capsys.readouterr().err
