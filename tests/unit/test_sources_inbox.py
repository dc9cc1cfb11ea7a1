"""What holds a foreign sender back: the session's queue has a limit in messages and in bytes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as paho

from hakari.mqtt import BrokerSettings
from ingest.sources.mqtt_inbox import GROUP_BYTES, GROUP_MESSAGES, MAX_QUEUED_BYTES, Access, MqttInbox
from ingest.sources.port import MAX_MESSAGE_BYTES


def inbox() -> MqttInbox:
    return MqttInbox(Access(BrokerSettings("127.0.0.1", 1), Path(), "ingest-source-x", "somebody"), ["x/#"])


def arrived(one: MqttInbox, payload: bytes) -> None:
    message = paho.MQTTMessage(7, b"x/y")
    message.payload, message.qos = payload, 1
    cast("Any", one)._message(one.client, None, message)


def test_the_user_logs_in_and_the_client_id_names_the_session() -> None:
    one = inbox()
    assert one.client.username == "somebody"
    assert one.client._client_id == b"ingest-source-x"


def test_a_group_ends_at_its_messages_or_its_bytes() -> None:
    one = inbox()
    for _ in range(GROUP_MESSAGES + 1):
        arrived(one, b"x")
    assert [len(one.take()), len(one.take()), len(one.take())] == [GROUP_MESSAGES, 1, 0]
    for _ in range(5):
        arrived(one, bytes(GROUP_BYTES // 2))
    assert [len(one.take()), len(one.take()), len(one.take())] == [2, 2, 1]


def test_a_huge_message_is_cut_where_a_parser_refuses_it() -> None:
    one = inbox()
    arrived(one, bytes(3 * MAX_MESSAGE_BYTES))
    assert len(one.take()[0].payload) == MAX_MESSAGE_BYTES + 1


def test_more_bytes_than_the_queue_may_hold_wait_until_some_are_taken() -> None:
    one = inbox()
    count = MAX_QUEUED_BYTES // MAX_MESSAGE_BYTES + 2

    def send() -> None:
        for _ in range(count):
            arrived(one, bytes(MAX_MESSAGE_BYTES))

    sender = threading.Thread(target=send)
    sender.start()
    sender.join(0.5)
    assert sender.is_alive()
    taken = 0
    while taken < count:
        taken += len(one.take())
    sender.join(5)
    assert not sender.is_alive()
    assert one._queued_bytes == 0


def test_an_acknowledgement_of_an_earlier_connection_is_dropped() -> None:
    one = inbox()
    arrived(one, b"x")
    (message,) = one.take()
    waiting = cast("Any", one.client)._out_packet
    one.acknowledge(message)
    assert len(waiting) == 1
    cast("Any", one)._disconnected()
    one.acknowledge(message)
    assert len(waiting) == 1
