"""The MQTT side of ingest: messages in, acknowledgements and marks out.

An acknowledgement belongs to the connection that delivered the message: one from before a reconnection is
dropped, because packet ids are used again.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from hakari.mqtt import BrokerSettings, Standing, client, start, topic_of
from hakari.names import ALL_BATCHES, INGEST_CLIENT_ID, mark_topic

QUEUE_MESSAGES = 10_000
GROUP_MESSAGES = 256

_log = logging.getLogger("hakari.ingest")


class Delivery(NamedTuple):
    """One message as the broker delivered it."""

    generation: int
    mid: int
    topic: str
    payload: bytes


class Inbox:
    """One kept session on the broker, subscribed to every shard."""

    def __init__(self, settings: BrokerSettings, folder: Path) -> None:
        self._queue: queue.Queue[Delivery] = queue.Queue(QUEUE_MESSAGES)
        self._thread: threading.Thread | None = None
        self._generation = 0
        self._granted = threading.Event()
        self._settings = settings
        self._standing = Standing(settings, INGEST_CLIENT_ID, _log)
        self._client = client(settings, folder, INGEST_CLIENT_ID, clean=False, manual_ack=True)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        self._client.on_connect_fail = self._failed
        self._client.on_subscribe = self._subscribed

    def start(self) -> None:
        """Begins to connect."""
        self._thread = start(self._client, self._settings)

    def stop(self) -> None:
        """Closes the connection; what was not acknowledged comes again."""
        self._standing.stopped()
        self._client.disconnect()

    def check(self) -> None:
        """Raises when the connection's thread has died, which nothing else would show."""
        if self._thread is not None and not self._thread.is_alive():
            raise RuntimeError("the MQTT thread of ingest has died; the process stops so that it is started again")

    @property
    def refusal(self) -> str:
        """What stands between us and the broker, "" while nothing does."""
        return self._standing.refusal

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return bool(self._client.is_connected())

    def subscribed(self, wait_s: float) -> bool:
        """Whether the broker has granted the subscription once, waiting up to `wait_s` for it."""
        return self._granted.wait(wait_s)

    def take(self, wait_s: float) -> list[Delivery]:
        """The messages that are there, at most GROUP_MESSAGES, waiting up to `wait_s` for the first."""
        try:
            taken = [self._queue.get(timeout=wait_s)]
        except queue.Empty:
            return []
        while len(taken) < GROUP_MESSAGES:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken

    def acknowledge(self, delivery: Delivery) -> None:
        """Flow control towards the broker; call after the commit."""
        if delivery.generation == self._generation:
            self._client.ack(delivery.mid, 1)

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """Sends a mark, QoS 0: a lost one is asked for again."""
        self._client.publish(mark_topic(edge_id), mark, qos=0)

    def _connected(
        self, connection: paho.Client, _data: object, _flags: object, reason: object, _properties: object
    ) -> None:
        self._generation += 1
        if getattr(reason, "is_failure", False):
            self._standing.refused(reason)
        else:
            connection.subscribe(ALL_BATCHES, qos=1)

    def _subscribed(
        self, _client: paho.Client, _data: object, _mid: object, reasons: Sequence[ReasonCode], _properties: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._standing.unheard(ALL_BATCHES)
            return
        self._standing.connected()
        self._granted.set()

    def _disconnected(self, *_: object) -> None:
        self._generation += 1
        self._standing.unreachable()

    def _failed(self, *_: object) -> None:
        self._standing.unreachable()

    def _message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._queue.put(Delivery(self._generation, message.mid, topic_of(message), bytes(message.payload)))
