"""The edge's log: order, numbering, cutting, carrying, and a spool that a past version wrote."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.log import EdgeLog, batches
from edge.spool import Spool, SpoolDamaged, SpoolFailed, SpoolTaken, SpoolUnknown
from hakari.clock import PlantTime
from hakari.errors import NOT_REACHABLE
from hakari.log.checkpoint import open_checkpoint
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.wire.configuration import MeteringConfiguration, sha256_of, text_of
from hakari.wire.envelope import inflate, seal
from hakari.wire.leaf import MAX_LEAF_BYTES, Block, Leaf, Sample, decode, encode

KEY = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
CONFIGURATION = text_of(MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=500, meters=[]))
FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "spool" / "format-1.spool"


def at(wall_ms: int) -> PlantTime:
    return PlantTime(wall_ms, wall_ms - 1_000_000, "test")


def log_on(spool: Spool, boot: str = "00000000000000aa") -> EdgeLog:
    return EdgeLog(spool, KEY, "plant.example", "sola-e1", boot, "hakari test")


def sample(slot_ms: int, blocks: int = 1, words: int = 1) -> Sample:
    answer = f"03{2 * words:02x}" + "00ff" * words
    block = Block("m1", "modbus-tcp", f"01030000{words:04x}", slot_ms, 900, answer)
    return Sample(slot_ms, slot_ms - 1_000_000, [block] * blocks)


def leaves(spool: Spool, epoch: int) -> list[Leaf]:
    state = spool.epoch(epoch)
    assert state is not None
    found = [spool.leaf(epoch, i) for i in range(state.size)]
    return [decode(inflate(leaf.deflated)) for leaf in found if leaf is not None]


def assert_sound(spool: Spool, public: bytes) -> None:
    """Every leaf's hash, root and signed checkpoint follow from the leaves before it."""
    for state in spool.epochs():
        frontier: tuple[bytes, ...] = ()
        for i in range(state.size):
            leaf = spool.leaf(state.epoch, i)
            assert leaf is not None
            assert leaf_hash(inflate(leaf.deflated)) == leaf.leaf_hash
            frontier = extend(frontier, i, leaf.leaf_hash)
            checkpoint = open_checkpoint(leaf.checkpoint, public)
            assert (checkpoint.size, checkpoint.root) == (i + 1, root_of(frontier))
            assert (checkpoint.origin.epoch, leaf.root) == (state.epoch, checkpoint.root)
        assert state.root == (root_of(frontier) if state.size else EMPTY_ROOT)


def test_configuration_stands_before_the_first_sample_in_every_epoch() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    log.add_sample(sample(1_700_000_001_000), at(1_700_000_001_000), 1)
    second = log.fork("the mark", at(1_700_000_002_000))
    log.add_sample(sample(1_700_000_003_000), at(1_700_000_003_000), 1)
    for epoch in (1_700_000_000, second):
        kinds = [
            "events" if leaf.events else "cfg" if leaf.configuration else "samples" for leaf in leaves(spool, epoch)
        ]
        assert kinds[:3] == ["events", "cfg", "samples"]
        assert {leaf.cfg for leaf in leaves(spool, epoch)} == {sha256_of(CONFIGURATION)}
    assert leaves(spool, second)[0].cites == "the mark"
    assert_sound(spool, PUBLIC)


def test_leftover_samples_become_the_first_leaf_after_a_restart_under_their_own_boot() -> None:
    spool = Spool(":memory:")
    log_on(spool).start(CONFIGURATION, at(1_700_000_000_000))
    first = log_on(spool, "00000000000000bb")
    first.start(CONFIGURATION, at(1_700_000_001_000))
    first.add_sample(sample(1_700_000_002_000), at(1_700_000_002_000), 10)
    before = spool.current()
    assert before is not None
    log_on(spool, "00000000000000cc").start(CONFIGURATION, at(1_700_000_003_000))
    after = leaves(spool, before.epoch)[before.size :]
    assert [(leaf.boot, len(leaf.samples)) for leaf in after[:2]] == [("00000000000000bb", 1), ("00000000000000cc", 0)]
    assert spool.samples() == []


