"""What each equipment gives in a vintage, and how a result shows it: its values, its quantities and its emissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from calc.equipment import Served
from calc.methodologies.base import FORMULA, Emissions, FormulaRefused, Methodology
from calc.methodologies.declared import ClassParameter, Constant, Data, EquipmentClass
from calc.projectfile import Given
from calc.text import decimal_text, text_or_none
from hakari.ledger.result import EquipmentUsed, EquipmentVintage, Input, ParameterUsed


class Computed(NamedTuple):
    """One equipment in one vintage: its quantities so far, and its emissions, None where something was refused."""

    id: str
    quantities: Mapping[str, Decimal]
    complete: bool
    emissions: Emissions | None

    def shown(self) -> dict[str, str]:
        """Quantities as results write them; empty where one was refused."""
        return {name: decimal_text(value) for name, value in sorted(self.quantities.items())} if self.complete else {}


def emissions_of(
    methodology: Methodology, served: Sequence[Served], inputs: Sequence[Input]
) -> tuple[list[Computed], list[str]]:
    """The formula for each equipment over one vintage's inputs, and why it has no value."""
    by_id: dict[str, list[Input]] = {one.id: [] for one in served}
    for given in inputs:
        by_id[given.equipment].append(given)
    computed, refusals = [], []
    for one in served:
        found, reason = _computed(methodology, one, by_id[one.id])
        computed.append(found)
        refusals += [reason] if reason else []
    return computed, refusals


def _computed(methodology: Methodology, served: Served, inputs: Sequence[Input]) -> tuple[Computed, str]:
    quantities: dict[str, Decimal] = {}
    for one in inputs:
        if one.quantity is not None:
            known = quantities.get(one.parameter, Decimal(0))
            quantities[one.parameter] = FORMULA.add(known, Decimal(one.quantity))
    if any(one.quantity is None for one in inputs):
        return Computed(served.id, quantities, False, None), ""
    try:
        return Computed(served.id, quantities, True, methodology.evaluate(quantities, served.parameters)), ""
    except FormulaRefused as error:
        reason = f"equipment {served.id}: {error}" if served.id else str(error)
        return Computed(served.id, quantities, True, None), reason


def shown_quantities(computed: Sequence[Computed]) -> dict[str, str]:
    """A vintage's quantities, of equipment as `EC[chiller-1]`; empty where one was refused."""
    if not all(one.complete for one in computed):
        return {}
    shown = {f"{name}[{one.id}]" if one.id else name: value for one in computed for name, value in one.shown().items()}
    return dict(sorted(shown.items()))


def equipment_used(
    methodology: Methodology, served: Sequence[Served], vintages: Sequence[tuple[int, Sequence[Computed]]]
) -> list[EquipmentUsed]:
    """Every equipment with each factor of its emissions; `vintages` has for each year what `emissions_of` gave."""
    return [
        EquipmentUsed(
            id=one.id,
            class_=one.equipment.class_ if one.class_ is None else one.class_.key,
            units=one.equipment.units,
            in_service=one.equipment.in_service.isoformat(),
            out_of_service="" if one.equipment.out_of_service is None else one.equipment.out_of_service.isoformat(),
            parameters=given_used(one.equipment.parameter),
            class_values=_class_values(methodology.data, one.class_),
            vintages=[_vintage(year, computed[k]) for year, computed in vintages],
        )
        for k, one in enumerate(served)
        if one.equipment is not None
    ]


def _vintage(year: int, computed: Computed) -> EquipmentVintage:
    emissions = computed.emissions
    reference, project, reductions = None, None, None
    if emissions is not None:
        reference, project = emissions
        reductions = FORMULA.subtract(reference, project)
    return EquipmentVintage(
        year=year,
        quantities=computed.shown(),
        reference_tco2=text_or_none(reference),
        project_tco2=text_or_none(project),
        reductions_tco2=text_or_none(reductions),
    )


def given_used(given: Sequence[Given]) -> list[ParameterUsed]:
    """Ex-ante values as the project registered them."""
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
        for one in given
    ]


def constants_used(data: Data) -> list[ParameterUsed]:
    """The constants of a methodology."""
    return [_of_methodology(data, one, one.value, one) for one in data.constant]


def _class_values(data: Data, class_: EquipmentClass | None) -> list[ParameterUsed]:
    if class_ is None:
        return []
    return [_of_methodology(data, one, class_.values[one.name], class_) for one in data.class_parameter]


def _of_methodology(
    data: Data, named: ClassParameter | Constant, value: str, told: EquipmentClass | Constant
) -> ParameterUsed:
    return ParameterUsed(
        name=named.name,
        value=value,
        unit=named.unit,
        standing=told.standing,
        source=told.source,
        document_sha256=data.document_sha256,
        approver=data.approver,
    )
