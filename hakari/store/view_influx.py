"""Readings view in InfluxDB 2.7: what operators' tools read, rebuildable from the evidence log.

Guaranteed without transactions: rows are written and counted before the cursor moves, so that it never runs ahead of
them; it lies in InfluxDB itself, so that a bucket that was deleted is a cursor of 0; it belongs to a generation, which
`clear` ends, so that a writer that was under way meanwhile moves nothing. What InfluxDB refuses is listed as refused
with its own sentence, so that locking names that day. A reader sees what a writer has written so far.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from hakari.influxdb import InfluxSettings
from hakari.measurements import CURSOR, READING, READING_FIELDS, REFUSED
from hakari.names import MAX_EPOCH
from hakari.quality import Quality
from hakari.registers.reading import WIDTH_BITS
from hakari.store.blocks import RAW_LIMIT
from hakari.store.days import DAY_MS, Summary, day_of, once_over, summarise, whole_days
from hakari.store.influx import Influx, Series
from hakari.store.influx_answers import Offender
from hakari.store.lines import (
    MAX_EXPONENT,
    MAX_NS,
    MIN_NS,
    NS_OF_MS,
    ReadingLines,
    Serializer,
    cursor_line,
    generation_line,
    refusal_lines,
    shown,
    spans,
)
from hakari.store.places import check_places
from hakari.store.sqlite import StoreMisused
from hakari.store.view import CursorMoved, Refusal, ViewDay, ViewMismatch, ViewUnavailable
from hakari.wire.rows import Row

PAGE_ROWS = 20_000
MAX_SLOT_ROWS = 2_000_000
COUNT_TRIES = 3
COUNT_SPANS = 32
COUNT_GAP_NS = 86_400 * 10**9
MAX_REFUSALS_A_LEAF = 64
MAX_LEAF = MAX_CURSOR = 1 << 53
LAST_LIMITS = (1, 1000, PAGE_ROWS)
INCOMPLETE = "incomplete in InfluxDB"
FOREIGN = "foreign in InfluxDB"
ALTERED = "altered in InfluxDB"

_COLUMNS = (
    "edge::tag, type::tag, raw::integer, exponent::integer, quality::integer, reason::string, epoch::tag,"
    " leaf::integer, boot::string, mono_ms::integer, value::float"
)
_PLACE = (
    f"SELECT last(cleared) FROM {CURSOR};"  # noqa: S608 - names of our own; what comes from outside is bound
    f" SELECT last(next) FROM {CURSOR} WHERE edge = $edge AND epoch = $epoch GROUP BY generation"
)
_COUNT = (
    f"; SELECT count(raw) FROM {READING} WHERE edge = $edge AND epoch = $epoch AND leaf >= $start AND leaf < $upto"  # noqa: S608
    " AND time >= {first} AND time <= {last}"
)
_READ = f"SELECT {_COLUMNS} FROM {READING} WHERE point = $point AND time >= {{first}} AND time <= {{last}}"  # noqa: S608

_GOOD = f"SELECT {_COLUMNS} FROM {READING} WHERE point = $point AND quality = 0 ORDER BY time DESC LIMIT "  # noqa: S608
# Any field: what somebody else has written is found whatever it lacks.
_POINTS = ";".join(f"SELECT last({field}) FROM {READING} GROUP BY point" for field in READING_FIELDS)  # noqa: S608


class CursorForeign(ViewUnavailable):
    """A cursor or generation in InfluxDB that hakari has not written: only rebuilding the view mends it."""


class CountsDiffer(ViewMismatch, ViewUnavailable):
    """InfluxDB does not count the rows that were written to it: the cursor stands, a person has to look."""


class _Place(NamedTuple):
    """The generation ("" before the first one), and the cursor of one (edge, epoch) in it."""

    generation: str
    cursor: int


class InfluxReadingsView:
    """The readings view in the bucket of `settings`; nothing is asked of it before it is used."""

    def __init__(self, settings: InfluxSettings, token: str, *, read_only: bool = False) -> None:
        self._influx = Influx(settings, token)
        self._read_only = read_only
        self._serializer = Serializer()
        self._fit_for = ""

    def cursor(self, edge_id: str, epoch: int) -> int:
        """Leaves of (edge, epoch) that are in the view: the next leaf to write."""
        return self._place(edge_id, epoch).cursor

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        """Writes rows of leaves start ≤ leaf < upto, counts them in InfluxDB, and moves the cursor to `upto`.

        CountsDiffer where another number is counted; the cursor stands then, while rows may stay. CursorMoved when
        the cursor is below `start` or the view was cleared meanwhile. ViewUnavailable: write the same again.
        """
        self._check_writable()
        check_places(edge_id, epoch, start, upto, rows, refused)
        place = self._place(edge_id, epoch)
        if place.cursor < start:
            raise _moved(edge_id, epoch, place.cursor, start)
        generation = self._fit_generation(place.generation)
        made = self._serializer.readings(rows)
        offenders = self._write_rows(edge_id, epoch, start, upto, made)
        again = self._place(edge_id, epoch)
        if again.generation != generation or again.cursor < start:
            raise _moved(edge_id, epoch, again.cursor, start)
        lines = refusal_lines([*refused, *_refusals(edge_id, epoch, made, offenders)])
        if lines:
            self._influx.write_all(lines)
        self._influx.write_all([cursor_line(edge_id, epoch, generation, upto)])

    def read(self, point: str, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Rows with start_ms ≤ t_ms < end_ms ordered by (t_ms, epoch, leaf, boot, mono_ms), a page at a time.

        BAD are those that hakari has not written, or that are no longer as it wrote them; under the point "" those
        that somebody has written without any.
        """
        first, end = max(start_ms * NS_OF_MS, MIN_NS), min(end_ms * NS_OF_MS - 1, MAX_NS)
        limit = PAGE_ROWS
        while first <= end:
            page = self._rows(_READ.format(first=first, last=end) + f" LIMIT {limit}", point)
            rows = [_row(point, values) for values in page]
            if len(rows) < limit:
                yield from _ordered(rows)
                return
            # The last slot may go on beyond the page: it is read again with the next one.
            last_ms = rows[-1].t_ms
            whole = [row for row in rows if row.t_ms != last_ms]
            if not whole and limit >= MAX_SLOT_ROWS:
                raise CountsDiffer(f"{self._influx.name}: over {limit} rows of {point} at {last_ms} ms; rebuild it")
            limit = PAGE_ROWS if whole else limit * 10
            first = max(last_ms * NS_OF_MS, first)
            yield from _ordered(whole)

    def last(self, point: str) -> Row | None:
        """The GOOD row with the greatest slot, of several the last in the order of `read`; None without one."""
        for limit in LAST_LIMITS if point else ():
            found = self._rows(f"{_GOOD}{limit}", point)
            slots = (row.t_ms for row in (_row(point, values) for values in found) if row.quality == Quality.GOOD)
            t_ms = next(slots, None)
            if t_ms is not None:
                return [row for row in self.read(point, t_ms, t_ms + 1) if row.quality == Quality.GOOD][-1]
            if len(found) < limit:
                break
        return None

    def days(self, point: str, start_ms: int, end_ms: int) -> Iterator[ViewDay]:
        """UTC days with a reading that lie wholly in [start_ms, end_ms), in order."""

        def read(first_ms: int, last_ms: int) -> Iterator[Row]:
            return self.read(point, first_ms, last_ms)

        first_ms, last_ms = whole_days(start_ms, end_ms)
        own = list(summarise(point, read(first_ms, last_ms))) if first_ms < last_ms else []
        yield from once_over(own, self._others(point, own, first_ms, last_ms), read)

    def close_days(self, before_ms: int) -> int:  # noqa: ARG002 - the port's
        """InfluxDB packs by itself: 0."""
        return 0

    def points(self) -> list[str]:
        """Every point with a row, sorted; also with one that is not whole."""
        # Not SHOW TAG VALUES: it goes on naming points all of whose rows were deleted.
        found = self._influx.query(_POINTS)
        return sorted({series.tags.get("point", "") for of_field in found for series in of_field} - {""})

    def refused(self, limit: int = 100) -> list[Refusal]:
        """What could not become rows, newest epoch and leaf first."""
        at_most = limit + MAX_REFUSALS_A_LEAF
        found = self._influx.query(
            f"SELECT leaf::integer, reason::string FROM {REFUSED}"  # noqa: S608
            f" GROUP BY edge, epoch ORDER BY time DESC LIMIT {at_most}"
        )[0]
        refusals = [
            Refusal(series.tags.get("edge", ""), _epoch(series.tags.get("epoch")), leaf or 0, reason or "")
            for series in found
            for _, leaf, reason in series.values
        ]
        return sorted(refusals, key=lambda one: (-one.epoch, -one.leaf, one.edge_id, one.reason))[:limit]

    def counts(self) -> tuple[int, int]:
        """(rows, refusals) in the view."""
        rows, refusals = self._influx.query(f"SELECT count(raw) FROM {READING}; SELECT count(leaf) FROM {REFUSED}")  # noqa: S608
        return _counted(rows), _counted(refusals)

    def clear(self) -> None:
        """Forgets rows, refusals and cursors; the cursors first."""
        self._check_writable()
        # All of them, over all time: what somebody else has written there would outlast any generation of ours.
        self._influx.delete(f'_measurement="{CURSOR}"')
        self._begin_generation("")
        for measurement in (REFUSED, READING):
            self._influx.delete(f'_measurement="{measurement}"')
        # Another one: what was written while rows were still being deleted may be among them.
        self._begin_generation(self._place("", 0).generation)

    def close(self) -> None:
        """Closes connections."""
        self._influx.close()

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreMisused(f"{self._influx.name} is open for reading only")

    def _place(self, edge_id: str, epoch: int) -> _Place:
        try:
            return _place_of(self._influx.query(_PLACE, {"edge": edge_id, "epoch": str(epoch)}))
        except CursorForeign as error:
            raise CursorForeign(f"{self._influx.name}: {error}; run: hakari view rebuild") from error

    def _fit_generation(self, generation: str) -> str:
        """The generation to write in; the first write of a generation looks whether the bucket keeps readings."""
        if generation and generation == self._fit_for:
            return generation
        self._influx.keeping_bucket()
        if not generation:
            generation = str(self._begin_generation(""))
        self._fit_for = generation
        return generation

    def _begin_generation(self, before: str) -> int:
        ns = max(time.time_ns(), int(before or 0) + 1)
        self._influx.write_all([generation_line(ns)])
        return ns

    def _write_rows(self, edge_id: str, epoch: int, start: int, upto: int, made: ReadingLines) -> list[Offender]:
        """The rows that InfluxDB refuses; ViewMismatch unless it counts every other one and no more."""
        if not made.lines:
            return []
        counted = expected = -1
        for _ in range(COUNT_TRIES):
            offenders = self._influx.write(made.lines)
            expected = len(made.lines) - len(offenders)
            counted = self._count(edge_id, epoch, start, upto, made.times_ns)
            if counted == expected:
                return offenders
        raise CountsDiffer(
            f"{self._influx.name}: {expected} rows of {edge_id} {epoch}/{start}..{upto} written, {counted} found;"
            " others stand at their place or somebody deletes them, so rebuild the view (hakari view rebuild)"
        )

    def _count(self, edge_id: str, epoch: int, start: int, upto: int, times_ns: Sequence[int]) -> int:
        parts = [_COUNT.format(first=a, last=b) for a, b in spans(times_ns, COUNT_GAP_NS, COUNT_SPANS)]
        values = {"edge": edge_id, "epoch": str(epoch), "start": start, "upto": upto}
        return sum(map(_counted, self._influx.query("".join(parts).removeprefix("; "), values)))

    def _rows(self, influxql: str, point: str) -> list[Any]:
        return [values for series in self._influx.query(influxql, {"point": point})[0] for values in series.values]

    def _others(self, point: str, own: Sequence[Summary], first_ms: int, end_ms: int) -> Iterator[Summary]:
        """Days outside [first_ms, end_ms) with a row whose clock lies where that of a day of `own` lies."""
        clocks: dict[str, tuple[int, int]] = {}
        for span in (span for summary in own for span in summary.spans):
            low, high = clocks.get(span.boot, (span.first_ms, span.last_ms))
            clocks[span.boot] = min(low, span.first_ms), max(high, span.last_ms)
        days: set[int] = set()
        first_ns, end_ns = max(first_ms * NS_OF_MS, MIN_NS), min(end_ms * NS_OF_MS, MAX_NS)
        for boot, (low, high) in clocks.items():
            for outside in (f"time < {first_ns}", f"time >= {end_ns}"):
                found = self._influx.query(
                    f"SELECT mono_ms::integer FROM {READING} WHERE point = $point AND boot = $boot"  # noqa: S608
                    f" AND mono_ms >= $low AND mono_ms <= $high AND {outside}",
                    {"point": point, "boot": boot, "low": low, "high": high},
                )[0]
                days |= {day_of(values[0] // NS_OF_MS) for series in found for values in series.values}
        for day_ms in sorted(days):
            yield from summarise(point, self.read(point, day_ms, day_ms + DAY_MS))


def _place_of(found: Sequence[Sequence[Series]]) -> _Place:
    cleared = _own(found[0][0].values[0], "cleared", MAX_NS) if found[0] else 0
    generation = str(cleared) if cleared else ""
    of_ours = [series for series in found[1] if generation and series.tags.get("generation", "") == generation]
    return _Place(generation, max((_own(series.values[0], "next", MAX_CURSOR) for series in of_ours), default=0))


def _own(values: Sequence[Any], field: str, limit: int) -> int:
    """The number of a cursor or generation, which hakari writes at the time of that number."""
    ns, number = values[:2]
    if type(number) is not int or number != ns or not 0 <= number <= limit:
        raise CursorForeign(f"somebody else wrote {field} = {str(number)[:40]!r} into its measurement {CURSOR}")
    return number


def _row(point: str, values: Sequence[Any]) -> Row:
    """The row as it was written; a BAD one where somebody else has written it, altered it, or left a part of it."""
    ns, edge, type_, raw, exponent, quality, reason, epoch, leaf, boot, mono_ms, value = values
    t_ms, number = ns // NS_OF_MS, _epoch(epoch)
    if None in (type_, raw, exponent, quality, leaf, boot, mono_ms):
        return _bad(point, t_ms, INCOMPLETE)
    ours = (
        type_ in WIDTH_BITS
        and number >= 0
        and 0 <= leaf < MAX_LEAF
        and 0 <= quality <= Quality.BAD
        and -MAX_EXPONENT <= exponent <= MAX_EXPONENT
        and mono_ms >= 0
        and _is_of(point, edge)
    )
    if not ours:
        return _bad(point, t_ms, FOREIGN)
    raw %= RAW_LIMIT
    if value != shown(type_, raw, exponent, quality):
        quality, reason = int(Quality.BAD), ALTERED
    return Row(point, t_ms, type_, raw, exponent, quality, reason or "", number, leaf, boot, mono_ms)


def _bad(point: str, t_ms: int, reason: str) -> Row:
    """What stands for a row that is none of ours: no leaf has an epoch of -1."""
    return Row(point, t_ms, "", 0, 0, int(Quality.BAD), reason, -1, 0, "", 0)


@lru_cache(maxsize=1024)
def _is_of(point: str, edge_id: str | None) -> bool:
    return bool(edge_id) and point.startswith(f"{edge_id}/")


@lru_cache(maxsize=1024)
def _epoch(text: str | None) -> int:
    """The epoch as it is written, -1 for anything else."""
    short = text is not None and text.isascii() and text.isdigit() and len(text) <= len(str(MAX_EPOCH))
    number = int(text) if short and text else -1
    return number if number <= MAX_EPOCH and str(number) == text else -1


def _ordered(rows: list[Row]) -> list[Row]:
    """Rows that come by time, in the order of `read`: only where slots are shared is there anything to sort."""
    return rows if len({row.t_ms for row in rows}) == len(rows) else sorted(rows, key=_order)


def _order(row: Row) -> tuple[int, int, int, str, int]:
    return row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms


def _counted(found: Iterable[Series]) -> int:
    return sum(int(series.values[0][1]) for series in found)


def _refusals(edge_id: str, epoch: int, made: ReadingLines, offenders: Iterable[Offender]) -> Iterator[Refusal]:
    for row in made.unstorable:
        yield Refusal(
            edge_id, epoch, row.leaf, f"{row.point}: slot {row.t_ms} ms is outside the years 1677 to 2262 of InfluxDB"
        )
    for offender in offenders:
        row = made.rows[offender.at]
        yield Refusal(edge_id, epoch, row.leaf, f"{row.point}, slot {row.t_ms}: InfluxDB says: {offender.message}")


def _moved(edge_id: str, epoch: int, cursor: int, start: int) -> CursorMoved:
    return CursorMoved(f"view of {edge_id} {epoch} is at leaf {cursor}, not {start}: it was cleared meanwhile")
