"""A small plant for tests of calc: real keys, real leaves in a real evidence log, a view, a ledger, settings files."""

from __future__ import annotations

import base64
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calc.methodologies.registry import installed
from hakari.errors import DataProblem
from hakari.log import keyfile
from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.mark import Cosigner, cosign
from hakari.log.note import SigningKey
from hakari.log.roster import ApprovedEpoch, EdgeKey, NamedKey, Roster, sign_roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.registers.profile import Point, Profile
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import Meter, MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.envelope import deflate, inflate
from hakari.wire.leaf import Block, Carried, ConfigurationPart, Event, Leaf, Sample, Sync, decode, encode
from hakari.wire.rows import Place

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "methodology"
NAMESPACE = "test.example"
EDGE = "site-e1"
EXPORT, IMPORT = f"{EDGE}/export/energy", f"{EDGE}/import/energy"
QUARTER_MS = 900_000
HOUR_MS = 3_600_000
START_MS = 1_467_331_200_000  # 2016-07-01T00:00:00Z
END_MS = 1_470_009_600_000  # 2016-08-01T00:00:00Z
ORIGIN = Origin(NAMESPACE, EDGE, 1)
BOOT = "00112233445566aa"
DOCUMENT_SHA256 = "ab" * 32

POINT_TOML = """
[[monitored.points]]
point = "{point}"
serial = "{serial}"
accuracy_class = "0.5S"
capacity_kw = "100"
commissioned = 2016-07-01
[monitored.points.calibration]
certificate = "C-1"
lab = "Test Lab"
date = 2016-01-01
valid_to = 2026-01-01
"""


@contextmanager
def fixture_methodology() -> Iterator[None]:
    """The third party's package on the path, as PYTHONPATH would put it."""
    sys.path.insert(0, str(FIXTURES))
    importlib.invalidate_caches()
    installed.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(FIXTURES))
        installed.cache_clear()


def project_text(
    *, methodology: str = "FIXTURE_PUBLISHED", zone: str = "Etc/UTC", standing: str = "published", extra: str = ""
) -> str:
    """A project over both meters."""
    approver = f'approver = "Committee"\ndocument_sha256 = "{DOCUMENT_SHA256}"' if standing == "published" else ""
    return f"""
[project]
id = "plant"
name = "Test plant"
country = "JP"
zone = "{zone}"
namespace = "{NAMESPACE}"
methodology = "{methodology}"
version = "1.0"

[plan]
boundary_limit_h = 1
interval_s = 3600

[[parameter]]
name = "EF"
value = "0.5"
unit = "tCO2/MWh"
standing = "{standing}"
source = "published.md, section 3"
{approver}

[[monitored]]
parameter = "EXP"
option = "C"
{POINT_TOML.format(point=EXPORT, serial="S-export")}
[[monitored]]
parameter = "IMP"
option = "C"
{POINT_TOML.format(point=IMPORT, serial="S-import")}
{extra}"""


def counter(type_: str = "u32", exponent: int = 0) -> Profile:
    """A meter with one cumulative register in Wh."""
    return Profile(
        id="test-counter",
        maker="Test",
        model="Counter",
        source="made for tests",
        standing="one-source",
        points=[Point(name="energy", address=0, type=type_, kind="counter", unit="Wh", exponent=exponent)],  # type: ignore[arg-type]
    )


def configuration(serials: Mapping[str, str] | None = None) -> MeteringConfiguration:
    """The metering configuration of the edge with both meters."""
    serials = serials or {"export": "S-export", "import": "S-import"}
    meters = [
        Meter(id=name, bus="bus1", unit=k + 1, serial=serial, profile=counter())
        for k, (name, serial) in enumerate(serials.items())
    ]
    return MeteringConfiguration(v=1, edge=EDGE, interval_ms=HOUR_MS, max_lag_ms=60_000, meters=meters)


def configuration_sha256() -> str:
    """The hash by which leaves name that configuration."""
    return sha256_of(text_of(configuration()))


def block(meter: str, unit: int, raw: int | None, wall_ms: int) -> Block:
    """One exchange: the register's two words, or no answer at all."""
    answer = "" if raw is None else f"0304{raw:08x}"
    error = "no answer" if raw is None else ""
    return Block(
        meter=meter, protocol="modbus-tcp", request=f"{unit:02x}0300000002", wall_ms=wall_ms, round_trip_us=1000,
        answer=answer, error=error,
    )  # fmt: skip


Reading = tuple[int, int | None, int | None]


