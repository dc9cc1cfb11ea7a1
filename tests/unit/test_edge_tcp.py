"""Modbus TCP: what a timeout, a dead unit and a lost host cost, in time that is exact."""

from __future__ import annotations

import asyncio
from errno import ECONNREFUSED
from itertools import pairwise

import pytest

from edge.modbus.bus import Bus
from edge.modbus.frame import TRANSACTIONS
from edge.modbus.waits import Waits
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import TIMEOUT_S
from tests.simulation.lines import Script, good, lasted, read, wanted

ONE, TWO = ReadRequest(1, 3, 100, 2), ReadRequest(2, 3, 200, 2)
SOON_S = 0.01


def _first_silent(body: bytes, _: int) -> list[tuple[float, bytes]]:
    return [] if body[0] == 1 else [(SOON_S, good(body))]


def _all(body: bytes, _: int) -> list[tuple[float, bytes]]:
    return [(SOON_S, good(body))]


@pytest.mark.parametrize("kind", ["tcp", "rtu", "rtu-over-tcp"])
def test_fault_12_silent_meter_holds_up_the_others_by_one_timeout(kind: str) -> None:
    script = Script(kind, _first_silent)
    wire_s = 0.0 if kind == "tcp" else 17 * 10 / 115_200

    async def use(bus: Bus) -> None:
        assert (await read(bus, TWO)).answer == wanted(TWO)
        await asyncio.sleep(1.0)
        took_s, exchange = await lasted(read(bus, ONE))
        assert (exchange.answer, exchange.error) == (b"", "timeout")
        assert took_s == pytest.approx(TIMEOUT_S + wire_s, abs=1e-6)
        took_s, exchange = await lasted(read(bus, TWO))
        assert exchange.answer == wanted(TWO)
        assert took_s < SOON_S + 0.1
        assert [body[0] for _, body in script.heard] == [2, 1, 2]

    script.run(use)
    assert script.connections == {"tcp": 1, "rtu": 0, "rtu-over-tcp": 2}[kind]


@pytest.mark.parametrize("kind", ["tcp", "rtu", "rtu-over-tcp"])
def test_fault_14_data_of_another_unit_is_not_accepted(kind: str) -> None:
    script = Script(kind, lambda body, _: [(SOON_S, b"\x07" + good(body)[1:])])

    async def use(bus: Bus) -> None:
        for _ in range(20):
            exchange = await read(bus, ONE)
            assert (exchange.answer, exchange.error.partition(":")[0] in ("mismatch", "not tried")) == (b"", True)
            await asyncio.sleep(1.0)

    script.run(use)


def _id(script: Script, more: int = 0) -> bytes:
    """The transaction that was heard last, or one so many after it."""
    return ((script.transactions[-1] + more) % TRANSACTIONS).to_bytes(2, "big")


def test_each_bus_begins_at_a_transaction_of_its_own() -> None:
    """Four that begin alike by chance: once in 10^14 runs."""
    script = Script("tcp", _all)

    async def use(bus: Bus) -> None:
        for one in (bus, *(script.bus() for _ in range(3))):
            assert (await read(one, ONE)).answer == wanted(ONE)
            one.close()

    script.run(use)
    assert len(set(script.transactions)) > 1


def test_answer_to_an_earlier_process_is_not_taken() -> None:
    """A gateway keeps what it was asked over connections: its first answer bears an id that this bus has not given."""
    script = Script("tcp", lambda body, number: [(SOON_S, good(body))] if number else [])

    async def use(bus: Bus) -> None:
        script.loop.call_later(0.1, lambda: script.say(0.0, _id(script, -1) + b"\0\0\0\7" + good(TWO.encode())))
        exchange = await read(bus, TWO)
        assert (exchange.answer, exchange.error.startswith("mismatch: transaction ")) == (b"", True)
        assert (await read(bus, TWO)).answer == wanted(TWO)

    script.run(use)
    assert script.connections == 2


