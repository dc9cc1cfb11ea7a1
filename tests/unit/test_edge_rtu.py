"""RTU: silence, draining and who may go out when, in time that is exact."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from edge.modbus.bus import Bus
from edge.modbus.rtu import NOISY, OLDER, RtuBus
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import LATE_S, TIMEOUT_S
from tests.simulation.lines import Script, good, lasted, read, wanted

ONE, ELSEWHERE, LONGER = ReadRequest(1, 3, 100, 2), ReadRequest(1, 3, 200, 2), ReadRequest(1, 3, 100, 4)
TWO = ReadRequest(2, 3, 100, 2)
SOON_S = 0.01
GAP_S = 0.00175
CHAR_S = 10 / 115_200


def _all(body: bytes, _: int) -> list[tuple[float, bytes]]:
    return [(SOON_S, good(body))]


def _late_first(body: bytes, number: int) -> list[tuple[float, bytes]]:
    return [(1.0, good(body, word=5_000))] if number == 0 else [(SOON_S, good(body))]


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp"])
def test_same_shape_is_not_asked_while_an_answer_may_come_and_others_are(kind: str) -> None:
    script = Script(kind, _late_first)

    async def use(bus: Bus) -> None:
        assert (await read(bus, ONE)).error == "timeout"
        for again in (ONE, ELSEWHERE):
            took_s, exchange = await lasted(read(bus, again))
            assert (exchange.answer, exchange.error, took_s < 0.1) == (b"", OLDER, True)
        for other in (LONGER, TWO):
            assert (await read(bus, other)).answer == wanted(other)
        await asyncio.sleep(LATE_S)
        assert (await read(bus, ELSEWHERE)).answer == wanted(ELSEWHERE)
        assert isinstance(bus, RtuBus)
        assert bus.late == 1
        assert len(script.heard) == 4

    script.run(use)


def test_short_rest_of_the_wait_is_waited_for() -> None:
    script = Script("rtu", lambda body, number: [] if number == 0 else _all(body, number))

    async def use(bus: Bus) -> None:
        assert (await read(bus, ONE)).error == "timeout"
        await asyncio.sleep(LATE_S - TIMEOUT_S - 0.2)
        took_s, exchange = await lasted(read(bus, ONE))
        assert exchange.answer == wanted(ONE)
        assert took_s == pytest.approx(0.2 + SOON_S, abs=0.01)

    script.run(use)


def test_same_shape_waits_for_a_doubled_frame_and_others_do_not() -> None:
    script = Script("rtu", _all)

    async def use(bus: Bus) -> None:
        for request in (ONE, ELSEWHERE, LONGER, TWO):
            assert (await read(bus, request)).answer == wanted(request)
        starts = [at for at, _ in script.heard]
        waits_s = [after - before - SOON_S for before, after in pairwise(starts)]
        assert waits_s[0] == pytest.approx(0.05 + 7 * CHAR_S, abs=1e-6)
        assert waits_s[1:] == pytest.approx([GAP_S, GAP_S], abs=1e-6)

    script.run(use)


def test_line_that_never_gets_silent_is_told_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    script = Script("rtu", _all)

    async def use(bus: Bus) -> None:
        assert (await read(bus, ONE)).answer == wanted(ONE)
        for number in range(20_000):
            script.say(number * 0.001, b"\xaa")
        took_s, exchange = await lasted(read(bus, TWO))
        assert (exchange.answer, exchange.error) == (b"", NOISY)
        assert took_s == pytest.approx(TIMEOUT_S, abs=0.01)
        await asyncio.sleep(21)
        assert (await read(bus, TWO)).answer == wanted(TWO)
        assert isinstance(bus, RtuBus)
        assert bus.noise >= 19_990

    with caplog.at_level("INFO", "hakari.edge"):
        script.run(use)
    (told,) = (one.getMessage() for one in caplog.records)
    assert told.startswith("memory: since the start 0 answers came too late and ")
    assert " 0 bytes" not in told


def test_line_is_drained_after_a_timeout() -> None:
    """What trickles in after the timeout is let pass before anything else is asked."""
    script = Script("rtu", lambda body, number: [] if number == 0 else _all(body, number))

    async def use(bus: Bus) -> None:
        for number in range(20):
            script.say(LATE_S + 0.45 + number * 0.02, b"\xaa")
        assert (await read(bus, ONE)).answer == b""
        assert (await read(bus, TWO)).answer == wanted(TWO)
        assert script.heard[1][0] == pytest.approx(LATE_S + 0.45 + 19 * 0.02 + 0.05, abs=0.01)

    script.run(use)


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp"])
def test_new_owner_lets_pass_what_the_one_before_it_asked(kind: str) -> None:
    script = Script(kind, _all)

    async def use(bus: Bus) -> None:
        script.say(LATE_S - 0.1, good(ONE.encode(), word=5_000) + b"\0\0")
        assert (await read(bus, ONE)).answer == wanted(ONE)
        assert script.heard[0][0] == pytest.approx(LATE_S, abs=0.06)

    script.run(use)


def test_noise_alone_is_named() -> None:
    script = Script("rtu", lambda _body, _number: [])

    async def use(bus: Bus) -> None:
        script.say(LATE_S + 0.1, b"\x01\x03\x04\x00")
        assert (await read(bus, ONE)).error == "mismatch: 4 bytes came, no answer to this request among them"

    script.run(use)
