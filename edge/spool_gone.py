"""What a spool keeps of leaves that have left its ring: hash, root and signature, 136 bytes a leaf instead of its body.

With them an ingest that was restored to before those leaves can still be led past them by hashes (I11), so that its
root goes on. Leaves that later ones rest on (configuration, events) are small and few, and never leave the ring.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from hakari.log.checkpoint import Checkpoint, CheckpointInvalid, one_signature
from hakari.log.note import KEY_ID_BYTES, NoteInvalid, Parts, Signature, put_together
from hakari.names import Origin

if TYPE_CHECKING:
    from edge.spool import EpochState, SpooledLeaf

PRUNE_AT_ONCE = 500
# A leaf with one of these explains others: what its text cannot be without, wherever it stands.
KEPT_MARKS = (b'"configuration":', b'"events":', b'"cites":')


class HashedLeaf(NamedTuple):
    """What is left of leaf `i` of `epoch`: enough to append its hash, and to know our root after it."""

    epoch: int
    i: int
    leaf_hash: bytes
    root: bytes
    signature: bytes

    def checkpoint(self, namespace: str, edge_id: str) -> bytes:
        """The signed checkpoint of size i + 1, byte for byte as it was made."""
        origin = Origin(namespace, edge_id, self.epoch)
        line = Signature(str(origin), self.signature[:KEY_ID_BYTES], self.signature[KEY_ID_BYTES:])
        return put_together(Parts(Checkpoint(origin, self.i + 1, self.root).text(), [line]))


class Gone:
    """The part of a spool that lets leaves go; the spool gives it its database."""

    _db: sqlite3.Connection

    def transaction(self) -> AbstractContextManager[None]:
        """All writes inside are on disk together when it ends."""
        raise NotImplementedError

    def epochs(self) -> list[EpochState]:
        """Every epoch, oldest first."""
        raise NotImplementedError

    def leaf(self, epoch: int, i: int) -> SpooledLeaf | None:
        """One leaf with its body."""
        raise NotImplementedError

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        raise NotImplementedError

    def hashed(self, epoch: int, i: int) -> HashedLeaf | None:
        """What is left of a leaf whose body is not there any more, None where nothing can be told of it."""
        rows = self._all("SELECT epoch, i, hash, root, signature FROM gone WHERE epoch=? AND i=?", (epoch, i))
        if rows:
            return HashedLeaf._make(rows[0])
        leaf = self.leaf(epoch, i)
        return None if leaf is None else _hashed(leaf)

    def next_whole(self, epoch: int, i: int) -> int | None:
        """The smallest number from `i` on of a leaf whose row is there, None after the last."""
        return self._all("SELECT min(i) FROM leaf WHERE epoch=? AND i >= ?", (epoch, i))[0][0]  # type: ignore[no-any-return]

    def lost_until(self, epoch: int, i: int) -> int:
        """The number after the last leaf of `epoch`, `i` or a later one, whose body has left the ring."""
        last = self._all("SELECT max(i) FROM gone WHERE epoch=?", (epoch,))[0][0]
        return max(i, -1 if last is None else last) + 1

    def prune(self, older_than_ms: int) -> int:
        """E6: lets bodies go of stored leaves that were cut before `older_than_ms`; how many.

        Kept are the last leaf of an epoch, what waits to be carried, and what later leaves rest on.
        """
        return sum(self._prune(state, older_than_ms) for state in self.epochs())

    def _prune(self, state: EpochState, older_than_ms: int) -> int:
        last = self._all("SELECT max(i) FROM gone WHERE epoch=?", (state.epoch,))[0][0]
        start, stop, let_go = (-1 if last is None else last), min(state.mark, state.size - 1), 0
        waiting = self._all("SELECT min(i) FROM carry WHERE epoch=?", (state.epoch,))[0][0]
        while numbers := self._due(state.epoch, start, stop if waiting is None else min(stop, waiting), older_than_ms):
            with self.transaction():
                let_go += sum(self._let_go(state.epoch, i) for i in numbers)
            start = numbers[-1]
        return let_go

    def _due(self, epoch: int, after: int, stop: int, older_than_ms: int) -> list[int]:
        """The next leaves in order of their numbers, up to the first one that is still too young."""
        found = []
        for i, cut_ms in self._all(
            "SELECT i, cut_ms FROM leaf WHERE epoch=? AND i > ? AND i < ? ORDER BY i LIMIT ?",
            (epoch, after, stop, PRUNE_AT_ONCE),
        ):
            if cut_ms >= older_than_ms:
                break
            found.append(i)
        return found

    def _let_go(self, epoch: int, i: int) -> bool:
        leaf = self.leaf(epoch, i)
        left = None if leaf is None else _hashed(leaf)
        if leaf is None or left is None:
            return False
        body = leaf.body()
        if body is not None and any(mark in body for mark in KEPT_MARKS):
            return False
        self._db.execute("INSERT OR IGNORE INTO gone VALUES (?,?,?,?,?)", left)
        self._db.execute("DELETE FROM leaf WHERE epoch=? AND i=?", (epoch, i))
        return True


def _hashed(leaf: SpooledLeaf) -> HashedLeaf | None:
    """What is to be kept of `leaf`; None where its checkpoint can no longer be read."""
    try:
        (signature,) = one_signature(leaf.checkpoint).signatures
    except (CheckpointInvalid, NoteInvalid):
        return None
    return HashedLeaf(leaf.epoch, leaf.i, leaf.leaf_hash, leaf.root, signature.key_id + signature.blob)
