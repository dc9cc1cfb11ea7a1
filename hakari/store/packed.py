"""Closed days of the embedded view: a block and a summary of each in two tables of its file.

The summaries are apart from the blocks, so that asking for a year of them reads a few pages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from hakari.period import time_text
from hakari.quality import Quality
from hakari.store.blocks import MAX_ROWS, RAW_LIMIT, BlockDamaged, pack, pack_summary, unpack, unpack_summary
from hakari.store.days import DAY_MS, Columns, Summary, columns_of, order, rows_of, summarise_day
from hakari.store.sqlite import Database, SqlRow
from hakari.store.typed import TypedQueries
from hakari.wire.rows import Row

STATEMENTS = (
    """CREATE TABLE day_summary (
      point INTEGER NOT NULL REFERENCES point (id), start_ms INTEGER NOT NULL, rows INTEGER NOT NULL,
      summary BLOB NOT NULL, PRIMARY KEY (point, start_ms)) WITHOUT ROWID""",
    """CREATE TABLE day_block (
      point INTEGER NOT NULL REFERENCES point (id), start_ms INTEGER NOT NULL, block BLOB NOT NULL,
      PRIMARY KEY (point, start_ms)) WITHOUT ROWID""",
)
# From 1970 to the last date there is. Days outside stay loose rows: no meter was read then.
PACKABLE_MS = (0, 253_402_300_800_000)
PACKED_AT_ONCE = 50_000
BLOCKS_AT_ONCE = 100

_WITHIN = "point = ?1 AND start_ms >= ?2 AND start_ms < ?3"
# Neither is there without the other: of a block that has no summary a row comes too, and of a summary whether it has
# a block, for which only the key of the block is read.
_DAYS = f"""
  SELECT start_ms, rows, summary, EXISTS
    (SELECT 1 FROM day_block b WHERE b.point = s.point AND b.start_ms = s.start_ms)
    FROM day_summary s WHERE {_WITHIN}
  UNION ALL SELECT start_ms, NULL, NULL, 1 FROM day_block b WHERE {_WITHIN} AND NOT EXISTS
    (SELECT 1 FROM day_summary s WHERE s.point = b.point AND s.start_ms = b.start_ms)
  ORDER BY 1"""  # noqa: S608
_NEWEST_DAY = """
  SELECT max(coalesce((SELECT max(start_ms) FROM day_summary WHERE point = ?1 AND start_ms < ?2), -1),
    coalesce((SELECT max(start_ms) FROM day_block WHERE point = ?1 AND start_ms < ?2), -1))"""

# For packing a whole day: numbers instead of names, in the order of the key.
_NUMBERED = (
    "SELECT t_ms, type, raw, exponent, quality, reason, epoch, leaf, boot, mono_ms FROM reading"  # noqa: S608
    f" WHERE point = ? AND t_ms >= ? AND t_ms < ? ORDER BY t_ms, epoch, leaf, boot, mono_ms LIMIT {MAX_ROWS + 1}"
)

_T = TypeVar("_T")


class Point(NamedTuple):
    """A metering point and its number in this file."""

    id: int
    name: str


class PackedDay(NamedTuple):
    """`stored` rows in the block, repetitions and all, and the summary of the day by itself."""

    stored: int
    summary: Summary


class PackedDays:
    """The two tables, in the file of `database`; what is damaged fails as the store does, rebuildable."""

    def __init__(self, database: Database, rows: TypedQueries, failed: Callable[[str], Exception]) -> None:
        """`rows` reads from `database`; `failed` makes the store's error from a sentence."""
        self._db = database
        self._rows = rows
        self._failed = failed

    def summaries(self, point: Point, start_ms: int, end_ms: int) -> Iterator[PackedDay]:
        """Days that start in [start_ms, end_ms), in order."""
        found = self._rows.all("iibi|i--i", _DAYS, (point.id, start_ms, end_ms))
        for day_ms, count, packed, has_block in found:
            if packed is None or not has_block:
                alone = "a block without a summary" if packed is None else "a summary without a block"
                raise self._damaged(point, day_ms, alone)
            yield PackedDay(count, self._read(unpack_summary, point, day_ms, packed))

    def recounted(self, point: Point, start_ms: int, end_ms: int) -> Iterator[PackedDay]:
        """The same as `summaries`, made again from the rows of the blocks."""
        for day_ms, block in self._rows.stream(
            "ib",
            "SELECT start_ms, block FROM day_block WHERE point = ? AND start_ms >= ? AND start_ms < ?"
            " ORDER BY start_ms",
            (point.id, start_ms, end_ms),
            BLOCKS_AT_ONCE,
        ):
            columns = self.unpacked(point, day_ms, block)
            yield PackedDay(len(columns.t_ms), summarise_day(point.name, day_ms, columns))

    def last_good(self, point: Point) -> Row | None:
        """The last GOOD row in the order of `ReadingsView.read` among those that are packed."""
        before_ms = PACKABLE_MS[1]
        while (before_ms := self._newest(point, before_ms)) >= 0:
            ((count, (day, _)),) = self.summaries(point, before_ms, before_ms + 1)
            last = day.last
            if day.rows != count:
                # A repetition may be the last one of all; the summary knows only what counts.
                columns = self.columns(point, before_ms)
                rows = rows_of(point.name, columns) if columns else iter(())
                last = max((row for row in rows if row.quality == Quality.GOOD), key=order, default=None)
            if last is not None:
                return last
        return None

    def columns(self, point: Point, day_ms: int) -> Columns | None:
        """All rows of a day's block, None where there is none."""
        query = "SELECT block FROM day_block WHERE point = ? AND start_ms = ?"
        found = self._rows.one("b", query, (point.id, day_ms))
        return None if found is None else self.unpacked(point, day_ms, found[0])

    def unpacked(self, point: Point, day_ms: int, block: bytes) -> Columns:
        """The rows of a block that was read from the table."""
        columns = self._read(unpack, point, day_ms, block)
        if min(columns.t_ms) < day_ms or max(columns.t_ms) >= day_ms + DAY_MS:
            raise self._damaged(point, day_ms, "it has rows of another day")
        return columns

    def whole(self, point: Point, day_ms: int, loose: Columns) -> Columns:
        """All rows of a day that has these loose ones."""
        packed = self.columns(point, day_ms) if packable(day_ms) else None
        if packed is None:
            return loose
        return columns_of(sorted([*rows_of(point.name, packed), *rows_of(point.name, loose)], key=order))

    def close_some(self, waiting: deque[tuple[Point, int]], before_ms: int) -> int:
        """Packs days of the points that wait, from the time that stands beside each, until enough rows are."""
        closed = rows = 0
        while waiting and rows < PACKED_AT_ONCE:
            point, from_ms = waiting.popleft()
            query = "SELECT t_ms FROM reading WHERE point = ? AND t_ms >= ? ORDER BY t_ms LIMIT 1"
            found = self._rows.one("i", query, (point.id, from_ms))
            if found is None or (end_ms := found[0] // DAY_MS * DAY_MS + DAY_MS) > before_ms:
                continue
            waiting.appendleft((point, end_ms))
            packed = self._close(point, end_ms - DAY_MS)
            rows, closed = rows + packed, closed + (packed > 0)
        return closed

    def count(self) -> int:
        """Rows in all blocks."""
        return int(self._rows.all("i", "SELECT coalesce(sum(rows), 0) FROM day_summary")[0][0])

    def clear(self) -> None:
        """Forgets them all."""
        self._db.run("DELETE FROM day_summary")
        self._db.run("DELETE FROM day_block")

    def _newest(self, point: Point, before_ms: int) -> int:
        """The start of the last packed day that starts before `before_ms`, -1 without one."""
        return int(self._rows.all("i", _NEWEST_DAY, (point.id, before_ms))[0][0])

    def _close(self, point: Point, day_ms: int) -> int:
        """Packs one day with its loose rows; how many rows it has, 0 where it stays as it is."""
        if not packable(day_ms):
            return 0
        day = (point.id, day_ms, day_ms + DAY_MS)
        columns = self._named(point, columns_of_found(self._rows.all("iiiiitiiii", _NUMBERED, day)))
        if len(columns.t_ms) <= MAX_ROWS:
            columns = self.whole(point, day_ms, columns)
        if len(columns.t_ms) > MAX_ROWS:
            return 0
        self._put(point, day_ms, columns)
        self._db.run("DELETE FROM reading WHERE point = ? AND t_ms >= ? AND t_ms < ?", day)
        return len(columns.t_ms)

    def _put(self, point: Point, day_ms: int, columns: Columns) -> None:
        """Keeps `columns` as the day, in place of what was packed of it; reads the block back first."""
        block = pack(point.name, day_ms, columns)
        again = self.unpacked(point, day_ms, block)
        if any(list(a) != list(b) for a, b in zip(again, columns, strict=True)):
            raise self._failed(
                f"the block of {point.name}, {_shown(day_ms)} does not hold its rows; nothing was packed"
            )
        summary = pack_summary(summarise_day(point.name, day_ms, columns))
        count = len(columns.t_ms)
        self._db.run("INSERT OR REPLACE INTO day_summary VALUES (?, ?, ?, ?)", (point.id, day_ms, count, summary))
        self._db.run("INSERT OR REPLACE INTO day_block VALUES (?, ?, ?)", (point.id, day_ms, block))

    def _named(self, point: Point, numbered: Columns) -> Columns:
        """Columns with the names of types and boots where their numbers stood."""
        named = numbered._replace(type=self._names("type", numbered.type), boot=self._names("boot", numbered.boot))
        if named.boot.count(named.boot[0]) == len(named.boot):
            return named
        return columns_of(sorted(rows_of(point.name, named), key=order))

    def _names(self, table: str, ids: Sequence[object]) -> list[str]:
        # A number without a name gives a row of NULL, which is none of a text.
        query = f"SELECT (SELECT name FROM {table} WHERE id = ?)"  # noqa: S608
        names = {id_: str(self._rows.all("t", query, (id_,))[0][0]) for id_ in set(ids)}
        return list(map(names.__getitem__, ids))

    def _read(self, reading: Callable[[str, int, bytes], _T], point: Point, day_ms: int, packed: bytes) -> _T:
        if not packable(day_ms) or day_ms % DAY_MS:
            raise self._damaged(point, day_ms, f"its start of {day_ms} ms is none of a day that is packed")
        try:
            return reading(point.name, day_ms, packed)
        except BlockDamaged as error:
            raise self._damaged(point, day_ms, str(error)) from error

    def _damaged(self, point: Point, day_ms: int, why: str) -> Exception:
        return self._failed(f"{point.name}, {_shown(day_ms)} is damaged ({why}); rebuild the view: hakari view rebuild")


def columns_of_found(found: Sequence[SqlRow]) -> Columns:
    """The columns of rows as the table of loose rows has them, with signed patterns."""
    columns = Columns(*zip(*found, strict=True))
    return columns._replace(raw=[raw % RAW_LIMIT for raw in columns.raw]) if min(columns.raw) < 0 else columns


def packable(day_ms: int) -> bool:
    """Whether the day that starts at `day_ms` can have a block."""
    return PACKABLE_MS[0] <= day_ms <= PACKABLE_MS[1] - DAY_MS


def _shown(day_ms: int) -> str:
    return f"day {time_text(day_ms)[:10]}" if packable(day_ms) else f"day at {day_ms} ms"
