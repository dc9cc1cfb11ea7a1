"""Period totals of a plant-year in the embedded view: 20 registers, a reading a minute each, 10.5 million in all.

A total is the register at the end less that at the start, the number of slots with a GOOD reading and of falls, each
reading counted once. `from day summaries` is what `hakari view total` does; `every row` makes the summaries of all days
again from the packed rows. The peer, polars over Parquet (zstd) of the same rows, gives the same figures and does less:
it trusts that no reading is there twice, and that type and scale never change. Each works in a process of its own;
imports are not counted in its time, but in its memory. Writing is compared with raw `executemany` of the first days
into a table like that of the view, which packs nothing.

Its wall time is not compared, since it is as short as there are cores.

With HAKARI_TEST_INFLUXD the totals of a part of the year, as its name says, are also asked of a real InfluxDB in Flux,
both sides by wall time. The data stands there as suits Flux best, raw and nothing else, its quality a tag.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.meter import Reported, best, best_on_disk, reported, spent
from bench.result import Result
from bench.view_feed import SqlRow, insert
from bench.year_child import Figures, every_row
from hakari.store.days import DAY_MS
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from tests.system.influx import InfluxServer

DAYS = 365
POINTS = 20
SLOT_MS = 60_000
CLOSED_AT_ONCE_DAYS = 10
RAW_DAYS = 10
FLUX_DAYS = 31
ROUNDS = 3
LIMIT_S = 0.5
SLOTS_A_LEAF = 4
START_MS = 20_454 * DAY_MS
EDGE = "plant-e1"
BOOT = "0123456789abcdef"
BUCKET = "year"
LINES_AT_ONCE = 20_000
MIB = 1 << 20


def run() -> list[Result]:
    """The year is made once, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="hakari-bench-") as name:
        folder = Path(name)
        view = folder / "view.db"
        results = [_written(view), *_totals(view, folder)]
        results += _flux(view, folder)
    return results


