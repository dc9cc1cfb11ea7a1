"""Seeded campaigns over the real protocol code, and proof that each rule is needed: without it they fail."""

from __future__ import annotations

import logging
import os
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from edge import protocol as edge_protocol
from edge.protocol import Sender
from edge.spool import Spool
from hakari.errors import DataProblem
from hakari.log.tree import extend, root_of
from hakari.names import Origin, batch_topic
from hakari.wire import rows as wire_rows
from ingest.receive import protocol as ingest_protocol
from ingest.receive.protocol import Outcome, Receiver
from ingest.receive.source import Delivery
from tests.simulation.world import EDGE_ID, NAMESPACE, Identity, World, keys

FOUND = Path(__file__).parents[1] / "cases" / "protocol-seeds" / "case.toml"
STEPS = 60
TEST_SEEDS = 500
PROVE_SEEDS = 100_000
MUTANT_SEEDS = 150
CHUNK_SEEDS = 50
MAX_SENDS_A_LEAF = 2.2
FAULTS = {
    "lost", "lost mark", "doubled", "reordered", "replayed", "replayed mark", "flipped",
    "broker killed", "edge killed", "ingest killed", "edge restored", "ingest restored",
}  # fmt: skip


class Report(NamedTuple):
    """What went wrong in a campaign, by seed, and what was done to it."""

    failures: list[str]
    faults: Counter[str]
    sends: int
    leaves: int


def run(seed: int) -> Report:
    """One run: disasters, then healing, then the invariants."""
    world = World(seed)
    try:
        for _ in range(STEPS):
            world.step()
        return _checked(world, seed, stored=world.heal())
    except DataProblem as error:
        return Report([f"seed {seed}: something unsound was appended: {error}"], world.faults, world.sends, 1)


def _checked(world: World, seed: int, *, stored: bool) -> Report:
    failures = [] if stored else [f"seed {seed}: stuck"]
    if not world.roots_are_sound():
        failures.append(f"seed {seed}: a root does not follow from its leaves")
    failures += [f"seed {seed}: {failure}" for failure in _miscounted(world)]
    leaves = sum(world.evidence.head(origin).size for origin in world.evidence.origins())
    return Report(failures, world.faults, world.sends, leaves)


def _miscounted(world: World) -> Iterator[str]:
    rows = world.credited()
    counted = Counter(Identity(row.boot, row.mono_ms) for row in rows)
    if max(counted.values(), default=0) > 1:
        yield "a reading counts twice"
    if not world.on_edge() <= set(counted):
        yield "a committed sample is lost"
    if any(world.truth[Identity(row.boot, row.mono_ms)] != row.raw for row in rows):
        yield "a reading has another value"


def campaign(seeds: range) -> Report:
    """Many runs."""
    reports = [run(seed) for seed in seeds]
    return Report(
        [failure for report in reports for failure in report.failures],
        sum((report.faults for report in reports), Counter[str]()),
        sum(report.sends for report in reports),
        sum(report.leaves for report in reports),
    )


def problems(report: Report) -> list[str]:
    """Failures, and too many sends a leaf: what I4 is for."""
    ratio = report.sends / report.leaves
    return report.failures + ([f"{ratio:.2f} sends a leaf"] if ratio > MAX_SENDS_A_LEAF else [])


@pytest.mark.usefixtures("quiet")
def test_nothing_is_lost_doubled_or_stuck() -> None:
    report = campaign(range(TEST_SEEDS))
    assert problems(report) == []
    assert set(report.faults) >= FAULTS, "every fault has to have occurred"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("seed", tomllib.loads(FOUND.read_text())["seeds"])
def test_seeds_that_once_failed(seed: int) -> None:
    assert run(seed).failures == []


