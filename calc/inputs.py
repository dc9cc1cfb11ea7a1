"""Each metering point's share of a result: its course, its boundary registers with their origin, its lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from calc.evidence import Evidence
from calc.methodologies.base import FORMULA, Methodology, Quantity
from calc.project import Plan, PlanPoint, Project
from calc.quantity import Measured, measure
from calc.registers import HOUR_MS, Course, Incident, Metering, Sample, course_of
from calc.rules import rule
from calc.text import decimal_text
from hakari.ledger.result import Input, Line, Register
from hakari.period import Period, midnight_ms
from hakari.registers.reading import WIDTH_BITS
from hakari.units import UNITS, UnitMismatch, convert, unit
from hakari.wire.rows import Row

COUNTER = "counter"


class Metered(NamedTuple):
    """One bound point with what the plan and the logged configuration say of it. `unusable` is "" or why not."""

    plan: PlanPoint
    quantity: Quantity
    option: str
    unit: str
    serials: list[str]
    metering: Metering
    rows: list[Row]
    course: Course
    unusable: str


def metered_points(project: Project, methodology: Methodology, evidence: Evidence) -> list[Metered]:
    """Every bound point in the order of the project file."""
    declared = {one.name: one for one in methodology.data.quantity}
    return [
        _metered(project, (declared[monitored.parameter], monitored.option), point, evidence)
        for monitored in project.file.monitored
        for point in monitored.points
    ]


def _metered(project: Project, bound: tuple[Quantity, str], point: PlanPoint, evidence: Evidence) -> Metered:
    quantity, option = bound
    facts = evidence.facts.get(point.point, [])
    units = sorted({fact.unit for fact in facts})
    name = units[0] if units else quantity.unit
    unusable = _unusable(facts_units=units, kinds={fact.kind for fact in facts}, wanted=quantity.unit)
    commissioned = midnight_ms(point.commissioned, project.zone) if point.commissioned else None
    metering = _metering(project.file.plan, quantity, point, "" if unusable else name, commissioned)
    rows = evidence.rows.get(point.point, [])
    course = course_of([] if unusable else rows, metering)
    serials = sorted({fact.serial for fact in facts})
    return Metered(point, quantity, option, name, serials, metering, rows, course, unusable)


def _unusable(facts_units: Sequence[str], kinds: set[str], wanted: str) -> str:
    """Why a point cannot measure a quantity in the unit `wanted`, "" when it can."""
    if not facts_units:
        return "no logged configuration describes it"
    if kinds != {COUNTER}:
        return f"it is a {', '.join(sorted(kinds))}, and only a cumulative register can be counted"
    if len(facts_units) > 1:
        return f"its unit changes between {' and '.join(facts_units)}"
    name = facts_units[0]
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


def measured_in(points: Sequence[Metered], part: Period) -> list[Measured]:
    """What each point measured in one vintage."""
    return [measure(point.course, point.metering, part.start_ms, part.end_ms) for point in points]


def inputs_of(points: Sequence[Metered], measured_of: Sequence[Measured], year: int) -> tuple[list[Input], list[str]]:
    """Every point's input to one vintage from what it measured, and why a quantity is missing."""
    inputs, refusals = [], []
    for point, measured in zip(points, measured_of, strict=True):
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
                else decimal_text(_converted(quantity, point.unit, point.quantity.unit)),
                unit=point.quantity.unit,
                good_slots=measured.good_slots,
                expected_slots=measured.expected_slots,
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


def lines_of(points: Sequence[Metered], vintages: Sequence[Sequence[Measured]]) -> list[Line]:
    """What a verifier must see of every point, in the order of points and time; `vintages` as in `inputs_of`."""
    return [
        _line(point, incident)
        for k, point in enumerate(points)
        for measured_of in vintages
        for incident in measured_of[k].incidents
    ]


def _line(point: Metered, incident: Incident) -> Line:
    known = rule(incident.rule)
    return Line(
        rule=incident.rule,
        point=point.plan.point,
        start_ms=incident.start_ms,
        end_ms=incident.end_ms,
        hours=decimal_text(FORMULA.divide(Decimal(incident.end_ms - incident.start_ms), Decimal(HOUR_MS))),
        quantity=decimal_text(incident.quantity),
        unit=point.unit,
        effect=known.debited if point.quantity.role == "debited" else known.credited,
        text=incident.text,
    )
