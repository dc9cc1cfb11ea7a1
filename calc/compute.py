"""A period's result from a project, its methodology and the evidence before a cut: pure and repeatable.

Guaranteed: the same arguments give the same result to the last digit, wherever it is computed. Whole tonnes are
rounded once for each calendar year, towards minus infinity, so that they never exceed the exact reductions;
reductions below zero are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_FLOOR, Context, Decimal
from functools import reduce
from typing import NamedTuple

from calc.emissions import Computed, constants_used, emissions_of, equipment_used, given_used, shown_quantities
from calc.equipment import Served, served_of
from calc.evidence import Evidence
from calc.given import given_of
from calc.inputs import Metered, Use, inputs_of, lines_of, measured_in, metered_points, uses_of
from calc.methodologies.base import FORMULA, Methodology
from calc.project import Project
from calc.readiness import standing_refusals
from calc.rules import RULES_VERSION, table_sha256
from calc.text import decimal_text, text_or_none
from calc.trail import UNDATED, evidence_of_point
from hakari.ledger.result import VERSION, Given, Input, MethodologyUsed, PeriodResult, PointEvidence, Vintage
from hakari.period import Period, split_by_calendar_year, time_text
from hakari.wire.rows import once

WHOLE = Context(prec=50, rounding=ROUND_FLOOR)
COMPLETENESS_PLACES = Decimal("0.000001")


class _Totals(NamedTuple):
    reference: Decimal | None
    project: Decimal | None
    reductions: Decimal | None
    whole: int | None


class Prepared(NamedTuple):
    """A project over one evidence: every point's course built once, from which any period is computed."""

    project: Project
    methodology: Methodology
    evidence: Evidence
    points: list[Metered]
    served: list[Served]
    uses: list[Use]


def compute(project: Project, methodology: Methodology, evidence: Evidence, label: str, period: Period) -> PeriodResult:
    """The provisional result of `period`, with the reasons why it cannot be locked among its refusals."""
    return compute_prepared(prepare(project, methodology, evidence), label, period)


def prepare(project: Project, methodology: Methodology, evidence: Evidence) -> Prepared:
    """What all periods of one evidence share. A course depends on readings alone, so that none of them changes it."""
    points = metered_points(project, methodology, evidence)
    served = served_of(project.file, methodology.data, project.zone)
    return Prepared(project, methodology, evidence, points, served, uses_of(project, points, served))


def compute_prepared(prepared: Prepared, label: str, period: Period) -> PeriodResult:
    """As `compute`, from courses already built: for many periods, such as local days, of one evidence."""
    project, methodology, evidence, uses = prepared.project, prepared.methodology, prepared.evidence, prepared.uses
    until_ms, refusals = _measured_end(uses, period)
    measured = Period(period.start_ms, max(until_ms, period.start_ms))
    vintages, inputs, by_vintage, by_equipment = [], [], [], []
    for year, part in _years(measured, period, project):
        measured_of = measured_in(uses, part)
        by_vintage.append(measured_of)
        found, reasons = inputs_of(uses, measured_of, year)
        of_equipment, why = emissions_of(methodology, prepared.served, found)
        inputs += found
        by_equipment.append((year, of_equipment))
        vintages.append(_vintage(of_equipment, (year, part)))
        refusals += reasons + why
    totals = _sum(vintages)
    edge_problems = [f"evidence cannot be read: {problem}" for problem in evidence.problems]
    rests_on = _rests_on(prepared, measured)
    unrecorded = [f"evidence does not hold: {one.unrecorded}" for one in rests_on if one.unrecorded]
    refusals += standing_refusals(project, methodology, uses, period) + edge_problems + unrecorded
    return PeriodResult(
        v=VERSION,
        project=project.id,
        name=project.file.project.name,
        project_sha256=project.sha256,
        label=label,
        zone=project.file.project.zone,
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        measured_end_ms=measured.end_ms,
        state="provisional",
        methodology=_used(methodology),
        rules_version=RULES_VERSION,
        rules_sha256=table_sha256(),
        parameters=given_used(project.file.parameter),
        reference_tco2=text_or_none(totals.reference),
        project_tco2=text_or_none(totals.project),
        reductions_tco2=text_or_none(totals.reductions),
        reductions_whole_tco2=totals.whole,
        completeness=completeness_of(inputs),
        vintages=vintages,
        inputs=inputs,
        lines=lines_of(uses, by_vintage) if measured.length_ms else [],
        cuts=evidence.cuts,
        configurations=evidence.configurations,
        refusals=list(dict.fromkeys(refusals)),
        equipment=equipment_used(methodology, prepared.served, by_equipment),
        evidence=rests_on,
        given=_given(prepared, inputs),
    )


def _rests_on(prepared: Prepared, measured: Period) -> list[PointEvidence]:
    """What the log says of each bound point and its edge's clock."""
    evidence = prepared.evidence
    found = []
    for point in prepared.points:
        name, edge_id = point.plan.point, point.plan.edge_id
        about = (name, evidence.stands.get(name, []), evidence.clocks.get(edge_id, UNDATED))
        found.append(evidence_of_point(*about, measured, point.metering.boundary_limit_ms))
    return [one for one in found if one is not None]


