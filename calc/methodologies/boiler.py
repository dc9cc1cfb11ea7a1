"""Heat-only boiler: the heat supplied, made with a reference and with the project boiler's efficiency.

Source: the form of MN_AM002 (RE = PH ÷ η_RE × EF_fuel; PE = PH ÷ η_PJ × EF_fuel + EC × EF_elec).
"""

from __future__ import annotations

from calc.methodologies.base import FORMULA, Emissions, FormulaRefused, Values, load


def evaluate(quantities: Values, parameters: Values) -> Emissions:
    """Emissions of heat PH [GJ] and electricity EC [MWh]; FormulaRefused unless η_PJ is above η_RE.

    Only then do the reductions rise with the heat, on which the direction of the rules for PH rests.
    """
    if parameters["eta_PJ"] <= parameters["eta_RE"]:
        raise FormulaRefused("eta_PJ is not above eta_RE, so that the project saves no fuel; check both efficiencies")
    heat_emissions = FORMULA.multiply(quantities["PH"], parameters["EF_fuel"])
    reference = FORMULA.divide(heat_emissions, parameters["eta_RE"])
    fuel = FORMULA.divide(heat_emissions, parameters["eta_PJ"])
    return Emissions(reference, FORMULA.add(fuel, FORMULA.multiply(quantities["EC"], parameters["EF_elec"])))


METHODOLOGY = load(__file__, evaluate)
