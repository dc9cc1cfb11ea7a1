"""`hakari view …` on real files and with no InfluxDB: what it says, and what it ends with."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hakari.errors import BAD_CONFIGURATION, DATA_PROBLEM, NOT_REACHABLE
from hakari.store.view import ViewDay
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from ingest.view.compare import MAX_DAYS_LOOKED_INTO, compare, difference
from ingest.view.feed import Feeder
from simulate.layout import free_ports
from tests.unit import calc_world as w

DAY_MS = 86_400_000
WITHOUT_CLIENT = "import sys; sys.modules['influxdb_client'] = None; "
MAIN = "from hakari.cli.root import main; sys.exit(main())"


@pytest.fixture
def world(tmp_path: Path) -> w.World:
    """A month in evidence and view, and ingest.toml beside them."""
    world = w.World(tmp_path)
    world.record(w.month(), world.configure())
    with closing(SqliteReadingsView(tmp_path / "view.db")) as view:
        assert Feeder(world.evidence, view).catch_up().done
    settings(world, 'view = "view.db"', "")
    return world


def settings(world: w.World, view: str, tables: str) -> Path:
    path = world.folder / "ingest.toml"
    path.write_text(
        f'[ingest]\nnamespace = "{w.NAMESPACE}"\nevidence = "evidence.db"\n{view}\ncosigner_name = "ingest"\n'
        f'cosigner_key_file = "cosigner.pem"\nowner_key = "{world.owner.verifier}"\nroster_file = "roster.note"\n'
        f'[broker]\nhost = "127.0.0.1"\n{tables}'
    )
    return path


def influxdb(world: w.World, url: str) -> None:
    """Settings with InfluxDB at `url`."""
    (world.folder / "token").write_text("a-token\n")
    settings(world, "", f'[influxdb]\nurl = "{url}"\ntoken_file = "token"\n')


def hakari(world: w.World, *words: str, code: str = f"import sys; {MAIN}") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, "view", *words, "--config", str(world.folder / "ingest.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def told(world: w.World, *words: str) -> tuple[int, Any]:
    done = hakari(world, *words, "--json")
    return done.returncode, json.loads(done.stdout)


def sql(world: w.World, statement: str) -> None:
    with closing(sqlite3.connect(world.folder / "view.db")) as db, db:
        assert db.execute(statement).rowcount > 0


def test_a_view_that_says_what_the_leaves_say(world: w.World) -> None:
    code, found = told(world, "compare")
    assert (code, found["day_count"], found["days"], found["points"], found["behind"]) == (0, 0, [], 2, 0)
    assert found["rows"] == 2 * len(w.month())
    assert "the view says what they say" in hakari(world, "compare").stdout


def test_what_differs_is_named_by_point_and_day_and_in_what(world: w.World) -> None:
    first, second = w.START_MS + DAY_MS, w.START_MS + 2 * DAY_MS
    at = f"t_ms >= {first} AND t_ms < {first + DAY_MS} AND point = (SELECT id FROM point WHERE name = '{w.EXPORT}')"
    sql(world, f"UPDATE reading SET raw = raw + 1, quality = 1 WHERE {at}")
    sql(world, f"DELETE FROM reading WHERE t_ms = {second}")
    sql(world, f"UPDATE reading SET t_ms = t_ms + 1 WHERE t_ms = {second + 3_600_000}")
    code, found = told(world, "compare")
    assert code == DATA_PROBLEM
    assert found["day_count"] == 3
    assert found["days"] == [
        {"point": w.EXPORT, "day": "2016-07-02", "missing": 0, "extra": 0, "altered": 24, "fields": ["quality", "raw"]},
        {"point": w.EXPORT, "day": "2016-07-03", "missing": 2, "extra": 1, "altered": 0, "fields": []},
        {"point": w.IMPORT, "day": "2016-07-03", "missing": 2, "extra": 1, "altered": 0, "fields": []},
    ]
    shown = hakari(world, "compare")
    assert shown.returncode == DATA_PROBLEM
    assert "3 DAYS DIFFER; run: hakari view rebuild" in shown.stdout
    assert hakari(world, "rebuild").returncode == 0
    assert told(world, "compare")[0] == 0


def test_two_errors_that_cancel_out_are_found(world: w.World) -> None:
    """Days are held against each other by a sum of their rows: swapped values must not come to the same."""
    a, b = w.START_MS + DAY_MS, w.START_MS + DAY_MS + 3_600_000
    swap = f"CASE t_ms WHEN {a} THEN raw + 10000 ELSE raw - 10000 END"
    sql(world, f"UPDATE reading SET raw = {swap} WHERE t_ms IN ({a}, {b}) AND point = 1")
    code, found = told(world, "compare")
    assert code == DATA_PROBLEM
    assert [(day["day"], day["altered"]) for day in found["days"]] == [("2016-07-02", 2)]


def test_only_what_the_view_should_have_is_asked_of_it(world: w.World) -> None:
    sql(world, "UPDATE cursor SET next = next - 2")
    code, found = told(world, "compare")
    assert (code, found["behind"], found["day_count"]) == (0, 2, 0)
    said = hakari(world, "compare").stdout
    assert "2 leaves are not in the view yet" in said
    assert "says what they say" not in said
    with closing(SqliteReadingsView(world.folder / "view.db")) as view:
        view.clear()
        everything = compare(world.evidence, view, lambda _: None)
    assert (everything.day_count, everything.rows) == (0, 0)


def test_a_row_beyond_the_cursor_may_lack_and_must_be_right(world: w.World) -> None:
    """Setting the cursor back hides nothing: neither an altered row nor one that no leaf gives."""
    sql(world, "UPDATE cursor SET next = 0")
    code, found = told(world, "compare")
    assert (code, found["leaves"], found["day_count"]) == (0, 0, 0)
    second = w.START_MS + 2 * DAY_MS
    sql(world, f"DELETE FROM reading WHERE t_ms = {second}")
    assert told(world, "compare")[0] == 0
    sql(world, f"UPDATE reading SET raw = raw + 1 WHERE t_ms = {second + 3_600_000} AND point = 1")
    sql(world, f"UPDATE reading SET t_ms = t_ms + 1 WHERE t_ms = {second + DAY_MS} AND point = 2")
    code, found = told(world, "compare")
    assert code == DATA_PROBLEM
    days = sorted((day["day"], day["missing"], day["extra"], day["altered"]) for day in found["days"])
    assert days == [("2016-07-03", 0, 0, 1), ("2016-07-04", 0, 1, 0)]


@pytest.mark.parametrize("place", ["leaf = 1000000", "epoch = 2", "leaf = -1"])
def test_a_row_that_no_leaf_gives_is_extra_whatever_leaf_it_names(world: w.World, place: str) -> None:
    sql(world, f"UPDATE reading SET {place} WHERE t_ms = {w.START_MS + DAY_MS} AND point = 1")
    code, found = told(world, "compare")
    assert (code, [(day["missing"], day["extra"]) for day in found["days"]]) == (DATA_PROBLEM, [(1, 1)])


def test_leaves_that_come_while_comparing_are_nothing_extra(world: w.World) -> None:
    with closing(SqliteReadingsView(world.folder / "view.db")) as view:
        feeder, later = Feeder(world.evidence, view), iter([w.END_MS + 3 * 3_600_000])

        def meanwhile(_: int) -> None:
            for t_ms in later:
                world.record([(t_ms, 9_000_000, 80_000)], w.configuration_sha256())
                feeder.catch_up()

        found = compare(world.evidence, view, meanwhile)
        assert next(later, None) is None
        assert list(view.read(w.EXPORT, w.END_MS + 3 * 3_600_000, w.END_MS + DAY_MS))
    assert (found.day_count, found.behind) == (0, 0)


def test_a_summary_of_a_day_that_its_rows_do_not_tell_is_named(world: w.World) -> None:
    class Forged(SqliteReadingsView):
        """A view whose kept summary of one day somebody has written."""

        def days(self, point: str, start_ms: int, end_ms: int) -> Iterator[ViewDay]:
            for day in super().days(point, start_ms, end_ms):
                yield day._replace(falls=1) if (point, day.start_ms) == (w.EXPORT, w.START_MS + DAY_MS) else day

    with closing(Forged(world.folder / "view.db")) as view:
        found = compare(world.evidence, view, lambda _: None)
    assert (found.day_count, found.days) == (1, [(w.EXPORT, "2016-07-02", 0, 0, 0, ["day summary"])])


def test_a_view_that_lacks_a_year_is_told_in_bounded_words(world: w.World) -> None:
    sql(world, "DELETE FROM reading")
    code, found = told(world, "compare")
    assert (code, found["day_count"]) == (DATA_PROBLEM, 2 * 32)
    assert len(found["days"]) == min(found["day_count"], MAX_DAYS_LOOKED_INTO)
    assert {day["missing"] for day in found["days"]} == {24, 3}


def test_a_row_that_is_there_twice_differs() -> None:
    row = next(iter(_rows(1)))
    found = difference("p", 0, [row], [row, row._replace(exponent=1)])
    assert (found.missing, found.extra, found.altered, found.day) == (0, 1, 0, "1970-01-01")


def _rows(count: int) -> list[Row]:
    return [Row("a-e1/m/p", 1000 * k, "u32", k, 0, 0, "", 1, k, "boot", k) for k in range(count)]


def test_init_without_influxdb_is_refused(world: w.World) -> None:
    done = hakari(world, "init")
    assert done.returncode == BAD_CONFIGURATION
    assert "there is no table [influxdb]; the embedded view makes its file by itself" in done.stderr


@pytest.mark.parametrize("command", ["init", "status", "rebuild", "compare"])
def test_an_influxdb_that_is_not_there_is_said_in_one_sentence(world: w.World, command: str) -> None:
    influxdb(world, f"http://127.0.0.1:{free_ports(1)[0]}")
    done = hakari(world, command)
    assert done.returncode == NOT_REACHABLE
    assert done.stderr.count("\n") == 1
    assert (
        "gives no answer (Connection refused); nothing was dropped: check that it runs and [influxdb].url"
        in done.stderr
    )


@pytest.mark.parametrize("command", ["init", "status", "rebuild", "compare"])
def test_without_the_client_the_extra_is_named(world: w.World, command: str) -> None:
    influxdb(world, "http://127.0.0.1:1")
    done = hakari(world, command, code=f"{WITHOUT_CLIENT}{MAIN}")
    assert done.returncode == BAD_CONFIGURATION
    assert "[influxdb] is given but influxdb_client is not installed; install hakari[influx]" in done.stderr


@pytest.mark.parametrize("command", ["status", "rebuild", "compare"])
def test_the_embedded_view_does_without_the_client(world: w.World, command: str) -> None:
    assert hakari(world, command, code=f"{WITHOUT_CLIENT}{MAIN}").returncode == 0


def test_a_token_that_cannot_be_read_is_said(world: w.World) -> None:
    influxdb(world, "http://127.0.0.1:1")
    (world.folder / "token").unlink()
    done = hakari(world, "status")
    assert done.returncode == BAD_CONFIGURATION
    assert "[influxdb].token_file" in done.stderr
