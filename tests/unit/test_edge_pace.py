"""A sample that takes longer than the interval: the edge says that slots are skipped, and at the end how many were."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from edge.modbus.bus import Exchange
from edge.reads.sampler import following
from edge.run import Edge
from edge.settings import load_settings
from hakari.clock import PlantClock, PlantTime
from hakari.registers.requests import ReadRequest
from tests.unit.edge_folder import edge_on, one_meter, settings_in

SLOT_MS = 1_700_000_010_000


class Hands:
    """A clock that stands still until a meter makes it wait; `step_ms` is what somebody turns it by meanwhile."""

    def __init__(self) -> None:
        self.wall_ms = SLOT_MS
        self.mono_ms = 5_000

    def now(self) -> PlantTime:
        return PlantTime(self.wall_ms, self.mono_ms, "test")

    def wait(self, took_ms: int, step_ms: int = 0) -> None:
        self.mono_ms += took_ms
        self.wall_ms += took_ms + step_ms


class SlowBus:
    """A meter each of whose requests takes `each_ms`, on a clock that may be turned at the first one."""

    protocol = "modbus-tcp"

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.each_ms = 0
        self.step_ms = 0

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        self.hands.wait(self.each_ms, self.step_ms)
        self.step_ms = 0
        now = clock.now()
        answer = bytes((request.function, 2 * request.count)) + bytes(2 * request.count)
        return Exchange(request.encode(), answer, "", now.wall_ms, now.mono_ms, 1000 * self.each_ms)

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        now = clock.now()
        return Exchange(bytes((unit, 0x2B, 0x0E, 1, object_id)), b"", "timeout", now.wall_ms, now.mono_ms, 0)

    def close(self) -> None:
        """Nothing is open."""


def settings_of(folder: Path) -> Path:
    """Settings with one meter, sampled every 10 s."""
    return settings_in(folder, one_meter("spirax-sarco-tva", bus="main"), interval_s=10)


def edge_in(folder: Path) -> Edge:
    """The edge of these settings as it comes."""
    return Edge(load_settings(settings_of(folder), {}), folder)


async def _take(folder: Path, samples: list[tuple[int, int]], *, stop: bool = False) -> list[int]:
    """The slots taken, as `edge run` does, with these milliseconds (one request, clock's step) for each sample."""
    hands = Hands()
    bus = SlowBus(hands)
    edge = edge_on(settings_of(folder), hands, {"main": bus})
    slots: list[int] = []
    slot_ms = hands.wall_ms
    for each_ms, step_ms in samples:
        bus.each_ms, bus.step_ms = each_ms, step_ms
        await edge.take(slot_ms)
        slots.append((slot_ms - SLOT_MS) // 1000)
        slot_ms = following(slot_ms, hands.wall_ms, 10_000, 60_000)
        hands.wait(max(0, slot_ms - hands.wall_ms))
    if stop:
        await edge.stop()
    edge.close()
    return slots


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "slot" in one.getMessage()]


def test_skipped_slots_are_told_once_and_counted_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = [(400, 0), (16_000, 0), (36_000, 0), (400, 0), (400, 0)]
    with caplog.at_level(logging.INFO, "hakari.edge"):
        slots = asyncio.run(_take(tmp_path, samples))
    assert slots == [0, 10, 30, 70, 80]
    began = "a sample took 16.0 s, longer than the interval of 10 s: slots are skipped;"
    assert told(caplog) == [
        f"{began} see which meter answers slowly, or lengthen interval_s",
        "samples keep the interval of 10 s again; 4 slots were skipped",
    ]


def test_a_sample_that_ends_a_little_late_costs_no_slot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hakari.edge"):
        slots = asyncio.run(_take(tmp_path, [(400, 0), (12_000, 0), (400, 0), (400, 0)]))
    assert slots == [0, 10, 20, 30]
    assert told(caplog) == []


def test_an_edge_that_stops_tells_what_it_had_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hakari.edge"):
        asyncio.run(_take(tmp_path, [(26_000, 0), (16_000, 0)], stop=True))
    assert told(caplog)[1:] == ["3 slots were skipped up to the end because samples took too long"]


def test_a_clock_that_is_turned_forward_is_no_slow_meter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hakari.edge"):
        asyncio.run(_take(tmp_path, [(400, 3_600_000), (400, 0)]))
    assert told(caplog) == []


def test_slots_are_whole_multiples_of_the_interval() -> None:
    assert {following(0, SLOT_MS + part_ms, 10_000, 60_000) for part_ms in (0, 1, 9_999)} == {SLOT_MS + 10_000}
