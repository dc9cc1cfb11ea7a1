"""What a leaf means: rows where it is clear, a refusal where it is not."""

from __future__ import annotations

import base64
from decimal import Decimal

import msgspec
import pytest

from hakari.quality import Quality
from hakari.registers.profile import Point, Profile
from hakari.registers.reading import exact_value
from hakari.wire.configuration import UNPROVEN, Meter, MeteringConfiguration, sha256_of, text_of
from hakari.wire.leaf import Block, Carried, Leaf, Sample, Sync, encode
from hakari.wire.rows import (
    EARLY,
    LATE,
    MAX_FUTURE_MS,
    MAX_REFUSALS,
    UNCLOCKED,
    Derived,
    Place,
    RowsRefused,
    derive,
    once,
    rows_of_leaf,
)
from hakari.wire.wide import Row, Rows, Shape, Wide

EDGE = "sola-e1"
SLOT = 1_467_356_400_000
PROFILE = Profile(
    id="test-meter", maker="m", model="m", source="s", standing="excerpt",
    points=[
        Point(name="energy", address=0, type="u32", kind="counter", unit="Wh"),
        Point(name="power", address=2, type="i16", kind="gauge", unit="W"),
    ],
)  # fmt: skip
BROKEN = msgspec.structs.replace(PROFILE, id="broken", points=[*PROFILE.points, *PROFILE.points])
CONFIGURATION = MeteringConfiguration(
    v=1, edge=EDGE, interval_ms=900_000, max_lag_ms=60_000,
    meters=[
        Meter("main", "bus", 1, "", PROFILE), Meter("aux", "bus", 2, "", PROFILE), Meter("bad", "bus", 3, "", BROKEN),
        Meter("a/b", "bus", 4, "", PROFILE),
    ],
)  # fmt: skip
CFG = sha256_of(text_of(CONFIGURATION))
KNOWN = {CFG: CONFIGURATION}
UNITS = {meter.id: meter.unit for meter in CONFIGURATION.meters}


def block(meter: str = "main", energy: int = 1000, power: int = 0xFFFF, late_ms: int = 0, error: str = "") -> Block:
    answer = "" if error else (bytes([3, 6]) + energy.to_bytes(4, "big") + power.to_bytes(2, "big")).hex()
    return Block(meter, "modbus-tcp", f"{UNITS.get(meter, 1):02x}0300000003", SLOT + late_ms, 900, answer, error)


def leaf(*blocks: Block, i: int = 7, epoch: int = 1700, cfg: str = CFG, slot_ms: int = SLOT) -> Leaf:
    samples = [Sample(slot_ms, 5000, list(blocks))] if blocks else []
    return Leaf(
        1, EDGE, epoch, i, base64.b64encode(bytes(16)).decode(), "0123456789abcdef", 5001, SLOT, Sync("lockstep"), cfg,
        "hakari", samples,
    )  # fmt: skip


def derived(one: Leaf, points: frozenset[str] | None = None) -> Derived:
    return derive(Place(EDGE, one.epoch, one.i), one, KNOWN, points)


def test_a_block_gives_a_row_for_each_point() -> None:
    rows, refusals = derived(leaf(block()))
    assert refusals == []
    assert [row.point for row in rows] == ["sola-e1/main/energy", "sola-e1/main/power"]
    energy, power = rows
    assert energy == (
        "sola-e1/main/energy", SLOT, "u32", 1000, 0, Quality.GOOD, "", 1700, 7, "0123456789abcdef", 5000
    )  # fmt: skip
    assert exact_value(power.type, power.raw, power.exponent) == Decimal(-1)
    assert rows_of_leaf(EDGE, 1700, leaf(block()), KNOWN) == rows


