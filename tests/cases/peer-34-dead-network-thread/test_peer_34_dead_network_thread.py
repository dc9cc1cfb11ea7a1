from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge.outbox import Outbox
from hakari.mqtt import BrokerSettings


def test_a_dead_thread_ends_the_process(tmp_path: Path) -> None:
    outbox = Outbox(BrokerSettings(host="127.0.0.1"), tmp_path, "sola-e1", lambda _: None, lambda _: None)
    outbox.check()
    outbox._thread = threading.Thread(target=str)
    outbox._thread.start()
    outbox._thread.join()
    with pytest.raises(RuntimeError, match="the MQTT thread of the edge has died"):
        outbox.check()
