"""The edge as its own transparency log: builds, numbers, hashes and signs leaves (protocol E1, E5).

Guaranteed: leaf numbers of an epoch are 0, 1, 2 … without a hole; every leaf is signed once; the
configuration stands in the epoch before the first leaf that was sampled under it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.held import Group, corrected, groups, redated
from edge.spool import Spool, SpooledLeaf
from edge.timekeeping import BUILT_MS
from hakari.clock import UNSYNCHRONISED, PlantTime
from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.gone import sign_gone
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.wire.configuration import parts_of, sha256_of
from hakari.wire.envelope import deflate
from hakari.wire.leaf import (
    MAX_LEAF_BYTES,
    VERSION,
    Block,
    Carried,
    ConfigurationPart,
    Event,
    Leaf,
    Sample,
    Sync,
    encode,
)

SALT_BYTES = 16
FIRST_EPOCH = BUILT_MS // 1000
EPOCH_SPREAD = 100_000
HEADER_BYTES = 2048
CARRY_AT_ONCE = 64
CUT_AT_ONCE = 1000
_sample = msgspec.json.Decoder(Sample)


class EdgeLog:
    """Appends to the spool's current epoch. `software` names the running version in every leaf.

    No epoch is opened below `first_epoch`.
    """

    def __init__(
        self,
        spool: Spool,
        key: Ed25519PrivateKey,
        namespace: str,
        edge_id: str,
        boot: str,
        software: str,
        first_epoch: int = 1,
    ) -> None:
        self.spool = spool
        self.namespace = namespace
        self.edge_id = edge_id
        self.boot = boot
        self._key = key
        self._software = software
        self._first_epoch = first_epoch
        self._lost: list[Event] = []
        self._configuration = ""
        self._cfg = ""

    @property
    def started(self) -> bool:
        """Whether this boot has opened the log."""
        return bool(self._cfg)

    def start(self, configuration: str, now: PlantTime, events: Iterable[Event] = ()) -> None:
        """Opens the log for this boot: leftover samples first, then start event and configuration."""
        with self.spool.transaction():
            if self.spool.current() is None:
                self.spool.open_epoch(self._next_epoch(now))
            spoilt = sorted(self.spool.spoilt_notes | self.spool.spoilt_numbers)
            lost = [Event("note-lost", now.wall_ms, {"key": key}) for key in spoilt]
            self._take(configuration, now, [Event("start", now.wall_ms, {"software": self._software}), *lost, *events])

    def record(self, configuration: str, now: PlantTime, events: Iterable[Event]) -> None:
        """Logs what a command did at a stopped edge: leftover samples, events, the configuration that follows."""
        with self.spool.transaction():
            if self.spool.current() is None:
                self.spool.open_epoch(self._next_epoch(now))
            self._take(configuration, now, list(events))

    def reconfigure(self, configuration: str, now: PlantTime, events: Iterable[Event] = ()) -> None:
        """Takes another configuration: open samples are cut under the old one; events and the new one's parts follow.

        The next sample is read under the new one. The same configuration once more only logs the events.
        """
        with self.spool.transaction():
            if sha256_of(configuration) == self._cfg:
                self._log(now, list(events))
            else:
                self._take(configuration, now, list(events))

    def explain(self, now: PlantTime) -> None:
        """Logs the configuration in force once more, for an ingest that has lost the leaves that held it."""
        if self.started:
            with self.spool.transaction():
                self.cut(now)
                self._open(now, [])

    def sign_gone(self, epoch: int, i: int, leaf_hash: bytes, stop: int) -> bytes:
        """I11: signs that the bodies of leaves i to stop − 1 are no longer here."""
        return sign_gone(Origin(self.namespace, self.edge_id, epoch), i, leaf_hash, stop, self._key)

    def _take(self, configuration: str, now: PlantTime, events: list[Event]) -> None:
        parts_of(configuration)  # refused before anything is written
        self.cut(now)
        self._configuration, self._cfg = configuration, sha256_of(configuration)
        lost, self._lost = self._lost, []
        self._open(now, [*events, *lost])

    def fork(self, cites: str, now: PlantTime, known_epoch: int = 0) -> int:
        """E5: never sign in the old epoch again; the new one cites the mark and carries what is not known stored."""
        with self.spool.transaction():
            self.cut(now)
            epoch = max(self._next_epoch(now), known_epoch + 1)
            self.spool.open_epoch(epoch)
            self._open(now, [Event("new-epoch", now.wall_ms)], cites)
        return epoch

    def add_sample(self, sample: Sample, now: PlantTime, batch_samples: int) -> None:
        """Commits a sample; with the batch full, its leaf in the same transaction (E1), once the time is known."""
        with self.spool.transaction():
            body, offset_ms = msgspec.json.encode(sample), now.wall_ms - now.mono_ms
            self.spool.add_sample(self.boot, self._cfg, sample.slot_ms, body, now.sync, offset_ms)
            if now.sync != UNSYNCHRONISED and self.spool.sample_count() >= batch_samples:
                self.cut(now)

    def add_event(self, event: Event, now: PlantTime) -> None:
        """Logs an event in a leaf of its own."""
        self._append(self._leaf(now, self.boot, self._cfg, events=[event]), now)

    def cut(self, now: PlantTime) -> None:
        """Puts every committed sample whose time is known into leaves: one a boot and configuration, more where long.

        What was held is dated by the time that is known now; what is no longer what was committed is told, not signed.
        """
        with self.spool.transaction():
            waiting = self.spool.samples(limit=CUT_AT_ONCE)
            while waiting:
                for spooled in waiting:
                    if not spooled.whole:
                        self._tell_lost(Event("sample-lost", now.wall_ms, {"id": str(spooled.id)}), now)
                        self.spool.drop_samples([spooled.id])
                for group in groups((one for one in waiting if one.whole), self.boot, now):
                    self._cut_group(group, now)
                waiting = self.spool.samples(waiting[-1].id, CUT_AT_ONCE)

    def _tell_lost(self, event: Event, now: PlantTime) -> None:
        """Logs it, after the start of this process where that has not been logged yet."""
        if self.started:
            self.add_event(event, now)
        else:
            self._lost.append(event)

    def _cut_group(self, group: Group, now: PlantTime) -> None:
        samples = [redated(_sample.decode(spooled.body), group.shift_ms) for spooled in group.samples]
        if group.shift_ms:
            event = corrected(samples, group.shift_ms, now.wall_ms)
            self._append(self._leaf(now, group.boot, group.cfg, events=[event]), now)
        # Where the clock stepped back meanwhile, the samples must not come to lie in their leaf's future.
        wall_ms = max(now.wall_ms, *(sample.slot_ms for sample in samples))
        then = PlantTime(wall_ms, now.mono_ms, group.sync, group.offset_ms)
        for batch in batches(samples):
            self._append(self._leaf(then, group.boot, group.cfg, samples=batch), now)
        self.spool.drop_samples([spooled.id for spooled in group.samples])

    def carry(self, now: PlantTime) -> int:
        """Moves some of the leaves that wait to be carried into the current epoch; how many."""
        places = self.spool.to_carry(CARRY_AT_ONCE)
        if not places:
            return 0
        with self.spool.transaction():
            for epoch, i in places:
                spooled = self.spool.leaf(epoch, i)
                body = spooled.body() if spooled is not None else None
                if body is not None:
                    carried = Carried.of(epoch, i, body)
                    self._append(self._leaf(now, self.boot, self._cfg, carried=carried), now)
                elif spooled is not None:
                    self.add_event(rotten(epoch, i, now), now)
                self.spool.carried(epoch, i)
        return len(places)

    def _next_epoch(self, now: PlantTime) -> int:
        """By the time where it is known; else above what is surely past, and apart from that of another spool."""
        known = self.spool.epochs()
        lowest = max(self._first_epoch, known[-1].epoch + 1 if known else 1)
        if now.sync != UNSYNCHRONISED:
            return max(now.wall_ms // 1000, lowest)
        return max(FIRST_EPOCH, lowest) + secrets.randbelow(EPOCH_SPREAD)

    def _open(self, now: PlantTime, events: list[Event], cites: str = "") -> None:
        self._log(now, events, cites)
        for part in parts_of(self._configuration):
            self._append(self._leaf(now, self.boot, self._cfg, configuration=part), now)

    def _log(self, now: PlantTime, events: list[Event], cites: str = "") -> None:
        for batch in event_batches(events):
            self._append(self._leaf(now, self.boot, self._cfg, events=batch, cites=cites), now)

    def _leaf(
        self,
        now: PlantTime,
        boot: str,
        cfg: str,
        *,
        samples: list[Sample] | None = None,
        events: list[Event] | None = None,
        configuration: ConfigurationPart | None = None,
        carried: Carried | None = None,
        cites: str = "",
    ) -> Leaf:
        current = self.spool.current()
        if current is None:
            raise RuntimeError("the log was not started")
        return Leaf(
            v=VERSION,
            edge=self.edge_id,
            epoch=current.epoch,
            i=current.size,
            salt=base64.b64encode(secrets.token_bytes(SALT_BYTES)).decode(),
            boot=boot,
            mono_ms=now.mono_ms,
            wall_ms=now.wall_ms,
            sync=Sync(now.sync, now.offset_ms),
            cfg=cfg,
            sw=self._software,
            samples=samples or [],
            events=events or [],
            configuration=configuration,
            carried=carried,
            cites=cites,
        )

    def _append(self, leaf: Leaf, now: PlantTime) -> None:
        current = self.spool.current()
        if current is None:
            raise RuntimeError("the log was not started")
        body = encode(leaf)
        digest = leaf_hash(body)
        frontier = extend(current.frontier, current.size, digest)
        root = root_of(frontier)
        origin = Origin(self.namespace, self.edge_id, current.epoch)
        checkpoint = sign_checkpoint(Checkpoint(origin, current.size + 1, root), self._key)
        spooled = SpooledLeaf(current.epoch, current.size, digest, root, checkpoint, deflate(body))
        self.spool.append(spooled, frontier, now.wall_ms)


def rotten(epoch: int, i: int, now: PlantTime) -> Event:
    """That a leaf on this disk is not what was signed: it can neither be sent nor carried, and the log says so."""
    return Event("leaf-rotten", now.wall_ms, {"epoch": str(epoch), "i": str(i)})


def batches(samples: list[Sample]) -> list[list[Sample]]:
    """`samples` in order, in groups that fit a leaf each; one too long is parted between meters, then blocks."""
    limit = MAX_LEAF_BYTES - HEADER_BYTES
    done: list[list[Sample]] = []
    batch: list[Sample] = []
    size = 0
    for sample in (piece for whole in samples for piece in _pieces(whole, limit)):
        length = len(msgspec.json.encode(sample)) + 1
        if batch and size + length > limit:
            done.append(batch)
            batch, size = [], 0
        batch.append(sample)
        size += length
    return [*done, batch] if batch else done


def event_batches(events: list[Event]) -> list[list[Event]]:
    """`events` in order, in groups that fit a leaf each."""
    done: list[list[Event]] = []
    size = MAX_LEAF_BYTES
    for event in events:
        length = len(msgspec.json.encode(event)) + 1
        if size + length > MAX_LEAF_BYTES - HEADER_BYTES:
            done.append([])
            size = 0
        done[-1].append(event)
        size += length
    return done


def _pieces(sample: Sample, limit: int) -> Iterable[Sample]:
    if len(msgspec.json.encode(sample)) <= limit or len(sample.blocks) < 2:
        return [sample]
    middle = _middle(sample.blocks)
    halves = (sample.blocks[:middle], sample.blocks[middle:])
    return [piece for half in halves for piece in _pieces(Sample(sample.slot_ms, sample.mono_ms, half), limit)]


def _middle(blocks: list[Block]) -> int:
    half = len(blocks) // 2
    edges = [k for k in range(1, len(blocks)) if blocks[k].meter != blocks[k - 1].meter]
    return min(edges, key=lambda k: abs(k - half)) if edges else half
