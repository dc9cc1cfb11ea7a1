from __future__ import annotations

from collections import Counter

from tests.simulation.world import World

SAMPLES = 2000


def test_read_committed_and_stored_are_one_number() -> None:
    world = World(31)
    world.healed = True
    world._connect()
    for _ in range(SAMPLES):
        world.now_s += 0.01  # as fast as it goes
        world.sample()
    committed = len(world.on_edge()) + world.spool.sample_count()
    assert world.heal()
    state = world.spool.current()
    assert state is not None
    assert (len(world.truth), committed, len(world.at_ingest())) == (SAMPLES, SAMPLES, SAMPLES)
    assert set(Counter(world.at_ingest()).values()) == {1}
    assert state.mark == state.size == sum(world.evidence.head(one).size for one in world.evidence.origins())
