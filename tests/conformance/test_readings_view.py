"""Every adapter of the readings view gives back the rows that it was given, with a cursor that never runs ahead.

Where the adapters differ, since only the embedded one has transactions, stands at the end and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hakari.errors import BadConfiguration
from hakari.influxdb import InfluxSettings
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.sqlite import StoreMisused
from hakari.store.view import CursorMoved, ReadingsView, Refusal, ViewMismatch
from hakari.store.view_influx import PAGE_ROWS, InfluxReadingsView
from hakari.store.view_sqlite import SqliteReadingsView, ViewStoreFailed
from hakari.wire.rows import Row
from tests.system.influx import TOKEN

EDGE = "sola-e1"
POINT = "sola-e1/meter/energy"
FOREVER = (-(2**62), 2**62)

Opener = Callable[[Path], ReadingsView]


def sqlite(folder: Path) -> SqliteReadingsView:
    return SqliteReadingsView(folder / "view.db")


def row(leaf: int, t_ms: int = 1000, point: str = POINT, epoch: int = 1, raw: int = 7, mono_ms: int = 5) -> Row:
    return Row(point, t_ms, "u64", raw, -2, 1, "late acquisition", epoch, leaf, "boot", mono_ms)


def everything(view: ReadingsView) -> list[Row]:
    return [found for point in view.points() for found in view.read(point, *FOREVER)]


def test_empty_view(view: ReadingsView) -> None:
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


def test_any_bit_pattern_of_64_bits_comes_back(view: ReadingsView) -> None:
    raws = [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
    view.write(EDGE, 1, 9, [row(k, raw=raw) for k, raw in enumerate(raws)], [])
    assert [found.raw for found in view.read(POINT, *FOREVER)] == raws
    for raw in (-1, 2**64):
        with pytest.raises(StoreMisused, match="no bit pattern"):
            view.write(EDGE, 1, 9, [row(0, raw=raw)], [])


def test_range_is_half_open_and_order_is_time_epoch_leaf(view: ReadingsView) -> None:
    places = [(1000, 2, 0), (1000, 1, 5), (1999, 1, 1), (2000, 1, 4), (999, 1, 6), (1000, 1, 3)]
    for t_ms, epoch, leaf in places:
        view.write(EDGE, epoch, leaf + 1, [row(leaf, t_ms, epoch=epoch)], [], leaf if epoch == 9 else 0)
    found = [(r.t_ms, r.epoch, r.leaf) for r in view.read(POINT, 1000, 2000)]
    assert found == [(1000, 1, 3), (1000, 1, 5), (1000, 2, 0), (1999, 1, 1)]


def test_writing_again_changes_nothing(view: ReadingsView) -> None:
    rows = [row(k, 1000 * k) for k in range(4)]
    refused = [Refusal(EDGE, 1, 4, "no known meter"), Refusal(EDGE, 1, 4, "cut off")]
    view.write(EDGE, 1, 5, rows, refused)
    before = (everything(view), view.refused(), view.cursor(EDGE, 1))
    view.write(EDGE, 1, 5, rows, refused)
    view.write(EDGE, 1, 3, rows[:3], [])
    assert (everything(view), view.refused(), view.cursor(EDGE, 1)) == before
    assert view.cursor(EDGE, 1) == 5


def test_cursor_below_the_start_is_refused(view: ReadingsView) -> None:
    view.write(EDGE, 1, 3, [row(k) for k in range(3)], [])
    view.clear()
    with pytest.raises(CursorMoved, match="is at leaf 0, not 3"):
        view.write(EDGE, 1, 4, [row(3)], [], 3)
    assert everything(view) == []
    assert view.cursor(EDGE, 1) == 0


def test_cursors_are_apart(view: ReadingsView) -> None:
    view.write(EDGE, 1, 3, [], [])
    view.write(EDGE, 2, 1, [row(0, epoch=2)], [])
    view.write("boil-e1", 1, 2, [row(1, point="boil-e1/m/energy")], [])
    assert [view.cursor(*key) for key in ((EDGE, 1), (EDGE, 2), ("boil-e1", 1), ("boil-e1", 2))] == [3, 1, 2, 0]


def test_rows_of_another_place_are_our_own_fault(view: ReadingsView) -> None:
    for wrong in (row(3), row(0, epoch=2), row(0, point="boil-e1/m/energy"), row(0, point="sola-e10/m/energy")):
        with pytest.raises(StoreMisused, match=r"is not of sola-e1 1/0..3"):
            view.write(EDGE, 1, 3, [wrong], [])
    with pytest.raises(StoreMisused, match="refusal"):
        view.write(EDGE, 1, 3, [], [Refusal(EDGE, 1, 3, "reason")])
    assert view.cursor(EDGE, 1) == 0


def test_refusals_newest_leaf_first(view: ReadingsView) -> None:
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


def test_last_is_the_good_row_of_the_greatest_slot(view: ReadingsView) -> None:
    def of(leaf: int, t_ms: int, quality: int, mono_ms: int, epoch: int = 1) -> Row:
        return row(leaf, t_ms, epoch=epoch, mono_ms=mono_ms)._replace(quality=quality)

    assert view.last(POINT) is None
    view.write(EDGE, 1, 4, [of(0, 1000, 1, 1), of(1, 3000, 2, 2)], [])
    assert view.last(POINT) is None
    good = [of(4, 1000, 0, 3), of(5, 2000, 0, 4), of(6, 2000, 0, 5), of(7, 2000, 1, 6)]
    view.write(EDGE, 1, 8, good, [], 4)
    assert view.last(POINT) == good[2]
    later = of(0, 2000, 0, 7, epoch=2)
    view.write(EDGE, 2, 1, [later], [])
    assert view.last(POINT) == later
    assert view.last("sola-e1/meter/other") is None


def test_rows_of_one_leaf_in_one_slot_stay_apart(view: ReadingsView) -> None:
    """A carried leaf of an earlier boot and the samples of its carrier, two samples of a slot: all in one leaf."""
    rows = [
        row(3, mono_ms=5), row(3, mono_ms=6, raw=8), row(3, mono_ms=4, raw=9),
        row(3, mono_ms=5)._replace(boot="carried", raw=10), row(3, 2000, mono_ms=7), row(4, mono_ms=8),
    ]  # fmt: skip
    for _ in range(2):
        view.write(EDGE, 1, 5, rows, [])
        by_place = sorted(rows, key=lambda one: (one.t_ms, one.epoch, one.leaf, one.boot, one.mono_ms))
        assert list(view.read(POINT, *FOREVER)) == by_place
    view.write(EDGE, 1, 1_000_005, [row(1_000_003, raw=11), row(1_000_004, raw=12)], [], 5)
    assert [found.raw for found in view.read(POINT, 1000, 1001)] == [9, 7, 8, 10, 7, 11, 12]


def test_a_day_counts_each_reading_once_wherever_it_is_repeated(view: ReadingsView) -> None:
    def of(leaf: int, t_ms: int, mono_ms: int, raw: int) -> Row:
        return row(leaf, t_ms, mono_ms=mono_ms, raw=raw)._replace(quality=0, reason="")

    day_ms = 86_400_000
    rows = [of(0, 0, 1, 5), of(1, 1000, 2, 4), of(2, day_ms, 3, 6), of(3, day_ms + 1000, 1, 5), of(4, day_ms + 1, 4, 7)]
    view.write(EDGE, 1, 5, rows, [])
    days = list(view.days(POINT, day_ms, 2 * day_ms))
    assert [(day.start_ms, day.rows, day.good_slots, day.first, day.last) for day in days] == [
        (day_ms, 2, 2, rows[2], rows[4])
    ]
    assert [(day.rows, day.falls) for day in view.days(POINT, 0, 3 * day_ms)] == [(2, 1), (2, 0)]
    assert list(view.days(POINT, 1, day_ms)) == []
    view.close_days(2 * day_ms)
    assert list(view.days(POINT, day_ms, 2 * day_ms)) == days


def test_texts_come_back_as_they_were(view: ReadingsView) -> None:
    texts = [
        'say "no"',
        "back\\slash\\",
        "two\nlines\r\ttab",
        "日本語 é ’",
        "a,b=c d",
        "",
        "\\",
        '"',
        "\x00nul",
        "%s {0}",
    ]
    rows = [row(k, mono_ms=k)._replace(boot=f"b{text}", reason=text) for k, text in enumerate(texts)]
    refused = [Refusal(EDGE, 1, k, f"why: {text}") for k, text in enumerate(texts)]
    view.write(EDGE, 1, len(texts), rows, refused)
    assert [(found.boot, found.reason) for found in view.read(POINT, *FOREVER)] == [(f"b{t}", t) for t in texts]
    assert sorted(one.reason for one in view.refused()) == sorted(f"why: {text}" for text in texts)


def test_reading_goes_on_where_a_page_ends(view: ReadingsView) -> None:
    """More rows than a page, and a slot with many rows across its end."""
    rows = [row(k, 1000 + k // 50, mono_ms=k) for k in range(PAGE_ROWS + 5000)]
    for start in range(0, len(rows), 5000):
        part = rows[start : start + 5000]
        view.write(EDGE, 1, part[-1].leaf + 1, part, [], start)
    assert list(view.read(POINT, *FOREVER)) == rows
    assert view.counts() == (len(rows), 0)


def test_reading_only(opener: Opener, tmp_path: Path) -> None:
    writer = opener(tmp_path)
    writer.write(EDGE, 1, 1, [row(0)], [])
    reader = (
        SqliteReadingsView(tmp_path / "view.db", read_only=True)
        if isinstance(writer, SqliteReadingsView)
        else InfluxReadingsView(_settings_of(writer), TOKEN, read_only=True)
    )
    assert everything(reader) == [row(0)]
    with pytest.raises(StoreMisused, match="for reading only"):
        reader.write(EDGE, 1, 2, [row(1)], [])
    with pytest.raises(StoreMisused, match="for reading only"):
        reader.clear()
    assert everything(writer) == [row(0)]
    reader.close()
    writer.close()


def _settings_of(view: ReadingsView) -> InfluxSettings:
    assert isinstance(view, InfluxReadingsView)
    return view._influx._settings


# Where they differ.


def test_another_content_at_the_same_place_of_the_embedded_view_is_found_and_nothing_is_kept(tmp_path: Path) -> None:
    view = sqlite(tmp_path)
    view.write(EDGE, 1, 1, [row(0)], [])
    with pytest.raises(ViewMismatch, match="2 rows written, 1 found"):
        view.write(EDGE, 1, 2, [row(0, raw=8), row(1)], [Refusal(EDGE, 1, 1, "reason")])
    assert everything(view) == [row(0)]
    assert view.refused() == []
    assert view.cursor(EDGE, 1) == 1
    view.close()


def test_another_content_at_the_same_place_of_influxdb_gives_way_to_what_the_leaf_says(
    influxdb: Opener, tmp_path: Path
) -> None:
    view = influxdb(tmp_path)
    view.write(EDGE, 1, 1, [row(0, raw=8)], [])
    view.write(EDGE, 1, 2, [row(0), row(1)], [])
    assert everything(view) == [row(0), row(1)]
    view.close()


def test_of_a_failed_write_the_embedded_view_keeps_nothing(tmp_path: Path) -> None:
    view = sqlite(tmp_path)
    view.write(EDGE, 1, 1, [row(0)], [])
    with pytest.raises(ViewMismatch):
        view.write(EDGE, 1, 2, [row(1, point=f"{EDGE}/lost/energy"), row(1), row(1, raw=9)], [])
    view.write(EDGE, 1, 2, [row(1, point=f"{EDGE}/next/energy")], [])
    view.write(EDGE, 1, 3, [row(2, point=f"{EDGE}/lost/energy")], [])
    assert everything(view) == [
        row(2, point=f"{EDGE}/lost/energy"), row(0), row(1, point=f"{EDGE}/next/energy")
    ]  # fmt: skip
    view.close()


def test_of_a_failed_write_influxdb_keeps_rows_and_no_cursor(influxdb: Opener, tmp_path: Path) -> None:
    view = influxdb(tmp_path)
    view.write(EDGE, 1, 1, [row(0)], [])
    refused = [Refusal(EDGE, 1, 1, "reason")]
    with pytest.raises(ViewMismatch, match=r"2 rows of sola-e1 1/1\.\.2 written, 1 found"):
        view.write(EDGE, 1, 2, [row(1), row(1, raw=9)], refused, 1)
    assert (view.cursor(EDGE, 1), view.refused()) == (1, [])
    view.write(EDGE, 1, 2, [row(1)], refused, 1)
    assert (everything(view), view.cursor(EDGE, 1), view.refused()) == ([row(0), row(1)], 2, refused)
    view.close()


def test_reader_of_the_embedded_view_beside_a_writer_sees_one_moment(tmp_path: Path) -> None:
    view = sqlite(tmp_path)
    view.write(EDGE, 1, 3000, [row(k, k) for k in range(3000)], [])
    reader = SqliteReadingsView(tmp_path / "view.db", read_only=True)
    rows = reader.read(POINT, *FOREVER)
    first = next(rows)
    view.clear()
    assert [first, *rows] == [row(k, k) for k in range(3000)]
    assert list(reader.read(POINT, *FOREVER)) == []
    reader.close()
    with pytest.raises(ViewStoreFailed, match="unable to open database file"):
        SqliteReadingsView(tmp_path / "absent.db", read_only=True)
    view.close()


def test_full_disk_moves_no_cursor(tmp_path: Path) -> None:
    view = sqlite(tmp_path)
    view.write(EDGE, 1, 1, [row(0)], [])
    pages = view._db._db.execute("PRAGMA page_count").fetchone()[0]
    view._db._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(ViewStoreFailed, match="free space"):
        view.write(EDGE, 1, 5001, [row(k, k) for k in range(1, 5000)], [])
    view.close()
    again = sqlite(tmp_path)
    assert (again.cursor(EDGE, 1), everything(again)) == (1, [row(0)])
    again.close()


def test_evidence_log_is_not_taken_for_a_view(tmp_path: Path) -> None:
    SqliteEvidenceLog(tmp_path / "evidence.db").close()
    with pytest.raises(BadConfiguration, match="of kind evidence log, expected readings view"):
        SqliteReadingsView(tmp_path / "evidence.db")
