"""Simulated power cuts: what was synced stays, what was not is torn, cut or garbled; the edge goes on from there.

The spool is the real one on a real file. A cut copies its files as a disk may keep them: the database as it was
last synced, of the log every synced byte, and of what was written since nothing, a part or noise.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pymerkle
import pytest

from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED, PlantTime
from hakari.log.checkpoint import open_checkpoint
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Block, Sample, decode
from tests.simulation.world import CONFIGURATION, EDGE_ID, NAMESPACE, keys

START_MS = 1_800_000_000_000
PUBLIC = keys().edge.public_key().public_bytes_raw()
CUTS_A_DISK = 25
TEST_CUTS = 250
PROVE_CUTS = 10_000
PAGE, SECTOR, LOG_HEADER = 4096, 512, 32
_sample = msgspec.json.Decoder(Sample)
MEMORY = Path("/dev/shm")  # the loss of power is simulated: a real sync would only cost time


class Disk:
    """A spool on a disk that loses power. `returned` holds what a method has returned from: it must never be lost."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.path = folder / "live" / "spool"
        self.path.parent.mkdir()
        self.mono_ms = 0
        self.returned: set[int] = set()
        self.published: dict[tuple[int, int], bytes] = {}
        self.kinds: Counter[str] = Counter()
        self._open()

    def _open(self) -> None:
        self.spool = Spool(str(self.path))
        self.spool._db.execute(f"PRAGMA wal_autocheckpoint={self.random.choice([2, 10, 1000])}")
        boot = f"{self.random.getrandbits(64):016x}"
        self.log = EdgeLog(self.spool, keys().edge, NAMESPACE, EDGE_ID, boot, "hakari test")
        self.log.start(CONFIGURATION, self._now())

    def _now(self) -> PlantTime:
        sync = UNSYNCHRONISED if self.random.random() < 0.1 else SYNCHRONISED
        return PlantTime(START_MS + self.mono_ms, self.mono_ms, sync)

    def work(self) -> None:
        """One step of an edge: a sample, a mark or an event; leaves that were written are published."""
        self.mono_ms += 1000
        now = self._now()
        if self.random.random() < 0.2:
            self._mark()
        sample = Sample(now.wall_ms, self.mono_ms, [self._block(now)])
        self.log.add_sample(sample, now, self.random.choice([1, 1, 3]))
        self.returned.add(self.mono_ms)
        for state in self.spool.epochs():
            for i in range(state.size):
                leaf = self.spool.leaf(state.epoch, i)
                assert leaf is not None
                assert self.published.setdefault((state.epoch, i), leaf.root) == leaf.root, "two roots were published"

    def _block(self, now: PlantTime) -> Block:
        return Block("m1", "modbus-tcp", "010300000001", now.wall_ms, 900, f"0302{self.mono_ms // 1000 % 65536:04x}")

    def _mark(self) -> None:
        state = self.spool.current()
        if state is not None:
            self.spool.set_mark(state.epoch, self.random.randint(state.mark, state.size))

    def cut(self) -> None:
        """The power goes away inside a transaction, between two, or while the log is folded into the database."""
        kind = self.random.choice(["between", "inside", "torn", "garbled", "folding"])
        self.kinds[kind] += 1
        synced, database = self._log_bytes(), self.path.read_bytes()
        if kind == "folding":
            self.spool._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            database = self._mixed(database, self.path.read_bytes(), PAGE)
            kept = synced
        elif kind == "between":
            kept = synced
        else:
            self._unfinished()
            kept = self._half_written(kind, synced, self._log_bytes())
        self.spool.close()
        shutil.rmtree(self.path.parent)
        self.path.parent.mkdir()
        self.path.write_bytes(database)
        self.path.with_name("spool-wal").write_bytes(kept)
        self._open()
        self.check()

    def _log_bytes(self) -> bytes:
        wal = self.path.with_name("spool-wal")
        return wal.read_bytes() if wal.exists() else b""

    def _unfinished(self) -> None:
        """A step whose commit never returned: its bytes may be on the disk in part."""
        self.spool._db.execute("PRAGMA synchronous=OFF")
        self.mono_ms += 1000
        now = self._now()
        self.log.add_sample(Sample(now.wall_ms, self.mono_ms, [self._block(now)]), now, 1)

    def _half_written(self, kind: str, synced: bytes, written: bytes) -> bytes:
        """The log as the disk may have it: every sector that was written over is the old one, the new one or noise."""
        if kind == "inside":
            return synced
        if kind == "torn":
            at = self.random.randrange(len(written) + 1)
            return written[:at] + synced[at:]
        mixed = bytearray(self._mixed(synced, written, SECTOR))
        changed = [k for k in range(len(mixed)) if k >= len(synced) or synced[k] != written[k]]
        for at in self.random.sample(changed, min(len(changed), 40)):
            mixed[at] ^= self.random.randint(1, 255)
        # SQLite syncs a new header of the log before the first frame after it: no old header stands before new frames.
        mixed[:LOG_HEADER] = written[:LOG_HEADER]
        return bytes(mixed)

    def _mixed(self, old: bytes, new: bytes, size: int) -> bytes:
        old = old.ljust(len(new), b"\0")
        new = new.ljust(len(old), b"\0")
        return b"".join(self.random.choice((old, new))[k : k + size] for k in range(0, len(new), size))

    def check(self) -> None:
        """Nothing that was returned from is lost or doubled; every root follows, by another hand's Merkle tree."""
        found: Counter[int] = Counter()
        for state in self.spool.epochs():
            tree = pymerkle.InmemoryTree(algorithm="sha256")  # type: ignore[no-untyped-call]
            for i in range(state.size):
                leaf = self.spool.leaf(state.epoch, i)
                assert leaf is not None
                body = inflate(leaf.deflated)
                tree.append_entry(body)
                found.update(sample.mono_ms for sample in decode(body).samples)
                checkpoint = open_checkpoint(leaf.checkpoint, PUBLIC)
                assert (checkpoint.size, checkpoint.root) == (i + 1, leaf.root)
                assert tree.get_root(i + 1) == leaf.root, "a bad root"
                assert self.published.get((state.epoch, i), leaf.root) == leaf.root, "a published number was used again"
        waiting = Counter(_sample.decode(one.body).mono_ms for one in self.spool.samples())
        assert max((found + waiting).values(), default=1) == 1, "a sample is there twice"
        assert self.returned <= set(found + waiting), "a committed sample is lost"


