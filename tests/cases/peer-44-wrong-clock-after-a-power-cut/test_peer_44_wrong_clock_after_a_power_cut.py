from __future__ import annotations

import pytest

from edge.spool import Spool
from edge.timekeeping import BUILT_MS, Known, Timekeeper
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED, PlantTime
from hakari.wire.leaf import Sample
from tests.unit.test_edge_log import CONFIGURATION, leaves, log_on

YEAR_2023_MS = 1_690_000_000_000


class Machine:
    """A machine whose clock is what the test sets."""

    def __init__(self, wall_ms: int, sync: str) -> None:
        self.time = PlantTime(wall_ms, 10_000, sync)

    def now(self) -> PlantTime:
        return self.time


@pytest.mark.parametrize(("wall_ms", "sync"), [(9_000, UNSYNCHRONISED), (YEAR_2023_MS, SYNCHRONISED)])
def test_no_leaf_is_dated_by_it_and_the_sample_is_dated_right_later(wall_ms: int, sync: str) -> None:
    machine, spool = Machine(wall_ms, sync), Spool(":memory:")
    keeper = Timekeeper(machine, Known(floor_ms=BUILT_MS + 5000))
    log = log_on(spool)
    log.start(CONFIGURATION, keeper.now())
    now = keeper.now()
    log.add_sample(Sample(now.wall_ms, now.mono_ms, []), now, 1)
    state = spool.current()
    assert state is not None
    assert not any(leaf.samples for leaf in leaves(spool, state.epoch))
    true_ms = BUILT_MS + 10**9
    machine.time = PlantTime(true_ms + 60_000, 70_000, SYNCHRONISED)
    keeper.settle()
    log.cut(keeper.now())
    (sample,) = [one for leaf in leaves(spool, state.epoch) for one in leaf.samples]
    assert sample.slot_ms == true_ms
    assert min(leaf.wall_ms for leaf in leaves(spool, state.epoch)) >= BUILT_MS
