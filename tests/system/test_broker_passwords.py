"""Mosquitto with passwords as we ship it: nobody takes over the session of another, and who tries is heard of."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hakari.cli.installation import hashed
from hakari.mqtt import BrokerSettings
from hakari.names import INGEST_CLIENT_ID, batch_topic, mark_topic, source_client_id
from ingest.sources.mqtt_inbox import Access, MqttInbox
from simulate.layout import free_ports

pytestmark = pytest.mark.system

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto"
SOURCE = source_client_id("js")
EDGES = ("sola-e1", "boil-e1")
USERS = (*EDGES, INGEST_CLIENT_ID, SOURCE, "logger-1")
PASSWORD = "of-everybody"
TOPIC = "loggers/logger-1/v"
WAIT_S = 20.0


def eventually(true: Callable[[], object]) -> None:
    until_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.02)


class Client:
    """One connection of `user` under whatever client id it claims."""

    def __init__(self, port: int, user: str, client_id: str, *, clean: bool = True) -> None:
        self.heard: list[bytes] = []
        self.present: bool | None = None
        self.lost = False
        self._acknowledged = 0
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean, reconnect_on_failure=False
        )
        self._client.username_pw_set(user, PASSWORD)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _c, _d, message: self.heard.append(bytes(message.payload))
        self._client.on_publish = self._client.on_subscribe = self._on_acknowledged
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        eventually(lambda: self.present is not None or self.lost)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        self._and_wait(lambda: self._client.publish(topic, payload, qos=1))

    def subscribe(self, topic: str) -> None:
        self._and_wait(lambda: self._client.subscribe(topic, qos=1))

    def _and_wait(self, act: Callable[[], object]) -> None:
        before = self._acknowledged
        act()
        eventually(lambda: self._acknowledged > before)

    def _on_connect(self, _c: object, _d: object, flags: paho.ConnectFlags, reason: object, _p: object) -> None:
        if not getattr(reason, "is_failure", True):
            self.present = flags.session_present

    def _on_disconnect(self, *_: object) -> None:
        self.lost = True

    def _on_acknowledged(self, *_: object) -> None:
        self._acknowledged += 1


@pytest.fixture
def broker(mosquitto: Path, tmp_path: Path) -> Iterator[int]:
    """The shipped configuration on a free port, with the users above."""
    (port,) = free_ports(1)
    text = (SHIPPED / "mosquitto.conf").read_text().replace("listener 1883", f"listener {port}", 1)
    (tmp_path / "mosquitto.conf").write_text(text + ("user root\n" if os.getuid() == 0 else ""))
    own = f"\nuser {SOURCE}\ntopic read loggers/#\n\nuser logger-1\ntopic write loggers/logger-1/#\n"
    (tmp_path / "acl").write_text((SHIPPED / "acl").read_text() + own)
    (tmp_path / "passwords").write_text("".join(f"{hashed(user, PASSWORD)}\n" for user in USERS))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([mosquitto, "-c", "mosquitto.conf"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        eventually(lambda: " running" in (tmp_path / "log").read_text())
        yield port
    finally:
        process.terminate()
        process.wait()


def test_nobody_takes_over_the_session_of_another(broker: int) -> None:
    for user, other in itertools.permutations(USERS, 2):
        with Client(broker, other, other) as owner:
            with Client(broker, user, other) as thief:
                assert thief.present is False
            time.sleep(0.02)
            assert not owner.lost, f"{user} threw out {other}"


def test_what_a_sender_had_acknowledged_outlives_a_thief_with_the_sessions_name(broker: int) -> None:
    for reader, sender, topic, subscribed in (
        (SOURCE, "logger-1", TOPIC, "loggers/#"),
        (INGEST_CLIENT_ID, "sola-e1", batch_topic("sola-e1"), "hakari/v1/batch/+/+"),
    ):
        with Client(broker, reader, reader, clean=False) as kept:
            kept.subscribe(subscribed)
        with Client(broker, sender, sender) as publisher:
            publisher.publish(topic, b"acknowledged")
        for thief in set(USERS) - {reader}:
            with Client(broker, thief, reader, clean=True):
                pass
        with Client(broker, reader, reader, clean=False) as again:
            assert again.present is True
            eventually(lambda heard=again.heard: heard == [b"acknowledged"])  # type: ignore[misc]


def test_an_edge_is_heard_whatever_client_id_it_claims(broker: int) -> None:
    with Client(broker, "sola-e1", "anything") as edge, Client(broker, INGEST_CLIENT_ID, "other") as ingest:
        edge.subscribe(mark_topic("sola-e1"))
        ingest.publish(mark_topic("sola-e1"), b"mark")
        eventually(lambda: edge.heard == [b"mark"])


def test_a_source_whose_session_is_taken_over_or_gone_says_so(broker: int, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    settings = BrokerSettings("127.0.0.1", broker, password_file="password")
    inbox = MqttInbox(Access(settings, tmp_path, SOURCE, SOURCE), ["loggers/#"])
    inbox.start()
    try:
        eventually(inbox.take)
        assert inbox.sessions_gone == 1  # nothing tells a first connection from one whose session was lost

        def taken_over() -> bool:
            with Client(broker, SOURCE, SOURCE, clean=True):
                time.sleep(0.1)
            return "connections are ended at once" in inbox.refusal

        eventually(taken_over)
        assert inbox.sessions_gone > 1
    finally:
        inbox.stop()
