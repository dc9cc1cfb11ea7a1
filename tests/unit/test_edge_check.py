"""`hakari edge check`: the plan, its time, traffic and room; what would be refused, and what would not count."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edge.library import profile
from edge.reads.cycle import CycleTooLong, check_cycles
from edge.settings import load_settings, metering_configuration
from edge.spool import Spool
from edge.tools.check import CheckReport, _doubts, check
from hakari.cli.root import main
from hakari.wire.configuration import Meter, MeteringConfiguration
from tests.unit.edge_folder import TWO_BUSES, one_meter, settings_in

OWN = """
id = "own"
maker = "Maker"
model = "Model"
source = "manual 1, page 2"
standing = "one-source"
"""
POINT = """
[[points]]
name = "{name}"
address = {address}
type = "u32"
kind = "counter"
unit = "Wh"
word_order = "high_first"
every = {every}
"""


def _own(folder: Path, count: int = 1, *, gap: int = 2, bus: str = 'host = "h"', every: int = 1, top: str = "") -> Path:
    """Settings with one meter whose own profile has `count` counters, `gap` registers apart."""
    points = "".join(POINT.format(name=f"p{k}", address=k * gap, every=every) for k in range(count))
    (folder / "own.toml").write_text(OWN + top + points)
    return settings_in(folder, one_meter("own.toml", "m", "b", bus))


def _warnings(report: CheckReport, part: str) -> list[str]:
    return [sentence for sentence in report.warnings if part in sentence]


def test_the_plan_the_traffic_and_the_room(tmp_path: Path) -> None:
    report = check(settings_in(tmp_path, TWO_BUSES), {})
    assert report.refused == []
    assert report.samples_a_day == 96
    assert [len(meter.requests) for meter in report.meters] == [1, 5]
    assert report.meters[1].requests[0].points == ["energy_import", "energy_export"]
    assert report.words_a_sample == 109 + 8 + 6 + 6 + 2 + 2
    assert 96 * 2 * report.words_a_sample < report.bytes_a_day < 1_000_000
    assert [(one.bus, one.requests, one.cycle_s) for one in report.buses] == [("pv", 1, 0.01), ("house", 5, 0.05)]
    assert report.ring_bytes == 400 * report.bytes_a_day
    assert report.spool_days == round(report.free_bytes / report.bytes_a_day, 1) > 0


def test_the_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(settings_in(tmp_path, TWO_BUSES))
    capsys.readouterr()
    assert main(["edge", "check", path]) == 0
    shown = capsys.readouterr().out
    assert "sunspec-inverter-103  holding    40000    109" in shown
    assert "bus house: the fullest slot takes about 0.05 s of 900 s (5 requests)" in shown
    assert "edge sola-e1: 96 samples a day, 133 words each" in shown
    assert "nothing would be refused\nspool: the ring takes at most" in shown
    assert main(["edge", "check", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["words_a_sample"] == 133


def test_everything_that_would_be_refused_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = settings_in(tmp_path, TWO_BUSES.replace('"schneider-iem3155"', '"schneider-iem"'))
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 7"))
    (tmp_path / "roster.note").unlink()
    refused = check(path, {}).refused
    parts = ("interval_s = 7", "roster.note", "profile 'schneider-iem' is not bundled; did you mean schneider-iem3")
    assert len(refused) == len(parts)
    assert all(part in sentence for part, sentence in zip(parts, refused, strict=True))
    capsys.readouterr()
    assert main(["edge", "check", str(path)]) == 3
    assert capsys.readouterr().out.startswith("refused: [edge].interval_s = 7")
    assert main(["edge", "check", str(tmp_path / "none.toml")]) == 3


def test_a_key_that_the_roster_does_not_have_for_this_edge_is_refused(tmp_path: Path) -> None:
    path = settings_in(tmp_path, TWO_BUSES)
    (tmp_path / "edge.pem").unlink()
    assert main(["keys", "edge", "--out", str(tmp_path / "edge.pem")]) in (0, 6)
    if not (tmp_path / "edge.pem").exists():
        (tmp_path / "edge.pem.pub").unlink()
        assert main(["keys", "edge", "--out", str(tmp_path / "edge.pem")]) == 0
    (sentence,) = check(path, {}).refused
    assert "is not the key that the roster has for sola-e1" in sentence


def test_a_roster_of_another_owner_is_refused(tmp_path: Path) -> None:
    path = settings_in(tmp_path, TWO_BUSES)
    (tmp_path / "other").mkdir()
    settings_in(tmp_path / "other", TWO_BUSES)
    (tmp_path / "roster.note").write_text((tmp_path / "other" / "roster.note").read_text())
    (sentence,) = check(path, {}).refused
    assert sentence.startswith("[edge].roster_file")


def test_an_edge_that_is_not_enrolled_yet_is_fine(tmp_path: Path) -> None:
    assert check(settings_in(tmp_path, TWO_BUSES, edge="sola-e2"), {}).refused == []


SERIAL = 'kind = "rtu"\ndevice = "/dev/ttyUSB0"\nbaud_rate = 1200'


def test_a_plan_that_cannot_keep_its_interval_is_refused_by_check_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _own(tmp_path, 60, gap=3, bus=SERIAL)
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 10"))
    capsys.readouterr()
    # 60 × ((8 + 9 + 7) × 10 bits / 1200 + 0.03 s)
    sentence = (
        "bus b: its 60 requests take about 13.8 s, longer than [edge].interval_s = 10; lengthen interval_s,"
        " read points less often (every), raise the baud rate or divide the meters among buses"
    )
    assert check(path, {}).refused == [sentence]
    assert main(["edge", "run", str(path)]) == 3
    assert sentence in capsys.readouterr().err
    told = load_settings(path, {"HAKARI_EDGE__EDGE__INTERVAL_S": "15"})
    check_cycles(told, metering_configuration(told, tmp_path))
    with pytest.raises(CycleTooLong):
        check_cycles(load_settings(path, {}), metering_configuration(load_settings(path, {}), tmp_path))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("interval_s = 1", "[edge].interval_s = 1 (slots may be skipped); shorten"),
        ("interval_s = 900\nmax_lag_s = 1", "[edge].max_lag_s = 1 (values may be too late for a boundary); shorten"),
        ("interval_s = 1\nmax_lag_s = 1", "interval_s = 1 (slots may be skipped) and [edge].max_lag_s = 1 (values"),
        ("interval_s = 3\nmax_lag_s = 3", ""),
    ],
)
def test_one_silent_meter_that_holds_up_too_much(tmp_path: Path, keys: str, says: str) -> None:
    path = settings_in(tmp_path, TWO_BUSES)
    path.write_text(path.read_text().replace("interval_s = 900", keys))
    found = _warnings(check(path, {}), "silent meter")
    assert len(found) == bool(says)
    for sentence in found:
        assert sentence.startswith("bus pv: with one silent meter its reads take about 2.0 s (0.0 and timeout_s = 2)")
        assert says in sentence


def test_slow_answers_that_the_profile_announces_are_warned_of(tmp_path: Path) -> None:
    path = _own(tmp_path, 3, gap=5, top="answer_ms = 15000\n", bus='host = "h"')
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 30"))
    report = check(path, {})
    assert report.refused == []
    assert _warnings(report, "may take 45.0 s")[0].startswith("bus b: its reads may take 45.0 s where its meters")
    assert _warnings(report, "timeout_s = 1;")[0].startswith("meter m: by its profile own an answer may take 15 s")


def test_unproven_points_count_once_commissioned(tmp_path: Path) -> None:
    report = check(_own(tmp_path, 2), {})
    (sentence,) = _warnings(report, "edge commission")
    assert sentence.startswith("meter m: readings of all points count only after `hakari edge commission`")


def test_of_some_points_each_is_named_in_a_sentence_that_reads_well() -> None:
    bundled = profile("schneider-iem3155", Path())
    point = msgspec.structs.replace(bundled.points[0], kind="counter")
    points = [msgspec.structs.replace(point, name=name) for name in ("a", "b", "c")]
    made = msgspec.structs.replace(bundled, proof="constructed", points=points)
    meter = Meter("m", "b", 1, "", made, commissioned=["c"], identity_proof="seal 1")
    (sentence,) = _doubts(MeteringConfiguration(1, "sola-e1", 900_000, 60_000, [meter]))
    assert sentence.startswith("meter m: readings of the points a, b count only after `hakari edge commission`, since")


@pytest.mark.parametrize(("late_s", "warned"), [(1.0, 1), (0.9, 0)])
def test_listening_that_costs_slots_is_warned_of(tmp_path: Path, late_s: float, warned: int) -> None:
    path = _own(tmp_path, bus=f'kind = "rtu"\ndevice = "/dev/none"\ntimeout_s = 0.1\nlate_s = {late_s}')
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 1"))
    assert len(_warnings(check(path, {}), "is listened to for late_s = 1 before its first request")) == warned


def test_a_meter_that_nothing_identifies_needs_another_proof(tmp_path: Path) -> None:
    path = _own(tmp_path)
    assert len(_warnings(check(path, {}), "give identity_proof")) == 1
    path.write_text(path.read_text() + 'identity_proof = "seal 4711"\n')
    assert _warnings(check(path, {}), "give identity_proof") == []


def test_what_the_spool_knows_is_read_beside_a_running_edge(tmp_path: Path) -> None:
    path = _own(tmp_path)
    spool = Spool(str(tmp_path / "edge.spool"))
    try:
        report = check(path, {})
    finally:
        spool.close()
    assert len(_warnings(report, "edge commission")) == 1


def test_rates_stand_in_the_plan_and_lessen_the_traffic(tmp_path: Path) -> None:
    often = check(_own(tmp_path, 30), {})
    seldom_folder = tmp_path / "seldom"
    seldom_folder.mkdir()
    seldom = check(_own(seldom_folder, 30, every=4), {})
    assert often.meters[0].requests[0].every == [1]
    assert seldom.meters[0].requests[0].every == [4]
    assert seldom.words_a_sample == often.words_a_sample == 60
    assert seldom.bytes_a_day < 0.9 * often.bytes_a_day


def test_a_ring_that_the_disk_cannot_hold_is_warned_of(tmp_path: Path) -> None:
    path = _own(tmp_path)
    assert _warnings(check(path, {}), "the ring of") == []
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 900\nmin_free_mb = 1000000"))
    report = check(path, {})
    assert report.free_bytes == 0
    assert len(_warnings(report, "the ring of [edge].ring_days = 400 takes")) == 1
    assert len(_warnings(report, "[edge].min_free_mb = 1000000 leaves no room")) == 1


def _refused(folder: Path, old: str, new: str) -> str:
    """The one refusal of settings in which `old` reads `new`."""
    path = settings_in(folder, TWO_BUSES)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (sentence,) = check(path, {}).refused
    return sentence


def test_bad_input_05_two_meters_with_one_serial_or_one_address(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    third = '[[meter]]\nid = "x"\nbus = "{bus}"\nunit = {unit}\nprofile = "schneider-iem3155"\nserial = "{serial}"\n'
    path = settings_in(tmp_path / "a", TWO_BUSES + third.format(bus="pv", unit=9, serial="4711"))
    assert check(path, {}).refused == ["meters export and x both have serial '4711'; each nameplate has its own"]
    path = settings_in(tmp_path / "b", TWO_BUSES + third.format(bus="house", unit=1, serial="4712"))
    assert check(path, {}).refused == ["meters export and x are both unit 1 on bus house; correct one"]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("address = 65536", "[points#1].address = 65536"),
        ("address = -1", "[points#1].address = -1"),
        ("address = 65535", "point p0 at 65535 ends beyond 65535"),
        ("address = 0\nwords = 126", "[points#1].words = 126"),
    ],
)
def test_bad_input_06_registers_that_no_request_can_read(tmp_path: Path, line: str, part: str) -> None:
    path = _own(tmp_path)
    own = tmp_path / "own.toml"
    own.write_text(own.read_text().replace("address = 0", line))
    (sentence,) = check(path, {}).refused
    assert part in sentence


def test_bad_input_07_overlapping_points_are_refused_and_the_way_out_is_named(tmp_path: Path) -> None:
    (sentence,) = check(_own(tmp_path, 2, gap=1), {}).refused
    assert sentence == (
        "profile own: points p0 and p1 overlap at holding register 1; correct an address, or set separate = true where"
        " each address has a value of its own"
    )
    own = tmp_path / "own.toml"
    own.write_text(own.read_text().replace('standing = "one-source"', 'standing = "one-source"\nseparate = true'))
    assert check(tmp_path / "edge.toml", {}).refused == []


@pytest.mark.parametrize("interval_s", [0, -1, 7, 86_401])
def test_bad_input_10_intervals_that_give_no_equal_slots(tmp_path: Path, interval_s: int) -> None:
    sentence = _refused(tmp_path, "interval_s = 900", f"interval_s = {interval_s}")
    assert sentence.startswith(f"[edge].interval_s = {interval_s} must be 1 or more and divide a day")


def test_a_configuration_too_long_to_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settings_in(tmp_path, TWO_BUSES)
    assert check(path, {}).refused == []
    monkeypatch.setattr("hakari.wire.configuration.MAX_TEXT_CHARS", 100)
    (sentence,) = check(path, {}).refused
    assert "limit 100; read less" in sentence
