"""A connection that is refused: the sentence names the cause, all meters of the bus get it, all recover at once."""

from __future__ import annotations

import asyncio
import socket

from edge.modbus.socket_line import dial
from edge.settings import BusTable
from tests.unit.edge_lines import Device, Plant, counter, errors, gauge, profile_of


def _refusal() -> str:
    with socket.socket() as taken:  # bound and not listening: whoever connects is refused
        taken.bind(("127.0.0.1", 0))
        return asyncio.run(dial(asyncio.Protocol, BusTable(id="b", host="127.0.0.1", port=taken.getsockname()[1])))


def test_the_error_says_that_another_client_may_have_the_device() -> None:
    error = _refusal()
    assert "cannot be opened (Connection refused)" in error
    assert error.endswith("the device takes one client and has one")
    assert len(error) <= 200


def test_all_meters_of_the_bus_get_it_at_once_and_recover_at_once() -> None:
    plant = Plant({unit: Device() for unit in range(1, 6)}, profile_of([counter(0), gauge(9)]))
    plant.line.closed = _refusal()
    for _ in range(20):
        told = [error for _, error in errors(plant.slot())]
        assert len(told) == 10
        assert all("Connection refused" in error for error in told)
        assert len(plant.line.taken()) == 1
    plant.line.closed = ""
    assert [error for _, error in errors(plant.slot())] == [""] * 10
