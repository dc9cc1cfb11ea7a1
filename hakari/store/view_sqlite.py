"""Readings view in one SQLite file: recent rows by point and time, packed blocks of closed days; rebuildable.

A row is either loose or in its day's block, never in both; what comes later for a packed day lies loose beside the
block (a dirty day) and is packed in when days are closed again. Guaranteed: rows and cursor move in one
transaction, counted before it is committed, so that the cursor never runs ahead of the rows; a block is read back
before its rows are deleted. `synchronous=NORMAL` suffices: in WAL mode a power cut loses the last transactions as
wholes, and what is lost is fed again from the evidence log.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from hakari.quality import Quality
from hakari.store.blocks import RAW_LIMIT
from hakari.store.days import (
    ALL_MS,
    DAY_MS,
    Span,
    Summary,
    once_over,
    order,
    rows_of,
    summarise_day,
    whole_days,
)
from hakari.store.packed import STATEMENTS as PACKED_STATEMENTS
from hakari.store.packed import PackedDay, PackedDays, Point, columns_of_found, packable
from hakari.store.places import check_places
from hakari.store.sqlite import Database, Schema, SqlRow, StoreFailed
from hakari.store.typed import TypedQueries
from hakari.store.view import CursorMoved, Refusal, ViewDay, ViewMismatch
from hakari.wire.rows import Row

VERSION = 2
ROWS_AT_ONCE = 100
MAX_REASON_CHARS = 1000

_COLUMNS = "point, t_ms, epoch, leaf, boot, mono_ms, type, raw, exponent, quality, reason"
_STATEMENTS = (
    *PACKED_STATEMENTS,
    "CREATE TABLE point (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE boot (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE reading (
      point INTEGER NOT NULL REFERENCES point (id), t_ms INTEGER NOT NULL, epoch INTEGER NOT NULL,
      leaf INTEGER NOT NULL, boot INTEGER NOT NULL REFERENCES boot (id), mono_ms INTEGER NOT NULL,
      type INTEGER NOT NULL REFERENCES type (id), raw INTEGER NOT NULL, exponent INTEGER NOT NULL,
      quality INTEGER NOT NULL, reason TEXT NOT NULL,
      PRIMARY KEY (point, t_ms, epoch, leaf, boot, mono_ms)) WITHOUT ROWID""",
    """CREATE TABLE refused (
      edge TEXT NOT NULL, epoch INTEGER NOT NULL, leaf INTEGER NOT NULL, reason TEXT NOT NULL,
      PRIMARY KEY (epoch, leaf, edge, reason)) WITHOUT ROWID""",
    """CREATE TABLE cursor (
      edge TEXT NOT NULL, epoch INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (edge, epoch)) WITHOUT ROWID""",
)
_BATCH = f"CREATE TEMP TABLE IF NOT EXISTS batch ({_COLUMNS})"
_MARKS = ", ".join("?" * 11)
_INSERT = f"INSERT INTO reading VALUES ({_MARKS}) ON CONFLICT DO NOTHING"  # noqa: S608
_INSERT_BATCH = f"INSERT INTO temp.batch VALUES ({_MARKS})"  # noqa: S608
_NAMED = tuple((name, Row._fields.index(name)) for name in ("point", "boot", "type"))
_SAME_ROW = " AND ".join(f"r.{name} = b.{name}" for name in _COLUMNS.split(", "))
# The batch leads: each of its rows is looked up by the key of `reading`.
_COUNT_WRITTEN = f"SELECT count(*) FROM temp.batch b CROSS JOIN reading r ON {_SAME_ROW}"  # noqa: S608
_LOOSE = (
    "SELECT r.t_ms, t.name, r.raw, r.exponent, r.quality, r.reason, r.epoch, r.leaf, b.name, r.mono_ms"
    " FROM reading r CROSS JOIN boot b ON b.id = r.boot CROSS JOIN type t ON t.id = r.type"
    " WHERE r.point = ? AND r.t_ms >= ? AND r.t_ms < ?"
)
_LOOSE_KINDS = "itiiitiiti"
_READ_KINDS = f"{_LOOSE_KINDS}|i-b-------"
_IN_ORDER = " ORDER BY 1, 7, 8, 9, 10"
# One statement, so that blocks and loose rows are of one moment. A block comes before the loose rows of its day.
_READ = (
    f"{_LOOSE} UNION ALL SELECT start_ms, NULL, block, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM day_block"  # noqa: S608
    f" WHERE point = ? AND start_ms > ? AND start_ms < ?{_IN_ORDER}"
)
# SQLite's division rounds towards zero, days go down.
_DAY = f"t_ms - (t_ms % {DAY_MS} + {DAY_MS}) % {DAY_MS}"
_LOOSE_SPANS = (
    f"SELECT {_DAY}, b.name, min(mono_ms), max(mono_ms) FROM reading r CROSS JOIN boot b ON b.id = r.boot"  # noqa: S608
    " WHERE point = ? AND t_ms >= ? AND t_ms < ? GROUP BY 1, r.boot"
)


