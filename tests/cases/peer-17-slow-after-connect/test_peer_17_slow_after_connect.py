"""Pauses of a profile are part of the cycle time, and a timeout that is too short for the profile is told."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.library import profile
from edge.modbus.waits import waits_of
from edge.reads.cycle import cycles_of
from edge.settings import BusTable
from edge.tools.check import check
from tests.unit.edge_folder import one_meter, settings_in
from tests.unit.edge_lines import Device, Plant

BODY = one_meter("huawei-sun2000", "inverter", "pv", 'host = "10.0.0.7"')


def test_the_pauses_of_the_profile_reach_the_bus_and_the_cycle_time() -> None:
    slow = profile("huawei-sun2000", Path())
    assert (slow.connect_delay_ms, slow.request_gap_ms) == (1000, 50)
    plant = Plant({1: Device()}, slow)
    assert waits_of(plant.configuration.meters).connect_delay_ms == 1000
    assert dict(waits_of(plant.configuration.meters).gap_ms_by_unit) == {1: 50}
    bus = BusTable(id="line", host="h")
    (with_gap,) = cycles_of([bus], plant.configuration)
    quick = msgspec.structs.replace(slow, request_gap_ms=0)
    (without,) = cycles_of([bus], Plant({1: Device()}, quick).configuration)
    assert with_gap.ms == without.ms + 50 * with_gap.requests


def test_a_timeout_shorter_than_the_answer_is_told_before_it_hurts(tmp_path: Path) -> None:
    report = check(settings_in(tmp_path, BODY), {})
    assert report.refused == []
    (sentence,) = [one for one in report.warnings if "an answer may take" in one]
    assert sentence.startswith("meter inverter: by its profile huawei-sun2000 an answer may take 15 s, bus pv waits")
