"""Feeding the readings view from the evidence log, against raw SQLite `executemany` of the same rows.

Ours reads, inflates and decodes the leaves, writes the rows, reads them back and moves the cursor. Both tables
have the same columns and key, both files WAL with `synchronous=NORMAL`, one transaction a step of the feeder.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from bench import material
from bench.meter import best_on_disk
from bench.result import Result
from hakari.log.tree import extend
from hakari.names import Origin
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from ingest.view.feed import STEP_LEAVES, Feeder

SAMPLES = 4000
BATCH = 4
ALLOWED = 0.05
RECEIVED_MS = 2**50
_KEY = "point, t_ms, epoch, leaf, boot, mono_ms"
_COLUMNS = f"{_KEY}, type, raw, exponent, quality, reason"
_TABLE = f"""CREATE TABLE reading (
  point INTEGER NOT NULL, t_ms INTEGER NOT NULL, epoch INTEGER NOT NULL, leaf INTEGER NOT NULL, boot INTEGER NOT NULL,
  mono_ms INTEGER NOT NULL, type INTEGER NOT NULL, raw INTEGER NOT NULL, exponent INTEGER NOT NULL,
  quality INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY ({_KEY})) WITHOUT ROWID"""

SqlRow = tuple[object, ...]


def run() -> list[Result]:
    """Rows a CPU second."""
    evidence = _evidence()
    ours = best_on_disk(lambda file: _feed(evidence, file))
    groups = _rows(evidence)
    raw = best_on_disk(lambda file: insert(file, groups))
    evidence.close()
    count = sum(map(len, groups))
    rates = count / ours.cpu_s, count / raw.cpu_s
    return [Result("view feed", rates[0], "rows/CPU s", "raw SQLite executemany", rates[1], "higher", ALLOWED)]


def _evidence() -> SqliteEvidenceLog:
    """The log that is fed, in memory: filling it is not measured."""
    log, leaves = SqliteEvidenceLog(":memory:"), material.leaves(SAMPLES, BATCH)
    frontier: tuple[bytes, ...] = ()
    origin = Origin(material.NAMESPACE, material.EDGE_ID, leaves[0].epoch)
    with log.transaction():
        for leaf in leaves:
            frontier = extend(frontier, leaf.i, leaf.leaf_hash)
            stored = StoredLeaf(leaf.i, leaf.leaf_hash, leaf.deflated, leaf.checkpoint, RECEIVED_MS)
            log.append(origin, leaf.i, stored, frontier, leaf.root)
    return log


def _feed(evidence: SqliteEvidenceLog, file: Path) -> None:
    with closing(SqliteReadingsView(file)) as view:
        fed = Feeder(evidence, view).catch_up()
    if not fed.done or fed.rows != SAMPLES * material.points_a_sample() or fed.refused:
        raise RuntimeError(f"the feeder did not feed every row: {fed}")


def _rows(evidence: SqliteEvidenceLog) -> list[list[SqlRow]]:
    """What the view holds, in the order and the groups of the feeder's steps."""
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as folder:
        file = Path(folder) / "view.db"
        _feed(evidence, file)
        with closing(sqlite3.connect(file)) as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM reading ORDER BY leaf, t_ms, point").fetchall()
    return [list(step) for _, step in groupby(rows, key=lambda row: row[3] // STEP_LEAVES)]


def insert(file: Path, groups: Sequence[Sequence[SqlRow]]) -> None:
    """Inserts `groups`, each in a transaction, into a table like that of the view, one statement a row."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = NORMAL"):
            db.execute(f"PRAGMA {pragma}")
        db.execute(_TABLE)
        for group in groups:
            db.execute("BEGIN")
            db.executemany(f"INSERT INTO reading ({_COLUMNS}) VALUES ({', '.join('?' * 11)})", group)
            db.execute("COMMIT")
