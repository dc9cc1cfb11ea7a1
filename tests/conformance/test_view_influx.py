"""What only a view in a server of its own has to bear: its rights, its bucket, others that write there, its death."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hakari.errors import HakariError
from hakari.store.lines import ReadingLines, Serializer
from hakari.store.opened import make_bucket, open_view
from hakari.store.view import CursorMoved, ReadingsView, Refusal, ViewMismatch, ViewUnavailable
from hakari.store.view_influx import InfluxReadingsView
from hakari.wire.rows import Row
from tests.system.influx import TOKEN, InfluxServer

EDGE = "sola-e1"
POINT = "sola-e1/meter/energy"
FOREVER = (-(2**62), 2**62)
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def bucket(influxd: InfluxServer) -> Iterator[str]:
    name = f"view-{secrets.token_hex(8)}"
    influxd.make_bucket(name)
    yield name
    influxd.delete_bucket(name)


@pytest.fixture
def opened(influxd: InfluxServer, bucket: str, tmp_path: Path) -> Iterator[Callable[..., InfluxReadingsView]]:
    views = []

    def one(token: str = TOKEN) -> InfluxReadingsView:
        views.append(InfluxReadingsView(influxd.settings(bucket, tmp_path), token))
        return views[-1]

    yield one
    for view in views:
        view.close()


@pytest.fixture
def view(opened: Callable[..., InfluxReadingsView]) -> InfluxReadingsView:
    return opened()


def row(leaf: int, t_ms: int = 1000, raw: int = 7) -> Row:
    return Row(POINT, t_ms, "u64", raw, -2, 0, "", 1, leaf, "boot", leaf)


def everything(view: ReadingsView) -> list[Row]:
    return [found for point in view.points() for found in view.read(point, *FOREVER)]


def state(view: ReadingsView) -> tuple[object, ...]:
    return everything(view), view.refused(), view.cursor(EDGE, 1), view.counts()


def test_a_bucket_that_drops_what_is_old_is_refused_before_the_first_write(
    influxd: InfluxServer, tmp_path: Path
) -> None:
    name = f"view-{secrets.token_hex(8)}"
    influxd.make_bucket(name, retention_s=86400)
    settings = influxd.settings(name, tmp_path)
    sentence = "drops points after 86400 s, .*nothing was written: set its retention to infinite"
    with closing(InfluxReadingsView(settings, TOKEN)) as view:
        for _ in range(2):
            with pytest.raises(ViewUnavailable, match=sentence):
                view.write(EDGE, 1, 1, [row(0)], [])
    with pytest.raises(ViewUnavailable, match=sentence):
        make_bucket(tmp_path / "ingest.toml", settings)
    assert influxd.influxql(name, "SELECT * FROM reading") == []
    influxd.delete_bucket(name)


def test_a_deleted_bucket_is_said_and_a_new_one_is_an_empty_view(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str, tmp_path: Path
) -> None:
    settings = influxd.settings(bucket, tmp_path)
    view.write(EDGE, 1, 2, [row(0), row(1)], [Refusal(EDGE, 1, 1, "why")])
    before = state(view)
    influxd.delete_bucket(bucket)
    for use in (lambda: view.cursor(EDGE, 1), view.points, lambda: view.write(EDGE, 1, 3, [row(2)], [], 2)):
        with pytest.raises(ViewUnavailable, match=r"404 .*nothing was dropped: .*run: hakari view init"):
            use()
    assert make_bucket(tmp_path / "ingest.toml", settings).made
    assert not make_bucket(tmp_path / "ingest.toml", settings).made
    assert state(view) == ([], [], 0, (0, 0))
    with pytest.raises(CursorMoved, match="is at leaf 0, not 2"):
        view.write(EDGE, 1, 3, [row(2)], [], 2)
    view.write(EDGE, 1, 2, [row(0), row(1)], [Refusal(EDGE, 1, 1, "why")])
    assert state(view) == before


class Interrupted(Serializer):
    """A serializer that lets something happen between a writer's look at the cursor and its rows."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens

    def readings(self, rows: Sequence[Row]) -> ReadingLines:
        self._happens()
        return super().readings(rows)


def test_a_writer_that_was_under_way_while_the_view_was_cleared_moves_no_cursor(
    opened: Callable[..., InfluxReadingsView],
) -> None:
    first, other = opened(), opened()
    first.write(EDGE, 1, 2, [row(0), row(1)], [])
    first._serializer = Interrupted(other.clear)
    for start in (2, 0):
        with pytest.raises(CursorMoved):
            first.write(EDGE, 1, 4, [row(k) for k in range(start, 4)], [], start)
        assert other.cursor(EDGE, 1) == 0
    first._serializer = Serializer()
    first.write(EDGE, 1, 4, [row(k) for k in range(4)], [])
    assert (everything(other), other.cursor(EDGE, 1)) == ([row(k) for k in range(4)], 4)


