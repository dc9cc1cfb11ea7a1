"""The MQTT side of the edge: leaves out, marks and signed requests in, never more than eight unanswered publishes.

paho's own queue is never used as storage: what is on its way is counted here, and a lost message is sent
again because the mark did not move, whatever the broker said.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from hakari.log.request import MAX_REQUEST_BYTES
from hakari.mqtt import BrokerSettings, Standing, client, start, tls_refusal, topic_of
from hakari.names import batch_topic, config_topic, mark_topic

IN_FLIGHT = 8
MAX_MARK_BYTES = 2048

_log = logging.getLogger("hakari.edge")


class Outbox:
    """A clean session named after the edge. The callbacks are called from the MQTT thread."""

    def __init__(
        self,
        settings: BrokerSettings,
        folder: Path,
        edge_id: str,
        on_change: Callable[[bool], None],
        on_mark: Callable[[bytes], None],
        on_request: Callable[[bytes], None] | None = None,
    ) -> None:
        """`on_request` hears what is no larger than a request; without it requests are not subscribed to."""
        self._settings = settings
        self._topic = batch_topic(edge_id)
        self._mark_topic = mark_topic(edge_id)
        self._on_change = on_change
        self._on_mark = on_mark
        self._config_topic = config_topic(edge_id)
        self._on_request = on_request
        self.too_large = 0
        self._guard = threading.Lock()
        self._flying = 0
        self._thread: threading.Thread | None = None
        self.standing = Standing(settings, edge_id, _log)
        self._client = client(settings, folder, edge_id, clean=True)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._disconnected
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._published
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._message

    def start(self) -> None:
        """Begins to connect; never gives up."""
        self._thread = start(self._client, self._settings)

    def stop(self) -> None:
        """Closes the connection."""
        self.standing.stopped()
        self._client.disconnect()

    def check(self) -> None:
        """Raises when the connection's thread has died, which nothing else would show."""
        if self._thread is not None and not self._thread.is_alive():
            raise RuntimeError("the MQTT thread of the edge has died; the process stops so that it is started again")

    @property
    def slots(self) -> int:
        """Publishes that may be begun now."""
        with self._guard:
            return IN_FLIGHT - self._flying

    def publish(self, message: bytes) -> None:
        """Hands one message to the connection, QoS 1."""
        with self._guard:
            self._flying += 1
        # Outside the guard: paho holds its own lock while it calls `_published`, and two locks taken in two
        # orders stop both threads for ever.
        self._client.publish(self._topic, message, qos=1)

    def _connected(
        self, connection: paho.Client, _data: object, _flags: object, reason: object, _properties: object
    ) -> None:
        if getattr(reason, "is_failure", False):
            self.standing.refused(reason)
        else:
            asked = [] if self._on_request is None else [(self._config_topic, 1)]
            connection.subscribe([(self._mark_topic, 0), *asked])

    def _subscribed(
        self, _client: paho.Client, _data: object, _mid: object, reasons: Sequence[ReasonCode], _properties: object
    ) -> None:
        if reasons[0].is_failure:
            self.standing.unheard(self._mark_topic)
        else:
            self.standing.connected()
            if any(reason.is_failure for reason in reasons[1:]):
                _log.warning("the broker does not let us hear %s: no signed request arrives", self._config_topic)
        self._on_change(True)

    def _disconnected(self, *_: object) -> None:
        with self._guard:
            self._flying = 0
        self.standing.unreachable(tls_refusal(self._client))
        self._on_change(False)

    def _published(self, *_: object) -> None:
        with self._guard:
            self._flying = max(0, self._flying - 1)

    def _message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        topic = topic_of(message)
        if topic == self._mark_topic and len(message.payload) <= MAX_MARK_BYTES:
            self._on_mark(bytes(message.payload))
        elif topic == self._config_topic and self._on_request is not None:
            if len(message.payload) <= MAX_REQUEST_BYTES:
                self._on_request(bytes(message.payload))
            else:
                self.too_large += 1