class ViewStoreFailed(StoreFailed):
    """The readings view cannot be written or read: stop; it can be rebuilt from the evidence log."""


SCHEMA = Schema("readings view", VERSION, _STATEMENTS, "NORMAL", ViewStoreFailed, {1: PACKED_STATEMENTS})


class SqliteReadingsView:
    """The readings view in the file `path`; created where absent, unless it is opened `read_only`."""

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self._db = Database(path, SCHEMA, read_only=read_only)
        self._ids: dict[str, dict[str, int]] = {"point": {}, "boot": {}, "type": {}}
        self._rows = TypedQueries(self._db, self._damaged)
        self._packed = PackedDays(self._db, self._rows, self._damaged)

    def cursor(self, edge_id: str, epoch: int) -> int:
        """Leaves of (edge, epoch) that are in the view: the next leaf to write."""
        row = self._rows.one("i", "SELECT next FROM cursor WHERE edge = ? AND epoch = ?", (edge_id, epoch))
        if row is not None and row[0] < 0:
            raise self._damaged(
                f"the cursor of {edge_id} {epoch}, leaf {row[0]}, is damaged; rebuild the view: hakari view rebuild"
            )
        return 0 if row is None else int(row[0])

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        """Writes rows of leaves start ≤ leaf < upto and moves the cursor to `upto`, or nothing at all.

        ViewMismatch unless every row is found to be there. CursorMoved when the cursor is below `start`.
        """
        check_places(edge_id, epoch, start, upto, rows, refused)
        try:
            with self._db.transaction():
                self._check_cursor(edge_id, epoch, start)
                self._write_rows(rows)
                self._db.run_many(
                    "INSERT INTO refused VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [(r.edge_id, r.epoch, r.leaf, r.reason[:MAX_REASON_CHARS]) for r in refused],
                )
                self._db.run(
                    "INSERT INTO cursor VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET next = excluded.next WHERE excluded.next > next",
                    (edge_id, epoch, upto),
                )
        except BaseException:
            self._forget_ids()
            raise

    def read(self, point: str, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Rows with start_ms ≤ t_ms < end_ms by (t_ms, epoch, leaf, boot, mono_ms), as of the first row's moment.

        Whatever another connection writes meanwhile; through this one nothing is written before the last row is read.
        """
        found = self._point(point)
        if found is None:
            return
        start_ms, end_ms = max(start_ms, ALL_MS[0]), min(end_ms, ALL_MS[1])
        values = (found.id, start_ms, end_ms, found.id, max(start_ms - DAY_MS, ALL_MS[0]), end_ms)
        for _, items in groupby(
            self._rows.stream(_READ_KINDS, _READ, values, ROWS_AT_ONCE), key=lambda row: row[0] // DAY_MS
        ):
            yield from self._day(found, items, start_ms, end_ms)

    def last(self, point: str) -> Row | None:
        """The GOOD row with the greatest slot, of several the last in the order of `read`; None without one."""
        with self._db.snapshot():
            found = self._point(point)
            if found is None:
                return None
            newest = self._rows.one(
                "i",
                "SELECT t_ms FROM reading WHERE point = ? AND quality = ? ORDER BY t_ms DESC LIMIT 1",
                (found.id, Quality.GOOD),
            )
            rows = [] if newest is None else self._loose(found, newest[0], newest[0] + 1)
            last = [row for row in rows if row.quality == Quality.GOOD][-1:]
            return max([*last, *filter(None, [self._packed.last_good(found)])], key=order, default=None)

    def days(self, point: str, start_ms: int, end_ms: int) -> Iterator[ViewDay]:
        """UTC days with a reading that lie wholly in [start_ms, end_ms), in order and as of one moment.

        A day that is packed and clean is answered from its summary.
        """
        return iter(self._days(point, start_ms, end_ms, self._packed.summaries))

    def recount(self, point: str, start_ms: int, end_ms: int) -> Iterator[ViewDay]:
        """What `days` gives, made again from every row in the range; what was kept of it is not looked at.

        Nothing answers from it: the bench and the tests hold `days` against it.
        """
        return iter(self._days(point, start_ms, end_ms, self._packed.recounted))

    def close_days(self, before_ms: int) -> int:
        """Packs every day that ends at or before `before_ms` and has loose rows; how many days of points that were.

        In transactions of some 50,000 rows, each of which leaves every row either loose or packed. A day of more
        rows than a block may have stays loose.
        """
        points = self._rows.all("it", "SELECT id, name FROM point ORDER BY name")
        waiting = deque((Point(*row), ALL_MS[0]) for row in points)
        closed = 0
        while waiting:
            with self._db.transaction():
                closed += self._packed.close_some(waiting, before_ms)
        return closed

    def points(self) -> list[str]:
        """Every point with a row, sorted."""
        rows = self._rows.all(
            "t",
            "SELECT name FROM point WHERE EXISTS (SELECT 1 FROM reading WHERE point = point.id)"
            " OR EXISTS (SELECT 1 FROM day_summary WHERE point = point.id)"
            " OR EXISTS (SELECT 1 FROM day_block WHERE point = point.id) ORDER BY name",
        )
        return [row[0] for row in rows]

    def refused(self, limit: int = 100) -> list[Refusal]:
        """What could not become rows, newest epoch and leaf first."""
        rows = self._rows.all(
            "tiit",
            "SELECT edge, epoch, leaf, reason FROM refused ORDER BY epoch DESC, leaf DESC, edge, reason LIMIT ?",
            (limit,),
        )
        return [Refusal(*row) for row in rows]

    def counts(self) -> tuple[int, int]:
        """(rows, refusals) in the view; looks at all of them."""
        with self._db.snapshot():
            ((rows, refused),) = self._db.all("SELECT (SELECT count(*) FROM reading), (SELECT count(*) FROM refused)")
            return int(rows) + self._packed.count(), int(refused)

    def clear(self) -> None:
        """Forgets rows, refusals and cursors."""
        # The numbers of names stay: another process may remember them and write with them after this.
        with self._db.transaction():
            for table in ("reading", "refused", "cursor"):
                self._db.run(f"DELETE FROM {table}")  # noqa: S608
            self._packed.clear()
            for table in self._ids:
                self._db.run(f"DELETE FROM {table} WHERE typeof(name) <> 'text'")  # noqa: S608

    def close(self) -> None:
        """Releases the file."""
        self._db.close()

    def _check_cursor(self, edge_id: str, epoch: int, start: int) -> None:
        cursor = self.cursor(edge_id, epoch)
        if cursor < start:
            raise CursorMoved(f"view of {edge_id} {epoch} is at leaf {cursor}, not {start}: it was cleared meanwhile")

    def _write_rows(self, rows: Sequence[Row]) -> None:
        loose, found = self._not_packed(rows)
        stored = self._stored(loose)
        inserted = self._db.run_many(_INSERT, stored)
        # What was not inserted stands there already, or something else does: then every row is looked up.
        counted = found + (inserted if inserted == len(loose) else self._count(stored))
        if counted != len(rows):
            raise ViewMismatch(
                f"readings view {self._db.path}: {len(rows)} rows written, {counted} found; another content stands"
                " at their place, so rebuild the view (hakari view rebuild)"
            )

    def _count(self, stored: Sequence[SqlRow]) -> int:
        """How many of these rows are in the table as they are."""
        self._db.run(_BATCH)
        self._db.run("DELETE FROM temp.batch")
        self._db.run_many(_INSERT_BATCH, stored)
        return int(self._db.all(_COUNT_WRITTEN)[0][0])

    def _not_packed(self, rows: Sequence[Row]) -> tuple[Sequence[Row], int]:
        """The rows whose place is in no block, and how many stand in one as they are."""
        packed: dict[tuple[str, int], dict[tuple[int, int, int, str, int], Row]] = {}
        for name, day in {(row.point, row.t_ms // DAY_MS) for row in rows}:
            point = self._point(name)
            columns = self._packed.columns(point, day * DAY_MS) if point and packable(day * DAY_MS) else None
            if columns is not None:
                packed[name, day] = {order(row): row for row in rows_of(name, columns)}
        if not packed:
            return rows, 0
        loose, found = [], 0
        for row in rows:
            held = packed.get((row.point, row.t_ms // DAY_MS), {}).get(order(row))
            if held is None:
                loose.append(row)
            elif held == row._replace(reason=row.reason[:MAX_REASON_CHARS]):
                found += 1
        return loose, found

    def _day(self, point: Point, found: Iterator[SqlRow], start_ms: int, end_ms: int) -> Iterator[Row]:
        """The rows of a day within the range: those of its block, where it has one, and the loose ones."""
        first = next(found)
        if first[1] is not None:
            return map(partial(_row, point.name), self._only_loose(chain((first,), found)))
        rows = rows_of(point.name, self._packed.unpacked(point, first[0], first[2]))
        if first[0] < start_ms or first[0] + DAY_MS > end_ms:
            rows = (row for row in rows if start_ms <= row.t_ms < end_ms)
        beside = [_row(point.name, item) for item in self._only_loose(found)]
        return heapq.merge(rows, beside, key=order) if beside else rows

    def _only_loose(self, found: Iterable[SqlRow]) -> Iterator[SqlRow]:
        for item in found:
            if item[1] is None:
                raise self._damaged(
                    f"a block that starts at {item[0]} ms is damaged; rebuild the view: hakari view rebuild"
                )
            yield item

    def _loose(self, point: Point, start_ms: int, end_ms: int) -> list[Row]:
        rows = self._rows.all(_LOOSE_KINDS, f"{_LOOSE}{_IN_ORDER}", (point.id, start_ms, end_ms))
        return [_row(point.name, row) for row in rows]

    def _days(
        self, point: str, start_ms: int, end_ms: int, packed: Callable[[Point, int, int], Iterable[PackedDay]]
    ) -> list[ViewDay]:
        first_ms, last_ms = whole_days(max(start_ms, ALL_MS[0] + DAY_MS), min(end_ms, ALL_MS[1]))
        with self._db.snapshot():
            found = self._point(point)
            if found is None or first_ms >= last_ms:
                return []
            own = {day.summary.day.start_ms: day.summary for day in packed(found, first_ms, last_ms)}
            values = (found.id, first_ms, last_ms)
            rows = self._rows.stream(_LOOSE_KINDS, f"{_LOOSE}{_IN_ORDER}", values, ROWS_AT_ONCE)
            for day, items in groupby(rows, key=lambda row: row[0] // DAY_MS):
                columns = self._packed.whole(found, day * DAY_MS, columns_of_found(list(items)))
                own[day * DAY_MS] = summarise_day(point, day * DAY_MS, columns)
            others = [*self._spans(found, ALL_MS[0], first_ms), *self._spans(found, last_ms, ALL_MS[1])] if own else []
            in_order = [own[day_ms] for day_ms in sorted(own)]
            return once_over(in_order, others, lambda start, end: self.read(point, start, end))

    def _spans(self, point: Point, start_ms: int, end_ms: int) -> Iterator[Summary]:
        """The clocks of the days in [start_ms, end_ms), and nothing else of them; a dirty day comes twice."""
        for found in self._packed.summaries(point, start_ms, end_ms):
            yield found.summary
        rows = self._rows.all("itii", _LOOSE_SPANS, (point.id, start_ms, end_ms))
        for day_ms, spans in groupby(rows, key=itemgetter(0)):
            yield Summary(ViewDay(point.name, day_ms, 0, 0, None, None, 0), tuple(Span(*row[1:]) for row in spans))

    def _point(self, name: str) -> Point | None:
        found = self._db.one("SELECT id FROM point WHERE name = ?", (name,))
        return None if found is None else Point(found[0], name)

    def _damaged(self, sentence: str) -> ViewStoreFailed:
        return ViewStoreFailed(f"readings view {self._db.path}: {sentence}")

    def _stored(self, rows: Sequence[Row]) -> list[SqlRow]:
        points, boots, types = (self._numbers(table, {row[k] for row in rows}) for table, k in _NAMED)
        return [
            (points[point], t_ms, epoch, leaf, boots[boot], mono_ms, types[type_],
             raw - RAW_LIMIT if raw >> 63 else raw, exponent, quality, reason[:MAX_REASON_CHARS])
            for point, t_ms, type_, raw, exponent, quality, reason, epoch, leaf, boot, mono_ms in rows
        ]  # fmt: skip

    def _numbers(self, table: str, names: Iterable[object]) -> dict[str, int]:
        return {str(name): self._id(table, str(name)) for name in names}

    def _id(self, table: str, name: str) -> int:
        known = self._ids[table].get(name)
        if known is None:
            self._db.run(f"INSERT INTO {table} (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))  # noqa: S608
            known = int(self._db.all(f"SELECT id FROM {table} WHERE name = ?", (name,))[0][0])  # noqa: S608
            self._ids[table][name] = known
        return known

    def _forget_ids(self) -> None:
        for names in self._ids.values():
            names.clear()


def _row(point: str, found: SqlRow) -> Row:
    t_ms, type_, raw, exponent, quality, reason, epoch, leaf, boot, mono_ms = found
    return Row(point, t_ms, type_, raw % RAW_LIMIT, exponent, quality, reason, epoch, leaf, boot, mono_ms)
