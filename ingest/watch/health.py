"""The health of every rostered point and edge at a given time: pure, from what was fed and what the stores hold.

Guaranteed: each edge that is expected has its EdgeHealth, and each counter and gauge of its newest logged
configuration its PointHealth, whether anything arrives or not; an edge without such a configuration has one, with
meter and point "-". A slot that lay in the future when its leaf was received changes nothing here.
Fields, units and states: `hakari.measurements`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from hakari.clock import UNSYNCHRONISED
from hakari.log.roster import Roster
from hakari.names import BadName, check_local, point_id
from hakari.quality import Quality
from hakari.registers.profile import MEASURED, Point
from hakari.store.days import value_of
from hakari.store.operations import EdgeHealth, PointHealth
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.rows import MAX_FUTURE_MS, Row
from hakari.wire.wide import Rows, Wide
from ingest.watch.seen import DAY_MS, Marked, Seen

MINUTE_MS = 60_000
LIMIT_INTERVALS = 5
POINT_LIMIT_INTERVALS = 3
LEAST_LIMIT_MS = 15 * MINUTE_MS
NEVER_ANY = 3
NOTHING = "-"


class EdgeStanding(NamedTuple):
    """What the evidence log and the view's cursors say of one edge.

    `first_epoch` is its oldest one, None before a leaf; `sync_state` and `offset_ms` are of the newest leaf,
    `certificate_ms` is when the edge's certificate ends, None where it has told none. `first_ms` and `last_ms` are when
    ingest stored its first and its newest leaf, None before one; `cut_ms` when the newest was cut, None where it cannot
    be read; `span_ms` the longest time between the first and last slot of a leaf; `frozen` whether the newest epoch is.
    """

    leaves: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    cut_ms: int | None = None
    span_ms: int = 0
    epochs_unapproved: int = 0
    view_behind: int = 0
    frozen: bool = False
    configuration: MeteringConfiguration | None = None
    first_epoch: int | None = None
    sync_state: str = ""
    offset_ms: int | None = None
    certificate_ms: int | None = None

    @property
    def waits(self) -> bool:
        """Whether the edge did not know the time when it cut its newest leaf: it holds its samples until it does."""
        return self.sync_state == UNSYNCHRONISED

    @property
    def limit_ms(self) -> int:
        """From which age on a point, or the whole edge, is silent: a leaf of many slots comes that much later."""
        interval_ms = 0 if self.configuration is None else self.configuration.interval_ms
        return max(LIMIT_INTERVALS * interval_ms, LEAST_LIMIT_MS, self.span_ms + 2 * interval_ms)

    def limit_of(self, interval_ms: int) -> int:
        """From which age on a point whose own slots are `interval_ms` apart is silent."""
        return max(self.limit_ms, POINT_LIMIT_INTERVALS * interval_ms)


def expected_edges(roster: Roster, newest: Mapping[str, tuple[int, int]]) -> list[str]:
    """Edges of which a key still holds after their `newest` (epoch, size): one whose last key ended sends no more."""
    return sorted(
        {
            key.edge
            for key in roster.edges
            if key.until_epoch is None or newest.get(key.edge, (0, 0)) < (key.end[0], key.end[1] - 1)
        }
    )


def points_of(edge_id: str, configuration: MeteringConfiguration) -> Iterator[tuple[str, Meter, Point]]:
    """Every point that is measured, with its id; a name that is described twice only once."""
    seen: set[str] = set()
    for meter in configuration.meters:
        if not _named(meter):
            continue
        for point in meter.profile.points:
            name = point_id(edge_id, meter.id, point.name)
            if point.kind in MEASURED and name not in seen:
                seen.add(name)
                yield name, meter, point


def _named(meter: Meter) -> bool:
    """Whether the meter's id can be one: of another no row is ever made (`hakari.wire.rows`)."""
    try:
        check_local(meter.id, "meter")
    except BadName:
        return False
    return True


