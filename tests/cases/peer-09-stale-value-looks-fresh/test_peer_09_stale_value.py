"""A value is shown with when it was acquired and how old it is; a silent meter has none."""

from __future__ import annotations

from edge.modbus.bus import Exchange
from edge.tools.reading_report import Asked, profile_of, report_of, shown
from hakari.registers.requests import ReadRequest

READ_MS = 1_795_000_000_000
REQUEST = ReadRequest(1, 3, 72, 1).encode()
PROFILE = profile_of(Asked(unit=1, table="holding", address=72, type="u16"))
ANSWERED = Exchange(REQUEST, bytes.fromhex("0302002a"), "", READ_MS, 1000, 12_000)
SILENT = Exchange(REQUEST, b"", "timeout", READ_MS + 1000, 2000, 1_000_000)


def test_every_value_has_its_time_and_its_age() -> None:
    (reading,) = report_of("m", PROFILE, [ANSWERED], READ_MS + 90_000).readings
    assert (reading.value, reading.acquired, reading.age_ms) == ("42", "2026-11-18T11:06:40.000Z", 90_000)
    text = shown(report_of("m", PROFILE, [ANSWERED], READ_MS + 90_000), raw=False)
    assert "11:06:40.000Z  90000 ms  12 ms" in text


def test_a_silent_meter_has_no_value_not_the_last_one() -> None:
    first = report_of("m", PROFILE, [ANSWERED], READ_MS)
    then = report_of("m", PROFILE, [SILENT], READ_MS + 1000)
    assert [one.value for one in first.readings] == ["42"]
    assert [(one.value, one.quality, one.reason, one.words) for one in then.readings] == [(None, "BAD", "timeout", "")]
    assert then.has_problem
    assert not first.has_problem
