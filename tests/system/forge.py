"""What a hostile sender needs: leaves signed with any key, envelopes of any shape, a client that hears marks."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec
import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.keyfile import load
from hakari.log.mark import open_mark
from hakari.log.note import VerifierKey
from hakari.log.roster import open_roster
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import Origin, batch_topic, mark_topic
from hakari.wire.configuration import parts_of, sha256_of
from hakari.wire.envelope import VERSION, deflate
from hakari.wire.leaf import Block, Leaf, Sample, Sync, encode
from simulate.layout import NAMESPACE, Layout
from tests.system.chain import Chain

WAIT_S = 30.0
BOOT = "0123456789abcdef"
CONNACK = b"\x20\x02\x00\x00"
SUBACK_REFUSED = b"\x90\x03\x00\x01\x80"
SUBACK = b"\x90\x03\x00\x01\x00"


def on_the_clock(chain: Chain) -> Chain:
    """The same chain with every room on the machine's clock instead of a driver."""
    configs = [chain.layout.ingest_config, *(chain.layout.edge_config(place) for place in chain.layout.plants)]
    for config in configs:
        text = config.read_text()
        changed = re.sub(r'source = "lockstep"\naddress = ".*"', 'source = "system"', text)
        assert changed != text
        config.write_text(changed)
    return chain


def eventually(what: str, true: Callable[[], object], limit_s: float = WAIT_S) -> None:
    """Returns once `true()` is; fails naming `what` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"not so after {limit_s:g} s: {what}"
        time.sleep(0.05)


def envelope(checkpoint: bytes, deflated: bytes) -> bytes:
    """A message without the limits of `seal`."""
    return bytes([VERSION]) + len(checkpoint).to_bytes(2, "big") + checkpoint + deflated


class Forge:
    """One log of an edge, signed with its real key (or another), whose leaves may hold anything."""

    def __init__(self, folder: Path, edge_id: str, epoch: int, key: Ed25519PrivateKey | None = None) -> None:
        self.origin = Origin(NAMESPACE, edge_id, epoch)
        self.key = key or load(folder / f"{edge_id}.pem")
        self.size = 0
        self.frontier: tuple[bytes, ...] = ()

    def leaf(self) -> Leaf:
        """An empty leaf for the next place."""
        salt = base64.b64encode(bytes(16)).decode()
        now_ms = time.time_ns() // 1_000_000
        origin = self.origin
        return Leaf(
            1, origin.edge_id, origin.epoch, self.size, salt, BOOT, 1, now_ms, Sync("unknown"), "", "forged"
        )  # fmt: skip

    def next(self, body: bytes, pad: int = 0) -> bytes:
        """`body` appended: the message, deflated to `pad` bytes more than needed (empty stored blocks)."""
        deflated = deflate(body)
        self.frontier = extend(self.frontier, self.size, leaf_hash(body))
        self.size += 1
        return envelope(self._checkpoint(self.size, root_of(self.frontier)), b"\0\0\0\xff\xff" * pad + deflated)

    def aside(self, body: bytes, *, deflated: bytes | None = None, size: int | None = None) -> bytes:
        """A message for the next place (or of `size`) that does not change the log."""
        root = root_of(extend(self.frontier, self.size, leaf_hash(body)))
        at = self.size + 1 if size is None else size
        root = root if at else EMPTY_ROOT
        return envelope(self._checkpoint(at, root), deflate(body) if deflated is None else deflated)

    def plain(self) -> bytes:
        """The next message with nothing odd about it."""
        return self.next(encode(self.leaf()))

    def configure(self, text: str) -> tuple[str, list[bytes]]:
        """Hash and messages of a configuration."""
        parts = [msgspec.structs.replace(self.leaf(), configuration=part) for part in parts_of(text)]
        assert len(parts) == 1, "keep the forged configuration in one part"
        return sha256_of(text), [self.next(encode(parts[0]))]

    def sampled(self, cfg: str, slot_ms: int, mono_ms: int, raw: int, meter: str = "main") -> Leaf:
        """A leaf with one sample of the configuration of `one_meter`."""
        block = Block(meter, "modbus-tcp", "010300000002", slot_ms, 900, (bytes([3, 4]) + raw.to_bytes(4, "big")).hex())
        return msgspec.structs.replace(self.leaf(), cfg=cfg, samples=[Sample(slot_ms, mono_ms, [block])])

    def _checkpoint(self, size: int, root: bytes) -> bytes:
        return sign_checkpoint(Checkpoint(self.origin, size, root), self.key)


class Sender:
    """A client of the broker under an edge's name; keeps the largest stored mark of each epoch."""

    def __init__(self, layout: Layout, edge_id: str) -> None:
        self.edge_id = edge_id
        self.marks: dict[int, int] = {}
        self.heard = 0
        owner = VerifierKey.parse(layout.owner_key)
        self._keys = open_roster(layout.roster.read_bytes(), owner).cosigner_keys()
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=edge_id, clean_session=True, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.username_pw_set(edge_id, (layout.folder / f"{edge_id}.password").read_text().strip())
        self._client.on_connect = lambda client, *_: client.subscribe(mark_topic(edge_id), qos=0)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_disconnect = lambda *_: self._ready.clear()
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", layout.broker_port, 60)
        self._client.loop_start()

    def __enter__(self) -> Self:
        assert self._ready.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, payload: bytes, *, topic: str | None = None, retain: bool = False, qos: int = 1) -> None:
        """Publishes and waits until the broker has it."""
        assert self._ready.wait(WAIT_S)
        self._client.publish(topic or batch_topic(self.edge_id), payload, qos=qos, retain=retain).wait_for_publish(
            WAIT_S
        )

    def toss(self, payload: bytes) -> None:
        """Publishes at QoS 0 what the broker may refuse by closing the connection."""
        assert self._ready.wait(WAIT_S)
        self._client.publish(batch_topic(self.edge_id), payload, qos=0)

    def settle(self, message: bytes, epoch: int, size: int) -> None:
        """Publishes again and again until the mark says `size`: ingest may not have subscribed yet."""

        def marked() -> bool:
            self.send(message)
            time.sleep(0.2)
            return self.marks.get(epoch, -1) >= size

        eventually(f"mark {size} of epoch {epoch}", marked)

    def _message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        checkpoint = open_mark(bytes(message.payload), self._keys).checkpoint
        epoch = checkpoint.origin.epoch
        self.marks[epoch] = max(self.marks.get(epoch, 0), checkpoint.size)
        self.heard += 1


class StrangeBroker:
    """Answers CONNECT and SUBSCRIBE as told, then sends bytes of its own."""

    def __init__(self, suback: bytes, then: bytes) -> None:
        self._answers = (CONNACK, suback + then)
        self.heard: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionResetError):
            for answer in self._answers:
                self.heard.append(connection.recv(4096))
                connection.sendall(answer)
            while data := connection.recv(4096):
                self.heard.append(data)


def publish_packet(topic: bytes, payload: bytes) -> bytes:
    """A QoS 1 publish with packet id 7."""
    rest = len(topic).to_bytes(2, "big") + topic + b"\0\7" + payload
    assert len(rest) < 128
    return bytes([0x32, len(rest)]) + rest
