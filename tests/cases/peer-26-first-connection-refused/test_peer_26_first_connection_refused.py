from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.conformance.bus_world import ADAPTERS, ASKED, CLOCK, LATE_S, World


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@pytest.mark.parametrize("kind", ADAPTERS)
def test_meter_that_comes_later_is_read(kind: str, tmp_path: Path) -> None:
    world, port = World(kind, tmp_path), _free_port()

    async def run() -> None:
        bus = world.bus(port)
        for _ in range(3):
            assert (await bus.read(ASKED, CLOCK)).error.startswith("connection")
        async with world.meter(port):
            await asyncio.sleep(LATE_S)
            assert (await bus.read(ASKED, CLOCK)).error == ""
            bus.close()

    asyncio.run(run())
