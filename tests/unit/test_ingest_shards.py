"""Which shards a worker owns, as its settings say it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from hakari.mqtt import BrokerSettings
from hakari.names import shard
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from ingest.receive.inbox import Inbox
from ingest.receive.protocol import Receiver
from ingest.receive.shards import Shards, ShardsInvalid
from ingest.receive.worker import Worker
from tests.simulation.world import keys


def test_all_is_one_session_and_every_edge() -> None:
    shards = Shards("all")
    assert [tuple(one) for one in shards.subscriptions()] == [("ingest-all", "hakari/v1/batch/+/+")]
    assert shards.mine("sola-e1")


def test_a_list_has_a_session_a_shard() -> None:
    shards = Shards("00-02, ff")
    assert shards.numbers == ["00", "01", "02", "ff"]
    assert [tuple(one) for one in shards.subscriptions()][-1] == ("ingest-ff", "hakari/v1/batch/ff/+")


def test_every_edge_has_exactly_one_of_the_workers() -> None:
    workers = [Shards(text) for text in ("00-3f", "40-7f", "80-bf", "c0-ff")]
    for k in range(500):
        edge_id = f"plant{k}-e1"
        (owner,) = (one for one in workers if one.mine(edge_id))
        assert shard(edge_id) in owner.numbers


@pytest.mark.parametrize("text", ["", "g0", "0", "10-0f", "00,00", "00-10,08", "ALL", "00-", "00--01", "A0"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ShardsInvalid):
        Shards(text)


def test_lost_swaps_are_counted_from_the_start(tmp_path: Path) -> None:
    """So that a watcher sees a rise from 0, and not a series that was never there."""
    with closing(SqliteEvidenceLog(tmp_path / "evidence.db")) as evidence:
        receiver = Receiver(evidence, keys().roster, keys().cosigner)
        inbox = Inbox(BrokerSettings("127.0.0.1"), tmp_path)
        assert dict(Worker(evidence, receiver, inbox, lambda: 0.0).counts) == {"lost_swap": 0}