def test_a_fork_carries_what_is_not_known_as_stored_and_never_nests() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    for k in range(1, 4):
        log.add_sample(sample(1_700_000_000_000 + k * 1000), at(1_700_000_000_000 + k * 1000), 1)
    spool.set_mark(1_700_000_000, 3)
    log.fork("first", at(1_700_000_010_000))
    assert log.carry(at(1_700_000_010_000)) == 2
    third = log.fork("second", at(1_700_000_020_000))
    log.carry(at(1_700_000_020_000))
    carried = [leaf.carried for leaf in leaves(spool, third) if leaf.carried is not None]
    assert [(one.epoch, one.i) for one in carried if one.epoch == 1_700_000_000] == [
        (1_700_000_000, 3),
        (1_700_000_000, 4),
    ]
    assert all(decode(one.bytes()).carried is None for one in carried)
    assert spool.to_carry(1) == []
    assert_sound(spool, PUBLIC)


def test_long_batches_are_cut_and_every_block_is_kept() -> None:
    samples = [sample(1_700_000_000_000, blocks=150, words=125), sample(1_700_000_001_000, blocks=3)]
    cut = batches(samples)
    assert sum(len(one.blocks) for batch in cut for one in batch) == 153
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    for one in samples:
        log.add_sample(one, at(one.slot_ms), 2)
    assert all(len(encode(leaf)) <= MAX_LEAF_BYTES for leaf in leaves(spool, 1_700_000_000))
    assert sum(len(one.blocks) for leaf in leaves(spool, 1_700_000_000) for one in leaf.samples) == 153


def test_samples_never_lie_in_the_future_of_their_leaf_though_the_clock_steps_back() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    log.add_sample(sample(1_700_003_600_000), at(1_700_003_600_000), 10)
    log.cut(at(1_700_000_060_000))
    (leaf,) = [leaf for leaf in leaves(spool, 1_700_000_000) if leaf.samples]
    assert leaf.wall_ms == leaf.samples[-1].slot_ms


def test_only_what_is_known_as_stored_leaves_the_ring() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    for k in range(1, 9):
        log.add_sample(sample(1_700_000_000_000 + k * 1000), at(1_700_000_000_000 + k * 1000), 1)
    assert spool.prune(1_800_000_000_000) == 0
    spool.set_mark(1_700_000_000, 6)
    kept = [leaf for leaf in leaves(spool, 1_700_000_000) if not leaf.samples]
    assert [leaf.i for leaf in kept] == [0, 1]
    assert spool.prune(1_800_000_000_000) == 4
    assert [leaf for leaf in leaves(spool, 1_700_000_000) if not leaf.samples] == kept
    assert spool.leaf(1_700_000_000, 5) is None
    assert spool.leaf(1_700_000_000, 6) is not None


def test_fault_10_a_second_agent_on_the_same_spool_is_refused(tmp_path: Path) -> None:
    first = Spool(str(tmp_path / "edge.spool"))
    with pytest.raises(SpoolTaken, match="belongs to a running edge"):
        Spool(str(tmp_path / "edge.spool"))
    first.close()
    Spool(str(tmp_path / "edge.spool")).close()


def test_a_spool_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edge.spool"
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=99")
    with pytest.raises(SpoolUnknown, match="format 99"):
        Spool(str(path))


def test_a_file_that_is_no_spool_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "edge.spool"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(SpoolFailed, match="spool"):
        Spool(str(path))


def test_a_spool_of_format_1_still_opens_verifies_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "old.spool"
    shutil.copy(FORMAT_1, path)
    spool = Spool(str(path))
    assert_sound(spool, PUBLIC)
    state = spool.current()
    assert state is not None
    assert (state.size, state.mark, len(spool.samples())) == (8, 5, 1)
    log_on(spool, "00000000000000dd").start(CONFIGURATION, at(1_800_000_000_000))
    assert_sound(spool, PUBLIC)
    spool.close()


