"""Centrifugal chiller: the electricity that a reference chiller would have drawn for the same cooling.

Source: the form of ID_AM002 and TH_AM005 (RE = Σ EC × COP_PJ,tc ÷ COP_RE × EF_elec; PE = Σ EC × EF_elec).
"""

from __future__ import annotations

from decimal import Decimal

from calc.methodologies.base import FORMULA, Emissions, FormulaRefused, Values, load
from calc.text import decimal_text

SHOWN_DIGITS = 6


def evaluate(quantities: Values, parameters: Values) -> Emissions:
    """Emissions of electricity EC [MWh] of one chiller; FormulaRefused unless COP_PJ,tc is above COP_RE.

    Only then do the reductions rise with the electricity, on which the direction of the rules for EC rests.
    """
    corrected = corrected_cop(parameters)
    if corrected <= parameters["COP_RE"]:
        shown = decimal_text(round(corrected, SHOWN_DIGITS))
        raise FormulaRefused(
            f"COP_PJ,tc = {shown} is not above COP_RE = {decimal_text(parameters['COP_RE'])}, so that the project"
            " saves no electricity; check COP_PJ, both design temperatures and the class"
        )
    project = FORMULA.multiply(quantities["EC"], parameters["EF_elec"])
    reference = FORMULA.divide(FORMULA.multiply(project, corrected), parameters["COP_RE"])
    return Emissions(reference, project)


def corrected_cop(parameters: Values) -> Decimal:
    """COP_PJ,tc: the rated COP at the standard outlet temperatures (cooling water, chilled water), 50 digits."""
    approach = FORMULA.add(parameters["TD_chilled"], parameters["TD_cooling"])
    rated = FORMULA.subtract(parameters["T_cooling_out"], parameters["T_chilled_out"])
    standard = FORMULA.subtract(parameters["T_cooling_std"], parameters["T_chilled_std"])
    lift = FORMULA.multiply(parameters["COP_PJ"], FORMULA.add(rated, approach))
    return FORMULA.divide(lift, FORMULA.add(standard, approach))


METHODOLOGY = load(__file__, evaluate)
