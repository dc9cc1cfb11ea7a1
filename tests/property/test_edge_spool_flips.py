"""Every byte of a spool turned over: nothing wrong is signed or sent, no second root, and what is lost is said."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.courier import Courier
from edge.log import EdgeLog
from edge.spool import Spool, SpoolFailed, SpoolUnknown
from hakari.clock import PlantTime
from hakari.log.checkpoint import open_checkpoint
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.wire.envelope import unseal
from hakari.wire.leaf import Sample, decode
from tests.simulation.world import CONFIGURATION, EDGE_ID, NAMESPACE, keys
from tests.unit.test_edge_log import sample

NOW = PlantTime(1_800_000_000_000, 800_000_000, "synchronised")
PUBLIC = keys().edge.public_key().public_bytes_raw()
SHARE = 250
LEAVES, MARK, OPEN = 6, 3, 3
TOLD = ("sample-lost", "leaf-rotten")


class Written(NamedTuple):
    """A spool's file and what is in it: bodies of leaves by (epoch, i), samples by monotonic time."""

    content: bytes
    epoch: int
    bodies: list[bytes]
    samples: dict[int, Sample]


class Outlet:
    """Takes every message."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    @property
    def slots(self) -> int:
        return 100

    def publish(self, message: bytes) -> None:
        self.messages.append(message)


def log_on(spool: Spool, boot: str) -> EdgeLog:
    return EdgeLog(spool, keys().edge, NAMESPACE, EDGE_ID, boot, "hakari test")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    path = tmp_path_factory.mktemp("flips") / "spool"
    spool = Spool(str(path))
    log = log_on(spool, "aaaaaaaa00000001")
    log.start(CONFIGURATION, NOW)
    samples = {}
    for k in range(LEAVES + OPEN):
        one = sample(NOW.wall_ms + 1000 * k, words=2)
        samples[one.mono_ms] = one
        log.add_sample(one, NOW._replace(wall_ms=one.slot_ms), 1 if k < LEAVES else 100)
    (state,) = spool.epochs()
    spool.set_mark(state.epoch, MARK)
    spool.put_note("time/floor", "1800000000000")
    spool.put_number("last_slot_ms", NOW.wall_ms)
    leaves = [spool.leaf(state.epoch, i) for i in range(state.size)]
    bodies = [body for leaf in leaves if leaf is not None and (body := leaf.body()) is not None]
    spool.close()
    return Written(path.read_bytes(), state.epoch, bodies, samples)


class Seen(logging.Handler):
    """Counts errors in the edge's log: what is said to an operator."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.levelno >= logging.ERROR


@pytest.fixture(autouse=True)
def said() -> Iterator[Seen]:
    seen, log = Seen(), logging.getLogger("hakari.edge")
    log.addHandler(seen)
    log.propagate = False
    yield seen
    log.propagate = True
    log.removeHandler(seen)


def outcome(path: Path, written: Written, said: Seen) -> str:
    """What an edge does that is started on the file: "said", or "harmless"; AssertionError where it is neither."""
    errors, outlet = said.count, Outlet()
    loud = False
    try:
        spool = Spool(str(path))
    except (SpoolFailed, SpoolUnknown):
        return "said"
    try:
        log = log_on(spool, "bbbbbbbb00000001")
        courier = Courier(log, keys().roster, _Standing(), outlet, lambda: 0.0)
        log.start(CONFIGURATION, NOW)
        log.add_sample(sample(NOW.wall_ms + 60_000), NOW, 1)
        courier.changed(connected=True)
        courier.pump()
        courier.pump()
    except SpoolFailed:
        loud = True
    finally:
        spool.close()
    loud = _checked(outlet.messages, written) or loud or said.count > errors
    return "said" if loud else "harmless"


