"""What a Sparkplug host application says at its broker, by the specification's test ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from hakari.mqtt import BrokerSettings
from ingest.sources.mqtt_inbox import Access
from ingest.sources.sparkplug_host import SparkplugInbox
from ingest.sources.sparkplug_payload import decode, rebirth_request

BORN_MS = 1_700_000_000_000
STATE = "spBv1.0/STATE/h"


class Host:
    """A host that is not connected: what it publishes with QoS 1 waits in its client, where it can be looked at."""

    def __init__(self) -> None:
        self.now_ms = BORN_MS
        access = Access(BrokerSettings("127.0.0.1", 1), Path(), "ingest-source-x", "ingest-source-x")
        self.inbox = SparkplugInbox(access, "g", "h", lambda: self.now_ms)
        self.client: Any = self.inbox.client
        self.connect()

    def connect(self) -> None:
        """What the client does before each connection."""
        self.client.on_pre_connect(self.client, None)

    @property
    def waiting(self) -> list[tuple[str, dict[str, object], int, bool]]:
        return [(one.topic, json.loads(one.payload), one.qos, one.retain) for one in self.client._out_messages.values()]

    def hears(self, payload: bytes) -> None:
        message = paho.MQTTMessage(3, STATE.encode())
        message.payload = payload
        self.client.on_message(self.client, None, message)


BIRTH = (STATE, {"online": True, "timestamp": BORN_MS}, 1, True)


def will() -> None:
    client = Host().client
    assert (client._will_topic, client._will_qos, client._will_retain) == (STATE.encode(), 1, True)
    assert json.loads(client._will_payload) == {"online": False, "timestamp": BORN_MS}


def will_has_the_time_of_each_connection() -> None:
    host = Host()
    host.now_ms += 5
    host.connect()
    assert json.loads(host.client._will_payload)["timestamp"] == BORN_MS + 5


def clean_session() -> None:
    assert Host().client._clean_session is True


def subscribes_before_its_birth() -> None:
    host = Host()
    assert host.inbox._topics == [STATE, "spBv1.0/g/#"]
    assert host.waiting == []
    host.now_ms += 7
    host.inbox.ready()
    assert host.waiting == [BIRTH]


def corrects_an_offline_state() -> None:
    host = Host()
    host.hears(b'{"online": true, "timestamp": 1}')
    host.hears(b"no state")
    assert host.waiting == []
    host.hears(b'{"online": false, "timestamp": 1}')
    assert host.waiting == [BIRTH]
    assert host.inbox.take() == []


def asks_for_a_rebirth() -> None:
    payload = decode(rebirth_request(BORN_MS))
    (metric,) = payload.metrics
    assert (payload.t_ms, payload.seq) == (BORN_MS, None)
    assert (metric.name, metric.datatype, metric.boolean) == ("Node Control/Rebirth", 11, True)


RULES: dict[str, Callable[[], None]] = {
    "host-topic-phid-death-required": will,
    "host-topic-phid-death-topic": will,
    "host-topic-phid-death-qos": will,
    "host-topic-phid-death-retain": will,
    "host-topic-phid-death-payload": will,
    "host-topic-phid-death-payload-timestamp-connect": will_has_the_time_of_each_connection,
    "message-flow-phid-sparkplug-clean-session-311": clean_session,
    "message-flow-phid-sparkplug-subscription": subscribes_before_its_birth,
    "host-topic-phid-birth-topic": subscribes_before_its_birth,
    "host-topic-phid-birth-qos": subscribes_before_its_birth,
    "host-topic-phid-birth-retain": subscribes_before_its_birth,
    "host-topic-phid-birth-payload": subscribes_before_its_birth,
    "host-topic-phid-birth-payload-timestamp": subscribes_before_its_birth,
    "operational-behavior-data-commands-ncmd-rebirth-name": asks_for_a_rebirth,
    "operational-behavior-data-commands-ncmd-rebirth-value": asks_for_a_rebirth,
    "payloads-ncmd-seq": asks_for_a_rebirth,
    "message-flow-hid-sparkplug-state-message-delivered": corrects_an_offline_state,
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"tck-id-{rule}")
def test_the_specifications_rule_holds(rule: str) -> None:
    RULES[rule]()
