"""What an own log holds, by point and time: an index that is made from the log itself, and again where it does not fit.

Guaranteed: after `catch_up` it holds the value of every (point, slot) of the log, the first one where several stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hakari.errors import DataProblem
from hakari.names import IMPORT_EVENT, Origin
from hakari.store.evidence import EvidenceLog, StoredLeaf
from hakari.store.sqlite import Database, Schema, StoreFailed
from hakari.wire.configuration import Assembler
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Leaf, decode

_STATEMENTS = (
    """CREATE TABLE value (meter TEXT NOT NULL, point TEXT NOT NULL, slot_ms INTEGER NOT NULL, value TEXT NOT NULL,
      PRIMARY KEY (meter, point, slot_ms)) WITHOUT ROWID""",
    "CREATE TABLE file (sha256 TEXT NOT NULL, mapping TEXT NOT NULL, PRIMARY KEY (sha256, mapping)) WITHOUT ROWID",
    "CREATE TABLE configuration (epoch INTEGER NOT NULL, cfg TEXT NOT NULL, PRIMARY KEY (epoch, cfg)) WITHOUT ROWID",
    """CREATE TABLE meter (id TEXT NOT NULL, origin TEXT NOT NULL, serial TEXT NOT NULL,
      PRIMARY KEY (id, origin, serial)) WITHOUT ROWID""",
    "CREATE TABLE cursor (epoch INTEGER PRIMARY KEY, size INTEGER NOT NULL, leaf_hash BLOB NOT NULL)",
)
_TABLES = ("value", "file", "configuration", "cursor", "meter")


class OwnIndexFailed(StoreFailed):
    """The index of an own log cannot be read or written; it may be deleted, it is made again."""


SCHEMA = Schema("own log index", 2, _STATEMENTS, "NORMAL", OwnIndexFailed)


def index_file(key_file: Path) -> Path:
    """The file beside `key_file`."""
    return key_file.with_name(f"{key_file.name}.index")


class OwnIndex:
    """The index in the file `path`, of one own log."""

    def __init__(self, path: Path | str) -> None:
        self._db = Database(path, SCHEMA)

    def catch_up(self, evidence: EvidenceLog, origins: Iterable[Origin]) -> None:
        """Takes in every leaf of `origins` (oldest epoch first) that it has not seen; all again after a restore."""
        found = list(origins)
        with self._db.transaction():
            gone = {int(row[0]) for row in self._db.all("SELECT epoch FROM cursor")} - {one.epoch for one in found}
            if gone or not all(self._fits(evidence, origin) for origin in found):
                for table in _TABLES:
                    self._db.run(f"DELETE FROM {table}")  # noqa: S608 - our own names
            for origin in found:
                self._read(evidence, origin)

    def value(self, meter: str, point: str, slot_ms: int) -> str | None:
        """The value that stands for a point at a time, None where none does."""
        row = self._db.one(
            "SELECT value FROM value WHERE meter = ? AND point = ? AND slot_ms = ?", (meter, point, slot_ms)
        )
        return None if row is None else str(row[0])

    def meter(self, meter: str) -> list[tuple[str, str]]:
        """Origin and serial under which the log has declared a meter; more than one where it was spoiled before."""
        rows = self._db.all("SELECT origin, serial FROM meter WHERE id = ?", (meter,))
        return [(str(origin), str(serial)) for origin, serial in rows]

    def knows_file(self, sha256: str, mapping: str) -> bool:
        """Whether that very file was imported with that very mapping."""
        return self._db.one("SELECT 1 FROM file WHERE sha256 = ? AND mapping = ?", (sha256, mapping)) is not None

    def configured(self, epoch: int, cfg: str) -> bool:
        """Whether the configuration stands in the epoch, whole."""
        return self._db.one("SELECT 1 FROM configuration WHERE epoch = ? AND cfg = ?", (epoch, cfg)) is not None

    def close(self) -> None:
        """Releases the file."""
        self._db.close()

    def _fits(self, evidence: EvidenceLog, origin: Origin) -> bool:
        row = self._db.one("SELECT size, leaf_hash FROM cursor WHERE epoch = ?", (origin.epoch,))
        if row is None or row[0] == 0:
            return True
        last = evidence.leaf(origin, row[0] - 1)
        return last is not None and last.leaf_hash == row[1]

    def _read(self, evidence: EvidenceLog, origin: Origin) -> None:
        row = self._db.one("SELECT size FROM cursor WHERE epoch = ?", (origin.epoch,))
        parts = Assembler()
        last: StoredLeaf | None = None
        for stored in evidence.leaves(origin, row[0] if row else 0, evidence.head(origin).size):
            last = stored
            try:
                self._learn(origin.epoch, decode(inflate(stored.deflated)), parts)
            except DataProblem:
                # What cannot be read gives no rows anywhere, so it holds no value either.
                continue
        if last is not None:
            self._db.run("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (origin.epoch, last.i + 1, last.leaf_hash))

    def _learn(self, epoch: int, leaf: Leaf, parts: Assembler) -> None:
        for event in leaf.events:
            if event.kind == IMPORT_EVENT:
                names = (event.data.get("sha256", ""), event.data.get("mapping", ""))
                self._db.run("INSERT OR IGNORE INTO file VALUES (?, ?)", names)
        whole = None if leaf.configuration is None else parts.add(leaf.configuration)
        if leaf.configuration is not None and whole is not None:
            self._db.run_many(
                "INSERT OR IGNORE INTO meter VALUES (?, ?, ?)",
                [(meter.id, meter.origin, meter.serial) for meter in whole.meters],
            )
            self._db.run("INSERT OR IGNORE INTO configuration VALUES (?, ?)", (epoch, leaf.configuration.sha256))
        self._db.run_many(
            "INSERT OR IGNORE INTO value VALUES (?, ?, ?, ?)",
            [(one.meter, one.point, sample.slot_ms, one.value) for sample in leaf.samples for one in sample.given],
        )
