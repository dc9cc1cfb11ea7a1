"""What ingest does with one message (protocol I1 to I9): signature, number, root and size, never content.

Guaranteed: a leaf is appended only where its signed root follows from everything before it; nothing is
appended twice; what cannot be taken is kept with its reason. All of it happens inside the caller's
transaction, and the caller acknowledges and publishes marks only after that transaction is on disk (I7).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hakari.log.checkpoint import Checkpoint, CheckpointInvalid, Stated, claimed, stated
from hakari.log.gone import is_gone, word_of
from hakari.log.mark import Cosigner, cosign
from hakari.log.roster import Roster
from hakari.log.tree import MAX_SIZE, extend, leaf_hash, root_of
from hakari.names import MAX_EPOCH, BadName, Origin, edge_id_of_batch_topic
from hakari.store.evidence import EvidenceLog, Head, StoredLeaf
from hakari.store.forgone import is_forgone
from hakari.wire.envelope import Envelope, EnvelopeMalformed, unseal

PENDING_LEAVES = 256
# By these words the reason of a refusal is known again, as an alarm of its own.
KEY_ENDED = "an ended key"
MAX_REMEMBERED = 10_000


class Outcome(NamedTuple):
    """What became of a message: one word, the origin to answer with a mark (None: no answer), an alarm or ""."""

    word: str
    origin: Origin | None = None
    alarm: str = ""


class Message(NamedTuple):
    """A message that its edge has signed: its place, its root and what it carries."""

    origin: Origin
    i: int
    root: bytes
    leaf_hash: bytes
    envelope: Envelope
    raw: bytes


class Receiver:
    """Takes messages into `log`. `roster` may be exchanged for a newer one between messages.

    `lost_swaps` counts how often somebody else had moved a head between our look and our append: where every shard has
    one owner, never.
    """

    def __init__(self, log: EvidenceLog, roster: Roster, cosigner: Cosigner) -> None:
        self._log = log
        self.roster = roster
        self._cosigner = cosigner
        self.lost_swaps = 0
        self._forks: dict[Origin, int] = {}
        self._bodies_missed: dict[Origin, tuple[int, int]] = {}
        self._heads: dict[Origin, Head] | None = None
        self._signed_marks: dict[Origin, tuple[object, bytes]] = {}

    @contextmanager
    def group(self) -> Iterator[None]:
        """Inside it, and so inside one transaction that holds the heads, a head is read once."""
        self._heads = {}
        try:
            yield
        finally:
            self._heads = None

    def receive(self, topic: str, raw: bytes, now_ms: int) -> list[Outcome]:
        """Deals with one message as I1 to I6 say: its outcome, then those of kept messages that it let in.

        Call inside a transaction.
        """
        return self.take(topic, raw, self.open(topic, raw), now_ms)

    def take(self, topic: str, raw: bytes, opened: Message | str, now_ms: int) -> list[Outcome]:
        """As `receive`, of a message that was opened before the transaction began."""
        if isinstance(opened, str):
            self._log.quarantine(topic, opened, raw, now_ms)
            return [Outcome("quarantined", None, opened)]
        outcome = self._place(opened, now_ms)
        drained = self._drain(opened.origin, opened.i + 1, now_ms) if outcome.word == "appended" else []
        return [outcome, *drained]

    def mark(self, origin: Origin, now_ms: int) -> bytes:
        """The stored mark of `origin`: its present checkpoint with our cosignature (I7, I8).

        A frozen one tells where we saw the fork, so that an edge learns which of its leaves we do not have.
        """
        head, fork, time_s = self._head(origin), self._forks.get(origin, 0), now_ms // 1000
        said = (head.size, head.root, head.frozen, fork, time_s)
        known = self._signed_marks.get(origin)
        if known is not None and known[0] == said:  # a signature over the same words is the same
            return known[1]
        if len(self._signed_marks) >= MAX_REMEMBERED:
            self._signed_marks.clear()
        mark = cosign(Checkpoint(origin, head.size, head.root), self._cosigner, time_s, frozen=head.frozen, fork=fork)
        self._signed_marks[origin] = (said, mark)
        return mark

    def keep_mark(self, origin: Origin, now_ms: int) -> None:
        """Stores the mark beside the leaves, so that whoever cuts there has ingest's word without ingest's key."""
        self._log.put_mark(origin, self._head(origin).size, self.mark(origin, now_ms))

    def _head(self, origin: Origin) -> Head:
        if self._heads is None:
            return self._log.head(origin)
        head = self._heads.get(origin)
        if head is None:
            head = self._heads[origin] = self._log.head(origin)
        return head

    def _moved(self, origin: Origin, head: Head | None = None) -> None:
        """The head is another now: `head`, or to be read again."""
        if self._heads is not None:
            self._heads.pop(origin, None)
            if head is not None:
                self._heads[origin] = head

    def open(self, topic: str, raw: bytes) -> Message | str:
        """I1: the message, or why it cannot be one. Nothing is read or written."""
        edge_id = edge_id_of_batch_topic(topic)
        if edge_id is None:
            return f"topic {topic!r} is not a batch topic of an edge in its own shard"
        try:
            envelope = unseal(raw)
            claim = stated(envelope.checkpoint)
            origin = claim.checkpoint.origin
            if (origin.namespace, origin.edge_id) != (self.roster.namespace, edge_id):
                return f"origin {origin} does not belong to topic {topic!r}"
            return self._signed(claim, envelope, raw)
        except (EnvelopeMalformed, CheckpointInvalid, BadName) as error:
            return str(error)

    def _signed(self, claim: Stated, envelope: Envelope, raw: bytes) -> Message | str:
        """The message, if the key that holds at the stated place signed it; `claim` is not yet believed."""
        origin, size = claim.checkpoint.origin, claim.checkpoint.size
        key = self.roster.edge_key(origin.edge_id, origin.epoch, size)
        if key is None:
            return _ended(self.roster, claim) or _unknown(self.roster, origin, size)
        try:
            checkpoint = claim.verified(key)
        except CheckpointInvalid as error:
            return _ended(self.roster, claim) or str(error)
        if checkpoint.size < 1:
            return "the checkpoint of a batch must be of size 1 or more"
        if envelope.leaf_hash:
            gone = (checkpoint.size - 1, envelope.leaf_hash, envelope.stop, envelope.gone)
            # The edge says so now, maybe with a later key than the one that signed the leaf.
            keys = {key, self.roster.edge_key(origin.edge_id, MAX_EPOCH, MAX_SIZE)}
            if envelope.stop > MAX_SIZE or not any(is_gone(origin, *gone, one) for one in keys if one is not None):
                return f"{origin}: its edge has not signed that the body of leaf {checkpoint.size - 1} is gone"
        digest = envelope.leaf_hash or leaf_hash(envelope.body)
        return Message(origin, checkpoint.size - 1, checkpoint.root, digest, envelope, raw)

    def _place(self, message: Message, now_ms: int) -> Outcome:
        origin, i = message.origin, message.i
        head = self._head(origin)
        if i < head.size:
            return self._known(message, head, now_ms)
        if head.frozen:  # I3
            self._log.keep_conflict(origin, message.raw, now_ms)
            return Outcome("frozen", origin)
        if i > head.size or message.envelope.leaf_hash:
            early = self._early(message, head, now_ms)
            if early is not None:
                return early
        frontier = extend(head.frontier, head.size, message.leaf_hash)  # I5
        if root_of(frontier) != message.root:
            return self._unfit(message, "the leaf does not give the signed root on top of what is stored", now_ms)
        sent = message.envelope
        gone = word_of(sent.stop, sent.gone) if sent.leaf_hash else b""
        leaf = StoredLeaf(i, message.leaf_hash, sent.deflated, sent.checkpoint, now_ms, gone)
        if self._log.append(origin, head.size, leaf, frontier, message.root):
            self._moved(origin, Head(i + 1, frontier, message.root, frozen=False))
            return Outcome("appended", origin)
        self.lost_swaps += 1
        self._moved(origin)
        return self._place(message, now_ms)  # lost the swap: somebody else moved the head, so decide anew (I2)

    def _early(self, message: Message, head: Head, now_ms: int) -> Outcome | None:
        """I4: kept for later within the window, beyond it dropped; the mark tells the edge from where to send.

        I11: a hash in place of a body waits for a decision. None for what may be appended now.
        """
        if message.envelope.leaf_hash and not is_forgone(self._log, message.origin, message.i):
            return self._bodiless(message, head, now_ms)
        if message.i == head.size:
            return None
        if message.i >= head.size + PENDING_LEAVES:
            return Outcome("far", message.origin)
        self._log.put_pending(message.origin, message.i, message.raw, now_ms)
        return Outcome("pending", message.origin)

    def _bodiless(self, message: Message, head: Head, now_ms: int) -> Outcome:
        """I11: a hash in place of a body is taken only by a recorded decision; the first one says what to decide."""
        origin, stop = message.origin, max(message.envelope.stop, message.i + 1)
        if message.i != head.size or self._bodies_missed.get(origin) == (head.size, stop):
            return Outcome("bodiless", origin)
        if len(self._bodies_missed) >= MAX_REMEMBERED:
            self._bodies_missed.clear()
        self._bodies_missed[origin] = (head.size, stop)
        reason = (
            f"{origin}: from leaf {head.size} to {stop - 1} the edge no longer has all bodies, and they are not here;"
            " nothing after them is taken until they are found (a newer backup) or forgone for good:"
            f" hakari log forgo {origin} --start {head.size} --stop {stop} --who NAME --why REASON"
        )
        self._log.quarantine(str(origin), reason, message.raw, now_ms)
        return Outcome("bodiless", origin, reason)

    def _known(self, message: Message, head: Head, now_ms: int) -> Outcome:
        """I2, I6: a duplicate, a body that is not its signed root, or a second signed root for one size."""
        stored = self._log.leaf(message.origin, message.i)
        if stored is None:
            return Outcome("duplicate", message.origin)
        if claimed(stored.checkpoint).root != message.root:
            self._log.keep_conflict(message.origin, message.raw, now_ms)
            if not head.frozen:
                self._log.freeze(message.origin)
                self._moved(message.origin)
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

    def _unfit(self, message: Message, reason: str, now_ms: int) -> Outcome:
        reason = f"{message.origin} leaf {message.i}: {reason}"
        self._log.quarantine(str(message.origin), reason, message.raw, now_ms)
        return Outcome("quarantined", message.origin, reason)

    def _drain(self, origin: Origin, size: int, now_ms: int) -> list[Outcome]:
        """I5: pending leaves that fit at `size`, each by the same rules; what became of each."""
        outcomes: list[Outcome] = []
        while kept := self._log.pending(origin, size):
            for raw in kept:
                opened = self._open_kept(raw)
                if opened is not None:
                    outcomes.append(self._place(opened, now_ms))
            self._log.drop_pending(origin, size + 1)
            grown = self._head(origin).size
            if grown == size:
                break
            size = grown
        return outcomes

    def _open_kept(self, raw: bytes) -> Message | None:
        envelope = unseal(raw)
        opened = self._signed(stated(envelope.checkpoint), envelope, raw)
        return None if isinstance(opened, str) else opened


def _is_by(claim: Stated, key: bytes) -> bool:
    try:
        claim.verified(key)
    except CheckpointInvalid:
        return False
    return True


def _ended(roster: Roster, claim: Stated) -> str:
    """What there is to say where a key signed this that the owner ended (revoked or exchanged), "" where none did."""
    origin, size = claim.checkpoint.origin, claim.checkpoint.size
    for key, (epoch, end) in roster.ended_keys(origin.edge_id, origin.epoch, size):
        if _is_by(claim, key):
            return (
                f"{origin}: leaf {size - 1} is signed by {KEY_ENDED} of edge {origin.edge_id}, which was revoked or"
                f" exchanged from leaf {max(0, end - 1)} of epoch {epoch} on; the device may be stolen, or goes on with"
                " its old key"
            )
    return ""


def _unknown(roster: Roster, origin: Origin, size: int) -> str:
    """Why no key holds there; only an edge that has none at all is to be enrolled."""
    said = f"the roster has no key of edge {origin.edge_id} for epoch {origin.epoch}, size {size}"
    if not any(key.edge == origin.edge_id for key in roster.edges):
        return f"{said}; enrol the edge"
    if roster.keys_from(origin.edge_id, origin.epoch, size):
        return f"{said}: its key holds from a later leaf on; see: hakari keys roster show"
    return f"{said}: all of its keys have ended, and none of them signed this; the device may be stolen or a forgery"
