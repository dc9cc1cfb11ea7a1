"""A profile that could be read in two ways is refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from hakari.registers.check import ProfileInvalid, check_profile, problems
from hakari.registers.profile import Point, Profile, Span


def _profile(*points: Point, spans: tuple[Span, ...] = (), max_words: int = 125) -> Profile:
    return Profile("p", "maker", "model", "source", "two-sources", list(points), list(spans), max_words)


def _point(name: str = "a", address: int = 0, type_: Any = "u16", kind: Any = "gauge", **more: Any) -> Point:
    return Point(name, address, type_, kind, **more)


SCALE = _point("s", 10, "sunssf", "scale")


@pytest.mark.parametrize(
    ("points", "part"),
    [
        ([], "no points"),
        ([_point(), _point(address=5)], "point a is described twice"),
        ([_point(type_="u32"), _point("b", 1)], "points a and b overlap at holding register 1"),
        ([_point(type_="u64"), _point("b", 1), _point("c", 2, "u32")], "points a and c overlap"),
        ([_point(address=65535, type_="u32")], "ends beyond 65535"),
        ([_point(type_="string", kind="identity")], "words is the length of a string"),
        ([_point(words=2)], "words is the length of a string"),
        ([_point(type_="string", words=2)], "a string can only be an identity"),
        ([_point(kind="counter")], "counter without a unit"),
        ([_point(unit="kWH")], "unit 'kWH', which is not known"),
        ([_point(type_="sunssf")], "is a gauge of type sunssf"),
        ([_point(type_="u32", kind="scale")], "is a scale of type u32"),
        ([_point(scale_point="s")], "names scale_point s, which the profile does not describe"),
        ([_point(scale_point="b"), _point("b", 1)], "names scale_point b, which is a gauge"),
        ([_point(scale_point="s", table="input"), SCALE], "one request reads one table"),
        ([_point(scale_point="s", address=9, exponent=1), SCALE], "has exponent 1"),
        ([_point(scale_point="s", address=9), SCALE, _point("f", 7, "f32", scale_point="s")], "only whole-number"),
        ([_point(scale_point="s"), SCALE], "neither points nor in a span"),
        ([_point(sentinels=[0x10000])], "does not fit the 16 bits of u16"),
        ([_point(sentinels=[-1])], "does not fit"),
        ([_point(kind="identity", sentinels=[1])], "an identity with sentinels"),
        ([_point(expect="1")], "only an identity can expect"),
        ([_point(kind="identity", expect="one")], "no whole number of type u16"),
        ([_point(kind="identity", expect="65536")], "no whole number of type u16"),
        ([_point(kind="identity", type_="i16", expect="40000")], "no whole number of type i16"),
        ([_point(minimum="2", maximum="1")], "minimum 2 above maximum 1"),
        ([_point(minimum="low")], "not a decimal number"),
        ([_point(maximum="NaN")], "not a decimal number"),
        ([_point(kind="identity", maximum="1")], "only counters and gauges have bounds"),
    ],
)
def test_refused(points: list[Point], part: str) -> None:
    with pytest.raises(ProfileInvalid, match=r"^profile p: ") as caught:
        check_profile(_profile(*points))
    assert any(part in problem for problem in problems(_profile(*points))), caught.value


def test_scale_point_too_far_for_one_request() -> None:
    span = Span("holding", 0, 300)
    points = (_point(scale_point="s"), _point("s", 200, "sunssf", "scale"))
    assert any("span 201 registers" in text for text in problems(_profile(*points, spans=(span,))))


def test_limit_of_the_meter_counts() -> None:
    span = Span("holding", 0, 300)
    points = (_point(scale_point="s"), _point("s", 59, "sunssf", "scale"))
    assert list(problems(_profile(*points, spans=(span,), max_words=60))) == []
    assert list(problems(_profile(*points, spans=(span,), max_words=59)))
    assert any("has 4 registers" in text for text in problems(_profile(_point(type_="u64"), max_words=3)))


def test_span_beyond_the_address_space() -> None:
    assert list(problems(_profile(_point(), spans=(Span("holding", 65000, 600),))))


@pytest.mark.parametrize(
    "points",
    [
        [_point(address=9, scale_point="s"), SCALE],
        [_point(type_="u32", kind="identity", expect="0xFFFFFFFF")],
        [_point(type_="i16", kind="identity", expect="-1")],
        [_point(table="input"), _point("b")],
        [_point(), _point("b", kind="identity", expect="3")],
        [_point(type_="u64", kind="counter", unit="kWh", sentinels=[2**64 - 1], minimum="0", maximum="0")],
    ],
)
def test_accepted(points: list[Point]) -> None:
    check_profile(_profile(*points))


def test_interleaved_families_are_one_answer() -> None:
    points = (
        _point(address=0, scale_point="s"), _point("s", 6, "sunssf", "scale"),
        _point("b", 3, scale_point="t"), _point("t", 9, "sunssf", "scale"),
    )  # fmt: skip
    span = Span("holding", 0, 10)
    assert list(problems(_profile(*points, spans=(span,), max_words=10))) == []
    assert any("span 10 registers" in text for text in problems(_profile(*points, spans=(span,), max_words=8)))


def _separate(*points: Point, **more: Any) -> Profile:
    return Profile("p", "maker", "model", "source", "one-source", list(points), separate=True, **more)


def test_separate_points_may_overlap() -> None:
    points = (_point("a", 0, "f32"), _point("b", 1, "f32"), _point("c", 1), _point("d", 1, "f32", table="input"))
    assert list(problems(_separate(*points))) == []
    assert any("overlap" in problem for problem in problems(_profile(*points)))


@pytest.mark.parametrize(
    ("profile", "part"),
    [
        (_separate(_point("a", 1, "f32"), _point("b", 1, "u32")), "points a and b are the same holding register 1"),
        (_separate(_point(scale_point="s", address=9), SCALE), "point a has a scale_point, which separate excludes"),
        (_separate(_point(), spans=[Span("holding", 0, 9)]), "it is separate and has spans"),
        (_separate(_point(type_="u64"), max_words=3), "has 4 registers"),
    ],
)
def test_what_separate_excludes(profile: Profile, part: str) -> None:
    assert any(part in problem for problem in problems(profile))
