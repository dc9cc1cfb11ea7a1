"""Readings view in InfluxDB 2.7: what operators' tools read, rebuildable from the evidence log.

Guaranteed without transactions: rows are written and counted before the cursor moves, so that it never runs ahead of
them; it lies in InfluxDB itself, so that a bucket that was deleted is a cursor of 0; it belongs to a generation, which
`clear` ends, so that a writer that was under way meanwhile moves nothing. What InfluxDB refuses is listed as refused
with its own sentence, so that locking names that day. A reader sees what a writer has written so far.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from hakari.influxdb import InfluxSettings
from hakari.measurements import CURSOR, READING, REFUSED
from hakari.quality import Quality
from hakari.store.days import DAY_MS, Summary, day_of, once_over, summarise, whole_days
from hakari.store.influx import Influx
from hakari.store.influx_answers import MAX_LINES, MAX_OFFENDERS, Series
from hakari.store.influx_rows import FOREIGN, Refused, epoch_of, nobodys, ordered, refusals_of, row_of, spans
from hakari.store.lines import (
    LAYOUT,
    MAX_NS,
    MIN_NS,
    NS_OF_MS,
    ReadingLines,
    Serializer,
    cursor_line,
    generation_line,
    refusal_lines,
)
from hakari.store.places import check_places
from hakari.store.sqlite import StoreMisused
from hakari.store.view import CursorMoved, Refusal, ViewDay, ViewMismatch, ViewUnavailable
from hakari.wire.rows import Row

PAGE_ROWS = 20_000
MAX_SLOT_ROWS = 2_000_000
COUNT_TRIES = 3
LAYOUT_TRIES = 4
LAYOUT_WAIT_S = 0.2
COUNT_SPANS = 32
COUNT_GAP_NS = 86_400 * 10**9
MAX_REFUSALS_A_LEAF = 64
MAX_CURSOR = 1 << 53
LAST_LIMITS = (1, 1000, PAGE_ROWS)

# ruff: noqa: S608 - names are our own or of a-z, 0-9 and _; what else comes from outside is bound
_COMMON = "shape::string, epoch::tag, leaf::integer, boot::string, mono_ms::integer"
_PLACE = (
    f"SELECT last(cleared) FROM {CURSOR}; SELECT last(layout) FROM {CURSOR};"
    f" SELECT last(next) FROM {CURSOR} WHERE edge = $edge AND epoch = $epoch GROUP BY generation"
)
_COUNT = (
    f"; SELECT count(leaf), {{counted}} FROM {READING} WHERE edge = $edge AND epoch = $epoch AND leaf >= $start"
    " AND leaf < $upto AND time >= {first} AND time <= {last}"
)
_OF_METER = f"FROM {READING} WHERE edge = $edge AND meter = $meter"
_READ = (
    f'SELECT "{{name}}.raw"::integer, "{{name}}.value"::float, "{{name}}.uncertain"::float, "{{name}}.flaw"::string,'
    f" {_COMMON} {_OF_METER} AND time >= {{first}} AND time <= {{last}} LIMIT {{limit}}"
)
_NOBODYS = (
    f"SELECT * FROM {READING} WHERE (edge = '' OR meter = '') AND time >= {{first}} AND time <= {{last}}"
    " LIMIT {limit}"
)
_GOOD = f'SELECT "{{name}}.value"::float {_OF_METER} ORDER BY time DESC LIMIT {{limit}}'
# Any field: what somebody else has written is found whatever it lacks.
_POINTS = f"SELECT last(/^[a-z0-9_]{{1,40}}[.](raw|value|uncertain|flaw)$/) FROM {READING} GROUP BY edge, meter"
_COLUMN = re.compile(r"last_([a-z0-9_]{1,40})[.](?:raw|value|uncertain|flaw)")
_POINT = re.compile(r"([^/]+)/([a-z0-9_]{1,40})/([a-z0-9_]{1,40})")


class LayoutOlder(ViewUnavailable):
    """The bucket holds a view that an earlier version wrote, which this one does not read."""


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
        self._known = False

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
        not_taken = self._write_rows(edge_id, epoch, start, upto, made)
        again = self._place(edge_id, epoch)
        if again.generation != generation or again.cursor < start:
            raise _moved(edge_id, epoch, again.cursor, start)
        lines = refusal_lines([*refused, *refusals_of(edge_id, epoch, made, not_taken)])
        if lines:
            self._influx.write_all(lines)
        self._influx.write_all([cursor_line(edge_id, epoch, generation, upto)])

    def read(self, point: str, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Rows with start_ms ≤ t_ms < end_ms ordered by (t_ms, epoch, leaf, boot, mono_ms), a page at a time.

        BAD are those that hakari has not written, or that are no longer as it wrote them; under the point "" those
        that somebody has written without any.
        """
        named = _POINT.fullmatch(point)
        if point and named is None:
            return
        self._check_layout()
        first, end = max(start_ms * NS_OF_MS, MIN_NS), min(end_ms * NS_OF_MS - 1, MAX_NS)
        limit = PAGE_ROWS
        while first <= end:
            if named is None:
                page = self._rows(_NOBODYS.format(first=first, last=end, limit=limit))
                rows = [nobodys("", values[0] // NS_OF_MS, FOREIGN) for values in page]
            else:
                query = _READ.format(name=named[3], first=first, last=end, limit=limit)
                page = self._rows(query, edge=named[1], meter=named[2])
                rows = [row for values in page for row in row_of(point, named[3], values)]
            if len(page) < limit:
                yield from ordered(rows)
                return
            # The last slot may go on beyond the page: it is read again with the next one.
            last_ms = page[-1][0] // NS_OF_MS
            passed = page[0][0] // NS_OF_MS != last_ms
            if not passed and limit >= MAX_SLOT_ROWS:
                raise CountsDiffer(f"{self._influx.name}: over {limit} rows of {point} at {last_ms} ms; rebuild it")
            limit = PAGE_ROWS if passed else limit * 10
            first = max(last_ms * NS_OF_MS, first)
            yield from ordered([row for row in rows if row.t_ms != last_ms])

    def last(self, point: str) -> Row | None:
        """The GOOD row with the greatest slot that has a number, of several the last in the order of `read`."""
        named = _POINT.fullmatch(point)
        if named is None:
            return None
        self._check_layout()
        for limit in LAST_LIMITS:
            found = self._rows(_GOOD.format(name=named[3], limit=limit), edge=named[1], meter=named[2])
            if not found:
                break
            first_ms, last_ms = found[-1][0] // NS_OF_MS, found[0][0] // NS_OF_MS
            good = [row for row in self.read(point, first_ms, last_ms + 1) if row.quality == Quality.GOOD]
            if good:
                return good[-1]
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
        self._check_layout()
        return sorted(
            {
                f"{edge}/{meter}/{named[1]}"
                for series in self._influx.query(_POINTS)[0]
                if (edge := series.tags.get("edge", "")) and (meter := series.tags.get("meter", ""))
                for column, value in zip(series.columns, series.values[0], strict=True)
                if value is not None and (named := _COLUMN.fullmatch(column))
            }
        )

    def refused(self, limit: int = 100) -> list[Refusal]:
        """What could not become rows, newest epoch and leaf first."""
        at_most = limit + MAX_REFUSALS_A_LEAF
        found = self._influx.query(
            f"SELECT leaf::integer, reason::string FROM {REFUSED}"
            f" GROUP BY edge, epoch ORDER BY time DESC LIMIT {at_most}"
        )[0]
        refusals = [
            Refusal(series.tags.get("edge", ""), epoch_of(series.tags.get("epoch")), leaf or 0, reason or "")
            for series in found
            for _, leaf, reason in series.values
        ]
        return sorted(refusals, key=lambda one: (-one.epoch, -one.leaf, one.edge_id, one.reason))[:limit]

    def counts(self) -> tuple[int, int]:
        """(rows, refusals) in the view."""
        self._check_layout()
        rows, refusals = self._influx.query(
            f"SELECT count(/[.]raw$/) FROM {READING}; SELECT count(leaf) FROM {REFUSED}"
        )
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
        for again in reversed(range(LAYOUT_TRIES)):
            found = self._influx.query(_PLACE, {"edge": edge_id, "epoch": str(epoch)})
            try:
                place = _place_of(found)
            except (LayoutOlder, CursorForeign) as error:
                # While somebody clears the view one statement may see what the next no longer does.
                if not again:
                    raise type(error)(f"{self._influx.name} {error}; run: hakari view rebuild") from error
                time.sleep(LAYOUT_WAIT_S)
            else:
                break
        self._known = self._known or bool(place.generation)
        return place

    def _check_layout(self) -> None:
        """LayoutOlder where what is there is not to be read; looked at once, since rebuilding alone changes it."""
        if not self._known:
            try:
                self._place("", 0)
            except CursorForeign:
                return  # its rows are read all the same

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

    def _write_rows(self, edge_id: str, epoch: int, start: int, upto: int, made: ReadingLines) -> list[Refused]:
        """The rows that InfluxDB refuses; CountsDiffer unless it counts every other one and no more."""
        if not made.lines:
            return []
        counted = expected = (-1, -1)
        for _ in range(COUNT_TRIES):
            refused, lost = self._send(made)
            expected = (len(made.lines) - lost, len(made.rows) - len(refused))
            counted = self._count(edge_id, epoch, start, upto, made)
            if counted == expected:
                return refused
        raise CountsDiffer(
            f"{self._influx.name}: {expected[1]} rows of {edge_id} {epoch}/{start}..{upto} written, {counted[1]} found,"
            f" {expected[0]} and {counted[0]} lines; others stand at their place or somebody deletes them, so rebuild"
            " the view (hakari view rebuild)"
        )

    def _send(self, made: ReadingLines) -> tuple[list[Refused], int]:
        """Rows that the server refuses by themselves, with its words, and how many lines are not there at all."""
        taken = (self._influx.taken(made.lines[at : at + MAX_LINES]) for at in range(0, len(made.lines), MAX_LINES))
        if all(taken):
            return [], 0
        refused: list[Refused] = []
        lost = 0
        for offender in self._influx.write(made.lines):
            wide = made.held[offender.at]
            singles = self._serializer.single(wide)
            told = {
                one.at: one.message for one in self._influx.write(self._serializer.lines(singles, made.mores).lines)
            }
            refused += [Refused(row, told[k]) for k, row in enumerate(wide.rows()) if k in told]
            if len(refused) > MAX_OFFENDERS:
                raise ViewUnavailable(
                    f"{self._influx.name} refuses more than {MAX_OFFENDERS} rows of one write, the last one because:"
                    f" {refused[-1].message}; look whether somebody else writes into this bucket"
                )
            others = [one for k, one in enumerate(singles) if k not in told]
            lost += not others
            if others:
                joined = self._serializer.joined(others)
                self._influx.write_all(self._serializer.lines([joined], made.mores).lines)
        return refused, lost

    def _count(self, edge_id: str, epoch: int, start: int, upto: int, made: ReadingLines) -> tuple[int, int]:
        """Lines and rows between `start` and `upto`; rows of the points in `made` alone."""
        names = sorted(set(chain.from_iterable({wide.shape.names for wide in made.held})))
        counted = ", ".join(f'count("{name}.raw")' for name in names)
        parts = [
            _COUNT.format(counted=counted, first=first, last=last)
            for first, last in spans(made.times_ns, COUNT_GAP_NS, COUNT_SPANS)
        ]
        values = {"edge": edge_id, "epoch": str(epoch), "start": start, "upto": upto}
        found = self._influx.query("".join(parts).removeprefix("; "), values)
        lines = sum(series.values[0][1] or 0 for of_span in found for series in of_span)
        return lines, sum(map(_counted, found)) - lines

    def _rows(self, influxql: str, **values: str) -> list[Any]:
        return [row for series in self._influx.query(influxql, values)[0] for row in series.values]

    def _others(self, point: str, own: Sequence[Summary], first_ms: int, end_ms: int) -> Iterator[Summary]:
        """Days outside [first_ms, end_ms) with a row whose clock lies where that of a day of `own` lies."""
        clocks: dict[str, tuple[int, int]] = {}
        for span in (span for summary in own for span in summary.spans):
            low, high = clocks.get(span.boot, (span.first_ms, span.last_ms))
            clocks[span.boot] = min(low, span.first_ms), max(high, span.last_ms)
        days: set[int] = set()
        first_ns, end_ns = max(first_ms * NS_OF_MS, MIN_NS), min(end_ms * NS_OF_MS, MAX_NS)
        _, meter, _ = point.split("/", 2) if clocks else ("", "", "")
        edge_id = point.split("/", 1)[0]
        for boot, (low, high) in clocks.items():
            for outside in (f"time < {first_ns}", f"time >= {end_ns}"):
                found = self._influx.query(
                    f"SELECT mono_ms::integer {_OF_METER} AND boot = $boot"
                    f" AND mono_ms >= $low AND mono_ms <= $high AND {outside}",
                    {"edge": edge_id, "meter": meter, "boot": boot, "low": low, "high": high},
                )[0]
                days |= {day_of(values[0] // NS_OF_MS) for series in found for values in series.values}
        for day_ms in sorted(days):
            yield from summarise(point, self.read(point, day_ms, day_ms + DAY_MS))


def _place_of(found: Sequence[Sequence[Series]]) -> _Place:
    cleared = _own(found[0][0].values[0], "cleared", MAX_NS) if found[0] else 0
    if cleared and (not found[1] or found[1][0].values[0][0] < cleared):
        raise LayoutOlder("holds a view as an earlier version wrote it")
    if cleared and found[1][0].values[0][:2] != [cleared, LAYOUT]:
        raise CursorForeign(f"somebody else wrote a layout into its measurement {CURSOR}")
    generation = str(cleared) if cleared else ""
    of_ours = [series for series in found[2] if generation and series.tags.get("generation", "") == generation]
    return _Place(generation, max((_own(series.values[0], "next", MAX_CURSOR) for series in of_ours), default=0))


def _own(values: Sequence[Any], field: str, limit: int) -> int:
    """The number of a cursor or generation, which hakari writes at the time of that number."""
    ns, number = values[:2]
    if type(number) is not int or number != ns or not 0 <= number <= limit:
        raise CursorForeign(f"somebody else wrote {field} = {str(number)[:40]!r} into its measurement {CURSOR}")
    return number


def _counted(found: Iterable[Series]) -> int:
    return sum(count or 0 for series in found for count in series.values[0][1:])


def _moved(edge_id: str, epoch: int, cursor: int, start: int) -> CursorMoved:
    return CursorMoved(f"view of {edge_id} {epoch} is at leaf {cursor}, not {start}: it was cleared meanwhile")
