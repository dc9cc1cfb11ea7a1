"""Grid-connected photovoltaics: a conservative factor times the electricity generated, no project emissions.

Source: the form common to the JCM's PV methodologies (RE_p = Σ EG_i,p × EF_RE,i; PE_p = 0).
"""

from __future__ import annotations

from decimal import Decimal

from calc.methodologies.base import FORMULA, Emissions, Values, load


def evaluate(quantities: Values, parameters: Values) -> Emissions:
    """RE = EG [MWh] × EF_RE [tCO2/MWh]; PE = 0."""
    return Emissions(FORMULA.multiply(quantities["EG"], parameters["EF_RE"]), Decimal(0))


METHODOLOGY = load(__file__, evaluate)
