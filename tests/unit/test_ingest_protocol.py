"""Ingest's rules by example; the campaign in tests/simulation runs them by the thousand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import PlantTime
from hakari.log.mark import open_mark
from hakari.log.tree import EMPTY_ROOT
from hakari.names import Origin, batch_topic
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.envelope import seal
from hakari.wire.leaf import Event
from ingest.receive.protocol import PENDING_LEAVES, Receiver
from tests.simulation.world import CONFIGURATION, EDGE_ID, NAMESPACE, keys

TOPIC = batch_topic(EDGE_ID)
EPOCH = 1_700_000_000
ORIGIN = Origin(NAMESPACE, EDGE_ID, EPOCH)


class Disk:
    """An edge's disk and the messages of its leaves."""

    def __init__(self, key: Ed25519PrivateKey | None = None) -> None:
        self.log = EdgeLog(Spool(":memory:"), key or keys().edge, NAMESPACE, EDGE_ID, "0" * 16, "hakari test")
        self.log.start(CONFIGURATION, self.now())

    def now(self) -> PlantTime:
        return PlantTime(EPOCH * 1000, 0, "test")

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.log.add_event(Event("note", EPOCH * 1000), self.now())

    def message(self, i: int) -> bytes:
        leaf = self.log.spool.leaf(EPOCH, i)
        assert leaf is not None
        return seal(leaf.checkpoint, leaf.deflated)


@pytest.fixture
def evidence() -> Iterator[SqliteEvidenceLog]:
    log = SqliteEvidenceLog(":memory:")
    yield log
    log.close()


@pytest.fixture
def receiver(evidence: SqliteEvidenceLog) -> Receiver:
    return Receiver(evidence, keys().roster, keys().cosigner)


def words(evidence: SqliteEvidenceLog, receiver: Receiver, *messages: bytes, topic: str = TOPIC) -> list[str]:
    with evidence.transaction():
        return [one.word for message in messages for one in receiver.receive(topic, message, 1)]


def test_bad_input_28_order_duplicates_and_gaps(evidence: SqliteEvidenceLog, receiver: Receiver) -> None:
    disk = Disk()
    disk.grow(3)
    message = disk.message
    assert words(evidence, receiver, message(1), message(3)) == ["pending", "pending"]
    assert words(evidence, receiver, message(0)) == ["appended", "appended"]
    assert words(evidence, receiver, message(0), message(1)) == ["duplicate", "duplicate"]
    assert words(evidence, receiver, message(2)) == ["appended", "appended"]
    assert evidence.head(ORIGIN).size == 4


def test_a_leaf_beyond_the_window_is_dropped_and_the_mark_tells_from_where(
    evidence: SqliteEvidenceLog, receiver: Receiver
) -> None:
    disk = Disk()
    disk.grow(PENDING_LEAVES)
    assert words(evidence, receiver, disk.message(PENDING_LEAVES)) == ["far"]
    assert words(evidence, receiver, disk.message(PENDING_LEAVES - 1)) == ["pending"]
    mark = open_mark(receiver.mark(ORIGIN, 1000), keys().roster.cosigner_keys())
    assert (mark.checkpoint.size, mark.checkpoint.root) == (0, EMPTY_ROOT)


def test_a_fork_that_comes_to_light_while_draining_is_alarmed(evidence: SqliteEvidenceLog, receiver: Receiver) -> None:
    one, other = Disk(), Disk()
    one.grow(1)
    other.grow(1)
    assert words(evidence, receiver, one.message(1), other.message(1)) == ["pending", "pending"]
    with evidence.transaction():
        outcomes = receiver.receive(TOPIC, one.message(0), 1)
    assert [outcome.word for outcome in outcomes] == ["appended", "appended", "conflict"]
    assert "signed two roots for size 2" in outcomes[-1].alarm
    assert evidence.head(ORIGIN).frozen
    assert open_mark(receiver.mark(ORIGIN, 1000), keys().roster.cosigner_keys()).frozen


def test_another_keys_leaf_and_another_edges_topic_are_quarantined(
    evidence: SqliteEvidenceLog, receiver: Receiver
) -> None:
    stranger = Disk(Ed25519PrivateKey.generate())
    assert words(evidence, receiver, stranger.message(0)) == ["quarantined"]
    assert words(evidence, receiver, Disk().message(0), topic=batch_topic("other-e1")) == ["quarantined"]
    assert {entry.payload for entry in evidence.quarantined()} >= {stranger.message(0)}
    assert evidence.origins() == []


def test_another_body_under_a_signed_root_is_no_conflict(evidence: SqliteEvidenceLog, receiver: Receiver) -> None:
    disk, other = Disk(), Disk()
    ours, theirs = disk.log.spool.leaf(EPOCH, 0), other.log.spool.leaf(EPOCH, 0)
    assert ours is not None
    assert theirs is not None
    swapped = seal(ours.checkpoint, theirs.deflated)
    assert words(evidence, receiver, swapped, disk.message(0), swapped) == ["quarantined", "appended", "quarantined"]
    assert not evidence.head(ORIGIN).frozen
