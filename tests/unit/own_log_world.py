"""A log of ingest's own for tests: keys, roster, a real evidence log, and mappings as their files say them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log import keyfile
from hakari.log.mark import Cosigner
from hakari.log.note import SigningKey
from hakari.log.roster import EdgeKey, NamedKey, Roster, sign_roster
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Leaf, decode
from ingest.sources.mapping import Mapping, read_mapping
from ingest.sources.own_log import OwnLog, Taken, Taking
from ingest.sources.port import GivenReading, Message, Parsed

LOG = "sola-import"
NAMESPACE = "plant.example"
NOW_MS = 1_777_593_600_000  # 2026-05-01T00:00:00Z
HOUR_MS = 3_600_000
OWNER = SigningKey("owner", Ed25519PrivateKey.from_private_bytes(bytes(32)))
DECLARED = """
interval_s = 2678400
origin = "declared"
[[meter]]
id = "main"
serial = "M-1"
[[meter.point]]
name = "energy"
unit = "kWh"
kind = "counter"
minimum = "0"
"""
TABLE = """
interval_s = 900
[[meter]]
id = "logger"
serial = "L-1"
from = 2026-01-01T00:00:00Z
[[meter.point]]
name = "energy"
unit = "kWh"
kind = "counter"
[[meter.point]]
name = "power"
unit = "kW"
kind = "gauge"
[table]
delimiter = ";"
decimal = ","
empty = ["", "-"]
[table.time]
columns = ["Tag", "Zeit"]
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
[[column]]
name = "Zähler"
meter = "logger"
point = "energy"
unit = "Wh"
[[column]]
name = "Leistung"
meter = "logger"
point = "power"
"""
SETTINGS = f"""
[ingest]
namespace = "{NAMESPACE}"
evidence = "evidence.db"
view = "view.db"
cosigner_name = "ingest"
cosigner_key_file = "ingest.pem"
owner_key = "{OWNER.verifier}"
roster_file = "roster.note"
[broker]
host = "127.0.0.1"
[[own_log]]
id = "{LOG}"
key_file = "import.pem"
"""


class OwnWorld:
    """Everything that ingest needs for the own log `LOG`, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key_file = folder / "import.pem"
        self.key = keyfile.create(self.key_file)
        self.cosigner = Cosigner("ingest", keyfile.create(folder / "ingest.pem"))
        (folder / "ingest.toml").write_text(SETTINGS)
        (folder / "declared.toml").write_text(DECLARED)
        (folder / "table.toml").write_text(TABLE)
        (folder / "roster.note").write_bytes(sign_roster(self.roster(), OWNER))

    def roster(self, sources: Sequence[str] = (LOG,)) -> Roster:
        """The owner's roster."""
        public = base64.b64encode(self.key.public_key().public_bytes_raw()).decode()
        cosigner = NamedKey("ingest", str(self.cosigner.verifier))
        return Roster(NAMESPACE, 1, edges=[EdgeKey(LOG, public)], cosigners=[cosigner], sources=sources)

    def evidence(self) -> SqliteEvidenceLog:
        """The evidence log, opened once more."""
        return SqliteEvidenceLog(self.folder / "evidence.db")

    def own(self, evidence: EvidenceLog) -> OwnLog:
        """The own log, as a starting ingest opens it."""
        return OwnLog(evidence, LOG, self.key_file, self.key, self.roster(), self.cosigner, "hakari test")

    def mapping(self, name: str = "declared.toml") -> Mapping:
        """A mapping of the folder."""
        return read_mapping(self.folder / name, LOG)

    def taking(self, *values: tuple[int, str], name: str = "typed", told: bool = True) -> Taking:
        """Values (hours after NOW_MS, number) of main/energy, as one message."""
        readings = [GivenReading("main", "energy", NOW_MS + hours * HOUR_MS, value) for hours, value in values]
        mapping = self.mapping()
        words = {"who": "tester", "why": "a test", "mapping": mapping.sha256} if told else None
        message = Message("test", name, repr((name, values)).encode())
        return Taking(mapping.declared, message, Parsed(readings, []), words)

    def take(self, own: OwnLog, *values: tuple[int, str], now_ms: int = NOW_MS + 1000 * HOUR_MS) -> Taken:
        """Takes values as one message."""
        (taken,) = own.take([self.taking(*values)], now_ms)
        return taken


def leaves_of(evidence: EvidenceLog) -> list[tuple[Origin, Leaf]]:
    """Every leaf of every epoch in order."""
    return [
        (origin, decode(inflate(stored.deflated)))
        for origin in evidence.origins()
        for stored in evidence.leaves(origin, 0, evidence.head(origin).size)
    ]


def values_of(evidence: EvidenceLog) -> list[tuple[str, int, str]]:
    """(point, hours after NOW_MS, value) of everything given, in the order of the log."""
    return [
        (given.point, (sample.slot_ms - NOW_MS) // HOUR_MS, given.value)
        for _, leaf in leaves_of(evidence)
        for sample in leaf.samples
        for given in sample.given
    ]
