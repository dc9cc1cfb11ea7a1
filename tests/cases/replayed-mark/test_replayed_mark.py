from __future__ import annotations

import pytest

from edge.courier import Courier
from edge.log import EdgeLog
from edge.protocol import PROBE_S
from edge.spool import Spool
from edge.timekeeping import BUILT_MS, Timekeeper
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED, WITNESSED
from hakari.log.checkpoint import claimed
from hakari.log.mark import cosign
from tests.simulation.world import CONFIGURATION, EDGE_ID, NAMESPACE, keys
from tests.unit.test_edge_timekeeping import Machine, kinds


class Outlet:
    """Counts messages."""

    slots = 8

    def __init__(self) -> None:
        self.count = 0

    def publish(self, message: bytes) -> None:
        self.count += bool(message)


@pytest.mark.parametrize(("sync", "state"), [(SYNCHRONISED, SYNCHRONISED), (UNSYNCHRONISED, WITNESSED)])
def test_a_mark_played_back_after_the_last_leaf_was_shown_again_says_nothing(sync: str, state: str) -> None:
    machine, spool, outlet = Machine(sync), Spool(":memory:"), Outlet()
    keeper = Timekeeper(machine)
    log = EdgeLog(spool, keys().edge, NAMESPACE, EDGE_ID, "aaaaaaaa00000001", "hakari test")
    courier = Courier(log, keys().roster, keeper, outlet, lambda: machine.mono_ms / 1000, keeper)
    log.start(CONFIGURATION, keeper.now())
    courier.changed(connected=True)
    courier.pump()
    machine.wait(1000)
    (epoch,) = spool.epochs()
    last = spool.leaf(epoch.epoch, epoch.size - 1)
    assert last is not None
    mark = cosign(claimed(last.checkpoint), keys().cosigner, machine.true_ms // 1000)
    courier.mark(mark)
    courier.pump()
    keeper.settle()
    assert keeper.now().sync == state
    sent = outlet.count
    machine.wait(round(PROBE_S * 1000) + 1000)
    courier.pump()
    assert outlet.count == sent + 1, "the last leaf is shown again"
    machine.wait(200)
    courier.mark(mark)
    courier.pump()
    keeper.settle()
    assert keeper.now().sync == state
    assert abs(keeper.now().wall_ms - machine.true_ms) <= 1200
    assert kinds(keeper) == []


def test_a_mark_earlier_than_a_witness_is_none_and_is_told_once() -> None:
    machine = Machine(UNSYNCHRONISED)
    keeper = Timekeeper(machine)
    machine.marked(keeper)
    before = keeper.now()
    for _ in range(3):
        keeper.witness(machine.true_ms // 1000 - 900, machine.mono_ms - 100, machine.mono_ms)
        keeper.settle()
    assert keeper.now() == before
    assert kinds(keeper) == ["witness-refused"]


@pytest.mark.parametrize("sync", [SYNCHRONISED, UNSYNCHRONISED])
@pytest.mark.parametrize("time_s", [0, 100, BUILT_MS // 1000 - 1])
def test_no_witness_makes_a_time_before_the_release(time_s: int, sync: str) -> None:
    machine = Machine(sync, 17_000, 17_000)
    keeper = Timekeeper(machine)
    keeper.witness(time_s, 16_900, 17_000)
    keeper.settle()
    assert (keeper.now().sync, keeper.now().wall_ms) == (UNSYNCHRONISED, BUILT_MS)
    assert kinds(keeper) == ["witness-refused"]
