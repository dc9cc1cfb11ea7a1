"""Profiles made of chains: addresses, one request for a value and its factor, names, guards, and what is left out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from edge.library import profile as bundled_profile
from edge.library import read
from edge.reads.plan import requests_of
from edge.sunspec.definitions import definitions
from edge.sunspec.profile import NothingToRead, profile_of
from edge.sunspec.text import toml_of
from hakari.errors import DATA_PROBLEM
from hakari.quality import Quality
from hakari.registers.decode import decode_sample
from hakari.registers.groups import groups_of
from hakari.registers.profile import Point, Profile
from hakari.registers.reading import Reading
from tests.unit.sunspec_device import Device, common, inputs, model, walked
from tests.unit.test_simulate_meters import SOLAR, registers

KNOWN = definitions()
VENDOR = (64061, 3, 0xDEAD, 0xBEEF, 1)
MODULE = {"DCA": 150, "DCV": 6000, "DCW": 9000, "DCWH": 123_456, "Tmp": 41, "DCSt": 4}
SCALES = {"DCA_SF": 0xFFFE, "DCV_SF": 0xFFFF, "DCW_SF": 0, "DCWH_SF": 1}
MINUS_2, MINUS_1 = 0xFFFE, 0xFFFF
INVERTER = {"W": 837, "W_SF": 1, "WH": 1_234_567, "WH_SF": 0, "Hz": 5001, "Hz_SF": MINUS_2}
FLOATS = {"W": 0x46A34800, "WH": 0x4B800001}


def made(device: Device, without: frozenset[str] = frozenset()) -> Profile:
    return profile_of(walked(device), KNOWN, without=without)


def point(profile: Profile, name: str) -> Point:
    return next(one for one in profile.points if one.name == name)


def sample(device: Device, profile: Profile) -> dict[str, Reading]:
    """One sample as the edge takes it."""
    blocks = [
        (request.encode(), device.answer(request.address, request.count), "") for request in requests_of(profile, 1)
    ]
    return {reading.point: reading for block in decode_sample(profile, "m", blocks) for reading in block}


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_addresses_follow_the_base_and_what_stands_before(base: int) -> None:
    device = Device(base, common(65), VENDOR, model(103, INVERTER))
    profile = made(device)
    assert point(profile, "energy_export").address == base + 2 + 67 + 5 + 24
    readings = sample(device, profile)
    assert readings["energy_export"].value == 1_234_567
    assert readings["active_power"].value == 8370
    assert readings["frequency"].value == Decimal("50.01")


def test_a_simulated_inverter_reads_as_by_the_bundled_profile() -> None:
    device = Device(40000)
    device.words = registers("sunspec-103", SOLAR)
    found, bundled = made(device), bundled_profile("sunspec-inverter-103", Path())
    by_walk, by_hand = sample(device, found), sample(device, bundled)
    assert by_walk["energy_export"].value == 1_234_567
    assert {name: by_walk[name].value for name in by_hand} == {name: one.value for name, one in by_hand.items()}
    assert {name: point(found, name).address for name in by_hand} == {
        name: point(bundled, name).address for name in by_hand
    }


@pytest.mark.parametrize("name", ["sunspec-inverter-101", "sunspec-inverter-113", "sunspec-meter-203"])
def test_a_bundled_profile_is_what_a_walk_makes_of_the_usual_layout(name: str) -> None:
    id_ = int(name[-3:])
    found, bundled = made(Device(40000, common(), model(id_, {}))), bundled_profile(name, Path())
    walked_points = {one.name: one for one in found.points}
    assert all(walked_points[one.name] == one for one in bundled.points)
    assert bundled.spans == found.spans


def test_the_profile_says_whose_it_is_and_whence() -> None:
    profile = made(Device(40000, common(), VENDOR, model(103, INVERTER)))
    assert profile.id == "sunspec-maker-model-7"
    assert (profile.maker, profile.model) == ("Maker", "Model 7, models 1, 103 at base 40000")
    assert profile.source == "sunspec/models at 7abdf89, json/model_1.json, json/model_103.json"
    assert profile.proof == "constructed"
    assert "Model 64061 at 40070 is not read: it is not a model that hakari reads." in profile.notes
    assert "starts again from 0 at 4294967296 times its scale" in profile.notes
    assert read(toml_of(profile), "made") == profile


def test_names_that_a_device_tells_cannot_break_the_file() -> None:
    words = list(common())
    words[2:6] = [0x2222, 0x5C0A, 0x225D, 0x7F27]  # ""\ line feed "] DEL '
    profile = made(Device(40000, tuple(words), model(103, INVERTER)))
    assert read(toml_of(profile), "made") == profile
    assert profile.maker.startswith('""\\ "] \'')


def test_a_device_without_names_still_has_an_id() -> None:
    profile = made(Device(40000, model(103, INVERTER)))
    assert (profile.id, profile.maker) == ("sunspec", "not told")
    assert read(toml_of(profile), "made") == profile


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({40000: 0}, "sunspec_mark"),
        ({40003: 65}, "model_1_length"),
        ({40070: 101}, "model_103"),
        ({40071: 51}, "model_103_length"),
    ],
)
def test_another_layout_makes_every_value_bad(change: dict[int, int], reason: str) -> None:
    device = Device(40000, common(), model(103, INVERTER), model(203, {"TotWhImp": 7, "TotWh_SF": 0}))
    profile = made(device)
    assert sample(device, profile)["meter_energy_import"].value == 7
    device.words |= change
    readings = sample(device, profile)
    assert readings
    assert all(one.quality is Quality.BAD for one in readings.values())
    assert all(one.reason.startswith(f"identity mismatch: {reason} holds") for one in readings.values())


def test_names_are_read_seldom_and_guards_with_every_value() -> None:
    profile = made(Device(40000, common(), model(103, INVERTER)))
    told = {one.name: one.every for one in profile.points if one.kind == "identity"}
    assert {name for name, every in told.items() if every == 1} == {
        "sunspec_mark", "model_1", "model_1_length", "model_103", "model_103_length",
    }  # fmt: skip
    assert {name for name, every in told.items() if every > 1} == {
        "maker_name", "model_name", "software_version", "serial",
    }  # fmt: skip


@pytest.mark.parametrize("modules", [1, 3, 6, 7, 12, 64])
def test_values_never_leave_their_scale_factors(modules: int) -> None:
    device = Device(0, common(), inputs(SCALES, [MODULE | {"DCWH": 100 + k} for k in range(modules)]))
    profile = made(device)
    asked = requests_of(profile, 1)
    for one in profile.points:
        if one.scale_point is not None:
            scale = point(profile, one.scale_point)
            assert any(
                request.address <= min(one.address, scale.address)
                and max(one.address + one.length, scale.address + 1) <= request.address + request.count
                for request in asked
            )
    assert all(group.end - group.start <= 125 for group in groups_of(profile))
    readings = sample(device, profile)
    for k in range(modules):
        assert readings[f"dc_temperature_{k + 1}"].value == 41
        told = readings.get(f"dc_energy_{k + 1}")
        if k < 6:
            assert told is not None
            assert told.value == 10 * (100 + k)
            assert readings[f"dc_current_{k + 1}"].value == Decimal("1.50")
        else:
            assert told is None
            assert f"dc_energy_{k + 1}" in profile.notes
    assert ("do not fit into one request of 125 registers" in profile.notes) == (modules > 6)


def test_a_shorter_request_gives_up_more_and_says_so() -> None:
    chain = walked(Device(0, common(), inputs(SCALES, [MODULE] * 3)))
    profile = profile_of(chain, KNOWN, max_words=60)
    assert max(request.count for request in requests_of(profile, 1)) <= 60
    assert "dc_power_3" in profile.notes
    assert "do not fit into one request of 60 registers" in profile.notes
    assert point(profile, "dc_energy_2").scale_point == "dc_energy_scale"


def test_of_integers_and_floats_the_integers_are_read() -> None:
    device = Device(40000, common(), model(113, FLOATS), model(103, INVERTER))
    profile = made(device)
    readings = sample(device, profile)
    assert readings["energy_export"].value == 1_234_567
    assert readings["energy_export"].type == "acc32"
    assert not any(one.manual.startswith("model 113") for one in profile.points)
    assert "Left out (of model 113: it says in float32 what another model says in integers" in profile.notes
    assert "WH" in profile.notes


def test_floats_alone_are_read_and_their_steps_are_told() -> None:
    device = Device(40000, common(), model(113, FLOATS))
    profile = made(device)
    assert sample(device, profile)["energy_export"].value == 16_777_218
    assert "step by 2 Wh at 16.8 MWh" in profile.notes


def test_two_counters_in_integers_are_both_read() -> None:
    words = list(model(122, {}, 44))
    words[5:9] = [0, 1, 0, 5]
    device = Device(40000, common(), model(103, INVERTER), tuple(words))
    readings = sample(device, made(device))
    assert readings["energy_export"].value == 1_234_567
    assert readings["energy_export_m122"].value == 2**32 + 5


def test_a_meter_beside_an_inverter_has_its_own_names() -> None:
    device = Device(40000, common(), model(103, INVERTER), model(203, {"W": 5, "W_SF": 0, "WphA": 2}))
    readings = sample(device, made(device))
    assert readings["active_power"].value == 8370
    assert readings["meter_active_power"].value == 5
    assert readings["meter_active_power_l1"].value == 2
    assert "active_power_l1" not in readings


def test_a_meter_alone_has_plain_names() -> None:
    device = Device(40000, common(), model(203, {"TotWhImp": 7, "TotWh_SF": 3}))
    assert sample(device, made(device))["energy_import"].value == 7000


def test_points_without_a_value_can_be_left_out() -> None:
    absent = dict.fromkeys(("VA", "VAr", "PF", "DCW"), 0x8000)
    device = Device(40000, common(), model(103, INVERTER | absent | {"Tmp_SF": 0x8000}))
    empty = frozenset(name for name, one in sample(device, made(device)).items() if one.value is None)
    assert "dc_power" in empty
    profile = made(device, without=empty)
    readings = sample(device, profile)
    assert set(readings) == {"active_power", "frequency", "energy_export"}
    assert all(one.quality is Quality.GOOD for one in readings.values())
    assert "Left out (the device had no value for them when it was walked): current," in profile.notes
    assert not any(one.name == "dc_power_scale" for one in profile.points)


def test_a_chain_of_nothing_known_makes_no_profile() -> None:
    with pytest.raises(NothingToRead, match="64061 at 40070") as said:
        made(Device(40000, common(), VENDOR))
    assert said.value.exit_code == DATA_PROBLEM
    with pytest.raises(NothingToRead, match="has length 49"):
        made(Device(40000, common(), model(103, {}, 49)))


def test_a_broken_chain_is_told() -> None:
    profile = made(Device(40000, common(), model(103, INVERTER), end=()))
    assert profile.notes.startswith("The chain has no end model: it breaks off at register 40122: exception 2")


@pytest.mark.parametrize(
    ("name", "raw", "told"),
    [("W", 0x8000, "active_power"), ("A", 0xFFFF, "current"), ("St", 0xFFFF, "status"), ("Evt1", 2**32 - 1, "events")],
)
def test_not_implemented_patterns_are_no_values(name: str, raw: int, told: str) -> None:
    device = Device(40000, common(), model(103, INVERTER | {"A_SF": 0, "St": 4, "Evt1": 0} | {name: raw}))
    reading = sample(device, made(device))[told]
    assert (reading.quality, reading.reason) == (Quality.BAD, "not available")


def test_bad_input_18_sunspec_patterns_that_mean_not_implemented_are_no_numbers() -> None:
    """0x8000, 0xFFFF, 0x80000000, all ones in 64 bits, NaN and a counter of 0 in every model that is known."""
    patterns = {"int16": 0x8000, "int32": 2**31, "uint32": 2**32 - 1, "uint64": 2**64 - 1, "float32": 0x7FC00000}
    device = Device(40000, common(), *(_unimplemented(id_, patterns) for id_ in sorted(KNOWN.keys() - {1})))
    readings = sample(device, made(device))
    assert len(readings) > 200
    wrong = {name: one.value for name, one in readings.items() if one.quality is not Quality.BAD}
    assert wrong == {}
    assert {one.reason for one in readings.values()} == {"not available", "not accumulated"}


def _unimplemented(id_: int, patterns: dict[str, int]) -> tuple[int, ...]:
    known = KNOWN[id_]
    length = known.lengths[0] + (known.repeat.words if known.repeat else 0)
    words = [id_, length, *[0xFFFF] * length]
    parts = [(0, item) for item in known.points]
    if known.repeat:
        parts += [(known.repeat.at, item) for item in known.repeat.points]
    for start, item in parts:
        size = {"int16": 1, "int32": 2, "acc32": 2, "uint32": 2, "float32": 2, "uint64": 4, "acc64": 4}.get(item.type)
        if size is not None:
            raw = patterns.get(item.type, 0)
            at = start + item.at
            words[at : at + size] = [raw >> 16 * k & 0xFFFF for k in reversed(range(size))]
    return tuple(words)
