from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.library import profile
from hakari.quality import Quality
from hakari.registers.decode import decode_block, decode_sample
from hakari.registers.profile import Profile
from hakari.registers.reading import Reading


def _ask(found: Profile, address: int, answer: str, function: int = 3) -> dict[str, Reading]:
    data = bytes.fromhex(answer)
    request = bytes((1, function)) + address.to_bytes(2, "big") + (len(data) // 2).to_bytes(2, "big")
    return {r.point: r for r in decode_block(found, "m", request, bytes((function, len(data))) + data)}


def _without_bounds(found: Profile) -> Profile:
    points = [msgspec.structs.replace(point, minimum=None, maximum=None) for point in found.points]
    return msgspec.structs.replace(found, points=points)


@pytest.mark.parametrize(
    ("name", "function", "address", "answer", "point", "told"),
    [
        # EM24 RS-485 holds the power factor of L2 at 0x33: 0.980 is 980, which the map of EM340 reads as 98.0 Hz.
        ("carlo-gavazzi-em340", 4, 0x33, "03d4", "frequency", "98.0"),
        # EM340 holds an energy at 0x36, low word first: its high word at 0x37 is 0 for years, 0.0 Hz in EM24's map.
        ("carlo-gavazzi-em24", 4, 0x37, "0000", "frequency", "0.0"),
        # E34 tells 50 Hz as 5 000, which is 5.000 Hz to the profile of E24; and E24 tells 50 000.
        ("socomec-countis-e24", 3, 0xC55E, "0000 1388", "frequency", "5.000"),
        ("socomec-countis-e34", 3, 0xC55E, "0000 c350", "frequency", "500.00"),
        # SDM630 tells 230.5 V as 0x43668000, which as a whole number of 0.01 V is 11 million volts.
        ("eltako-dsz15", 4, 0x00, "4366 8000", "voltage_l1", "11307909.12"),
    ],
)
def test_a_limit_marks_the_profile_of_a_sister_model(
    name: str, function: int, address: int, answer: str, point: str, told: str
) -> None:
    found = profile(name, Path())
    reading = _ask(found, address, answer, function)[point]
    assert (reading.quality, reading.reason, str(reading.value)) == (Quality.UNCERTAIN, "out of range", told)
    assert _ask(_without_bounds(found), address, answer, function)[point].quality is Quality.GOOD


@pytest.mark.parametrize(("name", "answer"), [("eastron-sdm630", "0012 d687"), ("eastron-sdm72-v2", "0000 0064")])
def test_whole_numbers_are_no_floats(name: str, answer: str) -> None:
    """DSZ15 tells 12 345.67 kWh as 1 234 567 at the address of SDM630's import: a denormal there."""
    reading = _ask(profile(name, Path()), 0x48, answer, 4)["energy_import"]
    assert (reading.quality, reading.reason) == (Quality.BAD, "denormal")


def test_another_model_of_the_series_takes_every_reading_away() -> None:
    """An iEM3155 answers the profile of iEM3255: same map, another meter than the one that was planned."""
    found = profile("schneider-iem3255", Path())
    name = b"iEM3155".ljust(40)
    energies = bytes.fromhex("0310 0000000004f08803 00000000000fea9c")
    blocks = [
        (bytes.fromhex("0103 0c83 0008"), energies, ""),
        (bytes.fromhex("0103 0031 0014"), b"\x03\x28" + name, ""),
    ]
    readings, _ = decode_sample(found, "m", blocks)
    reason = "identity mismatch: meter_model holds 'iEM3155', not 'iEM3255'"
    assert [(r.quality, r.raw, r.reason) for r in readings] == [(Quality.BAD, 0, reason)] * 2
    blocks[1] = (blocks[1][0], b"\x03\x28" + b"iEM3255".ljust(40), "")
    assert all(reading.quality is Quality.GOOD for reading in decode_sample(found, "m", blocks)[0])


@pytest.mark.parametrize(
    ("scales", "mismatch"),
    [
        # PVS, PCS, PnS, PPS as captured are 4, 4, 4, 5; each other setting is a power of ten off.
        ("0005 0004 0004 0005", "voltage_scale holds '5', not '4'"),
        ("0004 0003 0004 0005", "current_scale holds '3', not '4'"),
        ("0004 0004 0004 0004", "power_scale holds '4', not '5'"),
    ],
)
def test_a_scale_set_on_the_meter_is_part_of_its_identity(scales: str, mismatch: str) -> None:
    found = profile("schneider-ion6200", Path())
    blocks = [
        (bytes.fromhex("0103 0063 0003"), bytes.fromhex("0306 0b0d0b0e0b11"), ""),
        (bytes.fromhex("0103 000c 0001"), bytes.fromhex("0302 1838"), ""),
        (bytes.fromhex("0103 0fab 0004"), bytes.fromhex("0308" + scales), ""),
    ]
    voltages, _, _ = decode_sample(found, "m", blocks)
    assert [(r.quality, r.reason) for r in voltages] == [(Quality.BAD, f"identity mismatch: {mismatch}")] * 3


def test_sister_models_whose_counters_are_the_same_count_the_same() -> None:
    """SDM120 read as SDM630 or the other way round: import and export are the same registers, types and units."""

    def counters(name: str) -> set[tuple[object, ...]]:
        return {
            (p.name, p.table, p.address, p.type, p.word_order, p.unit, p.exponent)
            for p in profile(name, Path()).points
            if p.name in ("energy_import", "energy_export")
        }

    names = ("eastron-sdm630", "eastron-sdm120", "eastron-sdm220", "eastron-sdm72", "eastron-sdm72-v2")
    assert len({frozenset(counters(name)) for name in names}) == 1
