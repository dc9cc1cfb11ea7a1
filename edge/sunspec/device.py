"""Walks the chain of a device on a bus: the only part of SunSpec that reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from edge.modbus.bus import Bus, Exchange, is_silent
from edge.reads.once import ask
from edge.sunspec.chain import Ask, Chain, Heard, walk
from edge.sunspec.definitions import Definition
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest

HOLDING = 3
ATTEMPTS = 2


async def chain_of(
    bus: Bus, unit: int, clock: PlantClock, known: Mapping[int, Definition], bases: Sequence[int]
) -> Chain:
    """The chain of the device at `unit`; each read is tried twice where nothing comes. Errors: those of `walk`."""
    walking = walk(known, bases)
    asked = next(walking)
    while True:
        heard = await _heard(bus, unit, asked, clock)
        try:
            asked = walking.send(heard)
        except StopIteration as done:
            chain: Chain = done.value
            return chain


async def _heard(bus: Bus, unit: int, asked: Ask, clock: PlantClock) -> Heard:
    request = ReadRequest(unit, HOLDING, asked.address, asked.registers)
    for _ in range(ATTEMPTS):
        (exchange,) = await ask(bus, (request,), clock)
        if not is_silent(exchange.error):
            break
    return Heard(_words(exchange), exchange.error)


def _words(exchange: Exchange) -> tuple[int, ...]:
    if exchange.error:
        return ()
    data = exchange.answer[2:]
    return tuple(int.from_bytes(data[first:after], "big") for first, after in pairwise(range(0, len(data) + 1, 2)))
