"""Decoding and planning over any profile and any bytes."""

from __future__ import annotations

import struct
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from edge.plan import requests_of
from hakari.quality import Quality
from hakari.registers.check import problems
from hakari.registers.decode import decode_block, decode_sample
from hakari.registers.groups import backed, groups_of
from hakari.registers.profile import Point, Profile, Span, Table, Type
from hakari.registers.requests import ReadRequest

TABLES: list[Table] = ["holding", "input"]
TYPES: list[Type] = ["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "acc32"]


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
                word_order=draw(st.sampled_from(["high_first", "low_first"])),
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
