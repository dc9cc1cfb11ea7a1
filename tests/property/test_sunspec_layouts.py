"""Any chain laid out by the hand-written tables is read back as the exact values that were written into it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from edge.library import read
from edge.reads.plan import requests_of
from edge.sunspec.definitions import definitions
from edge.sunspec.profile import profile_of
from edge.sunspec.text import toml_of
from hakari.quality import Quality
from hakari.registers.decode import decode_sample
from hakari.registers.reading import Reading
from tests.unit.sunspec_device import MODULE, TABLES, Device, Row, common, inputs, model, rows, walked

BITS = {"int16": 16, "uint16": 16, "enum16": 16, "bitfield32": 32, "acc32": 32, "float32": 32, "sunssf": 16}
ABSENT = {"int16": 0x8000, "uint16": 0xFFFF, "enum16": 0xFFFF, "bitfield32": 0xFFFFFFFF, "acc32": 0}
Raws = dict[str, int]


class Laid(NamedTuple):
    """A device, and what its points hold: by SunSpec's own names, as `Point.manual` has them."""

    device: Device
    held: Mapping[str, tuple[Row, int, int | None]]


@st.composite
def raws_of(draw: st.DrawFn, table: str) -> Raws:
    """Bit patterns for every row, the ones that mean "not available" often among them."""
    found: Raws = {}
    for row in rows(table):
        if row.type == "sunssf":
            edge_cases = st.sampled_from([0x8000, 11, 0xFFF5])
            found[row.name] = draw(st.integers(-10, 10).map(lambda factor: factor & 0xFFFF) | edge_cases)
        elif row.type in BITS:
            found[row.name] = draw(st.integers(0, 2 ** BITS[row.type] - 1) | st.just(ABSENT.get(row.type, 0x7FC00000)))
    return found


@st.composite
def laid_out(draw: st.DrawFn) -> Laid:
    """Model 1, then one inverter, one meter, modules and vendor models in any order, at any base."""
    measured: list[tuple[int, ...]] = []
    held: dict[str, tuple[Row, int, int | None]] = {}
    fill = draw(st.integers(0, 0xFFFF))
    for ids in ((101, 102, 103, 113), (201, 202, 203, 204, 213)):
        if (id_ := draw(st.sampled_from((*ids, 0)))) != 0:
            raws = draw(raws_of(TABLES[id_]))
            measured.append(model(id_, raws, fill=fill))
            held |= _held(id_, TABLES[id_], raws, raws, "")
    if not measured or draw(st.booleans()):
        factors = draw(raws_of(TABLES[160]))
        modules = draw(st.lists(raws_of(MODULE), min_size=1, max_size=6))
        measured.append(inputs(factors, modules, fill))
        for number, raws in enumerate(modules, start=1):
            held |= _held(160, MODULE, raws, factors, f" of {number}")
    vendor = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=200).map(lambda words: (64061, len(words), *words))
    chain = draw(st.permutations([*measured, *draw(st.lists(vendor, max_size=2))]))
    base = draw(st.sampled_from((40000, 50000, 0)))
    return Laid(Device(base, common(draw(st.sampled_from((65, 66)))), *chain), held)


def _held(id_: int, table: str, raws: Raws, factors: Raws, suffix: str) -> dict[str, tuple[Row, int, int | None]]:
    return {
        f"model {id_}, {row.name}{suffix}": (row, raws[row.name], factors[row.scale] if row.scale else None)
        for row in rows(table)
        if row.name in raws and row.type != "sunssf"
    }


def expected(row: Row, raw: int, factor: int | None) -> Decimal | None:
    """What SunSpec says that the registers mean, None where they are no value."""
    if raw == ABSENT.get(row.type):
        return None
    if row.type == "float32":
        number = struct.unpack(">f", raw.to_bytes(4, "big"))[0]
        tiny = raw >> 23 & 0xFF == 0 and raw & 0x7FFFFF
        return Decimal(number) if Decimal(number).is_finite() and not tiny else None
    signed = raw - 0x10000 if row.type == "int16" and raw >= 0x8000 else raw
    exponent = 0 if factor is None else factor - 0x10000 if factor >= 0x8000 else factor
    return Decimal(signed).scaleb(exponent) if -10 <= exponent <= 10 else None


@given(laid_out())
def test_a_made_profile_reads_back_what_was_laid_out(laid: Laid) -> None:
    profile = profile_of(walked(laid.device), definitions())
    assert read(toml_of(profile), "made") == profile
    blocks = [
        (request.encode(), laid.device.answer(request.address, request.count), "")
        for request in requests_of(profile, 1)
    ]
    readings: dict[str, Reading] = {
        reading.point: reading for block in decode_sample(profile, "m", blocks) for reading in block
    }
    manuals = {point.manual: point.name for point in profile.points}
    assert laid.held.keys() <= manuals.keys()
    for manual, (row, raw, factor) in laid.held.items():
        reading, value = readings[manuals[manual]], expected(row, raw, factor)
        assert reading.value == value, (manual, raw, factor)
        assert (reading.quality is Quality.BAD) == (value is None)
        assert bool(reading.reason) == (value is None)
