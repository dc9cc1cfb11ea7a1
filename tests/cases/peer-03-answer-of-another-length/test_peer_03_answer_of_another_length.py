from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hakari.registers.requests import ReadRequest
from tests.conformance.bus_world import ADAPTERS, CLOCK, World

FOUR = ReadRequest(1, 3, 0, 4)
ACCEPTED_ELSEWHERE = {"one register": "01 03 02 0001", "input registers": "01 04 08 0001 0002 0003 0004"}


@pytest.mark.parametrize("what", ACCEPTED_ELSEWHERE)
@pytest.mark.parametrize("kind", ADAPTERS)
def test_it_is_no_answer(kind: str, what: str, tmp_path: Path) -> None:
    world = World(kind, tmp_path)

    async def run() -> None:
        async with world.serving(world.answering(lambda _: bytes.fromhex(ACCEPTED_ELSEWHERE[what]))) as port:
            bus = world.bus(port)
            exchange = await bus.read(FOUR, CLOCK)
            bus.close()
            assert exchange.answer == b""
            assert exchange.error.startswith("mismatch: ")

    asyncio.run(run())