def year(points: int, days: int) -> Iterator[list[Row]]:
    """A day of all points at a time: registers that grow, clocks that waver, gaps and late readings."""
    seeded = random.Random(12)
    raws = [10**7 * (k + 1) for k in range(points)]
    names = [f"{EDGE}/m{k // 4}/energy{k % 4}" for k in range(points)]
    slots = DAY_MS // SLOT_MS
    for day in range(days):
        rows = []
        for slot in range(slots):
            number = day * slots + slot
            mono_ms = number * SLOT_MS + seeded.randrange(20)
            for k in range(points):
                raws[k] += seeded.randrange(3000)
                if number and seeded.random() < 0.002:
                    continue
                quality, reason = (1, "late acquisition") if number % 5000 == 4999 else (0, "")
                rows.append(
                    Row(names[k], START_MS + number * SLOT_MS, "u64", raws[k], -2, quality, reason, 1,
                        number // SLOTS_A_LEAF, BOOT, mono_ms)
                )  # fmt: skip
        yield rows


def _written(file: Path) -> Result:
    """Writes and packs the whole year; the rate, making the rows left out."""
    cpu_s = wall_s = 0.0
    count = 0
    with closing(SqliteReadingsView(file)) as view:
        for day, rows in enumerate(year(POINTS, DAYS), 1):
            took = spent(lambda rows=rows, day=day: _write(view, rows, day))  # type: ignore[misc]
            cpu_s, wall_s, count = cpu_s + took.cpu_s, wall_s + took.wall_s, count + len(rows)
            if day % CLOSED_AT_ONCE_DAYS == 0:
                print(f"\rbench: year_total: {day} of {DAYS} days, {wall_s:.0f} s", end="", file=sys.stderr)
        print(file=sys.stderr)
        if view.counts() != (count, 0):
            raise RuntimeError(f"the view has {view.counts()[0]} rows, not {count}")
    raw = _raw_insert()
    return Result(
        "year, writing and packing", count / cpu_s, "rows/CPU s", "raw SQLite executemany", raw, "higher", 0.1
    )


def _write(view: SqliteReadingsView, rows: Sequence[Row], day: int) -> None:
    view.write(EDGE, 1, day * DAY_MS // SLOT_MS // SLOTS_A_LEAF, rows, [])
    if day % CLOSED_AT_ONCE_DAYS == 0 or day == DAYS:
        view.close_days(START_MS + day * DAY_MS)


def _raw_insert() -> float:
    """Rows a CPU second."""
    points: dict[str, int] = {}
    groups: list[list[SqlRow]] = [
        [
            (points.setdefault(r.point, len(points)), r.t_ms, r.epoch, r.leaf, 1, r.mono_ms, 1, r.raw, r.exponent,
             r.quality, r.reason)
            for r in rows
        ]
        for rows in year(POINTS, RAW_DAYS)
    ]  # fmt: skip
    return sum(map(len, groups)) / best_on_disk(lambda file: insert(file, groups)).cpu_s


def _totals(view: Path, folder: Path) -> list[Result]:
    kept, kept_figures = _child("summaries", view, folder)
    rows, rows_figures = _child("every-row", view, folder)
    if kept_figures != rows_figures:
        raise RuntimeError("day summaries and rows do not give the same totals")
    results = [Result("year total from day summaries", kept.cpu_s, "CPU s", "limit", LIMIT_S)]
    if importlib.util.find_spec("polars") is None:
        print("bench: year_total against polars skipped: polars is not installed (extra dev)", file=sys.stderr)
        return results
    parquet = folder / "parquet"
    _write_parquet(view, parquet)
    peer, peer_figures = _child("polars", parquet, folder)
    if peer_figures != rows_figures:
        raise RuntimeError("polars does not give the same totals")
    name = "polars over Parquet"
    return [
        *results,
        Result("year total from day summaries", kept.cpu_s, "CPU s", name, peer.cpu_s, "lower", 0.5),
        Result("year total from every row", rows.cpu_s, "CPU s", name, peer.cpu_s, "lower", 3),
        Result("year total, most memory", rows.rss_bytes / MIB, "MiB", name, peer.rss_bytes / MIB, "lower", 0.5),
        Result("year, on disk", _size(view) / MIB, "MiB", "Parquet, zstd", _size(parquet) / MIB, "lower", 2),
    ]


def _child(mode: str, source: Path, folder: Path) -> tuple[Reported, Figures]:
    """The best of some rounds, and the totals."""
    into = folder / "figures.json"
    span = map(str, (START_MS, START_MS + DAYS * DAY_MS))
    argv = [sys.executable, "-m", "bench.year_child", mode, str(source), *span, str(into)]
    found = [reported(argv) for _ in range(ROUNDS)]
    least = Reported(*map(min, zip(*found, strict=True)))
    return least, {point: tuple(figures) for point, figures in json.loads(into.read_bytes()).items()}


def _write_parquet(view: Path, folder: Path) -> None:
    """A file a point, with every column of a row."""
    import polars as pl  # noqa: PLC0415 - a dependency of development alone

    folder.mkdir()
    with closing(SqliteReadingsView(view, read_only=True)) as opened:
        for k, point in enumerate(opened.points()):
            frame = pl.DataFrame(list(opened.read(point, 0, 2**53)), schema=list(Row._fields), orient="row")
            frame.write_parquet(folder / f"{k}.parquet", compression="zstd")


def _size(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _flux(view: Path, folder: Path) -> list[Result]:
    program = os.environ.get("HAKARI_TEST_INFLUXD")
    if not program:
        print("bench: year_total against Flux skipped: set HAKARI_TEST_INFLUXD", file=sys.stderr)
        return []
    with InfluxServer(Path(program), folder) as server:
        server.make_bucket(BUCKET)
        rows = _load(server, view)
        wanted: list[Figures] = []
        ours = best(lambda: wanted.append(every_row(view, START_MS, START_MS + FLUX_DAYS * DAY_MS)))
        found: list[Figures] = []
        theirs = best(lambda: found.append(_asked(server)))
    if found[-1] != wanted[-1]:
        raise RuntimeError("Flux does not give the same totals")
    name = f"{FLUX_DAYS} days' total from every row ({rows / 1e6:.1f} M), wall"
    return [Result(name, ours.wall_s, "s", "Flux, InfluxDB 2.7", theirs.wall_s, "lower", 2)]


def _load(server: InfluxServer, view: Path) -> int:
    """Writes the first days of the view as lines that suit Flux: the quality is a tag; how many rows."""
    lines: list[str] = []
    count = 0
    with closing(SqliteReadingsView(view, read_only=True)) as opened:
        for point in opened.points():
            for row in opened.read(point, START_MS, START_MS + FLUX_DAYS * DAY_MS):
                lines.append(f"reading,point={point},quality={row.quality} raw={row.raw}i {row.t_ms}000000")
                if len(lines) == LINES_AT_ONCE:
                    server.write(BUCKET, "\n".join(lines))
                    count, lines = count + len(lines), []
    server.write(BUCKET, "\n".join(lines))
    return count + len(lines)


def _asked(server: InfluxServer) -> Figures:
    """The totals of every point, in one query."""
    start_s, stop_s = START_MS // 1000, (START_MS + FLUX_DAYS * DAY_MS) // 1000
    rows = server.flux(
        f"""
good = from(bucket: "{BUCKET}") |> range(start: {start_s}, stop: {stop_s})
  |> filter(fn: (r) => r._measurement == "reading" and r._field == "raw" and r.quality == "0")
good |> first() |> yield(name: "first")
good |> last() |> yield(name: "last")
good |> count() |> yield(name: "slots")
good |> difference() |> map(fn: (r) => ({{r with _value: if r._value < 0 then 1 else 0}}))
  |> sum() |> yield(name: "falls")
"""
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["point"], {})[row["result"]] = int(row["_value"])
    return {point: (of["first"], of["last"], of["slots"], of["falls"]) for point, of in found.items()}
