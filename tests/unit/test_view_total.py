"""`hakari view total`: exact, once a reading, refused where the register fell, and honest about what it is."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from hakari.errors import REFUSED
from hakari.registers.reading import exact_value
from hakari.store.days import DAY_MS, fell
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row, once
from ingest.view.view_cli import view as view_command
from ingest.view.view_total import LOOK_BACK_MS, PointUnknown, period_total
from tests.unit.ingest_world import FIRST, SETTINGS, Plant, configuration

EDGE = "sola-e1"
POINT = f"{EDGE}/meter/energy"


def at(t_ms: int, raw: int, leaf: int = 0, mono_ms: int | None = None, quality: int = 0) -> Row:
    return Row(POINT, t_ms, "u64", raw, -2, quality, "", 1, leaf, "boot", t_ms if mono_ms is None else mono_ms)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ingest.toml").write_text(SETTINGS)
    return tmp_path


def fill(folder: Path, rows: list[Row]) -> None:
    with closing(SqliteReadingsView(folder / "view.db")) as view:
        view.write(EDGE, 1, 1 + max((row.leaf for row in rows), default=0), rows, [])
        view.close_days(2**50)


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        view_command, ["total", "--config", str(folder / "ingest.toml"), *arguments], standalone_mode=False
    )


DAY = ("--from", "1970-01-02T00:00:00Z", "--to", "1970-01-03T09:00:00+09:00")


def test_a_day_in_json_and_for_people(folder: Path) -> None:
    fill(folder, [at(k * 900_000, 2**63 + 5 * k, leaf=k) for k in range(300) if k != 100])
    shown = json.loads(run(folder, POINT, *DAY, "--json").stdout)
    assert shown == {
        "point": POINT, "from": "1970-01-02T00:00:00Z", "to": "1970-01-03T00:00:00Z",
        "quantity": "4.80", "refused": None,
        "start": {"slot": "1970-01-02T00:00:00Z", "value": "92233720368547762.88", "raw": 2**63 + 480, "epoch": 1,
                  "leaf": 96},
        "end": {"slot": "1970-01-03T00:00:00Z", "value": "92233720368547767.68", "raw": 2**63 + 960, "epoch": 1,
                "leaf": 192},
        "falls": 0, "readings": 95, "good_slots": 95, "expected_slots": 96, "completeness": "0.989583",
        "interval_s": 900.0, "credits": "credits nothing: calc decides",
    }  # fmt: skip
    told = run(folder, POINT, *DAY)
    assert told.return_value == 0
    assert "total         4.80 in the register's unit" in told.stdout
    assert "completeness  98.96 %: 95 good slots of 96, one every 900 s" in told.stdout
    assert "credits nothing: calc decides" in told.stdout


def test_a_register_that_fell_has_no_figure(folder: Path) -> None:
    fill(folder, [at(k * 3_600_000, (k * 5) % 180, leaf=k) for k in range(60)])
    told = run(folder, POINT, *DAY)
    assert told.return_value == REFUSED
    assert "total         REFUSED: the register fell 1 times; calc decides what that was" in told.stdout
    shown = json.loads(run(folder, POINT, *DAY, "--json").stdout)
    assert (shown["quantity"], shown["falls"]) == (None, 1)


def test_without_a_boundary_there_is_no_figure(folder: Path) -> None:
    fill(folder, [at(DAY_MS + 1, 5), at(DAY_MS - 1, 4, quality=1, leaf=1)])
    told = run(folder, POINT, *DAY)
    assert told.return_value == REFUSED
    assert "no GOOD reading at or before its start, nor in the 31 days before" in told.stdout


def test_a_boundary_is_looked_for_as_far_back_as_is_said(folder: Path) -> None:
    at_ms = 40 * DAY_MS
    fill(folder, [at(at_ms - LOOK_BACK_MS, 5), at(at_ms + 5, 7, leaf=1)])
    with closing(SqliteReadingsView(folder / "view.db")) as view:
        assert period_total(view, POINT, at_ms, at_ms + DAY_MS).quantity == Decimal("0.02")
        silent = period_total(view, POINT, at_ms + DAY_MS, at_ms + 2 * DAY_MS)
        assert (silent.quantity, "no GOOD reading after the one at" in silent.refused) == (None, True)
        assert period_total(view, POINT, at_ms - LOOK_BACK_MS - DAY_MS, at_ms).quantity is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--from", "yesterday", "--to", "1970-01-03T00:00:00Z"), "'yesterday' is no ISO 8601 time"),
        (("--from", "1970-01-03", "--to", "1970-01-03T00:00:00Z"), "has no offset from UTC"),
        (("--from", "1970-01-03T00:00:00Z", "--to", "1970-01-03T00:00:00Z"), "--to must lie after --from"),
        (("--from", "1970-01-03T00:00:00Z", "--to", "1999-01-03T00:00:00Z"), "by at most 3700 days"),
        ((*DAY, "--interval-s", "0"), "0 is not in the range"),
    ],
)
def test_bad_arguments_are_usage_errors(folder: Path, arguments: tuple[str, ...], why: str) -> None:
    failed = run(folder, POINT, *arguments).exception
    assert failed is not None
    assert why in str(failed)
    assert getattr(failed, "exit_code", None) == 2


def test_an_unknown_point_is_told_with_the_nearest(folder: Path) -> None:
    fill(folder, [at(0, 1)])
    failed = run(folder, f"{EDGE}/meter/enrgy", *DAY).exception
    assert isinstance(failed, PointUnknown)
    assert str(failed) == f"readings view has no reading of '{EDGE}/meter/enrgy'; did you mean {POINT}?"
    assert run(folder, POINT, "--from", "1999-01-01T00:00:00Z", "--to", "1999-01-02T00:00:00Z").return_value == REFUSED


def test_an_interval_that_is_given_decides_what_is_expected(folder: Path) -> None:
    fill(folder, [at(k * 3_600_000, k, leaf=k) for k in range(72)])
    with closing(SqliteReadingsView(folder / "view.db")) as view:
        assert period_total(view, POINT, 1, DAY_MS).expected_slots == 23
        assert period_total(view, POINT, 0, DAY_MS + 1, 7_200_000).expected_slots == 13
        empty = period_total(view, POINT, 9 * DAY_MS, 10 * DAY_MS)
        denser = period_total(view, POINT, 0, DAY_MS, 7_200_000)
    assert (empty.quantity, empty.expected_slots) == (None, 0)
    assert empty.completeness is None
    assert (denser.good_slots, denser.expected_slots, denser.completeness) == (24, 12, None)


ROWS = st.lists(
    st.builds(
        at, st.integers(0, 20).map(lambda slot: slot * DAY_MS // 4), st.integers(0, 40), st.integers(0, 9),
        st.one_of(st.none(), st.integers(0, 5)), st.sampled_from([0, 0, 0, 1, 2]),
    ),
    max_size=30, unique_by=lambda row: (row.t_ms, row.leaf, row.mono_ms),
)  # fmt: skip


@settings(max_examples=100)
@given(ROWS, st.integers(0, 20), st.integers(1, 12), st.booleans())
def test_totals_are_those_of_the_plain_rows(rows: list[Row], first: int, length: int, packed: bool) -> None:
    start_ms, end_ms = first * DAY_MS // 4, (first + length) * DAY_MS // 4
    with tempfile.TemporaryDirectory() as folder, closing(SqliteReadingsView(Path(folder) / "view.db")) as view:
        view.write(EDGE, 1, 10, rows, [])
        if packed:
            view.close_days(2**50)
        found = period_total(view, POINT, start_ms, end_ms, DAY_MS // 4)
    counted = once(rows)
    good = [row for row in counted if row.quality == 0]
    before, upto = ([row for row in good if row.t_ms <= at_ms] for at_ms in (start_ms, end_ms))
    course = upto[max(len(before) - 1, 0) :]
    falls = sum(fell(a, b) for a, b in pairwise(course))
    inside = [row for row in counted if start_ms <= row.t_ms < end_ms]
    assert (found.first, found.last) == (before[-1] if before else None, upto[-1] if upto else None)
    assert (found.falls, found.readings) == (falls, len(inside))
    assert found.good_slots == len({row.t_ms for row in inside if row.quality == 0})
    assert found.expected_slots == length
    if before and not falls and upto[-1] != before[-1]:
        assert found.quantity == exact_value(*upto[-1][2:5]) - exact_value(*before[-1][2:5])
    else:
        assert found.quantity is None


def test_a_refusal_says_why_readings_do_not_count(folder: Path) -> None:
    rows = [at(DAY_MS + k * 900_000, 5 + k, leaf=k, quality=1)._replace(reason="unproven") for k in range(4)]
    fill(folder, rows)
    assert (
        "4 readings on the days at its ends do not count, 4 of them because: unproven"
        in run(folder, POINT, *DAY).stdout
    )


def test_expected_slots_come_from_the_logged_configuration(folder: Path) -> None:
    fill(folder, [at(DAY_MS + k * 3_600_000, 5 + k, leaf=k) for k in range(24)])
    with closing(SqliteEvidenceLog(folder / "evidence.db")) as evidence:
        plant = Plant(evidence)
        plant.configure(FIRST, configuration(EDGE, meters=("meter",), interval_ms=900_000, every=2))
    shown = json.loads(run(folder, POINT, *DAY, "--json").stdout)
    assert (shown["good_slots"], shown["expected_slots"], shown["interval_s"]) == (24, 48, 1800.0)