@pytest.mark.prove
@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(0)
def test_nothing_is_lost_doubled_or_stuck_at_length() -> None:
    chunks = [range(k, k + CHUNK_SEEDS) for k in range(TEST_SEEDS, PROVE_SEEDS, CHUNK_SEEDS)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        reports = list(pool.map(campaign, chunks))
    faults = sum((report.faults for report in reports), Counter[str]())
    print({**faults}, sum(r.sends for r in reports) / sum(r.leaves for r in reports))  # noqa: T201 - the proof's record
    assert [failure for report in reports for failure in report.failures] == []
    assert set(faults) >= FAULTS


def _without_e2(patch: pytest.MonkeyPatch) -> None:
    def connect(self: Sender, now: float) -> None:
        self.connected = True
        self._probe_due = now

    patch.setattr(Sender, "connect", connect)


def _without_e3(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sender, "_resend", lambda *_: None)


def _without_e4(patch: pytest.MonkeyPatch) -> None:
    place = Sender._place
    patch.setattr(Sender, "_place", lambda self, lane, size, now: place(self, lane, max(size, lane.mark), now))


def _without_e5(patch: pytest.MonkeyPatch) -> None:
    mark = Sender.mark

    def deaf(self: Sender, *args: object) -> None:
        mark(self, *args)  # type: ignore[arg-type]

    patch.setattr(Sender, "mark", deaf)


def _without_i4(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ingest_protocol, "PENDING_LEAVES", 0)


def _without_i5(patch: pytest.MonkeyPatch) -> None:
    place = Receiver._place

    def trusting(self: Receiver, message: ingest_protocol.Message, now_ms: int) -> Outcome:
        head = self._log.head(message.origin)
        if message.i == head.size and not head.frozen:
            frontier = extend(head.frontier, head.size, message.leaf_hash)
            message = message._replace(root=root_of(frontier))
        return place(self, message, now_ms)

    patch.setattr(Receiver, "_place", trusting)


def _without_i10(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wire_rows, "once", sorted)


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "E2": _without_e2,
    "E3": _without_e3,
    "E4": _without_e4,
    "E5": _without_e5,
    "I4": _without_i4,
    "I5": _without_i5,
    "I10": _without_i10,
}


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("rule", MUTANTS)
def test_without_the_rule_the_campaign_fails(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[rule](monkeypatch)
    total = Report([], Counter(), 0, 0)
    for start in range(0, MUTANT_SEEDS, 10):  # ends as soon as it is shown
        report = campaign(range(start, start + 10))
        total = Report(
            total.failures + report.failures, total.faults, total.sends + report.sends, total.leaves + report.leaves
        )
        if total.failures:
            return
    assert problems(total) != [], f"the campaign does not need {rule}: it proves nothing about it"


def test_the_sender_never_runs_ahead_of_its_window() -> None:
    world = World(3)
    world.healed = True
    world.connected = True
    world.courier.changed(connected=True)
    for _ in range(400):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
    current = world.spool.current()
    assert current is not None
    assert current.size > edge_protocol.WINDOW_LEAVES
    assert world.sends <= edge_protocol.WINDOW_LEAVES + 20


def test_fault_07_a_late_message_of_an_older_disk_freezes_the_epoch_and_the_edge_moves_on() -> None:
    """The frozen epoch's root is our own at that size, so only the mark's word "frozen" can tell the edge."""
    world = World(1)
    world.batch_samples = 1
    world.healed = True
    world._connect()
    for _ in range(3):
        world._deliver()
    image = world.spool.snapshot()
    world.now_s += 1.0
    world.sample()
    world.courier.pump()
    late, world._up = world._up, []  # signed by the disk that is about to be lost, still on its way
    world.spool = Spool.restored(image)
    world._boot_edge()
    world.now_s += 1.0
    world.sample()
    world._connect()
    for _ in range(3):
        world.now_s += 1.0
        world._deliver()
    world._up += late
    world._deliver()
    assert any(world.evidence.head(origin).frozen for origin in world.evidence.origins())
    world.sample()
    assert world.heal()
    assert _checked(world, 1, stored=True).failures == []


def test_one_old_mark_repeated_for_an_hour_does_not_make_the_edge_send_without_end() -> None:
    world = World(2)
    world.batch_samples = 1
    world.healed = True
    world._connect()
    world._deliver()
    for _ in range(30):
        world.now_s += 1.0
        world.sample()
        world.courier.pump()
    old = Receiver(world.evidence, keys().roster, keys().cosigner).mark(Origin(NAMESPACE, EDGE_ID, 1_700_000_000), 0)
    world.sends = 0
    for _ in range(600):
        world.now_s += 6.0
        world._up.clear()
        world.courier.mark(old)
        for _ in range(20):
            world.courier.pump()
    current = world.spool.current()
    assert current is not None
    assert world.sends < 20 * current.size


def test_a_whole_window_that_was_lost_is_sent_again_at_once_after_its_first_leaf() -> None:
    world = World(4)
    world.batch_samples = 1
    world.healed = True
    world._connect()
    world._deliver()
    for _ in range(60):
        world.now_s += 0.1
        world.sample()
        world.courier.pump()
        world._up.clear()  # a broker that took everything and delivered nothing
    until = world.now_s + 40.0
    while not world.stored() and world.now_s < until:
        world.now_s += 0.5
        world.courier.pump()
        taken, world._up = world._up, []
        deliveries = [Delivery(1, mid, batch_topic(EDGE_ID), message) for mid, message in enumerate(taken)]
        if deliveries:
            world.workers[0].handle(deliveries, 0)
        world.workers[0].send_marks(0)
        marks, world._down = world._down, []
        for mark in marks:
            world.courier.mark(mark)
    assert world.stored()
