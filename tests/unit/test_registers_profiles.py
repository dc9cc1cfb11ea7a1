"""Every bundled profile has a case worked by hand from its source: bytes to exact decimals."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.library import ProfileUnusable, bundled, profile, read
from edge.reads.plan import requests_of
from hakari.quality import Quality
from hakari.registers.check import ProfileInvalid
from hakari.registers.decode import decode_block, identities
from hakari.registers.profile import WORDS, Profile
from hakari.units import UNITS

CASES = Path(__file__).resolve().parent.parent / "cases" / "profiles"
FOLDER = Path(__file__).resolve().parent.parent.parent / "edge" / "profiles"
# What adds up over time; a power or a temperature is never a counter.
COUNTED = {"energy", "reactive energy", "volume", "mass", "time", "number"}


def _case(name: str) -> dict[str, Any]:
    return tomllib.loads((CASES / name / "case.toml").read_text())


def _why(name: str) -> str:
    return (CASES / name / "why.md").read_text()


@pytest.mark.parametrize("name", bundled())
def test_profile_decodes_its_case(name: str) -> None:
    found = profile(name, CASES)
    for answer in _case(name)["answer"]:
        request, pdu = bytes.fromhex(answer["request"]), bytes.fromhex(" ".join(answer["pdu"]))
        readings = decode_block(found, "m", request, pdu)
        assert {r.point: r.value for r in readings if r.quality is Quality.GOOD} == {
            point: Decimal(value) for point, value in answer.get("good", {}).items()
        }, answer["what"]
        assert {r.point: r.reason for r in readings if r.quality is Quality.BAD} == answer.get("bad", {}), answer[
            "what"
        ]
        assert not any(r.quality is Quality.UNCERTAIN for r in readings)
        assert identities(found, request, pdu) == answer.get("identities", {}), answer["what"]


@pytest.mark.parametrize("name", bundled())
def test_case_covers_every_point_and_says_why(name: str) -> None:
    found = profile(name, CASES)
    good = {point for answer in _case(name)["answer"] for point in answer.get("good", {})}
    assert good == {point.name for point in found.points if point.kind in ("counter", "gauge")}
    assert _why(name).startswith("# ")
    assert found.source
    assert found.standing in ("two-sources", "one-source", "excerpt")
    assert found.standing != "excerpt" or found.notes, "the notes of an excerpt say what is doubtful"
    assert all(point.manual for point in found.points), "a point without the manual's own name or number"


@pytest.mark.parametrize("name", bundled())
def test_proof_is_stated_and_is_what_the_case_says(name: str) -> None:
    found = profile(name, CASES)
    assert found.proof in ("constructed", "captured")
    assert found.proof != "captured" or re.search(r"^Captured: .+", _why(name), re.MULTILINE), "whose bytes are these?"


@pytest.mark.parametrize("name", bundled())
def test_word_order_is_explicit(name: str) -> None:
    for point in tomllib.loads((FOLDER / f"{name}.toml").read_text())["points"]:
        assert WORDS.get(point["type"], 1) == 1 or point["word_order"] in ("high_first", "low_first"), point["name"]


@pytest.mark.parametrize("name", bundled())
def test_counters_count_what_adds_up_and_are_read_first(name: str) -> None:
    found = profile(name, CASES)
    counters = [point for point in found.points if point.kind == "counter"]
    assert {UNITS[point.unit].dimension for point in counters} <= COUNTED
    if any(point.type == "f32" for point in counters):
        assert re.search("step|exact up to", found.notes), "the notes say how fine a single float is"
    counted = [
        any(
            p.table == r.table and r.address <= p.address and p.address + p.length <= r.address + r.count
            for p in counters
        )
        for r in requests_of(found, 1)
    ]
    assert counted == sorted(counted, reverse=True)


@pytest.mark.parametrize("name", bundled())
def test_sentinels_of_the_profile_are_no_number_in_its_case(name: str) -> None:
    """Where a source documents "not available", the case proves it at least once."""
    documented = {point.name for point in profile(name, CASES).points if point.sentinels}
    said = [reason for answer in _case(name)["answer"] for reason in answer.get("bad", {}).values()]
    assert not documented or "not available" in said


@pytest.mark.parametrize("name", bundled())
def test_plan_reads_each_point_once(name: str) -> None:
    found = profile(name, CASES)
    asked = [
        point.name
        for request in requests_of(found, 1)
        for point in found.points
        if point.table == request.table
        and request.address <= point.address
        and point.address + point.length <= request.address + request.count
    ]
    assert sorted(asked) == sorted(point.name for point in found.points)


def _model(found: Profile) -> tuple[str, str]:
    return found.maker.casefold(), found.model.partition(" (")[0].casefold()


def test_no_meter_is_described_twice() -> None:
    profiles = [profile(name, CASES) for name in bundled()]
    assert [model for model, times in Counter(map(_model, profiles)).items() if times > 1] == []
    assert [found.id for found in profiles] == bundled()


def test_two_profiles_of_a_maker_are_not_the_same_map_under_two_names() -> None:
    """A model that shares another's map stands in that profile's `model`, not in a copy that would age apart."""
    maps: dict[tuple[str, tuple[object, ...]], str] = {}
    for name in bundled():
        found = profile(name, CASES)
        points = tuple(sorted((p.name, p.table, p.address, p.type, p.exponent, p.unit) for p in found.points))
        other = maps.setdefault((found.maker.casefold(), points), name)
        assert other == name, f"{name} and {other}"


def test_temperatures_in_fahrenheit_are_marked() -> None:
    """Water of 7, 12, 29 and 34 °C as a controller that is set to °F tells it."""
    found = profile("carrier-23xrv", CASES)
    for address, pattern in ((0x3B, "4255 999a"), (0x3C, "4232 6666"), (0x3D, "42a8 6666"), (0x3E, "42ba 6666")):
        request, answer = bytes.fromhex(f"01 04 {address:04x} 0002"), bytes.fromhex(f"0404 {pattern}")
        (reading,) = decode_block(found, "m", request, answer)
        assert reading.quality is Quality.UNCERTAIN


def test_what_a_profile_does_not_say_is_not_in_what_is_hashed() -> None:
    """A new field never alters the hash of a configuration that does not use it."""
    for name in bundled():
        found = profile(name, CASES)
        text = msgspec.json.encode(found)
        for field in ("separate", "proof", "connect_delay_ms", "request_gap_ms", "answer_ms"):
            assert (f'"{field}"'.encode() in text) == bool(getattr(found, field)), field
        for field, default in (("byte_order", "high_first"), ("bit_count", 0), ("wraps_at", 0), ("every", 1)):
            said = any(getattr(point, field) != default for point in found.points)
            assert (f'"{field}"'.encode() in text) == said, field


def test_no_case_without_a_profile() -> None:
    assert sorted(folder.name for folder in CASES.iterdir()) == bundled()


HEAD = 'id = "p"\nmaker = "m"\nmodel = "m"\nsource = "s"\nstanding = "excerpt"\nproof = "constructed"\n'


def _text(*lines: str) -> str:
    point = ["[[points]]", 'name = "a"', "address = 0", 'kind = "counter"', 'unit = "kWh"', *lines]
    return HEAD + "\n".join(point) + "\n"


@pytest.mark.parametrize("type_", sorted(name for name, words in WORDS.items() if words > 1))
def test_bad_input_09_a_value_of_several_registers_without_word_order_is_refused(type_: str) -> None:
    with pytest.raises(ProfileUnusable, match="has no word_order; state high_first or low_first"):
        read(_text(f'type = "{type_}"'), "p.toml")
    assert read(_text(f'type = "{type_}"', 'word_order = "low_first"'), "p.toml").points[0].word_order == "low_first"


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["scale = 0"], "scale"),
        (["exponent = 0.001"], "exponent"),
        (["exponent = nan"], "exponent"),
        (["exponent = -19"], "exponent"),
        (["exponent = 19"], "exponent"),
        (["every = 0"], "every"),
        (["every = 86401"], "every"),
        (["wraps_at = -1"], "wraps_at"),
        (['byte_order = "CDAB"'], "byte_order"),
    ],
)
def test_bad_input_08_a_scale_that_is_no_power_of_ten_is_refused(lines: list[str], part: str) -> None:
    with pytest.raises(ProfileUnusable, match=part):
        read(_text('type = "u16"', *lines), "p.toml")


@pytest.mark.parametrize("unit", ["kwh", "KWH", "kWhr", "W.h", "ton"])
def test_bad_input_08_a_unit_is_written_as_in_the_table(unit: str) -> None:
    with pytest.raises(ProfileInvalid, match=f"unit '{unit}', which is not known; known are J, kJ"):
        read(_text('type = "u16"').replace('"kWh"', f'"{unit}"'), "p.toml")


def test_the_same_register_described_twice_is_refused() -> None:
    twice = _text('type = "u16"') + '[[points]]\nname = "b"\naddress = 0\ntype = "u16"\nkind = "gauge"\n'
    with pytest.raises(ProfileInvalid, match="points a and b overlap at holding register 0"):
        read(twice, "p.toml")
