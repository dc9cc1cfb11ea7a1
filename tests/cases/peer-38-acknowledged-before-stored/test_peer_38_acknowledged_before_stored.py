from __future__ import annotations

from tests.simulation.world import World


def test_what_the_broker_acknowledged_stays_until_it_is_marked() -> None:
    world = World(38)
    world.healed, world.batch_samples = True, 1
    world._connect()
    for _ in range(20):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()  # the outlet took it: for a broker that is an acknowledgement
    assert world.spool.prune(2**52) == 0
    assert len(world.on_edge()) == 20
    assert world.heal()
    assert world.spool.prune(2**52) > 0
