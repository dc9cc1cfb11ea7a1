"""The edge's own log on disk: committed samples, leaves, checkpoints, marks; SQLite, WAL, synchronous=FULL.

Guaranteed: what a method returned from is on disk. A leaf, its hash, the frontier and the checkpoint of the
next size are one transaction. Nothing that is not known as stored is ever deleted. A failing disk raises
SpoolFailed, which ends the process loudly.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from hakari.errors import NOT_REACHABLE, BadConfiguration, HakariError, Refused
from hakari.log.tree import EMPTY_ROOT, leaf_hash
from hakari.wire.envelope import EnvelopeMalformed, inflate

FORMAT = 2
HASH_BYTES = 32
LINK = "broker_link"
LINK_SINCE = "broker_link_since_ms"
LAST_SLOT = "last_slot_ms"

_NOTES = "CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
_SCHEMA = f"""
{_NOTES}
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE epoch (
  epoch INTEGER PRIMARY KEY, size INTEGER NOT NULL, frontier BLOB NOT NULL, root BLOB NOT NULL,
  mark INTEGER NOT NULL, high INTEGER NOT NULL, closed INTEGER NOT NULL);
CREATE TABLE leaf (
  epoch INTEGER NOT NULL, i INTEGER NOT NULL, hash BLOB NOT NULL, root BLOB NOT NULL,
  checkpoint BLOB NOT NULL, deflated BLOB NOT NULL, cut_ms INTEGER NOT NULL, PRIMARY KEY (epoch, i));
