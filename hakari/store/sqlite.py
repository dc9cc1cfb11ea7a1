"""Opening SQLite as a store of ours: WAL, a known durability, one schema version, failures as one sentence.

Guaranteed: a write happens inside `transaction()` and is whole or absent; when the disk or the lock fails, the
store's own StoreFailed leaves every method and nothing more is written through this connection.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hakari.errors import NOT_REACHABLE, BadConfiguration, HakariError

BUSY_TIMEOUT_S = 30.0
WAL_TRIES = 50
WAL_WAIT_S = 0.1
PAGE_BYTES = 8192
JOURNAL_KEPT_BYTES = 64 * 1024 * 1024

SqlRow = tuple[Any, ...]

_ADVICE = {
    "SQLITE_FULL": "free space on this disk and start again",
    "SQLITE_BUSY": f"another process held it for {BUSY_TIMEOUT_S:.0f} s; end that process and start again",
    "SQLITE_NOTADB": "the file is something else; check the path in the settings",
    "SQLITE_CANTOPEN": "check that the folder exists and that this user may write there",
    "SQLITE_READONLY": "give this user the right to write the file and its folder",
    "SQLITE_CORRUPT": "restore the file from a backup",
}


class StoreFailed(HakariError):
    """The disk, the file or its lock failed; the process must stop and acknowledge nothing."""

    exit_code = NOT_REACHABLE


class StoreUnknown(BadConfiguration):
    """The file is of another kind, or of a version that this program does not know."""


class StoreMisused(RuntimeError):
    """Our own fault: a write outside a transaction, a transaction inside another, numbers that do not fit."""


class Schema(NamedTuple):
    """A kind of store: its name, newest version, statements that create it, and the error that it fails with.

    `synchronous`: FULL where a commit must outlive a power cut; NORMAL where the last commits may be lost,
    each as a whole (in WAL mode neither can tear one). `upgrades`: the statements that bring a file of an older
    version to the next one, as the first writer that opens it does.
    """

    kind: str
    version: int
    statements: Sequence[str]
    synchronous: Literal["FULL", "NORMAL"]
    failed: type[StoreFailed]
    upgrades: Mapping[int, Sequence[str]] = {}


class Database:
    """One connection, used by one thread at a time. Any process may open the same file beside it."""

    def __init__(self, path: str | Path, schema: Schema, *, read_only: bool = False) -> None:
        self.path = str(path)
        self.read_only = read_only
        self._schema = schema
        self._failed = False
        self._writing = False
        with self._failing():
            self._db = _connect(self.path, schema, read_only=read_only)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything run inside it becomes durable together when it ends without an error, else none of it."""
        if self._writing or self.read_only or self._failed:
            raise StoreMisused(f"{self.path}: no transaction may begin here{self._state()}")
        with self._failing():
            self._db.execute("BEGIN IMMEDIATE")
        self._writing = True
        try:
            yield
            with self._failing():
                self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._writing = False

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Changes rows inside a transaction; how many."""
        if not self._writing:
            raise StoreMisused(f"{self.path}: a write needs a transaction")
        with self._failing():
            return self._db.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Changes rows inside a transaction, once a member of `rows`; how many in all."""
        if not self._writing:
            raise StoreMisused(f"{self.path}: a write needs a transaction")
        with self._failing():
            return self._db.executemany(sql, rows).rowcount

    def one(self, sql: str, values: Sequence[object] = ()) -> SqlRow | None:
        """The first row of a query."""
        with self._failing():
            row: SqlRow | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, values: Sequence[object] = ()) -> list[SqlRow]:
        """All rows of a query."""
        with self._failing():
            return self._db.execute(sql, values).fetchall()

    def stream(self, sql: str, values: Sequence[object], at_once: int) -> Iterator[SqlRow]:
        """The rows of a query as of one moment, fetched in groups; ends its snapshot when it is closed."""
        with self._failing():
            cursor = self._db.execute(sql, values)
        try:
            while True:
                with self._failing():
                    rows = cursor.fetchmany(at_once)
                if not rows:
                    return
                yield from rows
        finally:
            # Whoever failed in the middle may drop this after the connection: then nothing is held any more.
            with suppress(sqlite3.ProgrammingError):
                cursor.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Every query inside it sees the same moment."""
        if self._writing:
            yield
            return
        with self._failing():
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            # Nothing was written; unlike a rollback, this leaves rows that are being read elsewhere alone.
            with self._failing():
                self._db.execute("COMMIT")

    def close(self) -> None:
        """Releases the file; what was not committed is gone."""
        self._db.close()

    def _prepare(self) -> None:
        if not self.read_only:
            self._create_if_empty()
        found = self._found()
        if found is None or found[0] != self._schema.kind:
            holds = f"of kind {found[0]}" if found else "without the mark of one"
            raise StoreUnknown(
                f"{self.path}: is a database {holds}, expected {self._schema.kind}; check the path in the settings"
            )
        if found[1] in self._schema.upgrades and not self.read_only:
            with self.transaction():
                self._upgrade()
            found = self._found() or found
        if found[1] in self._schema.upgrades:
            raise StoreUnknown(
                f"{self.path}: has {found[0]} schema version {found[1]}, known is {self._schema.version};"
                " start first what writes it, which brings it up to date"
            )
        if found[1] != self._schema.version:
            raise StoreUnknown(
                f"{self.path}: has {found[0]} schema version {found[1]}, known is {self._schema.version};"
                " use the version of hakari that wrote it, or a newer one"
            )

    def _create_if_empty(self) -> None:
        if self.one("SELECT 1 FROM sqlite_schema LIMIT 1") is not None:
            return
        with self.transaction():
            # Another process may have been quicker while this one waited for the lock.
            if self.one("SELECT 1 FROM sqlite_schema LIMIT 1") is not None:
                return
            self.run("CREATE TABLE hakari_store (kind TEXT NOT NULL, version INTEGER NOT NULL)")
            for statement in self._schema.statements:
                self.run(statement)
            self.run("INSERT INTO hakari_store VALUES (?, ?)", (self._schema.kind, self._schema.version))

    def _upgrade(self) -> None:
        # Another process may have been quicker while this one waited for the lock.
        found = self._found()
        version = found[1] if found else self._schema.version
        while version in self._schema.upgrades:
            for statement in self._schema.upgrades[version]:
                self.run(statement)
            version += 1
        self.run("UPDATE hakari_store SET version = ?", (version,))

    def _found(self) -> SqlRow | None:
        if self.one("SELECT 1 FROM sqlite_schema WHERE name = 'hakari_store'") is None:
            return None
        return self.one("SELECT kind, version FROM hakari_store")

    def _roll_back(self) -> None:
        # After some failures SQLite has rolled back already.
        if self._db.in_transaction:
            with self._failing():
                self._db.execute("ROLLBACK")

    def _state(self) -> str:
        if self._failed:
            return ", since the store failed before"
        return ", since it is open for reading only" if self.read_only else ", since one is open already"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            # A disk that failed once may claim success the next time for what it has lost.
            self._failed = True
            raise self._schema.failed(_sentence(self._schema.kind, self.path, error)) from error


def _connect(path: str, schema: Schema, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        pragmas: tuple[str, ...] = ("query_only = ON",)
    else:
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        pragmas = (
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            f"synchronous = {schema.synchronous}",
            "foreign_keys = ON",
            f"journal_size_limit = {JOURNAL_KEPT_BYTES}",
        )
    try:
        for pragma in (*pragmas, "temp_store = MEMORY"):
            _set(db, pragma)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set(db: sqlite3.Connection, pragma: str) -> None:
    """Sets one pragma. Turning WAL on does not wait for another process that does the same just now: we do."""
    for again in reversed(range(WAL_TRIES)):
        try:
            db.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if not again or not getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                raise
            time.sleep(WAL_WAIT_S)
        else:
            return


def _sentence(kind: str, path: str, error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "")
    advice = next((text for code, text in _ADVICE.items() if name.startswith(code)), "check the disk under it")
    return f"{kind} {path}: {error} ({name or 'no code'}); {advice}"
