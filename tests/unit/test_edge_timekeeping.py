"""Which time an edge signs: steps, 1970, blocked NTP, witnesses, leap seconds; told by a machine that we set."""

from __future__ import annotations

import asyncio
import base64
import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.log import EPOCH_SPREAD, EdgeLog
from edge.reads.sampler import following
from edge.spool import Spool
from edge.timekeeping import BUILT_MS, HOLD_MS, STEP_MS, Bounds, Known, Timekeeper
from edge.timing import Timing, was_taken
from hakari.clock import HELD_OVER, LOCKSTEP, SYNCHRONISED, UNSYNCHRONISED, WITNESSED, PlantTime
from hakari.log.roster import ApprovedEpoch, EdgeKey, Roster
from hakari.wire.leaf import Block, Sample
from tests.unit.test_edge_log import CONFIGURATION, KEY, PUBLIC, leaves, log_on

TRUE_MS = BUILT_MS + 30 * 86_400_000
HOUR_MS = 3_600_000
ROSTER = Roster(namespace="plant.example", serial=1, edges=[], epochs=[], cosigners=[], statement_keys=[])


class Machine:
    """A machine that has run for a while; `wall_ms` is set by whoever wants, `true_ms` by nobody."""

    def __init__(self, sync: str = SYNCHRONISED, wall_ms: int = TRUE_MS, mono_ms: int = 50_000) -> None:
        self.sync, self.wall_ms, self.mono_ms, self.true_ms = sync, wall_ms, mono_ms, TRUE_MS

    def now(self) -> PlantTime:
        return PlantTime(self.wall_ms, self.mono_ms, self.sync)

    def wait(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_ms += ms
        self.true_ms += ms

    def marked(self, keeper: Timekeeper, trip_ms: int = 200) -> None:
        """A leaf goes out, ingest (whose time is true) answers with a mark."""
        sent_ms = self.mono_ms
        self.wait(trip_ms // 2)
        time_s = self.true_ms // 1000
        self.wait(trip_ms // 2)
        keeper.witness(time_s, sent_ms, self.mono_ms)
        keeper.settle()


def told(keeper: Timekeeper) -> tuple[str, int]:
    now = keeper.now()
    return now.sync, now.wall_ms


def kinds(keeper: Timekeeper) -> list[str]:
    return [event.kind for event in keeper.events()]


def test_a_driver_s_time_passes_untouched() -> None:
    machine = Machine(LOCKSTEP, 1000, 7)
    keeper = Timekeeper(machine)
    keeper.settle()
    assert keeper.now() == PlantTime(1000, 7, LOCKSTEP)


def test_a_synchronised_machine_is_believed() -> None:
    machine = Machine()
    keeper = Timekeeper(machine)
    machine.wait(10_000)
    machine.wall_ms += 40  # the time service slews
    keeper.settle()
    assert keeper.now() == machine.now()
    assert kinds(keeper) == []


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 10 * 365 * 24 * HOUR_MS, -10 * 365 * 24 * HOUR_MS])
def test_fault_08_a_step_of_the_clock_is_logged_and_dates_nothing(by_ms: int) -> None:
    machine = Machine()
    keeper = Timekeeper(machine)
    machine.wall_ms += by_ms
    assert told(keeper) == (SYNCHRONISED, TRUE_MS), "between two decisions time runs on by the monotonic clock"
    keeper.settle()
    machine.wait(1000)
    assert told(keeper) == (HELD_OVER, TRUE_MS + 1000)
    (event,) = keeper.events()
    assert (event.kind, event.data["by_ms"]) == ("clock-step", str(by_ms))
    assert keeper.known.floor_ms == 0
    keeper.settle()
    assert kinds(keeper) == [], "one step is told once"
    machine.wall_ms -= by_ms
    keeper.settle()
    assert told(keeper) == (SYNCHRONISED, TRUE_MS + 1000)
    assert kinds(keeper) == ["clock-step"]


def test_a_step_is_known_to_a_process_that_starts_after_it() -> None:
    machine = Machine()
    known = Timekeeper(machine).known
    machine.wait(5000)
    machine.wall_ms += HOUR_MS
    keeper = Timekeeper(machine, known)
    assert told(keeper) == (HELD_OVER, TRUE_MS + 5000)
    assert kinds(keeper) == ["clock-step"]


def test_a_witness_accepts_a_step_or_refuses_it() -> None:
    machine = Machine()
    keeper = Timekeeper(machine)
    machine.wall_ms += HOUR_MS  # wrong
    keeper.settle()
    machine.marked(keeper)
    assert keeper.now().sync == WITNESSED
    assert abs(keeper.now().wall_ms - machine.true_ms) <= 1200
    assert kinds(keeper) == ["clock-step", "clock-contradicted"]
    machine = Machine(wall_ms=TRUE_MS - HOUR_MS)
    keeper = Timekeeper(machine)
    machine.wall_ms = machine.true_ms  # right: it was wrong before
    keeper.settle()
    assert keeper.now().sync == HELD_OVER
    machine.marked(keeper)
    assert told(keeper) == (SYNCHRONISED, machine.true_ms)


def test_blocked_ntp_is_witnessed_by_marks_and_a_clock_inside_the_bounds_is_kept() -> None:
    machine = Machine(UNSYNCHRONISED, TRUE_MS + 300)
    keeper = Timekeeper(machine)
    assert keeper.now().sync == UNSYNCHRONISED
    machine.marked(keeper)
    assert told(keeper) == (WITNESSED, machine.wall_ms)
    machine = Machine(UNSYNCHRONISED, TRUE_MS - HOUR_MS)
    keeper = Timekeeper(machine)
    for _ in range(20):
        machine.wait(1373)
        machine.marked(keeper)
    assert keeper.now().sync == WITNESSED
    assert abs(keeper.now().wall_ms - machine.true_ms) <= 200, "marks narrow the bounds to the trip's time"
    assert keeper.now().offset_ms == keeper.now().wall_ms - machine.wall_ms


def test_a_slow_link_witnesses_nothing_that_samples_could_be_dated_by() -> None:
    machine = Machine(UNSYNCHRONISED)
    keeper = Timekeeper(machine)
    machine.marked(keeper, trip_ms=60_000)
    assert keeper.now().sync == UNSYNCHRONISED
    machine.marked(keeper, trip_ms=100)
    assert keeper.now().sync == WITNESSED


def test_bounds_hold_the_truth_and_age() -> None:
    bounds = Bounds.of(1000, 5000, 5400)
    assert (bounds.low_ms, bounds.high_ms) == (994_600, 996_000)
    assert bounds.narrow
    old = bounds.aged(5400 + 86_400_000)
    assert (bounds.low_ms - old.low_ms, old.narrow) == (8640, False)
    assert bounds.joined(Bounds(5, 9, 6000)) == Bounds(5, 9, 6000), "newer ones hold where both cannot"


def test_fault_09_at_1970_nothing_is_dated_before_the_release_or_the_floor() -> None:
    machine = Machine(UNSYNCHRONISED, 17_000, 17_000)
    assert told(Timekeeper(machine)) == (UNSYNCHRONISED, BUILT_MS)
    keeper = Timekeeper(machine, Known(floor_ms=TRUE_MS - HOUR_MS))
    machine.wait(5000)
    machine.wall_ms += 99 * HOUR_MS  # set by hand, by nobody's witness: time runs on evenly
    keeper.settle()
    assert told(keeper) == (UNSYNCHRONISED, TRUE_MS - HOUR_MS + 5000)


def test_a_service_that_hands_back_an_old_year_is_not_believed() -> None:
    """EnergyMe-Home#249: synchronised, and still 2023."""
    machine = Machine(wall_ms=BUILT_MS - 1)
    assert Timekeeper(machine).now().sync == UNSYNCHRONISED
    machine = Machine(wall_ms=TRUE_MS - 1)
    assert Timekeeper(machine, Known(floor_ms=TRUE_MS)).now().sync == UNSYNCHRONISED


def test_a_floor_that_was_wrong_is_overruled_by_system_and_witness_together() -> None:
    machine = Machine()
    keeper = Timekeeper(machine, Known(floor_ms=TRUE_MS + 1000 * HOUR_MS))
    assert keeper.now().sync == UNSYNCHRONISED
    machine.marked(keeper)
    assert told(keeper) == (SYNCHRONISED, machine.true_ms)
    assert abs(keeper.known.floor_ms - TRUE_MS) < 2000


def test_what_is_carried_on_by_the_monotonic_clock_is_not_known_for_ever() -> None:
    machine = Machine()
    keeper = Timekeeper(machine)
    machine.sync = UNSYNCHRONISED
    machine.wait(HOLD_MS)
    keeper.settle()
    assert keeper.now().sync == HELD_OVER
    machine.wait(1)
    keeper.settle()
    assert keeper.now().sync == UNSYNCHRONISED


def slots_of(machine: Machine, interval_ms: int, until_ms: int, step: tuple[int, int]) -> list[int]:
    """The slots that an edge takes until `until_ms` (true time), its wall clock stepping once: (at true time, by)."""
    spool = Spool(":memory:")
    timing = Timing(machine, spool, ROSTER, "sola-e1")
    taken: list[int] = []
    stepped = False

    async def sleep(wait_s: float) -> None:
        nonlocal stepped
        machine.wait(max(1, round(wait_s * 1000)))
        if not stepped and machine.true_ms >= step[0]:
            machine.wall_ms += step[1]
            stepped = True

    async def follow() -> None:
        last_ms = 0
        while machine.true_ms < until_ms:
            timing.settle()
            slot_ms = following(last_ms, timing.clock.now().wall_ms, interval_ms, 500)
            if await timing.reached(slot_ms, sleep):
                last_taken = taken[-1] if taken else 0
                if not last_taken - STEP_MS <= slot_ms <= last_taken:
                    taken.append(slot_ms)
                last_ms = slot_ms
                await sleep(0.05)

    asyncio.run(follow())
    return taken


@pytest.mark.parametrize("at_ms", [0, 1, 30, 60, 500, 999])
def test_a_leap_second_that_comes_twice_loses_and_doubles_no_slot(at_ms: int) -> None:
    taken = slots_of(Machine(), 1000, TRUE_MS + 20_000, (TRUE_MS + 10_000 + at_ms, -1000))
    assert taken == list(range(taken[0], taken[-1] + 1, 1000))
    assert len(taken) >= 18


def test_slots_stand_on_whole_multiples_of_utc_whatever_the_local_time_does() -> None:
    taken = slots_of(Machine(wall_ms=TRUE_MS), 900_000, TRUE_MS + 86_400_000, (0, 0))
    assert taken == list(range(TRUE_MS + 900_000, TRUE_MS + 86_400_001, 900_000))


def test_an_hour_s_jump_moves_no_slot() -> None:
    taken = slots_of(Machine(), 60_000, TRUE_MS + HOUR_MS, (TRUE_MS + 1_800_100, HOUR_MS))
    assert taken == list(range(TRUE_MS + 60_000, TRUE_MS + HOUR_MS + 1, 60_000))


def test_an_epoch_is_numbered_above_the_newest_approved_one_though_the_clock_is_at_1970() -> None:
    newest = BUILT_MS // 1000 + 5000
    publics = (
        ("sola-e1", PUBLIC),
        ("other-e1", Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32).public_key().public_bytes_raw()),
    )
    edges = [EdgeKey(edge, base64.b64encode(public).decode(), 0, 0) for edge, public in publics]
    epochs = [ApprovedEpoch("sola-e1", newest), ApprovedEpoch("other-e1", newest + 9)]
    roster = dataclasses.replace(ROSTER, edges=edges, epochs=epochs)
    timing = Timing(Machine(UNSYNCHRONISED, 0, 1), Spool(":memory:"), roster, "sola-e1")
    log = EdgeLog(Spool(":memory:"), KEY, "plant.example", "sola-e1", timing.boot, "hakari test", timing.first_epoch)
    log.start(CONFIGURATION, timing.clock.now())
    current = log.spool.current()
    assert current is not None
    assert newest < current.epoch <= newest + EPOCH_SPREAD