CREATE TABLE sample (
  id INTEGER PRIMARY KEY, boot TEXT NOT NULL, cfg TEXT NOT NULL, slot_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE carry (epoch INTEGER NOT NULL, i INTEGER NOT NULL, PRIMARY KEY (epoch, i)) WITHOUT ROWID;
"""


class SpoolFailed(HakariError):
    """The disk under the spool did not do what it was asked; nothing after it can be trusted to be kept."""

    exit_code = NOT_REACHABLE


class SpoolUnknown(BadConfiguration):
    """The spool cannot be where it is told to be, or was written by another version."""


class SpoolTaken(Refused):
    """Another process has the spool."""


class EpochState(NamedTuple):
    """One epoch: leaves, frontier and root; `mark` known as stored, `high` the highest mark ever, `closed` by E5."""

    epoch: int
    size: int
    frontier: tuple[bytes, ...]
    root: bytes
    mark: int
    high: int
    closed: bool


class SpooledLeaf(NamedTuple):
    """A leaf as it will be sent."""

    epoch: int
    i: int
    leaf_hash: bytes
    root: bytes
    checkpoint: bytes
    deflated: bytes

    def body(self) -> bytes | None:
        """What was signed; None when this disk no longer holds it."""
        try:
            body = inflate(self.deflated)
        except EnvelopeMalformed:
            return None
        return body if leaf_hash(body) == self.leaf_hash else None


class SpooledSample(NamedTuple):
    """A committed sample that is in no leaf yet."""

    id: int
    boot: str
    cfg: str
    slot_ms: int
    body: bytes


class Spool:
    """The spool in the file `path`; ":memory:" for simulations."""

    def __init__(self, path: str) -> None:
        self._lock = None if path == ":memory:" else _only_owner(path)
        self._path = path
        self._depth = 0
        with self._disk():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._open_schema(path)

    def _open_schema(self, path: str) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={FORMAT};COMMIT;")
        elif version == 1:
            self._db.executescript(f"BEGIN;{_NOTES}PRAGMA user_version={FORMAT};COMMIT;")
        elif version != FORMAT:
            raise SpoolUnknown(
                f"spool {path} has format {version}, this version knows {FORMAT}; use the version that wrote it"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are on disk together when it ends; nested use joins the outer one."""
        if self._depth:
            yield
            return
        with self._disk():
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # After a full disk SQLite has rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def close(self) -> None:
        """Closes the file."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def snapshot(self) -> bytes:
        """The whole spool as a disk image (simulations of a restored disk)."""
        return self._db.serialize()

    @classmethod
    def restored(cls, image: bytes) -> Spool:
        """A spool in memory from a disk image."""
        spool = cls(":memory:")
        spool._db.deserialize(image)
        return spool

    # state

    def number(self, key: str) -> int:
        """A persisted number, 0 when never set."""
        rows = self._all("SELECT value FROM state WHERE key=?", (key,))
        return int(rows[0][0]) if rows else 0

    def put_number(self, key: str, value: int) -> None:
        """Persists a number."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO state VALUES (?,?)", (key, value))

    def note(self, key: str) -> str:
        """A persisted text, "" when never set: what was learnt of a meter, its identity, its commissioning."""
        rows = self._all("SELECT value FROM note WHERE key=?", (key,))
        return str(rows[0][0]) if rows else ""

    def put_note(self, key: str, value: str) -> None:
        """Persists a text."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO note VALUES (?,?)", (key, value))

    # epochs

    def epochs(self) -> list[EpochState]:
        """Every epoch, oldest first."""
        return [_epoch(row) for row in self._all("SELECT * FROM epoch ORDER BY epoch")]

    def epoch(self, epoch: int) -> EpochState | None:
        """One epoch."""
        rows = self._all("SELECT * FROM epoch WHERE epoch=?", (epoch,))
        return _epoch(rows[0]) if rows else None

    def current(self) -> EpochState | None:
        """The epoch that is being signed in: the newest one, unless it is closed."""
        rows = self._all("SELECT * FROM epoch ORDER BY epoch DESC LIMIT 1")
        return _epoch(rows[0]) if rows and not rows[0][6] else None

    def open_epoch(self, epoch: int) -> None:
        """Closes every epoch, queues all their leaves that are not known as stored, and opens `epoch`."""
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO carry SELECT l.epoch, l.i FROM leaf l JOIN epoch e USING (epoch)"
                " WHERE e.closed=0 AND l.i >= e.mark"
            )
            self._db.execute("UPDATE epoch SET closed=1")
            self._db.execute("INSERT INTO epoch VALUES (?,0,?,?,0,0,0)", (epoch, b"", EMPTY_ROOT))

    def set_mark(self, epoch: int, mark: int) -> None:
        """Persists how many leaves of `epoch` are known as stored."""
        with self.transaction():
            self._db.execute("UPDATE epoch SET mark=?, high=max(high, ?) WHERE epoch=?", (mark, mark, epoch))

    def forget(self, epoch: int, since: int) -> None:
        """Persists that leaves from `since` on are not stored after all; those of a closed epoch wait to be carried."""
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO carry SELECT l.epoch, l.i FROM leaf l JOIN epoch e USING (epoch)"
                " WHERE e.closed=1 AND e.epoch=? AND l.i >= ? AND l.i < e.high",
                (epoch, since),
            )
            self._db.execute(
                "UPDATE epoch SET mark=min(mark, ?), high=min(high, ?) WHERE epoch=?", (since, since, epoch)
            )

    # leaves

    def append(self, leaf: SpooledLeaf, frontier: tuple[bytes, ...], cut_ms: int) -> None:
        """Adds leaf number size to its epoch."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO leaf VALUES (?,?,?,?,?,?,?)",
                (leaf.epoch, leaf.i, leaf.leaf_hash, leaf.root, leaf.checkpoint, leaf.deflated, cut_ms),
            )
            self._db.execute(
                "UPDATE epoch SET size=?, frontier=?, root=? WHERE epoch=? AND size=?",
                (leaf.i + 1, b"".join(frontier), leaf.root, leaf.epoch, leaf.i),
            )

    def leaf(self, epoch: int, i: int) -> SpooledLeaf | None:
        """One leaf, None when it never was or has left the ring."""
        rows = self._all(
            "SELECT epoch, i, hash, root, checkpoint, deflated FROM leaf WHERE epoch=? AND i=?", (epoch, i)
        )
        return SpooledLeaf(*rows[0]) if rows else None

    def root_at(self, epoch: int, size: int) -> bytes | None:
        """Our root of the first `size` leaves, None when we do not have it."""
        if size == 0:
            return EMPTY_ROOT
        rows = self._all("SELECT root FROM leaf WHERE epoch=? AND i=?", (epoch, size - 1))
        return bytes(rows[0][0]) if rows else None

    def prune(self, older_than_ms: int) -> int:
        """E6: deletes stored leaves that were cut before `older_than_ms`, never the last of an epoch; how many."""
        with self.transaction():
            return self._db.execute(
                "DELETE FROM leaf WHERE cut_ms < ? AND EXISTS (SELECT 1 FROM epoch e WHERE e.epoch = leaf.epoch"
                " AND leaf.i < e.mark AND leaf.i < e.size - 1) AND NOT EXISTS"
                " (SELECT 1 FROM carry c WHERE c.epoch = leaf.epoch AND c.i = leaf.i)",
                (older_than_ms,),
            ).rowcount

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolFailed(
                f"the disk under spool {self._path} failed: {error}; the edge stops,"
                " free or mend the disk and start it again"
            ) from error

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._disk():
            return self._db.execute(sql, values).fetchall()

    # leaves to carry into the current epoch

    def to_carry(self, limit: int) -> list[tuple[int, int]]:
        """The oldest (epoch, i) that still have to be carried."""
        return self._all("SELECT epoch, i FROM carry ORDER BY epoch, i LIMIT ?", (limit,))

    def carried(self, epoch: int, i: int) -> None:
        """(epoch, i) is in the current epoch now."""
        with self.transaction():
            self._db.execute("DELETE FROM carry WHERE epoch=? AND i=?", (epoch, i))

    # samples

    def add_sample(self, boot: str, cfg: str, slot_ms: int, body: bytes) -> None:
        """Commits a sample."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO sample (boot, cfg, slot_ms, body) VALUES (?,?,?,?)", (boot, cfg, slot_ms, body)
            )

    def samples(self) -> list[SpooledSample]:
        """Committed samples that are in no leaf, oldest first."""
        rows = self._all("SELECT id, boot, cfg, slot_ms, body FROM sample ORDER BY id")
        return [SpooledSample(*row) for row in rows]

    def sample_count(self) -> int:
        """How many committed samples are in no leaf."""
        return int(self._all("SELECT count(*) FROM sample")[0][0])

    def drop_samples(self, upto_id: int) -> None:
        """Forgets samples with id ≤ `upto_id`: they are in a leaf of the same transaction."""
        with self.transaction():
            self._db.execute("DELETE FROM sample WHERE id <= ?", (upto_id,))


def _only_owner(path: str) -> IO[bytes]:
    """A held lock, so that a second agent with the same spool is refused instead of signing beside the first."""
    try:
        lock = Path(f"{path}.lock").open("wb")  # noqa: SIM115 - held as long as the spool is open
    except OSError as error:
        raise SpoolUnknown(
            f"[edge].spool: beside {path} no file can be made ({error.strerror}); make its folder or correct the path"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise SpoolTaken(
            f"spool {path} belongs to a running edge; stop that one first or give this one its own spool"
        ) from error
    return lock


def _epoch(row: tuple[int, int, bytes, bytes, int, int, int]) -> EpochState:
    epoch, size, packed, root, mark, high, closed = row
    frontier = tuple(packed[k : k + HASH_BYTES] for k in range(0, len(packed), HASH_BYTES))
    return EpochState(epoch, size, frontier, root, mark, high, bool(closed))
