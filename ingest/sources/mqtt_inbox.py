"""A session of its own for one foreign sender: messages in, acknowledged after they are stored.

An acknowledgement belongs to the connection that delivered the message: one from before a reconnection is dropped,
because packet ids are used again; the message comes again, and counts once.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from hakari.mqtt import BrokerSettings, Standing, as_user, client, start, topic_of
from ingest.sources.port import MAX_MESSAGE_BYTES

QUEUE_MESSAGES = 10_000
MAX_QUEUED_BYTES = 32 * 1024 * 1024
GROUP_MESSAGES = 256
GROUP_BYTES = 1024 * 1024
WAIT_S = 0.1

_log = logging.getLogger("hakari.ingest.sources")


class Arrival(NamedTuple):
    """One message as the broker delivered it; `began` is that of a new session instead, in its place among them."""

    generation: int
    mid: int
    qos: int
    topic: str
    payload: bytes
    began: bool = False


class Access(msgspec.Struct, frozen=True):
    """Where a sender's messages are, and who we are there: `client_id` names the session, `user` logs in."""

    broker: BrokerSettings
    folder: Path
    client_id: str
    user: str


class MqttInbox:
    """One session, kept by the broker unless `clean`, subscribed to `topics` anew at each connection (QoS 1).

    `sessions_gone` counts connections that found no session although one is kept: each may have lost messages that
    the broker had acknowledged to their sender.
    """

    def __init__(self, access: Access, topics: Sequence[str], *, clean: bool = False) -> None:
        self._queue: queue.Queue[Arrival] = queue.Queue(QUEUE_MESSAGES)
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._generation = 0
        self._stopping = False
        self._kept = not clean
        self.sessions_gone = 0
        self._topics = list(topics)
        self._broker = as_user(access.broker, access.user)
        self._name = access.client_id
        self._standing = Standing(self._broker, access.user, _log)
        self.client = client(self._broker, access.folder, access.client_id, clean=clean, manual_ack=True)
        self.client.username = access.user
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_message = self._message
        self.client.on_connect_fail = self._failed
        self.client.on_subscribe = self._subscribed

    def start(self) -> None:
        """Begins to connect."""
        self._thread = start(self.client, self._broker)

    def stop(self) -> None:
        """Closes the connection; what was not acknowledged comes again where the session is kept."""
        self._stopping = True
        self._standing.stopped()
        self.client.disconnect()

    def check(self) -> None:
        """Raises when the connection's thread has died, which nothing else would show."""
        if self._thread is not None and not self._thread.is_alive() and not self._stopping:
            raise RuntimeError("the MQTT thread of a source has died; the process stops so that it is started again")

    @property
    def refusal(self) -> str:
        """What stands between us and the broker, "" while nothing does."""
        return self._standing.refusal

    def take(self) -> list[Arrival]:
        """What has arrived, at most GROUP_MESSAGES and little more than GROUP_BYTES; does not wait."""
        taken: list[Arrival] = []
        size = 0
        while len(taken) < GROUP_MESSAGES and size < GROUP_BYTES:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
            size += len(taken[-1].payload)
        self._count(-size)
        return taken

    def acknowledge(self, arrival: Arrival) -> None:
        """Flow control towards the broker; call after the commit."""
        if arrival.qos == 1 and arrival.generation == self._generation:
            self.client.ack(arrival.mid, 1)

    def ready(self) -> None:
        """The broker granted every subscription of this connection."""

    def _connected(
        self, connection: paho.Client, _data: object, flags: paho.ConnectFlags, reason: object, _properties: object
    ) -> None:
        self._generation += 1
        if getattr(reason, "is_failure", False):
            self._standing.refused(reason)
            return
        if self._kept and not flags.session_present:
            self.sessions_gone += 1
            _log.warning(
                "session %s: the broker kept none: unless this is the first connection ever, what was sent since"
                " the last one may be lost; look for a gap in its points",
                self._name,
            )
        self._put(Arrival(self._generation, 0, 0, "", b"", began=True))
        connection.subscribe([(topic, 1) for topic in self._topics])

    def _subscribed(
        self, _client: paho.Client, _data: object, _mid: object, reasons: Sequence[ReasonCode], _properties: object
    ) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._standing.unheard(refused[0])
            return
        self._standing.connected()
        self.ready()

    def _disconnected(self, *_: object) -> None:
        self._generation += 1
        self._standing.unreachable()

    def _failed(self, *_: object) -> None:
        self._standing.unreachable()

    def _message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        # One byte more than the limit is enough for a parser to refuse it.
        payload = bytes(message.payload[: MAX_MESSAGE_BYTES + 1])
        self._put(Arrival(self._generation, message.mid, message.qos, topic_of(message), payload))

    def _put(self, arrival: Arrival) -> None:
        """Waits for a place, which holds the broker back; not beyond the end of this session."""
        while not self._stopping:
            if self._queued_bytes > MAX_QUEUED_BYTES:
                time.sleep(WAIT_S)
                continue
            try:
                self._queue.put(arrival, timeout=WAIT_S)
            except queue.Full:
                continue
            self._count(len(arrival.payload))
            return

    def _count(self, size: int) -> None:
        with self._lock:
            self._queued_bytes += size
