from __future__ import annotations

import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hakari.names import ALL_BATCHES, INGEST_CLIENT_ID, batch_topic
from simulate.layout import argv, free_ports
from simulate.processes import Processes
from simulate.users import create
from tests.system.forge import eventually

EDGE = "sola-e1"


class Client:
    """One connection of ingest, or the edge's, that does not come back by itself."""

    def __init__(self, folder: Path, port: int, user: str) -> None:
        self.heard: list[bytes] = []
        self.granted = threading.Event()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=user,
            clean_session=user == EDGE,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self.client.username_pw_set(user, (folder / f"{user}.password").read_text().strip())
        self.client.on_message = lambda _client, _data, message: self.heard.append(bytes(message.payload))
        self.client.on_subscribe = lambda *_: self.granted.set()
        self.client.connect("127.0.0.1", port, 60)
        threading.Thread(target=self._loop, daemon=True).start()
        if user != EDGE:
            eventually("connected", self.client.is_connected)
            self.client.subscribe(ALL_BATCHES, qos=1)
            assert self.granted.wait(30.0)

    def _loop(self) -> None:
        while self.client.loop(0.05) == paho.MQTT_ERR_SUCCESS:
            pass


@pytest.mark.system
def test_the_newest_connection_hears(tmp_path: Path) -> None:
    create(tmp_path, [EDGE, INGEST_CLIENT_ID])
    (port,) = free_ports(1)
    (tmp_path / "broker.toml").write_text(f'users_file = "users"\nport = {port}\n')
    with Processes(tmp_path / "logs") as processes:
        processes.start("broker", argv("simulate", "broker", "--config", tmp_path / "broker.toml"))
        processes.wait_listening("broker", "127.0.0.1", port)
        edge = Client(tmp_path, port, EDGE)
        older = [Client(tmp_path, port, INGEST_CLIENT_ID) for _ in range(3)]
        newest = Client(tmp_path, port, INGEST_CLIENT_ID)
        for one in older:
            eventually("the older connection is ended", lambda one=one: not one.client.is_connected())  # type: ignore[misc]
        eventually("the edge is connected", edge.client.is_connected)
        edge.client.publish(batch_topic(EDGE), b"a leaf", qos=1)
        eventually("the newest hears", lambda: newest.heard == [b"a leaf"])
        assert [one.heard for one in older] == [[], [], []]
