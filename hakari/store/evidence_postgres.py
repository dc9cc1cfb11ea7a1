"""Evidence log in a PostgreSQL schema: the same tables as in the file, for several writers on several machines.

Guaranteed: a leaf is appended only at the size that the caller saw (compare-and-swap), whoever else writes; triggers
refuse to change or delete a leaf, to shrink or thaw an origin, and to count leaves that are not there; what an edge or
a stranger can make us keep is bounded. A failing server raises EvidenceStoreFailed.

How: a transaction locks the heads of the origins that it touches in one statement and in one order, so that writers
wait for one another and never in a circle; heads and new leaves are then kept in memory and written in one round trip
when it ends. One that names nothing, or an origin that is new, has the log for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hakari.log.tree import EMPTY_ROOT
from hakari.names import Origin
from hakari.postgres import PostgresSettings
from hakari.store.evidence import Head, StoredLeaf
from hakari.store.evidence_postgres_kept import Kept
from hakari.store.evidence_sqlite import (
    HASH_BYTES,
    LEAVES_AT_ONCE,
    PENDING_PLACES,
    EvidenceStoreFailed,
    Limits,
)
from hakari.store.evidence_tables import POSTGRES
from hakari.store.postgres import Database, Row
from hakari.store.sqlite import StoreMisused

FLUSH_LEAVES = 1024

_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('hakari evidence ' || current_schema(), 0))"
_TOGETHER = "SELECT pg_advisory_xact_lock_shared(hashtextextended('hakari evidence ' || current_schema(), 0))"
# Rows are locked in the order in which they leave the sort: every writer takes them in the same one.
_LOCK = (
    "SELECT id, namespace, edge, epoch, size, frontier, root, frozen FROM origin WHERE id = ANY (%s)"
    " ORDER BY edge, epoch, namespace FOR UPDATE"
)
_PLACES = "SELECT origin, i FROM pending WHERE origin = ANY (%s)"
_INSERT_LEAF = (
    "INSERT INTO leaf (origin, i, received_ms, leaf_hash, checkpoint, deflated, gone)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
_MOVE_HEAD = "UPDATE origin SET size = %s, frontier = %s, root = %s WHERE id = %s AND size = %s AND frozen = 0"
_INSERT_MARK = "INSERT INTO mark (origin, size, mark) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_ID = "SELECT id FROM origin WHERE edge = %s AND epoch = %s AND namespace = %s"
_HEAD = (
    "SELECT id, namespace, edge, epoch, size, frontier, root, frozen FROM origin"
    " WHERE edge = %s AND epoch = %s AND namespace = %s"
)
_HEAD_HELD = _HEAD + " FOR UPDATE"
_NEW = Head(0, (), EMPTY_ROOT, frozen=False)


class _Work:
    """What one transaction has read and locked, and what it will write."""

    def __init__(self) -> None:
        self.heads: dict[Origin, Head] = {}
        self.stored: dict[Origin, Head] = {}
        self.early: dict[Origin, set[int]] = {}
        self.grown: dict[Origin, list[StoredLeaf]] = {}
        self.marks: list[tuple[int, int, bytes]] = []
        self.leaves = 0


class PostgresEvidenceLog(Kept):
    """The evidence log that `settings` names; made where absent, unless it is opened `read_only`.

    `folder` is that of the settings file. A writer is for one thread; what only reads is for any.
    """

    def __init__(
        self,
        settings: PostgresSettings,
        password: str = "",
        folder: Path = Path(),
        *,
        read_only: bool = False,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(Database(settings, password, folder, POSTGRES, read_only=read_only), limits or Limits())
        self._ids: dict[Origin, int] = {}
        self._work: _Work | None = None

    @contextmanager
    def transaction(self, touching: Collection[Origin] = ()) -> Iterator[None]:
        """All writes inside it are on the server's disk when it ends without an error, else none is."""
        self._begin(touching)
        try:
            yield
            self._flush()
            self._db.commit()
        except BaseException:
            self._ids.clear()
            self._db.roll_back()
            raise
        finally:
            self._work = None

    def head(self, origin: Origin) -> Head:
        """The head of `origin`; of an unknown one: size 0, no frontier, the empty tree's root."""
        if self._work is not None:
            return self._held(self._work, origin)
        row = self._db.one(_HEAD, _key(origin))
        return _head(row) if row else _NEW

    def origins(self) -> list[Origin]:
        """Every origin that has a leaf or is frozen, ordered by edge id and epoch."""
        rows = self._all("SELECT namespace, edge, epoch FROM origin WHERE size > 0 OR frozen > 0")
        return sorted((Origin(*row) for row in rows), key=_key)

    def append(
        self, origin: Origin, expected_size: int, leaf: StoredLeaf, frontier: tuple[bytes, ...], root: bytes
    ) -> bool:
        """Compare-and-swap: appends when the size is still `expected_size` and not frozen, else False."""
        if leaf.i != expected_size or len(frontier) != (expected_size + 1).bit_count():
            raise StoreMisused(f"{origin}: leaf {leaf.i} and {len(frontier)} hashes do not follow size {expected_size}")
        work = self._writing()
        self._ensured(origin)
        head = work.heads[origin]
        if head.size != expected_size or head.frozen:
            return False
        work.heads[origin] = Head(expected_size + 1, frontier, root, frozen=False)
        work.grown.setdefault(origin, []).append(leaf)
        work.leaves += 1
        if work.leaves >= FLUSH_LEAVES:
            self._flush()
        return True

    def leaf(self, origin: Origin, i: int) -> StoredLeaf | None:
        """Leaf `i`."""
        grown = self._work.grown.get(origin) if self._work else None
        if grown and i >= grown[0].i:
            return grown[i - grown[0].i] if i - grown[0].i < len(grown) else None
        return next(self.leaves(origin, i, i + 1), None)

    def leaves(self, origin: Origin, start: int, stop: int) -> Iterator[StoredLeaf]:
        """Leaves start ≤ i < stop in order, read in groups, so that a slow reader holds nothing up."""
        origin_id = self._id(origin)
        while origin_id is not None and start < stop:
            rows = self._all(
                "SELECT i, leaf_hash, deflated, checkpoint, received_ms, gone FROM leaf"
                " WHERE origin = %s AND i >= %s AND i < %s ORDER BY i LIMIT %s",
                (origin_id, start, stop, LEAVES_AT_ONCE),
            )
            yield from (StoredLeaf(*row) for row in rows)
            if len(rows) < LEAVES_AT_ONCE:
                return
            start = rows[-1][0] + 1

    def put_mark(self, origin: Origin, size: int, mark: bytes) -> None:
        """Keeps the mark of `origin` at `size`, the first one where there are several."""
        self._writing().marks.append((self._ensured(origin), size, mark))

    def mark(self, origin: Origin, size: int) -> bytes | None:
        """The mark of `origin` at `size`, None where no transaction ended at that size."""
        row = self._one("SELECT mark FROM mark WHERE origin = %s AND size = %s", (self._id(origin), size))
        return None if row is None else bytes(row[0])

    def marked(self, origin: Origin, size: int) -> tuple[int, bytes] | None:
        """The smallest marked size of `origin` from `size` on, with its mark; None where there is none yet."""
        row = self._one(
            "SELECT size, mark FROM mark WHERE origin = %s AND size >= %s ORDER BY size LIMIT 1",
            (self._id(origin), size),
        )
        return None if row is None else (int(row[0]), bytes(row[1]))

    def put_pending(self, origin: Origin, i: int, message: bytes, received_ms: int) -> None:
        """Keeps a message that came early, beside others of the same place.

        Nothing is kept outside size ≤ i < size + 256; over the limit of bytes the farthest place goes first,
        since the edge sends it again once the nearer ones are appended.
        """
        work = self._writing()
        size = self._held(work, origin).size
        if not size <= i < size + PENDING_PLACES:
            return
        origin_id = self._ensured(origin)
        self._db.run(
            "INSERT INTO pending (origin, i, sha256, received_ms, message) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (origin_id, i, hashlib.sha256(message).digest(), received_ms, message),
        )
        work.early.setdefault(origin, set()).add(i)
        self._db.run(
            "DELETE FROM pending WHERE id IN (SELECT id FROM (SELECT id, sum(length(message))"
            " OVER (ORDER BY i, id) AS kept FROM pending WHERE origin = %s) AS held WHERE kept > %s)",
            (origin_id, self._limits.pending_bytes),
        )

    def pending(self, origin: Origin, i: int) -> list[bytes]:
        """The messages kept for place `i`, in the order of their arrival."""
        if self._work is not None and i not in self._early(self._work, origin):
            return []
        rows = self._db.all(
            "SELECT message FROM pending WHERE origin = %s AND i = %s ORDER BY id", (self._id(origin), i)
        )
        return [row[0] for row in rows]

    def drop_pending(self, origin: Origin, below: int) -> None:
        """Forgets the kept messages of places < below."""
        early = self._early(self._writing(), origin)
        if any(i < below for i in early):
            self._db.run("DELETE FROM pending WHERE origin = %s AND i < %s", (self._id(origin), below))
            early -= {i for i in early if i < below}

    def freeze(self, origin: Origin) -> None:
        """Lets the origin never grow again (I6)."""
        work = self._writing()
        origin_id = self._ensured(origin)
        self._flush()
        self._db.run("UPDATE origin SET frozen = 1 WHERE id = %s", (origin_id,))
        work.heads[origin] = work.stored[origin] = work.heads[origin]._replace(frozen=True)

    def keep_conflict(self, origin: Origin, message: bytes, received_ms: int) -> bool:
        """Keeps conflict evidence, each message once; False when the bound for this origin is reached."""
        self._writing()
        origin_id = self._ensured(origin)
        digest = hashlib.sha256(message).digest()
        known, count, held = self._db.all(
            "SELECT coalesce(bool_or(sha256 = %s), false), count(*), coalesce(sum(length(message)), 0) FROM conflict"
            " WHERE origin = %s",
            (digest, origin_id),
        )[0]
        if known:
            return True
        if count >= self._limits.conflicts or held + len(message) > self._limits.conflict_bytes:
            return False
        self._db.run(
            "INSERT INTO conflict (origin, sha256, received_ms, message) VALUES (%s, %s, %s, %s)",
            (origin_id, digest, received_ms, message),
        )
        return True

    def conflicts(self, origin: Origin) -> list[bytes]:
        """The conflict evidence of `origin`, in the order of its arrival."""
        rows = self._db.all("SELECT message FROM conflict WHERE origin = %s ORDER BY id", (self._id(origin),))
        return [row[0] for row in rows]

    def close(self) -> None:
        """Ends the connection."""
        self._db.close()

    def _begin(self, touching: Collection[Origin]) -> None:
        known = self._known(touching)
        alone = not touching or len(known) < len(set(touching))
        ids = list(known.values())
        found = self._db.begin((_ALONE if alone else _TOGETHER, ()), (_LOCK, (ids,)), (_PLACES, (ids,)))
        work = self._work = _Work()
        origins = {}
        for row in found[1]:
            origin = origins[row[0]] = Origin(*row[1:4])
            work.heads[origin] = work.stored[origin] = _head(row)
            work.early[origin] = set()
        for origin_id, i in found[2]:
            work.early[origins[origin_id]].add(i)

    def _known(self, touching: Collection[Origin]) -> dict[Origin, int]:
        """The ids of those that the log has, remembered ones without asking."""
        asked = [origin for origin in set(touching) if origin not in self._ids]
        if asked and not self._db.writing:
            edges, epochs, namespaces = ([*column] for column in zip(*map(_key, asked), strict=True))
            for row in self._db.all(
                "SELECT id, namespace, edge, epoch FROM origin JOIN unnest(%s::text[], %s::bigint[], %s::text[])"
                " AS asked (edge, epoch, namespace) USING (edge, epoch, namespace)",
                (edges, epochs, namespaces),
            ):
                self._ids[Origin(*row[1:4])] = row[0]
        return {origin: self._ids[origin] for origin in touching if origin in self._ids}

    def _held(self, work: _Work, origin: Origin) -> Head:
        """The head inside a transaction: in memory, read and locked where it was not named."""
        if origin not in work.heads:
            row = self._db.one(_HEAD_HELD, _key(origin))
            if row is not None:
                self._ids[origin] = row[0]
            work.heads[origin] = work.stored[origin] = _head(row) if row else _NEW
        return work.heads[origin]

    def _early(self, work: _Work, origin: Origin) -> set[int]:
        if origin not in work.early:
            rows = self._db.all("SELECT DISTINCT i FROM pending WHERE origin = %s", (self._id(origin),))
            work.early[origin] = {row[0] for row in rows}
        return work.early[origin]

    def _writing(self) -> _Work:
        self._db.check_writing()
        if self._work is None:
            raise StoreMisused(f"{self._db.name}: a write needs a transaction")
        return self._work

    def _flush(self) -> None:
        """Writes what is in memory, leaves before the heads that count them."""
        work = self._work
        if work is None or not (work.grown or work.marks):
            return
        ids = self._ids
        leaves = [
            (ids[origin], one.i, one.received_ms, one.leaf_hash, one.checkpoint, one.deflated, one.gone)
            for origin, grown in work.grown.items()
            for one in grown
        ]
        heads = [
            (head.size, b"".join(head.frontier), head.root, ids[origin], work.stored[origin].size)
            for origin, head in ((origin, work.heads[origin]) for origin in work.grown)
        ]
        writes: list[tuple[str, Sequence[Sequence[object]]]] = [(_INSERT_LEAF, leaves), (_MOVE_HEAD, heads)]
        moved = self._db.run_together(*[one for one in (*writes, (_INSERT_MARK, work.marks)) if one[1]])
        if heads and moved[1] != len(heads):
            raise EvidenceStoreFailed(f"{self._db.name}: a head moved though it was locked; nothing of this is kept")
        work.stored.update({origin: work.heads[origin] for origin in work.grown})
        work.grown, work.marks, work.leaves = {}, [], 0

    def _all(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        self._flush()
        return self._db.all(query, values)

    def _one(self, query: str, values: Sequence[object] = ()) -> Row | None:
        rows = self._all(query, values)
        return rows[0] if rows else None

    def _id(self, origin: Origin) -> int | None:
        known = self._ids.get(origin)
        if known is None:
            row = self._db.one(_ID, _key(origin))
            if row is None:
                return None
            known = self._ids[origin] = int(row[0])
        return known

    def _ensured(self, origin: Origin) -> int:
        """The id of an origin whose head is then held; it is made where it is new."""
        work = self._writing()
        self._held(work, origin)
        if origin not in self._ids:
            self._db.run(
                "INSERT INTO origin (edge, epoch, namespace, size, frozen, root, frontier)"
                " VALUES (%s, %s, %s, 0, 0, %s, '') ON CONFLICT DO NOTHING",
                (*_key(origin), EMPTY_ROOT),
            )
            del work.heads[origin]
            self._held(work, origin)
        return self._ids[origin]


def _key(origin: Origin) -> tuple[str, int, str]:
    return origin.edge_id, origin.epoch, origin.namespace


def _head(row: Row) -> Head:
    size, frontier, root, frozen = row[4:]
    pieces = tuple(frontier[k : k + HASH_BYTES] for k in range(0, len(frontier), HASH_BYTES))
    return Head(size, pieces, root, bool(frozen))
