"""Simulated meters over real connections, some of them silent: every neighbour's sample is whole, they come back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.library import profile
from edge.modbus.buses import open_bus
from edge.reads.sampling import Sampling, timeouts_of
from edge.settings import BusTable
from hakari.lockstep import LockstepClock, Tick
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Sample
from simulate.faults import Silence
from simulate.modbus import PlantServer
from simulate.plant import load_plant
from simulate.schedule import Faults

pytestmark = pytest.mark.system

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
INTERVAL_MS = 10_000
METERS = 6
PLANT = """
name = "boiler"
port = 0
[source]
kind = "boiler"
seed = 7
capacity_kw = 2000.0
start = 2026-01-01T00:00:00Z
"""
METER = """
[[meters]]
model = "abb-b23"
unit = {unit}
serial = "B23-{unit:04}"
rated_kw = 60.0
reads = {{ power_w = "aux_power_w", import_wh = "aux_wh" }}
"""


def _sampling(port: int) -> tuple[Sampling, LockstepClock]:
    place = BusTable(id="line", host="127.0.0.1", port=port, timeout_s=0.5)
    found = profile("abb-b23", Path())
    meters = [Meter(f"m{unit}", "line", unit, "", found) for unit in range(1, METERS + 1)]
    clock = LockstepClock()
    clock.set(Tick(0, START_MS))
    configuration = MeteringConfiguration(1, "boiler-e1", INTERVAL_MS, 60_000, meters)
    return Sampling(configuration, {"line": open_bus(place)}, clock, timeouts_s=timeouts_of([place])), clock


def _failed(sample: Sample) -> set[str]:
    return {block.meter for block in sample.blocks if block.error}


def test_silent_units_cost_no_neighbour_a_sample_and_come_back_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(PLANT + "".join(METER.format(unit=unit) for unit in range(1, METERS + 1)))
    plant = load_plant(path, {})
    away = [
        Silence(unit=unit, starts=datetime.fromtimestamp((START_MS + first * INTERVAL_MS) / 1000, UTC),
                until=datetime.fromtimestamp((START_MS + last * INTERVAL_MS) / 1000, UTC))
        for unit, first, last in ((2, 2, 12), (5, 4, 9))
    ]  # fmt: skip
    now_ms = [START_MS]

    async def run() -> list[Sample]:
        server = PlantServer(plant, lambda: now_ms[0], Faults(away, [plant]))
        server.prepare()
        await server.start()
        sampling, clock = _sampling(server.port)
        samples = []
        for k in range(20):
            now_ms[0] = START_MS + k * INTERVAL_MS
            clock.set(Tick(k, now_ms[0]))
            samples.append(await sampling.sample(now_ms[0]))
        await server.stop()
        return samples

    failed = [_failed(sample) for sample in asyncio.run(run())]
    assert all(found <= {"m2", "m5"} for found in failed)
    assert failed[2:12] == [{"m2"}] * 2 + [{"m2", "m5"}] * 5 + [failed[9], failed[10], failed[11]]
    assert failed[15:] == [set()] * 5
