"""Each metering point's share of a result: its course, its boundary registers with their origin, its lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from calc.energised import measure_energised, voltage_of
from calc.equipment import Served, points_for
from calc.evidence import Evidence
from calc.frozen import moving, standstills
from calc.lost import without_lost
from calc.methodologies.base import FORMULA, Methodology
from calc.methodologies.declared import Quantity
from calc.project import Project
from calc.projectfile import MEASURED, Monitored, Plan, PlanPoint
from calc.quantity import Measured, measure
from calc.registers import HOUR_MS, Course, Incident, Metering, Sample, course_of
from calc.rules import rule
from calc.text import decimal_text
from hakari.ledger.result import Input, Line, Register
from hakari.period import Period, midnight_ms
from hakari.quality import Quality
from hakari.registers.reading import WIDTH_BITS
from hakari.units import UNITS, UnitMismatch, convert, unit
from hakari.wire.rows import Row, once

COUNTER = "counter"
GAUGE = "gauge"
GAUGE_UNIT = "V"
MILLISECOND = "ms"
NEVER_MS = -1


class Metered(NamedTuple):
    """One bound point with what the plan and the logged configuration say of it.

    `unusable` is "" or why not; `last_ms` the slot of its last reading of any quality, NEVER_MS without one; `unused`
    are the readings that are not GOOD. `origin` says how its readings came, "" where an edge measured them; it is
    `barred` where the plan does not allow that, which is then all that is said of it. What it measured is counted
    in `counted_unit` and shown on lines in `shown_unit`.
    """

    plan: PlanPoint
    quantity: Quantity
    option: str
    unit: str
    counted_unit: str
    shown_unit: str
    serials: list[str]
    metering: Metering
    course: Course
    last_ms: int
    unusable: str
    unused: Sequence[Row] = ()
    origin: str = ""
    barred: bool = False


class Use(NamedTuple):
    """What one point measures for one equipment; without equipment every point has one use."""

    point: Metered
    served: Served

    def within(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """The part of `[start, end)` in which the equipment serves; nothing of it where it ends before it starts."""
        since, until = self.served.since_ms, self.served.until_ms
        return start_ms if since is None else max(start_ms, since), end_ms if until is None else min(end_ms, until)


def metered_points(project: Project, methodology: Methodology, evidence: Evidence) -> list[Metered]:
    """Every bound point in the order of the project file."""
    declared = {one.name: one for one in methodology.data.quantity}
    return [
        _metered(project, (declared[monitored.parameter], monitored), point, evidence)
        for monitored in project.file.monitored
        for point in monitored.points
    ]


def uses_of(project: Project, points: Sequence[Metered], served: Sequence[Served]) -> list[Use]:
    """Every point's uses, in the order of points and of the equipment register."""
    monitored = {one.parameter: one for one in project.file.monitored}
    return [
        Use(point, one)
        for point in points
        for one in served
        if point.plan in points_for(monitored[point.quantity.name], point.quantity, one.id)
    ]


def _metered(project: Project, bound: tuple[Quantity, Monitored], point: PlanPoint, evidence: Evidence) -> Metered:
    quantity, monitored = bound
    facts = evidence.facts.get(point.point, [])
    found = sorted({fact.unit for fact in facts})
    is_time = quantity.kind == "energised_hours"
    name = found[0] if found else GAUGE_UNIT if is_time else quantity.unit
    wanted = GAUGE_UNIT if is_time else quantity.unit
    origins = {fact.origin or MEASURED for fact in facts}
    unusable = _unusable(found, {fact.kind for fact in facts}, GAUGE if is_time else COUNTER, wanted)
    barred = _not_allowed(origins, monitored)
    unusable = barred or unusable
    commissioned = midnight_ms(point.commissioned, project.zone) if point.commissioned else None
    metering = _metering(project.file.plan, quantity, point, "" if unusable else name, commissioned)
    if is_time:
        # A plan that expects fewer readings than the edge takes would bridge hours in which it read nothing GOOD.
        read_ms = [fact.interval_ms for fact in facts if fact.interval_ms]
        metering = metering._replace(interval_ms=min([metering.interval_ms, *read_ms]))
    rows = evidence.rows.get(point.point, [])
    frozen = evidence.frozen.get(point.point, [])
    good = [] if unusable else moving(rows, frozen)
    above = point.energised_above
    lost = evidence.lost.get(point.edge_id, [])
    if above is None:
        course = without_lost(course_of(good, metering), metering, lost)
    else:
        course = voltage_of(good, metering, Decimal(above), lost)
    course = course._replace(incidents=[*course.incidents, *standstills(frozen)])
    last_ms = max((row.t_ms for row in rows), default=NEVER_MS)
    serials = sorted({fact.serial for fact in facts})
    units = (MILLISECOND, quantity.unit) if is_time else (name, name)
    unused = once(row for row in rows if row.quality != Quality.GOOD)
    of = "" if origins <= {MEASURED} else " and ".join(sorted(origins))
    bound_to = (point, quantity, monitored.option, name)
    return Metered(*bound_to, *units, serials, metering, course, last_ms, unusable, unused, of, bool(barred))


def _not_allowed(origins: set[str], monitored: Monitored) -> str:
    """Why readings of these origins cannot measure what is monitored, "" where the plan allows them all."""
    allowed: set[str] = {*monitored.origins}
    if origins <= allowed:
        return ""
    return (
        f"its readings are {' and '.join(sorted(origins - allowed))}, and the plan allows"
        f" {' and '.join(sorted(allowed))} only; name the origin in origins of a plan that may use it"
    )


