"""A day of plant time without meters and without the broker: what was committed all arrives, and the meters come back.

Lockstep, quarter hours, the driver in this test. Broker and plant are killed and started again; the edge never is.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hakari.quality import Quality
from hakari.wire.rows import once
from simulate.driver import Driver
from simulate.plant import Plant, load_plant
from simulate.run import serving
from tests.system.chain import Chain, solar

pytestmark = pytest.mark.system

START_MS = 1_467_356_400_000  # 2016-07-01T00:00:00-07:00
STEP_MS = 900_000
DAY = 96
EVENING = 40
POINT = "solar-e1/export/energy_export"


class Drive:
    """Plant time in this process: the driver, and the meters while they are on."""

    def __init__(self, chain: Chain, driver: Driver, plant: Plant) -> None:
        self.chain, self.driver, self.plant = chain, driver, plant
        self.tick = 0
        self.now_ms = START_MS

    async def ticks(self, count: int, *, meters: bool) -> list[int]:
        """Quarter hours that every room has followed, with or without meters; their times."""
        times: list[int] = []
        async with AsyncExitStack() as stack:
            if meters:
                await stack.enter_async_context(serving([self.plant], lambda: self.now_ms))
            for _ in range(count):
                self.tick += 1
                self.now_ms = START_MS + self.tick * STEP_MS
                await self.driver.step(self.tick, self.now_ms, lambda _: None)
                times.append(self.now_ms)
        return times


async def _run(chain: Chain) -> tuple[list[int], list[int]]:
    place = chain.layout.plants[0]
    plant = load_plant(place.plant_file, {})
    driver = Driver([place.edge_id], watchers=["ingest"], port=chain.layout.driver_port, wait_limit_s=60.0)
    async with driver:
        drive = Drive(chain, driver, plant)
        await asyncio.to_thread(_start, chain)
        await driver._wait("watcher")
        before = await drive.ticks(EVENING, meters=True)
        chain.processes.kill("broker")
        without = await drive.ticks(DAY, meters=False)
        assert chain.alive(place.edge_id), "the edge ended"
        chain.start("broker")
        after = await drive.ticks(EVENING, meters=True)
        await driver.flush()
    return before + after, without


def _start(chain: Chain) -> None:
    chain.start("broker")
    chain.processes.wait_listening("broker", "127.0.0.1", chain.layout.broker_port)
    chain.start("ingest")
    chain.start("solar-e1")


def test_a_day_without_broker_and_meters_then_everything_arrives(tmp_path: Path) -> None:
    with Chain(tmp_path, [solar()], "2016-07-01T00:00:00-07:00", "2016-07-03T00:00:00-07:00") as chain:
        read, without = asyncio.run(_run(chain))
        assert chain.processes.stop("solar-e1") == 0
        chain._settle()
        assert chain.processes.stop("ingest") == 0
        chain.assert_nothing_lost_or_doubled()
        assert sum(chain.committed("solar-e1").values()) == len(read) + len(without), "a slot was not sampled"
        view = chain.view()
        rows = {row.t_ms: row for row in once(view.read(POINT, 0, 2**53))}
        view.close()
        assert [t_ms for t_ms in read[:EVENING] if rows[t_ms].quality == Quality.BAD] == []
        # The first slots after a long silence may go by until the meters are asked again.
        back = [t_ms for t_ms in read[EVENING:] if rows[t_ms].quality != Quality.BAD]
        assert len(back) >= EVENING - 4
        assert all(rows[t_ms].quality == Quality.BAD for t_ms in without if t_ms in rows)
