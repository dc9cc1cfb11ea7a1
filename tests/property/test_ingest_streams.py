"""Any permutation, duplication and resend of batches gives the same evidence, view and totals; one worker or four."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import PlantTime
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.names import batch_topic
from hakari.registers.reading import exact_value
from hakari.store.evidence import EvidenceLog
from hakari.store.evidence_postgres import PostgresEvidenceLog
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import MeteringConfiguration, text_of
from hakari.wire.envelope import seal
from hakari.wire.leaf import Block, Sample
from hakari.wire.rows import Row, once
from ingest.receive.protocol import Receiver
from ingest.receive.source import Delivery
from ingest.receive.worker import Worker
from ingest.view.feed import Feeder
from tests.simulation.world import METERS, NAMESPACE, keys
from tests.system.fleet import key_of
from tests.system.postgres import PASSWORD, PostgresServer

EDGES = ("north-e1", "north-e2", "south-e1")
SAMPLES = 12
START_MS = 1_700_000_000_000
EXAMPLES = 40
POSTGRES_SEEDS = 6


class Message(NamedTuple):
    """One batch of one edge."""

    topic: str
    payload: bytes


class Result(NamedTuple):
    """What evidence and view hold."""

    roots: dict[str, tuple[int, bytes]]
    rows: list[Row]
    totals: dict[str, str]


class Crashed(Exception):
    """The worker dies after its commit."""


class Broker:
    """Delivers until it is acknowledged; a worker may die between its commit and its acknowledgements."""

    def __init__(self) -> None:
        self.acknowledged: set[int] = set()
        self.dies_after: int | None = None

    def acknowledge(self, delivery: Delivery) -> None:
        if self.dies_after is not None:
            if self.dies_after == 0:
                raise Crashed
            self.dies_after -= 1
        self.acknowledged.add(delivery.mid)

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """Edges are simulated by sending everything again."""


@lru_cache(maxsize=1)
def roster() -> Roster:
    edges = [EdgeKey(edge, _public(k)) for k, edge in enumerate(EDGES)]
    cosigner = keys().cosigner
    return Roster(NAMESPACE, 1, edges, cosigners=[NamedKey(cosigner.name, str(cosigner.verifier))])


def _public(k: int) -> str:
    return base64.b64encode(key_of(k).public_key().public_bytes_raw()).decode()


@lru_cache(maxsize=1)
def stream() -> Sequence[Message]:
    """The batches of every edge, in order."""
    found = []
    for k, edge in enumerate(EDGES):
        spool = Spool(":memory:")
        log = EdgeLog(spool, key_of(k), NAMESPACE, edge, f"{k:016x}", "hakari test")
        told = MeteringConfiguration(v=1, edge=edge, interval_ms=1000, max_lag_ms=500, meters=METERS)
        log.start(text_of(told), PlantTime(START_MS, 0, "simulated"))
        for n in range(SAMPLES):
            slot_ms = START_MS + 1000 * n
            block = Block("m1", "modbus-tcp", "010300000001", slot_ms, 900, f"0302{100 * k + n * n:04x}")
            log.add_sample(Sample(slot_ms, n, [block]), PlantTime(slot_ms, n, "simulated"), 1 + k)
        log.cut(PlantTime(START_MS + 60_000, 60_000, "simulated"))
        (state,) = spool.epochs()
        leaves = [spool.leaf(state.epoch, i) for i in range(state.size)]
        found += [Message(batch_topic(edge), seal(one.checkpoint, one.deflated)) for one in leaves if one is not None]
        spool.close()
    return found


def result(evidence: EvidenceLog) -> Result:
    view = SqliteReadingsView(":memory:")
    Feeder(evidence, view).catch_up()
    points = view.points()
    rows = {point: once(view.read(point, 0, 2**53)) for point in points}
    totals = {
        point: str(
            exact_value(of[-1].type, of[-1].raw, of[-1].exponent) - exact_value(of[0].type, of[0].raw, of[0].exponent)
        )
        for point, of in rows.items()
    }
    roots = {str(origin): (evidence.head(origin).size, evidence.head(origin).root) for origin in evidence.origins()}
    view.close()
    return Result(roots, [row for point in points for row in rows[point]], totals)


def received(seed: int, logs: Sequence[EvidenceLog]) -> Result:
    """The stream under every disturbance that a broker may make, drawn from `seed`; a worker for each of `logs`."""
    chance = random.Random(seed)
    broker = Broker()

    def worker(evidence: EvidenceLog) -> Worker:
        return Worker(evidence, Receiver(evidence, roster(), keys().cosigner), broker, lambda: 0.0)

    crew = [worker(log) for log in logs]
    waiting = [
        Delivery(1, mid, *message)
        for mid, message in enumerate(one for one in stream() for _ in range(chance.choice([1, 1, 2, 3])))
    ]
    if chance.random() < 0.8:
        chance.shuffle(waiting)
    rounds = 0
    while waiting:
        rounds += 1
        k = chance.randrange(len(crew))
        group = waiting[: chance.randint(1, 12)]
        broker.dies_after = chance.randint(0, len(group)) if chance.random() < 0.3 else None
        try:
            crew[k].handle(group, START_MS)
        except Crashed:
            crew[k] = worker(logs[k])
        waiting = [one for one in waiting if one.mid not in broker.acknowledged]
        if not waiting and rounds < 3:  # everything once more, as after a lost mark
            broker.acknowledged.clear()
            waiting = [Delivery(2, mid, *message) for mid, message in enumerate(stream())]
            chance.shuffle(waiting)
        if chance.random() < 0.2:
            chance.shuffle(waiting)
    return result(logs[0])


@lru_cache(maxsize=1)
def undisturbed() -> Result:
    evidence, broker = SqliteEvidenceLog(":memory:"), Broker()
    worker = Worker(evidence, Receiver(evidence, roster(), keys().cosigner), broker, lambda: 0.0)
    worker.handle([Delivery(1, mid, *message) for mid, message in enumerate(stream())], START_MS)
    return result(evidence)


def test_the_undisturbed_stream_is_worth_comparing() -> None:
    assert len(undisturbed().roots) == len(EDGES)
    assert len(undisturbed().rows) == len(EDGES) * SAMPLES
    assert set(undisturbed().totals.values()) == {str((SAMPLES - 1) ** 2)}


@pytest.mark.parametrize("workers", [1, 4])
@given(seed=st.integers(0, 2**32))
@hypothesis_settings(max_examples=EXAMPLES)
def test_any_order_of_any_messages_gives_the_same(workers: int, seed: int) -> None:
    log = SqliteEvidenceLog(":memory:")
    assert received(seed, [log] * workers) == undisturbed()
    log.close()


@pytest.mark.system
@pytest.mark.parametrize("seed", range(POSTGRES_SEEDS))
def test_four_workers_with_connections_of_their_own_to_postgresql(
    seed: int, postgres: PostgresServer, tmp_path: Path
) -> None:
    given = postgres.settings(tmp_path)
    logs = [PostgresEvidenceLog(given, PASSWORD, tmp_path) for _ in range(4)]
    assert received(seed, logs) == undisturbed()
    for log in logs:
        log.close()
