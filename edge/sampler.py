"""Samples: every meter read once a wall-clock slot, buses side by side, the meters of a bus in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from edge.bus import Exchange
from edge.plan import MeterPlan, Plan
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest
from hakari.wire.leaf import Block, Sample

PROTOCOL = "modbus-tcp"
NOT_TRIED = "not tried: "
MAX_ERROR_CHARS = 200
# A gateway's word that the meter behind it is silent; the other exceptions come from the meter itself.
SILENT = ("exception 10 ", "exception 11 ")


class Reads(Protocol):
    """A bus: `edge.modbus.Bus`, or anything that answers like one."""

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange, errors included."""
        ...


def next_slot(now_ms: int, interval_ms: int) -> int:
    """The first slot after `now_ms`: slots are the whole multiples of `interval_ms` in UTC."""
    return (now_ms // interval_ms + 1) * interval_ms


def slots_within(began_ms: int, took_ms: int, interval_ms: int) -> int:
    """How many slots begin in the `took_ms` after `began_ms`: those that a sample of that length lets pass."""
    return (began_ms + took_ms) // interval_ms - began_ms // interval_ms


async def sample_slot(buses: Mapping[str, Reads], plan: Plan, slot_ms: int, clock: PlantClock) -> Sample:
    """All blocks of one slot, in the order of the plan.

    A failed read is a block with its error. A meter that does not answer costs one timeout: what was still
    to be asked of it is recorded as "not tried: …". An exception answer from the meter itself skips nothing.
    """
    mono_ms = clock.now().mono_ms
    by_bus: dict[str, list[MeterPlan]] = {}
    for meter in plan:
        by_bus.setdefault(meter.meter.bus, []).append(meter)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_read_bus(buses[bus], meters, clock)) for bus, meters in by_bus.items()]
    blocks = {meter: found for task in tasks for meter, found in task.result().items()}
    return Sample(slot_ms=slot_ms, mono_ms=mono_ms, blocks=[b for m in plan for b in blocks[m.meter.id]])


async def _read_bus(bus: Reads, meters: Iterable[MeterPlan], clock: PlantClock) -> dict[str, list[Block]]:
    return {meter.meter.id: await _read_meter(bus, meter, clock) for meter in meters}


async def _read_meter(bus: Reads, meter: MeterPlan, clock: PlantClock) -> list[Block]:
    blocks: list[Block] = []
    silent = ""
    for request in meter.requests:
        if silent:
            now = clock.now()
            exchange = Exchange(request.encode(), b"", NOT_TRIED + silent, now.wall_ms, now.mono_ms, 0)
        else:
            exchange = await bus.read(request, clock)
            silent = exchange.error if is_silent(exchange.answer, exchange.error) else ""
        blocks.append(block_of(meter.meter.id, exchange))
    return blocks


def is_silent(answer: bytes, error: str) -> bool:
    """Whether an exchange brought no word from the meter itself."""
    return bool(error) and (not answer or error.startswith(SILENT))


def block_of(meter: str, exchange: Exchange) -> Block:
    """The exchange as it is logged."""
    return Block(
        meter=meter,
        protocol=PROTOCOL,
        request=exchange.request.hex(),
        wall_ms=max(0, exchange.wall_ms),
        round_trip_us=exchange.round_trip_us,
        answer=exchange.answer.hex(),
        error=exchange.error[:MAX_ERROR_CHARS],
    )