def _unusable(found: Sequence[str], kinds: set[str], kind: str, wanted: str) -> str:
    """Why a point whose logged units and kinds these are cannot measure in the unit `wanted`, "" when it can."""
    if not found:
        return "no logged configuration describes it"
    if kinds != {kind}:
        can = "only a cumulative register can be counted" if kind == COUNTER else "only a gauge tells energised hours"
        return f"it is a {', '.join(sorted(kinds))}, and {can}"
    if len(found) > 1:
        return f"its unit changes between {' and '.join(found)}"
    name = found[0]
    if name not in UNITS or unit(name).dimension != unit(wanted).dimension:
        return f"its unit {name or '(none)'} does not convert to {wanted}"
    return ""


def _metering(plan: Plan, quantity: Quantity, point: PlanPoint, name: str, commissioned: int | None) -> Metering:
    capacity = None
    if point.capacity_kw is not None and name and unit(name).dimension == "energy":
        capacity = _converted(Decimal(point.capacity_kw), "kWh", name)
    return Metering(quantity.role, plan.interval_s * 1000, plan.boundary_limit_h * HOUR_MS, capacity, commissioned)


def _converted(value: Decimal, from_: str, to: str) -> Decimal:
    """`value` in another unit: exact where that is finite, else to fifty digits."""
    try:
        return convert(value, from_, to)
    except UnitMismatch:
        one, other = unit(from_), unit(to)
        over = FORMULA.multiply(value, Decimal(one.over * other.under))
        return FORMULA.divide(over, Decimal(one.under * other.over))


def measured_in(uses: Sequence[Use], part: Period) -> list[Measured]:
    """What each point measured for each equipment in one vintage."""
    return [_measured(use, part) for use in uses]


def _measured(use: Use, part: Period) -> Measured:
    start_ms, end_ms = use.within(*part)
    outside = [(part.start_ms, min(start_ms, part.end_ms)), (max(end_ms, part.start_ms), part.end_ms)]
    if start_ms >= end_ms:
        outside = [(part.start_ms, part.end_ms)]
    text = f"{use.served.id} was not in service"
    unserved = [Incident("service", one, other, Decimal(0), text) for one, other in outside if one < other]
    if start_ms >= end_ms:
        return Measured(Decimal(0), None, None, unserved, 0, 0, [])
    point = use.point
    if point.plan.energised_above is None:
        measured = measure(point.course, point.metering, start_ms, end_ms, point.unused)
    else:
        measured = measure_energised(point.course, point.metering, (start_ms, end_ms))
    return measured._replace(incidents=[*unserved, *measured.incidents])


def inputs_of(uses: Sequence[Use], measured_of: Sequence[Measured], year: int) -> tuple[list[Input], list[str]]:
    """Every use's input to one vintage from what it measured, and why a quantity is missing."""
    inputs, refusals = [], []
    for (point, served), measured in zip(uses, measured_of, strict=True):
        reasons = [point.unusable] if point.unusable else measured.refusals
        refusals += [f"{point.quantity.name} at {point.plan.point}: {reason}" for reason in reasons]
        quantity = None if reasons or measured.quantity is None else measured.quantity
        calibration = point.plan.calibration
        inputs.append(
            Input(
                parameter=point.quantity.name,
                role=point.quantity.role,
                option=point.option,  # type: ignore[arg-type]
                point=point.plan.point,
                meter_serial=point.plan.serial,
                accuracy_class=point.plan.accuracy_class,
                certificate=calibration.certificate,
                calibration_valid_to=calibration.valid_to.isoformat(),
                year=year,
                start=_register(measured.start, point.unit),
                end=_register(measured.end, point.unit),
                quantity=None
                if quantity is None
                else decimal_text(_converted(quantity, point.counted_unit, point.quantity.unit)),
                unit=point.quantity.unit,
                good_slots=measured.good_slots,
                expected_slots=measured.expected_slots,
                equipment=served.id,
                energised_above=point.plan.energised_above or "",
                origin=point.origin,
            )
        )
    return inputs, refusals


def _register(sample: Sample | None, name: str) -> Register | None:
    if sample is None:
        return None
    row = sample.row
    return Register(
        t_ms=row.t_ms,
        words=f"{row.raw:0{WIDTH_BITS[row.type] // 4}x}",
        type=row.type,
        exponent=row.exponent,
        value=decimal_text(sample.value),
        unit=name,
        epoch=row.epoch,
        leaf=row.leaf,
    )


def lines_of(uses: Sequence[Use], vintages: Sequence[Sequence[Measured]]) -> list[Line]:
    """What a verifier must see of every point, in the order of uses and time; `vintages` as in `inputs_of`.

    What a shared point has for several equipment alike stands once.
    """
    lines = [
        (use.served.id, _line(use.point, incident))
        for k, use in enumerate(uses)
        for measured_of in vintages
        for incident in measured_of[k].incidents
    ]
    seen: dict[Line, str] = {}
    return [line for owner, line in lines if seen.setdefault(line, owner) == owner]


def _line(point: Metered, incident: Incident) -> Line:
    known = rule(incident.rule)
    return Line(
        rule=incident.rule,
        point=point.plan.point,
        start_ms=incident.start_ms,
        end_ms=incident.end_ms,
        hours=decimal_text(FORMULA.divide(Decimal(incident.end_ms - incident.start_ms), Decimal(HOUR_MS))),
        quantity=decimal_text(_converted(incident.quantity, point.counted_unit, point.shown_unit)),
        unit=point.shown_unit,
        effect=known.debited if point.quantity.role == "debited" else known.credited,
        text=incident.text,
    )
