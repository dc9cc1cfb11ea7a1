"""Counters that drop, wrap, spike, stand still or go negative: from raw words over rows to the total."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import pytest

from calc.frozen import moving
from calc.registers import HOUR_MS
from hakari.quality import Quality
from hakari.registers.profile import Point, Profile
from hakari.wire.frozen import Stretch, follow
from tests.unit.meter_world import START_MS, Asked, blocks_of, bundled, course, rows_of, rules, total

QUARTER_MS = HOUR_MS // 4


def _profile(point: Point) -> Profile:
    return Profile(id="made-up", maker="m", model="m", source="s", standing="excerpt", points=[point])


M10K = _profile(Point("energy", 2, "m10k32", "counter", "kWh"))
M10K_LOW = _profile(Point("energy", 2, "m10k32", "counter", "kWh", word_order="low_first"))
BCD16 = _profile(Point("energy", 2, "bcd16", "counter", "kWh"))


class Counter(NamedTuple):
    """A counter and its words: five that rise, four around its wrap; what each gives, and the last two of both."""

    profile: Profile
    point: str
    table: str
    address: int
    capacity: str
    step_ms: int
    rising: tuple[str, str, str, str, str]
    rise: str
    wrapping: tuple[str, str, str, str]
    wrapped: str
    apart: str

    def rows(self, *words: str) -> list[Asked]:
        return [Asked(self.table, self.address, one) for one in words]


COUNTERS = {
    # high word first, 0.01 kWh, wraps at 2^32 counts
    "u32": Counter(
        bundled("saj-r5"), "energy_export", "holding", 305, "1", HOUR_MS,
        ("0000 03e8", "0000 03f2", "0000 03fc", "0000 0406", "0000 0410"), "0.40",
        ("ffff fff0", "ffff fffa", "0000 0004", "0000 000e"), "0.30", "0.20",
    ),
    # low word first, whole kWh
    "u32 low first": Counter(
        bundled("sungrow-sg"), "energy_export", "input", 5003, "20", HOUR_MS,
        ("fff6 0000", "0000 0001", "000a 0001", "0014 0001", "001e 0001"), "40",
        ("fff0 ffff", "fffa ffff", "0004 0000", "000e 0000"), "30", "20",
    ),
    # 16 bits, steps of 10 h, so that one count is as long as an interval
    "u16": Counter(
        bundled("carel-urack"), "compressor_1_hours", "input", 468, "1", 10 * HOUR_MS,
        ("03e8", "03e9", "03ea", "03eb", "03ec"), "40",
        ("fffe", "ffff", "0000", "0001"), "30", "20",
    ),
    # twelve decimal digits, four of them decimals: 10^12 counts, not 2^48
    "bcd48": Counter(
        bundled("gas-volume-converter-bcd"), "base_volume", "holding", 18, "1", HOUR_MS,
        ("0000 0000 9990", "0000 0000 9999", "0000 0001 0009", "0000 0001 0019", "0000 0001 0029"), "0.0039",
        ("9999 9999 9990", "9999 9999 9995", "0000 0000 0000", "0000 0000 0005"), "0.0015", "0.0015",
    ),
    "bcd16": Counter(
        BCD16, "energy", "holding", 2, "20", HOUR_MS,
        ("0990", "0999", "1009", "1019", "1029"), "39",
        ("9990", "9995", "0000", "0005"), "15", "15",
    ),
    # 0 to 9999 in each register: 0x270F is 9999, and 10^8 counts
    "m10k32": Counter(
        M10K, "energy", "holding", 2, "20", HOUR_MS,
        ("0001 2706", "0001 270f", "0002 0009", "0002 0013", "0002 001d"), "39",
        ("270f 2706", "270f 270b", "0000 0000", "0000 0005"), "15", "15",
    ),
    "m10k32 low first": Counter(
        M10K_LOW, "energy", "holding", 2, "20", HOUR_MS,
        ("2706 0001", "270f 0001", "0009 0002", "0013 0002", "001d 0002"), "39",
        ("2706 270f", "270b 270f", "0000 0000", "0005 0000"), "15", "15",
    ),
}  # fmt: skip
EACH = pytest.mark.parametrize("name", COUNTERS)


@EACH
def test_the_words_rise_as_they_say(name: str) -> None:
    counter = COUNTERS[name]
    rows = rows_of(counter.profile, [[one] for one in counter.rows(*counter.rising)], step_ms=counter.step_ms)
    found = course(rows, counter.point, counter.capacity)
    assert (total(found), rules(found)) == (Decimal(counter.rise), [])


@EACH
def test_fault_15_a_counter_that_drops_to_zero_and_returns_adds_nothing(name: str) -> None:
    counter = COUNTERS[name]
    one, two, _, four, five = counter.rising
    dropped = " ".join(["0000"] * len(one.split()))
    asked = [[each] for each in counter.rows(one, two, dropped, four, five)]
    rows = rows_of(counter.profile, asked, step_ms=counter.step_ms)
    assert [row.quality for row in rows] == [Quality.GOOD] * 5
    found = course(rows, counter.point, counter.capacity)
    assert (total(found), rules(found)) == (Decimal(counter.rise), ["phantom"])


@EACH
def test_fault_16_a_counter_that_wraps_is_joined_exactly(name: str) -> None:
    counter = COUNTERS[name]
    asked = [[one] for one in counter.rows(*counter.wrapping)]
    found = course(rows_of(counter.profile, asked, step_ms=counter.step_ms), counter.point, counter.capacity)
    assert (total(found), rules(found)) == (Decimal(counter.wrapped), ["wrap"])


@EACH
def test_fault_16_a_fall_far_from_the_wrap_is_not_joined(name: str) -> None:
    """From far below the wrap to zero: only the steps before and after it count."""
    counter = COUNTERS[name]
    asked = [[one] for one in counter.rows(counter.rising[3], counter.rising[4], *counter.wrapping[2:])]
    found = course(rows_of(counter.profile, asked, step_ms=counter.step_ms), counter.point, counter.capacity)
    assert (total(found), rules(found)) == (Decimal(counter.apart), ["reset"])


def test_fault_16_a_wrap_after_a_long_silence_is_not_joined() -> None:
    """After more than a day an exchange of the meter is as likely."""
    counter = COUNTERS["u32"]
    asked = [[one] for one in counter.rows(*counter.wrapping)]
    found = course(rows_of(counter.profile, asked, step_ms=25 * HOUR_MS), counter.point, counter.capacity)
    assert "reset" in rules(found)
    assert "wrap" not in rules(found)


def test_bad_input_21_all_ones_are_no_number_where_the_profile_knows_them() -> None:
    rows = rows_of(bundled("sungrow-sg"), [[Asked("input", 5030, "ffff ffff 0000 0000 7fff ffff")]])
    assert {(row.quality, row.reason) for row in rows} == {(Quality.BAD, "not available")}
    assert len(rows) == 3


def test_bad_input_21_a_spike_of_65535_adds_nothing_where_it_does_not() -> None:
    counter = COUNTERS["u16"]
    one, two, _, four, five = counter.rising
    asked = [[each] for each in counter.rows(one, two, "ffff", four, five)]
    found = course(rows_of(counter.profile, asked, step_ms=counter.step_ms), counter.point, counter.capacity)
    assert (total(found), rules(found)) == (Decimal(counter.rise), ["phantom"])


def _words(power: str, frequency: str, energy: str) -> list[Asked]:
    return [Asked("input", 35, f"{power} {frequency}"), Asked("input", 55, energy)]


def test_bad_input_22_words_that_stand_still_while_power_flows_are_not_used() -> None:
    """A MIN of Growatt with 3 kW: one hour of the very same words, its frequency among them, then it runs on."""
    still = _words("0000 7530", "1388", "0000 03e8")
    samples = [still] * 5 + [_words("0000 7530", "1389", "0000 0410")]
    rows = rows_of(bundled("growatt-min"), samples, step_ms=QUARTER_MS)
    stretch: Stretch | None = None
    for k, asked in enumerate(samples[:5]):
        assert stretch is None or not stretch.frozen
        stretch = follow(stretch, START_MS + k * QUARTER_MS, blocks_of(asked, START_MS + k * QUARTER_MS))
    assert stretch is not None
    assert stretch.frozen
    used = moving(rows, [(stretch.since_ms, stretch.last_ms)])
    assert [row.t_ms for row in used if row.point.endswith("energy_export")] == [
        START_MS, START_MS + 5 * QUARTER_MS
    ]  # fmt: skip
    after = START_MS + 5 * QUARTER_MS
    moved = follow(stretch, after, blocks_of(samples[5], after))
    assert moved is not None
    assert not moved.frozen


def test_bad_input_23_a_counter_below_its_minimum_is_flagged() -> None:
    (row,) = rows_of(bundled("huawei-smartlogger"), [[Asked("holding", 40446, "ffff ffff ffff ff9c")]])
    assert (row.quality, row.reason) == (Quality.UNCERTAIN, "out of range")
    assert course([row], "pv_energy", "1000").samples == []


@pytest.mark.parametrize("role", ["credited", "debited"])
def test_bad_input_23_a_negative_import_counter_is_no_part_of_the_total(role: str) -> None:
    """-2 Wh between 12 345 678 and 12 345 690 Wh; its map has no bound, since the meter counts signed."""
    energies = ("0000 0000 00bc 614e", "ffff ffff ffff fffe", "0000 0000 00bc 6155", "0000 0000 00bc 615a")
    rows = rows_of(bundled("schneider-iem3155"), [[Asked("holding", 3203, one)] for one in energies])
    found = course(rows, "energy_import", "100", role="credited" if role == "credited" else "debited")
    assert (total(found), rules(found)) == (Decimal(12), ["phantom"])
