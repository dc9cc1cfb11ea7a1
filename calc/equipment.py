"""The equipment register against a methodology: which class each one is of, its values, and what measures it.

Guaranteed of checked equipment: it gives every parameter that the methodology declares, exactly one class holds its
size, and each quantity has a point of its own or one that is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calc.methodologies.declared import UNITS, Data, EquipmentClass, Parameter, Quantity
from calc.projectfile import Equipment, Given, Monitored, PlanPoint, ProjectFile, ProjectRefused
from hakari import units
from hakari.period import midnight_ms

MAX_ENERGISED_INTERVAL_S = 3600  # between readings further apart an outage would pass unseen


class Served(NamedTuple):
    """One equipment and what its formula takes beside quantities. Without equipment there is one, whose id is "".

    It counts from `since_ms` until just before `until_ms`, None for no limit.
    """

    id: str
    equipment: Equipment | None
    class_: EquipmentClass | None
    parameters: Mapping[str, Decimal]
    since_ms: int | None = None
    until_ms: int | None = None


def served_of(file: ProjectFile, data: Data, zone: ZoneInfo) -> list[Served]:
    """Every equipment of a checked project in the order of its file; else ProjectRefused."""
    common = values_within(file.parameter, data.parameter, "parameter") | _constants(data)
    if not data.has_equipment:
        return [Served("", None, None, common)]
    return [_served(one, data, common, zone) for one in file.equipment]


def _served(one: Equipment, data: Data, common: Mapping[str, Decimal], zone: ZoneInfo) -> Served:
    own = values_within(one.parameter, data.equipment_parameter, _named(one))
    class_ = class_of(one, data)
    of_class = {} if class_ is None else {name: Decimal(value) for name, value in class_.values.items()}
    until_ms = None if one.out_of_service is None else midnight_ms(one.out_of_service, zone)
    parameters = {**common, **own, **of_class, UNITS: Decimal(one.units)}
    return Served(one.id, one, class_, parameters, midnight_ms(one.in_service, zone), until_ms)


def _constants(data: Data) -> dict[str, Decimal]:
    return {one.name: Decimal(one.value) for one in data.constant}


def points_for(monitored: Monitored, quantity: Quantity, equipment_id: str) -> list[PlanPoint]:
    """The points that measure a quantity for one equipment: its own, or the shared ones where it has none."""
    own = [point for point in monitored.points if point.equipment == equipment_id]
    if own or not quantity.shared:
        return own
    return [point for point in monitored.points if not point.equipment]


def class_of(one: Equipment, data: Data) -> EquipmentClass | None:
    """The methodology's class of this equipment, None where it has no classes; ProjectRefused where none holds it."""
    if not data.class_:
        return None
    limited = data.class_[0].parameter
    if not limited:
        found = next((known for known in data.class_ if known.key == one.class_), None)
        if found is None:
            raise ProjectRefused(f"{_named(one)}: class {one.class_[:60]!r} is not known; known are {_keys(data)}")
        return found
    size = values_within(one.parameter, data.equipment_parameter, _named(one))[limited]
    shown = f"{limited} = {size} {next(p.unit for p in data.equipment_parameter if p.name == limited)}"
    found = next((known for known in data.class_ if known.holds(size)), None)
    if found is None:
        raise ProjectRefused(f"{_named(one)}: {shown} is outside every class of {data.code}; classes are {_keys(data)}")
    if one.class_ not in {"", found.key}:
        raise ProjectRefused(f"{_named(one)}: {shown} belongs to class {found.key}, not {one.class_[:60]!r}; mend one")
    return found


def check_equipment(file: ProjectFile, data: Data) -> None:
    """Nothing, if the register is what the methodology needs; ProjectRefused or a unit's error otherwise."""
    if not data.has_equipment:
        if file.equipment:
            raise ProjectRefused(f"[[equipment]] is not declared; methodology {data.code} has no equipment")
        return
    if not file.equipment:
        raise ProjectRefused(f"[[equipment]] is missing; methodology {data.code} is computed for each, so add one")
    declared = [one.name for one in data.equipment_parameter]
    for one in file.equipment:
        check_same(f"{_named(one)}: [[equipment.parameter]]", [given.name for given in one.parameter], declared)
        values_within(one.parameter, data.equipment_parameter, _named(one))
        class_of(one, data)