def _given(prepared: Prepared, inputs: Sequence[Input]) -> list[Given]:
    """What gave the readings that each unmeasured input rests on, and those between its boundaries."""
    ends: dict[str, tuple[int, int]] = {}
    for one in inputs:
        if one.origin and one.start is not None and one.end is not None:
            first_ms, last_ms = ends.get(one.point, (one.start.t_ms, one.end.t_ms))
            ends[one.point] = min(first_ms, one.start.t_ms), max(last_ms, one.end.t_ms)
    found: list[Given] = []
    for point in prepared.points:
        name = point.plan.point
        if name in ends:
            rows = once(prepared.evidence.rows.get(name, []))
            inside = [row for row in rows if ends[name][0] <= row.t_ms <= ends[name][1]]
            found += given_of(name, point.origin, inside, prepared.evidence.imported)
    return found


def _years(measured: Period, period: Period, project: Project) -> list[tuple[int, Period]]:
    """The calendar years that were measured; of a period without any measurement its first year, empty."""
    if measured.length_ms:
        return [(vintage.year, vintage.period) for vintage in split_by_calendar_year(measured, project.zone)]
    return [(split_by_calendar_year(period, project.zone)[0].year, measured)]


def _measured_end(uses: Sequence[Use], period: Period) -> tuple[int, list[str]]:
    """The end, or before it the last instant that all points have reached, and why the period is not over.

    A point need not go on when its equipment is out of service, once another one of the project has.
    """
    late, end_ms = [], period.end_ms
    reached_ms = max((use.point.last_ms for use in uses), default=period.start_ms)
    for use in uses:
        point = use.point
        if point.barred:
            continue
        since_ms, until_ms = use.within(max(period.start_ms, point.metering.commissioned_ms or 0), period.end_ms)
        if since_ms >= until_ms or point.last_ms >= until_ms or period.end_ms > until_ms <= reached_ms:
            continue
        last = point.course.at(period.end_ms)
        last_ms = point.course.times[last] if last >= 0 else period.start_ms
        late.append(f"period is not over at the cut: last GOOD reading of {point.plan.point} at {time_text(last_ms)}")
        end_ms = min(end_ms, last_ms)
    return end_ms, late


def _vintage(of_equipment: Sequence[Computed], at: tuple[int, Period]) -> Vintage:
    """The sum over equipment, rounded once; without figures where one has none."""
    year, part = at
    totals = _Totals(None, None, None, None)
    found = [one.emissions for one in of_equipment if one.emissions is not None]
    if found and len(found) == len(of_equipment):
        reference = reduce(FORMULA.add, (one.reference for one in found))
        totals = _totals(reference, reduce(FORMULA.add, (one.project for one in found)))
    return Vintage(
        year=year,
        start_ms=part.start_ms,
        end_ms=part.end_ms,
        quantities=shown_quantities(of_equipment),
        reference_tco2=text_or_none(totals.reference),
        project_tco2=text_or_none(totals.project),
        reductions_tco2=text_or_none(totals.reductions),
        reductions_whole_tco2=totals.whole,
    )


def _totals(reference: Decimal, project: Decimal) -> _Totals:
    reductions = FORMULA.subtract(reference, project)
    return _Totals(reference, project, reductions, int(WHOLE.to_integral_value(reductions)))


def _sum(vintages: Sequence[Vintage]) -> _Totals:
    """The period's totals are those of its vintages: the whole tonnes too, so that nothing is rounded twice."""
    reference = project = reductions = Decimal(0)
    whole = 0
    for one in vintages:
        if (
            one.reference_tco2 is None
            or one.project_tco2 is None
            or one.reductions_tco2 is None
            or one.reductions_whole_tco2 is None
        ):
            return _Totals(None, None, None, None)
        reference = FORMULA.add(reference, Decimal(one.reference_tco2))
        project = FORMULA.add(project, Decimal(one.project_tco2))
        reductions = FORMULA.add(reductions, Decimal(one.reductions_tco2))
        whole += one.reductions_whole_tco2
    return _Totals(reference, project, reductions, whole)


def completeness_of(inputs: Sequence[Input]) -> str:
    """The share of expected slots with a GOOD reading, 0 to 1, rounded down; "0" where none was expected."""
    good, expected = sum(one.good_slots for one in inputs), sum(one.expected_slots for one in inputs)
    if not expected:
        return "0"
    return decimal_text((Decimal(good) / Decimal(expected)).quantize(COMPLETENESS_PLACES, ROUND_DOWN))


def _used(methodology: Methodology) -> MethodologyUsed:
    data = methodology.data
    return MethodologyUsed(
        code=data.code,
        version=data.version,
        title=data.title,
        title_ja=data.title_ja,
        sha256=methodology.sha256,
        standing=data.standing,
        notice=methodology.notice,
        notice_ja=methodology.notice_ja,
        formula=data.formula,
        constants=constants_used(data),
    )
