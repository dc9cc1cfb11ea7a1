"""The MQTT side of ingest: the sessions of a worker's shards, all driven by one thread, into one queue.

Guaranteed: a message is acknowledged over the connection that delivered it or not at all; what waits in memory is
bounded in messages and bytes, beyond which nothing is read until the evidence log has caught up.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import paho.mqtt.client as paho

from hakari.mqtt import RECONNECT_MAX_S, RECONNECT_MIN_S, BrokerSettings, Link
from hakari.names import shard
from ingest.receive.session import Session
from ingest.receive.shards import ALL, Shards
from ingest.receive.source import Delivery

GROUP_MESSAGES = 256
GROUP_BYTES = 8 * 1024 * 1024
MAX_WAITING_MESSAGES = 2048
MAX_WAITING_BYTES = 16 * 1024 * 1024
KEEP_EVERY_S = 1.0
LOOK_EVERY_S = 0.1
WAIT_S = 0.25
CONNECT_AT_ONCE = 32
BELL_BYTES = 4096
STOP_LIMIT_S = 3.0

_log = logging.getLogger("hakari.ingest")
_many = logging.getLogger("hakari.ingest.sessions")


class Waiting:
    """Messages between the connections and the commit; `full` while so many or so large ones wait that none is read."""

    def __init__(self) -> None:
        self._messages: deque[Delivery] = deque()
        self._bytes = 0
        self._there = threading.Condition()

    @property
    def full(self) -> bool:
        """Whether nothing more may be read from the broker now."""
        return len(self._messages) >= MAX_WAITING_MESSAGES or self._bytes >= MAX_WAITING_BYTES

    def put(self, delivery: Delivery) -> None:
        """One more."""
        with self._there:
            self._messages.append(delivery)
            self._bytes += len(delivery.payload)
            if len(self._messages) == 1:
                self._there.notify()

    def take(self, wait_s: float) -> list[Delivery]:
        """The oldest ones, at most GROUP_MESSAGES and about GROUP_BYTES, waiting up to `wait_s` for the first."""
        taken: list[Delivery] = []
        length = 0
        with self._there:
            if not self._messages:
                self._there.wait(wait_s)
            while self._messages and len(taken) < GROUP_MESSAGES and length < GROUP_BYTES:
                taken.append(self._messages.popleft())
                length += len(taken[-1].payload)
            self._bytes -= length
        return taken


class Inbox:
    """The kept sessions of `shards` at one broker."""

    def __init__(
        self,
        settings: BrokerSettings,
        folder: Path,
        shards: Shards | None = None,
        machine_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Files that the settings name stand against `folder`; without `shards` one session takes them all."""
        shards = shards or Shards(ALL)
        subscriptions = shards.subscriptions()
        self._machine_s = machine_s
        self._waiting = Waiting()
        self._granted = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._delay_s = float(RECONNECT_MIN_S)
        self._look_s = 0.0
        self._touched: set[Session] = set()
        self._paused = False
        self._said = ""
        self._acknowledgements: deque[Delivery] = deque()
        self._marks: deque[tuple[str, bytes]] = deque()
        self._requests: deque[tuple[str, bytes]] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        for end in (self._bell, self._ringer):
            end.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        # Hundreds of sessions say in one sentence what became of them, one says it itself.
        log = _log
        if len(subscriptions) > 1:
            log = _many
            _many.setLevel(logging.CRITICAL)
        self._sessions = [
            Session(number, settings, folder, one, self._waiting.put, log, machine_s)
            for number, one in enumerate(subscriptions)
        ]
        self._of_shard = {one: k for k, one in enumerate(shards.numbers)} if len(subscriptions) > 1 else {}
        for session in self._sessions:
            session.on_close(self._forget)

    def start(self) -> None:
        """Begins to connect."""
        self._thread = threading.Thread(target=self._work, name="mqtt", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the connections; what was not acknowledged comes again."""
        self._stopping.set()
        self._ring()
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)

    def check(self) -> None:
        """Raises when the connections' thread has died, which nothing else would show."""
        if self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set():
            raise RuntimeError("the MQTT thread of ingest has died; the process stops so that it is started again")

    @property
    def refusal(self) -> str:
        """What stands between us and the broker, "" while nothing does."""
        refused = [said for session in self._sessions if (said := session.standing.refusal)]
        if len(self._sessions) == 1 or not refused:
            return "".join(refused)
        return f"{len(refused)} of {len(self._sessions)} shards do not arrive: {refused[0]}"

    @property
    def connected(self) -> bool:
        """Whether every session is let in and subscribed."""
        return all(session.standing.link == Link.CONNECTED for session in self._sessions)

    def subscribed(self, wait_s: float) -> bool:
        """Whether the broker has granted every subscription once, waiting up to `wait_s` for it."""
        return self._granted.wait(wait_s)

    def take(self, wait_s: float) -> list[Delivery]:
        """The messages that are there, as many as make one commit, waiting up to `wait_s` for the first."""
        taken = self._waiting.take(wait_s)
        if self._paused and not self._waiting.full:
            self._ring()
        return taken

    def acknowledge(self, delivery: Delivery) -> None:
        """Flow control towards the broker; call after the commit."""
        self._acknowledgements.append(delivery)
        if len(self._acknowledgements) == 1:
            self._ring()

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """Sends a mark, QoS 0: a lost one is asked for again."""
        self._marks.append((edge_id, mark))
        if len(self._marks) == 1:
            self._ring()

    def publish_request(self, edge_id: str, note: bytes) -> None:
        """Sends a signed request, QoS 1."""
        self._requests.append((edge_id, note))
        self._ring()

    def _ring(self) -> None:
        """Wakes the thread; a bell that has rung already need not ring again."""
        try:
            self._ringer.send(b"\0")
        except BlockingIOError:
            return

    def _work(self) -> None:
        """Drives every session until `stop`; an error of ours ends the thread, and `check` tells."""
        kept_s = self._machine_s()
        while not self._stopping.is_set():
            self._connect()
            self._serve()
            self._hand_over()
            if not self._granted.is_set() and all(session.granted for session in self._sessions):
                self._granted.set()
            if self._machine_s() - kept_s >= KEEP_EVERY_S:
                kept_s = self._machine_s()
                for session in self._sessions:
                    session.keep()
                self._say()
        for session in self._sessions:
            session.end()

    def _serve(self) -> None:
        """Reads and writes where it is possible, waiting for that at most some tenths of a second."""
        if self._paused != self._waiting.full:
            self._paused = not self._paused
            self._watch(self._sessions)
        unread = [] if self._paused else [session for session in self._touched if session.unread]
        self._watch(self._touched)
        self._touched.clear()
        for session in unread:
            self._read(session)
        for key, events in self._selector.select(0.0 if unread else WAIT_S):
            if key.data is None:
                self._bell.recv(BELL_BYTES)
                continue
            if events & selectors.EVENT_WRITE:
                key.data.write()
                self._touched.add(key.data)
            if events & selectors.EVENT_READ:
                self._read(key.data)

    def _read(self, session: Session) -> None:
        if not self._waiting.full:
            session.read()
        self._touched.add(session)

    def _watch(self, sessions: Iterable[Session]) -> None:
        """Watches each socket for what is of use now."""
        for session in sessions:
            sock = session.socket
            if sock is None:
                continue
            events = (0 if self._paused else selectors.EVENT_READ) | session.wants_write * selectors.EVENT_WRITE
            known = self._selector.get_map().get(sock)
            if known is None and events:
                self._selector.register(sock, events, session)
            elif known is not None and not events:
                self._selector.unregister(sock)
            elif known is not None and known.events != events:
                self._selector.modify(sock, events, session)

    def _forget(self, sock: paho.SocketLike) -> None:
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _hand_over(self) -> None:
        """Sends the acknowledgements and marks that other threads have handed over."""
        for _ in range(len(self._acknowledgements)):
            delivery = self._acknowledgements.popleft()
            session = self._sessions[delivery.session]
            session.acknowledge(delivery.generation, delivery.mid)
            self._touched.add(session)
        for _ in range(len(self._marks)):
            edge_id, mark = self._marks.popleft()
            session = self._sessions[self._of_shard.get(shard(edge_id), 0)]
            session.publish_mark(edge_id, mark)
            self._touched.add(session)
        for _ in range(len(self._requests)):
            edge_id, note = self._requests.popleft()
            session = self._sessions[self._of_shard.get(shard(edge_id), 0)]
            session.publish_request(edge_id, note)
            self._touched.add(session)

    def _connect(self) -> None:
        """Connects what is not connected and due; where the broker does not answer one asks for all."""
        now_s = self._machine_s()
        if now_s < self._look_s:
            return
        self._look_s = now_s + LOOK_EVERY_S
        due = [one for one in self._sessions if one.socket is None and now_s >= one.next_try_s]
        for session in due[:CONNECT_AT_ONCE]:
            if session.connect():
                self._delay_s = float(RECONNECT_MIN_S)
                self._touched.add(session)
                continue
            for other in self._sessions:
                other.standing.unreachable()
            self._look_s = self._machine_s() + self._delay_s
            self._delay_s = min(2 * self._delay_s, float(RECONNECT_MAX_S))
            return

    def _say(self) -> None:
        """What stands in the way of many sessions, said when it changes."""
        if len(self._sessions) == 1:
            return
        said = self.refusal or ("connected" if self.connected else self._said)
        if said != self._said:
            self._said = said
            if self.refusal:
                _log.warning("%s; trying on", said)
            else:
                _log.info("connected to the broker with %d sessions, one a shard", len(self._sessions))
