"""Planning: contiguous, gaps only inside a span, counters first; and slots of the wall clock."""

from __future__ import annotations

from typing import Any

import pytest

from edge.reads.plan import is_due, planned_of, requests_of
from edge.reads.sampler import following
from hakari.registers.profile import Point, Profile, Span


def _plan(points: list[Point], spans: tuple[Span, ...] = (), max_words: int = 125) -> list[tuple[int, int, int]]:
    profile = Profile("p", "maker", "model", "source", "two-sources", points, list(spans), max_words)
    return [(r.function, r.address, r.count) for r in requests_of(profile, 1)]


def _point(address: int, type_: Any = "u16", kind: Any = "gauge", **more: Any) -> Point:
    return Point(f"p{address}", address, type_, kind, **more)


def test_contiguous_points_are_one_request() -> None:
    assert _plan([_point(4), _point(0, "u32"), _point(2, "u32")]) == [(3, 0, 5)]


def test_gap_is_crossed_only_inside_a_span() -> None:
    points = [_point(0), _point(5)]
    assert _plan(points) == [(3, 0, 1), (3, 5, 1)]
    assert _plan(points, (Span("holding", 0, 6),)) == [(3, 0, 6)]
    assert _plan(points, (Span("holding", 1, 4),)) == [(3, 0, 6)]
    assert _plan(points, (Span("holding", 0, 4),)) == [(3, 0, 1), (3, 5, 1)]
    assert _plan(points, (Span("input", 0, 6),)) == [(3, 0, 1), (3, 5, 1)]
    assert _plan(points, (Span("holding", 0, 3), Span("holding", 3, 3))) == [(3, 0, 1), (3, 5, 1)]


def test_bad_input_24_no_value_is_split_and_no_request_longer_than_the_meter_allows() -> None:
    points = [_point(address, "u64") for address in range(0, 40, 4)]
    assert _plan(points, max_words=10) == [(3, 0, 8), (3, 8, 8), (3, 16, 8), (3, 24, 8), (3, 32, 8)]
    assert _plan([_point(address) for address in range(250)]) == [(3, 0, 125), (3, 125, 125)]


def test_value_and_its_scale_point_are_one_request() -> None:
    span = Span("holding", 0, 20)
    points = [_point(0), _point(9, scale_point="p12"), _point(12, "sunssf", "scale")]
    assert _plan(points, (span,), max_words=10) == [(3, 0, 1), (3, 9, 4)]


def test_counters_come_first_then_the_address() -> None:
    points = [_point(0), _point(50, "u32", "counter", unit="Wh"), _point(90, kind="identity")]
    assert _plan([*points, _point(20, "u32", "counter", unit="Wh", table="input")]) == [
        (3, 50, 2), (4, 20, 2), (3, 0, 1), (3, 90, 1)]  # fmt: skip


def test_separate_points_are_never_joined() -> None:
    points = [_point(0), _point(1), _point(2, "f32"), _point(3, "f32"), _point(3, table="input"), _point(9, "u64")]
    points[4] = Point("counted", 3, "u16", "counter", "Wh", table="input")
    profile = Profile("p", "maker", "model", "source", "one-source", points, separate=True)
    assert [(r.function, r.address, r.count) for r in requests_of(profile, 1)] == [
        (4, 3, 1), (3, 0, 1), (3, 1, 1), (3, 2, 2), (3, 3, 2), (3, 9, 4)]  # fmt: skip


def _rated(*points: Point, spans: tuple[Span, ...] = ()) -> list[tuple[int, int, list[int]]]:
    profile = Profile("p", "maker", "model", "source", "two-sources", list(points), list(spans))
    return [(one.request.address, one.request.count, sorted(one.rates)) for one in planned_of(profile, 1)]


def test_points_of_different_rates_never_share_a_request() -> None:
    points = [_point(0), _point(1, every=15), _point(2)]
    assert _rated(*points) == [(0, 1, [1]), (2, 1, [1]), (1, 1, [15])]
    assert _rated(*points, spans=(Span("holding", 0, 3),)) == [(0, 1, [1]), (2, 1, [1]), (1, 1, [15])]


def test_a_slow_value_is_not_parted_from_its_scale_point() -> None:
    assert _rated(_point(0), _point(1, scale_point="p2", every=4), _point(2, "sunssf", "scale")) == [
        (0, 1, [1]), (1, 2, [4])]  # fmt: skip


def test_what_proves_the_meter_is_read_whenever_something_is() -> None:
    slow = [_point(0, every=2), _point(9, every=3), _point(8, kind="identity", expect="7")]
    assert _rated(*slow) == [(0, 1, [2]), (8, 1, [2, 3]), (9, 1, [3])]
    assert [slot for slot in range(7) if is_due((2, 3), slot)] == [0, 2, 3, 4, 6]
    assert _rated(_point(0, every=4), _point(1, every=8), _point(2, kind="identity", expect="7")) == [
        (0, 1, [4]), (2, 1, [4]), (1, 1, [8])]  # fmt: skip


@pytest.mark.parametrize(
    ("now_ms", "slot_ms"),
    [(0, 900_000), (899_999, 900_000), (900_000, 1_800_000), (1_467_356_400_001, 1_467_357_300_000)],
)
def test_the_first_slot_is_the_next_after_now(now_ms: int, slot_ms: int) -> None:
    assert following(0, now_ms, 900_000, 60_000) == slot_ms
