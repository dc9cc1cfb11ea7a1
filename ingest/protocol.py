"""What ingest does with one message (protocol I1 to I9): signature, number, root and size, never content.

Guaranteed: a leaf is appended only where its signed root follows from everything before it; nothing is
appended twice; what cannot be taken is kept with its reason. All of it happens inside the caller's
transaction, and the caller acknowledges and publishes marks only after that transaction is on disk (I7).
"""

from __future__ import annotations

from typing import NamedTuple

from hakari.log.checkpoint import Checkpoint, CheckpointInvalid, claimed, open_checkpoint
from hakari.log.mark import Cosigner, cosign
from hakari.log.roster import Roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import BadName, Origin, edge_id_of_batch_topic
from hakari.store.evidence import EvidenceLog, Head, StoredLeaf
from hakari.wire.envelope import Envelope, EnvelopeMalformed, unseal

PENDING_LEAVES = 256


class Outcome(NamedTuple):
    """What became of a message: one word, the origin to answer with a mark (None: no answer), an alarm or ""."""

    word: str
    origin: Origin | None = None
    alarm: str = ""


class _Message(NamedTuple):
    origin: Origin
    i: int
    root: bytes
    leaf_hash: bytes
    envelope: Envelope
    raw: bytes


class Receiver:
    """Takes messages into `log`. `roster` may be exchanged for a newer one between messages."""

    def __init__(self, log: EvidenceLog, roster: Roster, cosigner: Cosigner) -> None:
        self._log = log
        self.roster = roster
        self._cosigner = cosigner
        self._forks: dict[Origin, int] = {}

    def receive(self, topic: str, raw: bytes, now_ms: int) -> list[Outcome]:
        """Deals with one message as I1 to I6 say: its outcome, then those of kept messages that it let in.

        Call inside a transaction.
        """
        opened = self._open(topic, raw)
        if isinstance(opened, str):
            self._log.quarantine(topic, opened, raw, now_ms)
            return [Outcome("quarantined", None, opened)]
        outcome = self._place(opened, now_ms)
        drained = self._drain(opened.origin, now_ms) if outcome.word == "appended" else []
        return [outcome, *drained]

    def mark(self, origin: Origin, now_ms: int) -> bytes:
        """The stored mark of `origin`: its present checkpoint with our cosignature (I7, I8).

        A frozen one tells where we saw the fork, so that an edge learns which of its leaves we do not have.
        """
        head = self._log.head(origin)
        return cosign(
            Checkpoint(origin, head.size, head.root),
            self._cosigner,
            now_ms // 1000,
            frozen=head.frozen,
            fork=self._forks.get(origin, 0),
        )

    def keep_mark(self, origin: Origin, now_ms: int) -> None:
        """Stores the mark beside the leaves, so that whoever cuts there has ingest's word without ingest's key."""
        self._log.put_mark(origin, self._log.head(origin).size, self.mark(origin, now_ms))

    def _open(self, topic: str, raw: bytes) -> _Message | str:
        """I1: the message, or why it cannot be one."""
        edge_id = edge_id_of_batch_topic(topic)
        if edge_id is None:
            return f"topic {topic!r} is not a batch topic of an edge in its own shard"
        try:
            envelope = unseal(raw)
            stated = claimed(envelope.checkpoint)
            origin = stated.origin
            if (origin.namespace, origin.edge_id) != (self.roster.namespace, edge_id):
                return f"origin {origin} does not belong to topic {topic!r}"
            return self._signed(stated, envelope, raw)
        except (EnvelopeMalformed, CheckpointInvalid, BadName) as error:
            return str(error)

    def _signed(self, stated: Checkpoint, envelope: Envelope, raw: bytes) -> _Message | str:
        """The message, if the key that holds at the `stated` place signed it; `stated` is not yet believed."""
        origin, size = stated.origin, stated.size
        key = self.roster.edge_key(origin.edge_id, origin.epoch, size)
        if key is None:
            return (
                f"the roster has no key of edge {origin.edge_id} for epoch {origin.epoch}, size {size}; enrol the edge"
            )
        checkpoint = open_checkpoint(envelope.checkpoint, key)
        if checkpoint.size < 1:
            return "the checkpoint of a batch must be of size 1 or more"
        return _Message(origin, checkpoint.size - 1, checkpoint.root, leaf_hash(envelope.body), envelope, raw)

    def _place(self, message: _Message, now_ms: int) -> Outcome:
        origin, i = message.origin, message.i
        head = self._log.head(origin)
        if i < head.size:
            return self._known(message, head, now_ms)
        if head.frozen:  # I3
            self._log.keep_conflict(origin, message.raw, now_ms)
            return Outcome("frozen", origin)
        if i > head.size:
            return self._early(message, head, now_ms)
        frontier = extend(head.frontier, head.size, message.leaf_hash)  # I5
        if root_of(frontier) != message.root:
            return self._unfit(message, "the leaf does not give the signed root on top of what is stored", now_ms)
        leaf = StoredLeaf(i, message.leaf_hash, message.envelope.deflated, message.envelope.checkpoint, now_ms)
        if self._log.append(origin, head.size, leaf, frontier, message.root):
            return Outcome("appended", origin)
        return self._place(message, now_ms)  # lost the swap: somebody else moved the head, so decide anew (I2)

    def _early(self, message: _Message, head: Head, now_ms: int) -> Outcome:
        """I4: kept for later within the window, beyond it dropped; the mark tells the edge from where to send."""
        if message.i >= head.size + PENDING_LEAVES:
            return Outcome("far", message.origin)
        self._log.put_pending(message.origin, message.i, message.raw, now_ms)
        return Outcome("pending", message.origin)

    def _known(self, message: _Message, head: Head, now_ms: int) -> Outcome:
        """I2, I6: a duplicate, a body that is not its signed root, or a second signed root for one size."""
        stored = self._log.leaf(message.origin, message.i)
        if stored is None:
            return Outcome("duplicate", message.origin)
        if claimed(stored.checkpoint).root != message.root:
            self._log.keep_conflict(message.origin, message.raw, now_ms)
            if not head.frozen:
                self._log.freeze(message.origin)
            size = message.i + 1
            self._forks[message.origin] = min(size, self._forks.get(message.origin, size))
            return Outcome(
                "conflict",
                message.origin,
                f"{message.origin} signed two roots for size {message.i + 1}; it is frozen at {head.size}",
            )
        if stored.leaf_hash != message.leaf_hash:
            return self._unfit(message, "the leaf is not the one under its signed root", now_ms)
        return Outcome("duplicate", message.origin)

    def _unfit(self, message: _Message, reason: str, now_ms: int) -> Outcome:
        reason = f"{message.origin} leaf {message.i}: {reason}"
        self._log.quarantine(str(message.origin), reason, message.raw, now_ms)
        return Outcome("quarantined", message.origin, reason)

    def _drain(self, origin: Origin, now_ms: int) -> list[Outcome]:
        """I5: pending leaves that fit now, each by the same rules; what became of each."""
        outcomes: list[Outcome] = []
        size = self._log.head(origin).size
        while kept := self._log.pending(origin, size):
            for raw in kept:
                opened = self._open_kept(raw)
                if opened is not None:
                    outcomes.append(self._place(opened, now_ms))
            self._log.drop_pending(origin, size + 1)
            grown = self._log.head(origin).size
            if grown == size:
                break
            size = grown
        return outcomes

    def _open_kept(self, raw: bytes) -> _Message | None:
        envelope = unseal(raw)
        opened = self._signed(claimed(envelope.checkpoint), envelope, raw)
        return None if isinstance(opened, str) else opened
