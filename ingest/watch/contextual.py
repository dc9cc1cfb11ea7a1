"""Contextual checks over fed readings: the courses of a day by point, and what is wrong with them. Nothing is altered.

Guaranteed: bounded memory, however much arrives; a leaf that comes late or out of order is put into its place and its
meter judged again. Readings older than a day before a point's newest one are not looked at: calc decides about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hakari import checks
from hakari.names import point_id
from hakari.quality import Quality
from hakari.registers.decode import OUT_OF_RANGE
from hakari.registers.profile import Point
from hakari.units import UNITS
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import GIVEN_BOOT
from hakari.wire.rows import MAX_FUTURE_MS, Row
from hakari.wire.wide import Rows
from ingest.watch.alarm_settings import CheckTable
from ingest.watch.alarms import Subject
from ingest.watch.course import Course
from ingest.watch.health import EdgeStanding

MAX_COURSES = 20_000
JUDGED_AT_ONCE = 500
EVENT_MS = 3_600_000
MAX_EVENTS = 2000
ENERGY = UNITS["kWh"].dimension
POWER = UNITS["kW"].dimension
# Points by name: a gauge of power, the counters that it drives, each with the sign of its direction.
DRIVEN = (
    ("active_power", (("energy_import", 1), ("energy_export", -1))),
    ("active_power", (("energy_total", 1),)),
    ("heat_power", (("heat_energy", 1),)),
    ("input_power", (("pv_energy", 1),)),
)


class Judged(NamedTuple):
    """One meter's points that its rules look at, by whole name: `driven` are the counters of `power`."""

    name: str
    counters: tuple[str, ...]
    power: str
    driven: tuple[tuple[str, int], ...]
    interval_ms: int


