"""Why a result cannot be locked, apart from what its evidence says: standing, certificates, capacities, serials."""

from __future__ import annotations

from collections.abc import Sequence

from calc.inputs import Metered
from calc.methodologies.base import Methodology
from calc.project import Project
from hakari.period import Period, local_date


def standing_refusals(
    project: Project, methodology: Methodology, points: Sequence[Metered], period: Period
) -> list[str]:
    """One sentence a reason; none means that nothing here stands in the way."""
    reasons = []
    data = methodology.data
    if not methodology.approved:
        reasons.append(
            f"methodology {data.code} {data.version} is {data.standing} and {methodology.notice};"
            " only a published and approved text can be locked"
        )
    reasons += [
        f"parameter {one.name} is {one.standing}; to lock it must be published, with its document's SHA-256"
        " and an approver"
        for one in project.file.parameter
        if one.standing != "published" or not one.approver or not one.document_sha256
    ]
    for point in points:
        reasons += _point_refusals(project, point, period)
    return reasons


def _point_refusals(project: Project, point: Metered, period: Period) -> list[str]:
    name, calibration = point.plan.point, point.plan.calibration
    first = local_date(period.start_ms, project.zone)
    if point.plan.commissioned is not None:
        first = max(first, point.plan.commissioned)
    last = local_date(period.end_ms - 1, project.zone)
    reasons = []
    if first <= last and not (calibration.date <= first and last <= calibration.valid_to):
        reasons.append(
            f"calibration {calibration.certificate!r} of {name} holds from {calibration.date} to"
            f" {calibration.valid_to}, not the whole period"
        )
    if point.quantity.role != "debited" and point.metering.capacity is None:
        reasons.append(f"point {name} has no capacity_kw, so that its steps cannot be checked")
    if point.serials and point.serials != [point.plan.serial]:
        reasons.append(
            f"meter of {name} has serial {point.plan.serial!r} in the plan but {', '.join(point.serials)} in the"
            " logged configuration"
        )
    return reasons