def test_a_late_writer_does_not_set_the_cursor_back(opened: Callable[..., InfluxReadingsView]) -> None:
    late, quick = opened(), opened()
    rows = [row(k) for k in range(6)]
    late._serializer = Interrupted(lambda: quick.write(EDGE, 1, 6, rows, []))
    late.write(EDGE, 1, 3, rows[:3], [])
    assert (quick.cursor(EDGE, 1), everything(quick)) == (6, rows)


def test_clearing_while_another_feeds_leaves_no_row_behind_the_cursor(
    opened: Callable[..., InfluxReadingsView],
) -> None:
    """Whatever the two do to one another: what the cursor says is there."""
    feeding, clearing = opened(), opened()
    rows = [row(k, 1000 * k) for k in range(400)]
    failed: list[Exception] = []

    def feed() -> None:
        try:
            for _ in range(60):
                start = feeding.cursor(EDGE, 1)
                stop = min(start + 20, 400)
                try:
                    feeding.write(EDGE, 1, stop, rows[start:stop], [], start)
                except (CursorMoved, ViewMismatch):
                    continue
        except HakariError as error:
            failed.append(error)

    thread = threading.Thread(target=feed)
    thread.start()
    for _ in range(4):
        clearing.clear()
    thread.join()
    assert failed == []
    cursor = clearing.cursor(EDGE, 1)
    assert [found for found in everything(clearing) if found.leaf < cursor] == rows[:cursor]


