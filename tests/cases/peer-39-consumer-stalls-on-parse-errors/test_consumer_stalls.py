from __future__ import annotations

from pathlib import Path

import pytest

from hakari.store.evidence_sqlite import SqliteEvidenceLog
from ingest.receive.protocol import Receiver
from ingest.receive.source import Delivery
from ingest.receive.worker import Worker
from tests.simulation.world import keys

POISON = 5000
GROUP = 256


class Broker:
    """Counts what is acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: set[int] = set()

    def acknowledge(self, delivery: Delivery) -> None:
        self.acknowledged.add(delivery.mid)

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        raise AssertionError(f"no mark is due to {edge_id}: {mark!r}")


def test_poison_is_quarantined_and_acknowledged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evidence, broker, seconds = SqliteEvidenceLog(tmp_path / "evidence.db"), Broker(), [0.0]
    worker = Worker(evidence, Receiver(evidence, keys().roster, keys().cosigner), broker, lambda: seconds[0])
    messages = [Delivery(1, k, "hakari/v1/batch/x", b"%d {" % k) for k in range(POISON)]
    for start in range(0, POISON, GROUP):
        assert worker.handle(messages[start : start + GROUP], 0) == set()
        worker.send_marks(0)
    assert broker.acknowledged == set(range(POISON))
    assert evidence.quarantine_total().kept == worker.counts["quarantined"] == POISON
    assert len(caplog.records) == 1
    seconds[0] = 61.0
    worker.send_marks(0)
    assert f"{POISON - 1} more like it" in caplog.records[1].getMessage()
    evidence.close()
