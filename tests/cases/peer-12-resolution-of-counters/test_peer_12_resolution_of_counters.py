from __future__ import annotations

import importlib.util
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from edge.library import bundled, profile
from hakari.registers.decode import decode_block
from hakari.registers.profile import Point
from hakari.registers.reading import FLOATS, modulus

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def meters() -> ModuleType:
    spec = importlib.util.spec_from_file_location("meters_page", DOCS / "meters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _counter(profile_id: str, name: str) -> Point:
    return next(point for point in profile(profile_id, Path()).points if point.name == name)


def _import_wh(pattern: str) -> Decimal:
    """The import of a Janitza UMG 96RM-E, a single float in Wh, for the pattern of its two registers."""
    found = profile("janitza-umg-96rm-e", Path())
    request, answer = bytes.fromhex("0103 4a7c 0002"), bytes.fromhex("0304" + pattern)
    (reading,) = decode_block(found, "m", request, answer)
    assert reading.value is not None
    return reading.value


@pytest.mark.parametrize(
    ("pattern", "following", "total", "step"),
    [
        # exponent 151 − 127 = 24, significand 2^23: 2^24 = 16 777 216 Wh, one step 2^(24 − 23)
        ("4b80 0000", "4b80 0001", "16777216", "2"),
        # exponent 29, significand 0x800000 + 0x6E6B28 = 15 625 000: × 2^6 = 10^9 Wh
        ("4e6e 6b28", "4e6e 6b29", "1000000000", "64"),
        # exponent 33, significand 0x800000 + 0x1502F9 = 9 765 625: × 2^10 = 10^10 Wh
        ("5015 02f9", "5015 02fa", "10000000000", "1024"),
    ],
)
def test_a_single_float_steps_ever_further(pattern: str, following: str, total: str, step: str) -> None:
    assert _import_wh(pattern) == Decimal(total)
    assert _import_wh(following) - _import_wh(pattern) == Decimal(step)


@pytest.mark.parametrize(
    ("name", "counter", "stated"),
    [
        ("janitza-umg-96rm-e", "energy_import", "grows: 64 Wh at 1 GWh"),
        ("eastron-sdm630", "energy_import", "grows: 0.0625 kWh at 1 GWh"),
        ("siemens-pac2200", "energy_import", "grows: less than 0.000001 Wh at 1 GWh"),
        ("abb-b23", "energy_import", "0.01 kWh"),
        ("socomec-countis-e24", "energy_import", "10 Wh"),
        ("schneider-ion6200", "energy_import", "1 kWh"),
        ("sunspec-inverter-103", "energy_export", "10^energy_export_scale Wh"),
    ],
)
def test_the_step_of_a_counter_is_stated(meters: ModuleType, name: str, counter: str, stated: str) -> None:
    assert meters.one_count(_counter(name, counter)) == stated
    assert stated in "\n".join(meters.section(profile(name, Path())))


@pytest.mark.parametrize(
    ("name", "counter", "stated"),
    [
        ("sunspec-inverter-103", "energy_export", "4 294 967 296 × 10^energy_export_scale Wh"),
        ("siemens-pac1600", "energy_import", "4 294 967 296 Wh"),
        ("dzg-dvh4013", "energy_import", "4 294 967.296 kWh"),
        ("hiking-dds238", "energy_total", "42 949 672.96 kWh"),
        ("schneider-iem3155", "energy_import", "no"),
        ("eastron-sdm630", "energy_import", "no"),
    ],
)
def test_where_a_counter_starts_again_is_stated(meters: ModuleType, name: str, counter: str, stated: str) -> None:
    assert meters.wrap(_counter(name, counter)) == stated


@pytest.mark.parametrize("name", bundled())
def test_no_counter_is_without_a_stated_step(meters: ModuleType, name: str) -> None:
    for point in profile(name, Path()).points:
        if point.kind == "counter":
            assert meters.one_count(point)
            assert meters.wrap(point)
            assert meters.one_count(point).startswith("grows: ") == (point.type in FLOATS)


def test_an_accumulator_of_32_bits_holds_36_days_of_a_5_mw_plant() -> None:
    most = modulus("acc32")
    assert most == 4_294_967_296
    assert 35 * 24 * 5_000_000 < most < 36 * 24 * 5_000_000


def test_integers_are_read_where_the_meter_has_both() -> None:
    """PM5000 has its delivered energy as a float too: the profile reads the 64-bit integer in Wh."""
    counters = [point for point in profile("schneider-pm5000", Path()).points if point.kind == "counter"]
    assert counters
    assert {point.type for point in counters} == {"i64"}
