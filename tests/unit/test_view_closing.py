"""Closing days of the embedded view: what a kill, a version-1 file or damage makes of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hakari.errors import BadConfiguration
from hakari.store import packed, view_sqlite
from hakari.store.days import DAY_MS
from hakari.store.view import ViewMismatch
from hakari.store.view_sqlite import SqliteReadingsView, ViewStoreFailed
from hakari.wire.rows import Row

EDGE = "sola-e1"
POINT = f"{EDGE}/meter/energy"
FOREVER = (-(2**62), 2**62)
DAYS = 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "view.db"


@pytest.fixture
def view(file: Path) -> Iterator[SqliteReadingsView]:
    opened = SqliteReadingsView(file)
    yield opened
    opened.close()


def hour(k: int, point: str = POINT, raw: int | None = None) -> Row:
    return Row(point, k * 3_600_000, "u64", k if raw is None else raw, -2, 0, "", 1, k, "boot", k)


def fill(view: SqliteReadingsView, point: str = POINT) -> list[Row]:
    rows = [hour(k, point) for k in range(24 * DAYS)]
    view.write(EDGE, 1, len(rows), rows, [])
    return rows


def loose(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute("SELECT count(*) FROM reading").fetchone()[0])


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def test_closing_counts_days_of_points_and_leaves_later_ones(view: SqliteReadingsView, file: Path) -> None:
    rows = [*fill(view), *fill(view, f"{EDGE}/meter/power")]
    assert view.close_days(2 * DAY_MS - 1) == 2
    assert (view.close_days(2 * DAY_MS), view.close_days(2 * DAY_MS)) == (2, 0)
    assert loose(file) == len(rows) // 2
    assert view.counts() == (len(rows), 0)
    view.clear()
    assert view.counts() == (0, 0)
    assert view.points() == []


def test_a_row_of_a_block_is_not_written_again_nor_replaced(view: SqliteReadingsView, file: Path) -> None:
    rows = fill(view)
    assert view.close_days(DAYS * DAY_MS) == DAYS
    view.write(EDGE, 1, len(rows), rows, [])
    assert loose(file) == 0
    with pytest.raises(ViewMismatch, match="2 rows written, 1 found"):
        view.write(EDGE, 1, len(rows), [rows[0], hour(1, raw=99)], [])
    assert list(view.read(POINT, *FOREVER)) == rows


def test_a_day_of_too_many_rows_stays_loose(
    view: SqliteReadingsView, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MAX_ROWS", 23)
    rows = fill(view)
    assert view.close_days(DAYS * DAY_MS) == 0
    assert loose(file) == len(rows)
    monkeypatch.setattr(packed, "MAX_ROWS", 24)
    assert view.close_days(DAYS * DAY_MS) == DAYS
    late = [hour(k)._replace(leaf=k + 1) for k in range(2)]
    view.write(EDGE, 1, len(rows), late, [])
    assert view.close_days(DAYS * DAY_MS) == 0
    assert list(view.read(POINT, *FOREVER)) == sorted([*rows, *late], key=lambda row: (row.t_ms, row.leaf))


def test_a_reader_sees_one_moment_while_days_are_closed(view: SqliteReadingsView, file: Path) -> None:
    rows = fill(view)
    view.close_days(DAY_MS)
    with closing(SqliteReadingsView(file, read_only=True)) as reader:
        reading = reader.read(POINT, *FOREVER)
        first = [next(reading) for _ in range(30)]
        view.close_days(DAYS * DAY_MS)
        view.write(EDGE, 1, 1000, [hour(24 * DAYS)], [])
        assert first + list(reading) == rows
        assert list(reader.read(POINT, *FOREVER)) == [*rows, hour(24 * DAYS)]


KILLED = """
import sys
from hakari.store import packed
from hakari.store.view_sqlite import SqliteReadingsView
packed.PACKED_AT_ONCE = 100
view = SqliteReadingsView(sys.argv[1])
print("closing", flush=True)
view.close_days(2**50)
"""


def test_a_kill_while_closing_loses_and_doubles_nothing(file: Path) -> None:
    with closing(SqliteReadingsView(file)) as view:
        rows = [hour(k) for k in range(24 * 200)]
        view.write(EDGE, 1, len(rows), rows, [])
    wait_s = 0.002
    while loose(file):
        killed = subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE)
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"closing\n"
        time.sleep(wait_s)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        with closing(SqliteReadingsView(file)) as view:
            assert list(view.read(POINT, *FOREVER)) == rows
            assert view.counts() == (len(rows), 0)
            assert [day.rows for day in view.days(POINT, *FOREVER)] == [24] * 200
        wait_s *= 1.6


VERSION_1 = [
    statement
    for statement in view_sqlite._STATEMENTS
    if "day_block" not in statement and "day_summary" not in statement
]


def version_1(file: Path) -> None:
    """A file as version 1 made it."""
    execute(
        file, "PRAGMA journal_mode = WAL", "CREATE TABLE hakari_store (kind TEXT NOT NULL, version INTEGER NOT NULL)",
        *VERSION_1, "INSERT INTO hakari_store VALUES ('readings view', 1)",
        "INSERT INTO point VALUES (1, 'sola-e1/meter/energy')", "INSERT INTO boot VALUES (1, 'boot')",
        "INSERT INTO type VALUES (1, 'u64')", "INSERT INTO reading VALUES (1, 0, 1, 0, 1, 0, 1, 0, -2, 0, '')",
        "INSERT INTO cursor VALUES ('sola-e1', 1, 1)",
    )  # fmt: skip


def test_a_file_of_version_1_is_brought_up_to_date_where_it_is_written(file: Path) -> None:
    version_1(file)
    with pytest.raises(BadConfiguration, match="version 1, known is 2; start first what writes it"):
        SqliteReadingsView(file, read_only=True)
    for _ in range(2):
        with closing(SqliteReadingsView(file)) as view:
            assert (list(view.read(POINT, *FOREVER)), view.cursor(EDGE, 1)) == ([hour(0)], 1)
            view.close_days(DAY_MS)
    with closing(SqliteReadingsView(file, read_only=True)) as view:
        assert list(view.read(POINT, *FOREVER)) == [hour(0)]
    assert loose(file) == 0


def test_a_file_of_a_later_version_is_left_alone(file: Path) -> None:
    version_1(file)
    execute(file, "UPDATE hakari_store SET version = 3")
    with pytest.raises(BadConfiguration, match="version 3, known is 2; use the version of hakari that wrote it"):
        SqliteReadingsView(file)


@pytest.mark.parametrize("column", ["block", "summary"])
@pytest.mark.parametrize("damage", ["x'00'", "zeroblob(100)", "(SELECT {0} FROM day_{0} WHERE start_ms = 86400000)"])
def test_damage_is_told_with_what_to_do(view: SqliteReadingsView, file: Path, column: str, damage: str) -> None:
    rows = fill(view)
    view.close_days(DAYS * DAY_MS)
    execute(file, f"UPDATE day_{column} SET {column} = {damage.format(column)} WHERE start_ms = 0")
    sentence = rf"{POINT}, day 1970-01-01 is damaged \(.*\); rebuild the view: hakari view rebuild"
    with pytest.raises(ViewStoreFailed, match=sentence):
        list(view.read(POINT, 0, DAY_MS) if column == "block" else view.days(POINT, 0, DAY_MS))
    assert list(view.read(POINT, DAY_MS, 2 * DAY_MS)) == rows[24:48]
    view.clear()
    assert fill(view) == list(view.read(POINT, *FOREVER))


def test_the_days_of_one_point_are_read_without_those_of_another(view: SqliteReadingsView, file: Path) -> None:
    rows = fill(view)
    fill(view, f"{EDGE}/meter/power")
    view.close_days(DAYS * DAY_MS)
    execute(file, "UPDATE day_block SET block = x'00' WHERE point <> 1")
    execute(file, "UPDATE day_block SET block = x'00' WHERE point = 1 AND start_ms <> 86400000")
    assert list(view.read(POINT, DAY_MS, 2 * DAY_MS)) == rows[24:48]
    # Summaries tell the days: no block is read for them.
    assert [day.rows for day in view.days(POINT, *FOREVER)] == [24] * DAYS
    assert view.last(POINT) == rows[-1]
