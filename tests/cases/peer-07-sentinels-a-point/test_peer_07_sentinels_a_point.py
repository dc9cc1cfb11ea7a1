from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from edge.library import bundled, profile
from hakari.quality import Quality
from hakari.registers.decode import decode_block
from hakari.registers.groups import groups_of
from hakari.registers.profile import Point, Profile
from hakari.registers.reading import Reading
from hakari.registers.requests import FUNCTION_OF, ReadRequest

WITH_SENTINELS = [name for name in bundled() if any(point.sentinels for point in profile(name, Path()).points)]


def _sent(point: Point, raw: int) -> bytes:
    words = [raw >> 16 * k & 0xFFFF for k in range(point.length)]
    if point.word_order == "high_first":
        words.reverse()
    return b"".join(word.to_bytes(2, "big" if point.byte_order == "high_first" else "little") for word in words)


def _reading(found: Profile, point: Point, raw: int) -> Reading:
    """What the meter's answer says of `point` when its registers hold `raw` and all others of the answer 0."""
    group = next(g for g in groups_of(found) if point in g.points)
    data = bytearray(2 * (group.end - group.start))
    start = 2 * (point.address - group.start)
    data[start : start + 2 * point.length] = _sent(point, raw)
    request = ReadRequest(1, FUNCTION_OF[group.table], group.start, group.end - group.start)
    answer = bytes((request.function, len(data))) + bytes(data)
    readings = decode_block(found, "m", request.encode(), answer)
    return next(reading for reading in readings if reading.point == point.name)


@pytest.mark.parametrize("name", WITH_SENTINELS)
def test_every_sentinel_of_every_profile_is_no_number(name: str) -> None:
    found = profile(name, Path())
    # Identities that must hold something would take the reading away before its own pattern is looked at.
    found = msgspec.structs.replace(found, points=[p for p in found.points if p.kind != "identity"])
    for point in found.points:
        for sentinel in point.sentinels if point.kind != "scale" else []:
            reading = _reading(found, point, sentinel)
            assert (reading.quality, reading.value, reading.raw) == (Quality.BAD, None, 0), point.name
            assert reading.reason == "not available"


def test_most_profiles_that_document_one_are_looked_at() -> None:
    assert {"abb-b23", "schneider-iem3155", "sunspec-inverter-103", "wirenboard-map3e"} <= set(WITH_SENTINELS)


@pytest.mark.parametrize(
    ("name", "point_name", "request_hex", "answer_hex", "spike"),
    [
        ("wirenboard-map3e", "voltage_l1_l2", "01 04 141c 0001", "04 02 ffff", "655.35"),
        ("abb-b23", "frequency", "01 03 5b2c 0001", "03 02 ffff", "655.35"),
        ("schneider-iem3155", "energy_import", "01 03 0c83 0004", "03 08 ffc0 0000 ffc0 0000", "-18014394218708992"),
    ],
)
def test_without_its_sentinel_the_same_answer_would_be_a_spike(
    name: str, point_name: str, request_hex: str, answer_hex: str, spike: str
) -> None:
    found = profile(name, Path())
    bare = msgspec.structs.replace(
        found, points=[msgspec.structs.replace(point, sentinels=[]) for point in found.points]
    )
    request, answer = bytes.fromhex(request_hex), bytes.fromhex(answer_hex)
    (said,) = [r for r in decode_block(found, "m", request, answer) if r.point == point_name]
    (spiked,) = [r for r in decode_block(bare, "m", request, answer) if r.point == point_name]
    assert (said.quality, said.value, said.reason) == (Quality.BAD, None, "not available")
    assert spiked.value == Decimal(spike)