def test_what_is_known_of_a_boot_is_kept_for_its_next_process_alone() -> None:
    machine, spool = Machine(UNSYNCHRONISED, 0, 60_000), Spool(":memory:")
    first = Timing(machine, spool, ROSTER, "sola-e1")
    first.keep(60_000)
    machine.wait(5000)
    machine.marked(first.clock)
    first.keep(65_000)
    assert spool.note("time/floor") == str(first.clock.known.floor_ms)
    assert spool.note("time/state") == WITNESSED
    again = Timing(machine, spool, ROSTER, "sola-e1")  # this machine is no SystemClock: another boot
    assert again.clock.known.trusted is None
    assert again.clock.known.floor_ms == first.clock.known.floor_ms


def test_fault_09_samples_of_a_boot_at_1970_are_held_redated_and_signed_once() -> None:
    machine = Machine(UNSYNCHRONISED, 17_000, 17_000)
    machine.true_ms = TRUE_MS
    keeper, spool = Timekeeper(machine), Spool(":memory:")
    log = log_on(spool, "aaaaaaaa00000001")
    log.start(CONFIGURATION, keeper.now())
    truth: dict[int, int] = {}
    for _ in range(3):
        machine.wait(10_000)
        now = keeper.now()
        truth[now.mono_ms] = machine.true_ms
        log.add_sample(_sample(now), now, 1)
    current = spool.current()
    assert current is not None
    epoch = current.epoch
    assert [leaf.samples for leaf in leaves(spool, epoch)] == [[], []], "held; start and configuration went out"
    log = log_on(spool, "aaaaaaaa00000002")  # a restart of the process in the same boot
    log.start(CONFIGURATION, keeper.now())
    assert spool.sample_count(UNSYNCHRONISED) == 3
    machine.marked(keeper)
    machine.wait(10_000)
    log.add_sample(_sample(keeper.now()), keeper.now(), 1)
    assert spool.samples() == []
    found = leaves(spool, epoch)
    assert min(leaf.wall_ms for leaf in found) >= BUILT_MS
    (event,) = [event for leaf in found for event in leaf.events if event.kind == "clock-corrected"]
    assert event.data["samples"] == "3"
    held = [(leaf, one) for leaf in found for one in leaf.samples if one.mono_ms in truth]
    assert len(held) == 3
    for leaf, one in held:
        assert abs(one.slot_ms - truth[one.mono_ms]) <= 1200
        assert one.blocks[0].wall_ms - one.slot_ms == 20
        assert (leaf.boot, leaf.sync.state) == ("aaaaaaaa00000001", WITNESSED)


