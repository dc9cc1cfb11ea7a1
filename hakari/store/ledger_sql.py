"""The ledger on SQLAlchemy: SQLite in one file (WAL, FULL). Its schema comes from the migrations beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import exc

from hakari.errors import BadConfiguration, NotReachable
from hakari.ledger.port import MAX_LIST, LedgerRefused, PeriodKey
from hakari.ledger.types import (
    FINAL,
    NEXT,
    PeriodRecord,
    ProjectRecord,
    State,
    TokenRecord,
    check_id,
)
from hakari.store import ledger_tables as tables

BUSY_TIMEOUT_S = 10
MIGRATIONS = Path(__file__).parent / "migrations"
_SQLITE = "sqlite:///"
_T = TypeVar("_T", bound=msgspec.Struct)
_BEFORE_LOCKED: tuple[State, ...] = ("open", "closed", "submitted")


class LedgerUnavailable(NotReachable):
    """The ledger's database cannot be opened, is busy for too long, or has another schema."""


class BadLedgerUrl(BadConfiguration):
    """The ledger's address is none that this release can open."""


def url_beside(settings_path: Path, url: str) -> str:
    """`url` with a relative SQLite path taken against the folder of the settings file; others as they are."""
    if not url.startswith(_SQLITE):
        return url
    path = settings_path.parent / Path(url.removeprefix(_SQLITE)).expanduser()
    return f"{_SQLITE}{path.absolute()}"


