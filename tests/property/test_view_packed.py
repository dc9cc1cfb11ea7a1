"""Whatever is packed, and whenever: the view answers as a plain list of its rows would."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakari.store.days import DAY_MS, fell, order
from hakari.store.view import ViewDay, ViewMismatch
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row, once

EDGE = "sola-e1"
POINTS = [f"{EDGE}/a/energy", f"{EDGE}/b/energy"]
FOREVER = (-(2**62), 2**62)

ROWS = st.builds(
    Row,
    point=st.sampled_from(POINTS),
    t_ms=st.one_of(st.integers(-3, 15).map(lambda slot: slot * (DAY_MS // 4)), st.just(DAY_MS - 1)),
    type=st.sampled_from(["u64", "u64", "f32"]),
    raw=st.one_of(st.integers(0, 3), st.sampled_from([2**63, 2**64 - 1])),
    exponent=st.integers(-1, 0),
    quality=st.sampled_from([0, 0, 1, 2]),
    reason=st.sampled_from(["", "", "late acquisition", "☃\x00", "x" * 1001]),
    epoch=st.just(1),
    leaf=st.integers(0, 5),
    boot=st.sampled_from(["b2", "b1"]),
    mono_ms=st.integers(0, 20),
)
# Rows to write, the time before which days are closed, or what else is done.
Step = list[Row] | int | Literal["write again", "reopen", "clear"]
WRITES = st.lists(ROWS, max_size=12)
CLOSES = st.one_of(st.integers(-1, 5).map(lambda day: day * DAY_MS), st.integers(0, DAY_MS))
OTHERS = st.sampled_from(["write again", "reopen", "write again", "reopen", "clear"])
STEPS = st.lists(st.one_of(WRITES, WRITES, CLOSES, OTHERS), max_size=12)
Place = tuple[str, tuple[int, int, int, str, int]]


def place(row: Row) -> Place:
    return row.point, order(row)


def kept(row: Row) -> Row:
    return row._replace(reason=row.reason[:1000])


def days_of(rows: list[Row], start_ms: int, end_ms: int) -> list[ViewDay]:
    """Days as the port says them, straight from `once` over everything."""
    counted, days = once(rows), []
    for start in sorted({row.t_ms // DAY_MS * DAY_MS for row in counted}):
        if start_ms <= start and start + DAY_MS <= end_ms:
            of_day = [row for row in counted if start <= row.t_ms < start + DAY_MS]
            good = [row for row in of_day if row.quality == 0]
            first, last = (good[0], good[-1]) if good else (None, None)
            falls = sum(map(fell, good, good[1:]))
            days.append(ViewDay(rows[0].point, start, len(of_day), len({row.t_ms for row in good}), first, last, falls))
    return days


def check(view: SqliteReadingsView, model: dict[Place, Row], start_ms: int, end_ms: int) -> None:
    assert view.points() == sorted({row.point for row in model.values()})
    assert view.counts() == (len(model), 0)
    for point in POINTS:
        rows = sorted((row for row in model.values() if row.point == point), key=order)
        assert list(view.read(point, *FOREVER)) == rows
        assert list(view.read(point, start_ms, end_ms)) == [row for row in rows if start_ms <= row.t_ms < end_ms]
        assert view.last(point) == next((row for row in reversed(rows) if row.quality == 0), None)
        assert list(view.days(point, *FOREVER)) == days_of(rows, *FOREVER)
        assert list(view.days(point, start_ms, end_ms)) == days_of(rows, start_ms, end_ms)
        assert list(view.recount(point, start_ms, end_ms)) == days_of(rows, start_ms, end_ms)


def write(view: SqliteReadingsView, model: dict[Place, Row], rows: list[Row]) -> None:
    """Writes, and expects exactly what the places that are taken leave open."""
    wanted = dict(model)
    clash = any(wanted.setdefault(place(row), kept(row)) != kept(row) for row in rows)
    if clash:
        with pytest.raises(ViewMismatch):
            view.write(EDGE, 1, 6, rows, [])
    else:
        view.write(EDGE, 1, 6, rows, [])
        model.update(wanted)


@settings(max_examples=150)
@given(STEPS, st.integers(-2, 5), st.integers(0, 4), st.sampled_from([0, 1, DAY_MS // 4]))
def test_answers_are_those_of_a_plain_list(steps: list[Step], first: int, length: int, shift_ms: int) -> None:
    span = (first * DAY_MS + shift_ms, (first + length) * DAY_MS + shift_ms)
    model: dict[Place, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        view = SqliteReadingsView(Path(folder) / "view.db")
        for step in steps:
            if isinstance(step, int):
                ended = {(p, t // DAY_MS) for p, (t, *_) in model if t >= 0 and t // DAY_MS * DAY_MS + DAY_MS <= step}
                assert view.close_days(step) <= len(ended)
                assert view.close_days(step) == 0
            elif isinstance(step, list):
                write(view, model, step)
            elif step == "write again":
                write(view, model, list(model.values()))
            elif step == "clear":
                view.clear()
                model.clear()
            else:
                view.close()
                view = SqliteReadingsView(Path(folder) / "view.db")
            check(view, model, *span)
        view.close()
