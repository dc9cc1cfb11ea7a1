"""Appending signed leaves to the evidence log, against a raw SQLite insert of the same bytes in the same groups.

Ours opens the envelope, checks signature, roster, number and root, and compares and swaps the head. Both files
are WAL with `synchronous=FULL` on the same disk, one transaction a group.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench import material
from bench.meter import best_on_disk
from bench.result import Result
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from ingest.protocol import Receiver

SAMPLES = 8000
BATCH = 4
GROUP = 32
ALLOWED_RATE = 0.05
ALLOWED_CPU = 30.0


def run() -> list[Result]:
    """Leaves a wall second, and CPU milliseconds a leaf."""
    messages = material.messages(SAMPLES, BATCH)
    groups = [messages[k : k + GROUP] for k in range(0, len(messages), GROUP)]
    ours = best_on_disk(lambda file: _append(file, groups))
    raw = best_on_disk(lambda file: _insert(file, groups))
    count = len(messages)
    peer = f"raw SQLite insert, {GROUP} a commit"
    return [
        Result("ingest, appending", count / ours.wall_s, "leaves/s", peer, count / raw.wall_s, "higher", ALLOWED_RATE),
        Result(
            "ingest, work",
            ours.cpu_s / count * 1000,
            "CPU ms/leaf",
            peer,
            raw.cpu_s / count * 1000,
            allowed=ALLOWED_CPU,
        ),
    ]


def _append(file: Path, groups: Sequence[Sequence[bytes]]) -> None:
    log = SqliteEvidenceLog(file)
    receiver = Receiver(log, material.keys().roster, material.keys().cosigner)
    words = set()
    for group in groups:
        with log.transaction():
            words |= {one.word for message in group for one in receiver.receive(material.TOPIC, message, 0)}
    log.close()
    if words != {"appended"}:
        raise RuntimeError(f"the receiver did not append every leaf: {sorted(words)}")


def _insert(file: Path, groups: Sequence[Sequence[bytes]]) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("CREATE TABLE leaf (i INTEGER PRIMARY KEY, message BLOB NOT NULL)")
        for group in groups:
            db.execute("BEGIN")
            db.executemany("INSERT INTO leaf (message) VALUES (?)", [(message,) for message in group])
            db.execute("COMMIT")
