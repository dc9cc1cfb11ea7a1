"""Seeded campaigns against meters that answer in every wrong way: no value goes to another request, most get theirs.

Each rule of whose answer it is can be switched off, and then the same campaign finds wrong values.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import pytest

from edge.modbus.bus import Bus
from edge.modbus.ownership import Ownership
from edge.modbus.rtu import ECHO_S, ECHO_TCP_S, RtuBus
from edge.modbus.socket_line import SocketLine
from edge.modbus.tcp import TcpBus
from edge.modbus.waits import Waits
from edge.settings import BusTable
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import BAUD, LATE_S, TIMEOUT_S, MemoryLine, Peer, StillClock, VirtualLoop

UNITS = 4
COUNTS = (4, 5, 6)
KINDS = ("tcp", "rtu", "rtu-over-tcp")
TEST_SEEDS = 4
TEST_EXCHANGES = 2_000
PROVE_SEEDS = 50
PROVE_EXCHANGES = 100_000 // PROVE_SEEDS + 1
MUTANT_EXCHANGES = 1_500
CALM_EXCHANGES = 40
LEAST_RIGHT = 0.65
CLOCK = StillClock()


class Report(NamedTuple):
    """What came of a campaign's exchanges, what was done to them, and what went wrong."""

    outcomes: Counter[str]
    faults: Counter[str]
    wrong: list[str]
    sent: set[int]
    calm: int


def campaign(kind: str, seed: int, exchanges: int) -> Report:
    """One line under faults, then the same line in peace."""
    peer = Peer(seed, UNITS, rtu=kind != "tcp", echo_s=ECHO_S if kind == "rtu" else ECHO_TCP_S)
    loop = VirtualLoop(peer.connect)
    try:
        return loop.run_until_complete(_run(_bus(kind, peer), peer, random.Random(seed), exchanges))
    finally:
        loop.close()


def _bus(kind: str, peer: Peer) -> Bus:
    place = BusTable(id="b", host="meters", device="memory", baud_rate=BAUD, timeout_s=TIMEOUT_S, late_s=LATE_S)
    if kind == "tcp":
        return TcpBus(place, Waits())
    if kind == "rtu-over-tcp":
        return RtuBus(place, Waits(), SocketLine(place))
    line = MemoryLine()
    peer.plug(line)
    return RtuBus(place, Waits(), line)


async def _run(bus: Bus, peer: Peer, rng: random.Random, exchanges: int) -> Report:
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for _ in range(exchanges):
        outcome = await _once(bus, peer, rng)
        outcomes[outcome] += 1
        if outcome.startswith("wrong"):
            wrong.append(outcome)
        await asyncio.sleep(rng.choice([0.0, 0.0, 0.01, 0.1, 0.8]))
    peer.calm = True
    await asyncio.sleep(2 * LATE_S)
    calm = Counter([await _once(bus, peer, rng) for _ in range(CALM_EXCHANGES)])
    bus.close()
    return Report(outcomes, peer.done, wrong, peer.sent, calm["right"])


async def _once(bus: Bus, peer: Peer, rng: random.Random) -> str:
    """One read and what it came to; the answer is held against the request that the meters heard last."""
    address = rng.randrange(1000)
    request = ReadRequest(rng.randrange(1, UNITS + 1), rng.choice((3, 4)), address, rng.choice(COUNTS))
    before = peer.generation
    exchange = await bus.read(request, CLOCK)
    if not exchange.answer:
        assert exchange.error
        return exchange.error.partition(":")[0]
    if peer.generation != before + 1:
        return f"wrong: {exchange} without a request"
    found, said = peer.pdu(exchange.answer), exchange.error.partition(" ")[0] or "right"
    return found if found == said else f"wrong: {exchange} is no answer to {peer.asked}"


def _check(report: Report) -> None:
    assert report.wrong == []
    assert report.calm == CALM_EXCHANGES
    assert report.sent == {3, 4}
    right = report.outcomes["right"] + report.outcomes["exception"]
    assert right >= LEAST_RIGHT * report.outcomes.total(), report.outcomes


@pytest.mark.parametrize("seed", range(TEST_SEEDS))
@pytest.mark.parametrize("kind", KINDS)
def test_fault_13_no_value_goes_to_another_request(kind: str, seed: int) -> None:
    report = campaign(kind, seed, TEST_EXCHANGES)
    _check(report)
    assert len(report.faults) >= 18, report.faults


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_no_value_of_100000_goes_to_another_request(kind: str) -> None:
    with ProcessPoolExecutor() as workers:
        reports = list(workers.map(_proven, [(kind, 1000 + seed) for seed in range(PROVE_SEEDS)]))
    for report in reports:
        _check(report)
    assert sum(report.outcomes.total() for report in reports) >= 100_000


def _proven(task: tuple[str, int]) -> Report:
    kind, seed = task
    return campaign(kind, seed, PROVE_EXCHANGES)


def _forget_open(owner: Ownership) -> None:
    owner._current = None


def _no_echo(_owner: Ownership, _request: object, now_s: float) -> float:
    return now_s


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp"])
@pytest.mark.parametrize(("rule", "without"), [("gave_up", _forget_open), ("echo_until", _no_echo)])
def test_each_rule_is_needed(kind: str, rule: str, without: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ownership, rule, without)
    assert any(campaign(kind, seed, MUTANT_EXCHANGES).wrong for seed in range(8))


def test_transactions_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one id for all, as with clients that take the next answer, values go astray."""
    monkeypatch.setattr("edge.modbus.frame.TRANSACTIONS", 1)
    assert any(campaign("tcp", seed, MUTANT_EXCHANGES).wrong for seed in range(8))
