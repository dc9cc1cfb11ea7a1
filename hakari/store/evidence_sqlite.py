"""Evidence log in one SQLite file: WAL, `synchronous=FULL`, so that a commit outlives a power cut.

Guaranteed: a leaf is appended only at the size that the caller saw (compare-and-swap), also with several
processes on the file; triggers refuse to change or delete a leaf or to shrink or thaw an origin; what an edge
or a stranger can make us keep is bounded. A failing disk raises EvidenceStoreFailed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hakari.log.tree import EMPTY_ROOT
from hakari.names import Origin
from hakari.store.evidence import DECISIONS, Decision, Head, Quarantined, QuarantineTotal, StoredLeaf
from hakari.store.quarantine_room import Entry, to_drop
from hakari.store.sqlite import Database, Schema, SqlRow, StoreFailed, StoreMisused

VERSION = 3
HASH_BYTES = 32
LEAVES_AT_ONCE = 256
PENDING_PLACES = 256
MAX_REASON_CHARS = 1000
MAX_ID = 2**63 - 1

_DECISION = (
    """CREATE TABLE decision (
      id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
      who TEXT NOT NULL, why TEXT NOT NULL, detail TEXT NOT NULL)""",
    "CREATE TRIGGER decision_stays BEFORE DELETE ON decision BEGIN SELECT RAISE (ABORT, 'a decision stays'); END",
    "CREATE TRIGGER decision_holds BEFORE UPDATE ON decision BEGIN SELECT RAISE (ABORT, 'a decision holds'); END",
)
_STATEMENTS = (
    """CREATE TABLE origin (
      id INTEGER PRIMARY KEY, edge TEXT NOT NULL, epoch INTEGER NOT NULL, namespace TEXT NOT NULL,
      size INTEGER NOT NULL, frozen INTEGER NOT NULL, root BLOB NOT NULL, frontier BLOB NOT NULL,
      UNIQUE (edge, epoch, namespace))""",
    # With a rowid: rows of some kilobytes in the nodes of an index tree halve the speed of appending.
    """CREATE TABLE leaf (
      origin INTEGER NOT NULL REFERENCES origin (id), i INTEGER NOT NULL, received_ms INTEGER NOT NULL,
      leaf_hash BLOB NOT NULL, checkpoint BLOB NOT NULL, deflated BLOB NOT NULL,
      gone BLOB NOT NULL DEFAULT x'', UNIQUE (origin, i))""",
    """CREATE TABLE pending (
      id INTEGER PRIMARY KEY, origin INTEGER NOT NULL REFERENCES origin (id), i INTEGER NOT NULL,
      sha256 BLOB NOT NULL, received_ms INTEGER NOT NULL, message BLOB NOT NULL, UNIQUE (origin, i, sha256))""",
    """CREATE TABLE conflict (
      id INTEGER PRIMARY KEY, origin INTEGER NOT NULL REFERENCES origin (id), sha256 BLOB NOT NULL,
      received_ms INTEGER NOT NULL, message BLOB NOT NULL, UNIQUE (origin, sha256))""",
    """CREATE TABLE mark (
      origin INTEGER NOT NULL REFERENCES origin (id), size INTEGER NOT NULL, mark BLOB NOT NULL,
      PRIMARY KEY (origin, size)) WITHOUT ROWID""",
    """CREATE TABLE quarantine (
      id INTEGER PRIMARY KEY AUTOINCREMENT, received_ms INTEGER NOT NULL, source TEXT NOT NULL,
      reason TEXT NOT NULL, payload BLOB NOT NULL)""",
    "CREATE TABLE quarantine_total (kept INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL)",
    "INSERT INTO quarantine_total VALUES (0, 0, 0)",
    "CREATE TRIGGER leaf_stays BEFORE DELETE ON leaf BEGIN SELECT RAISE (ABORT, 'a leaf is never deleted'); END",
    "CREATE TRIGGER leaf_holds BEFORE UPDATE ON leaf BEGIN SELECT RAISE (ABORT, 'a leaf is never changed'); END",
    "CREATE TRIGGER origin_stays BEFORE DELETE ON origin BEGIN SELECT RAISE (ABORT, 'an origin is kept'); END",
    """CREATE TRIGGER origin_grows BEFORE UPDATE ON origin
      WHEN NEW.size < OLD.size OR NEW.size > OLD.size + 1 OR NEW.frozen < OLD.frozen
        OR (OLD.frozen AND NEW.size <> OLD.size)
      BEGIN SELECT RAISE (ABORT, 'an origin grows by one leaf, and never once frozen'); END""",
    *_DECISION,
)
_UPGRADES = {1: _DECISION, 2: ("ALTER TABLE leaf ADD COLUMN gone BLOB NOT NULL DEFAULT x''",)}


class EvidenceStoreFailed(StoreFailed):
    """The evidence log cannot be written or read: stop, and acknowledge nothing."""


SCHEMA = Schema("evidence log", VERSION, _STATEMENTS, "FULL", EvidenceStoreFailed, _UPGRADES)


class Limits(NamedTuple):
    """How much is kept of what is not evidence.

    Beyond it the farthest pending places, new conflicts and the fullest sender's oldest quarantined payloads go; of a
    payload longer than `payload_bytes` the beginning stays. Pending and conflicts count for each origin.
    """

    pending_bytes: int = 4 * 1024 * 1024
    conflicts: int = 64
    conflict_bytes: int = 1024 * 1024
    quarantined: int = 10_000
    quarantine_bytes: int = 64 * 1024 * 1024
    payload_bytes: int = 1024 * 1024


class SqliteEvidenceLog:
    """The evidence log in the file `path`; created where absent, unless it is opened `read_only`."""

    def __init__(self, path: str | Path, *, read_only: bool = False, limits: Limits | None = None) -> None:
        self._db = Database(path, SCHEMA, read_only=read_only)
        self._limits = limits or Limits()
        self._ids: dict[Origin, int] = {}

    @property
    def database(self) -> Database:
        """The file itself, for what copies the log whole."""
        return self._db

    @contextmanager
    def transaction(self, touching: Collection[Origin] = ()) -> Iterator[None]:  # noqa: ARG002 - the port's
        """All writes inside it are on disk when it ends without an error; none is when it ends with one."""
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._ids.clear()
            raise

    def head(self, origin: Origin) -> Head:
        """The head of `origin`; of an unknown one: size 0, no frontier, the empty tree's root."""
        row = self._db.one(
            "SELECT size, frontier, root, frozen FROM origin WHERE edge = ? AND epoch = ? AND namespace = ?",
            (origin.edge_id, origin.epoch, origin.namespace),
        )
        if row is None:
            return Head(0, (), EMPTY_ROOT, frozen=False)
        size, frontier, root, frozen = row
        pieces = tuple(frontier[k : k + HASH_BYTES] for k in range(0, len(frontier), HASH_BYTES))
        return Head(size, pieces, root, bool(frozen))

    def origins(self) -> list[Origin]:
        """Every origin that has a leaf or is frozen, ordered by edge id and epoch."""
        rows = self._db.all(
            "SELECT namespace, edge, epoch FROM origin WHERE size > 0 OR frozen ORDER BY edge, epoch, namespace"
        )
        return [Origin(*row) for row in rows]

    def append(
        self, origin: Origin, expected_size: int, leaf: StoredLeaf, frontier: tuple[bytes, ...], root: bytes
    ) -> bool:
        """Compare-and-swap: appends when the size is still `expected_size` and not frozen, else False."""
        if leaf.i != expected_size or len(frontier) != (expected_size + 1).bit_count():
            raise StoreMisused(f"{origin}: leaf {leaf.i} and {len(frontier)} hashes do not follow size {expected_size}")
        origin_id = self._ensured(origin)
        moved = self._db.run(
            "UPDATE origin SET size = ?, frontier = ?, root = ? WHERE id = ? AND size = ? AND frozen = 0",
            (expected_size + 1, b"".join(frontier), root, origin_id, expected_size),
        )
        if moved != 1:
            return False
        self._db.run(
            "INSERT INTO leaf (origin, i, received_ms, leaf_hash, checkpoint, deflated, gone)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (origin_id, leaf.i, leaf.received_ms, leaf.leaf_hash, leaf.checkpoint, leaf.deflated, leaf.gone),
        )
        return True

    def leaf(self, origin: Origin, i: int) -> StoredLeaf | None:
        """Leaf `i`."""
        return next(self.leaves(origin, i, i + 1), None)

    def leaves(self, origin: Origin, start: int, stop: int) -> Iterator[StoredLeaf]:
        """Leaves start ≤ i < stop in order, read in groups, so that a slow reader holds nothing up."""
        origin_id = self._id(origin)
        while origin_id is not None and start < stop:
            rows = self._db.all(
                "SELECT i, leaf_hash, deflated, checkpoint, received_ms, gone FROM leaf"
                " WHERE origin = ? AND i >= ? AND i < ? ORDER BY i LIMIT ?",
                (origin_id, start, stop, LEAVES_AT_ONCE),
            )
            yield from (StoredLeaf(*row) for row in rows)
            if len(rows) < LEAVES_AT_ONCE:
                return
            start = rows[-1][0] + 1

    def put_mark(self, origin: Origin, size: int, mark: bytes) -> None:
        """Keeps the mark of `origin` at `size`, the first one where there are several."""
        self._db.run("INSERT OR IGNORE INTO mark VALUES (?, ?, ?)", (self._ensured(origin), size, mark))

    def mark(self, origin: Origin, size: int) -> bytes | None:
        """The mark of `origin` at `size`, None where no transaction ended at that size."""
        row = self._db.one("SELECT mark FROM mark WHERE origin = ? AND size = ?", (self._id(origin), size))
        return None if row is None else bytes(row[0])

    def marked(self, origin: Origin, size: int) -> tuple[int, bytes] | None:
        """The smallest marked size of `origin` from `size` on, with its mark; None where there is none yet."""
        row = self._db.one(
            "SELECT size, mark FROM mark WHERE origin = ? AND size >= ? ORDER BY size LIMIT 1", (self._id(origin), size)
        )
        return None if row is None else (int(row[0]), bytes(row[1]))

    def put_pending(self, origin: Origin, i: int, message: bytes, received_ms: int) -> None:
        """Keeps a message that came early, beside others of the same place.

        Nothing is kept outside size ≤ i < size + 256; over the limit of bytes the farthest place goes first,
        since the edge sends it again once the nearer ones are appended.
        """
        size = self.head(origin).size
        if not size <= i < size + PENDING_PLACES:
            return
        origin_id = self._ensured(origin)
        self._db.run(
            "INSERT INTO pending (origin, i, sha256, received_ms, message) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (origin_id, i, hashlib.sha256(message).digest(), received_ms, message),
        )
        kept = 0
        for row_id, length in self._db.all(
            "SELECT id, length(message) FROM pending WHERE origin = ? ORDER BY i, id", (origin_id,)
        ):
            kept += length
            if kept > self._limits.pending_bytes:
                self._db.run("DELETE FROM pending WHERE id = ?", (row_id,))

    def pending(self, origin: Origin, i: int) -> list[bytes]:
        """The messages kept for place `i`, in the order of their arrival."""
        rows = self._db.all("SELECT message FROM pending WHERE origin = ? AND i = ? ORDER BY id", (self._id(origin), i))
        return [row[0] for row in rows]

    def drop_pending(self, origin: Origin, below: int) -> None:
        """Forgets the kept messages of places < below."""
        self._db.run("DELETE FROM pending WHERE origin = ? AND i < ?", (self._id(origin), below))

    def freeze(self, origin: Origin) -> None:
        """Lets the origin never grow again (I6)."""
        self._db.run("UPDATE origin SET frozen = 1 WHERE id = ?", (self._ensured(origin),))

    def keep_conflict(self, origin: Origin, message: bytes, received_ms: int) -> bool:
        """Keeps conflict evidence, each message once; False when the bound for this origin is reached."""
        origin_id = self._ensured(origin)
        digest = hashlib.sha256(message).digest()
        if self._db.one("SELECT 1 FROM conflict WHERE origin = ? AND sha256 = ?", (origin_id, digest)):
            return True
        count, held = self._db.all(
            "SELECT count(*), coalesce(sum(length(message)), 0) FROM conflict WHERE origin = ?", (origin_id,)
        )[0]
        if count >= self._limits.conflicts or held + len(message) > self._limits.conflict_bytes:
            return False
        self._db.run(
            "INSERT INTO conflict (origin, sha256, received_ms, message) VALUES (?, ?, ?, ?)",
            (origin_id, digest, received_ms, message),
        )
        return True

    def conflicts(self, origin: Origin) -> list[bytes]:
        """The conflict evidence of `origin`, in the order of its arrival."""
        rows = self._db.all("SELECT message FROM conflict WHERE origin = ? ORDER BY id", (self._id(origin),))
        return [row[0] for row in rows]

    def quarantine(self, source: str, reason: str, payload: bytes, received_ms: int) -> None:
        """Keeps something that could not be taken; the newest wins, what was dropped is counted."""
        if len(payload) > self._limits.payload_bytes:
            reason = f"{reason[:MAX_REASON_CHARS]} (the first {self._limits.payload_bytes} of {len(payload)} bytes)"
            payload = payload[: self._limits.payload_bytes]
        self._db.run(
            "INSERT INTO quarantine (received_ms, source, reason, payload) VALUES (?, ?, ?, ?)",
            (received_ms, source[:MAX_REASON_CHARS], reason[: 2 * MAX_REASON_CHARS], payload),
        )
        self._db.run("UPDATE quarantine_total SET kept = kept + 1, bytes = bytes + ?", (len(payload),))
        self._shrink_quarantine()

    def quarantined(self, limit: int = 100, before: int | None = None) -> list[Quarantined]:
        """The newest first; with `before` only those with a smaller id."""
        rows = self._db.all(
            "SELECT id, received_ms, source, reason, payload FROM quarantine WHERE id < ? ORDER BY id DESC LIMIT ?",
            (MAX_ID if before is None else before, limit),
        )
        return [Quarantined(*row) for row in rows]

    def quarantined_entry(self, entry_id: int) -> Quarantined | None:
        """The quarantined payload of that id, while it is kept."""
        row = self._db.one("SELECT id, received_ms, source, reason, payload FROM quarantine WHERE id = ?", (entry_id,))
        return None if row is None else Quarantined(*row)

    def quarantine_total(self) -> QuarantineTotal:
        """What the quarantine holds and what it had to drop."""
        return QuarantineTotal(*self._db.all("SELECT kept, bytes, dropped FROM quarantine_total")[0])

    def drop_quarantined(self, entry_id: int) -> bool:
        """Takes a payload out of the quarantine after its decision was recorded; False where it is not kept."""
        row = self._db.one("SELECT length(payload) FROM quarantine WHERE id = ?", (entry_id,))
        if row is None:
            return False
        self._db.run("DELETE FROM quarantine WHERE id = ?", (entry_id,))
        self._db.run("UPDATE quarantine_total SET kept = kept - 1, bytes = bytes - ?", (row[0],))
        return True

    def decide(self, decision: Decision) -> None:
        """Records a decision; it is never changed or deleted."""
        if decision.kind not in DECISIONS:
            raise StoreMisused(f"{decision.kind!r} is no kind of decision")
        self._db.run(
            "INSERT INTO decision (at_ms, kind, subject, who, why, detail) VALUES (?, ?, ?, ?, ?, ?)", decision
        )

    def decisions(self, kind: str = "", subject: str = "") -> list[Decision]:
        """Decisions in the order of their recording; of one kind or about one subject where these are given."""
        rows = self._db.all(
            "SELECT at_ms, kind, subject, who, why, detail FROM decision"
            " WHERE (? = '' OR kind = ?) AND (? = '' OR subject = ?) ORDER BY id",
            (kind, kind, subject, subject),
        )
        return [Decision(*row) for row in rows]

    def close(self) -> None:
        """Releases the file."""
        self._db.close()

    def _shrink_quarantine(self) -> None:
        total, limits = self.quarantine_total(), self._limits
        if total.kept <= limits.quarantined and total.bytes <= limits.quarantine_bytes:
            return
        entries = [Entry(*row) for row in self._db.all("SELECT id, source, length(payload) FROM quarantine")]
        for entry_id in to_drop(entries, limits.quarantined, limits.quarantine_bytes):
            self.drop_quarantined(entry_id)
            self._db.run("UPDATE quarantine_total SET dropped = dropped + 1")

    def _id(self, origin: Origin) -> int | None:
        known = self._ids.get(origin)
        if known is None:
            row = self._db.one(
                "SELECT id FROM origin WHERE edge = ? AND epoch = ? AND namespace = ?",
                (origin.edge_id, origin.epoch, origin.namespace),
            )
            known = self._remember(origin, row)
        return known

    def _remember(self, origin: Origin, row: SqlRow | None) -> int | None:
        if row is None:
            return None
        self._ids[origin] = int(row[0])
        return self._ids[origin]

    def _ensured(self, origin: Origin) -> int:
        known = self._id(origin)
        if known is not None:
            return known
        self._db.run(
            "INSERT INTO origin (edge, epoch, namespace, size, frozen, root, frontier) VALUES (?, ?, ?, 0, 0, ?, x'')",
            (origin.edge_id, origin.epoch, origin.namespace, EMPTY_ROOT),
        )
        return self._ensured(origin)
