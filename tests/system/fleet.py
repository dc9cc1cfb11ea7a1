"""A fleet of edges in one thread over one connection: real logs, signatures and couriers, and no meters.

Beside it a bed for it: a broker without rights, keys, roster and settings of ingest workers in one folder.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.courier import Courier
from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import PlantTime, SystemClock
from hakari.log.keyfile import create
from hakari.log.mark import Cosigner
from hakari.log.note import SigningKey
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.log.rosterfile import create as create_roster
from hakari.names import batch_topic, mark_topic
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.configuration import MeteringConfiguration, text_of
from hakari.wire.leaf import Block, Sample
from ingest.evidence.fsck import fsck
from simulate.layout import argv, free_ports
from simulate.processes import Processes
from tests.simulation.world import METERS, NAMESPACE

SPEED = 10.0  # machine time of the edges runs so much faster, so that resends are not waited for
IN_FLIGHT = 8
START_MS = 1_700_000_000_000
FIRST_KEY = 100


def key_of(k: int) -> Ed25519PrivateKey:
    """The k-th edge's key, the same in every run."""
    return Ed25519PrivateKey.from_private_bytes((FIRST_KEY + k).to_bytes(32, "big"))


class _Outlet:
    def __init__(self, fleet: Fleet, edge_id: str) -> None:
        self._fleet = fleet
        self._topic = batch_topic(edge_id)
        self.outstanding = 0

    @property
    def slots(self) -> int:
        return IN_FLIGHT - self.outstanding if self._fleet.connected else 0

    def publish(self, message: bytes) -> None:
        self._fleet.publish(self, self._topic, message)


class Edge:
    """One edge: its log in memory and its courier."""

    def __init__(self, fleet: Fleet, k: int, roster: Roster) -> None:
        self.edge_id = f"plant{k}-e1"
        self.spool = Spool(":memory:")
        self.outlet = _Outlet(fleet, self.edge_id)
        clock = SystemClock()
        self.log = EdgeLog(self.spool, key_of(k), NAMESPACE, self.edge_id, f"{k:016x}", "hakari test")
        self.courier = Courier(self.log, roster, clock, self.outlet, lambda: SPEED * time.monotonic())
        told = MeteringConfiguration(v=1, edge=self.edge_id, interval_ms=1000, max_lag_ms=500, meters=METERS)
        self.log.start(text_of(told), clock.now())
        self._value = 0

    def sample(self) -> None:
        """One more leaf with one sample."""
        self._value += 1
        slot_ms = START_MS + 1000 * self._value
        block = Block("m1", "modbus-tcp", "010300000001", slot_ms, 900, f"0302{self._value % 65536:04x}")
        self.log.add_sample(Sample(slot_ms, self._value, [block]), PlantTime(slot_ms, self._value, "simulated"), 1)

    @property
    def unstored(self) -> int:
        """Leaves beyond the mark."""
        return sum(state.size - state.mark for state in self.spool.epochs())


class Fleet:
    """Edges plant0-e1, plant1-e1, … that send what they have and hear their marks, driven by `step`."""

    def __init__(self, roster: Roster, count: int, port: int, *, copies: int = 1, backwards: bool = False) -> None:
        """Each message is published `copies` times; `backwards` sends each burst of a step in the wrong order."""
        self.edges = [Edge(self, k, roster) for k in range(count)]
        self.connected = False
        self.sends = 0
        self._by_id = {edge.edge_id: edge for edge in self.edges}
        self._copies = copies
        self._backwards = backwards
        self._burst: list[tuple[_Outlet, str, bytes]] = []
        self._events: deque[tuple[str, object]] = deque()
        self._of_mid: dict[int, _Outlet] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="fleet", clean_session=True, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.max_inflight_messages_set(1000)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(mark_topic("+"), qos=0)
        self._client.on_subscribe = lambda *_: self._events.append(("link", True))
        self._client.on_disconnect = lambda *_: self._events.append(("link", False))
        self._client.on_message = lambda _c, _d, message: self._events.append(("mark", message))
        self._client.on_publish = lambda _c, _d, mid, *_: self._events.append(("taken", mid))
        self._client.connect_async("127.0.0.1", port, 60)
        self._client.loop_start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, outlet: _Outlet, topic: str, message: bytes) -> None:
        """Hands one message over."""
        outlet.outstanding += 1
        self._burst.append((outlet, topic, message))

    def step(self) -> None:
        """Takes what came, and sends what may be sent."""
        while self._events:
            what, told = self._events.popleft()
            if what == "link":
                self._of_mid.clear()
                self.connected = bool(told)
                for edge in self.edges:
                    edge.outlet.outstanding = 0
                    edge.courier.changed(connected=self.connected)
            elif what == "taken" and isinstance(told, int):
                outlet = self._of_mid.pop(told, None)
                if outlet is not None:
                    outlet.outstanding -= 1
            elif isinstance(told, paho.MQTTMessage):
                self._by_id[told.topic.rsplit("/", 1)[-1]].courier.mark(bytes(told.payload))
        for edge in self.edges:
            edge.courier.pump()
        for outlet, topic, message in reversed(self._burst) if self._backwards else self._burst:
            for _ in range(self._copies):
                self.sends += 1
                self._of_mid[self._client.publish(topic, message, qos=1).mid] = outlet
            outlet.outstanding += self._copies - 1
        self._burst.clear()

    def sample_all(self, count: int = 1) -> None:
        """`count` more leaves of each edge."""
        for edge in self.edges:
            for _ in range(count):
                edge.sample()

    def run(self, seconds: float) -> None:
        """Steps for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.step()
            time.sleep(0.005)

    def settle(self, limit_s: float = 60.0) -> float:
        """Steps until every leaf is marked as stored; how many seconds that took."""
        began = time.monotonic()
        while left := sum(edge.unstored for edge in self.edges):
            assert time.monotonic() - began < limit_s, f"{left} leaves are not stored after {limit_s:g} s"
            self.run(0.02)
        return time.monotonic() - began

    def assert_stored_once(self, evidence: SqliteEvidenceLog) -> None:
        """Every leaf of every edge stands in the evidence once, under the edge's own root."""
        held = {(origin.edge_id, origin.epoch): evidence.head(origin) for origin in evidence.origins()}
        for edge in self.edges:
            for state in edge.spool.epochs():
                head = held.pop((edge.edge_id, state.epoch))
                leaf = edge.spool.leaf(state.epoch, state.size - 1)
                assert leaf is not None
                assert head.size == state.size
                (origin,) = (one for one in evidence.origins() if one.edge_id == edge.edge_id)
                stored = list(evidence.leaves(origin, 0, head.size))
                assert [one.i for one in stored] == list(range(state.size))
                assert stored[-1].checkpoint == leaf.checkpoint
        assert held == {}


