"""200 registers, most of them wanted seldom: few requests a slot, and the time is known beforehand."""

from __future__ import annotations

from edge.reads.cycle import cycles_of
from edge.settings import BusTable
from tests.unit.edge_lines import Device, Plant, counter, gauge, profile_of


def test_slow_points_cost_nothing_in_between_and_touching_ones_one_request() -> None:
    slow = [gauge(10 + k, every=15) for k in range(190)]
    plant = Plant({1: Device()}, profile_of([counter(0), counter(2), *slow]))
    asked = []
    for _ in range(30):
        plant.slot()
        asked.append(len(plant.line.taken()))
    assert sorted(asked) == [1] * 28 + [3] * 2


def test_the_cycle_is_that_of_the_fullest_slot() -> None:
    apart = [gauge(3 * k, every=1 + k % 2) for k in range(200)]
    plant = Plant({1: Device(words=700)}, profile_of(apart))
    line = BusTable(id="line", kind="rtu", device="/dev/ttyS0", baud_rate=19_200)
    (cycle,) = cycles_of([line], plant.configuration)
    assert cycle.requests == 200
    # (8 + 5 + 2 + 7) characters of 10 bits and 30 ms each
    assert round(cycle.ms) == round(200 * (22 * 10 / 19.2 + 30))
