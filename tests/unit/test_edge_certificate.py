"""When the edge's certificate ends is logged at the start, daily, at each threshold and when it was renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.certificate import STATE, CertificateWatch, state_of
from hakari import pki
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED, PlantTime
from hakari.wire.events import CERTIFICATE, NOT_AFTER

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
AUTHORITY = pki.new_authority("plant.example", NOW)
KEY = pki.new_key()


def at(days: float, sync: str = SYNCHRONISED) -> PlantTime:
    return PlantTime(int((NOW + timedelta(days=days)).timestamp() * 1000), 0, sync)


def put(path: Path, days: float) -> Path:
    path.write_bytes(pki.pem_of(pki.client_certificate(AUTHORITY, KEY.public_key(), "sola-e1", NOW, days)))
    return path


@pytest.mark.parametrize(
    ("days", "state"),
    [(90.0, "good"), (29.9, "ending"), (6.9, "ending-soon"), (0.9, "ending-now"), (-0.1, "expired")],
)
def test_the_thresholds(days: float, state: str) -> None:
    assert state_of(days) == state


def test_once_a_day_at_a_threshold_and_when_renewed(tmp_path: Path) -> None:
    watch = CertificateWatch(put(tmp_path / "edge.pem", 32))
    first = watch.event(at(0))
    assert first is not None
    assert (first.kind, first.data) == (CERTIFICATE, {NOT_AFTER: "2026-08-02T12:00:00+00:00", STATE: "good"})
    assert watch.event(at(0.1)) is None
    daily = [watch.event(at(day)) for day in (1, 1.9, 2.1)]
    assert [event.data[STATE] if event else None for event in daily] == ["good", "good", "ending"]
    put(tmp_path / "edge.pem", 60)
    renewed = watch.event(at(2.1))
    assert renewed is not None
    assert renewed.data[STATE] == "good"


def test_warnings_are_said_and_no_certificate_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert CertificateWatch(None).event(at(0)) is None
    watch = CertificateWatch(put(tmp_path / "edge.pem", 5))
    watch.event(at(0))
    watch.event(at(5.5))
    assert ["ending-soon" in line for line in caplog.messages] == [True, False]
    assert "is expired" in caplog.messages[1]
    (tmp_path / "edge.pem").unlink()
    gone = watch.event(at(5.6))
    assert gone is not None
    assert gone.data == {NOT_AFTER: "", STATE: "unreadable"}


def test_a_clock_that_is_not_known_judges_nothing(tmp_path: Path) -> None:
    told = CertificateWatch(put(tmp_path / "edge.pem", 5)).event(at(-9000, UNSYNCHRONISED))
    assert told is not None
    assert told.data[STATE] == "good"
