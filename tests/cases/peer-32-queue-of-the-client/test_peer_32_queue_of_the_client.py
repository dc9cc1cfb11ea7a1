from __future__ import annotations

from pathlib import Path

from edge.outbox import IN_FLIGHT, Outbox
from hakari.mqtt import BrokerSettings
from tests.simulation.world import World


def test_nothing_is_handed_over_without_a_connection() -> None:
    world = World(32)
    world.healed = True
    for _ in range(50):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
    assert world.sends == 0
    world._connect()
    world.courier.pump()
    assert world.sends > 0


def test_at_most_eight_are_unanswered(tmp_path: Path) -> None:
    outbox = Outbox(BrokerSettings(host="127.0.0.1"), tmp_path, "sola-e1", lambda _: None, lambda _: None)
    for taken in range(IN_FLIGHT):
        assert outbox.slots == IN_FLIGHT - taken
        outbox.publish(b"x")
    assert outbox.slots == 0
