"""`python -m bench.reader_bare PORT SAMPLES UNIT:ADDRESS:COUNT …`: the same reads by pymodbus alone, nothing kept."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient

from bench.meter import report


async def _read(port: int, samples: int, requests: Sequence[tuple[int, int, int]]) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    if not await client.connect():
        raise ConnectionError(f"no meters on port {port}")
    with report():
        for _ in range(samples):
            for unit, address, count in requests:
                answer = await client.read_holding_registers(address, count=count, device_id=unit)
                if answer.isError() or len(answer.registers) != count:
                    raise ConnectionError(f"unit {unit} does not give {count} registers from {address}")
    client.close()


if __name__ == "__main__":
    wanted = [tuple(map(int, word.split(":"))) for word in sys.argv[3:]]
    asyncio.run(_read(int(sys.argv[1]), int(sys.argv[2]), [(unit, first, count) for unit, first, count in wanted]))
