"""Port of the evidence log: leaves, checkpoints, frontier, pending, conflicts, quarantine.

Everything that ingest writes for one group of messages happens inside one `transaction()`; leaving it
without an error means that all of it is on disk (fsync), leaving it with an error means that none is.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """Leaf `i` as it was sent: its RFC 6962 hash, deflated body, and the checkpoint of size i + 1."""

    i: int
    leaf_hash: bytes
    deflated: bytes
    checkpoint: bytes
    received_ms: int


class Quarantined(NamedTuple):
    """Something that could not be taken, whole, with its reason. Times are UTC milliseconds."""

    id: int
    received_ms: int
    source: str
    reason: str
    payload: bytes


class EvidenceLog(Protocol):
    """Append-only evidence of every origin."""

    def transaction(self) -> AbstractContextManager[None]:
        """All writes inside it become durable together, or none does."""
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

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """The newest first."""
        ...
