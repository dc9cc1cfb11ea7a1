"""The bus against a real Modbus server and against one that answers wrongly: no value is ever taken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.bus import Exchange
from edge.frame import verdict
from edge.modbus import Bus
from edge.settings import BusTable
from hakari.clock import PlantTime
from hakari.registers.requests import ReadRequest

TIMEOUT_S = 0.3
ASKED = ReadRequest(1, 3, 100, 2)
GOOD = "0000 0007 01 03 04 1234 5678"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StillClock:
    """Plant time that stands still."""

    def now(self) -> PlantTime:
        """One instant."""
        return PlantTime(1_000, 7, "lockstep")


CLOCK = StillClock()


async def _read(bus: Bus, request: ReadRequest = ASKED) -> Exchange:
    return await bus.read(request, CLOCK)


@contextlib.asynccontextmanager
async def _meter(port: int = 0) -> AsyncIterator[int]:
    """A pymodbus server, unit 1, holding registers 100..109 = 1..10, input registers 100..109 = 11..20."""
    blocks = ([SimData(0, datatype=DataType.BITS)], [SimData(0, datatype=DataType.BITS)])
    holding = [SimData(100, values=list(range(1, 11)), datatype=DataType.REGISTERS)]
    inputs = [SimData(100, values=list(range(11, 21)), datatype=DataType.REGISTERS)]
    server = ModbusTcpServer(SimDevice(1, simdata=(*blocks, holding, inputs)), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


@contextlib.asynccontextmanager
async def _serving(serve: Serve) -> AsyncIterator[int]:
    """A TCP server whose every connection is handled by `serve`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _bus(port: int) -> Bus:
    return Bus(BusTable(id="b", host="127.0.0.1", port=port, timeout_s=TIMEOUT_S))