def _checked(messages: list[bytes], written: Written) -> bool:
    """Nothing wrong in what was sent; whether a loss is told in it. What is missing has to be told."""
    known = {**written.samples, (NOW.wall_ms + 60_000 - 1_000_000): sample(NOW.wall_ms + 60_000)}
    bodies = dict(enumerate(written.bodies))
    roots: dict[int, bytes] = {}
    told, arrived = False, set()
    for message in messages:
        envelope = unseal(message)
        checkpoint = open_checkpoint(envelope.checkpoint, PUBLIC)
        if envelope.leaf_hash:  # its body is gone, and the edge signs that it is (I11)
            # A hash that was itself damaged does not give the signed root: ingest refuses it and says so.
            if envelope.leaf_hash == leaf_hash(bodies[checkpoint.size - 1]):
                roots[checkpoint.size] = checkpoint.root
            told = True
            continue
        leaf = decode(envelope.body)
        assert (leaf.epoch, leaf.i, checkpoint.origin.epoch) == (written.epoch, checkpoint.size - 1, written.epoch)
        assert bodies.setdefault(leaf.i, envelope.body) == envelope.body, "another leaf under a number that was used"
        roots[checkpoint.size] = checkpoint.root
        for one in leaf.samples:
            assert one == known[one.mono_ms], "wrong data was signed"
            assert one.mono_ms not in arrived, "doubled"
            arrived.add(one.mono_ms)
        told = told or any(event.kind in TOLD for event in leaf.events)
    frontier: tuple[bytes, ...] = ()
    for i in range(max(bodies) + 1):
        if i not in bodies:
            break
        frontier = extend(frontier, i, leaf_hash(bodies[i]))
        assert roots.get(i + 1, root_of(frontier)) == root_of(frontier), "a root that does not follow from the leaves"
    return told


class _Standing:
    def now(self) -> PlantTime:
        return NOW


def complete(path: Path, written: Written) -> bool:
    """Whether every committed sample is there still, in a leaf or before it, and every leaf as it was."""
    spool = Spool(str(path))
    found = {}
    for i in range(len(written.bodies)):
        leaf = spool.leaf(written.epoch, i)
        if leaf is None or leaf.body() != written.bodies[i]:
            spool.close()
            return False
    for state in spool.epochs():
        for i in range(state.size):
            leaf = spool.leaf(state.epoch, i)
            body = leaf.body() if leaf else None
            found.update({one.mono_ms: one for one in decode(body).samples} if body else {})
    spool.close()
    return all(found.get(mono_ms) == one for mono_ms, one in written.samples.items())


def flip(positions: list[int], written: Written, folder: Path, said: Seen) -> dict[str, int]:
    """The outcomes of one turned byte each."""
    chance = random.Random(len(positions))
    counted = {"said": 0, "harmless": 0}
    path = folder / "spool"
    for at in positions:
        content = bytearray(written.content)
        content[at] ^= chance.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
        for left in folder.glob("spool*"):
            left.unlink()
        path.write_bytes(content)
        result = outcome(path, written, said)
        if result == "harmless":
            try:
                # A stored leaf of the ring is looked at when it is sent again: nothing was lost that ingest has not.
                assert complete(path, written) or _only_stored(path, written), f"byte {at}: lost, and nobody said so"
            except SpoolFailed:
                result = "said"
        counted[result] += 1
    return counted


def _only_stored(path: Path, written: Written) -> bool:
    spool = Spool(str(path))
    leaves = [spool.leaf(written.epoch, i) for i in range(len(written.bodies))]
    spool.close()
    wrong = [i for i, leaf in enumerate(leaves) if leaf is None or leaf.body() != written.bodies[i]]
    return bool(wrong) and max(wrong) < MARK


def test_fault_06_a_turned_bit_is_found_or_harmless(written: Written, tmp_path: Path, said: Seen) -> None:
    positions = random.Random(6).sample(range(len(written.content)), SHARE)
    counted = flip(positions, written, tmp_path, said)
    assert counted["said"] > SHARE // 20, counted
    assert sum(counted.values()) == SHARE


@pytest.mark.prove
@pytest.mark.timeout(0)
def test_fault_06_every_turned_byte_is_found_or_harmless(written: Written, tmp_path: Path, said: Seen) -> None:
    counted = flip(list(range(len(written.content))), written, tmp_path, said)
    print(counted)  # noqa: T201 - the proof's record
    assert counted["said"] > len(written.content) // 20
