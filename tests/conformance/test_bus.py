"""Each adapter of the bus against a real Modbus server and against one that answers wrongly: nothing wrong is taken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge.modbus.bus import Bus, Exchange
from edge.modbus.identification import identified
from hakari.registers.requests import EXCEPTIONS, ReadRequest
from tests.conformance.bus_world import ADAPTERS, ASKED, CLOCK, GOOD, LATE_S, TIMEOUT_S, Serve, World

CONNECTING = [kind for kind in ADAPTERS if kind != "rtu"]


@pytest.fixture(params=ADAPTERS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each adapter's kind of line."""
    return World(request.param, tmp_path)


async def _read(bus: Bus, request: ReadRequest = ASKED) -> Exchange:
    return await bus.read(request, CLOCK)


def _with_bus(world: World, serve: Callable[[World], object], use: Callable[[Bus], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serve(world) as port:  # type: ignore[attr-defined]
            bus = world.bus(port)
            try:
                await use(bus)
            finally:
                bus.close()

    asyncio.run(run())


def _with_meter(world: World, use: Callable[[Bus], Awaitable[None]]) -> None:
    _with_bus(world, World.meter, use)


def _with_answers(world: World, body: Callable[[bytes], bytes], use: Callable[[Bus], Awaitable[None]]) -> None:
    _with_bus(world, lambda one: one.serving(one.answering(body)), use)


def test_reads_what_the_meter_holds(world: World) -> None:
    async def use(bus: Bus) -> None:
        for _ in range(3):
            exchange = await _read(bus)
            assert exchange[:5] == (ASKED.encode(), bytes.fromhex("0304 0001 0002"), "", 1_000, 7)
            assert exchange.round_trip_us > 0
        assert (await _read(bus, ReadRequest(1, 4, 108, 2))).answer == bytes.fromhex("0404 0013 0014")

    _with_meter(world, use)


def test_two_at_once_are_read_one_after_the_other(world: World) -> None:
    async def use(bus: Bus) -> None:
        wanted = [ReadRequest(1, 3, 100 + at, 1) for at in range(6)]
        exchanges = await asyncio.gather(*(_read(bus, request) for request in wanted))
        assert [exchange.answer for exchange in exchanges] == [bytes((3, 2, 0, at + 1)) for at in range(6)]

    _with_meter(world, use)


def test_exception_answer_is_kept_and_the_connection_too(world: World) -> None:
    async def use(bus: Bus) -> None:
        refused = await _read(bus, ReadRequest(1, 3, 5000, 1))
        assert (refused.answer, refused.error) == (bytes.fromhex("8302"), "exception 2 (illegal data address)")
        assert (await _read(bus)).error == ""

    _with_meter(world, use)


def test_bad_input_15_every_exception_is_named_and_costs_no_connection(world: World) -> None:
    async def use(bus: Bus) -> None:
        for code in range(1, 12):
            exchange = await _read(bus, ReadRequest(1, 3, code, 2))
            named = EXCEPTIONS.get(code, "unknown")
            assert (exchange.answer, exchange.error) == (bytes((0x83, code)), f"exception {code} ({named})")
        assert world.connections == 1

    _with_answers(world, lambda asked: bytes((1, 0x83, asked[3])), use)


def test_identifies_the_device(world: World) -> None:
    async def use(bus: Bus) -> None:
        objects, exchanges = await identified(bus, 1, CLOCK)
        assert objects == {0: "Maker", 1: "M-1", 2: "2.10"}
        assert exchanges[0].request == bytes.fromhex("01 2b 0e 01 00")
        assert (await _read(bus)).error == ""

    _with_meter(world, use)


def test_identification_follows_more_and_ends_at_its_limit(world: World) -> None:
    def body(asked: bytes) -> bytes:
        name = bytes((0x41 + asked[4],))
        return bytes.fromhex("01 2b 0e 01 01 ff") + bytes((asked[4] + 1, 1, asked[4], 1)) + name

    async def use(bus: Bus) -> None:
        objects, exchanges = await identified(bus, 1, CLOCK)
        assert objects == {at: chr(0x41 + at) for at in range(8)}
        assert [exchange.error for exchange in exchanges] == [""] * 8

    _with_answers(world, body, use)


def test_device_without_identification_says_so(world: World) -> None:
    async def use(bus: Bus) -> None:
        objects, exchanges = await identified(bus, 1, CLOCK)
        assert (objects, exchanges[-1].error) == ({}, "exception 1 (illegal function)")

    _with_answers(world, lambda _: bytes.fromhex("01 ab 01"), use)


def test_nothing_but_reads_is_ever_sent(world: World) -> None:
    async def use(bus: Bus) -> None:
        for function in (3, 4):
            await _read(bus, ReadRequest(1, function, 7, 2))
        await identified(bus, 1, CLOCK)
        sent = [asked.hex() for asked in world.asked]
        assert sent == ["010300070002", "010400070002", "012b0e0100"]

    _with_answers(world, lambda asked: bytes((1, asked[1] | 0x80, 1)), use)


WRONG = {
    "wrong unit": "02 03 04 1234 5678",
    "wrong function": "01 04 04 1234 5678",
    "exception of another function": "01 84 02",
    "exception of another unit": "02 83 02",
    "short count": "01 03 02 1234",
    "long count": "01 03 06 1234 5678 9abc",
    "byte count beyond the data": "01 03 06 1234 5678",
    "byte count below the data": "01 03 02 1234 5678",
    "odd length": "01 03 03 1234 56",
    "exception without a code": "01 83",
    "a write's echo": "01 06 0064 0002",
    "an identification": "01 2b 0e 01 01 00 00 00",
    "a page": "01 03 fa" + "ff" * 250,
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n".hex(),
}


@pytest.mark.parametrize("what", WRONG)
def test_bad_input_16_17_wrong_answer_is_no_answer(world: World, what: str) -> None:
    async def use(bus: Bus) -> None:
        exchange = await _read(bus)
        assert exchange.answer == b""
        assert exchange.error.startswith("mismatch: ")
        assert (await _read(bus)).answer == b""

    _with_answers(world, lambda _: bytes.fromhex(WRONG[what]), use)


def test_line_is_used_again_after_a_wrong_answer(world: World) -> None:
    def body(asked: bytes) -> bytes:
        return b"\x02" + GOOD[1:] if asked[3] == 100 else GOOD

    async def use(bus: Bus) -> None:
        assert (await _read(bus)).answer == b""
        assert (await _read(bus, ReadRequest(1, 3, 200, 1))).answer == b""
        assert (await _read(bus, ReadRequest(1, 4, 300, 2))).answer == b""
        await asyncio.sleep(LATE_S)
        assert (await _read(bus, ReadRequest(1, 3, 300, 2))).answer == GOOD[1:]

    _with_answers(world, body, use)


@pytest.mark.parametrize("cut", [1, 2, 5, 8])
def test_truncated_answer_is_none_and_a_hang_up_a_lost_connection(world: World, cut: int) -> None:
    async def run(*, hang_up: bool) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            frame = await world.next_request(reader)
            writer.write(world.framed(frame, GOOD)[:cut])
            if not hang_up:
                await reader.read()

        async with world.serving(serve) as port:
            bus = world.bus(port)
            exchange = await _read(bus)
            bus.close()
            assert exchange.answer == b""
            return exchange.error

    assert asyncio.run(run(hang_up=True)) == "connection"
    if cut == 8:
        wanted = "mismatch: 8 bytes came, no answer to this request among them" if world.rtu else "timeout"
        assert asyncio.run(run(hang_up=False)) == wanted


def test_silence_is_a_timeout_and_asked_once(world: World) -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while True:
            await world.next_request(reader)

    async def use(bus: Bus) -> None:
        assert (await _read(bus))[1:3] == (b"", "timeout")
        assert len(world.asked) == 1

    _with_bus(world, lambda one: one.serving(serve), use)


def test_answer_in_single_bytes_is_taken(world: World) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frame = await world.next_request(reader)
        for byte in world.framed(frame, GOOD):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.001)
        await reader.read()

    async def use(bus: Bus) -> None:
        assert (await _read(bus)).answer == GOOD[1:]

    _with_bus(world, lambda one: one.serving(serve), use)


def test_late_answer_is_never_taken_for_a_later_request(world: World) -> None:
    """The first request is answered after its timeout, while others of its shape are asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            frame = await world.next_request(reader)
            if len(world.asked) == 1:
                await asyncio.sleep(2 * TIMEOUT_S)
                writer.write(world.framed(frame, bytes.fromhex("01 03 04 dead dead")))
            else:
                writer.write(world.framed(frame, bytes.fromhex("01 03 04 0001 0002")))

    async def use(bus: Bus) -> None:
        assert (await _read(bus))[1:3] == (b"", "timeout")
        answers = []
        for at in range(24):
            answers.append((await _read(bus, ReadRequest(1, 3, at, 2))).answer)
            await asyncio.sleep(0.03)
        assert set(answers) <= {b"", bytes.fromhex("03 04 0001 0002")}
        assert answers[-1]

    _with_bus(world, lambda one: one.serving(serve), use)


def test_answer_that_nobody_asked_for_is_never_taken(world: World) -> None:
    """It comes between two requests, as one to the second would look."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            frame = await world.next_request(reader)
            writer.write(world.framed(frame, GOOD))
            await writer.drain()
            await asyncio.sleep(0.03)
            following = bytes((frame[0], frame[1] + 1)) if not world.rtu else frame
            writer.write(world.framed(following, bytes.fromhex("01 03 04 dead dead")))

    async def use(bus: Bus) -> None:
        for _ in range(3):
            assert (await _read(bus)).answer == GOOD[1:]
            await asyncio.sleep(0.3)

    _with_bus(world, lambda one: one.serving(serve), use)


def _first_late(world: World) -> Serve:
    """Answers the very first request late and wrongly, every other at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            frame = await world.next_request(reader)
            if len(world.asked) == 1:
                await asyncio.sleep(0.1)
            body = GOOD if len(world.asked) > 1 else bytes.fromhex("01 03 04 dead dead")
            writer.write(world.framed(frame, body))

    return serve


async def _until_asked(world: World) -> None:
    while not world.asked:  # noqa: ASYNC110 - the other end says no more than what it was asked
        await asyncio.sleep(0.005)


def test_bad_input_25_answer_after_closing_is_ignored(world: World) -> None:
    async def use(bus: Bus) -> None:
        reading = asyncio.create_task(_read(bus))
        await _until_asked(world)
        bus.close()
        assert (await reading)[1:3] == (b"", "connection")
        for wait_s in (0.2, LATE_S, 0.0):
            last = await _read(bus)
            assert last.answer in (b"", GOOD[1:])
            await asyncio.sleep(wait_s)
        assert last.answer == GOOD[1:]

    _with_bus(world, lambda one: one.serving(_first_late(one)), use)


def test_cancelled_read_leaves_nothing_behind(world: World) -> None:
    async def use(bus: Bus) -> None:
        reading = asyncio.create_task(_read(bus))
        await _until_asked(world)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        for wait_s in (0.2, LATE_S, 0.0):
            last = await _read(bus)
            assert last.answer in (b"", GOOD[1:])
            await asyncio.sleep(wait_s)
        assert last.answer == GOOD[1:]
        bus.close()
        assert [task for task in asyncio.all_tasks() if "execute" in repr(task)] == []

    _with_bus(world, lambda one: one.serving(_first_late(one)), use)


def test_first_connection_and_reconnection_never_give_up(world: World) -> None:
    async def run() -> None:
        async with world.meter() as port:
            bus = world.bus(port)
            assert (await _read(bus)).error == ""
        for _ in range(3):
            lost = await _read(bus)
            assert (lost.answer, lost.error.partition(":")[0]) == (b"", "connection")
        async with world.meter(port):
            await asyncio.sleep(LATE_S)
            assert (await _read(bus)).error == ""
        bus.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", CONNECTING)
def test_host_that_is_silent_at_connecting_is_left_alone_for_a_while(kind: str, tmp_path: Path) -> None:
    """A listener whose queue is full: connecting times out, as to a host behind a firewall that drops."""

    async def run() -> None:
        with socket.socket() as listener, contextlib.ExitStack() as queue:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                waiting = queue.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            bus = World(kind, tmp_path).bus(listener.getsockname()[1])
            assert (await _read(bus))[1:3] == (b"", "connection timeout")
            assert (await _read(bus))[1:3] == (b"", "connection timeout, waiting before the next attempt")

    asyncio.run(run())


@pytest.mark.parametrize("kind", CONNECTING)
def test_refused_connection_is_tried_again_at_once(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        bus = World(kind, tmp_path).bus(9)
        for _ in range(2):
            assert (await _read(bus)).error.partition(":")[0] == "connection"

    asyncio.run(run())
