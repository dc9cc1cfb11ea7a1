"""The readings view against the evidence log, point by point and UTC day by UTC day: what locking asks, for everything.

Guaranteed: every row that the leaves below the view's cursors give is held against the view's, in type, raw bits,
scale and quality; a row of the view that no leaf gives is found, whatever it says of itself, and a day's summary that
is not that of its rows; a day that differs is named. Rows of leaves beyond the cursor may lack, as while they are fed,
and must be right where they are there. Only what differs is held in memory, so that a year can be compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.names import Origin
from hakari.store.configurations import LoggedConfigurations
from hakari.store.days import once_over, summarise
from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView, ViewDay
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from hakari.wire.rows import Place, Row, derive

DAY_MS = 86_400_000
FOREVER_MS = (-(2**62), 2**62)
MAX_DAYS_LOOKED_INTO = 100
SUM_BYTES = 16
SUM_LIMIT = 1 << 8 * SUM_BYTES
SUMMARY_TRIES = 3
SUMMARY = "day summary"

Day = tuple[str, int]
Identity = tuple[int, int, int, str, int]


class DayDifference(NamedTuple):
    """One UTC day of one point: rows that the view lacks, has beyond the leaves, or has otherwise, and in what.

    Of a day whose rows are right while what the view keeps of them is not, `fields` has "day summary" alone.
    """

    point: str
    day: str
    missing: int
    extra: int
    altered: int
    fields: list[str]


class Comparison(NamedTuple):
    """What was held against each other; `behind` leaves are not in the view yet; their rows may lack.

    `day_count` days differ, of which `days` has the first hundred.
    """

    leaves: int
    rows: int
    points: int
    behind: int
    day_count: int
    days: list[DayDifference]


def compare(evidence: EvidenceLog, view: ReadingsView, progress: Callable[[int], None]) -> Comparison:
    """Holds the view against the evidence log; `progress` is told of leaves as they are read."""
    extent = _Extent(evidence, view)
    rows = 0
    leaves: dict[Day, _Sums] = {}
    for row in _rows_of_leaves(evidence, extent.heads, progress):
        rows += extent.due(row)
        _add(leaves, row, extent)
    viewed: dict[Day, _Sums] = {}
    summaries: list[Day] = []
    # Under "" the view gives what somebody has written there without a point.
    points = sorted({point for point, _ in leaves} | {"", *view.points()})
    for point in points:
        summaries += _forged_summaries(view, point, lambda row: _add(viewed, row, extent) if extent.held(row) else None)
    different, doubtful = [], []
    for day in sorted(leaves.keys() | viewed.keys()):
        told, held = leaves.get(day, _NOTHING), viewed.get(day, _NOTHING)
        if told.due != held.due:
            different.append(day)
        elif held.fed not in (_NOTHING.fed, told.fed):
            doubtful.append(day)
    found = list(_look_into(different[:MAX_DAYS_LOOKED_INTO], evidence, view, extent))
    for at in range(0, len(doubtful), MAX_DAYS_LOOKED_INTO):
        some = doubtful[at : at + MAX_DAYS_LOOKED_INTO]  # in order, as they are looked into
        for day, one in zip(some, _look_into(some, evidence, view, extent), strict=True):
            if one.extra or one.altered:
                different.append(day)
                found.append(one)
    known = set(different)
    forged = [day for day in summaries if day not in known]
    found += [DayDifference(point, _date(start_ms), 0, 0, 0, [SUMMARY]) for point, start_ms in forged]
    shown = sorted(found, key=lambda one: one[:2])[:MAX_DAYS_LOOKED_INTO]
    named = len({point for point in points if point})
    return Comparison(extent.leaves, rows, named, extent.behind, len(different) + len(forged), shown)


class _Sums:
    """How many rows of a day there are and the sum of their hashes: of leaves below the cursor, and beyond it.

    Sums of hashes do not depend on the order; a row that is there twice adds twice. Not Python's own hash, in which two
    errors of opposite sign cancel out now and then.
    """

    def __init__(self) -> None:
        self.due = (0, 0)
        self.fed = (0, 0)


_NOTHING = _Sums()


class _Extent:
    """How far the leaves and the view are when the comparison begins."""

    def __init__(self, evidence: EvidenceLog, view: ReadingsView) -> None:
        # Cursors first: a leaf that comes between is beyond them.
        cursors = {origin: view.cursor(origin.edge_id, origin.epoch) for origin in evidence.origins()}
        self.heads = {origin: evidence.head(origin).size for origin in cursors}
        sizes = {origin: min(size, cursors[origin]) for origin, size in self.heads.items()}
        self.leaves = sum(sizes.values())
        self.behind = sum(self.heads.values()) - self.leaves
        self._evidence = evidence
        self._sizes = {(origin.edge_id, origin.epoch): size for origin, size in sizes.items()}
        self._origins = {(origin.edge_id, origin.epoch): origin for origin in cursors}

    def due(self, row: Row) -> bool:
        """Whether the row must be in the view, or by no means: only a leaf from the cursor to the head may lack."""
        origin = self._origin(row)
        return origin is None or row.leaf < self._sizes[origin.edge_id, origin.epoch] or row.leaf >= self.heads[origin]

    def held(self, row: Row) -> bool:
        """Whether a row of the view is held against the leaves: not where its leaf came after the comparison began."""
        origin = self._origin(row)
        return origin is None or row.leaf < self.heads[origin] or row.leaf >= self._evidence.head(origin).size

    def _origin(self, row: Row) -> Origin | None:
        return self._origins.get((row.point.split("/", 1)[0], row.epoch))


def _rows_of_leaves(
    evidence: EvidenceLog,
    sizes: Mapping[Origin, int],
    progress: Callable[[int], None],
    points: frozenset[str] | None = None,
) -> Iterator[Row]:
    known = LoggedConfigurations(evidence)
    for origin, size in sorted(sizes.items()):
        for stored in evidence.leaves(origin, 0, size):
            progress(1)
            try:
                leaf = decode(inflate(stored.deflated))
                known.learn(origin, leaf)
                configurations = known.needed(origin, stored.i, leaf)
                place = Place(origin.edge_id, origin.epoch, stored.i)
                yield from derive(place, leaf, configurations, points).rows
            except DataProblem:
                continue  # It gives no rows to the view either, which lists it as refused.


def _forged_summaries(view: ReadingsView, point: str, take: Callable[[Row], None]) -> list[Day]:
    """Lets `take` have every row of the view; the days of which the view says otherwise than those rows do.

    A view that is fed meanwhile is asked again.
    """

    def taken() -> Iterator[Row]:
        for row in view.read(point, *FOREVER_MS):
            take(row)
            yield row

    rows: Iterable[Row] = taken()
    forged: set[int] = set()
    for _ in range(SUMMARY_TRIES):
        made = _by_day(once_over(list(summarise(point, rows)), (), lambda a, b: view.read(point, a, b)))
        told = _by_day(view.days(point, *FOREVER_MS))
        forged = {day for day in made.keys() | told.keys() if made.get(day) != told.get(day)}
        if not forged:
            break
        rows = view.read(point, *FOREVER_MS)
    return [(point, day) for day in sorted(forged)]


def _by_day(days: Iterable[ViewDay]) -> dict[int, ViewDay]:
    return {day.start_ms: day for day in days}


def _add(days: dict[Day, _Sums], row: Row, extent: _Extent) -> None:
    """Counts a row into its day."""
    sums = days.setdefault((row.point, row.t_ms // DAY_MS * DAY_MS), _Sums())
    digest = hashlib.blake2b(repr((_identity(row), _content(row))).encode(), digest_size=SUM_BYTES).digest()
    number = int.from_bytes(digest)
    if extent.due(row):
        sums.due = sums.due[0] + 1, (sums.due[1] + number) % SUM_LIMIT
    else:
        sums.fed = sums.fed[0] + 1, (sums.fed[1] + number) % SUM_LIMIT


def _look_into(
    days: Sequence[Day], evidence: EvidenceLog, view: ReadingsView, extent: _Extent
) -> Iterator[DayDifference]:
    """What differs on each of `days`: the leaves are read once more, for their points alone."""
    wanted = set(days)
    points = frozenset(point for point, _ in wanted)
    leaves: dict[Day, list[Row]] = {day: [] for day in wanted}
    for row in _rows_of_leaves(evidence, extent.heads, lambda _: None, points) if wanted else ():
        day = row.point, row.t_ms // DAY_MS * DAY_MS
        if day in leaves:
            leaves[day].append(row)
    for point, start_ms in sorted(wanted):
        viewed = [row for row in view.read(point, start_ms, start_ms + DAY_MS) if extent.held(row)]
        there = {_identity(row) for row in viewed}
        told = (row for row in leaves[point, start_ms] if extent.due(row) or _identity(row) in there)
        yield difference(point, start_ms, told, viewed)


def difference(point: str, start_ms: int, leaves: Iterable[Row], viewed: Iterable[Row]) -> DayDifference:
    """How the rows of the leaves and of the view differ on one UTC day of a point."""
    told, held = _by_identity(leaves), _by_identity(viewed)
    missing = extra = altered = 0
    fields: set[str] = set()
    for identity in told.keys() | held.keys():
        left, right = told.get(identity, Counter()), held.get(identity, Counter())
        lost, found = left - right, right - left
        both = min(lost.total(), found.total())
        altered, missing, extra = altered + both, missing + lost.total() - both, extra + found.total() - both
        for one, other in zip(lost.elements(), found.elements(), strict=False):
            fields |= {name for name, a, b in zip(_FIELDS, one, other, strict=True) if a != b}
    return DayDifference(point, _date(start_ms), missing, extra, altered, sorted(fields))


def _date(start_ms: int) -> str:
    """The UTC day as ISO 8601; beyond the years that have a form there, its start in milliseconds."""
    try:
        return (_EPOCH + timedelta(milliseconds=start_ms)).date().isoformat()
    except OverflowError:
        return f"{start_ms} ms"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = ("type", "raw", "exponent", "quality")


def _identity(row: Row) -> Identity:
    return row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms


def _content(row: Row) -> tuple[str, int, int, int]:
    return row.type, row.raw, row.exponent, row.quality


def _by_identity(rows: Iterable[Row]) -> dict[Identity, Counter[tuple[str, int, int, int]]]:
    found: dict[Identity, Counter[tuple[str, int, int, int]]] = {}
    for row in rows:
        found.setdefault(_identity(row), Counter())[_content(row)] += 1
    return found
