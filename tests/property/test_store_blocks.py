"""A day's rows come back from their block as they went in, and damaged bytes give an error, never a row."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakari.store import blocks
from hakari.store.blocks import MAX_ROWS, BlockDamaged, pack, pack_summary, unpack, unpack_summary
from hakari.store.days import DAY_MS, Columns, Span, Summary, columns_of, order, rows_of, summarise_day
from hakari.store.view import ViewDay
from hakari.wire.rows import Row

POINT = "sola-e1/meter/energy"

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def courses(values: st.SearchStrategy[int]) -> st.SearchStrategy[list[int]]:
    """Columns of integers as meters give them: even, in runs, wandering, or anything at all."""
    even = st.tuples(st.integers(-(2**40), 2**40), st.integers(-100_000, 100_000), st.integers(1, 60)).map(
        lambda given: [given[0] + given[1] * k for k in range(given[2])]
    )
    return st.one_of(st.lists(values, min_size=1, max_size=60), even)


ROWS = st.lists(
    st.builds(
        Row, st.just(POINT), INTEGERS, TEXT, st.integers(0, 2**64 - 1), INTEGERS, INTEGERS,
        st.one_of(st.just(""), TEXT, st.just("x" * 1000)), INTEGERS, INTEGERS, TEXT, INTEGERS,
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def listed(columns: Columns) -> list[list[object]]:
    return [list(column) for column in columns]


@given(ROWS, st.integers(0, 2**50))
def test_any_rows_come_back(rows: list[Row], start_ms: int) -> None:
    rows.sort(key=order)
    columns = columns_of(rows)
    again = unpack(POINT, start_ms, pack(POINT, start_ms, columns))
    assert list(rows_of(POINT, again)) == rows
    assert listed(again) == listed(columns)


PATTERNS = courses(st.integers(0, 2**64 - 1)).map(lambda raws: [raw % 2**64 for raw in raws])


@given(courses(INTEGERS), PATTERNS, st.data())
def test_courses_and_runs_come_back(clock: list[int], raws: list[int], data: st.DataObject) -> None:
    count = min(len(clock), len(raws))
    runs = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).map(sorted))
    texts = [f"reason {k}" for k in runs]
    columns = Columns(
        clock[:count], ["u64"] * count, raws[:count], runs, runs[::-1], texts, [1] * count, range(count),
        texts, range(7, 7 + 60_000 * count, 60_000),
    )  # fmt: skip
    assert listed(unpack(POINT, 0, pack(POINT, 0, columns))) == listed(columns)


@pytest.mark.parametrize("bits", [7, 8, 15, 16, 31, 32, 63])
def test_the_ends_of_every_width_come_back(bits: int) -> None:
    for end in ((1 << bits) - 1, 1 << bits, -1 << bits, (-1 << bits) - 1):
        signed = [0, 3, max(-(2**63), min(end, 2**63 - 1)), 0]
        texts = [""] * 4
        columns = Columns(
            signed, texts, [0, 3, abs(end), 0], signed, signed[::-1], texts, [1, 2, 4, 9], signed, texts, range(4)
        )
        assert listed(unpack(POINT, 0, pack(POINT, 0, columns))) == listed(columns)


def day(count: int = 1440, seed: int = 1) -> Columns:
    seeded = random.Random(seed)
    raws = sorted(seeded.randrange(10**7) for _ in range(count))
    return Columns(
        range(0, 60_000 * count, 60_000), ["u64"] * count, raws, [-2] * count, [0] * count, [""] * count, [1] * count,
        [k // 4 for k in range(count)], ["boot"] * count, [60_000 * k + seeded.randrange(9) for k in range(count)],
    )  # fmt: skip


def test_a_day_of_minutes_is_small() -> None:
    assert len(pack(POINT, 0, day())) < 1440 * 6


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_a_block_has_a_row_and_not_too_many(count: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        pack(POINT, 0, Columns(*[range(count)] * 10))  # type: ignore[arg-type]


@settings(max_examples=200)
@given(st.data())
def test_no_damage_gives_a_row(data: st.DataObject) -> None:
    block = pack(POINT, 0, day(50))
    kind = data.draw(st.sampled_from(["flip", "cut", "more", "any"]))
    if kind == "flip":
        at, bit = data.draw(st.integers(0, len(block) - 1)), data.draw(st.integers(0, 7))
        broken = block[:at] + bytes([block[at] ^ 1 << bit]) + block[at + 1 :]
    elif kind == "cut":
        broken = block[: data.draw(st.integers(0, len(block) - 1))]
    else:
        broken = (block if kind == "more" else b"") + data.draw(st.binary(min_size=1, max_size=60))
    with pytest.raises(BlockDamaged):
        unpack(POINT, 0, broken)
    with pytest.raises(BlockDamaged):
        unpack_summary(POINT, 0, broken)


def test_a_block_is_that_of_its_place_alone() -> None:
    block = pack(POINT, 0, day())
    for point, start_ms in ((f"{POINT}2", 0), (POINT, 86_400_000)):
        with pytest.raises(BlockDamaged, match="hash is another"):
            unpack(point, start_ms, block)
    with pytest.raises(BlockDamaged, match="version 02, known is 01"):
        unpack(POINT, 0, b"\x02" + block[1:])
    with pytest.raises(BlockDamaged, match="version absent"):
        unpack(POINT, 0, b"")


@given(ROWS)
def test_a_summary_comes_back(rows: list[Row]) -> None:
    of_day = sorted((row._replace(t_ms=row.t_ms % DAY_MS) for row in rows), key=order)
    summary = summarise_day(POINT, 0, columns_of(of_day))
    packed = pack_summary(summary)
    assert unpack_summary(POINT, 0, packed) == summary
    with pytest.raises(BlockDamaged):
        unpack_summary(POINT, 0, packed[:-1])


GOOD = Row(POINT, 0, "u32", 1, 0, 0, "", 1, 0, "boot", 0)
WHOLE = Summary(ViewDay(POINT, 0, 3, 2, GOOD, GOOD, 1), (Span("boot", 0, 2),))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": -1}, {"rows": 1}, {"good_slots": -1}, {"good_slots": 0}, {"good_slots": 4}, {"falls": -1},
        {"falls": 3}, {"first": None}, {"last": None}, {"first": None, "last": None},
        {"last": GOOD._replace(t_ms=DAY_MS)}, {"first": GOOD._replace(t_ms=-1)}, {"last": GOOD._replace(t_ms=2**62)},
        {"last": GOOD._replace(point=f"{POINT}2")}, {"last": GOOD._replace(quality=2)},
        {"last": GOOD._replace(raw=-1)},
    ],
)  # fmt: skip
def test_a_sealed_summary_of_no_possible_day_is_refused(changes: dict[str, Any]) -> None:
    assert unpack_summary(POINT, 0, pack_summary(WHOLE)) == WHOLE
    with pytest.raises(BlockDamaged, match="what it says of the day cannot be"):
        unpack_summary(POINT, 0, pack_summary(WHOLE._replace(day=WHOLE.day._replace(**changes))))


@pytest.mark.parametrize("spans", [(), (Span("b", 0, 1), Span("b", 5, 6)), (Span("b", 2, 1),)])
def test_a_sealed_summary_of_impossible_clocks_is_refused(spans: tuple[Span, ...]) -> None:
    with pytest.raises(BlockDamaged, match="what it says of the day cannot be"):
        unpack_summary(POINT, 0, pack_summary(WHOLE._replace(spans=spans)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("raw", range(2**64 - 1, 2**64 + 2)), ("t_ms", range(2**63 - 1, 2**63 + 2)), ("mono_ms", [2**63, 2**63, 2**63]),
        ("exponent", [-(2**63) - 1] * 3),
    ],
)  # fmt: skip
def test_a_sealed_block_with_numbers_beyond_their_limits_is_refused(name: str, values: Sequence[int]) -> None:
    good = columns_of([GOOD, GOOD._replace(t_ms=1), GOOD._replace(t_ms=2)])
    assert listed(unpack(POINT, 0, pack(POINT, 0, good))) == listed(good)
    with pytest.raises(BlockDamaged, match=f"a number of its {name} has more than 64 bits"):
        unpack(POINT, 0, pack(POINT, 0, Columns(**{**good._asdict(), name: values})))


def sealed(body: bytes) -> bytes:
    """Bytes with the right hash, as somebody writes them who knows the format."""
    return blocks._sealed(POINT, 0, zlib.compress(body))


def column(kind: int, content: bytes = b"") -> bytes:
    return bytes([kind]) + content


def wide(number: int) -> bytes:
    return number.to_bytes(9, "little", signed=True)


ONE = struct.pack("<I", 1)
EVEN = column(0, wide(5) + wide(0))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "unpack_from requires"),
        (struct.pack("<I", 0), "no rows"),
        (struct.pack("<I", MAX_ROWS + 1), "it counts 200001, at most 200000"),
        (ONE, "ends in the middle"),
        (ONE + column(7), "kind 7"),
        (ONE + column(3, b"z"), "width 'z'"),
        (ONE + column(3, b"q\x00"), "ends in the middle"),
        (ONE + column(1, struct.pack("<I", 9)), "counts 9, at most 1"),
        (ONE + column(1, struct.pack("<I", 0) + EVEN + EVEN), "empty"),
        (ONE + column(1, ONE + column(1)), "kind 1"),
        (ONE + column(1, ONE + EVEN + EVEN), "runs do not make 1 rows"),
        (ONE + column(1, ONE + EVEN + column(0, wide(-1) + wide(0))), "runs do not make 1 rows"),
        (ONE + EVEN + struct.pack("<II", 1, 2**31), "counts 2147483648"),
        (ONE + EVEN + struct.pack("<II", 1, 1) + b"\xff", "decode"),
        (ONE + EVEN + struct.pack("<I", 0) + EVEN, "out of range"),
    ],
)
def test_a_body_that_somebody_forged_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(BlockDamaged, match=why):
        unpack(POINT, 0, sealed(body))


def test_forged_texts_and_ends_are_refused() -> None:
    two = struct.pack("<I", 2)
    texts = two + struct.pack("<I", 1) + b"a" + struct.pack("<I", 1) + b"b"
    for numbers, why in ((column(0, wide(-1) + wide(1)), "negative"), (column(0, wide(1) + wide(1)), "out of range")):
        with pytest.raises(BlockDamaged, match=why):
            unpack(POINT, 0, sealed(two + EVEN + texts + numbers))
    text = struct.pack("<II", 1, 0)
    body = ONE + EVEN + text + EVEN + EVEN + EVEN + text + EVEN + EVEN + text + EVEN
    assert unpack(POINT, 0, sealed(body)).t_ms == [5]
    with pytest.raises(BlockDamaged, match="1 bytes stand after"):
        unpack(POINT, 0, sealed(body + b"\x00"))
    with pytest.raises(BlockDamaged, match="does not end where it should"):
        unpack(POINT, 0, blocks._sealed(POINT, 0, zlib.compress(body) + b"\x00"))


def test_a_body_that_never_ends_is_refused() -> None:
    bomb = blocks._sealed(POINT, 0, zlib.compress(bytes(blocks.MAX_BODY_BYTES + 1)))
    assert len(bomb) < 100_000
    with pytest.raises(BlockDamaged, match="more than"):
        unpack(POINT, 0, bomb)


@given(st.binary(max_size=200))
def test_forged_bytes_give_columns_of_one_length_or_an_error(body: bytes) -> None:
    try:
        columns = unpack(POINT, 0, sealed(struct.pack("<I", 3) + body))
    except BlockDamaged:
        return
    assert {len(column) for column in columns} == {3}
