"""One reading an identity, whatever order and however often rows arrive; the view gives back what it was given."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row, once

ROWS = st.builds(
    Row,
    point=st.sampled_from(["sola-e1/a/energy", "sola-e1/b/energy"]),
    t_ms=st.integers(0, 5).map(lambda slot: 900_000 * slot),
    type=st.sampled_from(["u16", "u64"]),
    raw=st.integers(0, 2**64 - 1),
    exponent=st.integers(-18, 18),
    quality=st.integers(0, 2),
    reason=st.sampled_from(["", "late acquisition", "☃\x00"]),
    epoch=st.integers(1, 3),
    leaf=st.integers(0, 4),
    boot=st.sampled_from(["b1", "b2"]),
    mono_ms=st.integers(0, 3),
)


@given(st.lists(ROWS, max_size=30))
def test_once_is_ordered_unique_and_complete(rows: list[Row]) -> None:
    kept = once(rows)
    assert [(r.t_ms, r.epoch, r.leaf) for r in kept] == sorted((r.t_ms, r.epoch, r.leaf) for r in kept)
    identities = [(r.point, r.boot, r.mono_ms) for r in kept]
    assert len(set(identities)) == len(identities)
    assert set(identities) == {(r.point, r.boot, r.mono_ms) for r in rows}
    assert all(row in rows for row in kept)
    for row in kept:
        same = [r for r in rows if (r.point, r.boot, r.mono_ms) == (row.point, row.boot, row.mono_ms)]
        assert (row.epoch, row.leaf, row.t_ms) == min((r.epoch, r.leaf, r.t_ms) for r in same)


@given(st.lists(ROWS, max_size=30), st.integers(0, 3), st.integers(0, 4))
def test_what_comes_later_displaces_nothing_that_counted(rows: list[Row], epoch: int, leaf: int) -> None:
    before = [row for row in rows if (row.epoch, row.leaf) < (epoch, leaf)]
    assert set(once(before)) <= set(once(rows))


@given(st.lists(ROWS, max_size=30), st.data())
def test_order_and_repetition_do_not_matter(rows: list[Row], data: st.DataObject) -> None:
    places = {(r.point, r.t_ms, r.epoch, r.leaf, r.boot, r.mono_ms): r for r in rows}
    distinct = list(places.values())
    shuffled = data.draw(st.permutations(distinct))
    assert once([*shuffled, *distinct]) == once(distinct)


@settings(max_examples=25)
@given(st.lists(ROWS, max_size=30), st.integers(0, 30))
def test_the_view_gives_back_what_it_was_given(rows: list[Row], cut: int) -> None:
    places = {(r.point, r.t_ms, r.leaf, r.boot, r.mono_ms): r._replace(epoch=1) for r in rows}
    distinct = list(places.values())
    with tempfile.TemporaryDirectory() as folder:
        view = SqliteReadingsView(Path(folder) / "view.db")
        view.write("sola-e1", 1, 5, distinct[:cut], [])
        view.write("sola-e1", 1, 5, distinct, [])
        found = [row for point in view.points() for row in view.read(point, 0, 10**12)]
        view.close()
    assert sorted(found) == sorted(distinct)
    by_time = [(r.point, r.t_ms, r.epoch, r.leaf) for r in found]
    assert by_time == sorted(by_time)