class SqlLedger:
    """`hakari.ledger.port.Ledger` on `sqlite:///PATH`; usable from several threads and processes.

    Opened `read_only` it creates no file and changes none.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Opens nothing yet. Errors: BadLedgerUrl."""
        path = url.removeprefix(_SQLITE)
        if path in ("", ":memory:") or path == url or "?" in path:
            raise BadLedgerUrl(f"ledger url {url!r} must be sqlite:/// followed by the path of a file")
        self._url = url
        address = _read_only(path) if read_only else sa.URL.create("sqlite", database=path)
        engine = sa.create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_S})
        sa.event.listen(engine, "connect", _prepare_to_read if read_only else _prepare)
        sa.event.listen(engine, "begin", _begin)
        self._engine = engine

    def migrate(self) -> None:
        """Brings the database to the schema of this release; doing it again changes nothing."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        with self._transaction(write=True) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise LedgerUnavailable(f"ledger {self._url} cannot be migrated: {error}; update hakari") from error

    def ping(self) -> None:
        """Nothing, if the ledger answers and has the schema; LedgerUnavailable otherwise."""
        with self._transaction() as connection:
            revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        if revision != tables.REVISION:
            raise LedgerUnavailable(f"ledger {self._url} has schema {revision}, not {tables.REVISION}; migrate it")

    def put_project(self, project: ProjectRecord) -> None:
        """Registers a project or a new revision of it."""
        check_id(project.project_id, "project id")
        table = tables.project_revisions
        with self._transaction(write=True) as connection:
            newest = connection.execute(
                sa.select(table.c.revision, table.c.document_sha256)
                .where(table.c.project_id == project.project_id)
                .order_by(table.c.revision.desc())
                .limit(1)
            ).first()
            if newest is None:
                connection.execute(sa.insert(tables.projects).values(project_id=project.project_id))
            elif newest.document_sha256 == project.document_sha256:
                return
            revision = 1 if newest is None else newest.revision + 1
            connection.execute(sa.insert(table).values(revision=revision, **msgspec.structs.asdict(project)))

    def project(self, project_id: str) -> ProjectRecord | None:
        """The newest revision."""
        found = self.revisions(project_id)
        return found[-1] if found else None

    def revisions(self, project_id: str) -> list[ProjectRecord]:
        """Every revision, oldest first."""
        table = tables.project_revisions
        query = sa.select(table).where(table.c.project_id == project_id).order_by(table.c.revision)
        return [_record(row, ProjectRecord) for row in self._rows(query)]

    def projects(
        self, among: Collection[str] | None = None, after: str = "", limit: int = MAX_LIST
    ) -> list[ProjectRecord]:
        """Newest revisions ordered by project id."""
        table, other = tables.project_revisions, tables.project_revisions.alias()
        newest = sa.select(sa.func.max(other.c.revision)).where(other.c.project_id == table.c.project_id)
        query = sa.select(table).where(table.c.revision == newest.scalar_subquery(), table.c.project_id > after)
        if among is not None:
            query = query.where(table.c.project_id.in_(sorted(among)))
        query = query.order_by(table.c.project_id).limit(_limit(limit))
        return [_record(row, ProjectRecord) for row in self._rows(query)]

    def put_period(self, period: PeriodRecord) -> None:
        """Stores an open, closed or submitted period, or replaces what was computed for it."""
        _check_before_locked(period)
        with self._transaction(write=True) as connection:
            stored = _period(connection, period.period_id)
            if stored is None:
                _check_first(connection, period)
                connection.execute(sa.insert(tables.periods).values(**msgspec.structs.asdict(period)))
                return
            _check_same(stored, period)
            if stored.state in FINAL or _BEFORE_LOCKED.index(period.state) < _BEFORE_LOCKED.index(stored.state):
                raise LedgerRefused(
                    f"period {period.period_id} is {stored.state} and cannot become {period.state};"
                    " a locked one is corrected by a further version"
                )
            _update(connection, period)

    def advance(self, period_id: str, state: State) -> PeriodRecord:
        """Moves a period one step forward, except to `locked`."""
        with self._transaction(write=True) as connection:
            stored = _existing(connection, period_id)
            following = NEXT.get(stored.state)
            if state == "locked":
                raise LedgerRefused(f"period {period_id} becomes locked only together with its statement; use lock")
            if following != state:
                raise LedgerRefused(f"period {period_id} is {stored.state} and can become {following}, not {state}")
            moved = msgspec.structs.replace(stored, state=state)
            _update(connection, moved)
            return moved

    def lock(self, period: PeriodRecord) -> None:
        """Moves a submitted period to `locked` with its result and statement."""
        if period.state != "locked" or not period.statement:
            raise LedgerRefused(f"period {period.period_id} must be given as locked and with its signed statement")
        with self._transaction(write=True) as connection:
            stored = _existing(connection, period.period_id)
            _check_same(stored, period)
            if stored.state != "submitted":
                raise LedgerRefused(f"period {period.period_id} is {stored.state}; only a submitted one can be locked")
            _update(connection, period)

    def supersede(self, period: PeriodRecord) -> None:
        """Stores the next version of a locked period and marks that one superseded."""
        _check_before_locked(period)
        with self._transaction(write=True) as connection:
            old = _existing(connection, period.supersedes or "")
            if old.state not in FINAL - {"superseded"}:
                raise LedgerRefused(f"period {old.period_id} is {old.state}; only a locked one can be superseded")
            if _span(period) != _span(old) or period.version != old.version + 1:
                raise LedgerRefused(
                    f"period {period.period_id} must have the project and span of {old.period_id}"
                    f" and version {old.version + 1}, not {period.version}"
                )
            connection.execute(sa.insert(tables.periods).values(**msgspec.structs.asdict(period)))
            _update(connection, msgspec.structs.replace(old, state="superseded"))

    def period(self, period_id: str) -> PeriodRecord | None:
        """That period."""
        with self._transaction() as connection:
            return _period(connection, period_id)

    def periods(self, project_id: str, after: PeriodKey | None = None, limit: int = MAX_LIST) -> list[PeriodRecord]:
        """The project's periods in every version, ordered by start and id."""
        table = tables.periods
        query = sa.select(table).where(table.c.project_id == project_id)
        if after is not None:
            query = query.where(sa.tuple_(table.c.start_ms, table.c.period_id) > sa.tuple_(*map(sa.literal, after)))
        query = query.order_by(table.c.start_ms, table.c.period_id).limit(_limit(limit))
        return [_record(row, PeriodRecord) for row in self._rows(query)]

    def put_token(self, token: TokenRecord) -> None:
        """Keeps a new token."""
        table = tables.tokens
        with self._transaction(write=True) as connection:
            same = sa.or_(table.c.name == token.name, table.c.token_sha256 == token.token_sha256)
            if connection.execute(sa.select(table).where(same)).first() is not None:
                raise LedgerRefused(f"a token named {token.name!r} exists; choose another name")
            connection.execute(sa.insert(table).values(**msgspec.structs.asdict(token)))

    def token(self, token_sha256: str) -> TokenRecord | None:
        """The token of that hash, whether valid or not."""
        rows = self._rows(sa.select(tables.tokens).where(tables.tokens.c.token_sha256 == token_sha256))
        return _record(rows[0], TokenRecord) if rows else None

    def tokens(self) -> list[TokenRecord]:
        """Every token ordered by name."""
        query = sa.select(tables.tokens).order_by(tables.tokens.c.name)
        return [_record(row, TokenRecord) for row in self._rows(query)]

    def revoke_token(self, name: str) -> bool:
        """Revokes the token of that name for ever."""
        with self._transaction(write=True) as connection:
            done = connection.execute(sa.update(tables.tokens).where(tables.tokens.c.name == name).values(revoked=True))
            return done.rowcount == 1

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def _rows(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        with self._transaction() as connection:
            return list(connection.execute(query))

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """One transaction; a writer has the write lock from its start, so that what it reads stays true."""
        try:
            with self._engine.connect().execution_options(hakari_write=write) as connection, connection.begin():
                yield connection
        except exc.IntegrityError as error:
            raise LedgerRefused(f"the ledger's database refuses the change: {error.orig}") from error
        except exc.OperationalError as error:
            raise LedgerUnavailable(f"ledger {self._url} cannot be used: {error.orig}") from error
        except (exc.DatabaseError, sqlite3.DatabaseError) as error:
            if isinstance(error, exc.ProgrammingError | exc.DataError | exc.InternalError | exc.NotSupportedError):
                raise
            raise LedgerUnavailable(f"ledger {self._url} cannot be used: {error}") from error


def _read_only(path: str) -> sa.URL:
    query = {"mode": "ro", "uri": "true"}
    return sa.URL.create("sqlite", database=Path(path).absolute().as_uri(), query=query)


def _prepare_to_read(connection: sqlite3.Connection, _record: object) -> None:
    """Every new connection of a reader: our own BEGIN; the file's mode is the writer's to set."""
    connection.isolation_level = None


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Every new connection: our own BEGIN, a durable log, foreign keys."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("hakari_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _record(row: sa.Row[Any], kind: type[_T]) -> _T:
    return msgspec.convert({str(name): value for name, value in row._asdict().items()}, kind)


def _limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIST:
        raise ValueError(f"limit {limit} must be from 1 to {MAX_LIST}")
    return limit


def _period(connection: sa.Connection, period_id: str) -> PeriodRecord | None:
    row = connection.execute(sa.select(tables.periods).where(tables.periods.c.period_id == period_id)).first()
    return None if row is None else _record(row, PeriodRecord)


def _existing(connection: sa.Connection, period_id: str) -> PeriodRecord:
    found = _period(connection, period_id)
    if found is None:
        raise LedgerRefused(f"period {period_id!r} does not exist; compute it first")
    return found


def _update(connection: sa.Connection, period: PeriodRecord) -> None:
    content = msgspec.structs.asdict(period)
    change = sa.update(tables.periods).where(tables.periods.c.period_id == content.pop("period_id"))
    connection.execute(change.values(**content))


def _span(period: PeriodRecord) -> tuple[str, str, int, int, str]:
    return (period.project_id, period.kind, period.start_ms, period.end_ms, period.zone)


def _check_before_locked(period: PeriodRecord) -> None:
    check_id(period.period_id, "period id")
    if period.start_ms >= period.end_ms:
        raise LedgerRefused(f"period {period.period_id} must start before it ends")
    if period.state not in _BEFORE_LOCKED or period.statement:
        raise LedgerRefused(f"period {period.period_id} must be open, closed or submitted and without a statement here")


def _check_first(connection: sa.Connection, period: PeriodRecord) -> None:
    if period.version != 1 or period.supersedes is not None:
        raise LedgerRefused(f"period {period.period_id} is new and so version 1; a later one supersedes a locked one")
    known = sa.select(tables.projects).where(tables.projects.c.project_id == period.project_id)
    if connection.execute(known).first() is None:
        raise LedgerRefused(f"project {period.project_id!r} is not registered; register it first")


def _check_same(stored: PeriodRecord, period: PeriodRecord) -> None:
    identity = (_span(period), period.version, period.supersedes)
    if (_span(stored), stored.version, stored.supersedes) != identity:
        raise LedgerRefused(f"period {period.period_id} is stored with another project, span, zone or version")
