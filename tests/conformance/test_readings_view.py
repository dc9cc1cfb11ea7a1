"""Every adapter of the readings view gives back the rows that it was given, with a cursor that never runs ahead."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hakari.errors import BadConfiguration
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.sqlite import StoreMisused
from hakari.store.view import CursorMoved, Refusal, ViewMismatch
from hakari.store.view_sqlite import SqliteReadingsView, ViewStoreFailed
from hakari.wire.rows import Row

EDGE = "sola-e1"
POINT = "sola-e1/meter/energy"
FOREVER = (-(2**62), 2**62)

Opener = Callable[[Path], SqliteReadingsView]
ADAPTERS: dict[str, Opener] = {"sqlite": lambda folder: SqliteReadingsView(folder / "view.db")}


@pytest.fixture(params=list(ADAPTERS.values()), ids=list(ADAPTERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    found: Opener = request.param
    return found


@pytest.fixture
def view(opener: Opener, tmp_path: Path) -> Iterator[SqliteReadingsView]:
    opened = opener(tmp_path)
    yield opened
    opened.close()


def row(leaf: int, t_ms: int = 1000, point: str = POINT, epoch: int = 1, raw: int = 7, mono_ms: int = 5) -> Row:
    return Row(point, t_ms, "u64", raw, -2, 1, "late acquisition", epoch, leaf, "boot", mono_ms)


def everything(view: SqliteReadingsView) -> list[Row]:
    return [found for point in view.points() for found in view.read(point, *FOREVER)]


def test_empty_view(view: SqliteReadingsView) -> None:
    assert view.cursor(EDGE, 1) == 0
    assert view.points() == []
    assert view.refused() == []
    assert list(view.read(POINT, *FOREVER)) == []


def test_rows_come_back_whole_and_ordered(opener: Opener, tmp_path: Path) -> None:
    seeded = random.Random(7)
    rows = [
        Row(f"{EDGE}/m{k % 3}/energy", 1000 * (k // 3), seeded.choice(["u16", "u64", "f32"]), seeded.getrandbits(64),
            seeded.randint(-10, 10), k % 3, "" if k % 2 else f"reason {k}", 1, k, f"boot{k % 4}", k)
        for k in range(3000)
    ]  # fmt: skip
    view = opener(tmp_path)
    view.write(EDGE, 1, 3000, seeded.sample(rows, len(rows)), [])
    view.close()
    again = opener(tmp_path)
    assert again.points() == [f"{EDGE}/m{k}/energy" for k in range(3)]
    for k in range(3):
        assert list(again.read(f"{EDGE}/m{k}/energy", *FOREVER)) == rows[k::3]
    assert again.cursor(EDGE, 1) == 3000
    again.close()


def test_any_bit_pattern_of_64_bits_comes_back(view: SqliteReadingsView) -> None:
    raws = [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
    view.write(EDGE, 1, 9, [row(k, raw=raw) for k, raw in enumerate(raws)], [])
    assert [found.raw for found in view.read(POINT, *FOREVER)] == raws
    for raw in (-1, 2**64):
        with pytest.raises(StoreMisused, match="no bit pattern"):
            view.write(EDGE, 1, 9, [row(0, raw=raw)], [])


def test_range_is_half_open_and_order_is_time_epoch_leaf(view: SqliteReadingsView) -> None:
    places = [(1000, 2, 0), (1000, 1, 5), (1999, 1, 1), (2000, 1, 4), (999, 1, 6), (1000, 1, 3)]
    for t_ms, epoch, leaf in places:
        view.write(EDGE, epoch, leaf + 1, [row(leaf, t_ms, epoch=epoch)], [], leaf if epoch == 9 else 0)
    found = [(r.t_ms, r.epoch, r.leaf) for r in view.read(POINT, 1000, 2000)]
    assert found == [(1000, 1, 3), (1000, 1, 5), (1000, 2, 0), (1999, 1, 1)]


def test_writing_again_changes_nothing(view: SqliteReadingsView) -> None:
    rows = [row(k, 1000 * k) for k in range(4)]
    refused = [Refusal(EDGE, 1, 4, "no known meter"), Refusal(EDGE, 1, 4, "cut off")]
    view.write(EDGE, 1, 5, rows, refused)
    before = (everything(view), view.refused(), view.cursor(EDGE, 1))
    view.write(EDGE, 1, 5, rows, refused)
    view.write(EDGE, 1, 3, rows[:3], [])
    assert (everything(view), view.refused(), view.cursor(EDGE, 1)) == before
    assert view.cursor(EDGE, 1) == 5


def test_another_content_at_the_same_place_is_found_and_nothing_is_kept(view: SqliteReadingsView) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    with pytest.raises(ViewMismatch, match="2 rows written, 1 found"):
        view.write(EDGE, 1, 2, [row(0, raw=8), row(1)], [Refusal(EDGE, 1, 1, "reason")])
    assert everything(view) == [row(0)]
    assert view.refused() == []
    assert view.cursor(EDGE, 1) == 1


def test_names_of_a_failed_write_do_not_haunt_the_next(view: SqliteReadingsView) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    with pytest.raises(ViewMismatch):
        view.write(EDGE, 1, 2, [row(1, point=f"{EDGE}/lost/energy"), row(1), row(1, raw=9)], [])
    view.write(EDGE, 1, 2, [row(1, point=f"{EDGE}/next/energy")], [])
    view.write(EDGE, 1, 3, [row(2, point=f"{EDGE}/lost/energy")], [])
    assert everything(view) == [
        row(2, point=f"{EDGE}/lost/energy"), row(0), row(1, point=f"{EDGE}/next/energy")
    ]  # fmt: skip


def test_cursor_below_the_start_is_refused(view: SqliteReadingsView) -> None:
    view.write(EDGE, 1, 3, [row(k) for k in range(3)], [])
    view.clear()
    with pytest.raises(CursorMoved, match="is at leaf 0, not 3"):
        view.write(EDGE, 1, 4, [row(3)], [], 3)
    assert everything(view) == []
    assert view.cursor(EDGE, 1) == 0


def test_cursors_are_apart(view: SqliteReadingsView) -> None:
    view.write(EDGE, 1, 3, [], [])
    view.write(EDGE, 2, 1, [row(0, epoch=2)], [])
    view.write("boil-e1", 1, 2, [row(1, point="boil-e1/m/energy")], [])
    assert [view.cursor(*key) for key in ((EDGE, 1), (EDGE, 2), ("boil-e1", 1), ("boil-e1", 2))] == [3, 1, 2, 0]


def test_rows_of_another_place_are_our_own_fault(view: SqliteReadingsView) -> None:
    for wrong in (row(3), row(0, epoch=2), row(0, point="boil-e1/m/energy"), row(0, point="sola-e10/m/energy")):
        with pytest.raises(StoreMisused, match=r"is not of sola-e1 1/0..3"):
            view.write(EDGE, 1, 3, [wrong], [])
    with pytest.raises(StoreMisused, match="refusal"):
        view.write(EDGE, 1, 3, [], [Refusal(EDGE, 1, 3, "reason")])
    assert view.cursor(EDGE, 1) == 0


def test_refusals_newest_leaf_first(view: SqliteReadingsView) -> None:
    for leaf in (0, 2, 1):
        view.write(EDGE, 1, leaf + 1, [], [Refusal(EDGE, 1, leaf, "reason")])
    assert [refused.leaf for refused in view.refused()] == [2, 1, 0]
    assert [refused.leaf for refused in view.refused(1)] == [2]
    assert view.counts() == (0, 3)


def test_clear_forgets_everything_also_under_another_writer(opener: Opener, tmp_path: Path) -> None:
    view, other = opener(tmp_path), opener(tmp_path)
    view.write(EDGE, 1, 1, [row(0)], [Refusal(EDGE, 1, 0, "reason")])
    other.clear()
    assert (everything(view), view.refused(), view.cursor(EDGE, 1), view.counts()) == ([], [], 0, (0, 0))
    # The other writer meets its names first; ours, remembered, must not be mixed up with them.
    other.write("boil-e1", 1, 1, [row(0, point="boil-e1/m/energy")], [])
    view.write(EDGE, 1, 1, [row(0)], [])
    assert everything(other) == [row(0, point="boil-e1/m/energy"), row(0)]
    view.close()
    other.close()


def test_reader_beside_a_writer(view: SqliteReadingsView, tmp_path: Path) -> None:
    view.write(EDGE, 1, 3000, [row(k, k) for k in range(3000)], [])
    reader = SqliteReadingsView(tmp_path / "view.db", read_only=True)
    rows = reader.read(POINT, *FOREVER)
    first = next(rows)
    view.clear()
    assert [first, *rows] == [row(k, k) for k in range(3000)]
    assert list(reader.read(POINT, *FOREVER)) == []
    with pytest.raises(StoreMisused, match="for reading only"):
        reader.write(EDGE, 1, 1, [row(0)], [])
    reader.close()
    with pytest.raises(ViewStoreFailed, match="unable to open database file"):
        SqliteReadingsView(tmp_path / "absent.db", read_only=True)


def test_full_disk_moves_no_cursor(opener: Opener, tmp_path: Path) -> None:
    view = opener(tmp_path)
    view.write(EDGE, 1, 1, [row(0)], [])
    pages = view._db._db.execute("PRAGMA page_count").fetchone()[0]
    view._db._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(ViewStoreFailed, match="free space"):
        view.write(EDGE, 1, 5001, [row(k, k) for k in range(1, 5000)], [])
    view.close()
    again = opener(tmp_path)
    assert (again.cursor(EDGE, 1), everything(again)) == (1, [row(0)])
    again.close()


def test_evidence_log_is_not_taken_for_a_view(tmp_path: Path) -> None:
    SqliteEvidenceLog(tmp_path / "evidence.db").close()
    with pytest.raises(BadConfiguration, match="of kind evidence log, expected readings view"):
        SqliteReadingsView(tmp_path / "evidence.db")
