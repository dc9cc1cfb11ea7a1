"""Thirteen registers of which one is missing: twelve are read, in that very sample and in every later one."""

from __future__ import annotations

from tests.unit.edge_lines import Device, Plant, gauge, profile_of


def test_twelve_of_thirteen_are_read_from_the_first_sample_on() -> None:
    plant = Plant({1: Device(holes=frozenset({9}))}, profile_of([gauge(address) for address in range(13)]))
    requests = []
    for _ in range(3):
        read: set[int] = set()
        for block in plant.slot().blocks:
            if not block.error:
                first, count = int(block.request[4:8], 16), int(block.request[8:], 16)
                read |= set(range(first, first + count))
        assert read == set(range(13)) - {9}
        requests.append(len(plant.line.taken()))
    assert requests[0] > requests[1] == requests[2] == 2
