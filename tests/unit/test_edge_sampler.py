"""A slot on a line: counters of all meters first, a silent meter costs one timeout, errors are blocks."""

from __future__ import annotations

import pytest

from edge.reads.sampler import following, slots_skipped, slots_within
from hakari.registers.profile import Profile
from hakari.wire.leaf import Block
from tests.unit.edge_lines import SLOT_MS, Device, Plant, counter, errors, gauge, profile_of

TWO = profile_of([gauge(0), counter(50)])
NO_TIME = "not tried: no time left in this slot"


def test_counters_of_the_whole_line_come_first_and_blocks_stand_by_meter() -> None:
    plant = Plant({1: Device(), 2: Device(), 3: Device()}, TWO)
    sample = plant.slot()
    assert plant.line.taken() == [(1, 50, 2), (2, 50, 2), (3, 50, 2), (1, 0, 1), (2, 0, 1), (3, 0, 1)]
    assert [block.meter for block in sample.blocks] == ["m1", "m1", "m2", "m2", "m3", "m3"]
    assert (sample.slot_ms, sample.mono_ms) == (SLOT_MS, 5_000)
    assert sample.blocks[1] == Block("m1", "modbus-rtu", "010300000001", SLOT_MS + 80, 20_000, answer="03020001")


def test_fault_12_others_are_read_whatever_one_meter_does() -> None:
    plant = Plant({1: Device(), 2: Device(silent=True), 3: Device()}, TWO)
    assert errors(plant.slot()) == [
        ("m1", ""), ("m1", ""), ("m2", "timeout"), ("m2", "not tried: timeout"), ("m3", ""), ("m3", "")]  # fmt: skip
    for _ in range(40):
        blocks = plant.slot().blocks
        assert [block.error for block in blocks if block.meter != "m2"] == [""] * 4
    asked = plant.line.taken()
    assert sum(unit == 2 for unit, _, _ in asked) < 20
    assert plant.sampling.lessons() == []


def test_a_suspect_is_asked_last_with_one_request_and_read_whole_once_it_answers() -> None:
    plant = Plant({1: Device(silent=True), 2: Device()}, TWO)
    plant.slot()
    plant.line.taken()
    plant.slot()
    assert plant.line.taken() == [(2, 50, 2), (2, 0, 1), (1, 50, 2)]
    plant.devices[1].silent = False
    while not (sample := plant.slot()).blocks[0].answer:
        assert plant.line.taken() == [(2, 50, 2), (2, 0, 1)]
    assert plant.line.taken() == [(2, 50, 2), (2, 0, 1), (1, 50, 2), (1, 0, 1)]
    assert [error for _, error in errors(sample)] == [""] * 4
    plant.slot()
    assert plant.line.taken() == [(1, 50, 2), (2, 50, 2), (1, 0, 1), (2, 0, 1)]


@pytest.mark.parametrize("code", [10, 11])
def test_a_gateways_word_for_silence_is_silence(code: int) -> None:
    plant = Plant({1: Device(says=code), 2: Device()}, TWO)
    plant.slot()
    assert plant.line.taken() == [(1, 50, 2), (2, 50, 2), (2, 0, 1)]


def test_exception_of_the_meter_itself_skips_nothing() -> None:
    plant = Plant({1: Device(says=4)}, TWO)
    assert errors(plant.slot()) == [("m1", "exception 4 (server device failure)")] * 2
    assert plant.line.taken() == [(1, 50, 2), (1, 0, 1)]


@pytest.mark.parametrize("code", [5, 6])
def test_a_busy_meter_is_asked_once_more_in_the_slot(code: int) -> None:
    plant = Plant({1: Device(says_next=[code]), 2: Device()}, TWO)
    sample = plant.slot()
    assert plant.line.taken() == [(1, 50, 2), (2, 50, 2), (1, 0, 1), (2, 0, 1), (1, 50, 2)]
    assert [block.error[:11] for block in sample.blocks if block.meter == "m1"] == [f"exception {code}", "", ""]
    plant.devices[1].says = code
    plant.slot()
    assert len(plant.line.taken()) == 6


def test_what_does_not_fit_into_the_slot_is_told_and_counters_come_before() -> None:
    plant = Plant({1: Device(), 2: Device(), 3: Device()}, TWO, each_ms=2_600)
    assert [error for _, error in errors(plant.slot())] == ["", "", "", NO_TIME, "", NO_TIME]
    assert plant.line.taken() == [(1, 50, 2), (2, 50, 2), (3, 50, 2), (1, 0, 1)]


