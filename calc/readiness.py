"""Why a result cannot be locked, apart from what its evidence says: standing, certificates, capacities, serials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from calc.inputs import Use
from calc.methodologies.base import Methodology
from calc.methodologies.declared import Data
from calc.project import Project
from calc.projectfile import Given
from hakari.period import Period, local_date


def standing_refusals(project: Project, methodology: Methodology, uses: Sequence[Use], period: Period) -> list[str]:
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
        if not _published(one)
    ]
    for one in project.file.equipment:
        if names := [given.name for given in one.parameter if not _published(given)]:
            reasons.append(
                f"{', '.join(names)} of equipment {one.id} must be published to lock, each with its document's SHA-256"
                " and an approver"
            )
    if names := [what for what, standing in _of_methodology(data, uses) if standing != "published"]:
        reasons.append(f"{', '.join(names)} of methodology {data.code} must stand in the published text to lock")
    for use in uses:
        reasons += _use_refusals(project, use, period)
    reasons += _one_meter_twice(uses, period)
    return list(dict.fromkeys(reasons))


def _published(given: Given) -> bool:
    return given.standing == "published" and bool(given.approver and given.document_sha256)


def _of_methodology(data: Data, uses: Sequence[Use]) -> Iterator[tuple[str, str]]:
    """The constants and the classes in use, each with its standing."""
    for one in data.constant:
        yield f"constant {one.name}", one.standing
    classes = {use.served.class_.key: use.served.class_ for use in uses if use.served.class_ is not None}
    for key, class_ in classes.items():
        yield f"class {key}", class_.standing


def _one_meter_twice(uses: Sequence[Use], period: Period) -> Iterator[str]:
    """Points whose sum takes one meter's registers twice at the same time; serials are the same in any case."""
    of_meter: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for use in uses:
        start_ms, end_ms = use.within(*period)
        serial = use.point.plan.serial.strip().casefold()
        if serial and start_ms < end_ms and use.point.quantity.kind == "register":
            times = of_meter.setdefault((use.point.quantity.name, serial), {})
            first_ms, last_ms = times.get(use.point.plan.point, (start_ms, end_ms))
            times[use.point.plan.point] = min(first_ms, start_ms), max(last_ms, end_ms)
    for (parameter, serial), times in of_meter.items():
        for one, other in pairwise(sorted(times, key=times.__getitem__)):
            if times[other][0] < times[one][1]:
                yield (
                    f"points {one} and {other} of {parameter}, both with serial {serial!r}, are of one meter, so its"
                    " energy may count twice"
                )


def _use_refusals(project: Project, use: Use, period: Period) -> list[str]:
    if use.point.barred:
        return []
    point, zone = use.point, project.zone
    name, calibration = point.plan.point, point.plan.calibration
    start_ms, end_ms = use.within(*period)
    first, last = local_date(start_ms, zone), local_date(end_ms - 1, zone)
    if point.plan.commissioned is not None:
        first = max(first, point.plan.commissioned)
    reasons = []
    if first <= last and not (calibration.date <= first and last <= calibration.valid_to):
        reasons.append(
            f"calibration {calibration.certificate!r} of {name} holds from {calibration.date} to"
            f" {calibration.valid_to}, not the whole period"
        )
    is_register = point.quantity.kind == "register"
    if is_register and point.quantity.role != "debited" and point.metering.capacity is None:
        reasons.append(f"point {name} has no capacity_kw, so that its steps cannot be checked")
    if point.serials and point.serials != [point.plan.serial]:
        reasons.append(
            f"meter of {name} has serial {point.plan.serial!r} in the plan but {', '.join(point.serials)} in the"
            " logged configuration"
        )
    return reasons
