"""Amorphous transformer: the no-load losses that conventional cores would have had in the hours under voltage.

Source: the form expected of VN_AM005 after CDM AM0067
(RE = EF_grid × Σ n_k × NLL_RE,k × (1 − Br) × H_k × 10⁻⁶; PE with NLL_PJ,k × (1 + tolerance)).
"""

from __future__ import annotations

from decimal import Decimal

from calc.methodologies.base import FORMULA, Emissions, FormulaRefused, Values, load
from calc.text import decimal_text

MEGAWATT_HOURS_PER_WATT_HOUR = Decimal("0.000001")


def evaluate(quantities: Values, parameters: Values) -> Emissions:
    """Emissions of one class's no-load losses [W] over H [h]; FormulaRefused unless the project's losses are below.

    Only then do the reductions rise with the hours, on which the direction of the rules for H rests.
    """
    loss = FORMULA.multiply(parameters["NLL_PJ"], FORMULA.add(Decimal(1), parameters["tolerance"]))
    if loss >= parameters["NLL_RE"]:
        raise FormulaRefused(
            f"NLL_PJ with its tolerance is {decimal_text(loss)} W and not below NLL_RE ="
            f" {decimal_text(parameters['NLL_RE'])} W, so that the project saves nothing; check both losses"
        )
    hours = FORMULA.multiply(quantities["H"], FORMULA.subtract(Decimal(1), parameters["Br"]))
    unit_hours = FORMULA.multiply(hours, parameters["units"])
    factor = FORMULA.multiply(parameters["EF_grid"], MEGAWATT_HOURS_PER_WATT_HOUR)
    per_watt = FORMULA.multiply(unit_hours, factor)
    return Emissions(FORMULA.multiply(per_watt, parameters["NLL_RE"]), FORMULA.multiply(per_watt, loss))


METHODOLOGY = load(__file__, evaluate)
