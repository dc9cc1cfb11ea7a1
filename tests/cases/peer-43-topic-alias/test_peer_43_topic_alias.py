"""Every publish of the edge, also the first one after a reconnect, says its topic in full and speaks MQTT 3.1.1."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from edge.outbox import Outbox
from hakari.mqtt import BrokerSettings
from hakari.names import batch_topic

EDGE = "sola-e1"
CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK = 1, b"\x20\x02\x00\x00", 3, 8, 0x90
LEVEL_3_1_1 = 4
WAIT_S = 30.0


class Listener(threading.Thread):
    """A broker of two connections: it ends the first one after a publish. It keeps every packet's body."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.levels: list[int] = []
        self.topics: list[str] = []
        self.told = threading.Semaphore(0)

    def run(self) -> None:
        for _ in range(2):
            connection, _ = self.socket.accept()
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        while True:
            kind, body = self._packet(connection)
            if kind == CONNECT:
                self.levels.append(body[6])
                connection.sendall(CONNACK)
            elif kind == SUBSCRIBE:
                connection.sendall(bytes((SUBACK, 3)) + body[:2] + b"\x00")
            elif kind == PUBLISH:
                length = int.from_bytes(body[:2], "big")
                self.topics.append(body[2 : 2 + length].decode())
                self.told.release()
                return

    def _packet(self, connection: socket.socket) -> tuple[int, bytes]:
        first, length, shift = self._exactly(connection, 1)[0], 0, 0
        while True:
            more = self._exactly(connection, 1)[0]
            length |= (more & 0x7F) << shift
            shift += 7
            if more < 0x80:
                return first >> 4, self._exactly(connection, length)

    def _exactly(self, connection: socket.socket, count: int) -> bytes:
        held = b""
        while len(held) < count:
            part = connection.recv(count - len(held))
            if not part:
                raise ConnectionError
            held += part
        return held


def test_each_publish_names_its_topic(tmp_path: Path) -> None:
    listener = Listener()
    listener.start()
    connected = threading.Semaphore(0)

    def changed(up: bool) -> None:
        if up:
            connected.release()

    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    settings = BrokerSettings(
        host="127.0.0.1", port=listener.socket.getsockname()[1], password_file="password", keepalive_s=5
    )
    outbox = Outbox(settings, tmp_path, EDGE, changed, lambda _mark: None)
    outbox.start()
    try:
        for message in (b"a leaf", b"the same leaf again"):
            assert connected.acquire(timeout=WAIT_S)
            outbox.publish(message)
            assert listener.told.acquire(timeout=WAIT_S)
    finally:
        outbox.stop()
        listener.socket.close()
    assert listener.topics == [batch_topic(EDGE)] * 2
    assert listener.levels == [LEVEL_3_1_1] * 2