def test_a_spool_of_format_2_still_opens_verifies_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "old.spool"
    shutil.copy(FORMAT_1.with_name("format-2.spool"), path)
    spool = Spool(str(path))
    assert_sound(spool, PUBLIC)
    state = spool.current()
    assert state is not None
    assert (state.size, state.mark, [one.sync for one in spool.samples()]) == (8, 5, ["test", "unsynchronised"])
    assert (spool.note("time/floor"), spool.number("last_slot_ms")) == ("1700000000000", 1_700_000_008_000)
    log_on(spool, "00000000000000dd").start(CONFIGURATION, at(1_800_000_000_000))
    assert spool.samples() == []
    assert_sound(spool, PUBLIC)
    spool.close()


def test_a_spool_of_format_3_still_opens_verifies_and_lets_bodies_go(tmp_path: Path) -> None:
    path = tmp_path / "old.spool"
    shutil.copy(FORMAT_1.with_name("format-3.spool"), path)
    spool = Spool(str(path))
    assert_sound(spool, PUBLIC)
    state = spool.current()
    assert state is not None
    assert (state.size, state.mark, len(spool.samples())) == (8, 5, 1)
    assert spool.prune(1_800_000_000_000) == 3
    spool.close()
    spool = Spool(str(path))  # its tables are those that its note names
    assert spool.hashed(1_700_000_000, 4) is not None
    spool.close()


@pytest.mark.parametrize("turned", ["ALTER TABLE leaf ADD COLUMN more", "CREATE TABLE more (x)"])
def test_fault_06_an_older_spool_whose_tables_were_altered_is_not_upgraded_into_a_sound_one(
    tmp_path: Path, turned: str
) -> None:
    path = tmp_path / "old.spool"
    shutil.copy(FORMAT_1.with_name("format-3.spool"), path)
    with sqlite3.connect(path) as raw:
        raw.execute(turned)
    with pytest.raises(SpoolDamaged, match="its tables are not described as they were made"):
        Spool(str(path))


def test_of_a_leaf_that_left_the_ring_hash_root_and_checkpoint_are_left_byte_for_byte() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    for k in range(1, 700):
        log.add_sample(sample(1_700_000_000_000 + k * 1000), at(1_700_000_000_000 + k * 1000), 1)
    before = [spool.leaf(1_700_000_000, i) for i in range(690)]
    spool.set_mark(1_700_000_000, 690)
    cut_ms = 1_700_000_000_000 + 600_000
    assert spool.prune(cut_ms) == 599
    assert spool.prune(cut_ms) == 0
    for i, leaf in enumerate(before[2:601], 2):
        left = spool.hashed(1_700_000_000, i)
        assert leaf is not None
        assert left is not None
        assert left[2:4] == (leaf.leaf_hash, leaf.root)
        assert left.checkpoint(log.namespace, log.edge_id) == leaf.checkpoint
        assert spool.root_at(1_700_000_000, i + 1) == leaf.root
    assert spool.next_whole(1_700_000_000, 2) == 601


@pytest.mark.parametrize("column", ["boot", "cfg", "slot_ms", "body", "sync", "offset_ms", "seal"])
def test_fault_06_a_sample_that_is_not_what_was_committed_is_told_and_never_signed(column: str) -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    for k in (1, 2, 3):
        log.add_sample(sample(1_700_000_000_000 + k * 1000), at(1_700_000_000_000 + k * 1000), 10)
    turned = "1" if column in ("slot_ms", "offset_ms") else "x'00'" if column in ("body", "seal") else "'xx'"
    spool._db.execute(f"UPDATE sample SET {column}={turned} WHERE id=2")
    log.cut(at(1_700_000_009_000))
    found = leaves(spool, 1_700_000_000)
    assert [event.data for leaf in found for event in leaf.events if event.kind == "sample-lost"] == [{"id": "2"}]
    assert [one.slot_ms for leaf in found for one in leaf.samples] == [1_700_000_001_000, 1_700_000_003_000]
    assert spool.samples() == []


