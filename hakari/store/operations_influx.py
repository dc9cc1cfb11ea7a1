"""Operators' measurements in InfluxDB: a minute's health of every point and edge, a day's figures of every project.

Guaranteed: what stood for the same day and point (or project) and is not written over, since its tags or fields were
others, is deleted; so no figure of an older plan stays beside the new one. Field and tag names: `hakari.measurements`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import get_args, get_type_hints

from hakari.influxdb import InfluxSettings
from hakari.measurements import (
    ALARM,
    ALARM_FIELDS,
    ALARM_TAGS,
    DAY_FIELDS,
    DAY_TAGS,
    EDGE_FIELDS,
    EDGE_MINUTE,
    EDGE_TAGS,
    EMISSIONS_DAY,
    EMISSIONS_FIELDS,
    EMISSIONS_TAGS,
    HEALTH_FIELDS,
    HEALTH_MINUTE,
    HEALTH_TAGS,
    METER_FIELDS,
    METER_MINUTE,
    METER_TAGS,
    PERIOD_DAY,
)
from hakari.store.influx import Influx, rfc3339
from hakari.store.influx_answers import Series
from hakari.store.lines import NS_OF_MS, Field, line, site_of
from hakari.store.operations import AlarmPoint, EdgeHealth, EmissionsDay, MeterHealth, PointDay, PointHealth

MAX_DELETES = 10_000

# (time in ns, tags by name, fields by name)
Point = tuple[int, dict[str, str], dict[str, Field]]
Minute = PointHealth | EdgeHealth | MeterHealth | AlarmPoint


class InfluxOperations:
    """The operators' measurements in the bucket of `settings`; nothing is asked of it before it is used."""

    def __init__(self, settings: InfluxSettings, token: str) -> None:
        self._influx = Influx(settings, token)

    def put_health(
        self,
        t_ms: int,
        points: Sequence[PointHealth],
        edges: Sequence[EdgeHealth],
        meters: Sequence[MeterHealth] = (),
        alarms: Sequence[AlarmPoint] = (),
    ) -> None:
        """Writes one minute, which begins at `t_ms`; ViewUnavailable when it could not be written whole."""
        ns = t_ms * NS_OF_MS
        lines = [_line(HEALTH_MINUTE, ns, _tags(HEALTH_TAGS, one), _fields(HEALTH_FIELDS, one)) for one in points]
        lines += [_line(EDGE_MINUTE, ns, _tags(EDGE_TAGS, one), _fields(EDGE_FIELDS, one)) for one in edges]
        lines += [_line(METER_MINUTE, ns, _tags(METER_TAGS, one), _fields(METER_FIELDS, one)) for one in meters]
        lines += [_line(ALARM, ns, _tags(ALARM_TAGS, one), _fields(ALARM_FIELDS, one)) for one in alarms]
        self._write(lines)

    def put_days(self, points: Sequence[PointDay], projects: Sequence[EmissionsDay]) -> None:
        """Writes local days, replacing what stood for the same day and point or project."""
        self._replace(PERIOD_DAY, ("project", "point"), DAY_TAGS, [_point_day(one) for one in points])
        self._replace(EMISSIONS_DAY, ("project",), EMISSIONS_TAGS, [_emissions_day(one) for one in projects])

    def days_held(self, project: str) -> Collection[int]:
        """The beginnings, in ms, of the project's days whose emissions are there, with a figure or refused."""
        found = self._influx.query(
            f'SELECT "locked" FROM {EMISSIONS_DAY} WHERE project = $project',  # noqa: S608 - a name of our own
            {"project": project},
        )[0]
        return {ns // NS_OF_MS for series in found for ns, _ in series.values}

    def close(self) -> None:
        """Closes connections."""
        self._influx.close()

    def _write(self, lines: Iterable[str]) -> None:
        some = [text for text in lines if text]
        if some:
            self._influx.write_all(some)

    def _replace(self, measurement: str, key: Sequence[str], tags: Sequence[str], points: Sequence[Point]) -> None:
        by_project: dict[str, list[Point]] = {}
        for point in points:
            by_project.setdefault(point[1]["project"], []).append(point)
        for project, given in by_project.items():
            times = [ns for ns, _, _ in given]
            found = self._influx.query(
                f"SELECT * FROM {measurement} WHERE project = $project"  # noqa: S608 - names of our own
                f" AND time >= {min(times)} AND time <= {max(times)} GROUP BY {', '.join(tags)}",
                {"project": project},
            )[0]
            for ns, stale in stale_points(found, given, key)[:MAX_DELETES]:
                predicate = " AND ".join(f'{name}="{value}"' for name, value in stale.items())
                at = rfc3339(ns)
                self._influx.delete(f'_measurement="{measurement}" AND {predicate}', at, at)
        self._write(_line(measurement, *point) for point in points)


def stale_points(
    found: Iterable[Series], given: Iterable[Point], key: Sequence[str]
) -> list[tuple[int, Mapping[str, str]]]:
    """Time and tags of points that stand for the day and `key` of a given one, and would stay wholly or in part."""
    wanted: dict[tuple[object, ...], list[tuple[dict[str, str], set[str]]]] = {}
    for ns, tags, fields in given:
        place = (ns, *(tags[name] for name in key))
        wanted.setdefault(place, []).append(
            (_given(tags), {name for name, value in fields.items() if value is not None})
        )
    stale: list[tuple[int, Mapping[str, str]]] = []
    for series in found:
        tags = _given(series.tags)
        for ns, *values in series.values:
            news = wanted.get((ns, *(tags.get(name, "") for name in key)), [])
            held = {name for name, value in zip(series.columns[1:], values, strict=True) if value is not None}
            if news and not any(tags == new and held <= fields for new, fields in news):
                stale.append((ns, tags))
    return stale


def _given(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if value}


def _point_day(day: PointDay) -> Point:
    edge_id, meter, _ = day.point.split("/", 2)
    refused = not day.amount_text
    tags = (day.project, site_of(edge_id), edge_id, meter, day.point, day.quantity, day.unit)
    fields = (
        None if refused else float(day.amount_text),
        day.amount_text or None,
        day.good_slots,
        day.expected_slots,
        day.good_slots / day.expected_slots if day.expected_slots else None,
        day.incidents,
        int(refused),
    )
    return _point(day.t_ms, DAY_TAGS, tags, DAY_FIELDS, fields)


def _emissions_day(day: EmissionsDay) -> Point:
    tags = (day.project, day.site, day.methodology, day.standing)
    fields = (
        _float(day.reference_tco2),
        _float(day.project_tco2),
        _float(day.reductions_tco2),
        day.reductions_tco2 or None,
        _float(day.completeness),
        int(day.locked),
    )
    return _point(day.t_ms, EMISSIONS_TAGS, tags, EMISSIONS_FIELDS, fields)


def _point(
    t_ms: int, tags: Sequence[str], tag_values: Sequence[str], fields: Sequence[str], values: Sequence[Field]
) -> Point:
    named = dict(zip(tags, tag_values, strict=True))
    return t_ms * NS_OF_MS, named, dict(zip(fields, values, strict=True))


def _line(measurement: str, ns: int, tags: Mapping[str, str], fields: Mapping[str, Field]) -> str:
    return line(measurement, tags.items(), fields.items(), ns)


def _tags(names: Sequence[str], row: Minute) -> dict[str, str]:
    """A row's tags: `site` and `edge` from its edge id, the others as they are called."""
    own = {"site": site_of(row.edge_id) if row.edge_id else "", "edge": row.edge_id}
    # A tag that is absent could not be a column of a query that also has rows with it.
    return {name: (own[name] if name in own else str(getattr(row, name))) or "-" for name in names}


def _fields(names: Sequence[str], row: Minute) -> dict[str, Field]:
    """A row's fields; what may be a fraction is always written as a float, since a field keeps its first type."""
    fractions = _FRACTIONS[type(row)]
    values = {name: getattr(row, name) for name in names}
    return {n: float(v) if v is not None and n in fractions else v for n, v in values.items()}


_FRACTIONS = {
    kind: frozenset(name for name, hint in get_type_hints(kind).items() if float in (hint, *get_args(hint)))
    for kind in (PointHealth, EdgeHealth, MeterHealth, AlarmPoint)
}


def _float(text: str | None) -> float | None:
    return float(text) if text else None
