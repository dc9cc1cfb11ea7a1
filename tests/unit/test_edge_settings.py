"""The edge's settings: one clear refusal each, and the configuration that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.settings import (
    SettingsInvalid,
    check_files,
    edge_id_of,
    load_settings,
    metering_configuration,
    problems,
)
from hakari.errors import BadConfiguration
from hakari.log.note import SigningKey
from hakari.wire.configuration import parse, text_of

OWNER = str(SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier)
GOOD = f"""
[edge]
namespace = "plant.example"
site = "sola-north"
name = "e1"
key_file = "edge.pem"
owner_key = "{OWNER}"
roster_file = "roster.txt"
spool = "spool.sqlite"
interval_s = 900

[broker]
host = "127.0.0.1"
password_file = "mqtt.txt"

[[bus]]
id = "pv"
host = "10.0.0.7"

[[bus]]
id = "house"
host = "10.0.0.8"
port = 1502
timeout_s = 0.5

[[meter]]
id = "inverter"
bus = "pv"
unit = 1
profile = "sunspec-inverter-103"
serial = "PV-000123"

[[meter]]
id = "export"
bus = "house"
unit = 1
profile = "schneider-iem3155"
serial = "4711"
"""


def _write(folder: Path, text: str = GOOD) -> Path:
    path = folder / "edge.toml"
    path.write_text(text)
    for name in ("edge.pem", "roster.txt", "mqtt.txt"):
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


@pytest.mark.parametrize("name", ["edge.pem", "roster.txt", "mqtt.txt"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SettingsInvalid, match=name):
        check_files(load_settings(path, {}), tmp_path)
