"""A minute's health of whole meters, from that of their points. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hakari.store.operations import MeterHealth, PointHealth
from hakari.wire.frozen import FROZEN_MS, FROZEN_SAMPLES, live_points
from ingest.watch.health import NEVER_ANY, EdgeStanding

ORDER = ("ok", "suspect", "unproven", "suspended", "stale", "never", "edge silent")


def meters_of(
    points: Iterable[PointHealth], standings: Mapping[str, EdgeStanding], flags: Mapping[str, str]
) -> list[MeterHealth]:
    """One row for every meter of `points`; `flags` by `edge/meter`."""
    by_meter: dict[tuple[str, str], list[PointHealth]] = {}
    for point in points:
        by_meter.setdefault((point.edge_id, point.meter), []).append(point)
    frozen = {name for edge_id, standing in standings.items() for name in _frozen(edge_id, standing, by_meter)}
    return [_meter(of, (edge_id, meter) in frozen, flags) for (edge_id, meter), of in by_meter.items()]


def _meter(points: Sequence[PointHealth], frozen: bool, flags: Mapping[str, str]) -> MeterHealth:
    freshest = min(points, key=lambda one: one.age_s)
    counters = [one for one in points if one.kind == "counter"] or points
    return MeterHealth(
        edge_id=freshest.edge_id,
        meter=freshest.meter,
        age_s=freshest.age_s,
        age_alarm_s=min(one.age_alarm_s for one in points),
        limit_s=min(one.limit_s for one in points),
        completeness_24h=min(one.completeness_24h for one in counters),
        frozen=int(frozen),
        points=0 if freshest.meter == "-" else len(points),
        points_ok=sum(one.state == "ok" for one in points),
        state=min((one.state for one in points), key=ORDER.index),
        flags=flags.get(f"{freshest.edge_id}/{freshest.meter}") or None,
    )


def _frozen(
    edge_id: str, standing: EdgeStanding, by_meter: Mapping[tuple[str, str], Sequence[PointHealth]]
) -> Iterator[tuple[str, str]]:
    """The edge's meters of which no register has moved for an hour and four samples, a mains voltage among them."""
    if standing.configuration is None:
        return
    least_s = max(FROZEN_MS, (FROZEN_SAMPLES - 1) * standing.configuration.interval_ms) / 1000
    for meter in standing.configuration.meters:
        known = [one for one in by_meter.get((edge_id, meter.id), ()) if one.quality < NEVER_ANY]
        live = set(live_points(edge_id, meter))
        alive = any(one.point in live and one.value is not None and one.value > 0 for one in known)
        if alive and all(one.frozen_s is not None and one.frozen_s >= least_s for one in known):
            yield edge_id, meter.id
