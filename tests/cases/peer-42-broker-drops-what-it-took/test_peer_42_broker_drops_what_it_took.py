from __future__ import annotations

import pytest

from tests.simulation.world import World


@pytest.mark.parametrize("kept", [1, 10, 50])
def test_a_queue_limit_loses_nothing(kept: int) -> None:
    world = World(42)
    world.healed, world.batch_samples = True, 1
    world._connect()
    for k in range(200):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
        if k < 150:  # ingest is away: of what the broker took it keeps the oldest `kept`
            del world._up[kept:]
        else:
            world._deliver()
    assert world.heal()
    assert len(world.at_ingest()) == 200