class World:
    """One edge, its epochs and everybody's keys, in `folder`."""

    def __init__(self, folder: Path, *, zone: str = "Etc/UTC") -> None:
        self.folder = folder
        self.zone = zone
        folder.mkdir(parents=True, exist_ok=True)
        self.edge_key = Ed25519PrivateKey.generate()
        self.owner = SigningKey("owner", keyfile.create(folder / "owner.pem"))
        self.statement = SigningKey("statement", keyfile.create(folder / "statement.pem"))
        self.cosigner = Cosigner("ingest", keyfile.create(folder / "ingest.pem"))
        self.evidence = SqliteEvidenceLog(folder / "evidence.db")
        self.salt = 0
        self.mark_every = 1

    def roster(self, epochs: Sequence[int] = (1,)) -> Roster:
        """The owner's roster."""
        public = base64.b64encode(self.edge_key.public_key().public_bytes_raw()).decode()
        return Roster(
            namespace=NAMESPACE,
            serial=1,
            edges=[EdgeKey(EDGE, public)],
            epochs=[ApprovedEpoch(EDGE, epoch) for epoch in epochs],
            cosigners=[NamedKey("ingest", str(self.cosigner.verifier))],
            statement_keys=[NamedKey("statement", str(self.statement.verifier))],
        )

    def write_settings(self, epochs: Sequence[int] = (1,), grace_h: int = 1) -> Path:
        """Roster and calc.toml; the path of the latter."""
        (self.folder / "roster.note").write_bytes(sign_roster(self.roster(epochs), self.owner))
        path = self.folder / "calc.toml"
        path.write_text(
            f'[calc]\nevidence = "evidence.db"\nview = "view.db"\nledger = "sqlite:///ledger.db"\n'
            f'roster_file = "roster.note"\nowner_key = "{self.owner.verifier}"\n'
            f'statement_key_file = "statement.pem"\nstatement_key_name = "statement"\n'
            f"grace_h = {grace_h}\n"
        )
        return path

    def leaf(
        self,
        epoch: int,
        *,
        samples: Sequence[Sample] = (),
        part: ConfigurationPart | None = None,
        carried: Carried | None = None,
        events: Sequence[Event] = (),
        cfg: str = "",
        boot: str = BOOT,
        wall_ms: int | None = None,
        received_ms: int | None = None,
    ) -> bytes:
        """Signs and appends the next leaf of `epoch`, cut and received at its last slot by default; its body."""
        origin = Origin(NAMESPACE, EDGE, epoch)
        head = self.evidence.head(origin)
        self.salt += 1
        last_ms = samples[-1].slot_ms if samples else START_MS
        leaf = Leaf(
            v=1, edge=EDGE, epoch=epoch, i=head.size, salt=base64.b64encode(self.salt.to_bytes(16, "big")).decode(),
            boot=boot, mono_ms=max(0, last_ms - START_MS + HOUR_MS),
            wall_ms=last_ms if wall_ms is None else wall_ms, sync=Sync("lockstep"), cfg=cfg,
            sw="hakari test", samples=list(samples), events=list(events), configuration=part, carried=carried,
        )  # fmt: skip
        body = encode(leaf)
        self.append(origin, body, last_ms if received_ms is None else received_ms)
        return body

    def append(self, origin: Origin, body: bytes, received_ms: int) -> None:
        """Appends `body` under a checkpoint by the edge's key."""
        head = self.evidence.head(origin)
        frontier = extend(head.frontier, head.size, leaf_hash(body))
        root = root_of(frontier)
        note = sign_checkpoint(Checkpoint(origin, head.size + 1, root), self.edge_key)
        stored = StoredLeaf(head.size, leaf_hash(body), deflate(body), note, received_ms)
        with self.evidence.transaction():
            if not self.evidence.append(origin, head.size, stored, frontier, root):
                raise AssertionError("the head moved")
            if (head.size + 1) % self.mark_every == 0:
                mark = cosign(Checkpoint(origin, head.size + 1, root), self.cosigner, received_ms // 1000)
                self.evidence.put_mark(origin, head.size + 1, mark)

    def configure(self, epoch: int = 1, serials: Mapping[str, str] | None = None) -> str:
        """Logs the configuration; its hash."""
        text = text_of(configuration(serials))
        for part in parts_of(text):
            self.leaf(epoch, part=part)
        return sha256_of(text)

    def record(self, readings: Sequence[Reading], cfg: str, *, epoch: int = 1, batch: int = 8) -> None:
        """Appends (slot, export register, import register) readings, `batch` samples a leaf."""
        for k in range(0, len(readings), batch):
            self.leaf(epoch, samples=[sample(one) for one in readings[k : k + batch]], cfg=cfg)


def sample(reading: Reading) -> Sample:
    """The sample of both meters at one slot."""
    slot_ms, exported, imported = reading
    blocks = [block("export", 1, exported, slot_ms + 40), block("import", 2, imported, slot_ms + 80)]
    return Sample(slot_ms=slot_ms, mono_ms=slot_ms - START_MS + 2 * 366 * 24 * HOUR_MS, blocks=blocks)


def month(step_ms: int = HOUR_MS, extra_ms: int = 2 * HOUR_MS) -> list[Reading]:
    """Hourly readings of July 2016 and a little more: 10 kWh exported and 1 kWh imported an hour."""
    slots = range(START_MS, END_MS + extra_ms + 1, step_ms)
    return [(t, 5_000_000 + (t - START_MS) // 360, 70_000 + (t - START_MS) // 3600) for t in slots]


def replaced(text: str, old: str, new: str) -> str:
    """`text` with `old` replaced; fails where there is none, so that a test cannot pass by a typing error."""
    if old not in text:
        raise AssertionError(f"{old!r} is not in the text")
    return text.replace(old, new)


def body_of(stored: StoredLeaf) -> bytes:
    """The body of a stored leaf."""
    return inflate(stored.deflated)


def decode_stored(stored: StoredLeaf) -> Leaf:
    """The leaf; one that cannot be read is an empty one."""
    try:
        return decode(body_of(stored))
    except DataProblem:
        return Leaf(
            v=1, edge=EDGE, epoch=1, i=stored.i, salt="", boot="", mono_ms=0, wall_ms=0, sync=Sync(""), cfg="", sw=""
        )


def place(origin: Origin, i: int) -> Place:
    """Where leaf `i` of `origin` stands."""
    return Place(origin.edge_id, origin.epoch, i)


def open_view(path: Path) -> SqliteReadingsView:
    """A readings view at `path`."""
    return SqliteReadingsView(path)
