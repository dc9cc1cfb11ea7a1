from __future__ import annotations

from tests.simulation.world import World


def test_every_message_sent_three_times_counts_once() -> None:
    world = World(36)
    world.healed, world.batch_samples = True, 1
    world._connect()
    for _ in range(20):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
        world._up = world._up * 3
        world._deliver()
    assert world.heal()
    assert len(world.at_ingest()) == len(set(world.at_ingest())) == 20
