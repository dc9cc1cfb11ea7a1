"""What stands at the other end of a bus: a real server, one that answers as it is told, and a line between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.modbus.bus import Bus
from edge.modbus.buses import open_bus
from edge.settings import BusTable
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import StillClock, crc

TIMEOUT_S = 0.15
LATE_S = 0.35
ADAPTERS = ("tcp", "pymodbus", "rtu", "rtu-over-tcp")
ASKED = ReadRequest(1, 3, 100, 2)
GOOD = bytes.fromhex("01 03 04 1234 5678")
CLOCK = StillClock()

Body = Callable[[bytes], bytes]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class World:
    """One kind of bus and where its other end is. `asked` holds unit and PDU of each request that came."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.device = folder / "line"
        self.asked: list[bytes] = []
        self.connections = 0
        self._bridges = contextlib.AsyncExitStack()

    @property
    def rtu(self) -> bool:
        """Whether frames are those of RTU."""
        return self.kind.startswith("rtu")

    def framed(self, request: bytes, body: bytes) -> bytes:
        """`body` (unit and PDU) as the answer to the frame `request`."""
        return body + crc(body) if self.rtu else request[:2] + struct.pack(">HH", 0, len(body)) + body

    async def next_request(self, reader: asyncio.StreamReader) -> bytes:
        """The next request's whole frame."""
        if self.rtu:
            frame = await reader.readexactly(2)
            frame += await reader.readexactly(5 if frame[1] == 0x2B else 6)
            self.asked.append(frame[:-2])
        else:
            frame = await reader.readexactly(6)
            frame += await reader.readexactly(int.from_bytes(frame[4:6], "big"))
            self.asked.append(frame[6:])
        return frame

    def bus(self, port: int) -> Bus:
        """The bus to what listens on `port`; of a serial line the device, which `line` lays."""
        if self.kind == "rtu":
            place = BusTable(id="b", kind="rtu", device=str(self.device), baud_rate=115200, timeout_s=TIMEOUT_S,
                             late_s=LATE_S)  # fmt: skip
        elif self.kind == "rtu-over-tcp":
            place = BusTable(id="b", kind="rtu-over-tcp", host="127.0.0.1", port=port, baud_rate=115200,
                             timeout_s=TIMEOUT_S, late_s=LATE_S)  # fmt: skip
        else:
            adapter = "pymodbus" if self.kind == "pymodbus" else "hakari"
            place = BusTable(id="b", host="127.0.0.1", port=port, timeout_s=TIMEOUT_S, adapter=adapter)  # type: ignore[arg-type]
        return open_bus(place)

    @contextlib.asynccontextmanager
    async def meter(self, port: int = 0) -> AsyncIterator[int]:
        """A pymodbus server, unit 1, holding registers 100..109 = 1..10, input registers 100..109 = 11..20."""
        blocks = ([SimData(0, datatype=DataType.BITS)], [SimData(0, datatype=DataType.BITS)])
        holding = [SimData(100, values=list(range(1, 11)), datatype=DataType.REGISTERS)]
        inputs = [SimData(100, values=list(range(11, 21)), datatype=DataType.REGISTERS)]
        server = ModbusTcpServer(
            SimDevice(1, simdata=(*blocks, holding, inputs)),
            framer=FramerType.RTU if self.rtu else FramerType.SOCKET,
            identity=ModbusDeviceIdentification(  # type: ignore[no-untyped-call]
                info_name={"VendorName": "Maker", "ProductCode": "M-1", "MajorMinorRevision": "2.10"}
            ),
            address=("127.0.0.1", port),
        )
        await server.serve_forever(background=True)
        try:
            listening: int = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            async with self.line(listening):
                yield listening
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]

    @contextlib.asynccontextmanager
    async def serving(self, serve: Serve) -> AsyncIterator[int]:
        """A server whose every connection is handled by `serve`."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                return
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        try:
            listening: int = server.sockets[0].getsockname()[1]
            async with self.line(listening):
                yield listening
        finally:
            server.close()

    @contextlib.asynccontextmanager
    async def line(self, port: int) -> AsyncIterator[None]:
        """For a serial bus: a pseudo-terminal whose other end is a connection to `port`."""
        if self.kind != "rtu":
            yield
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pseudo_terminal(self.device) as near:
            loop = asyncio.get_running_loop()
            loop.add_reader(near, lambda: writer.write(_read(near)))

            async def back() -> None:
                while data := await reader.read(4096):
                    os.write(near, data)
                loop.remove_reader(near)
                self.device.unlink()
                hung_up = os.open(os.devnull, os.O_RDWR)
                os.dup2(hung_up, near)
                os.close(hung_up)

            passing = asyncio.create_task(back())
            try:
                yield
            finally:
                loop.remove_reader(near)
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)
                writer.close()

    def answering(self, body: Body) -> Serve:
        """Answers every request with the unit and PDU that `body` makes of its unit and PDU."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                frame = await self.next_request(reader)
                writer.write(self.framed(frame, body(self.asked[-1])))

        return serve


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""


@contextlib.contextmanager
def pseudo_terminal(device: Path) -> Iterator[int]:
    """A serial device at `device`; the file descriptor of its other end. The device vanishes at the end."""
    near, far = os.openpty()
    tty.setraw(far)
    device.symlink_to(os.ttyname(far))
    try:
        yield near
    finally:
        device.unlink(missing_ok=True)
        os.close(near)
        os.close(far)
