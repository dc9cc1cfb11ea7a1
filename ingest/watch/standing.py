"""What the stores know of the edges and points whose health is written: read from the evidence log and the view.

Guaranteed: after a restart a point is known as if ingest had never ended, its age and its last day whole; how long a
register has stood still is followed for seven days back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hakari.errors import DataProblem
from hakari.log.roster import Roster
from hakari.names import MAX_EPOCH, Origin
from hakari.quality import Quality
from hakari.store.configurations import LoggedConfigurations
from hakari.store.evidence import EvidenceLog, Head, StoredLeaf
from hakari.store.view import ReadingsView
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.envelope import inflate
from hakari.wire.events import CERTIFICATE, NOT_AFTER
from hakari.wire.leaf import Leaf, decode
from hakari.wire.rows import Row
from ingest.watch.health import EdgeStanding, countable, expected_edges
from ingest.watch.seen import DAY_MS

LOOK_BACK_LEAVES = 16
MAX_SLOTS_READ = 3000  # of a point whose slots are shorter than 29 s only the last ones are read back
FROZEN_DAYS = 7
LOST_DAYS = 40
MAX_RECEIVED = 50_000
MAX_LEAF = 1 << 53

ReceivedMs = Callable[[Row], int]


@dataclass
class _Known:
    """One origin as it was last looked at; `cut_ms` is None where the newest leaf cannot be read."""

    size: int = 0
    frozen: bool = False
    first_ms: int | None = None
    last_ms: int | None = None
    cut_ms: int | None = None
    cfg: str = ""
    span_ms: int = 0
    configuration: MeteringConfiguration | None = None
    sync_state: str = ""
    offset_ms: int | None = None
    certificate_ms: int | None = None


class Standings:
    """Reads what is new of every origin; `configurations` are those that the feeder has learnt."""

    def __init__(self, evidence: EvidenceLog, configurations: LoggedConfigurations) -> None:
        self._evidence = evidence
        self._configurations = configurations
        self._known: dict[Origin, _Known] = {}
        self._received: dict[tuple[Origin, int], int] = {}

    def of(self, roster: Roster, cursors: Mapping[Origin, int]) -> dict[str, EdgeStanding]:
        """The standing of every edge that `roster` lets send; `cursors` say how far each origin is in the view."""
        edges: dict[str, list[Origin]] = {}
        for origin in sorted(self._evidence.origins()):
            if origin.namespace == roster.namespace:
                self._look(origin)
                edges.setdefault(origin.edge_id, []).append(origin)
        newest = {edge_id: (origins[-1].epoch, self._known[origins[-1]].size) for edge_id, origins in edges.items()}
        return {
            edge_id: self._standing(edges.get(edge_id, []), roster, cursors)
            for edge_id in expected_edges(roster, newest)
        }

    def began_ms(self, started_ms: int) -> int:
        """When ingest began: it stored its first leaf of all, or was started at `started_ms`; after `of`."""
        return min([started_ms, *(one.first_ms for one in self._known.values() if one.first_ms is not None)])

    def received_ms(self, row: Row, namespace: str, edge_id: str) -> int:
        """When the leaf of a row was received; of one that is not there the row's own slot."""
        if not (0 <= row.epoch <= MAX_EPOCH and 0 <= row.leaf < MAX_LEAF):
            return row.t_ms
        place = (Origin(namespace, edge_id, row.epoch), row.leaf)
        known = self._received.get(place)
        if known is None:
            if len(self._received) >= MAX_RECEIVED:
                self._received.clear()
            stored = self._evidence.leaf(*place)
            known = self._received[place] = row.t_ms if stored is None else stored.received_ms
        return known

    def _standing(self, origins: list[Origin], roster: Roster, cursors: Mapping[Origin, int]) -> EdgeStanding:
        known = [self._known[origin] for origin in origins]
        begun = [one for one in known if one.last_ms is not None]
        if not begun:
            return EdgeStanding(frozen=any(one.frozen for one in known[-1:]))
        latest = max(begun, key=lambda one: one.last_ms or 0)
        described = next((one for one in reversed(known) if one.configuration is not None), begun[-1])
        return EdgeStanding(
            leaves=sum(one.size for one in known),
            first_ms=min(one.first_ms for one in begun if one.first_ms is not None),
            last_ms=latest.last_ms,
            cut_ms=latest.cut_ms,
            span_ms=described.span_ms,
            epochs_unapproved=sum(
                not roster.approved(origin.edge_id, origin.epoch)
                for origin, one in zip(origins, known, strict=True)
                if one.size
            ),
            view_behind=sum(
                max(0, one.size - cursors.get(origin, 0)) for origin, one in zip(origins, known, strict=True)
            ),
            frozen=known[-1].frozen,
            configuration=described.configuration,
            first_epoch=min(origin.epoch for origin, one in zip(origins, known, strict=True) if one.size),
            sync_state=latest.sync_state,
            offset_ms=latest.offset_ms,
            certificate_ms=next(
                (one.certificate_ms for one in reversed(known) if one.certificate_ms is not None), None
            ),
        )

    def _look(self, origin: Origin) -> None:
        head = self._evidence.head(origin)
        known = self._known.setdefault(origin, _Known())
        if head.size < known.size:  # the evidence log was exchanged for an older one
            known = self._known[origin] = _Known()
        known.frozen = head.frozen
        if head.size > known.size:
            self._read(origin, known, head)

    def _read(self, origin: Origin, known: _Known, head: Head) -> None:
        if known.first_ms is None:
            first = self._evidence.leaf(origin, 0)
            known.first_ms = None if first is None else first.received_ms
        for stored in self._evidence.leaves(origin, max(known.size, head.size - LOOK_BACK_LEAVES), head.size):
            known.last_ms = stored.received_ms
            leaf = _decoded(stored)
            known.cut_ms = None if leaf is None else leaf.wall_ms
            if leaf is not None:
                known.sync_state, known.offset_ms = leaf.sync.state, leaf.sync.offset_ms
                known.certificate_ms = _certificate_ms(leaf) or known.certificate_ms
                self._learn(origin, known, leaf)
        known.size = head.size

    def _learn(self, origin: Origin, known: _Known, leaf: Leaf) -> None:
        cfg = leaf.cfg if leaf.configuration is None else leaf.configuration.sha256
        if cfg and cfg != known.cfg:
            found = self._configurations.find(origin, leaf.i + 1, cfg)
            if found is None or found.edge != origin.edge_id:
                return
            known.cfg, known.configuration, known.span_ms = cfg, found, 0
        slots = [sample.slot_ms for sample in leaf.samples]
        if slots:
            known.span_ms = max(known.span_ms, max(slots) - min(slots))


