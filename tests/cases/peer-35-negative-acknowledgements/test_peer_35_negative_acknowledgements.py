from __future__ import annotations

from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge.outbox import Outbox
from hakari.mqtt import BrokerSettings, Link


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(BrokerSettings(host="127.0.0.1"), tmp_path, "sola-e1", lambda _: None, lambda _: None)


def test_a_subscription_that_is_refused_is_no_connection(outbox: Outbox) -> None:
    refused = ReasonCode(PacketTypes.SUBACK, "Unspecified error")
    outbox._subscribed(outbox._client, None, 1, [refused], None)
    assert outbox.standing.link is Link.UNHEARD


def test_a_connection_that_is_refused_is_none(outbox: Outbox) -> None:
    outbox._connected(outbox._client, None, None, ReasonCode(PacketTypes.CONNACK, "Not authorized"), None)
    assert outbox.standing.link is Link.REFUSED
