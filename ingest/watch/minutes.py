"""The minutes of operators' health: computed when they are due, kept while InfluxDB is away, written when it is back.

Guaranteed: a minute says what was known at its time and is never computed again later. While the view is away nobody
knows of readings: such a minute has the edges' rows and no meters', so that the gap shows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hakari.log.roster import Roster
from hakari.store.evidence import EvidenceLog
from hakari.store.operations import AlarmPoint, EdgeHealth, MeterHealth, OperationsView, PointHealth
from hakari.store.view import ReadingsView
from ingest.view.feed import FedLeaf, Feeder
from ingest.watch.alarming import Alarming, Minute
from ingest.watch.health import MINUTE_MS, EdgeStanding, Tracker
from ingest.watch.meters import meters_of
from ingest.watch.standing import Standings, recover

RECOVER_AT_ONCE = 20
MAX_WAITING = 600
MAX_WAITING_ROWS = 200_000


class _Written(NamedTuple):
    """One minute as it is written."""

    t_ms: int
    points: Sequence[PointHealth]
    edges: Sequence[EdgeHealth]
    meters: Sequence[MeterHealth]
    alarms: Sequence[AlarmPoint]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.points) + len(self.edges) + len(self.meters) + len(self.alarms)


def everyone(edge_id: str) -> bool:
    """Every edge is this worker's."""
    del edge_id
    return True


class Health:
    """What to write each minute, from a tracker that every fed leaf is told to.

    `operations` None writes nothing and alarms all the same; `mine` says whose health this worker writes.
    """

    def __init__(
        self,
        operations: OperationsView | None,
        roster: Roster,
        alarming: Alarming | None = None,
        mine: Callable[[str], bool] = everyone,
    ) -> None:
        self.operations = operations
        self.roster = roster
        self.alarming = alarming
        self._mine = mine
        self._tracker = Tracker()
        self._standings: Standings | None = None
        self._waiting: deque[_Written] = deque()
        self.lost = 0

    def watch(self, fed: list[FedLeaf]) -> None:
        """Takes leaves that stand in the view now."""
        for leaf in fed:
            self._tracker.told(leaf.received_ms, leaf.rows)
        if self.alarming is not None:
            self.alarming.watch(fed)

    def write(self, evidence: EvidenceLog, view: ReadingsView, feeder: Feeder, now_ms: int, began_ms: int) -> bool:
        """Computes the health at `now_ms` and writes it; False where more points must be recovered first."""
        if not self.compute(evidence, view, feeder, now_ms, began_ms):
            return False
        self.flush()
        return True

    def compute(
        self, evidence: EvidenceLog, view: ReadingsView, feeder: Feeder, now_ms: int, began_ms: int, away: str = ""
    ) -> bool:
        """Computes the minute of `now_ms` and keeps it for `flush`; False where more points must be recovered first.

        `away` says why the view cannot be read. Errors: ViewUnavailable where it turns out now; nothing is kept then.
        """
        if self._standings is None:
            self._standings = Standings(evidence, feeder.known)
        every = self._standings.of(self.roster, feeder.cursors)
        standings = {edge_id: one for edge_id, one in every.items() if self._mine(edge_id)}
        if self.alarming is not None:
            self.alarming.contextual.expect(standings)
        if not away and not self._recovered(self._standings, view, standings):
            return False
        points, edges = self._tracker.minute(now_ms, self._standings.began_ms(began_ms), standings)
        points = [] if away else points
        self._keep(now_ms, points, edges, standings, away, evidence)
        return True

    def _keep(
        self,
        now_ms: int,
        points: list[PointHealth],
        edges: list[EdgeHealth],
        standings: dict[str, EdgeStanding],
        away: str,
        evidence: EvidenceLog,
    ) -> None:
        meters, alarms = meters_of(points, standings, {}), list[AlarmPoint]()
        if self.alarming is not None:
            alarms = self.alarming.minute(Minute(now_ms, points, edges, meters, standings, away), evidence)
            flags = self.alarming.flags()
            meters = [one._replace(flags=flags.get(f"{one.edge_id}/{one.meter}")) for one in meters]
            edges = [one._replace(flags=flags.get(one.edge_id)) for one in edges]
        if self.operations is None:
            return
        self._waiting.append(_Written(now_ms // MINUTE_MS * MINUTE_MS, points, edges, meters, alarms))
        while len(self._waiting) > 1 and (
            len(self._waiting) > MAX_WAITING or sum(one.rows for one in self._waiting) > MAX_WAITING_ROWS
        ):
            self._waiting.popleft()
            self.lost += 1

    @property
    def waiting(self) -> bool:
        """Whether minutes are not written yet."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Writes the minutes that wait, the oldest first; ViewUnavailable where one cannot be written, which stays."""
        while self._waiting and self.operations is not None:
            one = self._waiting[0]
            self.operations.put_health(one.t_ms, one.points, one.edges, one.meters, one.alarms)
            self._waiting.popleft()

    def close(self) -> None:
        """Releases where minutes and alarms go."""
        if self.operations is not None:
            self.operations.close()
        if self.alarming is not None:
            self.alarming.store.close()

    def _recovered(self, known: Standings, view: ReadingsView, standings: dict[str, EdgeStanding]) -> bool:
        unknown = self._tracker.unknown(standings)
        for point, interval_ms in unknown[:RECOVER_AT_ONCE]:
            self._recover(known, view, point, interval_ms, standings[_edge_of(point)])
        return len(unknown) <= RECOVER_AT_ONCE

    def _recover(
        self, known: Standings, view: ReadingsView, point: str, interval_ms: int, standing: EdgeStanding
    ) -> None:
        namespace, edge_id = self.roster.namespace, _edge_of(point)
        slots = (interval_ms, standing.limit_of(interval_ms))
        known_from_ms, rows = recover(
            view, lambda row: known.received_ms(row, namespace, edge_id), point, standing.last_ms or 0, slots
        )
        self._tracker.recovered(point, interval_ms, known_from_ms, rows)
        if self.alarming is not None:
            self.alarming.contextual.recovered(rows)


def _edge_of(point: str) -> str:
    return point.split("/", 1)[0]
