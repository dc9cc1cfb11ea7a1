"""However long samples take, slots lie on wall-clock boundaries, and points with a rate on every n-th of them."""

from __future__ import annotations

import random

import pytest

from edge.reads.sampler import following
from tests.unit.edge_lines import SLOT_MS, Device, Plant, counter, gauge, profile_of


@pytest.mark.parametrize("interval_ms", [1000, 10_000, 900_000])
def test_slots_stay_on_boundaries_and_never_repeat(interval_ms: int) -> None:
    chance = random.Random(45)
    now_ms, last_ms, taken = SLOT_MS + 123, 0, []
    for _ in range(2000):
        slot_ms = following(last_ms, now_ms, interval_ms, 60_000)
        assert slot_ms % interval_ms == 0
        assert slot_ms > last_ms
        now_ms = max(now_ms, slot_ms) + chance.choice((3, interval_ms // 3, interval_ms - 1, interval_ms + 5))
        taken.append(slot_ms)
        last_ms = slot_ms
    missed = (taken[-1] - taken[0]) // interval_ms + 1 - len(taken)
    assert missed == 0  # a sample a little longer than the interval costs none


def test_a_rate_is_counted_from_midnight_and_not_from_the_start() -> None:
    plant = Plant({1: Device()}, profile_of([counter(0), gauge(9, every=6)]))
    slow = []
    for _ in range(24):
        begun_ms = plant.hands.wall_ms
        plant.slot()
        slow += [begun_ms for _, address, _ in plant.line.taken() if address == 9]
    assert [begun_ms % 60_000 for begun_ms in slow] == [0] * 4
