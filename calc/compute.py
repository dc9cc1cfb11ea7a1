"""A period's result from a project, its methodology and the evidence before a cut: pure and repeatable.

Guaranteed: the same arguments give the same result to the last digit, wherever it is computed. Whole tonnes are
rounded once for each calendar year, towards minus infinity, so that they never exceed the exact reductions;
reductions below zero are kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_FLOOR, Context, Decimal
from typing import NamedTuple

from calc.evidence import Evidence
from calc.inputs import Metered, inputs_of, lines_of, measured_in, metered_points
from calc.methodologies.base import FORMULA, FormulaRefused, Methodology
from calc.project import Project, values_of
from calc.readiness import standing_refusals
from calc.rules import RULES_VERSION, table_sha256
from calc.text import decimal_text
from hakari.ledger.result import (
    VERSION,
    Input,
    MethodologyUsed,
    ParameterUsed,
    PeriodResult,
    Vintage,
)
from hakari.period import Period, split_by_calendar_year, time_text

WHOLE = Context(prec=50, rounding=ROUND_FLOOR)
COMPLETENESS_PLACES = Decimal("0.000001")


class _Totals(NamedTuple):
    reference: Decimal | None
    project: Decimal | None
    reductions: Decimal | None
    whole: int | None


def compute(project: Project, methodology: Methodology, evidence: Evidence, label: str, period: Period) -> PeriodResult:
    """The provisional result of `period`, with the reasons why it cannot be locked among its refusals."""
    points = metered_points(project, methodology, evidence)
    until_ms, refusals = _measured_end(points, period)
    measured = Period(period.start_ms, max(until_ms, period.start_ms))
    parameters = values_of(project, methodology)
    vintages, inputs, by_vintage = [], [], []
    for year, part in _years(measured, period, project):
        measured_of = measured_in(points, part)
        by_vintage.append(measured_of)
        found, reasons = inputs_of(points, measured_of, year)
        vintage, why = _vintage(methodology, parameters, found, (year, part))
        inputs += found
        vintages.append(vintage)
        refusals += reasons + why
    totals = _sum(vintages)
    edge_problems = [f"evidence cannot be read: {problem}" for problem in evidence.problems]
    refusals += standing_refusals(project, methodology, points, period) + edge_problems
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
        parameters=_parameters(project),
        reference_tco2=_text(totals.reference),
        project_tco2=_text(totals.project),
        reductions_tco2=_text(totals.reductions),
        reductions_whole_tco2=totals.whole,
        completeness=_completeness(inputs),
        vintages=vintages,
        inputs=inputs,
        lines=lines_of(points, by_vintage) if measured.length_ms else [],
        cuts=evidence.cuts,
        configurations=evidence.configurations,
        refusals=list(dict.fromkeys(refusals)),
    )


def _years(measured: Period, period: Period, project: Project) -> list[tuple[int, Period]]:
    """The calendar years that were measured; of a period without any measurement its first year, empty."""
    if measured.length_ms:
        return [(vintage.year, vintage.period) for vintage in split_by_calendar_year(measured, project.zone)]
    return [(split_by_calendar_year(period, project.zone)[0].year, measured)]


def _measured_end(points: Sequence[Metered], period: Period) -> tuple[int, list[str]]:
    """The end, or before it the last instant that all points have reached, and why the period is not over."""
    late, end_ms = [], period.end_ms
    for point in points:
        if point.metering.commissioned_ms is not None and point.metering.commissioned_ms >= period.end_ms:
            continue
        if any(row.t_ms >= period.end_ms for row in point.rows):
            continue
        last = point.course.at(period.end_ms)
        last_ms = point.course.times[last] if last >= 0 else period.start_ms
        late.append(f"period is not over at the cut: last GOOD reading of {point.plan.point} at {time_text(last_ms)}")
        end_ms = min(end_ms, last_ms)
    return end_ms, late


def _vintage(
    methodology: Methodology, parameters: Mapping[str, Decimal], inputs: Sequence[Input], at: tuple[int, Period]
) -> tuple[Vintage, list[str]]:
    year, part = at
    quantities: dict[str, Decimal] = {}
    for one in inputs:
        if one.quantity is not None:
            sum_ = FORMULA.add(quantities.get(one.parameter, Decimal(0)), Decimal(one.quantity))
            quantities[one.parameter] = sum_
    complete = all(one.quantity is not None for one in inputs)
    totals, refusals = _Totals(None, None, None, None), []
    if complete:
        try:
            emissions = methodology.evaluate(quantities, parameters)
            totals = _totals(emissions.reference, emissions.project)
        except FormulaRefused as error:
            refusals.append(str(error))
    shown = {name: decimal_text(value) for name, value in sorted(quantities.items())} if complete else {}
    return (
        Vintage(
            year=year,
            start_ms=part.start_ms,
            end_ms=part.end_ms,
            quantities=shown,
            reference_tco2=_text(totals.reference),
            project_tco2=_text(totals.project),
            reductions_tco2=_text(totals.reductions),
            reductions_whole_tco2=totals.whole,
        ),
        refusals,
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


def _completeness(inputs: Sequence[Input]) -> str:
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
    )


def _parameters(project: Project) -> list[ParameterUsed]:
    return [
        ParameterUsed(
            name=one.name,
            value=one.value,
            unit=one.unit,
            standing=one.standing,
            source=one.source,
            document_sha256=one.document_sha256,
            approver=one.approver,
        )
        for one in project.file.parameter
    ]


def _text(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)