def _certificate_ms(leaf: Leaf) -> int | None:
    """When the edge's certificate ends, as an event of the leaf says; None where none does, or not readably."""
    for event in leaf.events:
        try:
            if event.kind == CERTIFICATE:
                ends = datetime.fromisoformat(event.data.get(NOT_AFTER, ""))
                return round(ends.replace(tzinfo=ends.tzinfo or UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            continue
    return None


def _decoded(stored: StoredLeaf) -> Leaf | None:
    try:
        return decode(inflate(stored.deflated))
    except DataProblem:
        return None


def recover(
    view: ReadingsView, received_ms: ReceivedMs, point: str, last_ms: int, slots: tuple[int, int]
) -> tuple[int, list[Row]]:
    """What the view holds of `point` for its health: from when on all of it, and the readings in order of slots.

    `last_ms` is when the newest leaf of its edge was received, `slots` are the interval and the age from which on a
    point is silent. Read are the day before that leaf and what came since, the day up to the last GOOD reading where
    that is older, and days before while the register stood still.
    """
    interval_ms, limit_ms = slots
    span_ms = min(DAY_MS + limit_ms, MAX_SLOTS_READ * interval_ms)
    whole = span_ms == DAY_MS + limit_ms
    reading = _Reading(view, received_ms, point)
    start_ms = last_ms - span_ms
    rows = reading.rows(start_ms, last_ms + DAY_MS)
    if not _registers(rows):
        start_ms, older = _last_good_day(reading, start_ms, span_ms)
        rows = older + rows
    for _ in range(FROZEN_DAYS):
        if len(_registers(rows)) != 1:
            break
        rows = reading.rows(start_ms - DAY_MS, start_ms) + rows
        start_ms -= DAY_MS
    return 0 if whole else last_ms - span_ms, rows


def _last_good_day(reading: _Reading, before_ms: int, span_ms: int) -> tuple[int, list[Row]]:
    """Readings up to the last GOOD one before `before_ms`, and from when on; none where there is none."""
    last = reading.view.last(reading.point)
    if last is None:
        return before_ms, []
    if last.t_ms < before_ms and countable(last, reading.received_ms(last)):
        return last.t_ms - span_ms, reading.rows(last.t_ms - span_ms, last.t_ms + 1)
    for _ in range(LOST_DAYS):
        rows = reading.rows(before_ms - DAY_MS, before_ms)
        before_ms -= DAY_MS
        if _registers(rows):
            return before_ms, rows
    return before_ms, []


def _registers(rows: list[Row]) -> set[tuple[str, int, int]]:
    return {(row.type, row.raw, row.exponent) for row in rows if row.quality == Quality.GOOD}


class _Reading:
    """Readings of one point that were no future when they were received."""

    def __init__(self, view: ReadingsView, received_ms: ReceivedMs, point: str) -> None:
        self.view = view
        self.point = point
        self.received_ms = received_ms

    def rows(self, start_ms: int, end_ms: int) -> list[Row]:
        """Those of [start_ms, end_ms)."""
        return [row for row in self.view.read(self.point, start_ms, end_ms) if countable(row, self.received_ms(row))]
