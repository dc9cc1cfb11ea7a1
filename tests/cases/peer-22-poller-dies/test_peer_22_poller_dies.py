"""Every kind of failure in turn: each slot has all its blocks, and the meter is read again afterwards."""

from __future__ import annotations

import pytest

from hakari.registers.requests import EXCEPTIONS
from tests.unit.edge_lines import Device, Plant, counter, errors, gauge, profile_of

ERRORS = [
    "timeout", "connection", "connection timeout, waiting before the next attempt", "connection: no such device",
    "mismatch: unit 2 instead of 1", "not tried: the line is not silent", "exception 200 (unknown)", "?" * 400,
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS)
def test_no_error_of_the_line_ends_the_sampling(error: str) -> None:
    plant = Plant({1: Device(), 2: Device()}, profile_of([counter(0), gauge(9)]))
    plant.line.refuses = {1: error}
    for _ in range(3):
        told = errors(plant.slot())
        assert {meter for meter, _ in told} == {"m1", "m2"}
        assert all(said and len(said) <= 200 for meter, said in told if meter == "m1")
    plant.line.refuses = {}
    for _ in range(4):
        last = errors(plant.slot())
    assert last == [("m1", ""), ("m1", ""), ("m2", ""), ("m2", "")]


@pytest.mark.parametrize("code", sorted(EXCEPTIONS))
def test_no_exception_of_a_meter_ends_the_sampling(code: int) -> None:
    plant = Plant({1: Device(says=code), 2: Device()}, profile_of([counter(0), gauge(9)]))
    for _ in range(3):
        told = errors(plant.slot())
        assert [said for meter, said in told if meter == "m2"] == ["", ""]
    plant.devices[1].says = 0
    for _ in range(4):
        last = errors(plant.slot())
    assert last == [("m1", ""), ("m1", ""), ("m2", ""), ("m2", "")]
