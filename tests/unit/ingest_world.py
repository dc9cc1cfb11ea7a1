"""A small plant for tests of ingest: leaves as edges write them, straight in a real evidence log; minutes in memory."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.note import SigningKey
from hakari.log.roster import ApprovedEpoch, EdgeKey, Roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.registers.profile import Point, Profile
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.operations import AlarmPoint, EdgeHealth, EmissionsDay, MeterHealth, PointDay, PointHealth
from hakari.wire.configuration import Meter, MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.envelope import deflate
from hakari.wire.leaf import Block, Leaf, Sample, Sync, encode

EDGE = "sola-e1"
FIRST = Origin("plant.example", EDGE, 1700)
SECOND = Origin("plant.example", EDGE, 1800)
OTHER = Origin("plant.example", "boil-e1", 1750)
SLOT = 1_467_356_400_000
STEP_MS = 900_000
FOREVER = (0, 2**60)
OWNER = SigningKey("owner", Ed25519PrivateKey.from_private_bytes(bytes(32)))
SETTINGS = f"""
[ingest]
namespace = "plant.example"
evidence = "evidence.db"
view = "view.db"
cosigner_name = "ingest"
cosigner_key_file = "cosigner.pem"
owner_key = "{OWNER.verifier}"
roster_file = "roster"
[broker]
host = "127.0.0.1"
"""


def configuration(
    edge: str, notes: str = "", *, meters: Sequence[str] = ("main",), interval_ms: int = STEP_MS, every: int = 1
) -> str:
    """The text of a configuration of meters with one register in Wh each, on units 1, 2, ..."""
    profile = Profile(
        id="test-meter", maker="m", model="m", source="s", standing="excerpt", notes=notes,
        points=[Point(name="energy", address=0, type="u32", kind="counter", unit="Wh", every=every)],
    )  # fmt: skip
    described = [Meter(name, "bus", unit, "", profile) for unit, name in enumerate(meters, 1)]
    return text_of(MeteringConfiguration(1, edge, interval_ms, 60_000, described))


class Plant:
    """Leaves as an edge would write them, put straight into the evidence log."""

    def __init__(self, evidence: SqliteEvidenceLog) -> None:
        self.evidence = evidence
        self.counter = 0

    def leaf(self, origin: Origin, cfg: str = "", wall_ms: int = SLOT) -> Leaf:
        salt = base64.b64encode(bytes(16)).decode()
        i = self.evidence.head(origin).size
        boot = "0123456789abcdef"
        return Leaf(1, origin.edge_id, origin.epoch, i, salt, boot, 1, wall_ms, Sync("lockstep"), cfg, "hakari")

    def sampled(self, origin: Origin, cfg: str, slot_ms: int, meter: str = "main") -> Leaf:
        self.counter += 1
        answer = (bytes([3, 4]) + self.counter.to_bytes(4, "big")).hex()
        block = Block(meter, "modbus-tcp", "010300000002", slot_ms, 900, answer)
        return msgspec.structs.replace(
            self.leaf(origin, cfg, slot_ms), samples=[Sample(slot_ms, self.counter, [block])]
        )

    def store(self, origin: Origin, body: bytes, received_ms: int = 10**15) -> None:
        with self.evidence.transaction():
            head = self.evidence.head(origin)
            digest = leaf_hash(body)
            frontier = extend(head.frontier, head.size, digest)
            stored = StoredLeaf(head.size, digest, deflate(body), b"", received_ms)
            assert self.evidence.append(origin, head.size, stored, frontier, root_of(frontier))

    def configure(self, origin: Origin, text: str) -> str:
        for part in parts_of(text):
            self.store(origin, encode(msgspec.structs.replace(self.leaf(origin), configuration=part)), SLOT)
        return sha256_of(text)

    def sample(self, origin: Origin, cfg: str, count: int, first_ms: int = SLOT) -> None:
        for k in range(count):
            self.store(origin, encode(self.sampled(origin, cfg, first_ms + k * STEP_MS)))

    def read(
        self,
        origin: Origin,
        cfg: str,
        slot_ms: int,
        registers: Mapping[str, int | None],
        received_ms: int | None = None,
    ) -> None:
        """One sample a leaf, received at its slot by default: each meter's register, None where it did not answer."""
        self.counter += 1
        blocks = [
            Block(
                name, "modbus-tcp", f"{unit:02x}0300000002", slot_ms, 900,
                "" if value is None else (bytes([3, 4]) + value.to_bytes(4, "big")).hex(),
                "no answer" if value is None else "",
            )
            for unit, (name, value) in enumerate(registers.items(), 1)
        ]  # fmt: skip
        samples = [Sample(slot_ms, self.counter, blocks)]
        received_ms = slot_ms if received_ms is None else received_ms
        leaf = msgspec.structs.replace(self.leaf(origin, cfg, max(slot_ms, received_ms)), samples=samples)
        self.store(origin, encode(leaf), received_ms)


def roster_of(*edges: str, epochs: Sequence[Origin] = ()) -> Roster:
    """A roster of these edges, each with a key of its own."""
    keys = [EdgeKey(edge, base64.b64encode(edge.encode().ljust(32, b"k")).decode()) for edge in edges]
    approved = [ApprovedEpoch(origin.edge_id, origin.epoch) for origin in epochs]
    return Roster("plant.example", 1, keys, approved)


class Minutes:
    """Operators' measurements in memory."""

    def __init__(self) -> None:
        self.points: dict[int, list[PointHealth]] = {}
        self.edges: dict[int, list[EdgeHealth]] = {}
        self.meters: dict[int, list[MeterHealth]] = {}
        self.alarms: dict[int, list[AlarmPoint]] = {}
        self.days: list[tuple[list[PointDay], list[EmissionsDay]]] = []

    def put_health(
        self,
        t_ms: int,
        points: Sequence[PointHealth],
        edges: Sequence[EdgeHealth],
        meters: Sequence[MeterHealth] = (),
        alarms: Sequence[AlarmPoint] = (),
    ) -> None:
        self.points[t_ms], self.edges[t_ms] = list(points), list(edges)
        self.meters[t_ms], self.alarms[t_ms] = list(meters), list(alarms)

    def put_days(self, points: Sequence[PointDay], projects: Sequence[EmissionsDay]) -> None:
        self.days.append((list(points), list(projects)))

    def days_held(self, project: str) -> set[int]:
        return {day.t_ms for _, projects in self.days for day in projects if day.project == project}

    def close(self) -> None:
        pass
