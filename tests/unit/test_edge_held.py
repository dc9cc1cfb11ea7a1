"""Held samples and the marks that witness the time: what may go, by how much it is shifted, which marks count."""

from __future__ import annotations

import pytest

from edge.courier import Courier
from edge.held import groups, is_held, redated
from edge.log import EdgeLog
from edge.spool import Spool, SpooledSample
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED, WITNESSED, PlantTime
from hakari.log.checkpoint import claimed
from hakari.log.mark import cosign
from hakari.wire.leaf import Block, Sample
from tests.simulation.world import CONFIGURATION, EDGE_ID, NAMESPACE, keys

BOOT, OTHER = "aaaaaaaa00000001", "bbbbbbbb00000001"


def taken(id_: int, boot: str, sync: str, offset_ms: int = 1000) -> SpooledSample:
    return SpooledSample(id_, boot, "cfg", 5000, b"", sync, offset_ms)


@pytest.mark.parametrize(
    ("boot", "sync", "now", "held"),
    [
        (BOOT, UNSYNCHRONISED, UNSYNCHRONISED, True),
        ("aaaaaaaa00000099", UNSYNCHRONISED, UNSYNCHRONISED, True),
        (OTHER, UNSYNCHRONISED, UNSYNCHRONISED, False),
        (BOOT, SYNCHRONISED, UNSYNCHRONISED, False),
        (BOOT, UNSYNCHRONISED, WITNESSED, False),
    ],
)
def test_only_what_can_still_be_dated_is_held(boot: str, sync: str, now: str, *, held: bool) -> None:
    assert is_held(taken(1, boot, sync), BOOT, PlantTime(1, 1, now)) is held


def test_groups_keep_states_apart_and_shift_only_what_this_boot_held() -> None:
    waiting = [
        taken(1, OTHER, SYNCHRONISED),
        taken(2, OTHER, UNSYNCHRONISED),
        taken(3, BOOT, UNSYNCHRONISED),
        taken(4, BOOT, UNSYNCHRONISED),
        taken(5, BOOT, WITNESSED),
    ]
    now = PlantTime(9_000_000, 4_000, WITNESSED, 77)
    found = [(one.sync, one.offset_ms, one.shift_ms, [s.id for s in one.samples]) for one in groups(waiting, BOOT, now)]
    assert found == [
        (SYNCHRONISED, 0, 0, [1]),
        (UNSYNCHRONISED, 0, 0, [2]),
        (WITNESSED, 77, 9_000_000 - 4_000 - 1000, [3, 4]),
        (WITNESSED, 77, 0, [5]),
    ]


def test_slot_and_blocks_are_shifted_alike_and_the_monotonic_time_stays() -> None:
    sample = Sample(1000, 7, [Block("m1", "modbus-tcp", "01", 1040, 900, "02")])
    moved = redated(sample, 500)
    assert (moved.slot_ms, moved.mono_ms, moved.blocks[0].wall_ms) == (1500, 7, 1540)
    assert redated(sample, 0) is sample


class Marks:
    """Takes leaves, and remembers what a courier learnt of the time."""

    def __init__(self) -> None:
        self.learnt: list[tuple[int, int, int]] = []
        self.mono_ms = 100

    @property
    def slots(self) -> int:
        return 100

    def publish(self, message: bytes) -> None:
        self.mono_ms += bool(message)

    def witness(self, time_s: int, sent_ms: int, received_ms: int) -> None:
        self.learnt.append((time_s, sent_ms, received_ms))

    def now(self) -> PlantTime:
        return PlantTime(1_800_000_000_000, self.mono_ms, UNSYNCHRONISED)


def mark(spool: Spool, size: int, time_s: int) -> bytes:
    (state,) = spool.epochs()
    leaf = spool.leaf(state.epoch, size - 1)
    assert leaf is not None
    return cosign(claimed(leaf.checkpoint), keys().cosigner, time_s)


def test_only_the_first_mark_of_a_leaf_that_this_process_cut_is_a_witness() -> None:
    spool, marks = Spool(":memory:"), Marks()
    EdgeLog(spool, keys().edge, NAMESPACE, EDGE_ID, BOOT, "hakari test").start(CONFIGURATION, marks.now())
    (before,) = spool.epochs()
    log = EdgeLog(spool, keys().edge, NAMESPACE, EDGE_ID, OTHER, "hakari test")
    courier = Courier(log, keys().roster, marks, marks, lambda: 0.0, marks)
    log.start(CONFIGURATION, marks.now())
    courier.changed(connected=True)
    courier.pump()
    marks.mono_ms = 500
    for size, time_s in ((before.size, 1), (before.size + 1, 1_800_000_000), (before.size + 1, 7), (before.size, 8)):
        courier.mark(mark(spool, size, time_s))
    courier.pump()
    assert marks.learnt == [(1_800_000_000, 100 + before.size, 500)]
    marks.mono_ms = 900
    courier.mark(mark(spool, before.size + 2, 1_800_000_005))
    courier.pump()
    assert [one[0] for one in marks.learnt] == [1_800_000_000, 1_800_000_005]