def test_late_answers_are_told_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    script = Script("tcp", lambda body, _: [(2 * TIMEOUT_S, good(body))] if body[0] == 1 else [(SOON_S, good(body))])

    async def use(bus: Bus) -> None:
        for _ in range(200):
            await read(bus, ONE)
            await asyncio.sleep(2 * TIMEOUT_S)
            assert (await read(bus, TWO)).answer == wanted(TWO)
            await asyncio.sleep(60)

    with caplog.at_level("INFO", "hakari.edge"):
        script.run(use)
    hours = round(script.loop.time() // 3600)
    first = caplog.records[0].getMessage()
    assert first.startswith("meters:502: since the start 1 answers came too late and 0 bytes belonged to no answer")
    assert hours - 1 <= len(caplog.records) <= hours + 1
    assert hours >= 3


def test_dead_unit_costs_its_neighbours_no_connection() -> None:
    script = Script("tcp", _first_silent)

    async def use(bus: Bus) -> None:
        for _ in range(10):
            assert (await read(bus, ONE)).error == "timeout"
            assert (await read(bus, TWO)).answer == wanted(TWO)

    script.run(use)
    assert script.connections == 1


def test_timeout_in_the_middle_of_a_frame_ends_the_connection() -> None:
    script = Script("tcp", _first_silent)

    async def use(bus: Bus) -> None:
        script.loop.call_later(0.1, lambda: script.say(0.0, _id(script) + b"\0\0"))
        assert (await read(bus, ONE)).error == "timeout"
        assert (await read(bus, TWO)).answer == wanted(TWO)

    script.run(use)
    assert script.connections == 2


def test_unasked_frame_between_requests_ends_the_connection() -> None:
    script = Script("tcp", _all)

    async def use(bus: Bus) -> None:
        assert (await read(bus, ONE)).answer == wanted(ONE)
        script.say(0.1, _id(script, 1) + b"\0\0\0\7" + good(ONE.encode(), word=7))
        await asyncio.sleep(1.0)
        assert (await read(bus, ONE)).answer == wanted(ONE)

    script.run(use)
    assert script.connections == 2


def test_silent_host_is_left_alone_for_a_time_that_doubles_to_30_s() -> None:
    script = Script("tcp", _all)

    async def use(bus: Bus) -> None:
        script.loop.silent = True
        while script.loop.time() < 120:
            assert (await read(bus, ONE)).error.startswith("connection timeout")
            await asyncio.sleep(0.05)
        starts = script.loop.attempts
        waits_s = [round(after - before - TIMEOUT_S) for before, after in pairwise(starts)]
        assert waits_s == [1, 2, 4, 8, 16, 30, 30]
        script.loop.silent = False
        await asyncio.sleep(30)
        assert (await read(bus, ONE)).answer == wanted(ONE)

    script.run(use)


@pytest.mark.parametrize("kind", ["tcp", "rtu-over-tcp"])
def test_a_day_of_outage_is_followed_by_an_answer_within_30_s(kind: str) -> None:
    script = Script(kind, _all)

    async def use(bus: Bus) -> None:
        script.loop.silent = True
        for _ in range(24 * 60):
            assert (await read(bus, ONE)).error.startswith("connection")
            await asyncio.sleep(60)
        script.loop.silent = False
        await asyncio.sleep(30)
        assert (await read(bus, ONE)).answer == wanted(ONE)

    script.run(use)


def test_refused_host_is_tried_each_time() -> None:
    script = Script("tcp", _all)

    async def use(bus: Bus) -> None:
        script.loop.refuse = ConnectionRefusedError(ECONNREFUSED, "refused")
        for _ in range(5):
            assert (await read(bus, ONE)).error.startswith("connection")
        assert len(script.loop.attempts) == 5
        script.loop.refuse = None
        assert (await read(bus, ONE)).answer == wanted(ONE)

    script.run(use)


@pytest.mark.parametrize("kind", ["tcp", "rtu", "rtu-over-tcp"])
def test_delay_after_connecting_and_gap_between_requests_are_kept(kind: str) -> None:
    script = Script(kind, _all)
    waits = Waits(connect_delay_ms=7_000, gap_ms_by_unit={1: 400})

    async def use(bus: Bus) -> None:
        for request in (ONE, TWO, ONE, TWO):
            assert (await read(bus, request)).answer == wanted(request)
        first, second, third, fourth = (at for at, _ in script.heard)
        assert first == pytest.approx(7.0, abs=0.06)
        assert second - first == pytest.approx(SOON_S, abs=0.003)
        assert third - first == pytest.approx(SOON_S + 0.4, abs=0.003)
        assert fourth - third == pytest.approx(SOON_S, abs=0.25)

    script.run(use, waits)
