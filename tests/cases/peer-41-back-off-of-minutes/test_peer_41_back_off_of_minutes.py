from __future__ import annotations

from pathlib import Path

from edge.outbox import Outbox
from hakari.mqtt import BrokerSettings

LIMIT_S = 30


def test_attempts_are_at_most_thirty_seconds_apart(tmp_path: Path) -> None:
    outbox = Outbox(BrokerSettings(host="127.0.0.1"), tmp_path, "sola-e1", lambda _: None, lambda _: None)
    assert 1 <= outbox._client._reconnect_min_delay <= outbox._client._reconnect_max_delay <= LIMIT_S
