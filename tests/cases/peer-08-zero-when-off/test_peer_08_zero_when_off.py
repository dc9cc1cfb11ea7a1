"""A night without a number leaves the total alone, whatever the device says instead of one."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import pytest

from hakari.quality import Quality
from tests.unit.meter_world import EDGE, METER, Asked, bundled, course, rows_of, rules, total

TIMEOUT = "timeout after 1 s"


class Counter(NamedTuple):
    """A bundled profile's counter, two readings before the night and two after it, and what they give."""

    profile: str
    point: str
    table: str
    address: int
    words: tuple[str, str, str, str]
    capacity: str
    rise: str
    fingerprint: tuple[Asked, ...] = ()


SMA = Counter(
    "sma-inverter", "energy_export", "holding", 30513,
    ("0000 0000 00bc 614e", "0000 0000 00bc 6162", "0000 0000 00bc 6176", "0000 0000 00bc 618a"), "100", "60",
)  # fmt: skip
SUNSPEC = Counter(
    "sunspec-inverter-103", "energy_export", "holding", 40094,
    ("0012 d687 0001", "0012 d689 0001", "0012 d68b 0001", "0012 d68d 0001"), "100", "60",
    (Asked("holding", 40000, "5375 6e53 0001"), Asked("holding", 40070, "0067")),
)  # fmt: skip
HUAWEI = Counter(
    "huawei-sun2000", "energy_export", "holding", 32106,
    ("00bc 614e", "00bc 6158", "00bc 6162", "00bc 616c"), "1", "0.30",
)  # fmt: skip
GROWATT = Counter(
    "growatt-min", "energy_export", "input", 55, ("0000 03e8", "0000 03f2", "0000 03fc", "0000 0406"), "10", "3.0"
)


def _night(counter: Counter, words: str = "", *, error: str = "") -> Asked:
    asked = len(counter.words[0].split())
    return Asked(counter.table, counter.address, words, asked=asked, error=error)


def _with(counter: Counter, *nights: Asked) -> list[list[Asked]]:
    days = [Asked(counter.table, counter.address, words) for words in counter.words]
    return [[*counter.fingerprint, one] for one in (*days[:2], *nights, *days[2:])]


NIGHTS = [
    (SMA, _night(SMA, "ffff ffff ffff ffff"), "not available"),
    (SMA, _night(SMA, error=TIMEOUT), TIMEOUT),
    (SUNSPEC, _night(SUNSPEC, "0000 0000 0001"), "not accumulated"),
    (SUNSPEC, _night(SUNSPEC, "0012 d687 8000"), "scale factor invalid: -32768 is outside -10..10"),
    (SUNSPEC, _night(SUNSPEC, error=TIMEOUT), TIMEOUT),
    (HUAWEI, _night(HUAWEI, "ffff ffff"), "not available"),
    (HUAWEI, _night(HUAWEI, "0000"), "mismatch: byte count 2 instead of 4"),
    (GROWATT, _night(GROWATT, error=TIMEOUT), TIMEOUT),
]


@pytest.mark.parametrize(("counter", "night", "reason"), NIGHTS, ids=lambda one: getattr(one, "profile", None))
def test_what_is_not_there_is_bad_and_no_part_of_the_total(counter: Counter, night: Asked, reason: str) -> None:
    rows = rows_of(bundled(counter.profile), _with(counter, night, night))
    point = f"{EDGE}/{METER}/{counter.point}"
    bad = [row for row in rows if row.point == point and row.quality == Quality.BAD]
    assert [row.raw for row in bad] == [0, 0]
    assert len({row.reason for row in bad}) == 1
    assert bad[0].reason == reason
    found = course(rows, counter.point, counter.capacity)
    assert (total(found), rules(found)) == (Decimal(counter.rise), [])
    assert len(found.samples) == 4


def test_a_device_that_answers_zeros_adds_nothing() -> None:
    """No sentinel tells these from a number: the register that falls to 0 and returns is a phantom."""
    zeros = _night(GROWATT, "0000 0000")
    rows = rows_of(bundled(GROWATT.profile), _with(GROWATT, zeros, zeros))
    assert {row.quality for row in rows} == {Quality.GOOD}
    found = course(rows, GROWATT.point, GROWATT.capacity)
    assert (total(found), rules(found)) == (Decimal(GROWATT.rise), ["phantom"])


def test_power_at_night_is_no_zero_either() -> None:
    rows = rows_of(bundled("sma-inverter"), [[Asked("input", 30775, "8000 0000")]])
    assert [(row.quality, row.reason) for row in rows] == [(Quality.BAD, "not available")]
