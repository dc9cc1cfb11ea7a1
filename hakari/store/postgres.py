"""Opening PostgreSQL as a store of ours: an own schema, a known durability, one version, failures as one sentence.

Guaranteed: a commit is on the server's disk (`synchronous_commit`, and a server with `fsync` off is refused); a write
happens inside a transaction and is whole or absent; when the server or the way to it fails, the store's own StoreFailed
leaves every method and a writer writes nothing more. What only reads connects again at its next use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from hakari.postgres import PostgresSettings
from hakari.settings import within
from hakari.store.sqlite import StoreFailed, StoreMisused, StoreUnknown

IDLE_LIMIT_S = 60
KEEPALIVE_S = 15
MAX_NAME_CHARS = 63

Row = tuple[Any, ...]

_ADVICE = {
    "28": "check [postgresql].user and password_file, and that pg_hba.conf lets this machine in",
    "3D": "check [postgresql].database, or create it",
    "42501": "let this user create a schema in the database, or own the schema",
    "53100": "free space on the server's disk and start again",
    "53200": "give the server more memory",
    "53300": "raise max_connections of the server",
    "55P03": "another process held it; end that process and start again",
    "57014": "it took longer than [postgresql].timeout_s; see what holds the server up",
    "57P": "the server ended; start again once it is back",
    "40P01": "another writer was in its way; nothing of this group is kept, start again",
    "P0001": "evidence is never changed; find what tries to",
}
_CONNECTING = (
    ("no password supplied", "28"),
    ("authentication failed", "28"),
    ("pg_hba.conf", "28"),
    ("certificate", "08TLS"),
    ("SSL", "08TLS"),
    ("does not exist", "3D"),
    ("too many", "53300"),
)
# Everybody who has a schema open holds this lock, so that nobody exchanges it under them.
_OPEN = "hashtextextended('hakari open ' || %s, 0)"
_TLS = "check [postgresql].host, tls and ca_file, and the server's certificate"
_REACH = "check that PostgreSQL runs at [postgresql].host and port and can be reached"


class Schema(NamedTuple):
    """A kind of store: its name, newest version, statements that create it, and the error that it fails with.

    `upgrades`: the statements that bring a schema of an older version to the next one, as its first writer does.
    """

    kind: str
    version: int
    statements: Sequence[str]
    failed: type[StoreFailed]
    upgrades: Mapping[int, Sequence[str]] = {}


class Database:
    """One connection; a writer is used by one thread, a reader by any."""

    def __init__(
        self, settings: PostgresSettings, password: str, folder: Path, schema: Schema, *, read_only: bool = False
    ) -> None:
        self.read_only = read_only
        self.name = f"{settings.host}:{settings.port}/{settings.database} schema {settings.schema}"
        self._settings = settings
        self._password = password
        self._ca_file = "system" if settings.ca_file == "system" else str(within(folder, settings.ca_file))
        self._schema = schema
        self._failed = False
        self._writing = False
        with self.failing():
            self._db = self._connect()
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    @property
    def writing(self) -> bool:
        """Whether a transaction is open."""
        return self._writing

    def begin(self, *queries: tuple[str, Sequence[object]]) -> list[list[Row]]:
        """Begins a transaction and runs `queries` in the same round trip; the rows of each."""
        if self._writing or self.read_only or self._failed:
            raise StoreMisused(f"{self.name}: no transaction may begin here{self._state()}")
        self._writing = True
        try:
            with self.failing(), self._db.pipeline():
                self._db.execute("BEGIN")
                cursors = [self._db.execute(_ours(query), values or None) for query, values in queries]
                return [cursor.fetchall() for cursor in cursors]
        except BaseException:
            self.roll_back()
            raise

    def commit(self) -> None:
        """Ends the transaction; what it wrote is on disk."""
        with self.failing():
            self._db.execute("COMMIT")
            if self._db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                raise psycopg.OperationalError("the transaction did not end")
        self._writing = False

    def roll_back(self) -> None:
        """Ends the transaction; nothing of it is kept. A broken connection has done so by itself."""
        self._writing = False
        with suppress(psycopg.Error):
            if not self._db.closed:
                self._db.execute("ROLLBACK")

    def run(self, query: str, values: Sequence[object] = ()) -> int:
        """Changes rows inside a transaction; how many."""
        self.check_writing()
        with self.failing():
            return self._db.execute(_ours(query), values or None).rowcount

    def run_together(self, *writes: tuple[str, Sequence[Sequence[object]]]) -> list[int]:
        """Runs each statement once a row of values, all in one round trip; how many rows each changed."""
        self.check_writing()
        with self.failing(), self._db.pipeline():
            cursors = []
            for query, rows in writes:
                cursor = self._db.cursor()
                cursor.executemany(_ours(query), rows)
                cursors.append(cursor)
        return [cursor.rowcount for cursor in cursors]

    def one(self, query: str, values: Sequence[object] = ()) -> Row | None:
        """The first row of a query."""
        rows = self.all(query, values)
        return rows[0] if rows else None

    def all(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query."""
        if self.read_only and self._db.closed:
            with self.failing():
                self._db = self._connect()
        with self.failing():
            return self._db.execute(_ours(query), values or None).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Every query inside it sees the same moment."""
        with self.failing():
            self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self.roll_back()

    def stream(self, query: str, values: Sequence[object], at_once: int) -> Iterator[Row]:
        """The rows of a query, fetched in groups; inside `snapshot()` or a transaction."""
        with self.failing(), self._db.cursor(name="hakari_stream") as cursor:
            cursor.itersize = at_once
            cursor.execute(_ours(query), values or None)
            yield from cursor

    def copy_in(self, table: str, columns: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
        """Writes rows in bulk inside a transaction."""
        self.check_writing()
        query = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(column) for column in columns)
        )
        with self.failing(), self._db.cursor() as cursor, cursor.copy(query) as copy:
            for row in rows:
                copy.write_row(row)

    def take_alone(self) -> bool:
        """Keeps everybody else from opening the schema until this connection ends; False where somebody has it open."""
        row = self.one(f"SELECT pg_try_advisory_lock({_OPEN})", self._own())
        return row == (True,)

    def make_again(self, moved_to: str) -> str:
        """Inside a transaction: an empty schema in the place of this one, which is kept under the name returned."""
        self.check_writing()
        moved = f"{self._settings.schema[: MAX_NAME_CHARS - 1 - len(moved_to)]}_{moved_to}"
        with self.failing():
            self._db.execute(
                sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                    sql.Identifier(self._settings.schema), sql.Identifier(moved)
                )
            )
        self._make_or_upgrade()
        return moved

    def check_writing(self) -> None:
        """StoreMisused outside a transaction."""
        if not self._writing:
            raise StoreMisused(f"{self.name}: a write needs a transaction")

    def close(self) -> None:
        """Ends the connection; what was not committed is gone."""
        self._db.close()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Turns what the client says into the store's own error."""
        try:
            yield
        except psycopg.Error as error:
            # The caller cannot know what of a failed connection reached the disk: only a new start can tell.
            self._failed = not self.read_only
            raise self._schema.failed(_sentence(self._schema.kind, self.name, error)) from error

    def _connect(self) -> psycopg.Connection[Row]:
        given = self._settings
        db = psycopg.connect(
            host=given.host,
            port=given.port,
            dbname=given.database,
            user=given.user,
            password=self._password or None,
            sslmode="verify-full" if given.tls == "verify" else "disable",
            sslrootcert=self._ca_file if given.tls == "verify" else None,
            connect_timeout=given.timeout_s,
            keepalives_idle=KEEPALIVE_S,
            tcp_user_timeout=given.timeout_s * 1000,
            application_name="hakari",
            client_encoding="UTF8",
            autocommit=True,
        )
        try:
            db.execute(
                "SELECT set_config('search_path', %s, false), set_config('statement_timeout', %s, false),"
                " set_config('idle_in_transaction_session_timeout', %s, false),"
                " set_config('client_min_messages', 'warning', false),"
                " set_config('default_transaction_isolation', 'read committed', false),"
                " set_config('default_transaction_read_only', %s, false),"
                # A stronger setting (a standby that has applied it) is left as it is.
                " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
                " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)",
                (
                    given.schema,
                    f"{given.timeout_s}s",
                    f"{IDLE_LIMIT_S}s",
                    "on" if self.read_only else "off",
                ),
            )
            db.execute(f"SELECT pg_advisory_lock_shared({_OPEN})", self._own())
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self) -> None:
        checked = self.one("SELECT current_setting('fsync'), current_setting('server_encoding')") or ("", "")
        if checked != ("on", "UTF8"):
            raise StoreUnknown(
                f"{self._schema.kind} {self.name}: the server has fsync {checked[0]} and encoding {checked[1]};"
                " a commit must outlive a power cut and texts must be whole: use one with fsync on and UTF8"
            )
        if not self.read_only:
            with self._changing():
                self._make_or_upgrade()
        found = self._found()
        if found is None or found[0] != self._schema.kind:
            holds = f"is of kind {found[0]}" if found else "is not there, is empty or is another program's"
            raise StoreUnknown(
                f"{self.name}: the schema {holds}, expected {self._schema.kind}; check [postgresql].schema, or start"
                " first what writes it, which makes it"
            )
        if found[1] in self._schema.upgrades:
            raise StoreUnknown(
                f"{self.name}: has {found[0]} schema version {found[1]}, known is {self._schema.version};"
                " start first what writes it, which brings it up to date"
            )
        if found[1] != self._schema.version:
            raise StoreUnknown(
                f"{self.name}: has {found[0]} schema version {found[1]}, known is {self._schema.version};"
                " use the version of hakari that wrote it, or a newer one"
            )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A transaction that keeps everybody else from making or upgrading the schema meanwhile."""
        self.begin(("SELECT pg_advisory_xact_lock(hashtextextended('hakari schema ' || %s, 0))", (self.name,)))
        try:
            yield
            self.commit()
        except BaseException:
            self.roll_back()
            raise

    def _make_or_upgrade(self) -> None:
        found = self._found()
        if found is None and self._empty():
            name = sql.Identifier(self._settings.schema)
            with self.failing():
                self._db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            self.run("CREATE TABLE hakari_store (kind TEXT NOT NULL, version INTEGER NOT NULL)")
            for statement in self._schema.statements:
                self.run(statement)
            self.run("INSERT INTO hakari_store VALUES (%s, %s)", (self._schema.kind, self._schema.version))
        elif found is not None and found[0] == self._schema.kind:
            version = found[1]
            while version in self._schema.upgrades:
                for statement in self._schema.upgrades[version]:
                    self.run(statement)
                version += 1
            if version != found[1]:
                self.run("UPDATE hakari_store SET version = %s", (version,))

    def _empty(self) -> bool:
        return not self.all("SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(%s) LIMIT 1", self._own())

    def _found(self) -> Row | None:
        if not self.all(
            "SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relname = 'hakari_store'", self._own()
        ):
            return None
        return self.one("SELECT kind, version FROM hakari_store")

    def _own(self) -> tuple[str]:
        return (self._settings.schema,)

    def _state(self) -> str:
        if self._failed:
            return ", since the store failed before"
        return ", since it is open for reading only" if self.read_only else ", since one is open already"


def _ours(query: str) -> sql.SQL:
    """A statement of ours: its text is a constant, every value goes beside it."""
    return sql.SQL(query)


def _sentence(kind: str, name: str, error: psycopg.Error) -> str:
    text = " ".join(str(error).split())
    code = error.sqlstate or next((code for words, code in _CONNECTING if words in text), "08")
    found = [advice for start, advice in _ADVICE.items() if code.startswith(start)]
    advice = found[0] if found else (_TLS if code == "08TLS" else _REACH if code.startswith("08") else "see its log")
    return f"{kind} {name}: {text} ({code}); {advice}"
