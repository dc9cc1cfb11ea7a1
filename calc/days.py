"""A month's local days, for operators' eyes: each bound point's quantity, each project's emissions as a draft.

Guaranteed: from the same courses and functions as the month's own result, so that the days of a point add up to the
month exactly where its boundary registers exist; what is refused has no figure. Nothing here credits. A measurement gap
over midnights (`calc.lost`) is no exception for what is credited; what is debited has the whole of it on each day.

Days go as far as the newest reading of any point, while a month that is not over ends where its slowest point does:
until then the days of the faster points may be more than the month.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from calc.compute import Prepared, completeness_of, compute_prepared
from calc.equipment import Served
from calc.inputs import Use, inputs_of, measured_in
from calc.project import Project
from calc.quantity import Measured
from hakari.ledger.result import Input
from hakari.period import Period, day, local_date
from hakari.store.operations import EmissionsDay, PointDay

MAX_DAYS = 400
# What is only how it was agreed, and nothing that went wrong.
AGREED = frozenset({"commissioned", "service"})


class Days(NamedTuple):
    """The local days of one period."""

    points: list[PointDay]
    emissions: list[EmissionsDay]


def days_of(prepared: Prepared, period: Period, *, locked: bool) -> Days:
    """The days of `period` from its first until the last that has a reading; that one is counted as far as it goes."""
    reached_ms = max((point.last_ms for point in prepared.points), default=period.start_ms)
    uses = _one_use_a_point(prepared.uses)
    days = Days([], [])
    for label, whole in _days_in(period, prepared.project):
        if whole.start_ms >= reached_ms or len(days.emissions) == MAX_DAYS:
            break
        part = Period(whole.start_ms, min(whole.end_ms, reached_ms))
        measured_of = measured_in(uses, part)
        inputs, _ = inputs_of(uses, measured_of, label.year)
        for one, measured in zip(inputs, measured_of, strict=True):
            days.points.append(_point_day(prepared.project, part.start_ms, one, measured))
        days.emissions.append(_emissions_day(prepared, label, whole, inputs, locked=locked))
    return days


def _days_in(period: Period, project: Project) -> Iterator[tuple[date, Period]]:
    """Each local day of a period that begins at a local midnight; a day that the zone skipped is none."""
    zone = project.zone
    label, last = local_date(period.start_ms, zone), local_date(period.end_ms - 1, zone)
    while label <= last:
        whole = day(label, zone)
        part = Period(max(whole.start_ms, period.start_ms), min(whole.end_ms, period.end_ms))
        if part.start_ms < part.end_ms:
            yield label, part
        label += timedelta(days=1)


def _one_use_a_point(uses: Sequence[Use]) -> list[Use]:
    """Every point once: one that several equipment share counts from the first one's service to the last one's."""
    first: dict[tuple[str, str], Use] = {}
    for use in uses:
        key = (use.point.plan.point, use.point.quantity.name)
        known = first.get(key)
        first[key] = use if known is None else Use(known.point, _hull(known, use))
    return list(first.values())


def _hull(one: Use, other: Use) -> Served:
    since = [use.served.since_ms for use in (one, other)]
    until = [use.served.until_ms for use in (one, other)]
    return one.served._replace(
        since_ms=None if None in since else min(ms for ms in since if ms is not None),
        until_ms=None if None in until else max(ms for ms in until if ms is not None),
    )


def _point_day(project: Project, t_ms: int, one: Input, measured: Measured) -> PointDay:
    return PointDay(
        t_ms=t_ms,
        project=project.id,
        point=one.point,
        quantity=one.parameter,
        unit=one.unit,
        amount_text=one.quantity or "",
        good_slots=one.good_slots,
        expected_slots=one.expected_slots,
        incidents=sum(incident.rule not in AGREED for incident in measured.incidents),
    )


def _emissions_day(
    prepared: Prepared, label: date, whole: Period, inputs: Sequence[Input], *, locked: bool
) -> EmissionsDay:
    """The day's emissions, None where one of its points is refused; complete as far as all its points are."""
    project, data = prepared.project, prepared.methodology.data
    result = compute_prepared(prepared, label.isoformat(), whole)
    refused = any(one.quantity is None for one in inputs)
    return EmissionsDay(
        t_ms=whole.start_ms,
        project=project.id,
        site="+".join(sorted({edge_id.rsplit("-", 1)[0] for edge_id in project.edge_ids})),
        methodology=data.code,
        standing=data.standing,
        reference_tco2=None if refused else result.reference_tco2,
        project_tco2=None if refused else result.project_tco2,
        reductions_tco2=None if refused else result.reductions_tco2,
        completeness=completeness_of(inputs),
        locked=locked,
    )
