"""A meter that repeats itself word for word: from leaves to the readings that are not used, and the line for it."""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path
from typing import Any

import pytest

from calc.evidence import evidence_of
from calc.frozen import moving, standstills
from calc.leaves import EdgeEvidence
from hakari.registers.profile import Point, Profile
from hakari.wire.configuration import Meter, MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.frozen import Stretch, follow
from hakari.wire.leaf import Block, Leaf, Sample, Sync, encode
from tests.unit.calc_world import BOOT, QUARTER_MS, START_MS

CASE = Path(__file__).resolve().parents[1] / "cases" / "frozen-meter-at-period-end"
SERIES: list[dict[str, Any]] = tomllib.loads((CASE / "case.toml").read_text())["series"]
POINT = "site-e1/aux/energy"
SALT = base64.b64encode(bytes(16)).decode()
PROFILE = Profile(
    id="test-mains",
    maker="Test",
    model="Mains",
    source="made for tests",
    standing="one-source",
    points=[
        Point(name="energy", address=0, type="u32", kind="counter", unit="Wh"),
        Point(name="voltage", address=2, type="u16", kind="gauge", unit="V", exponent=-1),
    ],
)
CONFIGURATION = MeteringConfiguration(
    v=1,
    edge="site-e1",
    interval_ms=QUARTER_MS,
    max_lag_ms=60_000,
    meters=[Meter(id="aux", bus="bus1", unit=1, serial="", profile=PROFILE)],
)


def sample(k: int, volts: int, wh: int) -> Sample:
    t_ms = START_MS + k * QUARTER_MS
    answer, error = (f"0306{wh:08x}{volts:04x}", "") if volts >= 0 else ("", "timeout")
    block = Block("aux", "modbus-tcp", "010300000003", wall_ms=t_ms, round_trip_us=1, answer=answer, error=error)
    return Sample(slot_ms=t_ms, mono_ms=k * QUARTER_MS, blocks=[block])


def leaves(samples: list[Sample], a_leaf: int) -> list[Leaf]:
    """The configuration, then the samples, `a_leaf` of them together."""
    text = text_of(CONFIGURATION)
    parts: list[dict[str, Any]] = [{"configuration": part} for part in parts_of(text)]
    parts += [{"samples": samples[k : k + a_leaf]} for k in range(0, len(samples), a_leaf)]
    return [
        Leaf(
            v=1, edge="site-e1", epoch=1, i=i, salt=SALT, boot=BOOT, mono_ms=10**9, wall_ms=START_MS + 10**9,
            sync=Sync("lockstep"), cfg=sha256_of(text), sw="hakari test", **part,
        )
        for i, part in enumerate(parts)
    ]  # fmt: skip


def evidence(samples: list[Sample], a_leaf: int = 1, cut: int = 1000) -> Any:
    edge = EdgeEvidence("site-e1", [POINT])
    for leaf in leaves(samples, a_leaf):
        edge.add(1, encode(leaf))
    assert edge.problems == []
    return evidence_of([edge], {"site-e1": {1: cut}}, [])