def test_no_answer_is_every_point_bad_with_the_error() -> None:
    rows, refusals = derived(leaf(block(error="timeout after 3 s"), block("aux")))
    assert refusals == []
    assert [(row.point, row.quality, row.reason) for row in rows] == [
        ("sola-e1/main/energy", Quality.BAD, "timeout after 3 s"),
        ("sola-e1/main/power", Quality.BAD, "timeout after 3 s"),
        ("sola-e1/aux/energy", Quality.GOOD, ""),
        ("sola-e1/aux/power", Quality.GOOD, ""),
    ]


@pytest.mark.parametrize(
    ("late_ms", "quality", "reason"),
    [
        (0, Quality.GOOD, ""),
        (60_000, Quality.GOOD, ""),
        (60_001, Quality.UNCERTAIN, LATE),
        (-1, Quality.UNCERTAIN, EARLY),
    ],
)
def test_untimely_blocks_are_uncertain(late_ms: int, quality: Quality, reason: str) -> None:
    rows, _ = derived(leaf(block(late_ms=late_ms), block("aux")))
    assert {(row.quality, row.reason) for row in rows[:2]} == {(quality, reason)}
    assert {row.quality for row in rows[2:]} == {Quality.GOOD}


def test_an_unproven_point_counts_once_it_was_commissioned() -> None:
    unproven = msgspec.structs.replace(PROFILE, proof="constructed")
    meter = Meter("main", "bus", 1, "", unproven, commissioned=["energy"])
    captured = Meter("aux", "bus", 2, "", msgspec.structs.replace(PROFILE, proof="captured"))
    known = {CFG: msgspec.structs.replace(CONFIGURATION, meters=[meter, captured])}
    one = leaf(block(), block("aux"))
    rows = derive(Place(EDGE, one.epoch, one.i), one, known).rows
    assert [(row.point, row.quality, row.reason, row.raw) for row in rows] == [
        ("sola-e1/main/energy", Quality.GOOD, "", 1000),
        ("sola-e1/main/power", Quality.UNCERTAIN, UNPROVEN, 0xFFFF),
        ("sola-e1/aux/energy", Quality.GOOD, "", 1000),
        ("sola-e1/aux/power", Quality.GOOD, "", 0xFFFF),
    ]


def test_a_suspended_meter_keeps_its_values_and_does_not_count() -> None:
    meters = [msgspec.structs.replace(CONFIGURATION.meters[0], suspended="serial changed"), CONFIGURATION.meters[1]]
    known = {CFG: msgspec.structs.replace(CONFIGURATION, meters=meters)}
    one = leaf(block(), block("aux"))
    rows = derive(Place(EDGE, one.epoch, one.i), one, known).rows
    assert [(row.quality, row.reason) for row in rows] == [(Quality.UNCERTAIN, "suspended: serial changed")] * 2 + [
        (Quality.GOOD, "")
    ] * 2
    assert rows[0].raw == 1000


@pytest.mark.parametrize("state", ["synchronised", "witnessed", "held-over", "lockstep", "unknown"])
def test_what_a_clock_of_unknown_time_sampled_does_not_count(state: str) -> None:
    sure = msgspec.structs.replace(leaf(block()), sync=Sync(state))
    assert {row.quality for row in derived(sure).rows} == {Quality.GOOD}
    unsure = msgspec.structs.replace(leaf(block()), sync=Sync("unsynchronised"))
    for one in (unsure, carrier(unsure)):
        assert {(row.quality, row.reason) for row in derived(one).rows} == {(Quality.UNCERTAIN, UNCLOCKED)}


def test_late_and_bad_stays_bad() -> None:
    rows, _ = derived(leaf(block(late_ms=90_000, error="timeout")))
    assert {(row.quality, row.reason) for row in rows} == {(Quality.BAD, "timeout")}


def test_repeated_point_keeps_the_best_quality_then_the_first() -> None:
    rows, _ = derived(leaf(block(error="timeout"), block(energy=5), block(energy=6)))
    assert [(row.raw, row.quality) for row in rows] == [(5, Quality.GOOD), (0xFFFF, Quality.GOOD)]


