"""Every bundled profile has a case worked by hand from its source: bytes to exact decimals."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.library import bundled, profile
from edge.plan import requests_of
from hakari.quality import Quality
from hakari.registers.decode import decode_block, identities

CASES = Path(__file__).resolve().parent.parent / "cases" / "profiles"


def _case(name: str) -> dict[str, Any]:
    return tomllib.loads((CASES / name / "case.toml").read_text())


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
    assert (CASES / name / "why.md").read_text().startswith("# ")
    assert found.source
    assert found.standing in ("two-sources", "one-source")


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


def test_temperatures_in_fahrenheit_are_marked() -> None:
    """Water of 7, 12, 29 and 34 °C as a controller that is set to °F tells it."""
    found = profile("carrier-23xrv", CASES)
    for address, pattern in ((0x3B, "4255 999a"), (0x3C, "4232 6666"), (0x3D, "42a8 6666"), (0x3E, "42ba 6666")):
        request, answer = bytes.fromhex(f"01 04 {address:04x} 0002"), bytes.fromhex(f"0404 {pattern}")
        (reading,) = decode_block(found, "m", request, answer)
        assert reading.quality is Quality.UNCERTAIN


def test_only_a_separate_profile_says_so_in_what_is_hashed() -> None:
    said = {name for name in bundled() if b'"separate"' in msgspec.json.encode(profile(name, CASES))}
    assert said == {"carrier-23xrv"}


def test_no_case_without_a_profile() -> None:
    assert sorted(folder.name for folder in CASES.iterdir()) == bundled()
