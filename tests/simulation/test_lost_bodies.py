"""I11 under faults: bodies that nobody has any more are forgone by decision, and nothing beyond that is lost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from edge.courier import Courier
from hakari.log.tree import leaf_hash
from hakari.names import Origin
from hakari.store.forgone import forgo
from hakari.wire.envelope import seal_hash, unseal
from hakari.wire.forgone import Forgone
from ingest.receive import protocol as ingest_protocol
from tests.simulation.world import EDGE_ID, NAMESPACE, Identity
from tests.simulation.worn import WornWorld

STEPS = 60
SEEDS = 60
MIXED_SEEDS = 25
MUTANT_SEEDS = 60


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run(seed: int, *, edge_restored: bool = False) -> tuple[list[str], Counter[str]]:
    """What went wrong in one run, and what was done to it."""
    world = WornWorld(seed, edge_restored=edge_restored)
    for _ in range(STEPS):
        world.step()
    failures = [] if world.heal() else ["stuck"]
    world._look()
    if not world.roots_are_sound():
        failures.append("a root does not follow from its leaves")
    rows = world.credited()
    counted = Counter(Identity(row.boot, row.mono_ms) for row in rows)
    if max(counted.values(), default=0) > 1:
        failures.append("a reading counts twice")
    if any(world.truth[Identity(row.boot, row.mono_ms)] != row.raw for row in rows):
        failures.append("a reading has another value")
    decided = world.decided()
    if not world.without_a_body() <= decided:
        failures.append("a body is missing that nobody forwent")
    if not edge_restored:
        forgone = set().union(*(world.held[place] for place in decided), set())
        if lost := set(world.truth) - set(counted) - forgone:
            failures.append(f"{len(lost)} readings are lost beyond what was decided")
    return [f"seed {seed}: {one}" for one in failures], world.faults


def campaign(seeds: range, *, edge_restored: bool = False) -> tuple[list[str], Counter[str]]:
    """Many runs."""
    failures: list[str] = []
    faults: Counter[str] = Counter()
    for seed in seeds:
        found, done = run(seed, edge_restored=edge_restored)
        failures += found
        faults += done
    return failures, faults


def test_beyond_what_was_forgone_nothing_is_lost_doubled_or_stuck() -> None:
    failures, faults = campaign(range(SEEDS))
    assert failures == []
    assert faults.keys() >= {"let go", "ingest restored", "ingest lost", "decided", "edge killed", "broker killed"}


def test_with_restored_disks_too_nothing_is_doubled_or_stuck() -> None:
    failures, faults = campaign(range(1000, 1000 + MIXED_SEEDS), edge_restored=True)
    assert failures == []
    assert faults.keys() >= {"edge restored", "let go", "decided"}


def _edge_without(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Courier, "_hash_alone", lambda *_: None)


def _ingest_without(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ingest_protocol, "is_forgone", lambda *_: False)


def _ingest_trusting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ingest_protocol, "is_forgone", lambda *_: True)


@pytest.mark.parametrize("rule", [_edge_without, _ingest_without, _ingest_trusting])
def test_without_the_rule_the_campaign_fails(
    rule: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule(monkeypatch)
    for seed in range(MUTANT_SEEDS):
        if run(seed)[0]:
            return
    pytest.fail("the campaign does not need this rule: it proves nothing about it")


def test_without_a_decision_the_alarm_stands_once_and_says_what_to_run() -> None:
    world = WornWorld(5)
    world.healed, world.batch_samples, world.decides = True, 1, False
    world._connect()
    for _ in range(30):
        world.now_s += 1.0
        world.sample()
        world._deliver()
    assert world.heal()
    world._let_go()
    world._connect()
    world.random.seed(1)
    while world.evidence.origins():
        world._lose_ingest()
    for _ in range(400):
        world.now_s += 5.0
        world._deliver()
    kept = world.evidence.quarantined()
    assert len(kept) == len(world.workers), "once each, however often the edge sends it again"
    (origin,) = world.evidence.origins()
    last = world.evidence.head(origin).size
    assert last == 2, "start and configuration stay in the ring"
    assert f"hakari log forgo {origin} --start 2 --stop 31" in kept[0].reason
    world.decides = True
    assert world.heal()
    assert world.evidence.decisions()[0].why
    assert all(Forgone(2, 31, 0, "a", "b").start <= i < 31 for _, i in world.without_a_body())


def test_nobody_between_edge_and_ingest_can_take_bodies_off_leaves_that_were_forgone() -> None:
    world = WornWorld(6)
    world.healed, world.batch_samples = True, 1
    world._connect()
    world.now_s += 1.0
    world.sample()
    world.courier.pump()
    taken, world._up = world._up, []
    envelope = unseal(taken[0])
    origin = Origin(NAMESPACE, EDGE_ID, 1_700_000_000)
    with world.evidence.transaction():
        forgo(world.evidence, origin, Forgone(0, 100, 0, "operator", "deceived"))
    stripped = seal_hash(envelope.checkpoint, leaf_hash(envelope.body), 100, bytes(64))
    world._receive([stripped])
    assert world.evidence.head(origin).size == 0
    assert "has not signed that the body of leaf 0 is gone" in world.evidence.quarantined()[0].reason
    world._receive(taken)
    assert world.evidence.head(origin).size == len(taken)
    assert world.without_a_body() == set()