class Tracker:
    """What was seen of every point; recovered once, then told."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._marked: Marked | None = None

    def unknown(self, standings: Mapping[str, EdgeStanding]) -> list[tuple[str, int]]:
        """Points of which nothing was recovered yet, each with its interval; those of no configuration are forgotten.

        The interval is the time between two slots in which the point is read (its `every`). A point
        whose interval has changed is unknown again, since its slots are others.
        """
        wanted = {
            name: one.configuration.interval_ms * point.every
            for edge_id, one in standings.items()
            if one.configuration is not None
            for name, _, point in points_of(edge_id, one.configuration)
        }
        self._seen = {name: seen for name, seen in self._seen.items() if wanted.get(name) == seen.interval_ms}
        return [(name, interval_ms) for name, interval_ms in wanted.items() if name not in self._seen]

    def recovered(self, point: str, interval_ms: int, known_from_ms: int, rows: Iterable[Row]) -> None:
        """What the view holds of a point: all its countable readings from `known_from_ms` on, and older ones."""
        self._seen[point] = Seen(interval_ms, known_from_ms)
        for row in rows:
            self._seen[point].add(row)

    def told(self, received_ms: int, rows: Sequence[Row]) -> None:
        """Takes the rows of a leaf of one edge that was received at `received_ms`."""
        series = rows.series() if isinstance(rows, Rows) else []
        for row in [] if series else rows:
            self._add(received_ms, row)
        for wides in series:
            if not self._take(received_ms, wides):
                for row in chain.from_iterable(wide.rows() for wide in wides):
                    self._add(received_ms, row)

    def _add(self, received_ms: int, row: Row) -> None:
        seen = self._seen.get(row.point)
        if seen is not None and countable(row, received_ms):
            seen.add(row)

    def _take(self, received_ms: int, wides: Sequence[Wide]) -> bool:
        """Takes what one meter gave in samples one after the other, unless its rows have to be looked at one by one."""
        shape = wides[0].shape
        times, seen = [wide.t_ms for wide in wides], [self._seen.get(point) for point in shape.points]
        if (
            any(shape.qualities)
            or times[-1] - received_ms > MAX_FUTURE_MS
            or any(after <= before for before, after in pairwise(times))
            or any(one is not None and one.last is not None and one.last[0] >= times[0] for one in seen)
        ):
            return False
        rows = list(wides[-1].rows())
        marked = self._marked
        for one, row, raws in zip(seen, rows, zip(*(wide.raws for wide in wides), strict=True), strict=True):
            if one is not None:
                marked = one.add_run(times, raws, row, marked)
        self._marked = marked
        return True

    def minute(
        self, now_ms: int, began_ms: int, standings: Mapping[str, EdgeStanding]
    ) -> tuple[list[PointHealth], list[EdgeHealth]]:
        """The health at `now_ms` of every edge in `standings` and of each of its points.

        `began_ms` is when ingest began: the age of an edge that never sent anything counts from there.
        """
        points: list[PointHealth] = []
        edges: list[EdgeHealth] = []
        for edge_id, standing in sorted(standings.items()):
            edge = _edge(now_ms, began_ms, edge_id, standing)
            edges.append(edge)
            points += self._points(now_ms, began_ms if standing.first_ms is None else standing.first_ms, edge, standing)
        return points, edges

    def _points(self, now_ms: int, first_ms: int, edge: EdgeHealth, standing: EdgeStanding) -> list[PointHealth]:
        found = [] if standing.configuration is None else list(points_of(edge.edge_id, standing.configuration))
        if not found:
            return [_nothing(_seconds(now_ms - first_ms), edge)]
        seen = [self._seen.get(name) for name, _, _ in found]
        newest_ms = max((one.last[0] for one in seen if one is not None and one.last is not None), default=0)
        interval_ms = 0 if standing.configuration is None else standing.configuration.interval_ms
        return [
            _point(
                (now_ms, first_ms, newest_ms),
                edge,
                (meter.id, name, point.kind),
                one,
                _seconds(standing.limit_of(interval_ms * point.every)),
                _doubted(meter, point.name),
            )
            for (name, meter, point), one in zip(found, seen, strict=True)
        ]


def countable(row: Row, received_ms: int) -> bool:
    """Whether a reading's slot was no future when its leaf was received: another one says nothing of the present."""
    return row.t_ms - received_ms <= MAX_FUTURE_MS


