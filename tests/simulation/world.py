"""A small world around the protocol's real code: one edge, two ingest workers, a bad network, restored disks.

Real: Spool, EdgeLog, Courier, Sender, Receiver, Worker, SqliteEvidenceLog, keys and signatures. Simulated:
the network between them, time, and the disasters. Everything is drawn from one seed.
"""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.courier import Courier
from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import PlantTime
from hakari.log.mark import Cosigner
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import batch_topic
from hakari.registers.profile import Point, Profile
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire import rows as wire_rows
from hakari.wire.configuration import Assembler, Meter, MeteringConfiguration, text_of
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Block, Leaf, Sample, decode
from ingest.receive.protocol import Receiver
from ingest.receive.source import Delivery
from ingest.receive.worker import Worker

NAMESPACE = "test.example"
EDGE_ID = "plant-e1"
START_MS = 1_700_000_000_000
STAY_LIMIT_S = 2000.0
RECONNECT_LIMIT_S = 25.0
PROFILE = Profile(
    id="counter",
    maker="none",
    model="none",
    source="made for this test",
    standing="excerpt",
    points=[Point(name="count", address=0, type="u16", kind="counter", unit="Wh")],
)
METERS = [Meter(id="m1", bus="b1", unit=1, serial="1", profile=PROFILE)]
CONFIGURATION = text_of(MeteringConfiguration(v=1, edge=EDGE_ID, interval_ms=1000, max_lag_ms=500, meters=METERS))


class Keys(NamedTuple):
    """The keys of a world, made once: they are not what is tested here."""

    edge: Ed25519PrivateKey
    cosigner: Cosigner
    roster: Roster


@lru_cache(maxsize=1)
def keys() -> Keys:
    """Fixed keys and a roster in which every epoch is approved by the checks themselves."""
    edge = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    cosigner = Cosigner("ingest.test.example", Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32))
    public = base64.b64encode(edge.public_key().public_bytes_raw()).decode()
    roster = Roster(
        namespace=NAMESPACE,
        serial=1,
        edges=[EdgeKey(edge=EDGE_ID, key=public, from_epoch=0, from_size=0)],
        epochs=[],
        cosigners=[NamedKey(name=cosigner.name, key=str(cosigner.verifier))],
        statement_keys=[],
    )
    return Keys(edge, cosigner, roster)


class Rates(NamedTuple):
    """Chances of what goes wrong, a message or a step."""

    lose: float
    double: float
    reorder: float
    flip: float
    replay: float
    lose_mark: float


class Identity(NamedTuple):
    """What makes a sample one sample."""

    boot: str
    mono_ms: int


class _Clock:
    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> PlantTime:
        wall_ms = START_MS + int(self._world.now_s * 1000)
        return PlantTime(wall_ms, wall_ms - START_MS, "simulated")


class _EdgeOutlet:
    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def slots(self) -> int:
        return 8

    def publish(self, message: bytes) -> None:
        self._world.sends += 1
        self._world.to_ingest(message)


class _IngestOutlet:
    def __init__(self, world: World) -> None:
        self._world = world

    def acknowledge(self, delivery: Delivery) -> None:
        self._world.acknowledged += delivery.mid >= 0

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        if edge_id == EDGE_ID:
            self._world.to_edge(mark)


