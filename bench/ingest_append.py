"""Appending signed leaves to the evidence log, against a raw SQLite insert of the same bytes in the same groups.

Ours opens the envelope, checks signature, roster, number and root, and compares and swaps the head. Both files
are WAL with `synchronous=FULL` on the same disk, one transaction a group. Where HAKARI_TEST_POSTGRES names a server's
programs, the same once more on PostgreSQL with `synchronous_commit`, over the loopback address.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench import material
from bench.meter import best_on_disk
from bench.result import Result
from hakari.log.checkpoint import claimed
from hakari.store.evidence import EvidenceLog
from hakari.store.evidence_postgres import PostgresEvidenceLog
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.envelope import unseal
from ingest.receive.protocol import Receiver
from tests.system.postgres import PostgresServer

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
    programs = os.environ.get("HAKARI_TEST_POSTGRES")
    return [
        *(_on_postgres(Path(programs), groups, count) if programs else []),
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


def _on_postgres(programs: Path, groups: Sequence[Sequence[bytes]], count: int) -> list[Result]:
    """The same on a PostgreSQL of its own, each round in a schema of its own."""
    with PostgresServer(programs) as server:
        ours = best_on_disk(lambda file: _receive(_postgres_log(server, file.parent), groups))
        raw = best_on_disk(lambda _: _insert_into_postgres(server, groups))
    peer = f"raw PostgreSQL insert, {GROUP} a commit"
    rates = count / ours.wall_s, count / raw.wall_s
    work = ours.cpu_s / count * 1000, raw.cpu_s / count * 1000
    return [
        Result("ingest, appending to PostgreSQL", rates[0], "leaves/s", peer, rates[1], "higher", ALLOWED_RATE),
        Result("ingest, work with PostgreSQL", work[0], "CPU ms/leaf", peer, work[1], allowed=ALLOWED_CPU),
    ]


def _postgres_log(server: PostgresServer, folder: Path) -> EvidenceLog:
    given = server.settings(folder)
    return PostgresEvidenceLog(given, given.password(folder / "ingest.toml"), folder)


def _append(file: Path, groups: Sequence[Sequence[bytes]]) -> None:
    _receive(SqliteEvidenceLog(file), groups)


def _receive(log: EvidenceLog, groups: Sequence[Sequence[bytes]]) -> None:
    receiver = Receiver(log, material.keys().roster, material.keys().cosigner)
    origin = claimed(unseal(groups[0][0]).checkpoint).origin
    words = set()
    for group in groups:
        with log.transaction([origin]):
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


def _insert_into_postgres(server: PostgresServer, groups: Sequence[Sequence[bytes]]) -> None:
    with closing(server.connect()) as db:
        db.execute("CREATE TABLE IF NOT EXISTS leaf (i BIGINT PRIMARY KEY, message BYTEA NOT NULL)")
        db.execute("TRUNCATE leaf")
        number = 0
        for group in groups:
            rows = [(number + k, message) for k, message in enumerate(group)]
            number += len(group)
            with db.pipeline(), db.transaction():
                db.cursor().executemany("INSERT INTO leaf VALUES (%s, %s)", rows)