@pytest.mark.parametrize("a_leaf", [1, 3, 100])
@pytest.mark.parametrize("series", SERIES, ids=lambda series: series["name"])
def test_the_case_comes_out_as_its_why_says(series: dict[str, Any], a_leaf: int) -> None:
    assert (CASE / "why.md").read_text().strip()
    samples = [sample(k, *each) for k, each in enumerate(zip(series["volts"], series["wh"], strict=True))]
    found = evidence(samples, a_leaf)
    spans = [tuple(START_MS + k * QUARTER_MS for k in span) for span in series["frozen"]]
    assert found.frozen[POINT] == spans
    used = [(row.t_ms - START_MS) // QUARTER_MS for row in moving(found.rows[POINT], found.frozen[POINT])]
    assert used == [k for k in range(len(samples)) if not any(a < k <= b for a, b in series["frozen"])]
    assert [(one.rule, one.start_ms, one.end_ms) for one in standstills(spans)] == [("frozen", *span) for span in spans]


def block(k: int, request: str, answer: str, error: str = "") -> Block:
    wall_ms = START_MS + k * QUARTER_MS
    return Block("aux", "modbus-tcp", request, wall_ms=wall_ms, round_trip_us=1, answer=answer, error=error)


def followed(*samples: tuple[int, list[tuple[str, str]]]) -> Stretch:
    """What samples (number, [(request, answer)]) of one meter come to; an answer "" is missing."""
    stretch = None
    for k, exchanges in samples:
        blocks = [block(k, request, answer, "" if answer else "timeout") for request, answer in exchanges]
        stretch = follow(stretch, START_MS + k * QUARTER_MS, blocks)
    assert stretch is not None
    return stretch


A, B, C = "010300000001", "010300100001", "010300200001"


def test_requests_that_are_lost_in_turn_do_not_end_a_stretch() -> None:
    stretch = followed(*((k, [(A, "03020001" if k % 2 else ""), (B, "" if k % 2 else "03020002")]) for k in range(8)))
    assert stretch.frozen
    assert (stretch.since_ms, stretch.last_ms) == (START_MS, START_MS + 7 * QUARTER_MS)
    assert stretch.answers == {bytes.fromhex(A): b"\3\2\0\1", bytes.fromhex(B): b"\3\2\0\2"}


def test_another_answer_to_one_request_ends_a_stretch_even_after_a_missing_one() -> None:
    still = [(k, [(A, "03020001"), (B, "03020002")]) for k in range(6)]
    assert followed(*still).frozen
    for last in ([(A, "03020001"), (B, "03020003")], [(A, ""), (B, "03020003")], [(B, "03020002"), (B, "03020003")]):
        found = followed(*still, (6, [(A, "03020001"), (B, "")]), (7, last))
        assert (found.samples, found.since_ms) == (1, START_MS + 7 * QUARTER_MS)


def test_missing_answers_and_slots_sampled_before_do_not_lengthen_a_stretch() -> None:
    still = [(k, [(A, "03020001")]) for k in (0, 4, 6)]
    unchanged = followed(*still)
    assert not unchanged.frozen
    for more in ((7, [(A, "")]), (6, [(A, "03020001")]), (2, [(A, "03020001")]), (7, [(A, "not hexadecimal")])):
        assert followed(*still, more) == unchanged
    assert followed(*still, (6, [(A, "03020001")]), (7, [(A, "03020001")])).frozen


def test_answers_are_the_same_by_their_bytes() -> None:
    stretch = followed(*((k, [(A.upper() if k % 2 else A, "03 02 00 AB" if k % 2 else "030200ab")]) for k in range(5)))
    assert stretch.frozen


def test_a_request_that_is_asked_no_more_holds_no_other_one_still() -> None:
    still = [(k, [(A, "03020001"), (B, "03020002")]) for k in range(6)]
    other = followed(*still, (6, [(C, "03020009")]))
    assert (other.samples, other.since_ms) == (1, START_MS + 6 * QUARTER_MS)


def silenced(every: int) -> list[Sample]:
    return [sample(k, -1 if k % every == 1 else 2302, 200) for k in range(12)]


@pytest.mark.parametrize("every", [2, 3, 4, 12])
def test_lost_answers_do_not_hide_that_a_meter_is_frozen(every: int) -> None:
    samples = silenced(every)
    last = max(k for k in range(12) if k % every != 1)
    assert evidence(samples).frozen[POINT] == [(samples[0].slot_ms, samples[last].slot_ms)]


@pytest.mark.parametrize("a_leaf", [1, 2, 24])
def test_slots_sampled_twice_do_not_hide_that_a_meter_is_frozen(a_leaf: int) -> None:
    samples = [one for k in range(12) for one in (sample(k, 2302, 200), sample(k, 2302, 200))]
    assert evidence(samples, a_leaf).frozen[POINT] == [(samples[0].slot_ms, samples[-1].slot_ms)]


def test_a_cut_knows_no_leaf_after_it() -> None:
    samples = [sample(0, 2301, 100), *(sample(k, 2302, 200) for k in range(1, 9))]
    whole = evidence(samples)
    parts = len(leaves(samples, 1)) - len(samples)
    assert whole.frozen[POINT] == [(samples[1].slot_ms, samples[8].slot_ms)]
    for size in range(parts, parts + 10):
        last = max((sample_.slot_ms for sample_ in samples[: size - parts]), default=0)
        expected = [(samples[1].slot_ms, last)] if last >= samples[5].slot_ms else []
        assert evidence(samples, cut=size).frozen[POINT] == expected
