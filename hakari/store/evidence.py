"""Port of the evidence log: leaves, checkpoints, frontier, pending, conflicts, quarantine.

Everything that ingest writes for one group of messages happens inside one `transaction()`; leaving it
without an error means that all of it is on disk (fsync), leaving it with an error means that none is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from hakari.names import Origin


class Head(NamedTuple):
    """State of one origin: leaves appended, RFC 6962 frontier (largest subtree first), root, frozen or not."""

    size: int
    frontier: tuple[bytes, ...]
    root: bytes
    frozen: bool


class StoredLeaf(NamedTuple):
    """Leaf `i` as it was sent: its RFC 6962 hash, deflated body, and the checkpoint of size i + 1.

    `deflated` is empty where nobody has the body any more and the leaf was appended by its hash alone (I11); `gone` is
    then the edge's signed word that it has none (`hakari/log/gone.py`), else empty.
    """

    i: int
    leaf_hash: bytes
    deflated: bytes
    checkpoint: bytes
    received_ms: int
    gone: bytes = b""


class Quarantined(NamedTuple):
    """Something that could not be taken, whole, with its reason. Times are UTC milliseconds."""

    id: int
    received_ms: int
    source: str
    reason: str
    payload: bytes


class QuarantineTotal(NamedTuple):
    """Payloads kept now, their bytes, and how many older ones were dropped to stay within the limits."""

    kept: int
    bytes: int
    dropped: int


class Decision(NamedTuple):
    """What a person decided about evidence: append-only, shown to verifiers.

    `kind` is one of DECISIONS, `subject` what it is about (an origin, a quarantined message's number), `detail` what
    the kind asks for, as one line of JSON or "". Times are UTC milliseconds.
    """

    at_ms: int
    kind: str
    subject: str
    who: str
    why: str
    detail: str = ""

    @property
    def asked_as(self) -> tuple[str, str] | None:
        """Who asked for it at the API and under which key, None where it was decided beside ingest."""
        try:
            key = json.loads(self.detail).get("key") if self.detail else None
        except (ValueError, AttributeError):
            return None
        return (self.who, key) if isinstance(key, str) and key else None


RELEASED = "quarantine-released"
DISCARDED = "quarantine-discarded"
FORGONE = "bodies-forgone"  # I11: subject is the origin, detail {"start": …, "stop": …}
RESTORED = "restored"  # the evidence log was restored from a backup
# Asked for at the API: ingest, which alone may append, acts on them and answers with RELEASED, DISCARDED or KEPT.
RELEASE_WANTED = "quarantine-release-wanted"
DISCARD_WANTED = "quarantine-discard-wanted"
KEPT = "quarantine-kept"  # a wanted decision that could not be carried out
DECISIONS = (RELEASED, DISCARDED, FORGONE, RESTORED, RELEASE_WANTED, DISCARD_WANTED, KEPT)


class EvidenceLog(Protocol):
    """Append-only evidence of every origin."""

    def transaction(self, touching: Collection[Origin] = ()) -> AbstractContextManager[None]:
        """All writes inside it become durable together, or none does.

        `touching` are origins that will be looked at and probably appended to: an adapter over a network reads (and
        locks, in the order of their edge ids) their heads in one statement. It changes nothing but speed.
        """
        ...

    def head(self, origin: Origin) -> Head:
        """The head of `origin`; of an unknown one: size 0, no frontier, the empty tree's root."""
        ...

    def origins(self) -> list[Origin]:
        """Every origin with a leaf or a head, ordered by edge id and epoch."""
        ...

    def append(
        self, origin: Origin, expected_size: int, leaf: StoredLeaf, frontier: tuple[bytes, ...], root: bytes
    ) -> bool:
        """Compare-and-swap: appends when the size is still `expected_size`, else changes nothing and is False."""
        ...

    def leaf(self, origin: Origin, i: int) -> StoredLeaf | None:
        """Leaf `i`."""
        ...

    def leaves(self, origin: Origin, start: int, stop: int) -> Iterator[StoredLeaf]:
        """Leaves start ≤ i < stop in order."""
        ...

    def put_mark(self, origin: Origin, size: int, mark: bytes) -> None:
        """Keeps the mark of `origin` at `size`, the first one where there are several."""
        ...

    def mark(self, origin: Origin, size: int) -> bytes | None:
        """The mark of `origin` at `size`: there is one for every size at which a transaction ended."""
        ...

    def marked(self, origin: Origin, size: int) -> tuple[int, bytes] | None:
        """The smallest marked size of `origin` from `size` on, with its mark; None where there is none yet."""
        ...

    def put_pending(self, origin: Origin, i: int, message: bytes, received_ms: int) -> None:
        """Keeps a message that came early; a second message for the same place is kept beside the first."""
        ...

    def pending(self, origin: Origin, i: int) -> list[bytes]:
        """The messages kept for place `i`."""
        ...

    def drop_pending(self, origin: Origin, below: int) -> None:
        """Forgets the kept messages of places < below."""
        ...

    def freeze(self, origin: Origin) -> None:
        """Lets the origin never grow again (I6)."""
        ...

    def keep_conflict(self, origin: Origin, message: bytes, received_ms: int) -> bool:
        """Keeps conflict evidence; False when the bound for this origin is reached."""
        ...

    def quarantine(self, source: str, reason: str, payload: bytes, received_ms: int) -> None:
        """Keeps something that could not be taken (bounded by count and bytes; the newest wins)."""
        ...

    def quarantined(self, limit: int = 100, before: int | None = None) -> list[Quarantined]:
        """The newest first; with `before` only those with a smaller id."""
        ...

    def quarantined_entry(self, entry_id: int) -> Quarantined | None:
        """The quarantined payload of that id, while it is kept."""
        ...

    def quarantine_total(self) -> QuarantineTotal:
        """What the quarantine holds and what it had to drop."""
        ...

    def drop_quarantined(self, entry_id: int) -> bool:
        """Takes a payload out of the quarantine after its decision was recorded; False where it is not kept."""
        ...

    def conflicts(self, origin: Origin) -> list[bytes]:
        """The conflict evidence of `origin`, in the order of its arrival."""
        ...

    def decide(self, decision: Decision) -> None:
        """Records a decision; it is never changed or deleted."""
        ...

    def decisions(self, kind: str = "", subject: str = "") -> list[Decision]:
        """Decisions in the order of their recording; of one kind or about one subject where these are given."""
        ...

    def close(self) -> None:
        """Releases what is held."""
        ...
