"""Units: what may be converted into what, exactly.

Guaranteed: a conversion multiplies and divides by exact integers' ratios and never rounds; a result that has
no finite decimal form (1 MJ in kWh) is refused, so that rounding stays a decision of the caller.
Source of the factors: BIPM, The International System of Units (2019), tables 7 and 8: 1 h = 3600 s, 1 t = 1000 kg.
"""

from __future__ import annotations

import difflib
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import NamedTuple

from hakari.errors import BadConfiguration

EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow])


class UnitUnknown(BadConfiguration):
    """A unit is not in the table."""


class UnitMismatch(BadConfiguration):
    """Two units measure different things, or the exact result has no finite decimal form."""


class Unit(NamedTuple):
    """A unit: what it measures, and its size in that dimension's base as the ratio `over` / `under`."""

    dimension: str
    over: int
    under: int = 1


UNITS: dict[str, Unit] = {
    # energy in joules
    "J": Unit("energy", 1),
    "kJ": Unit("energy", 10**3),
    "MJ": Unit("energy", 10**6),
    "GJ": Unit("energy", 10**9),
    "TJ": Unit("energy", 10**12),
    "Wh": Unit("energy", 3600),
    "kWh": Unit("energy", 3600 * 10**3),
    "MWh": Unit("energy", 3600 * 10**6),
    "GWh": Unit("energy", 3600 * 10**9),
    # power in watts
    "W": Unit("power", 1),
    "kW": Unit("power", 10**3),
    "MW": Unit("power", 10**6),
    # refrigeration capacity in tons of refrigeration; its size in watts is no finite decimal, so it stays apart
    "USRt": Unit("refrigeration capacity", 1),
    # mass in grams
    "g": Unit("mass", 1),
    "kg": Unit("mass", 10**3),
    "t": Unit("mass", 10**6),
    # emissions in grams of carbon dioxide equivalent; never a mass of anything else
    "kgCO2": Unit("emissions", 10**3),
    "tCO2": Unit("emissions", 10**6),
    # emission factor in grams of carbon dioxide per joule
    "tCO2/MWh": Unit("emission factor", 10**6, 3600 * 10**6),
    "kgCO2/kWh": Unit("emission factor", 10**3, 3600 * 10**3),
    "tCO2/GJ": Unit("emission factor", 10**6, 10**9),
    "tCO2/TJ": Unit("emission factor", 10**6, 10**12),
    "kgCO2/GJ": Unit("emission factor", 10**3, 10**9),
    # volume in litres, flows, fuel's calorific value in joules per gram or litre
    "L": Unit("volume", 1),
    "m3": Unit("volume", 10**3),
    "L/h": Unit("volume flow", 1),
    "m3/h": Unit("volume flow", 10**3),
    "kg/h": Unit("mass flow", 10**3),
    "t/h": Unit("mass flow", 10**6),
    "MJ/kg": Unit("calorific value by mass", 10**6, 10**3),
    "GJ/t": Unit("calorific value by mass", 10**9, 10**6),
    "MJ/m3": Unit("calorific value by volume", 10**6, 10**3),
    # pure numbers
    "1": Unit("number", 1),
    "%": Unit("number", 1, 100),
    # temperature: a difference of 1 K is one of 1 °C, their zeros differ; so they stay apart
    "°C": Unit("temperature in °C", 1),
    "K": Unit("temperature difference", 1),
    "Pa": Unit("pressure", 1),
    "kPa": Unit("pressure", 10**3),
    "MPa": Unit("pressure", 10**6),
    "bar": Unit("pressure", 10**5),
    # electricity
    "V": Unit("voltage", 1),
    "kV": Unit("voltage", 10**3),
    "A": Unit("current", 1),
    "Hz": Unit("frequency", 1),
    "VA": Unit("apparent power", 1),
    "kVA": Unit("apparent power", 10**3),
    "var": Unit("reactive power", 1),
    "kvar": Unit("reactive power", 10**3),
    "varh": Unit("reactive energy", 1),
    "kvarh": Unit("reactive energy", 10**3),
    "W/m2": Unit("irradiance", 1),
    # time in milliseconds
    "ms": Unit("time", 1),
    "s": Unit("time", 10**3),
    "min": Unit("time", 60 * 10**3),
    "h": Unit("time", 3600 * 10**3),
    "d": Unit("time", 86400 * 10**3),
}


def unit(name: str) -> Unit:
    """The unit of that name, exactly as written; UnitUnknown names the nearest known one."""
    known = UNITS.get(name)
    if known is None:
        by_fold = {each.casefold(): each for each in UNITS}
        near = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.4)
        advice = f"did you mean {by_fold[near[0]]}?" if near else f"known are {', '.join(UNITS)}"
        raise UnitUnknown(f"unit {name!r} is not known; {advice}")
    return known


def convert(value: Decimal, from_: str, to: str) -> Decimal:
    """`value` of unit `from_` in unit `to`, exact to the last digit.

    Errors: UnitUnknown; UnitMismatch for another dimension, or where the exact result never ends.
    """
    source, target = unit(from_), unit(to)
    if source.dimension != target.dimension:
        raise UnitMismatch(f"{from_} is {source.dimension} and {to} is {target.dimension}; they do not convert")
    if from_ == to:
        return value
    over, under = source.over * target.under, source.under * target.over
    try:
        return EXACT.divide(EXACT.multiply(value, Decimal(over)), Decimal(under))
    except (Inexact, InvalidOperation, Overflow) as error:
        raise UnitMismatch(
            f"{value} {from_} has no exact decimal value in {to}; keep it in {from_} and round where it is reported"
        ) from error
