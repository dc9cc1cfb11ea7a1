"""The evidence log copied whole, between a file and a PostgreSQL schema in any direction: backup and restore.

Guaranteed: a copy holds everything as of one moment, row by row, while others go on writing to what is copied; what is
replaced stays whole under another name, and either the old or the new log is in its place at any time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from hakari.errors import Refused
from hakari.store.evidence import Decision
from hakari.store.evidence_sqlite import SCHEMA, EvidenceStoreFailed, SqliteEvidenceLog
from hakari.store.sqlite import Database, StoreMisused

ROWS_AT_ONCE = 256
HASH_BYTES_AT_ONCE = 1024 * 1024
BESIDE = ("", "-wal", "-shm", "-journal")

# Every table with its columns; `leaf` is what takes time. Both adapters have the same ones.
TABLES: dict[str, tuple[str, ...]] = {
    "origin": ("id", "edge", "epoch", "namespace", "size", "frozen", "root", "frontier"),
    "leaf": ("origin", "i", "received_ms", "leaf_hash", "checkpoint", "deflated", "gone"),
    "pending": ("id", "origin", "i", "sha256", "received_ms", "message"),
    "conflict": ("id", "origin", "sha256", "received_ms", "message"),
    "mark": ("origin", "size", "mark"),
    "quarantine": ("id", "received_ms", "source", "reason", "payload"),
    "quarantine_total": ("kept", "bytes", "dropped"),
    "decision": ("id", "at_ms", "kind", "subject", "who", "why", "detail"),
}

# Numbers of quarantined messages that decisions name are never given again.
HIGHEST_MESSAGE = (
    "SELECT coalesce(max(number), 1) FROM (SELECT id AS number FROM quarantine UNION ALL"
    " SELECT CAST(subject AS BIGINT) FROM decision WHERE kind LIKE 'quarantine-%') AS numbers"
)

Progress = Callable[[int], None]


class PlaceTaken(Refused):
    """A file or a log is where a copy should go, or somebody uses it."""


class Tables(Protocol):
    """What both adapters' databases can do for a copy."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Every query inside it sees the same moment."""
        ...

    def stream(self, query: str, values: Sequence[object], at_once: int) -> Iterator[tuple[object, ...]]:
        """The rows of a query, fetched in groups."""
        ...


class Copied(NamedTuple):
    """A file that holds a whole evidence log, and its SHA-256."""

    file: Path
    bytes: int
    sha256: str


def rows_of(source: Tables, table: str, progress: Progress) -> Iterator[tuple[object, ...]]:
    """The rows of a table; `progress` hears of leaves. Order: an origin's leaves as they were appended."""
    columns = TABLES[table]
    order = "origin, i" if table == "leaf" else "1"
    done = 0
    for row in source.stream(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}", (), ROWS_AT_ONCE):  # noqa: S608
        yield row
        done += 1
        if table == "leaf" and done % ROWS_AT_ONCE == 0:
            progress(ROWS_AT_ONCE)
    if table == "leaf":
        progress(done % ROWS_AT_ONCE)


@contextmanager
def unfinished(file: Path) -> Iterator[Path]:
    """A name beside `file` to write to; what is still there under it afterwards is gone."""
    made = file.with_name(f"{file.name}.part")
    _forget(made)
    try:
        yield made
    finally:
        _forget(made)


def put_new(made: Path, file: Path) -> None:
    """Gives the file `made` the name `file`, on disk; PlaceTaken where that exists, EvidenceStoreFailed otherwise."""
    try:
        _sync(made)
        os.link(made, file)
        _sync(file.parent)
    except FileExistsError as error:
        raise PlaceTaken(f"file {file} exists and is not overwritten; choose another name or move it") from error
    except OSError as error:
        raise EvidenceStoreFailed(f"file {file}: cannot be written ({error.strerror}); check the disk") from error


def fill(target: Path, source: Tables, progress: Progress, decision: Decision | None = None) -> None:
    """Makes the evidence log file `target` out of all that `source` has, and one decision more where one is given."""
    with closing(SqliteEvidenceLog(target)) as log, source.snapshot(), log.transaction():
        log.database.run("DELETE FROM quarantine_total")
        for table, columns in TABLES.items():
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
            log.database.run_many(insert, rows_of(source, table, progress))
        highest = (log.database.one(HIGHEST_MESSAGE) or (0,))[0]
        if not log.database.one("SELECT 1 FROM quarantine WHERE id = ?", (highest,)):
            log.database.run("INSERT INTO quarantine VALUES (?, 0, '', '', x'')", (highest,))
            log.database.run("DELETE FROM quarantine WHERE id = ?", (highest,))
        if decision is not None:
            log.decide(decision)
    _make_one_file(target)


def source_file(file: Path) -> Database:
    """The file of a backup, only read; errors as of the evidence log in a file."""
    return Database(file, SCHEMA, read_only=True)


def swap_in(made: Path, place: Path, kept: Path | None) -> None:
    """Puts the file `made` in the place of the log `place`, which stays as `kept`; None where there is none.

    Errors: PlaceTaken where `place` exists without a `kept`, or somebody has it open.
    """
    try:
        if place.exists():
            if kept is None:
                raise PlaceTaken(f"evidence log {place} exists; say --replace to move it away, or name another place")
            _make_one_file(place)
            os.link(place, kept)
        _sync(made)
        made.replace(place)
        _sync(place.parent)
    except OSError as error:
        raise EvidenceStoreFailed(f"evidence log {place}: cannot be replaced ({error}); check the disk") from error


def digest(file: Path) -> Copied:
    """The file's size and SHA-256; errors: EvidenceStoreFailed."""
    found = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while piece := opened.read(HASH_BYTES_AT_ONCE):
                found.update(piece)
        return Copied(file, file.stat().st_size, found.hexdigest())
    except OSError as error:
        raise EvidenceStoreFailed(f"file {file} cannot be read ({error.strerror}); check the path given") from error


def _make_one_file(file: Path) -> None:
    """Takes what stands in the log beside the file into it; PlaceTaken while anybody else has it open."""
    try:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as db:
            mode = db.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        raise PlaceTaken(f"evidence log {file} is in use ({error}); stop ingest, calc and api first") from error
    except sqlite3.DatabaseError as error:
        raise EvidenceStoreFailed(f"evidence log {file}: {error}; move it away yourself") from error
    if mode != ("delete",):
        raise StoreMisused(f"{file}: its journal mode stays {mode}")


def _forget(file: Path) -> None:
    for ending in BESIDE:
        with suppress(FileNotFoundError):
            file.with_name(file.name + ending).unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