def test_unusable_meters_are_refused_and_the_others_count() -> None:
    rows, refusals = derived(leaf(block("ghost"), block("bad"), block("a/b"), block("main"), block("ghost")))
    assert [row.point for row in rows] == ["sola-e1/main/energy", "sola-e1/main/power"]
    assert len(refusals) == 3
    assert refusals[0] == f"meter 'ghost' of configuration {CFG} is no known meter"
    assert "has the unusable profile broken: point energy is described twice" in refusals[1]
    assert "must be of a-z, 0-9 and _" in refusals[2]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Block("main", "modbus-tcp", "0103", SLOT, 1, "03"), "2 bytes, needs 6"),
        (Block("main", "modbus-tcp", "xx", SLOT, 1, "03"), "not hexadecimal"),
        (Block("main", "modbus-tcp", "010300000003", SLOT, 1, "0"), "not hexadecimal"),
        (Block("main", "carrier-pigeon", "010300000003", SLOT, 1, "03"), "protocol 'carrier-pigeon' is not known"),
    ],
)
def test_unreadable_block_refuses_its_meter_alone(wrong: Block, reason: str) -> None:
    rows, refusals = derived(leaf(wrong, block("aux")))
    assert [row.point for row in rows] == ["sola-e1/aux/energy", "sola-e1/aux/power"]
    assert len(refusals) == 1
    assert reason in refusals[0]


def test_refusals_of_a_leaf_are_bounded() -> None:
    rows, refusals = derived(leaf(*(block(f"ghost{k}") for k in range(50))))
    assert (rows, len(refusals)) == ([], MAX_REFUSALS + 1)
    assert refusals[-1] == "and 30 more refusals of this leaf"


@pytest.mark.parametrize("place", [Place("sola-e2", 1700, 7), Place(EDGE, 1701, 7), Place(EDGE, 1700, 8)])
def test_leaf_out_of_place_is_refused(place: Place) -> None:
    with pytest.raises(RowsRefused, match="leaf says it is sola-e1 1700/7 but stands at"):
        derive(place, leaf(block()), KNOWN)


def test_unknown_or_foreign_configuration_is_refused_where_it_is_needed() -> None:
    with pytest.raises(RowsRefused, match="was not logged before"):
        derived(leaf(block(), cfg="f" * 64))
    assert derived(leaf(cfg="f" * 64)) == ([], [])
    foreign = msgspec.structs.replace(CONFIGURATION, edge="boil-e1")
    with pytest.raises(RowsRefused, match="is that of boil-e1"):
        derive(Place(EDGE, 1700, 7), leaf(block()), {CFG: foreign})


def test_a_slot_in_the_future_of_its_own_leaf_is_refused() -> None:
    assert len(derived(leaf(block(), slot_ms=SLOT + MAX_FUTURE_MS)).rows) == 2
    ahead_ms = SLOT + MAX_FUTURE_MS + 1
    for one in (leaf(block(), slot_ms=ahead_ms), carrier(leaf(block(), slot_ms=ahead_ms))):
        rows, refusals = derived(one)
        assert rows == []
        assert refusals == [f"slot {ahead_ms} lies 300 s in the future of leaf 1700/7, limit 300 s"]


ENERGY = "sola-e1/main/energy"


@pytest.mark.parametrize(
    "points",
    [
        {ENERGY},
        {ENERGY, "sola-e1/aux/power"},
        {"sola-e1/aux/energy", "sola-e2/main/energy", "sola-e1/main/none", "nonsense"},
        set(),
    ],
)
def test_chosen_points_give_the_same_rows_and_refusals_as_all_do(points: set[str]) -> None:
    wrong = Block("main", "modbus-tcp", "01030000", SLOT, 900, "0306")
    foreign = msgspec.structs.replace(block("bad"), request="030300000003")
    for blocks in (
        [block(), block("aux", error="timeout")],
        [block(), block("aux", late_ms=90_000), block("ghost"), foreign],
        [wrong, block("aux")],
        [block("aux"), Block("main", "mbus", "", SLOT, 900)],
        [block(error="timeout"), block(energy=5), block(energy=6)],
    ):
        for one in (leaf(*blocks), carrier(leaf(*blocks)), leaf(*blocks, slot_ms=SLOT + MAX_FUTURE_MS + 1)):
            rows, refusals = derived(one)
            chosen = derived(one, frozenset(points))
            assert chosen.rows == [row for row in rows if row.point in points]
            assert chosen.refusals == refusals


