"""An edge that holds samples gets the time from ingest by itself, however late ingest can be reached or knows it."""

from __future__ import annotations

import pytest

from edge.courier import ASK_TIME_S, TIME_WANTED, Courier
from edge.log import EdgeLog
from edge.spool import Spool
from edge.timekeeping import BUILT_MS, Timekeeper
from hakari.clock import UNSYNCHRONISED, WITNESSED, PlantTime
from hakari.log.checkpoint import claimed
from hakari.log.mark import cosign
from hakari.wire.envelope import unseal
from hakari.wire.leaf import Leaf, Sample, decode
from tests.simulation.world import CONFIGURATION, EDGE_ID, NAMESPACE, keys

TRUE_OFFSET_MS = BUILT_MS + 40 * 86_400_000
PUMP_MS = 50
HOUR_MS = 3_600_000


class Lane:
    """An edge whose machine began at 1970, with a broker and an ingest that are there or not, in a time of its own."""

    def __init__(self) -> None:
        self.mono_ms = 1000
        self.spool = Spool(":memory:")
        self.clock = Timekeeper(self)
        self.log = EdgeLog(self.spool, keys().edge, NAMESPACE, EDGE_ID, "aaaaaaaa00000001", "hakari test")
        self.courier = Courier(self.log, keys().roster, self.clock, self, lambda: self.mono_ms / 1000, self.clock)
        self.sent: list[Leaf] = []
        self.answered = 0
        self.ingest_takes = False
        self.log.start(CONFIGURATION, self.clock.now())

    def now(self) -> PlantTime:
        return PlantTime(self.mono_ms, self.mono_ms, UNSYNCHRONISED)

    @property
    def slots(self) -> int:
        return 100

    def publish(self, message: bytes) -> None:
        self.sent.append(decode(unseal(message).body))

    def sample(self) -> None:
        now = self.clock.now()
        self.log.add_sample(Sample(now.wall_ms, now.mono_ms, []), now, 1)

    def run(self, ms: int, late_ms: int = 0) -> None:
        """Pumps for `ms`; ingest answers within 200 ms, marks arrive `late_ms` later still."""
        for _ in range(ms // 1000):
            self.courier.pump()
            self.mono_ms += 200
            if not self.ingest_takes:
                self.answered = len(self.sent)
            elif len(self.sent) > self.answered:
                self.answered = len(self.sent)
                time_s = (TRUE_OFFSET_MS + self.mono_ms) // 1000
                self.mono_ms += late_ms
                self.courier.mark(self.mark(time_s))
                self.courier.pump()
            self.mono_ms += 800
            self.clock.settle()

    def mark(self, time_s: int) -> bytes:
        last = self.sent[-1]
        leaf = self.spool.leaf(last.epoch, last.i)
        assert leaf is not None
        return cosign(claimed(leaf.checkpoint), keys().cosigner, time_s)

    @property
    def asked(self) -> int:
        leaves = {leaf.i: leaf for leaf in self.sent}.values()
        return sum(event.kind == TIME_WANTED for leaf in leaves for event in leaf.events)


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_ingest_that_comes_an_hour_later_dates_what_was_held_without_a_restart(lane: Lane) -> None:
    lane.courier.changed(connected=True)
    lane.sample()
    lane.run(HOUR_MS)
    assert lane.asked == 0, "while ingest is away the log does not grow"
    lane.ingest_takes = True
    lane.run(600_000)
    assert lane.clock.now().sync == WITNESSED
    assert lane.asked == 1
    lane.sample()
    lane.run(5000)
    held, taken = [sample for leaf in lane.sent for sample in leaf.samples]
    assert abs(held.slot_ms - (TRUE_OFFSET_MS + held.mono_ms)) < 5000
    assert abs(taken.slot_ms - (TRUE_OFFSET_MS + taken.mono_ms)) < 5000
    lane.run(HOUR_MS)
    assert lane.asked == 1, "once the time is known nothing is asked"


def test_marks_that_come_late_are_asked_for_again_every_five_minutes_and_not_more(lane: Lane) -> None:
    lane.ingest_takes = True
    lane.courier.changed(connected=True)
    lane.sample()
    lane.run(HOUR_MS // 2, late_ms=20_000)
    assert lane.clock.now().sync == UNSYNCHRONISED
    asked, passed_s = lane.asked, lane.mono_ms / 1000
    assert 2 < asked <= passed_s / ASK_TIME_S + 1
    lane.run(int(2 * ASK_TIME_S) * 1000)
    assert lane.clock.now().sync == WITNESSED


def test_nothing_is_asked_for_where_nothing_is_held_or_nobody_is_there(lane: Lane) -> None:
    lane.ingest_takes = True
    lane.run(60_000, late_ms=20_000)
    assert not lane.sent
    lane.courier.changed(connected=True)
    lane.run(600_000, late_ms=20_000)
    assert lane.asked == 0
