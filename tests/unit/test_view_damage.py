"""A view file in which somebody wrote something else: one sentence with what to do, and a rebuild that works."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hakari.store import blocks
from hakari.store.days import DAY_MS, columns_of
from hakari.store.view_sqlite import SqliteReadingsView, ViewStoreFailed
from hakari.wire.rows import Row
from ingest.view.feed import Feeder
from tests.unit import calc_world as w
from tests.unit.test_view_cli import hakari, settings

EDGE = "sola-e1"
POINT = f"{EDGE}/meter/energy"
FOREVER = (-(2**62), 2**62)
DAYS = 3
REBUILD = "is damaged.*; rebuild the view: hakari view rebuild$"
LATE = 24 * DAYS

Asked = Callable[[SqliteReadingsView], object]
ASKED: dict[str, Asked] = {
    "cursor": lambda view: view.cursor(EDGE, 1),
    "read": lambda view: list(view.read(POINT, *FOREVER)),
    "days": lambda view: list(view.days(POINT, *FOREVER)),
    "last": lambda view: view.last(POINT),
    "close": lambda view: view.close_days(FOREVER[1]),
    "points": lambda view: view.points(),
    "refused": lambda view: view.refused(),
    "write": lambda view: view.write(EDGE, 1, 3, [hour(2)], []),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three packed days and a loose row after them."""
    path = tmp_path / "view.db"
    with closing(SqliteReadingsView(path)) as view:
        fill(view)
    return path


def hour(k: int) -> Row:
    return Row(POINT, k * 3_600_000, "u32", k, -2, 0, "", 1, k, "boot", k)


def fill(view: SqliteReadingsView) -> None:
    view.write(EDGE, 1, LATE, [hour(k) for k in range(LATE)], [])
    view.close_days(DAYS * DAY_MS)
    view.write(EDGE, 1, LATE + 1, [hour(LATE)], [])


def execute(file: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        assert db.execute(sql, values).rowcount > 0


LOOSE = [
    (f"UPDATE reading SET {column} = {value}", asked)
    for column, value in [
        ("raw", "'abc'"), ("raw", "1.5"), ("raw", "x'00'"), ("exponent", "1.5"), ("exponent", "'x'"),
        ("t_ms", "t_ms + 0.5"), ("mono_ms", "'q'"), ("epoch", "'e'"), ("leaf", "0.5"), ("reason", "x'00'"),
    ]
    for asked in ("read", "days", "last", "close")
]  # fmt: skip
OTHER = [
    ("UPDATE reading SET quality = 'x'", "read"),
    ("UPDATE reading SET quality = 'x'", "close"),
    ("UPDATE reading SET t_ms = 'zzz'", "close"),
    ("UPDATE reading SET type = 'x'", "close"),
    ("UPDATE reading SET boot = 77", "close"),
    ("UPDATE cursor SET next = 'abc'", "cursor"),
    ("UPDATE cursor SET next = -5", "cursor"),
    ("UPDATE cursor SET next = 'abc'", "write"),
    ("UPDATE point SET name = x'00' WHERE id = 1", "points"),
    ("UPDATE point SET name = x'00' WHERE id = 1", "close"),
    ("INSERT INTO refused VALUES (x'00', 1, 1, '')", "refused"),
    ("UPDATE day_summary SET summary = 'x'", "days"),
    ("UPDATE day_summary SET rows = 'x'", "days"),
    ("UPDATE day_block SET block = 'x'", "read"),
    ("UPDATE day_block SET block = 5", "read"),
    ("UPDATE day_block SET block = 'x'", "write"),
    ("UPDATE day_block SET start_ms = start_ms + 1", "read"),
    ("UPDATE day_block SET start_ms = start_ms + 0.5", "read"),
    ("UPDATE day_block SET start_ms = 4611686018427300000 WHERE start_ms = 0", "read"),
    ("UPDATE day_block SET start_ms = start_ms + 1 WHERE start_ms = 0", "days"),
    ("UPDATE day_summary SET start_ms = 4611686018427300000 WHERE start_ms = 0", "days"),
    # Neither half of a packed day is there without the other.
    ("DELETE FROM day_summary WHERE start_ms = 86400000", "days"),
    ("DELETE FROM day_block WHERE start_ms = 86400000", "days"),
    ("DELETE FROM day_summary", "days"),
    ("DELETE FROM day_block", "days"),
]


@pytest.mark.parametrize(("sql", "asked"), LOOSE + OTHER)
def test_what_is_no_row_is_one_sentence_and_a_rebuild(file: Path, sql: str, asked: str) -> None:
    execute(file, sql)
    with closing(SqliteReadingsView(file)) as view:
        with pytest.raises(ViewStoreFailed, match=REBUILD):
            ASKED[asked](view)
        view.clear()
        fill(view)
        assert list(view.read(POINT, *FOREVER)) == [hour(k) for k in range(LATE + 1)]
        assert [day.rows for day in view.days(POINT, *FOREVER)] == [24] * DAYS + [1]
        for ask in ASKED.values():
            ask(view)


@pytest.mark.parametrize("table", ["day_summary", "day_block"])
def test_the_last_packed_day_is_not_passed_over(file: Path, table: str) -> None:
    execute(file, "DELETE FROM reading")
    execute(file, f"DELETE FROM {table} WHERE start_ms = ?", (DAYS - 1) * DAY_MS)
    with (
        closing(SqliteReadingsView(file)) as view,
        pytest.raises(ViewStoreFailed, match=r"is damaged \(a .* without a .*\); rebuild"),
    ):
        view.last(POINT)


def test_a_point_is_there_as_long_as_it_has_blocks(file: Path) -> None:
    execute(file, "DELETE FROM reading")
    execute(file, "DELETE FROM day_summary")
    with closing(SqliteReadingsView(file)) as view:
        assert view.points() == [POINT]


def test_a_sealed_block_has_no_rows_of_another_day(file: Path) -> None:
    block = blocks.pack(POINT, 0, columns_of([hour(0), hour(LATE)]))
    execute(file, "UPDATE day_block SET block = ? WHERE start_ms = 0", block)
    with (
        closing(SqliteReadingsView(file)) as view,
        pytest.raises(ViewStoreFailed, match=r"\(it has rows of another day\); rebuild"),
    ):
        list(view.read(POINT, 0, DAY_MS))


@pytest.fixture
def world(tmp_path: Path) -> w.World:
    """A month in evidence and view, and ingest.toml beside them."""
    world = w.World(tmp_path)
    world.record(w.month(), world.configure())
    with closing(SqliteReadingsView(tmp_path / "view.db")) as view:
        assert Feeder(world.evidence, view).catch_up().done
    settings(world, 'view = "view.db"', "")
    return world


def test_a_row_of_text_ends_commands_with_a_sentence_and_is_rebuilt(world: w.World) -> None:
    execute(world.folder / "view.db", "UPDATE reading SET raw = 'abc' WHERE t_ms = ?", w.START_MS)
    compared = hakari(world, "compare")
    assert compared.returncode == 4
    assert "rebuild the view: hakari view rebuild" in compared.stderr
    assert "Traceback" not in compared.stderr
    assert hakari(world, "rebuild").returncode == 0
    assert hakari(world, "compare").returncode == 0