def check_points(file: ProjectFile, data: Data) -> None:
    """Nothing, if every quantity of every equipment is measured, and by points that suit it; else ProjectRefused."""
    quantities = {one.name: one for one in data.quantity}
    ids = [one.id for one in file.equipment] if data.has_equipment else [""]
    for monitored in file.monitored:
        quantity = quantities[monitored.parameter]
        for point in monitored.points:
            _check_point(point, quantity, data)
        _check_measured(monitored, quantity, ids)
        if quantity.kind == "energised_hours" and file.plan.interval_s > MAX_ENERGISED_INTERVAL_S:
            raise ProjectRefused(
                f"[plan].interval_s = {file.plan.interval_s} is too long for energised hours {quantity.name}, limit"
                f" {MAX_ENERGISED_INTERVAL_S}; read the voltage more often"
            )


def _check_point(point: PlanPoint, quantity: Quantity, data: Data) -> None:
    if point.equipment and not data.has_equipment:
        raise ProjectRefused(f"point {point.point} names equipment, and methodology {data.code} has none; leave it out")
    if data.has_equipment and not point.equipment and not quantity.shared:
        raise ProjectRefused(f"point {point.point} of {quantity.name} names no equipment; say which one it measures")
    if quantity.kind == "energised_hours" and point.energised_above is None:
        raise ProjectRefused(f"point {point.point} of {quantity.name} has no energised_above; give the threshold")
    if quantity.kind == "register" and point.energised_above is not None:
        raise ProjectRefused(f"point {point.point} of {quantity.name} is a register; leave energised_above out")


def _check_measured(monitored: Monitored, quantity: Quantity, ids: Sequence[str]) -> None:
    used = set()
    for equipment_id in ids:
        found = points_for(monitored, quantity, equipment_id)
        who = f"[[equipment]] {equipment_id}" if equipment_id else "the project"
        if not found:
            raise ProjectRefused(f"{who} has no point that measures {quantity.name}; add one to [[monitored.points]]")
        if quantity.kind == "energised_hours" and len(found) > 1:
            raise ProjectRefused(
                f"{who} has {len(found)} points for {quantity.name}, whose hours would be added up; keep one"
            )
        used |= {point.point for point in found}
    for point in monitored.points:
        if point.point not in used:
            raise ProjectRefused(f"point {point.point} measures {quantity.name} for no equipment; leave it out")


def values_within(given: Sequence[Given], declared: Sequence[Parameter], what: str) -> dict[str, Decimal]:
    """Values by name in the declared units; ProjectRefused where one does not convert or is outside its limits."""
    known = {one.name: one for one in declared}
    prefix = "parameter" if what == "parameter" else f"{what}: parameter"
    return {one.name: _value(one, known[one.name], f"{prefix} {one.name}") for one in given}


def _value(given: Given, wanted: Parameter, what: str) -> Decimal:
    try:
        value = units.convert(Decimal(given.value), given.unit, wanted.unit)
    except (units.UnitUnknown, units.UnitMismatch) as error:
        raise ProjectRefused(f"{what}: {error}") from error
    low, high = wanted.minimum, wanted.maximum
    if (low is not None and value < Decimal(low)) or (high is not None and value > Decimal(high)):
        raise ProjectRefused(f"{what} = {given.value} {given.unit} is outside {low} to {high} {wanted.unit}; mend it")
    return value


def check_same(table: str, given: Sequence[str], declared: Sequence[str]) -> None:
    """Refuses names that are missing, unknown or repeated in `table`, each by its name."""
    for name in declared:
        if name not in given:
            raise ProjectRefused(f"{table} {name} is missing; the methodology declares it, so add it")
    for name in given:
        if name not in declared:
            raise ProjectRefused(f"{table} {name[:60]!r} is not declared; the methodology knows {list(declared)}")
        if given.count(name) > 1:
            raise ProjectRefused(f"{table} {name} is given twice; keep one")


def _named(one: Equipment) -> str:
    return f"[[equipment]] {one.id}"


def _keys(data: Data) -> str:
    return ", ".join(f"{one.key} ({one.limits})" if one.limits else one.key for one in data.class_)
