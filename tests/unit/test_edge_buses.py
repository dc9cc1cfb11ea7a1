"""Which adapter a bus stands for, what it waits for its meters, and what an edge need not load."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from edge.modbus.buses import open_bus
from edge.modbus.by_pymodbus import PymodbusBus
from edge.modbus.rtu import RtuBus
from edge.modbus.tcp import TcpBus
from edge.modbus.waits import Waits, waits_of
from edge.settings import BusTable
from hakari.registers.profile import Point, Profile
from hakari.wire.configuration import Meter

PROFILE = Profile("p", "maker", "model", "source", "two-sources", [Point("a", 0, "u16", "gauge")])


@pytest.mark.parametrize(
    ("place", "kind", "protocol"),
    [
        (BusTable(id="b", host="h"), TcpBus, "modbus-tcp"),
        (BusTable(id="b", host="h", adapter="pymodbus"), PymodbusBus, "modbus-tcp"),
        (BusTable(id="b", kind="rtu", device="/dev/null"), RtuBus, "modbus-rtu"),
        (BusTable(id="b", kind="rtu-over-tcp", host="h"), RtuBus, "modbus-rtu-tcp"),
    ],
)
def test_each_kind_has_its_adapter(place: BusTable, kind: type, protocol: str) -> None:
    bus = open_bus(place)
    assert (type(bus), bus.protocol) == (kind, protocol)


def test_bus_waits_as_long_as_its_slowest_meter_and_each_gap_is_its_meters() -> None:
    slow = msgspec.structs.replace(PROFILE, connect_delay_ms=2_000, request_gap_ms=50)
    quick = msgspec.structs.replace(PROFILE, connect_delay_ms=500)
    meters = [Meter("a", "b", 7, "", slow), Meter("c", "b", 8, "", quick)]
    assert waits_of(meters) == Waits(2_000, {7: 50})
    assert waits_of([]) == Waits()


def test_running_edge_loads_no_pymodbus() -> None:
    code = "import sys, edge.run; print(sorted({'pymodbus', 'serial', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
