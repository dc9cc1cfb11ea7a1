"""Decoding and planning over any profile and any bytes."""

from __future__ import annotations

import struct
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.reads.plan import requests_of
from hakari.quality import Quality
from hakari.registers.check import problems
from hakari.registers.decode import decode_block, decode_sample
from hakari.registers.groups import backed, groups_of
from hakari.registers.profile import WORDS, Order, Point, Profile, Span, Table, Type
from hakari.registers.requests import ReadRequest

TABLES: list[Table] = ["holding", "input"]
TYPES: list[Type] = [
    "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "acc32", "acc64",
    "bcd16", "bcd32", "bcd48", "bcd64", "m10k32", "m10k48", "m10k64",
]  # fmt: skip
ORDERS: list[Order] = ["high_first", "low_first"]


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any profile that the check accepts: clusters of points, some scaled, some spans, both tables."""
    points: list[Point] = []
    spans: list[Span] = []
    address = draw(st.integers(0, 5))
    for cluster in range(draw(st.integers(1, 5))):
        table = draw(st.sampled_from(TABLES))
        start, scaled = address, draw(st.booleans())
        for k in range(draw(st.integers(1, 6))):
            type_ = draw(st.sampled_from(TYPES))
            whole = type_ not in ("f32", "f64")
            point = Point(
                f"p{cluster}_{k}", address, type_, draw(st.sampled_from(["counter", "gauge"])), "Wh", table=table,
                word_order=draw(st.sampled_from(ORDERS)), byte_order=draw(st.sampled_from(ORDERS)),
                every=draw(st.sampled_from([1, 1, 1, 4, 96])),
                scale_point=f"s{cluster}" if scaled and whole else None,
            )  # fmt: skip
            points.append(point)
            address += point.length + draw(st.integers(0, 2))
        if scaled:
            points.append(Point(f"s{cluster}", address, "sunssf", "scale", table=table))
            address += 1
        if scaled or draw(st.booleans()):
            spans.append(Span(table, start, address - start))
        address += draw(st.integers(0, 30))
    made = Profile("p", "maker", "model", "source", "two-sources", points, spans, draw(st.integers(40, 125)))
    assert list(problems(made)) == []
    return made


def _inside(point: Point, request: ReadRequest) -> bool:
    return (
        point.table == request.table
        and request.address <= point.address
        and point.address + point.length <= request.address + request.count
    )


@given(profiles())
def test_plan_reads_every_point_once_and_nothing_unknown(profile: Profile) -> None:
    requests = requests_of(profile, 1)
    for point in profile.points:
        assert sum(_inside(point, request) for request in requests) == 1
    for request in requests:
        assert request.count <= profile.max_words
        assert backed(profile, request.table, request.address, request.address + request.count)
    for group in groups_of(profile):
        assert sum(all(_inside(point, request) for point in group.points) for request in requests) == 1


@given(profiles())
def test_requests_with_counters_come_first(profile: Profile) -> None:
    counts = [any(_inside(p, r) for p in profile.points if p.kind == "counter") for r in requests_of(profile, 1)]
    assert counts == sorted(counts, reverse=True)


@given(profiles(), st.data())
def test_whole_answers_give_exact_values_or_a_reason(profile: Profile, data: st.DataObject) -> None:
    for request in requests_of(profile, 1):
        words = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
        answer = bytes((request.function, len(words))) + words
        for reading in decode_block(profile, "m", request.encode(), answer):
            if reading.quality is Quality.BAD:
                assert reading.reason
                assert reading.raw == 0
            else:
                assert isinstance(reading.value, Decimal)
                assert reading.value.is_finite()


@given(profiles(), st.binary(max_size=260), st.data())
def test_any_other_bytes_give_no_value(profile: Profile, answer: bytes, data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(requests_of(profile, 1)))
    if answer[:1] == bytes((request.function,)) and answer[1:2] == bytes((2 * request.count,)):
        answer = answer[:-1] if len(answer) == 2 + 2 * request.count else answer
    (readings,) = decode_sample(profile, "m", [(request.encode(), answer, "")])
    assert readings or not any(_inside(p, request) for p in profile.points if p.kind != "scale")
    assert all(r.quality is Quality.BAD and r.value is None and r.reason for r in readings)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_f32_is_the_float_itself(number: float) -> None:
    profile = Profile("p", "m", "m", "s", "two-sources", [Point("v", 0, "f32", "gauge")])
    answer = b"\x03\x04" + struct.pack(">f", number)
    (reading,) = decode_block(profile, "m", ReadRequest(1, 3, 0, 2).encode(), answer)
    assert reading.value == Decimal(number)


@st.composite
def separate_profiles(draw: st.DrawFn) -> Profile:
    """Any checked profile whose points may overlap in every way."""
    places = draw(
        st.sets(st.tuples(st.sampled_from(TABLES), st.integers(0, 12), st.sampled_from([1, 2, 4])), min_size=1)
    )
    types: dict[int, list[Type]] = {1: ["u16", "i16"], 2: ["u32", "f32", "i32"], 4: ["u64", "f64"]}
    points = [
        Point(f"p{k}", address, draw(st.sampled_from(types[length])), draw(st.sampled_from(["counter", "gauge"])), "Wh",
              table=table)
        for k, (table, address, length) in enumerate(sorted(places))
    ]  # fmt: skip
    made = Profile("p", "maker", "model", "source", "one-source", points, separate=True)
    assert list(problems(made)) == []
    return made


@given(separate_profiles(), st.data())
def test_separate_points_have_a_request_and_an_answer_each(profile: Profile, data: st.DataObject) -> None:
    requests = requests_of(profile, 1)
    told = []
    for request in requests:
        words = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
        answer = bytes((request.function, len(words))) + words
        (reading,) = decode_block(profile, "m", request.encode(), answer)
        point = next(point for point in profile.points if point.name == reading.point)
        assert (point.table, point.address, point.length) == (request.table, request.address, request.count)
        assert reading.quality is Quality.BAD or reading.raw == int.from_bytes(words, "big")
        told.append(reading.point)
    assert sorted(told) == sorted(point.name for point in profile.points)


def _sent(value: bytes, word_order: Order, byte_order: Order) -> bytes:
    """`value`, highest byte first, as a meter of these orders sends it."""
    words = [value[k : k + 2] for k in range(0, len(value), 2)]
    if byte_order == "low_first":
        words = [word[::-1] for word in words]
    return b"".join(words if word_order == "high_first" else words[::-1])


def _value(point: Point, sent: bytes) -> Decimal | None:
    profile = Profile("p", "m", "m", "s", "two-sources", [point])
    assert list(problems(profile)) == []
    request = ReadRequest(1, 3, point.address, len(sent) // 2)
    (reading,) = decode_block(profile, "m", request.encode(), bytes((3, len(sent))) + sent)
    return reading.value


@given(st.sampled_from(["u16", "u32", "u64"]), st.sampled_from(ORDERS), st.sampled_from(ORDERS), st.data())
def test_every_order_gives_the_number_that_was_sent(
    type_: Type, word_order: Order, byte_order: Order, data: st.DataObject
) -> None:
    value = data.draw(st.binary(min_size=2 * WORDS[type_], max_size=2 * WORDS[type_]))
    point = Point("v", 0, type_, "gauge", word_order=word_order, byte_order=byte_order)
    assert _value(point, _sent(value, word_order, byte_order)) == int.from_bytes(value, "big")


@given(st.sampled_from(["bcd16", "bcd32", "bcd48", "bcd64"]), st.sampled_from(ORDERS), st.data())
def test_bcd_is_the_number_that_its_hexadecimal_form_reads_as(type_: Type, order: Order, data: st.DataObject) -> None:
    words = WORDS[type_]
    text = data.draw(st.text("0123456789", min_size=4 * words, max_size=4 * words))
    point = Point("v", 0, type_, "gauge", word_order=order)
    assert _value(point, _sent(bytes.fromhex(text), order, "high_first")) == Decimal(text)


@given(st.sampled_from(["bcd16", "bcd32", "bcd48", "bcd64"]), st.data())
def test_bcd_with_a_digit_above_nine_has_no_value(type_: Type, data: st.DataObject) -> None:
    digits = 4 * WORDS[type_]
    text = list(data.draw(st.text("0123456789abcdef", min_size=digits, max_size=digits)))
    text[data.draw(st.integers(0, digits - 1))] = data.draw(st.sampled_from("abcdef"))
    assert _value(Point("v", 0, type_, "gauge"), bytes.fromhex("".join(text))) is None


@given(st.sampled_from(["m10k32", "m10k48", "m10k64"]), st.data())
def test_m10k_is_a_number_of_base_ten_thousand(type_: Type, data: st.DataObject) -> None:
    registers = data.draw(st.lists(st.integers(0, 65_535), min_size=WORDS[type_], max_size=WORDS[type_]))
    value = _value(Point("v", 0, type_, "gauge"), b"".join(register.to_bytes(2, "big") for register in registers))
    if max(registers) > 9_999:
        assert value is None
    else:
        assert value == Decimal("".join(f"{register:04d}" for register in registers))


@given(st.sampled_from(["u16", "u32", "u64"]), st.data())
def test_fields_of_all_bits_make_up_the_register(type_: Type, data: st.DataObject) -> None:
    width = 16 * WORDS[type_]
    cuts = sorted(data.draw(st.sets(st.integers(1, width - 1), min_size=1, max_size=6)) | {0, width})
    fields = [Point(f"b{low}", 0, type_, "gauge", bit=low, bit_count=high - low) for low, high in pairwise(cuts)]
    profile = Profile("p", "m", "m", "s", "two-sources", fields)
    assert list(problems(profile)) == []
    sent = data.draw(st.binary(min_size=2 * WORDS[type_], max_size=2 * WORDS[type_]))
    request = ReadRequest(1, 3, 0, WORDS[type_])
    readings = decode_block(profile, "m", request.encode(), bytes((3, len(sent))) + sent)
    assert sum(r.raw << f.bit for r, f in zip(readings, fields, strict=True)) == int.from_bytes(sent, "big")
