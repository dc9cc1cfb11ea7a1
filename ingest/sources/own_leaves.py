"""The leaves of an own log: built, hashed and signed like an edge's. Pure, but for the random salt.

Guaranteed: leaves follow one another without a hole, and each holds at most what a leaf may hold.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import Head, StoredLeaf
from hakari.wire.configuration import parts_of
from hakari.wire.envelope import deflate
from hakari.wire.leaf import (
    GIVEN_BOOT,
    MAX_LEAF_BYTES,
    VERSION,
    ConfigurationPart,
    Event,
    Given,
    Leaf,
    Sample,
    Sync,
    encode,
)
from ingest.sources.port import GivenReading

SALT_BYTES = 16
HEADER_BYTES = 2048
# No clock of ours dates these readings: the sender's word does.
SYNC = Sync("given")


class LeafWriter:
    """Signs what follows `head` in `origin`; `leaves` are those written so far, each with the head after it."""

    def __init__(self, origin: Origin, head: Head, key: Ed25519PrivateKey, software: str, now_ms: int) -> None:
        self.origin = origin
        self.head = head
        self.leaves: list[tuple[StoredLeaf, Head]] = []
        self._key = key
        self._software = software
        self._now_ms = now_ms

    def events(self, events: Sequence[Event], cites: str = "") -> None:
        """Logs events in a leaf of their own."""
        self._add(self._leaf("", events=list(events), cites=cites))

    def configuration(self, text: str, cfg: str) -> None:
        """Logs a configuration in parts, a leaf each."""
        for part in parts_of(text):
            self._add(self._leaf(cfg, configuration=part))

    def readings(self, readings: Sequence[GivenReading], cfg: str) -> None:
        """Logs readings in order of time, in as many leaves as they need."""
        for batch in _batches(_samples(readings)):
            self._add(self._leaf(cfg, samples=batch))

    def _leaf(
        self,
        cfg: str,
        *,
        samples: list[Sample] | None = None,
        events: list[Event] | None = None,
        configuration: ConfigurationPart | None = None,
        cites: str = "",
    ) -> Leaf:
        return Leaf(
            v=VERSION,
            edge=self.origin.edge_id,
            epoch=self.origin.epoch,
            i=self.head.size,
            salt=base64.b64encode(secrets.token_bytes(SALT_BYTES)).decode(),
            boot=GIVEN_BOOT,
            mono_ms=0,
            wall_ms=self._now_ms,
            sync=SYNC,
            cfg=cfg,
            sw=self._software,
            samples=samples or [],
            events=events or [],
            configuration=configuration,
            cites=cites,
        )

    def _add(self, leaf: Leaf) -> None:
        body = encode(leaf)
        digest = leaf_hash(body)
        frontier = extend(self.head.frontier, self.head.size, digest)
        root = root_of(frontier)
        checkpoint = sign_checkpoint(Checkpoint(self.origin, self.head.size + 1, root), self._key)
        stored = StoredLeaf(leaf.i, digest, deflate(body), checkpoint, self._now_ms)
        self.head = Head(self.head.size + 1, frontier, root, frozen=False)
        self.leaves.append((stored, self.head))


def _samples(readings: Sequence[GivenReading]) -> Iterator[Sample]:
    by_slot: dict[int, list[Given]] = {}
    for one in readings:
        by_slot.setdefault(one.t_ms, []).append(Given(one.meter, one.point, one.value))
    for slot_ms in sorted(by_slot):
        yield Sample(slot_ms, slot_ms, [], by_slot[slot_ms])


def _batches(samples: Iterator[Sample]) -> Iterator[list[Sample]]:
    """`samples` in order, in groups that fit a leaf each; one too long is halved."""
    limit = MAX_LEAF_BYTES - HEADER_BYTES
    batch: list[Sample] = []
    size = 0
    for sample in (piece for whole in samples for piece in _pieces(whole, limit)):
        length = len(msgspec.json.encode(sample)) + 1
        if batch and size + length > limit:
            yield batch
            batch, size = [], 0
        batch.append(sample)
        size += length
    if batch:
        yield batch


def _pieces(sample: Sample, limit: int) -> Iterator[Sample]:
    if len(msgspec.json.encode(sample)) <= limit or len(sample.given) < 2:
        yield sample
        return
    middle = len(sample.given) // 2
    for half in (sample.given[:middle], sample.given[middle:]):
        yield from _pieces(Sample(sample.slot_ms, sample.mono_ms, [], half), limit)
