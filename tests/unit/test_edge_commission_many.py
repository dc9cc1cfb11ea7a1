"""Several meters in one `hakari edge commission`: each is recorded by itself, whatever the others do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.spool import Spool
from hakari.cli.root import main
from tests.unit.edge_display import REGISTERS, own_profile
from tests.unit.edge_folder import settings_in
from tests.unit.edge_server import serving

BUS = '\n[[bus]]\nid = "{id}"\nhost = "{host}"\nport = {port}\n'
METER = '\n[[meter]]\nid = "{id}"\nbus = "{bus}"\nunit = 7\nprofile = "own.toml"\nserial = "{serial}"\n'
NOT_REACHABLE, DATA_PROBLEM = 4, 5
SHOWN = {"energy_import": "7303.6", "voltage_l1": "0.2304 kV"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server with the test's meter at unit 7."""
    with serving(7, 0, [REGISTERS.get(at, 0) for at in range(40)]) as found:
        yield found


def folder_with(folder: Path, port: int, *meters: tuple[str, str, str]) -> Path:
    """Settings with these meters (id, bus, serial); the bus "there" answers, the bus "gone" refuses."""
    own_profile(folder)
    body = "".join(
        BUS.format(id=name, host=host, port=at)
        for name, host, at in (("there", "127.0.0.1", port), ("again", "localhost", port), ("gone", "127.0.0.1", 1))
    )
    return settings_in(folder, body + "".join(METER.format(id=i, bus=b, serial=s) for i, b, s in meters))


def commissioned(config: Path, *words: str) -> int:
    told = ["edge", "commission", str(config), "--by", "Ann", "--watch", "0", *words]
    return main(told)


def displays(folder: Path, told: dict[str, dict[str, str]]) -> str:
    (folder / "displays.json").write_text(json.dumps(told))
    return str(folder / "displays.json")


def note_points(folder: Path, meter: str) -> list[str]:
    spool = Spool(str(folder / "edge.spool"))
    try:
        text = spool.note(f"commissioned/{meter}")
        return json.loads(text)["points"] if text else []
    finally:
        spool.close()


def test_a_silent_meter_takes_no_other_with_it(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder_with(tmp_path, port, ("lost", "gone", ""), ("good", "there", ""))
    capsys.readouterr()
    file = displays(tmp_path, {"lost": SHOWN, "good": SHOWN})
    assert commissioned(config, "--meter", "all", "--displays", file, "--json") == NOT_REACHABLE
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert [(one["meter"], one["exit_code"]) for one in told["failed"]] == [("lost", NOT_REACHABLE)]
    assert "stopped" not in said.err
    assert "hakari edge read CONFIG --meter lost" in told["failed"][0]["error"]
    assert [one["meter"] for one in told["meters"]] == ["good"]
    assert note_points(tmp_path, "good") == ["energy_import", "voltage_l1"]
    assert note_points(tmp_path, "lost") == []


def test_a_wrong_meter_is_told_in_its_place_with_what_to_do(
    tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder_with(tmp_path, port, ("other", "again", "B-200"), ("good", "there", "A-100"))
    capsys.readouterr()
    file = displays(tmp_path, {"other": SHOWN, "good": SHOWN})
    assert commissioned(config, "--meter", "other", "--meter", "good", "--displays", file) == DATA_PROBLEM
    said = capsys.readouterr()
    first, _, rest = said.out.partition("\n\n")
    assert first.startswith("meter other failed, nothing of it is recorded")
    assert "tells serial 'A-100', its [[meter]] says 'B-200'" in first
    assert "hakari edge replace-meter" in first
    assert rest.startswith("meter good (")


def test_displays_choose_the_meters(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder_with(tmp_path, port, ("lost", "gone", ""), ("good", "there", ""))
    capsys.readouterr()
    assert commissioned(config, "--meter", "all", "--displays", displays(tmp_path, {"good": SHOWN})) == 0
    assert "meter lost is not in --displays: left as it is" in capsys.readouterr().err


def test_what_matched_earlier_is_counted_with_what_matches_now(
    tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder_with(tmp_path, port, ("good", "there", ""))
    assert commissioned(config, "--meter", "good", "--display", "energy_import=7.3036 MWh") == 0
    capsys.readouterr()
    assert commissioned(config, "--meter", "good", "--display", "voltage_l1=230.4") == 0
    assert "2 points count from now on, 1 of them matched earlier" in capsys.readouterr().out
    assert note_points(tmp_path, "good") == ["energy_import", "voltage_l1"]


def test_one_meter_alone_ends_with_its_own_error(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder_with(tmp_path, port, ("lost", "gone", ""))
    capsys.readouterr()
    assert commissioned(config, "--meter", "lost", "--display", "energy_import=1") == NOT_REACHABLE
    assert capsys.readouterr().err.startswith("error: meter lost")
