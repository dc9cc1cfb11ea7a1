"""The edge's own log on disk: committed samples, leaves, checkpoints, marks; SQLite, WAL, synchronous=FULL.

Guaranteed: what a method returned from is on disk. A leaf, its hash, the frontier and the checkpoint of the
next size are one transaction. Nothing that is not known as stored is ever deleted. A row whose seal does not fit is
never used: of an epoch SpoolDamaged, of a sample or a leaf it is told, of a number or a note it counts as never set. A
failing disk raises SpoolFailed, which ends the process loudly.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from edge.spool_gone import Gone
from edge.spool_integrity import check
from edge.spool_kept import Kept
from edge.spool_schema import (
    FORMAT,
    TABLES,
    UNKNOWN_SYNC,
    from_format_1,
    from_format_2_or_3,
    make,
    seal,
    spoilt,
    tables,
    text,
)
from edge.spool_wal import Left, left_behind
from hakari.errors import NOT_REACHABLE, BadConfiguration, HakariError, Refused
from hakari.log.tree import EMPTY_ROOT, leaf_hash
from hakari.wire.envelope import EnvelopeMalformed, inflate

HASH_BYTES = 32
LINK = "broker_link"
LINK_SINCE = "broker_link_since_ms"
LAST_SLOT = "last_slot_ms"

_log = logging.getLogger("hakari.edge")


class SpoolFailed(HakariError):
    """The disk under the spool did not do what it was asked; nothing after it can be trusted to be kept."""

    exit_code = NOT_REACHABLE


class SpoolDamaged(SpoolFailed):
    """What the spool says of its own log is not what was written; signing on it could give a second root."""


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
    whole: bool = True

    def body(self) -> bytes | None:
        """What was signed; None when this disk no longer holds it and its checkpoint as they were written."""
        if not self.whole:
            return None
        try:
            body = inflate(self.deflated)
        except EnvelopeMalformed:
            return None
        return body if leaf_hash(body) == self.leaf_hash else None


class SpooledSample(NamedTuple):
    """A committed sample that is in no leaf yet.

    `sync` and `offset_ms` (wall clock − monotonic clock) are those under which it was taken; one that is not `whole`
    is no longer what was committed.
    """

    id: int
    boot: str
    cfg: str
    slot_ms: int
    body: bytes
    sync: str = UNKNOWN_SYNC
    offset_ms: int = 0
    whole: bool = True


class Spool(Kept, Gone):
    """The spool in the file `path`; ":memory:" for simulations."""

    def __init__(self, path: str) -> None:
        self._lock = None if path == ":memory:" else _only_owner(path)
        self._path = path
        self._depth = 0
        self._spoilt: set[tuple[str, str]] = set()
        self._look_at_log(path)
        with self._disk():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.text_factory = text
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._open_schema(path)
        try:
            check(self)
            with self._disk():
                self._spoilt = spoilt(self._db)
        except BaseException:
            self.close()
            raise
        for table, key in sorted(self._spoilt):
            _log.error("%s %s in spool %s is not what was written; it counts as never set", table, key, path)

    def _look_at_log(self, path: str) -> None:
        """Before SQLite leaves out what is damaged in its log and writes over it: what is lost may have been sent."""
        left = Left.WHOLE if self._lock is None else left_behind(Path(path))
        if left is Left.UNFINISHED:
            _log.warning("the last write to spool %s was cut off, or is damaged: what it held is not there", path)
        if left is Left.DAMAGED:
            if self._lock is not None:
                self._lock.close()
            raise self.damaged(f"its log {path}-wal is damaged, and committed samples or leaves in it are lost")

    def _open_schema(self, path: str) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            make(self._db)
        elif version == 1:
            from_format_1(self._db)
        elif version in (2, 3):
            from_format_2_or_3(self._db)
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

    # epochs

    def epochs(self) -> list[EpochState]:
        """Every epoch, oldest first."""
        return [self._epoch(row) for row in self._all("SELECT * FROM epoch ORDER BY epoch")]

    def epoch(self, epoch: int) -> EpochState | None:
        """One epoch."""
        rows = self._all("SELECT * FROM epoch WHERE epoch=?", (epoch,))
        return self._epoch(rows[0]) if rows else None

    def current(self) -> EpochState | None:
        """The epoch that is being signed in: the newest one, unless it is closed."""
        rows = self._all("SELECT * FROM epoch ORDER BY epoch DESC LIMIT 1")
        newest = self._epoch(rows[0]) if rows else None
        return newest if newest is not None and not newest.closed else None

    def open_epoch(self, epoch: int) -> None:
        """Closes every epoch, queues all their leaves that are not known as stored, and opens `epoch`."""
        with self.transaction():
            for state in self.epochs():
                if not state.closed:
                    self._queue(state.epoch, state.mark, state.size)
                    self._write(state._replace(closed=True))
            self._write(EpochState(epoch, 0, (), EMPTY_ROOT, 0, 0, closed=False))

    def set_mark(self, epoch: int, mark: int) -> None:
        """Persists how many leaves of `epoch` are known as stored."""
        with self.transaction():
            state = self.epoch(epoch)
            if state is not None:
                self._write(state._replace(mark=mark, high=max(state.high, mark)))

    def forget(self, epoch: int, since: int) -> None:
        """Persists that leaves from `since` on are not stored after all; those of a closed epoch wait to be carried."""
        with self.transaction():
            state = self.epoch(epoch)
            if state is not None:
                if state.closed:
                    self._queue(epoch, since, state.high)
                self._write(state._replace(mark=min(state.mark, since), high=min(state.high, since)))

    def _queue(self, epoch: int, since: int, until: int) -> None:
        found = self._all("SELECT i FROM leaf WHERE epoch=? AND i >= ? AND i < ?", (epoch, since, until))
        self._db.executemany(
            "INSERT OR IGNORE INTO carry VALUES (?,?,?)", [(epoch, i, seal(epoch, i)) for (i,) in found]
        )

    def _write(self, state: EpochState) -> None:
        row = (*state[:2], b"".join(state.frontier), *state[3:6], int(state.closed))
        self._db.execute("INSERT OR REPLACE INTO epoch VALUES (?,?,?,?,?,?,?,?)", (*row, seal(*row)))

    def _epoch(self, row: tuple[int, int, bytes, bytes, int, int, int, bytes]) -> EpochState:
        *fields, sealed = row
        if sealed != seal(*fields):
            raise self.damaged(f"the state of epoch {row[0]} is not what was written")
        epoch, size, packed, root, mark, high, closed, _ = row
        frontier = tuple(packed[k : k + HASH_BYTES] for k in range(0, len(packed), HASH_BYTES))
        return EpochState(epoch, size, frontier, root, mark, high, bool(closed))

    def damaged(self, what: str) -> SpoolDamaged:
        """The error that says `what` is wrong and what to do."""
        return SpoolDamaged(
            f"spool {self._path}: {what}; nothing is signed on it. Keep this file, give [edge].spool a new one:"
            " the edge then opens a new epoch, and the owner decides about what was not stored yet"
        )

    # leaves

    def append(self, leaf: SpooledLeaf, frontier: tuple[bytes, ...], cut_ms: int) -> None:
        """Adds leaf number size to its epoch."""
        with self.transaction():
            state = self.epoch(leaf.epoch)
            if state is None or state.size != leaf.i:
                raise self.damaged(f"leaf {leaf.epoch}/{leaf.i} does not follow on what is there")
            row = (*leaf[:6], cut_ms)
            self._db.execute("INSERT INTO leaf VALUES (?,?,?,?,?,?,?,?)", (*row, seal(*row)))
            self._write(state._replace(size=leaf.i + 1, frontier=frontier, root=leaf.root))

    def leaf(self, epoch: int, i: int) -> SpooledLeaf | None:
        """One leaf, None when it never was or has left the ring."""
        rows = self._all("SELECT * FROM leaf WHERE epoch=? AND i=?", (epoch, i))
        if not rows:
            return None
        *fields, sealed = rows[0]
        return SpooledLeaf._make((*fields[:6], sealed is None or sealed == seal(*fields)))

    def root_at(self, epoch: int, size: int) -> bytes | None:
        """Our root of the first `size` leaves, None when we do not have it."""
        if size == 0:
            return EMPTY_ROOT
        leaf = self.leaf(epoch, size - 1)
        if leaf is not None:
            return leaf.root if leaf.whole else None
        left = self.hashed(epoch, size - 1)
        return None if left is None else left.root

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite tells of a text that is broken
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

    def add_sample(
        self, boot: str, cfg: str, slot_ms: int, body: bytes, sync: str = UNKNOWN_SYNC, offset_ms: int = 0
    ) -> None:
        """Commits a sample, taken while the clock was `sync` and `offset_ms` ahead of the monotonic one."""
        with self.transaction():
            newest = self._db.execute("SELECT max(id) FROM sample").fetchone()[0]
            row = ((newest or 0) + 1, boot, cfg, slot_ms, body, sync, offset_ms)
            self._db.execute("INSERT INTO sample VALUES (?,?,?,?,?,?,?,?)", (*row, seal(*row)))

    def samples(self, after_id: int = -1, limit: int = -1) -> list[SpooledSample]:
        """Committed samples that are in no leaf, oldest first: those with a higher id, at most `limit` (-1: all)."""
        rows = self._all("SELECT * FROM sample WHERE id > ? ORDER BY id LIMIT ?", (after_id, limit))
        return [SpooledSample._make((*fields, sealed == seal(*fields))) for *fields, sealed in rows]

    def sample_count(self, sync: str | None = None) -> int:
        """How many committed samples are in no leaf, of those that were taken under `sync` if it is given."""
        where, values = ("", ()) if sync is None else (" WHERE sync=?", (sync,))
        return int(self._all(f"SELECT count(*) FROM sample{where}", values)[0][0])  # noqa: S608 - two constants

    def drop_samples(self, ids: Sequence[int]) -> None:
        """Forgets samples: they are in a leaf of the same transaction."""
        with self.transaction():
            self._db.executemany("DELETE FROM sample WHERE id=?", [(one,) for one in ids])

    # what only the check at opening asks

    def has_its_tables(self) -> bool:
        """Whether the tables are still described as they were made; unknown, and taken for true, where no note says."""
        told = self.note(TABLES)
        with self._disk():
            return told in ("", tables(self._db))

    def structure(self, table: str) -> str:
        """What SQLite finds wrong in the structure of a small `table`, "ok" if nothing."""
        return str(self._all(f"PRAGMA quick_check({table})")[0][0])

    def carry_rows(self) -> list[tuple[int, int, bytes, int]]:
        """Every (epoch, i, seal) that has to be carried, and whether that leaf is there."""
        return self._all(
            "SELECT c.epoch, c.i, c.seal, EXISTS (SELECT 1 FROM leaf l WHERE l.epoch=c.epoch AND l.i=c.i) FROM carry c"
        )


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
