"""One kept session at the broker, without a thread of its own: `ingest.receive.inbox` drives many of them from one.

The broker fences a shard: whoever connects with the same client id later throws the earlier one out. One that was
thrown out comes back ever more slowly, up to a minute, so that two workers with the same shards do not fight; whatever
they do, compare-and-swap in the evidence log keeps leaves single.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from hakari.mqtt import BrokerSettings, Link, Standing, as_user, client, prepare, tls_refusal, topic_of
from hakari.names import config_topic, mark_topic
from ingest.receive.shards import Subscription
from ingest.receive.source import Delivery

FIRST_DELAY_S = 1.0
MAX_DELAY_S = 60.0
CALM_S = 120.0
READ_AT_ONCE = 64


class Session:
    """One client id and its subscription. Every method belongs to the one thread that drives it.

    `socket` is what the thread has to watch, None while there is no connection; `next_try_s` when to connect again.
    """

    def __init__(
        self,
        number: int,
        settings: BrokerSettings,
        folder: Path,
        subscription: Subscription,
        deliver: Callable[[Delivery], None],
        log: logging.Logger,
        machine_s: Callable[[], float],
    ) -> None:
        self.standing = Standing(settings, subscription.user, log, machine_s)
        self.granted = False
        self.generation = 0
        self.next_try_s = 0.0
        self._number = number
        self._topics = subscription.topics
        self._deliver = deliver
        self._machine_s = machine_s
        self._delay_s = FIRST_DELAY_S
        self._connected_s: float | None = None
        self._taken = 0
        user = subscription.user
        self._client = client(as_user(settings, user), folder, user, clean=False, manual_ack=True)
        prepare(self._client, settings)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe

    @property
    def socket(self) -> paho.SocketLike | None:
        """The connection's socket."""
        return self._client.socket()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return self._client.want_write()

    def connect(self) -> bool:
        """Tries to connect; whether the broker's machine answered. It may take some seconds to find out."""
        try:
            self._client.reconnect()
        except OSError:
            self.standing.unreachable(tls_refusal(self._client))
            return False
        return True

    def on_close(self, closed: Callable[[paho.SocketLike], None]) -> None:
        """`closed` is told of a socket before it closes."""
        self._client.on_socket_close = lambda _client, _data, socket: closed(socket)

    def read(self) -> None:
        """Takes what has arrived, at most READ_AT_ONCE messages."""
        for _ in range(READ_AT_ONCE):
            before = self._taken
            self._client.loop_read()
            if self._taken == before:
                break
        if self.wants_write:
            self.write()

    @property
    def unread(self) -> bool:
        """Whether the TLS layer has taken more from the socket than was read: the socket would not tell."""
        pending = getattr(self.socket, "pending", None)
        return pending is not None and pending() > 0

    def write(self) -> None:
        """Sends what waits, as far as the socket takes it."""
        self._client.loop_write()

    def keep(self) -> None:
        """Pings, and ends a connection over which nothing comes; to be called every second."""
        self._client.loop_misc()

    def acknowledge(self, generation: int, mid: int) -> None:
        """Flow control towards the broker; nothing where the connection that delivered it is no more.

        Packet ids are used again by the next connection.
        """
        if generation == self.generation and self.socket is not None:
            self._client.ack(mid, 1)

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """Sends a mark, QoS 0; without a connection it is dropped, since it will be asked for again."""
        if self.standing.link == Link.CONNECTED:
            self._client.publish(mark_topic(edge_id), mark, qos=0)

    def publish_request(self, edge_id: str, note: bytes) -> None:
        """Sends a signed request, QoS 1; without a connection it is dropped, since it is sent until it is answered."""
        if self.standing.link == Link.CONNECTED:
            self._client.publish(config_topic(edge_id), note, qos=1)

    def end(self) -> None:
        """Says good-bye; the session stays at the broker."""
        self.standing.stopped()
        self._client.disconnect()
        if self.wants_write:
            self.write()

    def _on_connect(
        self, connection: paho.Client, _data: object, _flags: object, reason: object, _properties: object
    ) -> None:
        self.generation += 1
        if getattr(reason, "is_failure", False):
            self.standing.refused(reason)
        else:
            connection.subscribe(self._topics, qos=1)

    def _on_subscribe(
        self, _client: paho.Client, _data: object, _mid: object, reasons: Sequence[ReasonCode], _properties: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self.standing.unheard(self._topics)
            return
        self._connected_s = self._machine_s()
        self.granted = True
        self.standing.connected()

    def _on_disconnect(self, *_: object) -> None:
        self.generation += 1
        now_s = self._machine_s()
        if self._connected_s is not None and now_s - self._connected_s >= CALM_S:
            self._delay_s = FIRST_DELAY_S
        self._connected_s = None
        # Half of it by chance, so that sessions, and two workers that fight, do not go on in step.
        self.next_try_s = now_s + self._delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._delay_s = min(2 * self._delay_s, MAX_DELAY_S)
        self.standing.unreachable(tls_refusal(self._client))

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._taken += 1
        self._deliver(Delivery(self.generation, message.mid, topic_of(message), bytes(message.payload), self._number))
