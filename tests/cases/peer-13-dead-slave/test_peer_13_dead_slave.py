"""Twenty meters, three of them dead: every other one has every sample, and the dead ones cost next to nothing."""

from __future__ import annotations

from tests.unit.edge_lines import Device, Plant, counter, gauge, profile_of

DEAD = (1, 7, 20)


def test_dead_slaves_cost_their_neighbours_no_sample() -> None:
    devices = {unit: Device(silent=unit in DEAD) for unit in range(1, 21)}
    plant = Plant(devices, profile_of([counter(0), gauge(50)]))
    names = {f"m{unit}" for unit in DEAD}
    for _ in range(360):
        blocks = plant.slot().blocks
        assert len(blocks) == 40
        assert [block.error for block in blocks if block.meter not in names] == [""] * 34
    asked = plant.line.taken()
    assert sum(unit in DEAD for unit, _, _ in asked) <= len(DEAD) * (3600 // 30 + 4)
    assert all(count for _, _, count in asked)
