"""The stores that a room's settings name, opened: the one place that chooses between embedded and InfluxDB.

influxdb-client is imported only where `[influxdb]` is given, so that an embedded installation does without it.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hakari.errors import BadConfiguration
from hakari.influxdb import InfluxSettings
from hakari.settings import beside
from hakari.store.operations import OperationsView
from hakari.store.view import ReadingsView
from hakari.store.view_sqlite import SqliteReadingsView


class InfluxClientMissing(BadConfiguration):
    """The settings name InfluxDB, and its client is not installed."""


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


def _missing(config: Path, error: ModuleNotFoundError) -> Exception:
    """Our sentence where InfluxDB's client or what it needs is missing; the error itself where it is ours."""
    package = (error.name or "hakari").split(".")[0]
    if package == "hakari":
        return error
    return InfluxClientMissing(
        f"{config}: [influxdb] is given but {package} is not installed; install hakari[influx], or name the file of"
        " the embedded view instead"
    )