def campaign(seed: int) -> Counter[str]:
    """One disk's life with many cuts."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        disk = Disk(seed, Path(folder))
        for _ in range(CUTS_A_DISK):
            for _ in range(disk.random.randint(0, 4)):
                disk.work()
            disk.cut()
        disk.spool.close()
        return disk.kinds


def test_fault_02_power_cuts_lose_nothing_that_was_committed() -> None:
    kinds = sum((campaign(seed) for seed in range(TEST_CUTS // CUTS_A_DISK)), Counter[str]())
    assert sum(kinds.values()) == TEST_CUTS
    assert min(kinds.values()) > TEST_CUTS // 20
    assert len(kinds) == 5


@pytest.mark.prove
@pytest.mark.timeout(0)
def test_fault_02_ten_thousand_power_cuts() -> None:
    seeds = range(TEST_CUTS // CUTS_A_DISK, (TEST_CUTS + PROVE_CUTS) // CUTS_A_DISK)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        kinds = sum(pool.map(campaign, seeds, chunksize=4), Counter[str]())
    print({**kinds})  # noqa: T201 - the proof's record
    assert sum(kinds.values()) == PROVE_CUTS


@pytest.mark.parametrize("broken", ["sync", "transaction"])
def test_without_the_remedy_the_campaign_fails(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if broken == "sync":  # what was returned from is not yet on the disk
        monkeypatch.setattr(Disk, "_log_bytes", _all_but_the_last_commit)
    else:  # the leaf is there, the samples are not yet gone from before it
        monkeypatch.setattr(Spool, "drop_samples", lambda *_: None)
    with pytest.raises(AssertionError, match=r"lost|twice|used again"):
        _ = [campaign(seed) for seed in range(10)]


def _all_but_the_last_commit(disk: Disk) -> bytes:
    wal = disk.path.with_name("spool-wal")
    content = wal.read_bytes() if wal.exists() else b""
    return content[: max(0, len(content) - 2 * PAGE)]
