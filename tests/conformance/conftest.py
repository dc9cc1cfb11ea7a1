"""The adapters of a port that its suites run over."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hakari.store.view import ReadingsView
from hakari.store.view_influx import InfluxReadingsView
from hakari.store.view_sqlite import SqliteReadingsView
from tests.system.influx import TOKEN, InfluxServer

Opener = Callable[[Path], ReadingsView]


def sqlite(folder: Path) -> SqliteReadingsView:
    return SqliteReadingsView(folder / "view.db")


@pytest.fixture
def influxdb(influxd: InfluxServer, tmp_path: Path) -> Iterator[Opener]:
    """Opens the view in a bucket of its own; skips where there is no server."""
    bucket = f"view-{secrets.token_hex(8)}"
    influxd.make_bucket(bucket)
    yield lambda _: InfluxReadingsView(influxd.settings(bucket, tmp_path), TOKEN)
    influxd.delete_bucket(bucket)


@pytest.fixture(params=["sqlite", "influxdb"])
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the readings view of each adapter; again in the same folder is the same view."""
    if request.param == "sqlite":
        return sqlite
    found: Opener = request.getfixturevalue("influxdb")
    return found


@pytest.fixture
def view(opener: Opener, tmp_path: Path) -> Iterator[ReadingsView]:
    """An empty readings view of each adapter."""
    opened = opener(tmp_path)
    yield opened
    opened.close()
