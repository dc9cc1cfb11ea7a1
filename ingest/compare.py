"""The readings view against the evidence log, point by point and UTC day by UTC day: what locking asks, for everything.

Guaranteed: every row that the leaves below the view's cursors give is held against the view's, in type, raw bits,
scale and quality; a day that differs is named. Only what differs is held in memory, so that a year can be compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.names import Origin
from hakari.store.configurations import LoggedConfigurations
from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from hakari.wire.rows import Place, Row, derive

DAY_MS = 86_400_000
FOREVER_MS = (-(2**62), 2**62)
MAX_DAYS_LOOKED_INTO = 100
SUM_BYTES = 16
SUM_LIMIT = 1 << 8 * SUM_BYTES

Day = tuple[str, int]
Identity = tuple[int, int, int, str, int]


class DayDifference(NamedTuple):
    """One UTC day of one point: rows that the view lacks, has beyond the leaves, or has otherwise, and in what."""

    point: str
    day: str
    missing: int
    extra: int
    altered: int
    fields: list[str]


class Comparison(NamedTuple):
    """What was held against each other; `behind` leaves are not in the view yet, so nothing is said of them.

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
    heads = {origin: evidence.head(origin).size for origin in evidence.origins()}
    sizes = {o: min(size, view.cursor(o.edge_id, o.epoch)) for o, size in heads.items()}
    by_place = {(origin.edge_id, origin.epoch): size for origin, size in sizes.items()}
    rows = 0
    leaves: dict[Day, list[int]] = {}
    for row in _rows_of_leaves(evidence, sizes, progress):
        rows += 1
        _add(leaves, row)
    viewed: dict[Day, list[int]] = {}
    points = sorted({point for point, _ in leaves} | set(view.points()))
    for point in points:
        for row in _rows_of_view(view, point, by_place):
            _add(viewed, row)
    different = sorted(day for day in leaves.keys() | viewed.keys() if leaves.get(day) != viewed.get(day))
    shown = different[:MAX_DAYS_LOOKED_INTO]
    behind = sum(heads.values()) - sum(sizes.values())
    found = list(_look_into(shown, evidence, view, sizes, by_place)) if shown else []
    return Comparison(sum(sizes.values()), rows, len(points), behind, len(different), found)


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


def _rows_of_view(
    view: ReadingsView, point: str, by_place: Mapping[tuple[str, int], int], start_ms: int | None = None
) -> Iterator[Row]:
    """The view's rows of leaves that are compared, and those of no known leaf; of one day where it is given."""
    edge_id = point.split("/", 1)[0]
    span = FOREVER_MS if start_ms is None else (start_ms, start_ms + DAY_MS)
    for row in view.read(point, *span):
        if row.leaf < by_place.get((edge_id, row.epoch), row.leaf + 1):
            yield row


def _add(days: dict[Day, list[int]], row: Row) -> None:
    """Counts a row into its day. Sums of hashes do not depend on the order; a row that is there twice adds twice.

    Not Python's own hash, in which two errors of opposite sign cancel out now and then.
    """
    sums = days.setdefault((row.point, row.t_ms // DAY_MS * DAY_MS), [0, 0])
    sums[0] += 1
    digest = hashlib.blake2b(repr((_identity(row), _content(row))).encode(), digest_size=SUM_BYTES).digest()
    sums[1] = (sums[1] + int.from_bytes(digest)) % SUM_LIMIT


def _look_into(
    days: Iterable[Day],
    evidence: EvidenceLog,
    view: ReadingsView,
    sizes: Mapping[Origin, int],
    by_place: Mapping[tuple[str, int], int],
) -> Iterator[DayDifference]:
    """What differs on each of `days`: the leaves are read once more, for their points alone."""
    wanted = set(days)
    points = frozenset(point for point, _ in wanted)
    leaves: dict[Day, list[Row]] = {day: [] for day in wanted}
    for row in _rows_of_leaves(evidence, sizes, lambda _: None, points):
        day = row.point, row.t_ms // DAY_MS * DAY_MS
        if day in leaves:
            leaves[day].append(row)
    for point, start_ms in sorted(wanted):
        viewed = _rows_of_view(view, point, by_place, start_ms)
        yield difference(point, start_ms, leaves[point, start_ms], viewed)


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
    day = f"{datetime.fromtimestamp(start_ms // 1000, UTC):%Y-%m-%d}"
    return DayDifference(point, day, missing, extra, altered, sorted(fields))


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
