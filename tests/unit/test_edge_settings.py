"""The edge's settings: one clear refusal each, and the configuration that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.reads.plan import requests_of
from edge.settings import (
    SettingsInvalid,
    check_files,
    edge_id_of,
    load_settings,
    metering_configuration,
    problems,
)
from hakari.errors import BadConfiguration
from hakari.registers.decode import decode_sample
from hakari.registers.requests import FUNCTION_OF, ReadRequest
from hakari.wire.configuration import parse, text_of
from tests.unit.edge_folder import OWNER, TWO_BUSES, settings_text

GOOD = settings_text(f'password_file = "mqtt.txt"\n{TWO_BUSES}', site="sola-north")


def _write(folder: Path, text: str = GOOD) -> Path:
    path = folder / "edge.toml"
    path.write_text(text)
    for name in ("edge.pem", "roster.note", "mqtt.txt"):
        (folder / name).write_text("x")
    return path


def test_good_settings(tmp_path: Path) -> None:
    path = _write(tmp_path)
    told = load_settings(path, {"HAKARI_EDGE__EDGE__INTERVAL_S": "60"})
    check_files(told, tmp_path)
    assert edge_id_of(told) == "sola-north-e1"
    configuration = metering_configuration(told, tmp_path)
    assert configuration.interval_ms == 60_000
    assert [meter.profile.id for meter in configuration.meters] == ["sunspec-inverter-103", "schneider-iem3155"]
    assert parse(text_of(configuration)) == configuration
    assert "mqtt.txt" not in text_of(configuration)


def test_serial_of_the_nameplate_is_expected_of_the_meter(tmp_path: Path) -> None:
    told = load_settings(_write(tmp_path), {})
    inverter, export = metering_configuration(told, tmp_path).meters
    assert [p.expect for p in inverter.profile.points if p.name == "serial"] == ["PV-000123"]
    assert [p for p in export.profile.points if p.expect] == []


def _numeric(tmp_path: Path, serial: str) -> Path:
    return _write(tmp_path, GOOD.replace("schneider-iem3155", "schneider-pm5000").replace('"4711"', f'"{serial}"'))


def test_a_serial_that_is_told_as_a_number_is_expected_too(tmp_path: Path) -> None:
    told = load_settings(_numeric(tmp_path, "90027971"), {})
    profile = metering_configuration(told, tmp_path).meters[1].profile
    assert [p.expect for p in profile.points if p.name == "serial"] == ["90027971"]
    at = next(p for p in profile.points if p.name == "serial")
    request = ReadRequest(1, FUNCTION_OF[at.table], at.address, at.length).encode()
    for number, mismatches in ((90027971, 0), (90027972, 1)):
        answer = bytes((request[1], 4)) + number.to_bytes(4, "big")
        others = [(request, answer, "")]
        counters = next(r for r in requests_of(profile, 1) if r.address != at.address).encode()
        words = 2 * int.from_bytes(counters[4:], "big")
        others.append((counters, bytes((counters[1], words)) + bytes(words), ""))
        reasons = {one.reason for block in decode_sample(profile, "m", others) for one in block}
        assert sum(reason.startswith("identity mismatch: serial") for reason in reasons) == mismatches


@pytest.mark.parametrize("serial", ["PM-12", "0012345", "4294967296", "0x10", "-1", "1_000", "1.0", "\u0663"])
def test_a_serial_that_no_number_of_the_meter_can_be_is_refused(tmp_path: Path, serial: str) -> None:
    told = load_settings(_numeric(tmp_path, serial), {})
    with pytest.raises(SettingsInvalid, match="cannot be what the meter tells: profile schneider-pm5000"):
        metering_configuration(told, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('id = "export"', 'id = "inverter"', "meter id 'inverter' is given twice"),
        ('bus = "house"', 'bus = "pv"', "meters inverter and export are both unit 1 on bus pv"),
        ('bus = "house"', 'bus = "garage"', "bus 'garage', which is no [[bus]]"),
        ('id = "house"', 'id = "pv"', "bus id 'pv' is given twice"),
        ('"10.0.0.8"\nport = 1502', '"10.0.0.7"', "buses pv and house are both 10.0.0.7:502"),
        ("interval_s = 900", "interval_s = 7", "divide a day"),
        ("interval_s = 900", "interval_s = 0", "divide a day"),
        ("interval_s = 900", "interval_s = -60", "divide a day"),
        ("interval_s = 900", "interval_s = 172800", "divide a day"),
        ('name = "e1"', 'name = "e-1"', "has a hyphen"),
        ('site = "sola-north"', 'site = "Sola"', "edge id 'Sola-e1'"),
        ('namespace = "plant.example"', 'namespace = "Plant"', "namespace 'Plant'"),
        (OWNER, "owner", "owner_key is no verifier key"),
        ('key_file = "edge.pem"', 'key_file = "-----BEGIN PRIVATE KEY-----"', "holds a secret instead of a path"),
        ('id = "export"', 'id = "Export"', "meter id 'Export'"),
        (
            "interval_s = 900",
            'interval_s = 900\n\n[clock]\nsource = "lockstep"',
            "[clock].address = '' does not go with",
        ),
        ("interval_s = 900", "interval_s = 900\ninterval = 9", "did you mean interval_s"),
        ('password_file = "mqtt.txt"', 'password = "hunter2"', "did you mean password_file"),
        ("unit = 1", "unit = 256", "unit"),
        ("timeout_s = 0.5", "timeout_s = 0", "timeout_s"),
    ],
)
def test_refused_in_one_sentence(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert old in GOOD
    with pytest.raises(BadConfiguration) as caught:
        load_settings(_write(tmp_path, GOOD.replace(old, new)), {})
    assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_meters(tmp_path: Path) -> None:
    told = load_settings(_write(tmp_path), {})
    text = GOOD[: GOOD.index("[[meter]]")].replace("[edge]", "meter = []\n[edge]")
    with pytest.raises(SettingsInvalid, match="0 \\[\\[meter\\]\\] entries"):
        load_settings(_write(tmp_path, text), {})
    assert list(problems(told)) == []


@pytest.mark.parametrize("name", ["edge.pem", "roster.note", "mqtt.txt"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SettingsInvalid, match=name):
        check_files(load_settings(path, {}), tmp_path)
