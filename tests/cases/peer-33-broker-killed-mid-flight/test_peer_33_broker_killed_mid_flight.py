from __future__ import annotations

import pytest

from edge.outbox import IN_FLIGHT, Outbox
from hakari.mqtt import BrokerSettings
from tests.simulation.world import World


@pytest.mark.parametrize("seed", range(5))
def test_a_broker_that_is_killed_with_every_step_loses_nothing(seed: int) -> None:
    world = World(seed)
    world.rates = world.rates._replace(lose=0.0, flip=0.0)
    for _ in range(30):
        world.now_s += 1.0
        world._connect()
        world.sample()
        world.courier.pump()
        world._kill_broker()  # with everything that was on its way
    assert world.heal()
    assert len(world.at_ingest()) == 30


def test_unanswered_publishes_of_a_lost_connection_stop_nothing(tmp_path: pytest.TempPathFactory) -> None:
    outbox = Outbox(BrokerSettings(host="127.0.0.1"), tmp_path, "sola-e1", lambda _: None, lambda _: None)  # type: ignore[arg-type]
    for _ in range(IN_FLIGHT):
        outbox.publish(b"x")
    assert outbox.slots == 0
    outbox._disconnected()
    assert outbox.slots == IN_FLIGHT