def test_a_foreign_meter_is_found_out_though_the_point_that_says_so_is_not_chosen() -> None:
    identity = Point(name="model", address=3, type="u16", kind="identity", expect="7")
    profile = msgspec.structs.replace(PROFILE, points=[*PROFILE.points, identity])
    known = {CFG: msgspec.structs.replace(CONFIGURATION, meters=[Meter("main", "bus", 1, "", profile)])}
    said = Block("main", "modbus-tcp", "010300030001", SLOT, 900, "03020008")
    one = leaf(block(), said)
    (row,) = derive(Place(EDGE, one.epoch, one.i), one, known, frozenset({ENERGY})).rows
    assert (row.point, row.quality) == (ENERGY, Quality.BAD)
    assert "identity mismatch: model holds '8'" in row.reason


def carrier(carried: Leaf, epoch: int | None = None, i: int | None = None) -> Leaf:
    inner = Carried(
        epoch=carried.epoch if epoch is None else epoch,
        i=carried.i if i is None else i,
        body=base64.b64encode(encode(carried)).decode(),
    )
    return msgspec.structs.replace(leaf(i=3, epoch=1800), carried=inner)


def test_carried_leaf_counts_at_its_carriers_place_and_only_once() -> None:
    first = derived(leaf(block())).rows
    again, refusals = derived(carrier(leaf(block())))
    assert refusals == []
    assert [(row.epoch, row.leaf) for row in again] == [(1800, 3)] * 2
    assert [row[:7] for row in again] == [row[:7] for row in first]
    assert once([*again, *first]) == first
    assert once(again) == again


def test_carried_leaf_that_is_not_what_it_says_is_refused() -> None:
    inner = leaf(block())
    nested = msgspec.structs.replace(leaf(epoch=1750), carried=carrier(inner).carried)
    garbage = msgspec.structs.replace(carrier(inner), carried=Carried(epoch=1700, i=7, body="////"))
    for wrong, reason in (
        (carrier(inner, i=8), "it says it is sola-e1 1700/7"),
        (carrier(inner, epoch=1699), "it says it is sola-e1 1700/7"),
        (carrier(leaf(block(), epoch=1800)), "not of an epoch before 1800"),
        (carrier(nested), "it carries another leaf"),
        (garbage, "leaf body is not a leaf"),
    ):
        rows, refusals = derived(wrong)
        assert rows == []
        assert len(refusals) == 1
        assert refusals[0].startswith("carried leaf ")
        assert reason in refusals[0]


def test_rows_kept_wide_are_the_same_rows() -> None:
    shape = Shape("sola-e1", "m", ("a", "b"), ("u16", "f32"), (-1, 0), (0, 1), ("", "late"))
    wide = Wide(shape, 5, 7, 3, "boot", 9, (4, 1))
    first = Row("sola-e1/m/a", 5, "u16", 4, -1, 0, "", 7, 3, "boot", 9)
    second = Row("sola-e1/m/b", 5, "f32", 1, 0, 1, "late", 7, 3, "boot", 9)
    other = first._replace(point="sola-e1/n/a")
    rows = Rows([wide, other])
    assert (len(rows), list(rows), rows[1], rows[:2]) == (3, [first, second, other], second, [first, second])
    assert rows == [first, second, other]
    assert rows != [first, second]
    assert list(rows.among({"sola-e1/m/b", "sola-e1/n/a"})) == [second, other]
    assert list(rows.among({})) == []
