from __future__ import annotations

from tests.simulation.world import World


def test_a_new_session_starts_from_the_mark() -> None:
    world = World(37)
    world.healed, world.batch_samples = True, 1
    world._connect()
    world._deliver()
    state = world.spool.current()
    assert state is not None
    for _ in range(5):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
    world._up.clear()
    world._boot_edge()  # the process restarts: its session and the marks for it are gone
    world._down.clear()
    world._connect()
    for _ in range(10):
        world.now_s += 1.0
        world._deliver()
    assert world.stored()
    assert len(world.at_ingest()) == 5
