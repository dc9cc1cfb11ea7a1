"""`python -m bench.year_child MODE FROM START_MS END_MS INTO`: all points' totals over a period, in a process alone.

MODE is how: `summaries` and `every-row` from the view FROM, `polars` from the Parquet files of the folder FROM.
Prints what it took; writes the totals into the file INTO, as JSON: a point's [first raw, last raw, good slots, falls].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from bench.meter import report
from hakari.store.view import ViewDay
from hakari.store.view_sqlite import SqliteReadingsView
from ingest.view.view_total import period_total

Figures = dict[str, tuple[int, int, int, int]]


def summaries(view: Path, start_ms: int, end_ms: int) -> Figures:
    """As `hakari view total` makes them."""
    figures: Figures = {}
    with closing(SqliteReadingsView(view, read_only=True)) as opened:
        for point in opened.points():
            found = period_total(opened, point, start_ms, end_ms)
            if found.first is None or found.last is None:
                raise ValueError(f"{point} has no boundary")
            figures[point] = (found.first.raw, found.last.raw, found.good_slots, found.falls)
    return figures


def every_row(view: Path, start_ms: int, end_ms: int) -> Figures:
    """From days that are made again from every row of them."""
    with closing(SqliteReadingsView(view, read_only=True)) as opened:
        return {point: _joined(opened.recount(point, start_ms, end_ms)) for point in opened.points()}


def _joined(days: Iterator[ViewDay]) -> tuple[int, int, int, int]:
    first = last = slots = falls = 0
    for k, day in enumerate(days):
        if day.first is None or day.last is None:
            raise ValueError(f"{day.point} has a day without a GOOD reading")
        falls += day.falls + (k > 0 and day.first.raw < last)
        first, last, slots = first if k else day.first.raw, day.last.raw, slots + day.good_slots
    return first, last, slots, falls


def with_polars(folder: Path, start_ms: int, end_ms: int) -> Figures:
    """Streamed; it trusts that no reading is there twice, and that all have one scale."""
    good = pl.col("raw").filter(pl.col("quality") == 0)
    slots = pl.col("t_ms").filter(pl.col("quality") == 0)
    found = (
        pl.scan_parquet(folder / "*.parquet")
        .filter(pl.col("t_ms").is_between(start_ms, end_ms, closed="left"))
        .group_by("point")
        .agg(
            good.first().alias("first"), good.last().alias("last"), slots.n_unique().alias("slots"),
            (good.diff() < 0).sum().alias("falls"),
        )
        .collect(engine="streaming")
    )  # fmt: skip
    return {point: (first, last, slots, falls) for point, first, last, slots, falls in found.iter_rows()}


MODES: dict[str, Callable[[Path, int, int], Figures]] = {
    "summaries": summaries,
    "every-row": every_row,
    "polars": with_polars,
}

if __name__ == "__main__":
    mode, source, start, end, into = sys.argv[1:]
    if mode == "polars":
        # Here, so that the others' memory is without it, and its time without this.
        import polars as pl
    with report():
        made = MODES[mode](Path(source), int(start), int(end))
    Path(into).write_text(json.dumps(made), encoding="utf-8")
