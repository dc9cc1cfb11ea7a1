"""24 hours without the meter, and without the line: both recover without a restart, within half a minute."""

from __future__ import annotations

import pytest

from edge.modbus.bus import Backoff
from tests.unit.edge_lines import Device, Plant, counter, errors, gauge, profile_of

DAY_SLOTS = 8640
HALF_MINUTE_S = 30.0


@pytest.mark.parametrize("slots", [1, 10, DAY_SLOTS])
def test_a_meter_that_was_away_is_read_whole_within_half_a_minute(slots: int) -> None:
    plant = Plant({1: Device(silent=True), 2: Device()}, profile_of([counter(0), gauge(9)]))
    for _ in range(slots):
        plant.slot()
    plant.devices[1].silent = False
    back = [[error for meter, error in errors(plant.slot()) if meter == "m1"] for _ in range(4)]
    assert back[3] == ["", ""]
    assert all(both == ["", ""] or all(both) for both in back)


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, DAY_SLOTS])
def test_a_line_that_was_away_is_read_whole_in_the_first_slot(slots: int) -> None:
    plant = Plant({1: Device(), 2: Device()}, profile_of([counter(0), gauge(9)]))
    plant.line.closed = "connection timeout"
    for _ in range(slots):
        plant.slot()
    plant.line.closed = ""
    assert [error for _, error in errors(plant.slot())] == [""] * 4


def test_a_place_that_was_silent_for_a_day_is_tried_again_within_half_a_minute() -> None:
    backoff, now_s = Backoff(1.0), 0.0
    for _ in range(3000):
        backoff.failed(now_s, "connection timeout")
        now_s += HALF_MINUTE_S
        assert not backoff.holds(now_s)