class Contextual:
    """The courses and findings of the meters of the edges that `expect` was told of; one thread uses it."""

    def __init__(self, tables: Sequence[CheckTable] = ()) -> None:
        self._tables = tables
        self._capacity = {p: one.capacity_kw for one in tables if one.capacity_kw is not None for p in one.points}
        self._since = {p: _ms(one) for one in tables if one.since is not None for p in one.points}
        self._configurations: dict[str, MeteringConfiguration] = {}
        self._began_ms: dict[str, int] = {}
        self._meters: dict[str, Judged] = {}
        self._courses: dict[str, Course] = {}
        self._meter_of: dict[str, str] = {}
        self._dirty: dict[str, None] = {}
        self._found: dict[str, dict[Subject, str]] = {}
        self._tables_found: dict[int, tuple[Subject, str]] = {}
        self._events: dict[Subject, tuple[int, str]] = {}

    def expect(self, standings: Mapping[str, EdgeStanding]) -> None:
        """Takes the edges' newest configurations; courses of points that are described alike are kept."""
        for edge_id in [one for one in self._configurations if one not in standings]:
            self._forget(edge_id)
        for edge_id, standing in standings.items():
            if standing.first_epoch is not None:
                self._began_ms[edge_id] = standing.first_epoch * 1000 - MAX_FUTURE_MS
            configuration = standing.configuration
            if configuration is not None and self._configurations.get(edge_id) is not configuration:
                self._describe(edge_id, configuration)

    def _describe(self, edge_id: str, configuration: MeteringConfiguration) -> None:
        before = {name: course for name, course in self._courses.items() if name.startswith(f"{edge_id}/")}
        self._forget(edge_id)
        self._configurations[edge_id] = configuration
        for meter in configuration.meters:
            name = f"{edge_id}/{meter.id}"
            points = {point.name: point for point in meter.profile.points}
            power, driven = _driven(edge_id, meter, points)
            counters = [point for point in points.values() if point.kind == "counter"]
            wanted = [*counters, *(points[one] for one in (power,) if one)]
            if len(self._courses) + len(wanted) > MAX_COURSES:
                continue
            for point in wanted:
                whole = point_id(edge_id, meter.id, point.name)
                made = _course(point, configuration.interval_ms, self._most_kw(whole, points))
                kept = before.get(whole)
                self._courses[whole] = kept if kept is not None and kept.shape == made.shape else made
                self._meter_of[whole] = name
                self._courses[whole].meter = name
                self._courses[whole].since_ms = self._since.get(whole) or self._began_ms.get(edge_id, 0)
            self._meters[name] = Judged(
                name,
                tuple(point_id(edge_id, meter.id, one.name) for one in counters),
                point_id(edge_id, meter.id, power) if power else "",
                driven,
                configuration.interval_ms,
            )

    def _most_kw(self, whole: str, points: Mapping[str, Point]) -> float | None:
        """What the plan says the point can count an hour, else what its meter's profile says of its power."""
        if whole in self._capacity:
            return self._capacity[whole]
        power = points.get("active_power")
        if power is None or power.maximum is None or power.unit not in UNITS:
            return None
        return float(power.maximum) * _in(power.unit, "kW")

    def _forget(self, edge_id: str) -> None:
        self._configurations.pop(edge_id, None)
        for name in [one for one in self._meters if one.split("/", 1)[0] == edge_id]:
            del self._meters[name]
            self._found.pop(name, None)
        for name in [one for one in self._courses if one.split("/", 1)[0] == edge_id]:
            del self._courses[name], self._meter_of[name]

    def recovered(self, rows: Iterable[Row]) -> None:
        """Takes readings that the view holds since before the start."""
        for row in rows:
            self._add(row, row.t_ms)

    def told(self, received_ms: int, rows: Sequence[Row]) -> None:
        """Takes the rows of a leaf that was received at `received_ms`."""
        courses, dirty, limit_ms = self._courses, self._dirty, received_ms + MAX_FUTURE_MS
        for row in rows.among(courses) if isinstance(rows, Rows) else rows:
            course = courses.get(row.point)
            if course is None:
                continue
            if not row.quality and course.since_ms <= row.t_ms <= limit_ms:
                if course.add(row):
                    dirty[course.meter] = None
                continue
            if row.t_ms - received_ms > MAX_FUTURE_MS:
                ahead_s = (row.t_ms - received_ms) // 1000
                self.event(Subject("future", _edge_of(row)), received_ms, f"slot {row.t_ms} lay {ahead_s} s ahead")
                continue
            self._add(row, received_ms)

    def _add(self, row: Row, at_ms: int) -> None:
        course = self._courses.get(row.point)
        if course is None:
            return
        if row.quality != Quality.GOOD:
            if row.reason.startswith(OUT_OF_RANGE):
                self.event(Subject("out-of-range", self._meter_of[row.point]), at_ms, f"{row.point}: {row.reason}")
            return
        since_ms = self._since.get(row.point) or (0 if row.boot == GIVEN_BOOT else self._began_ms.get(_edge_of(row), 0))
        if since_ms and checks.before_commissioning(row.t_ms, since_ms):
            why = f"slot {row.t_ms} of {row.point} lies before {since_ms}"
            self.event(Subject("before-commissioning", self._meter_of[row.point]), at_ms, why)
            return
        if course.add(row):
            self._dirty[self._meter_of[row.point]] = None

    def event(self, subject: Subject, at_ms: int, detail: str) -> None:
        """Notes something that stands for an hour of plant time after it was last seen."""
        known = self._events.get(subject)
        if known is not None or len(self._events) < MAX_EVENTS:
            self._events[subject] = (max(at_ms, known[0] if known else at_ms), detail)

    def found(self, now_ms: int) -> dict[Subject, str]:
        """What stands now; judges at most 500 meters that have new readings."""
        changed = list(self._dirty)[:JUDGED_AT_ONCE]
        for name in changed:
            del self._dirty[name]
            if name in self._meters:
                self._found[name] = dict(self._judged(self._meters[name]))
        self._judge_tables(set(changed))
        # What was seen in the course of a replay of old leaves counts from now on.
        self._events = {s: (min(at, now_ms), why) for s, (at, why) in self._events.items() if now_ms - at < EVENT_MS}
        standing = {subject: why for found in self._found.values() for subject, why in found.items()}
        standing.update(self._tables_found.values())
        standing.update({subject: why for subject, (_, why) in self._events.items()})
        return standing

    def _judged(self, meter: Judged) -> list[tuple[Subject, str]]:
        """One finding a meter and rule; what explains another one stands alone."""
        found: list[tuple[Subject, str]] = []
        for name in meter.counters:
            course = self._courses[name]
            readings = course.readings()
            most = course.most_an_hour
            if why := checks.backward(readings, course.count, course.modulus, most):
                found.append((Subject("counter-backward", meter.name), f"{name}: {why}"))
            elif most is not None and (why := checks.beyond_capacity(readings, course.count, most)):
                found.append((Subject("counter-step", meter.name), f"{name}: {why}"))
        if found or not meter.power or not meter.driven:
            return found
        driven = [(self._courses[name], sign) for name, sign in meter.driven]
        power = self._courses[meter.power].readings()
        count = max(course.count for course, _ in driven)
        steps = [(course.readings(), sign) for course, sign in driven]
        if not power or not all(readings for readings, _ in steps):
            return found
        counted = checks.together([readings for readings, _ in steps])
        if why := checks.standing_still(counted, power, count, meter.interval_ms):
            found.append((Subject("counter-still", meter.name), why))
        elif why := checks.against_power(steps, power, count, meter.interval_ms):
            found.append((Subject("power-energy", meter.name), why))
        return found

    def _judge_tables(self, changed: set[str]) -> None:
        for k, table in enumerate(self._tables):
            if table.kind not in ("pair", "sum"):
                continue
            if any(point not in self._courses for point in table.points):
                self._tables_found.pop(k, None)
            if not any(self._meter_of.get(point) in changed for point in table.points):
                continue
            courses = [self._courses[point] for point in table.points if point in self._courses]
            if len(courses) != len(table.points) or any(course.dimension != ENERGY for course in courses):
                continue
            *parts, whole = [course.readings() for course in courses]
            counts = 2 * sum(course.count for course in courses)
            if not whole or not all(parts):
                continue
            window_ms = round(table.window_h * checks.HOUR_MS)
            why = checks.differing(parts, whole, counts, table.tolerance_percent / 100, window_ms)
            if why:
                self._tables_found[k] = (Subject(table.kind, table.points[-1]), why)
            else:
                self._tables_found.pop(k, None)


