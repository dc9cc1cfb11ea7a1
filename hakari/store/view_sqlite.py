"""Readings view in one SQLite file: recent rows keyed by point and time, rebuildable from the evidence log.

Guaranteed: rows and cursor move in one transaction, read back before it is committed, so that the cursor never
runs ahead of the rows. `synchronous=NORMAL` suffices for that: in WAL mode a power cut loses the last
transactions as wholes, and what is lost is fed again from the evidence log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hakari.store.sqlite import Database, Schema, StoreFailed, StoreMisused
from hakari.store.view import CursorMoved, Refusal, ViewMismatch
from hakari.wire.rows import Row

VERSION = 1
ROWS_AT_ONCE = 1000
MAX_REASON_CHARS = 1000
RAW_LIMIT = 1 << 64

_COLUMNS = "point, t_ms, epoch, leaf, boot, mono_ms, type, raw, exponent, quality, reason"
_STATEMENTS = (
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
_SAME_ROW = " AND ".join(f"r.{name} = b.{name}" for name in _COLUMNS.split(", "))
# The batch leads: each of its rows is looked up by the key of `reading`.
_COUNT_WRITTEN = f"SELECT count(*) FROM temp.batch b CROSS JOIN reading r ON {_SAME_ROW}"  # noqa: S608
_READ = (
    "SELECT r.t_ms, t.name, r.raw, r.exponent, r.quality, r.reason, r.epoch, r.leaf, b.name, r.mono_ms"
    " FROM reading r CROSS JOIN boot b ON b.id = r.boot CROSS JOIN type t ON t.id = r.type"
    " WHERE r.point = ? AND r.t_ms >= ? AND r.t_ms < ? ORDER BY r.t_ms, r.epoch, r.leaf, r.boot, r.mono_ms"
)


class ViewStoreFailed(StoreFailed):
    """The readings view cannot be written or read: stop; it can be rebuilt from the evidence log."""


SCHEMA = Schema("readings view", VERSION, _STATEMENTS, "NORMAL", ViewStoreFailed)


class SqliteReadingsView:
    """The readings view in the file `path`; created where absent, unless it is opened `read_only`."""

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self._db = Database(path, SCHEMA, read_only=read_only)
        self._ids: dict[str, dict[str, int]] = {"point": {}, "boot": {}, "type": {}}

    def cursor(self, edge_id: str, epoch: int) -> int:
        """Leaves of (edge, epoch) that are in the view: the next leaf to write."""
        row = self._db.one("SELECT next FROM cursor WHERE edge = ? AND epoch = ?", (edge_id, epoch))
        return 0 if row is None else int(row[0])

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        """Writes rows of leaves start ≤ leaf < upto and moves the cursor to `upto`, or nothing at all.

        ViewMismatch unless reading back finds every row. CursorMoved when the cursor is below `start`.
        """
        _check_places(edge_id, epoch, start, upto, rows, refused)
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
        """Rows with start_ms ≤ t_ms < end_ms ordered by (t_ms, epoch, leaf), as of the first row's moment."""
        found = self._db.one("SELECT id FROM point WHERE name = ?", (point,))
        if found is None:
            return
        for t_ms, type_, raw, exponent, quality, reason, epoch, leaf, boot, mono_ms in self._db.stream(
            _READ, (found[0], start_ms, end_ms), ROWS_AT_ONCE
        ):
            yield Row(point, t_ms, type_, raw % RAW_LIMIT, exponent, quality, reason, epoch, leaf, boot, mono_ms)

    def points(self) -> list[str]:
        """Every point with a row, sorted."""
        rows = self._db.all(
            "SELECT name FROM point WHERE EXISTS (SELECT 1 FROM reading WHERE point = point.id) ORDER BY name"
        )
        return [row[0] for row in rows]

    def refused(self, limit: int = 100) -> list[Refusal]:
        """What could not become rows, newest epoch and leaf first."""
        rows = self._db.all(
            "SELECT edge, epoch, leaf, reason FROM refused ORDER BY epoch DESC, leaf DESC, edge, reason LIMIT ?",
            (limit,),
        )
        return [Refusal(*row) for row in rows]

    def counts(self) -> tuple[int, int]:
        """(rows, refusals) in the view; looks at all of them."""
        row = self._db.all("SELECT (SELECT count(*) FROM reading), (SELECT count(*) FROM refused)")[0]
        return int(row[0]), int(row[1])

    def clear(self) -> None:
        """Forgets rows, refusals and cursors."""
        # The numbers of names stay: another process may remember them and write with them after this.
        with self._db.transaction():
            for table in ("reading", "refused", "cursor"):
                self._db.run(f"DELETE FROM {table}")  # noqa: S608

    def close(self) -> None:
        """Releases the file."""
        self._db.close()

    def _check_cursor(self, edge_id: str, epoch: int, start: int) -> None:
        cursor = self.cursor(edge_id, epoch)
        if cursor < start:
            raise CursorMoved(f"view of {edge_id} {epoch} is at leaf {cursor}, not {start}: it was cleared meanwhile")

    def _write_rows(self, rows: Sequence[Row]) -> None:
        self._db.run(_BATCH)
        self._db.run("DELETE FROM temp.batch")
        self._db.run_many(f"INSERT INTO temp.batch VALUES ({', '.join('?' * 11)})", map(self._stored, rows))  # noqa: S608
        self._db.run("INSERT INTO reading SELECT * FROM temp.batch WHERE true ON CONFLICT DO NOTHING")
        counted = int(self._db.all(_COUNT_WRITTEN)[0][0])
        if counted != len(rows):
            raise ViewMismatch(
                f"readings view {self._db.path}: {len(rows)} rows written, {counted} found; another content stands"
                " at their place, so rebuild the view (hakari view rebuild)"
            )

    def _stored(self, row: Row) -> tuple[object, ...]:
        if not 0 <= row.raw < RAW_LIMIT:
            raise StoreMisused(f"raw {row.raw} of {row.point} is no bit pattern of 64 bits")
        return (
            self._id("point", row.point), row.t_ms, row.epoch, row.leaf, self._id("boot", row.boot), row.mono_ms,
            self._id("type", row.type), row.raw - RAW_LIMIT if row.raw >> 63 else row.raw,
            row.exponent, row.quality, row.reason[:MAX_REASON_CHARS],
        )  # fmt: skip

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


def _check_places(
    edge_id: str, epoch: int, start: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal]
) -> None:
    for row in rows:
        if row.epoch != epoch or not start <= row.leaf < upto or not row.point.startswith(f"{edge_id}/"):
            raise StoreMisused(f"row of {row.point} {row.epoch}/{row.leaf} is not of {edge_id} {epoch}/{start}..{upto}")
    for refusal in refused:
        if (refusal.edge_id, refusal.epoch) != (edge_id, epoch) or not start <= refusal.leaf < upto:
            raise StoreMisused(f"refusal of {refusal.epoch}/{refusal.leaf} is not of {edge_id} {epoch}/{start}..{upto}")