def _sample(now: PlantTime) -> Sample:
    block = Block("m1", "modbus-tcp", "010300000001", now.wall_ms + 20, 900, "030200ff")
    return Sample(now.wall_ms, now.mono_ms, [block])


def test_samples_of_an_earlier_boot_go_out_as_they_are_and_say_so() -> None:
    spool = Spool(":memory:")
    log = log_on(spool, "aaaaaaaa00000001")
    lost = PlantTime(BUILT_MS, 900, UNSYNCHRONISED)
    log.start(CONFIGURATION, lost)
    log.add_sample(_sample(lost), lost, 1)
    log = log_on(spool, "bbbbbbbb00000001")
    now = PlantTime(TRUE_MS, 100, UNSYNCHRONISED)
    log.start(CONFIGURATION, now)
    log.add_sample(_sample(now), now, 1)
    current = spool.current()
    assert current is not None
    (leaf,) = [leaf for leaf in leaves(spool, current.epoch) if leaf.samples]
    assert (leaf.boot, leaf.sync.state, leaf.samples[0].slot_ms) == ("aaaaaaaa00000001", UNSYNCHRONISED, BUILT_MS)
    assert [one.boot for one in spool.samples()] == ["bbbbbbbb00000001"]


def test_slots_that_a_small_step_back_passes_over_are_told_once() -> None:
    spool, last_ms = Spool(":memory:"), TRUE_MS + 290_000
    spool.put_number("last_slot_ms", last_ms)

    def at(slot_ms: int) -> tuple[bool, str]:
        taken, event = was_taken(slot_ms, spool, PlantTime(slot_ms, 5, SYNCHRONISED))
        return taken, event.kind if event else ""

    assert at(last_ms) == (True, ""), "a second that comes twice"
    assert [at(TRUE_MS + k * 10_000) for k in range(3)] == [(True, "slots-passed-over"), (True, ""), (True, "")]
    assert at(last_ms + 10_000) == (False, "")
    assert at(last_ms - STEP_MS - 1) == (False, "clock-step-back")
    spool.put_number("last_slot_ms", last_ms + 10_000)
    assert at(last_ms) == (True, "slots-passed-over"), "another step is told again"


