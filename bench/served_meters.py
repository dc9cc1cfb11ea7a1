"""`python -m bench.served_meters PORT UNITS WORDS`: meters that answer FC 3 with moving values, as cheaply as can be.

Written from the Modbus specifications (Messaging on TCP/IP 3.1, Application Protocol 6.3), apart from every other
server and client here, so that what is measured is the reader.
"""

from __future__ import annotations

import asyncio
import random
import struct
import sys

HEADER_BYTES = 8  # transaction, protocol, length, unit, function code
REQUEST_BYTES = 12
READ = 3
MIDDLE = 230.0


def words_of(count: int) -> bytes:
    """`count` registers: single floats, high word first, that differ in each reading as a measured value does."""
    return struct.pack(f">{count // 2}f", *(MIDDLE + random.random() for _ in range(count // 2)))


async def serve(port: int, units: int, words: int) -> None:
    """Serves until the process is ended."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readexactly(HEADER_BYTES)
                if request[7] == READ:
                    request += await reader.readexactly(REQUEST_BYTES - HEADER_BYTES)
                    unit, function, address, count = struct.unpack(">BBHH", request[6:])
                else:
                    await reader.readexactly(int.from_bytes(request[4:6], "big") - 2)
                    unit, function, address, count = request[6], request[7], 0, 0
                if function == READ and 1 <= unit <= units and address + count <= words:
                    body = bytes((unit, function, 2 * count)) + words_of(count)
                else:
                    body = bytes((unit, function | 0x80, 2 if function == READ else 1))
                writer.write(request[:4] + len(body).to_bytes(2, "big") + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:4])))
