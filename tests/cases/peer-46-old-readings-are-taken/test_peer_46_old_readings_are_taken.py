from __future__ import annotations

from tests.simulation.world import World

DAYS = 400


def test_readings_of_a_year_ago_arrive_and_count() -> None:
    world = World(46)
    world.healed, world.batch_samples = True, 1
    for _ in range(10):
        world.now_s += 1.0
        world.sample()
    world.now_s += DAYS * 86_400
    world.sample()
    assert world.heal()
    assert len(world.credited()) == 11
    assert {row.reason for row in world.credited()} == {""}