@pytest.mark.parametrize(
    ("turned", "part"),
    [
        ("UPDATE epoch SET size=size-1", "the state of epoch 1700000000 is not what was written"),
        ("UPDATE epoch SET root=x'00'", "the state of epoch"),
        ("UPDATE epoch SET frontier=x'00'", "the state of epoch"),
        ("UPDATE epoch SET mark=0, closed=1", "the state of epoch"),
        ("DELETE FROM leaf WHERE i=3", "its last leaf 3 is not there"),
        ("INSERT INTO carry VALUES (1,1,x'00')", "what is to be carried is not what was written"),
    ],
)
def test_fault_06_a_spool_whose_own_state_is_damaged_is_never_signed_on(tmp_path: Path, turned: str, part: str) -> None:
    path = tmp_path / "spool"
    spool = Spool(str(path))
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    for k in (1, 2):
        log.add_sample(sample(1_700_000_000_000 + k * 1000), at(1_700_000_000_000 + k * 1000), 1)
    spool._db.execute(turned)
    spool.close()
    with pytest.raises(SpoolDamaged, match=part) as caught:
        Spool(str(path))
    assert "give [edge].spool a new one" in str(caught.value)
    assert caught.value.exit_code == NOT_REACHABLE


def test_a_damaged_note_counts_as_never_set(caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(":memory:")
    spool.put_note("commissioned/m1", "yes")
    spool.put_number("last_slot_ms", 5)
    spool._db.execute("UPDATE note SET value='Yes'")
    spool._db.execute("UPDATE state SET value=4")
    assert (spool.note("commissioned/m1"), spool.number("last_slot_ms")) == ("", 0)
    assert spool.note("commissioned/m1") == ""
    assert len([one for one in caplog.records if "commissioned/m1" in one.getMessage()]) == 1


@pytest.mark.parametrize("column", ["hash", "root", "checkpoint", "deflated"])
def test_fault_06_a_leaf_with_a_turned_bit_is_not_what_was_signed(column: str) -> None:
    spool = Spool(":memory:")
    log_on(spool).start(CONFIGURATION, at(1_700_000_000_000))
    spool._db.execute(f"UPDATE leaf SET {column}=substr({column},1,9)||x'00'||substr({column},11) WHERE i=0")
    leaf = spool.leaf(1_700_000_000, 0)
    assert leaf is not None
    assert leaf.body() is None
    assert spool.root_at(1_700_000_000, 1) is None


def test_fault_03_thirty_days_of_eight_meters_a_minute_fit_and_drain() -> None:
    """Extrapolated from a day and a half: leaves are alike."""
    spool, month, taken = Spool(":memory:"), 30 * 24 * 60, 2000
    log = log_on(spool)
    log.start(CONFIGURATION, at(1_700_000_000_000))
    empty = len(spool.snapshot())
    noise = random.Random(3)
    for k in range(taken):
        slot_ms = 1_700_000_000_000 + k * 60_000
        blocks = [
            Block(f"meter-{m}", "modbus-tcp", f"{m:02x}0310000008", slot_ms + 40 * m, 30_000 + noise.randrange(9999),
                  f"0310{noise.randbytes(4).hex()}0000{k * m % 65536:04x}0001{k * 7 * m % 65536:04x}0000{m:04x}")
            for m in range(1, 9)
        ]  # fmt: skip
        log.add_sample(Sample(slot_ms, slot_ms - 1_000_000, blocks), at(slot_ms), 1)
    assert (len(spool.snapshot()) - empty) / taken * month < 50_000_000
    began = time.perf_counter()
    state = spool.current()
    assert state is not None
    sent = sum(len(seal(leaf.checkpoint, leaf.deflated)) > 0 for i in range(state.size)
               if (leaf := spool.leaf(state.epoch, i)) is not None and leaf.body() is not None)  # fmt: skip
    print(f"{sent / (time.perf_counter() - began):.0f} leaves/s checked and sealed")  # noqa: T201 - the record
    assert sent == state.size
