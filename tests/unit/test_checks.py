"""Contextual checks as pure rules: each finds its fault, in any order of arrival, and nothing in a clean course."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from hakari import checks
from hakari.checks import At
from hakari.wire.rows import Row
from ingest.watch.course import MAX_READINGS, Course

QUARTER_MS = 900_000
START_MS = 1_467_356_400_000


def course(value: Callable[[int], float], slots: int = 96) -> list[At]:
    return [At(START_MS + k * QUARTER_MS, value(k)) for k in range(slots)]


def test_a_counter_that_rises_is_not_backward() -> None:
    assert checks.backward(course(lambda k: 10.0 * k), 1.0, 2.0**32, 50.0) == ""
    assert checks.backward(course(lambda k: 10.0 + k % 2 * 0.5), 1.0, 0.0, None) == "", "below one count is no fall"


def test_a_fall_is_backward_and_a_wrap_is_not() -> None:
    fallen = course(lambda k: 10.0 * k if k < 50 else 10.0 * k - 300)
    assert "fell by 290" in checks.backward(fallen, 1.0, 65536.0, 50.0)
    wrapping = course(lambda k: float((65500 + 10 * k) % 65536))
    assert checks.backward(wrapping, 1.0, 65536.0, 50.0) == ""
    assert checks.backward(wrapping, 1.0, 65536.0, None) == ""
    assert "fell" in checks.backward(wrapping, 1.0, 0.0, 50.0), "a register without a width never wraps"
    assert "fell" in checks.backward(wrapping, 1.0, 65536.0, 1.0), "more than capacity allows"


def test_a_step_beyond_capacity_times_time() -> None:
    assert checks.beyond_capacity(course(lambda k: 25.0 * k), 1.0, 100.0) == ""
    assert checks.beyond_capacity(course(lambda k: 30.9 * k), 1.0, 100.0) == "", "within margin and one count"
    assert "a step of 65535" in checks.beyond_capacity(course(lambda k: 65535.0 * (k > 40)), 1.0, 100.0)


def test_a_counter_that_stands_still_while_power_flows() -> None:
    power = course(lambda _: 40.0)
    stuck = course(lambda k: 10.0 * min(k, 60))
    assert "stood still for 525 minutes" in checks.standing_still(stuck, power, 0.1, QUARTER_MS)
    assert "stood still" in checks.standing_still(stuck, course(lambda _: -40.0), 0.1, QUARTER_MS)
    assert checks.standing_still(stuck, course(lambda k: 40.0 * (k < 60)), 0.1, QUARTER_MS) == "", "nothing flows"
    assert checks.standing_still(course(lambda k: 10.0 * k), power, 0.1, QUARTER_MS) == ""
    assert checks.standing_still(stuck[:63], power[:63], 0.1, QUARTER_MS) == "", "not for an hour yet"
    flat = course(lambda _: 7.0)
    assert checks.standing_still(flat[:60], power[:60], 0.1, QUARTER_MS) == "", "never seen moving: a day must pass"
    assert checks.standing_still(flat, power, 0.1, QUARTER_MS) != ""
    standby = course(lambda k: 40.0 if k < 60 else -0.3)
    assert checks.standing_still(stuck, standby, 0.001, QUARTER_MS) == "", "standby is no flow"


def test_power_against_energy() -> None:
    sun = course(lambda k: max(0.0, 40.0 - abs(k - 48)))
    total = [0.0]
    for before, after in pairwise(sun):
        total.append(total[-1] + (before.value + after.value) / 8)
    export = [at._replace(value=value) for at, value in zip(sun, total, strict=True)]
    for sign in (1, -1):
        assert checks.against_power([(export, sign)], sun, 0.1, QUARTER_MS) == ""
        wrong = [at._replace(value=10 * at.value) for at in export]
        assert "the counters rose by" in checks.against_power([(wrong, sign)], sun, 0.1, QUARTER_MS)
    assert checks.against_power([(export[:20], 1)], sun[:20], 0.1, QUARTER_MS) == "", "too short to tell"
    gap = [*sun[:30], *sun[50:]]
    assert checks.against_power([(export, 1)], gap, 0.1, QUARTER_MS) == "", "nobody knows the power of a gap"


def test_pairs_and_sums() -> None:
    day_ms = 24 * checks.HOUR_MS
    main, check = course(lambda k: 10.0 * k), course(lambda k: 500 + 10.1 * k)
    assert checks.differing([main], check, 1.0, 0.02, day_ms) == ""
    assert "tolerance 0.5%" in checks.differing([main], check, 1.0, 0.005, day_ms)
    feeder = course(lambda k: 20.1 * k)
    assert checks.differing([main, check], feeder, 1.0, 0.01, day_ms) == ""
    assert checks.differing([main], feeder, 1.0, 0.01, day_ms) != ""
    assert checks.differing([main[:10]], feeder, 1.0, 0.01, day_ms) == "", "too few slots in common"
    assert checks.differing([main], [], 1.0, 0.01, day_ms) == ""


def test_a_clock() -> None:
    assert checks.clock_wrong("synchronised", 1999) == ""
    assert "off by -2001 ms" in checks.clock_wrong("synchronised", -2001)
    assert "not synchronised" in checks.clock_wrong("unsynchronised", 0)


def row(t_ms: int, raw: int, type_: str = "u32", exponent: int = 0) -> Row:
    return Row("a-e1/m/energy", t_ms, type_, raw, exponent, 0, "", 1, 1, "boot", t_ms)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_arrival_changes_no_course(seed: int) -> None:
    rows = [row(START_MS + k * QUARTER_MS, k) for k in range(80)] * 2
    random.Random(seed).shuffle(rows)
    made = Course("u32", 0.001, "energy", QUARTER_MS, None, counter=True)
    for one in rows:
        made.add(one)
    assert made.readings() == [At(START_MS + k * QUARTER_MS, k * 0.001) for k in range(80)]
    assert (made.count, made.modulus) == (0.001, 2**32 * 0.001)


def test_a_course_is_bounded() -> None:
    made = Course("u32", 1.0, "energy", 1000, None, counter=True)
    for k in range(100_000):
        made.add(row(START_MS + 1000 * k, k))
    found = made.readings()
    assert len(found) == MAX_READINGS
    assert found[1].t_ms - found[0].t_ms == 10_000, "of slots of a second one each ten"
    assert not made.add(row(START_MS, 1)), "what is older than a day is not looked at"


def test_floats_scales_and_what_is_no_number() -> None:
    made = Course("f32", 1.0, "energy", QUARTER_MS, None, counter=True)
    assert made.add(row(START_MS, 0x4B800000, "f32"))
    assert made.count == pytest.approx(2.0)
    assert not made.add(row(START_MS + 1, 0x7FC00000, "f32"))
    assert made.add(row(START_MS + QUARTER_MS, 2**16 - 1, "i16", 1))
    assert made.readings()[-1].value == -10.0
