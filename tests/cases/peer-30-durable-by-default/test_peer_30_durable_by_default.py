"""An edge keeps what it reads on a disk or does not start."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge.settings import EdgeTable, Settings, problems
from edge.spool import Spool
from hakari.mqtt import BrokerSettings

OWNER = "plant.example/owner+6c9bacec+AW+8Soudrsl4R8ikrqcsXx+A+Kv8f0CdZ2n5CZRxDrip"


def told(spool: str) -> list[str]:
    edge = EdgeTable("plant.example", "sola", "e1", "edge.pem", OWNER, "roster.note", spool, 900)
    return [one for one in problems(Settings(edge, BrokerSettings(host="b.example"), [], [])) if "spool" in one]


@pytest.mark.parametrize("spool", [":memory:", "file::memory:", "file:edge?mode=memory"])
def test_a_spool_in_memory_is_refused(spool: str) -> None:
    (sentence,) = told(spool)
    assert "name a file on a disk" in sentence
    assert told("edge.spool") == []


def test_a_spool_is_a_file_whose_commits_wait_for_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "edge.spool"
    spool = Spool(str(path))
    full = 2
    assert spool._db.execute("PRAGMA synchronous").fetchone() == (full,)
    assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    spool.put_note("identity/m1", "{}")
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT value FROM note WHERE key = 'identity/m1'").fetchall() == [("{}",)]
    spool.close()
