from __future__ import annotations

from pathlib import Path

import pytest

from edge.outbox import Outbox
from hakari.mqtt import BrokerSettings
from hakari.names import mark_topic


class Connection:
    """What paho hands to the callback."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        self.topics += [f"{topic} {qos}" for topic, qos in topics]


@pytest.mark.parametrize("connections", [1, 3])
def test_each_connection_subscribes(tmp_path: Path, connections: int) -> None:
    outbox = Outbox(BrokerSettings(host="127.0.0.1"), tmp_path, "sola-e1", lambda _: None, lambda _: None)
    seen = Connection()
    for _ in range(connections):
        outbox._connected(seen, None, None, 0, None)  # type: ignore[arg-type]
    assert seen.topics == [f"{mark_topic('sola-e1')} 0"] * connections
