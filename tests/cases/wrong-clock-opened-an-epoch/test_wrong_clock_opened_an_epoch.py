from __future__ import annotations

import base64
import dataclasses

from edge.log import EPOCH_SPREAD, EdgeLog
from edge.spool import Spool
from edge.timekeeping import BUILT_MS
from edge.timing import Timing
from hakari.clock import SYNCHRONISED, UNSYNCHRONISED
from hakari.log.roster import ApprovedEpoch, EdgeKey, Roster
from tests.unit.test_edge_log import CONFIGURATION, KEY, PUBLIC
from tests.unit.test_edge_timekeeping import ROSTER, TRUE_MS, Machine

YEAR_2036_MS = TRUE_MS + 10 * 365 * 86_400_000


def started(machine: Machine, roster: Roster) -> tuple[Timing, int]:
    spool = Spool(":memory:")
    timing = Timing(machine, spool, roster, "sola-e1")
    log = EdgeLog(spool, KEY, "plant.example", "sola-e1", timing.boot, "hakari test", timing.first_epoch)
    log.start(CONFIGURATION, timing.clock.now())
    (epoch,) = spool.epochs()
    return timing, epoch.epoch


def test_a_clock_that_is_not_known_numbers_no_epoch() -> None:
    epochs = {started(Machine(UNSYNCHRONISED, YEAR_2036_MS), ROSTER)[1] for _ in range(5)}
    assert BUILT_MS // 1000 <= min(epochs) <= max(epochs) < BUILT_MS // 1000 + EPOCH_SPREAD
    assert len(epochs) > 1, "two spools of one edge get two numbers"


def test_an_epoch_of_the_future_does_not_overrule_a_synchronised_clock_and_stays_the_highest() -> None:
    edges = [EdgeKey("sola-e1", base64.b64encode(PUBLIC).decode())]
    roster = dataclasses.replace(ROSTER, edges=edges, epochs=[ApprovedEpoch("sola-e1", YEAR_2036_MS // 1000)])
    timing, epoch = started(Machine(SYNCHRONISED), roster)
    assert (timing.clock.now().sync, timing.clock.now().wall_ms) == (SYNCHRONISED, TRUE_MS)
    assert epoch == YEAR_2036_MS // 1000 + 1
