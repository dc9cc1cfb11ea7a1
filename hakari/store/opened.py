"""The stores that a room's settings name, opened: the one place that chooses between embedded and a server.

influxdb-client and psycopg are imported only where `[influxdb]` and `[postgresql]` are given, so that an embedded
installation does without them.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, closing
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from hakari.errors import BadConfiguration
from hakari.influxdb import InfluxSettings
from hakari.postgres import PostgresSettings
from hakari.settings import beside
from hakari.store.evidence import Decision, EvidenceLog
from hakari.store.evidence_copy import Progress, Tables, source_file
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.operations import OperationsView
from hakari.store.view import ReadingsView
from hakari.store.view_sqlite import SqliteReadingsView


class InfluxClientMissing(BadConfiguration):
    """The settings name InfluxDB, and its client is not installed."""


class PostgresClientMissing(BadConfiguration):
    """The settings name PostgreSQL, and its client is not installed."""


def open_evidence(
    config: Path, file: str, postgresql: PostgresSettings | None, *, read_only: bool = False
) -> EvidenceLog:
    """The evidence log of the settings file `config`: PostgreSQL where `postgresql` is given, else the file `file`.

    A writer makes what is absent. What is opened is for one thread that writes, or for any that read.
    Errors: PostgresClientMissing, PostgresPasswordUnusable, EvidenceStoreFailed, StoreUnknown.
    """
    if postgresql is None:
        return SqliteEvidenceLog(beside(config, file), read_only=read_only)
    try:
        from hakari.store.evidence_postgres import PostgresEvidenceLog  # noqa: PLC0415 - an embedded installation lacks it
    except ImportError as error:
        raise _postgres_missing(config, error) from error
    return PostgresEvidenceLog(postgresql, postgresql.password(config), config.parent, read_only=read_only)


def evidence_tables(config: Path, file: str, postgresql: PostgresSettings | None) -> AbstractContextManager[Tables]:
    """The tables of the evidence log, only read, for copying all of it; errors as `open_evidence`."""
    if postgresql is None:
        return closing(source_file(beside(config, file)))
    tables: AbstractContextManager[Tables] = _postgres_copy(config).opened_tables(
        postgresql, postgresql.password(config), config.parent
    )
    return tables


def restore_to_server(
    config: Path, postgresql: PostgresSettings, source: Tables, decision: Decision, moved_to: str, progress: Progress
) -> str:
    """Fills the log in PostgreSQL from a backup; the schema that the log there was moved to, "" where it was empty.

    Errors: PlaceTaken, and as `open_evidence`.
    """
    password = postgresql.password(config)
    return str(
        _postgres_copy(config).restore(postgresql, password, config.parent, source, decision, moved_to, progress)
    )


def _postgres_copy(config: Path) -> ModuleType:
    try:
        return importlib.import_module("hakari.store.evidence_postgres_copy")
    except ImportError as error:
        raise _postgres_missing(config, error) from error


def open_view(config: Path, view: str, influxdb: InfluxSettings | None, *, read_only: bool = False) -> ReadingsView:
    """The readings view of the settings file `config`: InfluxDB where `influxdb` is given, else the file `view`.

    Errors: InfluxClientMissing, InfluxTokenUnusable, and what the embedded view says of its file. InfluxDB itself is
    asked nothing before the view is used.
    """
    if influxdb is None:
        return SqliteReadingsView(beside(config, view), read_only=read_only)
    try:
        from hakari.store.view_influx import InfluxReadingsView  # noqa: PLC0415 - an embedded installation lacks it
    except ModuleNotFoundError as error:
        raise _missing(config, error) from error
    return InfluxReadingsView(influxdb, influxdb.token(config), read_only=read_only)


def open_operations(config: Path, influxdb: InfluxSettings) -> OperationsView:
    """Where operators' measurements go; errors as `open_view`."""
    try:
        from hakari.store.operations_influx import InfluxOperations  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise _missing(config, error) from error
    return InfluxOperations(influxdb, influxdb.token(config))


class Made(NamedTuple):
    """Our bucket, and whether it was made just now."""

    bucket: str
    made: bool


def make_bucket(config: Path, influxdb: InfluxSettings) -> Made:
    """The bucket of `influxdb`, made where it is absent; saying it again changes nothing.

    Errors: ViewUnavailable where the token may not make it or what is there drops readings, and as `open_view`.
    """
    try:
        from hakari.store.influx import Influx  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise _missing(config, error) from error
    with closing(Influx(influxdb, influxdb.token(config))) as influx:
        return Made(influxdb.bucket, influx.made_bucket())


def _postgres_missing(config: Path, error: ImportError) -> Exception:
    """Our sentence where psycopg or the library under it is missing; the error itself where it is ours."""
    if (error.name or "").split(".")[0] == "hakari":
        return error
    return PostgresClientMissing(
        f"{config}: [postgresql] is given but psycopg cannot be used ({error}); install hakari[postgres], or name the"
        " evidence log's file instead"
    )


def _missing(config: Path, error: ModuleNotFoundError) -> Exception:
    """Our sentence where InfluxDB's client or what it needs is missing; the error itself where it is ours."""
    package = (error.name or "hakari").split(".")[0]
    if package == "hakari":
        return error
    return InfluxClientMissing(
        f"{config}: [influxdb] is given but {package} is not installed; install hakari[influx], or name the file of"
        " the embedded view instead"
    )
