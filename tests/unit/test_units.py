"""Units convert exactly or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakari.units import UNITS, UnitMismatch, UnitUnknown, convert, unit

AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=6, allow_nan=False)
PAIRS = [(a, b) for a in UNITS for b in UNITS if UNITS[a].dimension == UNITS[b].dimension]


@pytest.mark.parametrize(
    ("value", "from_", "to", "expected"),
    [
        ("1", "MWh", "GJ", "3.6"),
        ("1", "kWh", "J", "3600000"),
        ("0.001", "GWh", "MWh", "1"),
        ("9", "GJ", "MWh", "2.5"),
        ("0.533", "tCO2/MWh", "kgCO2/kWh", "0.533"),
        ("0.18", "tCO2/MWh", "tCO2/GJ", "0.05"),
        ("56.1", "tCO2/TJ", "tCO2/GJ", "0.0561"),
        ("1", "tCO2/GJ", "kgCO2/GJ", "1000"),
        ("1", "GJ/t", "MJ/kg", "1"),
        ("89", "%", "1", "0.89"),
        ("1234.567", "kg", "t", "1.234567"),
        ("0.1", "m3/h", "L/h", "100"),
    ],
)
def test_published_conversions(value: str, from_: str, to: str, expected: str) -> None:
    assert convert(Decimal(value), from_, to) == Decimal(expected)


@given(AMOUNTS, st.sampled_from(PAIRS))
def test_there_and_back_is_the_same_number(value: Decimal, pair: tuple[str, str]) -> None:
    try:
        there = convert(value, *pair)
    except UnitMismatch:
        return
    assert convert(there, pair[1], pair[0]) == value


def test_what_never_ends_is_refused_not_rounded() -> None:
    with pytest.raises(UnitMismatch, match="1 MJ has no exact decimal value in kWh"):
        convert(Decimal(1), "MJ", "kWh")


@pytest.mark.parametrize(("from_", "to"), [("kWh", "kW"), ("t", "tCO2"), ("K", "°C"), ("1", "t")])
def test_another_dimension_is_refused(from_: str, to: str) -> None:
    with pytest.raises(UnitMismatch, match="do not convert"):
        convert(Decimal(1), from_, to)


@pytest.mark.parametrize(
    ("name", "nearest"), [("kwh", "kWh"), ("Kwh", "kWh"), ("l/h", "L/h"), ("tCO2/Mwh", "tCO2/MWh")]
)
def test_an_unknown_unit_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnitUnknown, match=f"did you mean {nearest}"):
        unit(name)


def test_no_number_is_no_amount() -> None:
    with pytest.raises(UnitMismatch):
        convert(Decimal("sNaN"), "kWh", "MWh")