def shown_value(row: Row) -> float | None:
    """The reading's value for people, None where a float cannot show it."""
    exact = value_of(row.type, row.raw, row.exponent)
    try:
        value = math.nan if exact is None else float(exact)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _edge(now_ms: int, began_ms: int, edge_id: str, standing: EdgeStanding) -> EdgeHealth:
    age_s = _seconds(now_ms - (began_ms if standing.last_ms is None else standing.last_ms))
    limit_s = _seconds(standing.limit_ms)
    late_s = None
    if standing.last_ms is not None and standing.cut_ms is not None:
        late_s = (standing.last_ms - standing.cut_ms) / 1000
    if not standing.leaves:
        state = "never"
    elif standing.frozen:
        state = "frozen"
    else:
        state = "silent" if age_s >= limit_s else "ok"
    return EdgeHealth(
        edge_id, age_s, limit_s, late_s, standing.leaves, standing.epochs_unapproved, standing.view_behind,
        int(standing.frozen), state, _outbox_age_s(now_ms, standing, late_s, state), standing.offset_ms,
        None if standing.certificate_ms is None else (standing.certificate_ms - now_ms) / DAY_MS,
    )  # fmt: skip


def _outbox_age_s(now_ms: int, standing: EdgeStanding, late_s: float | None, state: str) -> float | None:
    """How old the edge's oldest leaf is that is not here: of a silent one, from its newest leaf on."""
    if late_s is None or standing.cut_ms is None:
        return None
    return _seconds(now_ms - standing.cut_ms) if state == "silent" else max(0.0, late_s)


def _nothing(age_s: float, edge: EdgeHealth) -> PointHealth:
    """What stands for an edge of which no points are known."""
    silent = _silent(edge)
    return PointHealth(
        edge.edge_id, NOTHING, NOTHING, NOTHING, age_s, 0.0 if silent else age_s, edge.limit_s, None, NEVER_ANY, 0.0,
        None, "edge silent" if silent and edge.leaves else "never",
    )  # fmt: skip


def _point(
    times: tuple[int, int, int],
    edge: EdgeHealth,
    named: tuple[str, str, str],
    seen: Seen | None,
    limit_s: float,
    doubted: str,
) -> PointHealth:
    now_ms, first_ms, newest_ms = times
    good = None if seen is None else seen.good
    age_s = _seconds(now_ms - (first_ms if good is None else good.t_ms))
    silent = _silent(edge)
    quality = NEVER_ANY if seen is None or seen.last is None else seen.last[1]
    # What a living edge has not delivered yet is not missing: it comes with the next leaf.
    until_ms = now_ms if silent or not newest_ms else min(now_ms, newest_ms)
    return PointHealth(
        edge_id=edge.edge_id,
        meter=named[0],
        point=named[1],
        kind=named[2],
        age_s=age_s,
        age_alarm_s=0.0 if silent else age_s,
        limit_s=limit_s,
        frozen_s=None if seen is None or good is None else _seconds(good.t_ms - seen.changed_ms),
        quality=quality,
        completeness_24h=0.0 if seen is None else seen.completeness(until_ms),
        value=None if good is None else shown_value(good),
        state=doubted
        if doubted and not silent and _arrives(seen, now_ms, limit_s)
        else _state(silent, good, age_s >= limit_s, quality),
    )


def _doubted(meter: Meter, point: str) -> str:
    """The state of a point that is read but does not count, "" where nothing stands against it."""
    if meter.suspended:
        return "suspended"
    return "unproven" if meter.doubt(point) else ""


def _arrives(seen: Seen | None, now_ms: int, limit_s: float) -> bool:
    """Whether the newest reading is young enough and would count but for a doubt."""
    last = None if seen is None else seen.last
    return last is not None and last[1] == Quality.UNCERTAIN and _seconds(now_ms - last[0]) < limit_s


def _silent(edge: EdgeHealth) -> bool:
    return edge.age_s >= edge.limit_s


def _state(silent: bool, good: Row | None, stale: bool, quality: int) -> str:
    if silent:
        return "edge silent"
    if good is None:
        return "never"
    if stale:
        return "stale"
    return "ok" if quality == Quality.GOOD else "suspect"


def _seconds(ms: int) -> float:
    """Seconds for people; of a time that lies ahead none."""
    return max(0, ms) / 1000