def test_held_samples_of_a_process_before_are_corrected_under_its_configuration() -> None:
    spool = Spool(":memory:")
    log_on(spool, "aaaaaaaa00000001").start(CONFIGURATION, PlantTime(BUILT_MS, 900, UNSYNCHRONISED))
    log = log_on(spool, "aaaaaaaa00000002")
    log.start(CONFIGURATION, PlantTime(BUILT_MS, 1000, UNSYNCHRONISED))
    log.add_sample(_sample(PlantTime(BUILT_MS, 1900, UNSYNCHRONISED)), PlantTime(BUILT_MS, 1900, UNSYNCHRONISED), 1)
    log_on(spool, "aaaaaaaa00000003").start(CONFIGURATION, PlantTime(TRUE_MS, 9000, SYNCHRONISED))
    found = [leaf for state in spool.epochs() for leaf in leaves(spool, state.epoch)]
    (corrected,) = [leaf for leaf in found if any(event.kind == "clock-corrected" for event in leaf.events)]
    (sampled,) = [leaf for leaf in found if leaf.samples]
    assert (corrected.boot, corrected.cfg) == (sampled.boot, sampled.cfg) == ("aaaaaaaa00000002", sampled.cfg)
    boots = [leaf.boot for leaf in found]
    first = boots.index("aaaaaaaa00000003")
    assert [event.kind for event in found[first].events] == ["start"]
    assert all(leaf.cfg for leaf in found)