def test_what_another_has_written_into_the_range_of_a_leaf_is_found(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    stray = 'leaf=1i,energy.raw=5i,mono_ms=1i,boot="x"'
    influxd.write(bucket, f"reading,edge={EDGE},epoch=1 {stray} 1000000001")
    with pytest.raises(ViewMismatch, match=r"1 rows of sola-e1 1/1\.\.2 written, 2 found.*hakari view rebuild") as told:
        view.write(EDGE, 1, 2, [row(1)], [], 1)
    assert isinstance(told.value, ViewUnavailable)
    assert view.cursor(EDGE, 1) == 1


def test_fault_28_rows_that_the_server_refuses_are_refused_with_its_words_and_all_others_stored(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    influxd.write(bucket, f"reading,edge=another energy.raw=1.5 {WEEK_MS * 10 * 10**6}")
    rows = [row(0), row(1, WEEK_MS * 10 + 1), row(2, 2000), row(3, WEEK_MS * 10 + 2), row(4, 2**62)]
    view.write(EDGE, 1, 5, rows, [Refusal(EDGE, 1, 0, "ours")])
    assert everything(view) == [rows[0], rows[2]]
    assert view.cursor(EDGE, 1) == 5
    told = {one.leaf: one.reason for one in view.refused()}
    assert "is outside the years 1677 to 2262" in told[4]
    assert told[0] == "ours"
    for leaf in (1, 3):
        assert told[leaf].startswith(f"{POINT}, slot {rows[leaf].t_ms}: InfluxDB says: ")
        assert "field type conflict" in told[leaf]


def test_a_poisoned_bucket_stops_the_view_and_loses_nothing(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    influxd.write(bucket, "reading,edge=another energy.raw=1.5 1000")
    with pytest.raises(ViewUnavailable, match=r"refuses more than 100 lines .*look whether somebody else writes"):
        view.write(EDGE, 1, 3000, [row(k, k) for k in range(3000)], [])
    assert view.cursor(EDGE, 1) == 0
    assert view.refused() == []


def test_rows_that_another_has_altered_are_read_and_never_guessed(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    rows = [row(k, 1000 * k) for k in range(4)]
    view.write(EDGE, 1, 4, rows, [])
    series = f"reading,edge={EDGE},epoch=1,meter=meter,site=sola"
    influxd.write(bucket, f"{series} energy.raw=8i 1000000001")
    influxd.write(bucket, f'reading,edge={EDGE},epoch=x,meter=meter energy.raw=9i 5000000000\nreading,v=1 v="a" 1')
    influxd.delete(bucket, '_measurement="reading" AND meter="meter"', "1970-01-01T00:00:02Z", "1970-01-01T00:00:02.5Z")
    found = list(view.read(POINT, *FOREVER))
    altered = row(1, 1000, 8)._replace(quality=2, reason="altered in InfluxDB")
    assert [one for one in found if one.t_ms < 5000] == [rows[0], altered, rows[3]]
    strange = found[-1]
    assert (strange.t_ms, strange.raw, strange.quality, strange.epoch) == (5000, 0, 2, -1)
    assert strange.reason == "incomplete in InfluxDB"
    view.clear()
    assert state(view) == ([], [], 0, (0, 0))


TAGS = {"edge": EDGE, "epoch": "1", "meter": "meter", "site": "sola"}
FIELDS = {
    "energy.raw": "9i", "energy.value": "9", "energy.flaw": "", "good": "1i", "shape": '"u64e0 energy"', "leaf": "7i",
    "mono_ms": "7i", "boot": '"b"',
}  # fmt: skip


def foreign(**changed: str) -> str:
    """A line at 5 s as hakari would write it, but for what is changed; "" leaves it out."""
    tags = "".join(f",{name}={text}" for name, was in TAGS.items() if (text := changed.get(name, was)))
    named = {name.replace("energy_", "energy."): text for name, text in changed.items()}
    fields = ",".join(f"{name}={text}" for name, was in FIELDS.items() if (text := named.get(name, was)))
    return f"reading{tags} {fields} 5000000007"


def test_a_row_as_hakari_writes_it_is_taken(influxd: InfluxServer, view: InfluxReadingsView, bucket: str) -> None:
    influxd.write(bucket, foreign())
    assert list(view.read(POINT, *FOREVER)) == [Row(POINT, 5000, "u64", 9, 0, 0, "", 1, 7, "b", 7)]


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": '"boguse0 energy"'}, {"epoch": "1" + 30 * "0"}, {"epoch": 5000 * "1"}, {"epoch": "01"},
        {"epoch": "-1"}, {"epoch": str(2**40 + 1)}, {"epoch": ""}, {"leaf": "-1i"}, {"leaf": f"{2**53}i"},
        {"energy_flaw": '"3 why"'}, {"energy_flaw": '"-1"'}, {"energy_flaw": '""'}, {"mono_ms": "-1i"},
        {"shape": '"u64e900000000000000000 energy"'}, {"shape": '"u64e-201 energy"'}, {"shape": '"u64e0 other"'},
        {"shape": '"u64e0 energy;u32e0 energy"'}, {"shape": '""'}, {"shape": ""}, {"boot": ""}, {"mono_ms": ""},
        {"energy_raw": "", "shape": "", "leaf": "", "boot": ""},
    ],
)  # fmt: skip
def test_a_row_that_hakari_cannot_have_written_is_a_bad_one_of_no_leaf(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str, changed: dict[str, str]
) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    influxd.write(bucket, foreign(**changed))
    ours, found = view.read(POINT, *FOREVER)
    assert ours == row(0)
    assert found[:9] == (POINT, 5000, "", 0, 0, 2, found.reason, -1, 0)
    assert found.reason in ("foreign in InfluxDB", "incomplete in InfluxDB")
    assert view.last(POINT) == row(0)
    view.write(EDGE, 1, 2, [row(1)], [], 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"energy_value": "900"}, {"energy_value": "9.0000001"}, {"energy_value": ""}, {"energy_flaw": '"1 late"'},
        {"energy_flaw": '"2"'}, {"shape": '"u64e-1 energy"'},
    ],
)  # fmt: skip
def test_a_value_that_is_not_that_of_its_bits_is_told(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str, changed: dict[str, str]
) -> None:
    influxd.write(bucket, foreign(**changed))
    (found,) = view.read(POINT, *FOREVER)
    assert (found.quality, found.reason, found.epoch, found.leaf) == (2, "altered in InfluxDB", 1, 7)


