"""A Modbus TCP server of one device in a thread of its own, for tests that call commands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


@contextmanager
def serving(unit: int, address: int, words: list[int]) -> Iterator[int]:
    """The port of a server whose `unit` holds these registers from `address` on."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> ModbusTcpServer:
        bits = [[SimData(0, datatype=DataType.BITS)] for _ in range(2)]
        holding = [SimData(address, values=words, datatype=DataType.REGISTERS)]
        device = SimDevice(unit, simdata=(bits[0], bits[1], holding, [SimData(0, datatype=DataType.REGISTERS)]))
        server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(10)  # type: ignore[no-untyped-call]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