def _driven(edge_id: str, meter: Meter, points: Mapping[str, Point]) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The name of a meter's power and its counters' whole names and signs, ("", ()) where it has none."""
    for power, counters in DRIVEN:
        given = points.get(power)
        known = [(name, sign) for name, sign in counters if name in points and points[name].unit in UNITS]
        if given is None or given.unit not in UNITS or UNITS[given.unit].dimension != POWER or not known:
            continue
        if all(UNITS[points[name].unit].dimension == ENERGY for name, _ in known):
            return power, tuple((point_id(edge_id, meter.id, name), sign) for name, sign in known)
    return "", ()


def _course(point: Point, interval_ms: int, most_kw: float | None) -> Course:
    """An empty course; energy in kWh and power in kW, everything else in its own unit."""
    dimension = UNITS[point.unit].dimension if point.unit in UNITS else ""
    factor = _in(point.unit, {ENERGY: "kWh", POWER: "kW"}[dimension]) if dimension in (ENERGY, POWER) else 1.0
    most = most_kw if point.kind == "counter" and dimension == ENERGY else None
    return Course(point.type, factor, dimension, interval_ms * point.every, most, counter=point.kind == "counter")


def _in(unit: str, wanted: str) -> float:
    """What one of `unit` is in `wanted`."""
    source, target = UNITS[unit], UNITS[wanted]
    return source.over * target.under / (source.under * target.over)


def _edge_of(row: Row) -> str:
    return row.point.split("/", 1)[0]


def _ms(table: CheckTable) -> int:
    return 0 if table.since is None else round(table.since.timestamp() * 1000)