class Bed:
    """A folder with keys, roster and settings, a broker and workers as processes; leaving the context stops them."""

    def __init__(self, folder: Path, mosquitto: Path, edges: int, broker: str = "") -> None:
        """`broker` are further lines of Mosquitto's configuration."""
        self.folder = folder
        self.port, self._other = free_ports(2)
        self.mosquitto = mosquitto
        self.processes = Processes(folder / "logs")
        self.roster = self._keys(edges)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n"
            f"user root\n{broker or 'max_queued_messages 0'}\n"
        )

    def __enter__(self) -> Self:
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop_all()

    def start_broker(self) -> None:
        """Starts the broker and waits for it."""
        self.processes.start("broker", [str(self.mosquitto), "-c", str(self.folder / "mosquitto.conf")])
        self.processes.wait_listening("broker", "127.0.0.1", self.port)

    def start(
        self, name: str, shards: str = "all", *, crash: str = "", before: Sequence[str] = (), **keys: str
    ) -> None:
        """Starts an ingest worker; `before` are words in front of its command, `keys` further settings."""
        if name in self.processes._children:
            self.processes.kill(name)
        config = self.folder / f"{name}.toml"
        config.write_text(self._settings(name, shards, keys))
        env = ["env", f"HAKARI_CRASH={crash}"] if crash else []
        self.processes.start(name, [*before, *env, *argv("ingest", "run", "--config", config)])

    def evidence(self, file: str = "evidence.db") -> closing[SqliteEvidenceLog]:
        """The evidence log, read only."""
        return closing(SqliteEvidenceLog(self.folder / file, read_only=True))

    def log(self, name: str) -> str:
        """What a process has logged."""
        with suppress(FileNotFoundError):
            return (self.folder / "logs" / f"{name}.log").read_text()
        return ""

    def assert_sound(self, fleet: Fleet, file: str = "evidence.db") -> None:
        """Every leaf once, and every root follows from its leaves."""
        with self.evidence(file) as evidence:
            fleet.assert_stored_once(evidence)
            report = fsck(evidence, self.roster, lambda _: None)
        assert report.problem_count == 0, report.problems

    def counts(self, name: str) -> Counter[str]:
        """The last report of a worker that has ended."""
        lines = [line for line in self.log(name).splitlines() if "messages {" in line]
        told = json.loads(lines[-1].partition("messages ")[2]) if lines else {}
        return Counter({word: number for word, number in told.items() if type(number) is int})

    def _keys(self, edges: int) -> Roster:
        owner = SigningKey("test/owner", create(self.folder / "owner.pem"))
        cosigner = Cosigner("test/ingest", create(self.folder / "ingest.pem"))
        self._owner = str(owner.verifier)
        publics = [base64.b64encode(key_of(k).public_key().public_bytes_raw()).decode() for k in range(edges)]
        roster = Roster(
            NAMESPACE,
            1,
            [EdgeKey(f"plant{k}-e1", public) for k, public in enumerate(publics)],
            cosigners=[NamedKey("test/ingest", str(cosigner.verifier))],
        )
        return create_roster(self.folder / "roster.note", lambda: roster, owner)

    def _settings(self, name: str, shards: str, keys: dict[str, str]) -> str:
        told = {
            "namespace": NAMESPACE, "evidence": "evidence.db", "view": "view.db", "cosigner_name": "test/ingest",
            "cosigner_key_file": "ingest.pem", "owner_key": self._owner, "roster_file": "roster.note",
            "alive_file": f"{name}.alive", "shards": shards, **keys,
        }  # fmt: skip
        lines = "\n".join(f'{key} = "{value}"' for key, value in told.items())
        return f'[ingest]\n{lines}\n[broker]\nhost = "127.0.0.1"\nport = {self.port}\nkeepalive_s = 5\n'