def test_a_row_of_a_value_alone_and_one_without_a_point_are_found(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    influxd.write(bucket, f"reading,edge={EDGE},meter=ghost energy.value=5 1000000000\n{foreign(meter='')}")
    assert view.points() == [f"{EDGE}/ghost/energy"]
    assert [one.reason for one in view.read(f"{EDGE}/ghost/energy", *FOREVER)] == ["incomplete in InfluxDB"]
    assert [one.reason for one in view.read("", *FOREVER)] == ["foreign in InfluxDB"]


@pytest.mark.parametrize(
    "lines",
    [
        "cursor cleared=1.5 {y2100}", "cursor cleared=9223372036854775807i {y2100}",
        f"cursor cleared=5i {{y2100}}\ncursor,edge={EDGE},epoch=1,generation=5 next=999999i {{y2100}}",
        *(f"cursor,edge={EDGE},epoch=1,generation={{now}} next={value} {{y2100}}"
          for value in ("-5i", "0i", "1.5", "9007199254740993i")),
    ],
)  # fmt: skip
def test_a_cursor_that_another_has_written_stops_the_view_until_it_is_rebuilt(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str, lines: str
) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    now = influxd.influxql(bucket, "SELECT last(cleared) FROM cursor")[0]["values"][0][1]
    influxd.write(bucket, lines.format(now=now, y2100=4_102_444_800_000_000_000))
    for use in (lambda: view.cursor(EDGE, 1), lambda: view.write(EDGE, 1, 2, [row(1)], [], 1)):
        with pytest.raises(ViewUnavailable, match=r"somebody else wrote .* cursor; run: hakari view rebuild"):
            use()
    view.clear()
    assert view.cursor(EDGE, 1) == 0
    view.write(EDGE, 1, 2, [row(0), row(1)], [])
    assert state(view) == ([row(0), row(1)], [], 2, (2, 0))


OLD_ROW = (
    f"reading,edge={EDGE},epoch=1,meter=meter,point={POINT},site=sola,type=u64"
    ' raw=7i,value=0.07,exponent=-2i,quality=0i,leaf=0i,mono_ms=0i,boot="boot" 1000000000'
)


def test_a_bucket_of_the_older_layout_is_told_and_read_by_nobody_until_it_is_rebuilt(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    influxd.write(bucket, f"{OLD_ROW}\ncursor cleared=50i 50\ncursor,edge={EDGE},epoch=1,generation=50 next=1i 1")
    for use in (
        lambda: view.cursor(EDGE, 1), lambda: view.write(EDGE, 1, 2, [row(1)], [], 1), view.points, view.counts,
        lambda: list(view.read(POINT, *FOREVER)), lambda: view.last(POINT), lambda: list(view.days(POINT, *FOREVER)),
    ):  # fmt: skip
        with pytest.raises(ViewUnavailable, match="as an earlier version wrote it; run: hakari view rebuild"):
            use()
    view.clear()
    view.write(EDGE, 1, 1, [row(0)], [])
    assert state(view) == ([row(0)], [], 1, (1, 0))


def test_a_layout_that_another_has_written_stops_the_view(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    influxd.write(bucket, "cursor layout=9i 4102444800000000000")
    with pytest.raises(ViewUnavailable, match=r"somebody else wrote a layout .*; run: hakari view rebuild"):
        view.cursor(EDGE, 1)


def test_of_a_line_that_the_server_refuses_the_offending_point_alone_is_refused(
    influxd: InfluxServer, view: InfluxReadingsView, bucket: str
) -> None:
    influxd.write(bucket, "reading,edge=another power.raw=1.5 2000000000")
    points = ("current", "energy", "power", "voltage")
    rows = [
        row(leaf, 1000 * leaf, 100 * leaf + k)._replace(
            point=f"{EDGE}/meter/{name}", quality=k % 2, reason="r" * (k % 2)
        )
        for leaf in (1, 2, 3)
        for k, name in enumerate(points)
    ]
    view.write(EDGE, 1, 4, rows, [])
    view.write(EDGE, 1, 4, rows, [])
    assert sorted(everything(view)) == sorted(one for one in rows if not one.point.endswith("power"))
    assert sorted(one.leaf for one in view.refused()) == [1, 2, 3]
    for told in view.refused():
        assert told.reason.startswith(f"{EDGE}/meter/power, slot {1000 * told.leaf}: InfluxDB says: ")
        assert "field type conflict" in told.reason
    assert view.cursor(EDGE, 1) == 4
    assert view.counts() == (10, 3), "with the one that is nobody's of ours"


def test_a_text_for_a_cursor_counts_for_nothing(influxd: InfluxServer, view: InfluxReadingsView, bucket: str) -> None:
    view.write(EDGE, 1, 1, [row(0)], [])
    now = influxd.influxql(bucket, "SELECT last(cleared) FROM cursor")[0]["values"][0][1]
    text = f'cursor cleared="abc" 4102444800000000000\ncursor,edge={EDGE},epoch=1,generation={now} next="abc"'
    influxd.write(bucket, f"{text} 4102444800000000000")
    assert view.cursor(EDGE, 1) == 1
    view.clear()
    assert view.cursor(EDGE, 1) == 0
    assert influxd.influxql(bucket, "SELECT count(cleared) FROM cursor")[0]["values"][0][1] == 2


def test_a_refusal_of_a_wild_epoch_is_listed(influxd: InfluxServer, view: InfluxReadingsView, bucket: str) -> None:
    influxd.write(bucket, f'refused,edge={EDGE},epoch={5000 * "1"} leaf=1i,reason="x" 5')
    assert view.refused() == [Refusal(EDGE, -1, 1, "x")]


def test_a_point_without_rows_is_no_point(influxd: InfluxServer, view: InfluxReadingsView, bucket: str) -> None:
    view.write(EDGE, 1, 2, [row(0), row(1)._replace(point="sola-e1/other/power")], [])
    influxd.delete(bucket, 'meter="meter"', "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z")
    assert view.points() == ["sola-e1/other/power"]
    for point in ("", "a", "it's", "x' OR point =~ /.*/ --", 'q"\\\n', "sola-e1/meter/none"):
        assert list(view.read(point, *FOREVER)) == []
        assert view.last(point) is None
        assert list(view.days(point, *FOREVER)) == []


def test_what_each_token_may(
    influxd: InfluxServer, opened: Callable[..., InfluxReadingsView], bucket: str, tmp_path: Path
) -> None:
    opened().write(EDGE, 1, 1, [row(0)], [])
    bucket_id = _bucket_id(influxd, bucket)
    both, read, write = (
        influxd.make_token(*((action, "buckets") for action in actions), bucket_id=bucket_id)
        for actions in (("read", "write"), ("read",), ("write",))
    )
    opened(both).write(EDGE, 1, 2, [row(1)], [], 1)
    assert everything(opened(read)) == [row(0), row(1)]
    for refused, what in (
        (lambda: opened(read).write(EDGE, 1, 3, [row(2)], [], 2), "403 .*the rights that docs/ingest.md names"),
        (lambda: opened(read).clear(), "403 .*the rights that docs/ingest.md names"),
        (lambda: opened(write).cursor(EDGE, 1), "404 .*bucket not found.*hakari view init"),
        (lambda: opened("nonsense").cursor(EDGE, 1), "401 .*write a valid token into"),
        (lambda: make_bucket(tmp_path, influxd.settings("another", tmp_path, both)), "403 .*organisation hakari"),
    ):
        with pytest.raises(ViewUnavailable, match=what):
            refused()
    assert state(opened()) == ([row(0), row(1)], [], 2, (2, 0))
    opened(both).clear()
    assert everything(opened(read)) == []


def test_a_bucket_with_a_slash_in_its_name(influxd: InfluxServer, tmp_path: Path) -> None:
    name = f"plant/{secrets.token_hex(8)}"
    settings = influxd.settings(name, tmp_path)
    with closing(open_view(tmp_path / "ingest.toml", "", settings)) as view:
        assert make_bucket(tmp_path / "ingest.toml", settings).made
        view.write(EDGE, 1, 1, [row(0)], [])
        assert state(view) == ([row(0)], [], 1, (1, 0))
    influxd.delete_bucket(name)


def test_a_killed_server_loses_nothing_that_the_cursor_covers(influxd_program: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of writes, again and again: after writing the same again nothing is missing."""
    with InfluxServer(influxd_program, tmp_path) as server:
        server.make_bucket("killed")
        with closing(InfluxReadingsView(server.settings("killed", tmp_path), TOKEN)) as view:
            rows = [row(k, 60_000 * k, raw=k) for k in range(12_000)]
            refusals = [Refusal(EDGE, 1, leaf, "why") for leaf in range(0, 12_000, 1000)]
            kills = [threading.Timer(delay_s, server.kill) for delay_s in (0.35, 0.2, 0.5)]
            done = failures = 0
            while done < len(rows):
                if kills and not kills[0].is_alive() and kills[0].ident is None:
                    kills[0].start()
                stop = min(done + 200, len(rows))
                try:
                    view.write(EDGE, 1, stop, rows[done:stop], [r for r in refusals if done <= r.leaf < stop], done)
                    done = stop
                except ViewUnavailable:
                    failures += 1
                    kills.pop(0).join()
                    server.start()
                    done = view.cursor(EDGE, 1)
                    assert {found.leaf for found in view.read(POINT, *FOREVER)} >= set(range(done))
            for timer in kills:
                timer.cancel()
            assert failures >= 1
            assert everything(view) == rows
            assert sorted(view.refused()) == sorted(refusals)
            assert view.cursor(EDGE, 1) == len(rows)


def _bucket_id(influxd: InfluxServer, name: str) -> str:
    found: list[dict[str, Any]] = influxd.ask("GET", f"/api/v2/buckets?org=hakari&name={name}")["buckets"]
    return str(found[0]["id"])
