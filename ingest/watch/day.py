"""The last day of each meter: what was expected, received, good, late and refused, and why; from the stores alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.quality import Quality
from hakari.store.configurations import LoggedConfigurations
from hakari.store.evidence import EvidenceLog
from hakari.store.operations import MeterHealth, PointHealth
from hakari.store.view import ReadingsView
from ingest.watch.health import NOTHING, Tracker
from ingest.watch.meters import meters_of
from ingest.watch.seen import DAY_MS
from ingest.watch.standing import Standings, recover

MAX_REFUSALS = 1000
MAX_REASONS = 5
WAITS = "the edge is there; its samples wait at the edge until its time is known"

_METER = re.compile(r"meter '([a-z0-9_]{1,40})'")


class MeterDay(NamedTuple):
    """One meter's 24 hours before the time asked for. Counts are of readings, `refused` of refusals that name it.

    `expected` are those since the edge's first leaf, or an older reading, where it is younger than that; `late` arrived
    later than the meter's limit; `reasons` are why readings were not good or were refused, each with how often, and
    that samples wait at the edge; `last_slot_ms` is that of its last GOOD reading, None before one.
    """

    health: MeterHealth
    expected: int
    received: int
    good: int
    late: int
    refused: int
    reasons: tuple[tuple[str, int], ...]
    last_slot_ms: int | None


def meter_days(
    evidence: EvidenceLog,
    view: ReadingsView,
    roster: Roster,
    now_ms: int,
    flags: Mapping[str, str],
    wanted: Callable[[str], bool],
) -> list[MeterDay]:
    """One for each meter of the edges that are `wanted`, ordered by edge; one of an edge of which nothing is known."""
    known = Standings(evidence, LoggedConfigurations(evidence))
    cursors = {origin: view.cursor(origin.edge_id, origin.epoch) for origin in evidence.origins()}
    standings = {edge_id: one for edge_id, one in known.of(roster, cursors).items() if wanted(edge_id)}
    tracker = Tracker()
    counted: dict[tuple[str, str], _Counted] = {}
    reading = _Reading(view, known, roster.namespace, now_ms)
    for name, interval_ms in tracker.unknown(standings):
        edge_id, meter, _ = name.split("/")
        standing = standings[edge_id]
        slots = (interval_ms, standing.limit_of(interval_ms))
        ask = reading.received_of(edge_id)
        tracker.recovered(name, interval_ms, *recover(view, ask, name, standing.last_ms or 0, slots))
        reading.count(
            name, interval_ms, slots[1], standing.first_ms or 0, counted.setdefault((edge_id, meter), _Counted())
        )
    _count_refusals(evidence, view, roster.namespace, now_ms, counted)
    points, _ = tracker.minute(now_ms, known.began_ms(now_ms), standings)
    last = _last_slots(points, now_ms)
    return [
        _day(
            one,
            counted.get((one.edge_id, one.meter), _Counted()),
            last.get((one.edge_id, one.meter)),
            waits=standings[one.edge_id].waits,
        )
        for one in meters_of(points, standings, flags)
    ]


class _Counted:
    """What was counted of one meter."""

    def __init__(self) -> None:
        self.expected = self.received = self.good = self.late = self.refused = 0
        self.reasons: Counter[str] = Counter()


class _Reading:
    """Counts what the view holds of the day before `now_ms`."""

    def __init__(self, view: ReadingsView, known: Standings, namespace: str, now_ms: int) -> None:
        self._view = view
        self._known = known
        self._namespace = namespace
        self._now_ms = now_ms

    def received_of(self, edge_id: str) -> Callable[..., int]:
        return lambda row: self._known.received_ms(row, self._namespace, edge_id)

    def count(self, name: str, interval_ms: int, limit_ms: int, began_ms: int, counted: _Counted) -> None:
        """Counts one point; slots are expected from `began_ms` on, or from an older reading."""
        start_ms = self._now_ms - DAY_MS
        asked = self.received_of(name.split("/", 1)[0])
        for row in self._view.read(name, start_ms + 1, self._now_ms + 1):
            began_ms = min(began_ms, row.t_ms - 1)
            counted.received += 1
            if row.quality == Quality.GOOD:
                counted.good += 1
            else:
                counted.reasons[row.reason] += 1
            counted.late += asked(row) - row.t_ms > limit_ms
        expected_ms = min(max(start_ms, began_ms), self._now_ms)
        counted.expected += self._now_ms // interval_ms - expected_ms // interval_ms


def _count_refusals(
    evidence: EvidenceLog,
    view: ReadingsView,
    namespace: str,
    now_ms: int,
    counted: Mapping[tuple[str, str], _Counted],
) -> None:
    for refusal in view.refused(MAX_REFUSALS):
        stored = evidence.leaf(Origin(namespace, refusal.edge_id, refusal.epoch), refusal.leaf)
        named = _METER.search(refusal.reason)
        if stored is None or named is None or not now_ms - DAY_MS < stored.received_ms <= now_ms:
            continue
        one = counted.get((refusal.edge_id, named[1]))
        if one is not None:
            one.refused += 1
            one.reasons[refusal.reason] += 1


def _last_slots(points: Iterable[PointHealth], now_ms: int) -> dict[tuple[str, str], int]:
    """The slot of each meter's last GOOD reading, of meters that had one."""
    found: dict[tuple[str, str], int] = {}
    for point in points:
        if point.point != NOTHING and point.value is not None:
            key = (point.edge_id, point.meter)
            found[key] = max(found.get(key, 0), now_ms - round(point.age_s * 1000))
    return found


def _day(health: MeterHealth, counted: _Counted, last_slot_ms: int | None, *, waits: bool) -> MeterDay:
    reasons = counted.reasons.most_common(MAX_REASONS)
    return MeterDay(
        health,
        counted.expected,
        counted.received,
        counted.good,
        counted.late,
        counted.refused,
        ((WAITS, 1), *reasons) if waits else tuple(reasons),
        last_slot_ms,
    )