def _answering(template: str) -> Serve:
    """Answers every request with these bytes behind the request's own transaction id."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readexactly(12)
            writer.write(request[:2] + bytes.fromhex(template))

    return serve


def test_reads_what_the_meter_holds() -> None:
    async def run() -> None:
        async with _meter() as port:
            bus = _bus(port)
            for _ in range(3):
                exchange = await _read(bus)
                assert exchange[:5] == (ASKED.encode(), bytes.fromhex("0304 0001 0002"), "", 1_000, 7)
                assert exchange.round_trip_us > 0
            assert (await _read(bus, ReadRequest(1, 4, 108, 2))).answer == bytes.fromhex("0404 0013 0014")
            bus.close()

    asyncio.run(run())


def test_exception_answer_is_kept_and_the_connection_too() -> None:
    async def run() -> None:
        async with _meter() as port:
            bus = _bus(port)
            refused = await _read(bus, ReadRequest(1, 3, 5000, 1))
            assert (refused.answer, refused.error) == (bytes.fromhex("8302"), "exception 2 (illegal data address)")
            assert (await _read(bus)).error == ""
            bus.close()

    asyncio.run(run())


def test_first_connection_and_reconnection_never_give_up() -> None:
    async def run() -> None:
        async with _meter() as port:
            bus = _bus(port)
            assert (await _read(bus)).error == ""
        for _ in range(3):
            assert (await _read(bus))[1:3] == (b"", "connection")
        async with _meter(port):
            assert (await _read(bus)).error == ""
        bus.close()

    asyncio.run(run())


WRONG = {
    "wrong protocol": "0001 0007 01 03 04 1234 5678",
    "wrong unit": "0000 0007 02 03 04 1234 5678",
    "wrong function": "0000 0007 01 04 04 1234 5678",
    "exception of another function": "0000 0003 01 84 02",
    "short count": "0000 0005 01 03 02 1234",
    "long count": "0000 0009 01 03 06 1234 5678 9abc",
    "byte count beyond the data": "0000 0007 01 03 06 1234 5678",
    "byte count below the data": "0000 0007 01 03 02 1234 5678",
    "bytes after the answer": GOOD + "00",
    "two answers": GOOD + "0001" + GOOD,
    "odd length": "0000 0006 01 03 03 1234 56",
    "a write's echo": "0000 0006 01 06 0064 0002",
    "garbage": "dead beef dead beef dead beef",
    "a page of garbage": "ff" * 200,
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n".hex(),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answer_is_no_answer(what: str) -> None:
    async def run() -> None:
        async with _serving(_answering(WRONG[what])) as port:
            bus = _bus(port)
            for _ in range(2):
                exchange = await _read(bus)
                assert exchange.answer == b""
                assert exchange.error.startswith("mismatch: ")
            bus.close()

    asyncio.run(run())


def test_wrong_transaction_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readexactly(12)
            writer.write(bytes((request[0], request[1] ^ 1)) + bytes.fromhex(GOOD))

    async def run() -> None:
        async with _serving(serve) as port:
            assert (await _read(_bus(port)))[1:3] == (b"", "mismatch: transaction 0000 instead of 0001")

    asyncio.run(run())


@pytest.mark.parametrize("cut", range(1, 13))
def test_truncated_answer_is_a_timeout_and_a_hang_up_a_lost_connection(cut: int) -> None:
    whole = bytes.fromhex(GOOD)

    async def run(*, hang_up: bool) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readexactly(12)
            writer.write((request[:2] + whole)[:cut])
            if not hang_up:
                await reader.read()

        async with _serving(serve) as port:
            bus = _bus(port)
            exchange = await _read(bus)
            bus.close()
            assert exchange.answer == b""
            return exchange.error

    assert asyncio.run(run(hang_up=True)) == "connection"
    if cut == 12:
        assert asyncio.run(run(hang_up=False)) == "timeout"


def test_answer_in_single_bytes_is_taken() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readexactly(12)
        for byte in request[:2] + bytes.fromhex(GOOD):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.001)
        await reader.read()

    async def run() -> None:
        async with _serving(serve) as port:
            bus = _bus(port)
            assert (await _read(bus)).answer == bytes.fromhex("03 04 1234 5678")
            bus.close()

    asyncio.run(run())


def test_late_answer_is_never_taken_for_a_later_request() -> None:
    """The first request of the first connection is answered after its timeout, with transaction 1 as any first one."""
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        late = len(connections) == 1
        while True:
            request = await reader.readexactly(12)
            if late:
                await asyncio.sleep(2 * TIMEOUT_S)
            value = "dead dead" if late else "0001 0002"
            writer.write(request[:2] + bytes.fromhex("0000 0007 01 03 04" + value))

    async def run() -> None:
        async with _serving(serve) as port:
            bus = _bus(port)
            assert (await _read(bus))[1:3] == (b"", "timeout")
            for _ in range(20):
                assert (await _read(bus)).answer == bytes.fromhex("03 04 0001 0002")
                await asyncio.sleep(0.02)
            assert len(connections) == 2
            bus.close()

    asyncio.run(run())


def test_answer_that_nobody_asked_for_ends_the_connection() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while True:
            request = await reader.readexactly(12)
            writer.write(request[:2] + bytes.fromhex(GOOD))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(b"\0\2" + bytes.fromhex("0000 0007 01 03 04 dead dead"))

    async def run() -> None:
        async with _serving(serve) as port:
            bus = _bus(port)
            for expected in range(1, 4):
                assert (await _read(bus)).answer == bytes.fromhex("03 04 1234 5678")
                assert len(connections) == expected
                await asyncio.sleep(0.2)
            bus.close()

    asyncio.run(run())


def test_host_that_is_silent_at_connecting_is_left_alone_for_a_while() -> None:
    """A listener whose queue is full: connecting times out, as to a host behind a firewall that drops."""

    async def run() -> None:
        with socket.socket() as listener, contextlib.ExitStack() as queue:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                waiting = queue.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            bus = _bus(listener.getsockname()[1])
            assert (await _read(bus))[1:3] == (b"", "connection timeout")
            assert (await _read(bus))[1:3] == (b"", "connection timeout, waiting before the next attempt")

    asyncio.run(run())


def test_cancelled_read_leaves_nothing_behind() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(12)
        await asyncio.sleep(0.1)
        writer.write(first[:2] + bytes.fromhex(GOOD))
        await _answering("0000 0007 01 03 04 0001 0002")(reader, writer)

    async def run() -> None:
        async with _serving(serve) as port:
            bus = _bus(port)
            reading = asyncio.create_task(_read(bus))
            await asyncio.sleep(0.05)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert (await _read(bus)).answer == bytes.fromhex("03 04 1234 5678")
            bus.close()
            assert [task for task in asyncio.all_tasks() if "execute" in repr(task)] == []

    asyncio.run(run())


@pytest.mark.parametrize("cut", range(13))
def test_verdict_waits_for_every_byte_of_a_good_answer(cut: int) -> None:
    sent, whole = b"\0\1" + b"\0\0\0\6" + ASKED.encode(), b"\0\1" + bytes.fromhex(GOOD)
    assert verdict(sent, whole[:cut], ASKED) == ("" if cut == len(whole) else None)


@pytest.mark.parametrize("at", [*range(7), 7, 8])
def test_verdict_refuses_every_flipped_header_byte(at: int) -> None:
    sent, whole = b"\0\1" + b"\0\0\0\6" + ASKED.encode(), b"\0\1" + bytes.fromhex(GOOD)
    for bit in range(8):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        found = verdict(sent, bytes(flipped), ASKED)
        assert found
        assert found.startswith("mismatch: ")
