"""The displays of simulated meters: the truth in digits, with which the registers agree as the edge reads them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from edge.library import profile
from edge.reads.plan import requests_of
from hakari.registers.decode import decode_sample
from hakari.registers.requests import ReadRequest
from simulate.demo import METERS
from simulate.displays import counted, displays, rounded
from simulate.plant import Meter, load_plant
from tests.system.chain import PLANTS, solar

NOON_MS = 1_468_350_000_000  # 2016-07-12T19:00:00Z


def answer(meter: Meter, request: ReadRequest) -> bytes:
    held = meter.registers(NOON_MS)
    flat = {start + k: word for start, words in held.items() for k, word in enumerate(words)}
    own = held.get(request.address, ()) if meter.model.overlap else ()
    words = own or [flat[at] for at in range(request.address, request.address + request.count)]
    return bytes((request.function, 2 * request.count)) + b"".join(word.to_bytes(2, "big") for word in words)


@pytest.mark.parametrize("name", sorted(METERS))
def test_what_a_profile_reads_is_what_the_display_shows(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.toml"
    path.write_text(solar()[1] if name == "solar" else (PLANTS / f"{name}.toml").read_text())
    plant = load_plant(path, {})
    shown = displays(plant, NOON_MS)
    for place in METERS[name]:
        found = profile(place.profile, Path())
        meter = next(one for one in plant.meters if one.unit == place.unit)
        blocks = [(one.encode(), answer(meter, one), "") for one in requests_of(found, place.unit)]
        values = {r.point: r.value for block in decode_sample(found, place.id, blocks) for r in block}
        assert shown[place.unit], place.id
        for point, text in shown[place.unit].items():
            value = values[point]
            assert value is not None, point
            assert abs(value - Decimal(text)) <= Decimal(1).scaleb(Decimal(text).as_tuple().exponent), point  # type: ignore[arg-type]
        counters = {point.name for point in found.points if point.kind == "counter"}
        assert counters <= shown[place.unit].keys()


def test_digits() -> None:
    assert (rounded(-0.06, 1), rounded(229.96, 1), counted(12345, 2), counted(7, 0)) == ("-0.1", "230.0", "123.45", "7")