class World:
    """One run. `faults` counts every disaster that really happened."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = _Clock(self)
        self.now_s = 0.0
        self.faults: Counter[str] = Counter()
        self.sends = 0
        self.acknowledged = 0
        pick = self.random.choice
        self.rates = Rates(
            lose=pick([0.0, 0.05, 0.3]),
            double=pick([0.0, 0.1]),
            reorder=pick([0.0, 0.3]),
            flip=pick([0.0, 0.02]),
            replay=pick([0.0, 0.05]),
            lose_mark=pick([0.0, 0.1, 0.4]),
        )
        self.batch_samples = pick([1, 1, 2, 5])
        self.healed = False
        self._up: list[bytes] = []
        self._down: list[bytes] = []
        self._old_up: list[bytes] = []
        self._old_down: list[bytes] = []
        self.connected = False
        self._value = 0
        self.truth: dict[Identity, int] = {}
        self.spool = Spool(":memory:")
        self.evidence = SqliteEvidenceLog(":memory:")
        self._boot_edge()
        self._boot_ingest()
        self._edge_images: list[bytes] = []
        self._ingest_images: list[bytes] = []

    # processes

    def _boot_edge(self) -> None:
        boot = f"{self.random.getrandbits(64):016x}"
        self.log = EdgeLog(self.spool, keys().edge, NAMESPACE, EDGE_ID, boot, "hakari test")
        self.courier = Courier(self.log, keys().roster, self.clock, _EdgeOutlet(self), lambda: self.now_s)
        self.log.start(CONFIGURATION, self.clock.now())
        self.connected = False

    def _boot_ingest(self) -> None:
        self.workers = [
            Worker(
                self.evidence,
                Receiver(self.evidence, keys().roster, keys().cosigner),
                _IngestOutlet(self),
                lambda: self.now_s,
            )
            for _ in range(2)
        ]

    # network

    def to_ingest(self, message: bytes) -> None:
        self._old_up.append(message)
        self._up += self._disturbed(message, self.rates.lose, "lost")

    def to_edge(self, mark: bytes) -> None:
        self._old_down.append(mark)
        self._down += self._disturbed(mark, self.rates.lose_mark, "lost mark")

    def _disturbed(self, message: bytes, lose: float, name: str) -> list[bytes]:
        chance = self.random.random
        if self.healed:
            return [message]
        if not self.connected or chance() < lose:
            self.faults[name] += 1
            return []
        if chance() < self.rates.flip:
            self.faults["flipped"] += 1
            k = self.random.randrange(len(message))
            message = message[:k] + bytes([message[k] ^ (1 << self.random.randrange(8))]) + message[k + 1 :]
        if chance() < self.rates.double:
            self.faults["doubled"] += 1
            return [message, message]
        return [message]

    def _deliver(self) -> None:
        if not self.healed:
            for queue in (self._up, self._down):
                if len(queue) > 1 and self.random.random() < self.rates.reorder:
                    self.faults["reordered"] += 1
                    self.random.shuffle(queue)
            if self._old_up and self.random.random() < self.rates.replay:
                self.faults["replayed"] += 1
                self._up.append(self.random.choice(self._old_up))
            if self._old_down and self.random.random() < self.rates.replay:
                self.faults["replayed mark"] += 1
                self._down.append(self.random.choice(self._old_down))
        taken, self._up = self._up, []
        self._receive(taken)
        marks, self._down = self._down, []
        for mark in marks:
            self.courier.mark(mark)
        self.courier.pump()

    def _receive(self, messages: list[bytes]) -> None:
        shares: list[list[Delivery]] = [[], []]
        for mid, message in enumerate(messages):
            delivery = Delivery(1, mid, batch_topic(EDGE_ID), message)
            for k in self.random.choice([(0,), (1,), (0, 1)]):
                shares[k].append(delivery)
        now_ms = self.clock.now().wall_ms
        for worker, share in zip(self.workers, shares, strict=True):
            if share:
                worker.handle(share, now_ms)
            worker.send_marks(now_ms)

    # steps

    def sample(self) -> None:
        """The edge commits one sample."""
        self._value += 1
        now = self.clock.now()
        self.truth[Identity(self.log.boot, now.mono_ms)] = self._value
        block = Block("m1", "modbus-tcp", "010300000001", now.wall_ms, 900, f"0302{self._value % 65536:04x}")
        self.log.add_sample(Sample(now.wall_ms, now.mono_ms, [block]), now, self.batch_samples)

    def step(self) -> None:
        """Time passes, one thing happens, messages move."""
        self.now_s += self.random.choice([0.2, 1.0, 1.0, 3.0, 12.0, 61.0])
        if not self.connected and self.random.random() < 0.5:
            self._connect()
        self.sample()
        if self.random.random() < 0.12:
            self.random.choice(self._disasters())()
        self._deliver()

    def _connect(self) -> None:
        self.connected = True
        self.courier.changed(connected=True)

    def _disasters(self) -> list[Callable[[], None]]:
        return [
            self._kill_broker,
            self._kill_broker,
            self._kill_edge,
            self._kill_ingest,
            self._image_edge,
            self._image_edge,
            self._image_ingest,
            self._restore_edge,
            self._restore_ingest,
        ]

    def _kill_broker(self) -> None:
        self.faults["broker killed"] += 1
        self._up, self._down = [], []
        self.connected = False
        self.courier.changed(connected=False)

    def _kill_edge(self) -> None:
        self.faults["edge killed"] += 1
        self._boot_edge()

    def _kill_ingest(self) -> None:
        self.faults["ingest killed"] += 1
        self._boot_ingest()

    def _image_edge(self) -> None:
        self._edge_images.append(self.spool.snapshot())

    def _image_ingest(self) -> None:
        self._ingest_images.append(self.evidence._db._db.serialize())

    def _restore_edge(self) -> None:
        if self._edge_images:
            self.faults["edge restored"] += 1
            self.spool = Spool.restored(self.random.choice(self._edge_images))
            self._boot_edge()

    def _restore_ingest(self) -> None:
        if self._ingest_images:
            self.faults["ingest restored"] += 1
            self.evidence = SqliteEvidenceLog(":memory:")
            self.evidence._db._db.deserialize(self.random.choice(self._ingest_images))
            self._boot_ingest()

    # the end

    def heal(self) -> bool:
        """The network is good again; True when everything is stored in time.

        Where the broker is restarted too, the edge goes back to its mark at once (E2) and has 25 seconds; where
        the connection stays, the longest waits of E3 (5 minutes) and E6 (15 minutes) may have to pass first.
        """
        self.healed = True
        self._old_up, self._old_down = [], []
        if self.connected and self.random.random() < 0.5:
            limit_s = STAY_LIMIT_S
        else:
            limit_s = RECONNECT_LIMIT_S
            self._kill_broker()
            self._connect()
        self.log.cut(self.clock.now())
        until = self.now_s + limit_s
        while self.now_s < until:
            self.now_s += 1.0 if limit_s == RECONNECT_LIMIT_S else 5.2
            self._deliver()
            if not self._up and not self._down and self.stored():
                return True
        return False

    def credited(self) -> list[wire_rows.Row]:
        """What calc would count: the rows of every leaf, each reading once (I10)."""
        configurations = Assembler()
        found: list[wire_rows.Row] = []
        for origin in self.evidence.origins():
            for stored in self.evidence.leaves(origin, 0, self.evidence.head(origin).size):
                leaf = decode(inflate(stored.deflated))
                if leaf.configuration is not None:
                    configurations.add(leaf.configuration)
                found += wire_rows.rows_of_leaf(EDGE_ID, origin.epoch, leaf, configurations.complete)
        return wire_rows.once(found)

    def stored(self) -> bool:
        """Whether every sample on the edge's disk is in ingest's evidence and the edge knows it."""
        current = self.spool.current()
        if current is None or current.mark < current.size or self.spool.to_carry(1):
            return False
        return self.on_edge() <= set(self.at_ingest())

    def on_edge(self) -> set[Identity]:
        """Every sample in a leaf on the edge's disk."""
        found: set[Identity] = set()
        for state in self.spool.epochs():
            for i in range(state.size):
                leaf = self.spool.leaf(state.epoch, i)
                if leaf is not None:
                    found.update(identities(decode(inflate(leaf.deflated))))
        return found

    def at_ingest(self) -> list[Identity]:
        """Every sample in ingest's evidence, once for each time that it stands there."""
        found: list[Identity] = []
        for origin in self.evidence.origins():
            for stored in self.evidence.leaves(origin, 0, self.evidence.head(origin).size):
                found.extend(identities(decode(inflate(stored.deflated))))
        return found

    def roots_are_sound(self) -> bool:
        """Whether every root at ingest follows from its leaves, and each leaf stands in its place."""
        for origin in self.evidence.origins():
            head = self.evidence.head(origin)
            frontier: tuple[bytes, ...] = ()
            for stored in self.evidence.leaves(origin, 0, head.size):
                body = inflate(stored.deflated)
                leaf = decode(body)
                if (leaf.epoch, leaf.i) != (origin.epoch, stored.i):
                    return False
                frontier = extend(frontier, stored.i, leaf_hash(body))
            if (root_of(frontier) if head.size else EMPTY_ROOT) != head.root:
                return False
        return True


def identities(leaf: Leaf) -> Iterator[Identity]:
    """The samples in a leaf or in the leaf that it carries."""
    if leaf.carried is not None:
        yield from identities(decode(leaf.carried.bytes()))
    for sample in leaf.samples:
        yield Identity(leaf.boot, sample.mono_ms)
