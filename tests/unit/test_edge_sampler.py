"""Samples: buses side by side, a silent meter costs one timeout, errors are blocks."""

from __future__ import annotations

import asyncio

import pytest

from edge.bus import Exchange
from edge.plan import MeterPlan
from edge.sampler import sample_slot
from hakari.clock import PlantClock, PlantTime
from hakari.registers.profile import Point, Profile
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter
from hakari.wire.leaf import Block

PROFILE = Profile("p", "maker", "model", "source", "two-sources", [Point("a", 0, "u16", "gauge")])
REQUESTS = tuple(ReadRequest(1, 3, address, 1) for address in (0, 10, 20))


class Clock:
    """Plant time that stands still."""

    def now(self) -> PlantTime:
        """One instant."""
        return PlantTime(5_000, 50, "lockstep")


class ScriptedBus:
    """Answers each read with the next error of its script ("" = a value) and remembers who was asked when."""

    def __init__(self, script: list[str], log: list[str]) -> None:
        self._script = iter(script)
        self._log = log

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """The next line of the script."""
        self._log.append(f"unit {request.unit} at {request.address}")
        await asyncio.sleep(0.001)
        error, now = next(self._script), clock.now()
        answer = bytes.fromhex("0302 0001") if not error else bytes.fromhex("8302") * error.startswith("exception")
        return Exchange(request.encode(), answer, error, now.wall_ms, now.mono_ms, 9)


def _meter(name: str, bus: str) -> MeterPlan:
    return MeterPlan(Meter(name, bus, 1, "", PROFILE), REQUESTS)


def _take(scripts: dict[str, list[str]], *plan: MeterPlan) -> tuple[list[Block], list[str]]:
    log: list[str] = []
    buses = {name: ScriptedBus(script, log) for name, script in scripts.items()}
    sample = asyncio.run(sample_slot(buses, plan, 4_000, Clock()))
    assert (sample.slot_ms, sample.mono_ms) == (4_000, 50)
    return sample.blocks, log


def test_blocks_stand_in_the_order_of_the_plan() -> None:
    plan = (_meter("a", "x"), _meter("b", "y"), _meter("c", "x"))
    blocks, log = _take({"x": [""] * 6, "y": [""] * 3}, *plan)
    assert [block.meter for block in blocks] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert len(log) == 9
    assert blocks[1] == Block("a", "modbus-tcp", "0103000a0001", 5_000, 9, answer="03020001")


@pytest.mark.parametrize("error", ["timeout", "connection", "mismatch: unit 2 instead of 1", "exception 11 (silent)"])
def test_silent_meter_is_asked_once(error: str) -> None:
    blocks, log = _take({"x": ["", error, "", "", ""]}, _meter("a", "x"), _meter("b", "x"))
    assert [block.error for block in blocks] == ["", error, f"not tried: {error}", "", "", ""]
    assert blocks[2].answer == ""
    assert len(log) == 5


def test_exception_of_the_meter_itself_skips_nothing() -> None:
    blocks, log = _take({"x": ["exception 2 (illegal data address)", "", ""]}, _meter("a", "x"))
    assert [block.answer for block in blocks] == ["8302", "03020001", "03020001"]
    assert len(log) == 3


def test_buses_are_read_side_by_side() -> None:
    _, log = _take({"x": [""] * 3, "y": [""] * 3}, _meter("a", "x"), _meter("b", "y"))
    assert log[:2] == ["unit 1 at 0", "unit 1 at 0"]
