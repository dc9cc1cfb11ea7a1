from __future__ import annotations

from tests.simulation.world import World


def test_what_was_published_into_a_dead_link_is_sent_again() -> None:
    world = World(5)
    world.healed, world.batch_samples = True, 1
    world._connect()
    world._deliver()
    for _ in range(20):  # twenty seconds in which the connection takes everything and delivers nothing
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
        world._up.clear()
    assert world.sends > 20
    assert not world.stored()
    world._kill_broker()
    world._connect()
    for _ in range(5):  # at once: waiting for a resend would take ten seconds for a leaf
        world.now_s += 1.0
        world._deliver()
    assert world.stored()
    assert len(world.at_ingest()) == 20