def test_a_suspect_whose_timeout_does_not_fit_is_left_for_another_slot_but_not_for_ever() -> None:
    plant = Plant({1: Device(silent=True), 2: Device()}, TWO, interval_ms=1_000, timeout_ms=990)
    samples = 0
    plant.slot()
    plant.line.taken()
    while (1, 50, 2) not in plant.line.taken():
        assert [error for _, error in errors(plant.slot())][2:] == ["", ""]
        samples += 1
    assert 55 < samples < 65


def test_a_line_that_cannot_be_opened_fails_all_its_meters_at_once_and_blames_none() -> None:
    plant = Plant({1: Device(), 2: Device()}, TWO)
    plant.line.closed = "connection timeout"
    for _ in range(5):
        told = [error for _, error in errors(plant.slot())]
        assert told == ["connection timeout", *["not tried: connection timeout"] * 3]
        assert plant.line.taken() == [(1, 50, 2)]
    plant.line.closed = ""
    assert [error for _, error in errors(plant.slot())] == [""] * 4


def test_a_request_is_asked_in_the_slots_of_its_rate() -> None:
    profile = profile_of([gauge(0), gauge(1, every=3), counter(2, every=2)])
    plant = Plant({1: Device()}, profile)
    asked = []
    for _ in range(6):
        slot = plant.hands.wall_ms // plant.interval_ms
        plant.slot()
        asked.append((slot % 6, sorted(address for _, address, _ in plant.line.taken())))
    wanted = {0: [0, 1, 2], 1: [0], 2: [0, 2], 3: [0, 1], 4: [0, 2], 5: [0]}
    assert dict(asked) == wanted


def test_a_busy_line_is_asked_again_and_no_meter_is_blamed() -> None:
    plant = Plant({1: Device(), 2: Device()}, TWO)
    plant.line.refuses = {1: "not tried: the line is not silent"}
    told = [error for _, error in errors(plant.slot())]
    assert told == [*["not tried: the line is not silent"] * 4, "", ""]
    plant.line.refuses = {}
    assert [error for _, error in errors(plant.slot())] == [""] * 4


@pytest.mark.parametrize(
    ("last_ms", "now_ms", "late_ms", "slot_ms"),
    [
        (0, 15_000, 60_000, 20_000),  # at start no slot that began before is taken
        (10_000, 15_000, 60_000, 20_000),
        (10_000, 20_000, 60_000, 20_000),
        (10_000, 24_000, 60_000, 20_000),
        (10_000, 24_000, 2_000, 30_000),
        (10_000, 26_000, 60_000, 30_000),
        (10_000, 41_000, 60_000, 40_000),
        (50_000, 41_000, 60_000, 50_000),
    ],
)
def test_a_slot_that_began_during_the_last_sample_is_taken_a_little_late(
    last_ms: int, now_ms: int, late_ms: int, slot_ms: int
) -> None:
    assert following(last_ms, now_ms, 10_000, late_ms) == slot_ms


@pytest.mark.parametrize(("took_ms", "skipped"), [(9_999, 0), (12_000, 0), (16_000, 1), (21_000, 1), (26_000, 2)])
def test_slots_that_are_never_taken(took_ms: int, skipped: int) -> None:
    assert slots_skipped(SLOT_MS, took_ms, 10_000, 60_000) == skipped
    assert slots_within(SLOT_MS, took_ms, 10_000) >= skipped


def test_a_suspect_that_the_line_will_not_ask_stays_suspect() -> None:
    plant = Plant({1: Device(silent=True), 2: Device()}, TWO)
    plant.slot()
    plant.devices[1].silent = False
    plant.line.refuses = {1: "not tried: an answer to an older request may still come"}
    for _ in range(3):
        told = [error for meter, error in errors(plant.slot()) if meter == "m1"]
        assert told[0].startswith("not tried: ")
        assert told[1].startswith("not tried: ")
    plant.line.refuses = {}
    while plant.slot().blocks[1].error:
        assert plant.hands.wall_ms < SLOT_MS + 600_000


def test_a_meter_without_anything_due_gives_no_block() -> None:
    plant = Plant({1: Device()}, Profile("p", "m", "m", "s", "two-sources", [counter(0, every=60)]))
    due = sum(len(plant.slot().blocks) for _ in range(120))
    assert due == 2
