"""The doctor's verdicts, and that what goes to support holds no secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge.library import profile
from edge.settings import load_settings
from edge.tools import doctor_machine
from edge.tools.doctor import Check, certificate, diagnosis, free_days, only, redacted, report_text, shown
from edge.tools.doctor_lines import bus_checks
from edge.tools.doctor_machine import _doubts, clock_checks, spool_checks, version_checks
from hakari.clock import SYNCHRONISED, UNKNOWN, UNSYNCHRONISED, PlantTime
from hakari.registers.profile import MEASURED
from hakari.wire.configuration import Meter, MeteringConfiguration
from tests.unit.edge_folder import one_meter, settings_in

NOW_MS = 1_795_000_000_000


@pytest.mark.parametrize(
    ("days", "state", "part"),
    [
        (365.0, "ok", "365 more days"),
        (30.5, "ok", ""),
        (29.9, "warn", "this month"),
        (6.9, "warn", "this week"),
        (0.9, "fail", "renew it now"),
        (-3.0, "fail", "expired 3 days ago"),
    ],
)
def test_days_of_a_certificate(days: float, state: str, part: str) -> None:
    found = certificate("own certificate", days)
    assert found.state == state
    assert part in found.detail + found.fix


@pytest.mark.parametrize(("free", "state"), [(10**12, "ok"), (20 * 10**6, "warn"), (2 * 10**6, "fail")])
def test_room_of_the_spool(free: int, state: str) -> None:
    assert free_days(free, 10**6).state == state


@pytest.mark.parametrize(
    ("sync", "wall_ms", "offset_us", "states"),
    [
        (SYNCHRONISED, NOW_MS, 1000, ["ok", "ok"]),
        (SYNCHRONISED, NOW_MS, 5_000_000, ["ok", "warn"]),
        (UNSYNCHRONISED, NOW_MS, 0, ["ok", "warn"]),
        (UNKNOWN, NOW_MS, 0, ["ok", "warn"]),
        (UNSYNCHRONISED, 0, 0, ["fail", "warn"]),
    ],
)
def test_the_clock(sync: str, wall_ms: int, offset_us: int, states: list[str]) -> None:
    assert [one.state for one in clock_checks(PlantTime(wall_ms, 0, sync), offset_us)] == states


CHECKS = [
    Check("config", "settings", "ok", "fine"),
    Check("bus", "pv", "fail", "silent", "plug it in"),
    Check("clock", "synchronised", "warn", "no"),
]


def test_one_line_a_check_with_its_fix() -> None:
    told = diagnosis("sola-e1", CHECKS)
    assert not told.ok
    assert shown(told).splitlines() == [
        "✓ config settings: fine",
        "✗ bus pv: silent → plug it in",
        "! clock synchronised: no",
    ]
    assert diagnosis("sola-e1", [CHECKS[0], CHECKS[2]]).ok
    assert only(CHECKS, ("bus",)) == [CHECKS[1]]


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        "  Password='hunter2'",
        'mqtt_token = "hunter2"',
        '"private.key" = "hunter2"',
        'key_file = """-----BEGIN PRIVATE KEY-----\nhunter2\n"""',
        "key_file = '''hunter2\nhunter2'''",
        'host = "mqtt://user:hunter2@broker"',
        'password_file = "x" # hunter2 \npassword = "hunter2"',
        'secret_file = ["hunter2"]',
    ],
)
def test_bad_input_12_no_secret_reaches_support(line: str) -> None:
    text = redacted(f'[edge]\nsite = "sola"\n{line}\ninterval_s = 900\n')
    assert "hunter2" not in text.replace("# hunter2", "")
    assert text.startswith('[edge]\nsite = "sola"\n')
    assert text.endswith("interval_s = 900")


def test_what_support_gets() -> None:
    text = report_text(diagnosis("sola-e1", CHECKS), redacted('password_file = "p"\nhost = "10.0.0.7"'), "now")
    assert 'password_file = "p"' in text
    assert "✗ bus pv: silent" in text


METERS = one_meter("schneider-iem3155", "export", place='kind = "rtu"\ndevice = "/dev/no-such-line"')


def test_the_configuration_in_force_is_judged_not_the_profile_alone() -> None:
    bundled = msgspec.structs.replace(profile("schneider-iem3155", Path()), proof="constructed")
    names = [point.name for point in bundled.points if point.kind in MEASURED]
    meters = [
        Meter("done", "b", 1, "", bundled, commissioned=names),
        Meter("half", "b", 2, "", bundled, commissioned=names[1:]),
        Meter("other", "b", 3, "", bundled, commissioned=names, suspended="serial was 'A' and is 'B'"),
    ]
    told = list(_doubts(MeteringConfiguration(1, "sola-e1", 900_000, 60_000, meters)))
    assert [(one.name, one.state) for one in told] == [("other", "warn"), ("profiles", "warn")]
    assert told[0].detail == "suspended, its readings do not count: serial was 'A' and is 'B'"
    assert told[1].detail == f"not proven on the meter: half (1 of {len(names)} points)"


@pytest.mark.parametrize("running", [True, False])
def test_a_serial_device_that_is_missing_is_a_fault_also_beside_a_running_edge(tmp_path: Path, running: bool) -> None:
    told = load_settings(settings_in(tmp_path, METERS), {})

    async def checks() -> list[Check]:
        return [one async for one in bus_checks(told, tmp_path, running=running)]

    (found,) = asyncio.run(checks())
    assert (found.state, found.detail) == ("fail", "no such device /dev/no-such-line")


def test_the_reserve_is_no_room(tmp_path: Path) -> None:
    path = settings_in(tmp_path, METERS)
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 900\nmin_free_mb = 1000000"))
    (room,) = [one for one in spool_checks(load_settings(path, {}), path, {}) if one.name == "room"]
    assert room.state == "fail"
    assert room.detail.startswith("sampling stopped: ")
    assert "reserve 1000000 MB" in room.detail


def test_an_adapter_that_is_optional_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "OPTIONAL", ("no-such-adapter",))
    software = next(iter(version_checks()))
    assert software.state == "ok"
    assert "missing" not in software.detail
    assert "pymodbus" not in doctor_machine.PACKAGES
