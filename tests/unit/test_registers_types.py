"""The types, orders and fields that meters have beside plain integers and floats, worked by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hakari.quality import Quality
from hakari.registers.check import check_profile, problems
from hakari.registers.decode import decode_block, decode_sample, identities
from hakari.registers.profile import Order, Point, Profile
from hakari.registers.reading import Reading, digits_of, exact_value, modulus
from hakari.registers.requests import ReadRequest

ORDERS: dict[str, tuple[Order, Order]] = {
    "ABCD": ("high_first", "high_first"),
    "CDAB": ("low_first", "high_first"),
    "BADC": ("high_first", "low_first"),
    "DCBA": ("low_first", "low_first"),
}


def _profile(*points: Point) -> Profile:
    return Profile("p", "maker", "model", "source", "two-sources", list(points))


def _point(type_: Any, name: str = "value", address: int = 0, kind: Any = "gauge", **more: Any) -> Point:
    return Point(name, address, type_, kind, **more)


def _read_all(profile: Profile, words: str) -> dict[str, Reading]:
    data = bytes.fromhex(words)
    request = ReadRequest(1, 3, 0, len(data) // 2).encode()
    return {r.point: r for r in decode_block(profile, "m", request, bytes((3, len(data))) + data)}


def _read(point: Point, words: str) -> Reading:
    check_profile(_profile(point))
    return _read_all(_profile(point), words)["value"]


@pytest.mark.parametrize(
    ("type_", "words", "exponent", "value"),
    [
        ("bcd16", "1234", 0, "1234"),
        ("bcd16", "9999", -1, "999.9"),
        ("bcd16", "0000", 0, "0"),
        ("bcd32", "1234 5678", 0, "12345678"),
        # 0x0000, 0x1243, 0x1116: the digits 0000 1243 1116 with four decimals, as gas volume converters send them
        ("bcd48", "0000 1243 1116", -4, "1243.1116"),
        ("bcd48", "1228 5686 4222", -4, "12285686.4222"),
        ("bcd48", "9999 9999 9999", 0, "999999999999"),
        ("bcd64", "0123 4567 8901 2345", -3, "123456789012.345"),
        # 1 × 10 000 + 9 999
        ("m10k32", "0001 270f", 0, "19999"),
        # 2 × 10^8 + 3 × 10^4 + 4
        ("m10k48", "0002 0003 0004", 0, "200030004"),
        # 0x270F = 9 999 in each of four registers
        ("m10k64", "270f 270f 270f 270f", -2, "99999999999999.99"),
        # 2^32, and 2^64 − 1
        ("acc64", "0000 0001 0000 0000", 0, "4294967296"),
        ("acc64", "ffff ffff ffff ffff", 0, "18446744073709551615"),
    ],
)
def test_each_type_is_exact(type_: str, words: str, exponent: int, value: str) -> None:
    reading = _read(_point(type_, exponent=exponent), words)
    assert (reading.quality, reading.value, reading.reason) == (Quality.GOOD, Decimal(value), "")
    assert exact_value(type_, reading.raw, reading.exponent) == Decimal(value)


@pytest.mark.parametrize(
    ("type_", "words", "reason"),
    [
        ("bcd16", "123a", "not a number"),
        ("bcd16", "a123", "not a number"),
        ("bcd16", "ffff", "not a number"),
        ("bcd32", "1234 5b78", "not a number"),
        ("bcd48", "0000 1243 111f", "not a number"),
        ("bcd64", "c123 4567 8901 2345", "not a number"),
        # 0x2710 = 10 000 is one too many for a register of base 10 000
        ("m10k32", "0001 2710", "not a number"),
        ("m10k32", "2710 0000", "not a number"),
        ("m10k48", "0002 ffff 0004", "not a number"),
        ("m10k64", "0000 0000 0000 8000", "not a number"),
        ("acc64", "0000 0000 0000 0000", "not accumulated"),
    ],
)
def test_a_digit_above_nine_is_no_number(type_: str, words: str, reason: str) -> None:
    reading = _read(_point(type_), words)
    assert (reading.quality, reading.value, reading.raw, reading.reason) == (Quality.BAD, None, 0, reason)


@pytest.mark.parametrize(
    ("type_", "words", "value"),
    [
        ("bcd32", "5678 1234", 12345678),
        ("bcd48", "1116 1243 0000", 12431116),
        ("m10k32", "270f 0001", 19999),
        ("m10k48", "0004 0003 0002", 200030004),
        ("acc64", "0000 0000 0001 0000", 4294967296),
    ],
)
def test_low_word_first(type_: str, words: str, value: int) -> None:
    assert _read(_point(type_, word_order="low_first"), words).value == value


@pytest.mark.parametrize(
    ("order", "type_", "words", "value"),
    [
        # 0x12345678 = 305 419 896
        ("ABCD", "u32", "1234 5678", "305419896"),
        ("CDAB", "u32", "5678 1234", "305419896"),
        ("BADC", "u32", "3412 7856", "305419896"),
        ("DCBA", "u32", "7856 3412", "305419896"),
        # 0xFFFFFF9C = −100
        ("CDAB", "i32", "ff9c ffff", "-100"),
        ("BADC", "i32", "ffff 9cff", "-100"),
        ("DCBA", "i32", "9cff ffff", "-100"),
        # 0x0102030405060708 = 72 623 859 790 382 856
        ("ABCD", "u64", "0102 0304 0506 0708", "72623859790382856"),
        ("CDAB", "u64", "0708 0506 0304 0102", "72623859790382856"),
        ("BADC", "u64", "0201 0403 0605 0807", "72623859790382856"),
        ("DCBA", "u64", "0807 0605 0403 0201", "72623859790382856"),
        # 0x43668000: 128 × 1.80078125 = 230.5
        ("ABCD", "f32", "4366 8000", "230.5"),
        ("CDAB", "f32", "8000 4366", "230.5"),
        ("BADC", "f32", "6643 0080", "230.5"),
        ("DCBA", "f32", "0080 6643", "230.5"),
        # 0x41678C29D0000000: 2^23 × 1.4717… = 12 345 678.5
        ("ABCD", "f64", "4167 8c29 d000 0000", "12345678.5"),
        ("CDAB", "f64", "0000 d000 8c29 4167", "12345678.5"),
        ("BADC", "f64", "6741 298c 00d0 0000", "12345678.5"),
        ("DCBA", "f64", "0000 00d0 298c 6741", "12345678.5"),
        ("DCBA", "bcd48", "1611 4312 0000", "12431116"),
        ("BADC", "m10k32", "0100 0f27", "19999"),
        ("BADC", "u16", "3412", "4660"),
        ("DCBA", "i16", "9cff", "-100"),
    ],
)
def test_every_order_of_words_and_bytes(order: str, type_: str, words: str, value: str) -> None:
    word_order, byte_order = ORDERS[order]
    reading = _read(_point(type_, word_order=word_order, byte_order=byte_order), words)
    assert (reading.quality, reading.value) == (Quality.GOOD, Decimal(value))


def test_bytes_exchanged_in_a_string() -> None:
    """One character in the wrong half of each register, as some meters keep their names."""
    point = _point("string", words=3, kind="identity", byte_order="low_first", expect="SDM-1")
    request = ReadRequest(1, 3, 0, 3).encode()
    answer = bytes.fromhex("0306 4453 2d4d 0031")
    assert identities(_profile(point), request, answer) == {"value": "SDM-1"}
    power = _point("u16", "power", address=3)
    (readings,) = decode_sample(
        _profile(point, power), "m", [(ReadRequest(1, 3, 0, 4).encode(), bytes.fromhex("0308 4453 2d4d 0031 0007"), "")]
    )
    assert [(r.point, r.value, r.quality) for r in readings] == [("power", Decimal(7), Quality.GOOD)]


@pytest.mark.parametrize(
    ("type_", "words", "bit", "count", "value"),
    [
        ("u16", "a5f0", 4, 4, 0xF),
        ("u16", "a5f0", 0, 4, 0),
        ("u16", "a5f0", 8, 8, 0xA5),
        ("u16", "a5f0", 15, 1, 1),
        ("u16", "a5f0", 14, 1, 0),
        ("u16", "a5f0", 0, 16, 0xA5F0),
        ("u32", "a5f0 1234", 16, 16, 0xA5F0),
        ("u32", "a5f0 1234", 12, 8, 0x01),
        ("u64", "8000 0000 0000 0001", 63, 1, 1),
        ("u64", "8000 0000 0000 0003", 0, 2, 3),
        ("u64", "8000 0000 0000 0001", 1, 62, 0),
    ],
)
def test_bits_of_a_register(type_: str, words: str, bit: int, count: int, value: int) -> None:
    reading = _read(_point(type_, bit=bit, bit_count=count), words)
    assert reading.raw == value
    assert reading.value == value


def test_bits_are_counted_after_the_words_are_in_order() -> None:
    point = _point("u32", bit=16, bit_count=16, word_order="low_first", byte_order="low_first")
    # bytes 34 12 f0 a5: each register turned is 1234 a5f0, the words turned 0xA5F01234
    assert _read(point, "3412 f0a5").value == 0xA5F0


def test_fields_of_one_register_are_points_of_their_own() -> None:
    status = _point("u16", "status", bit=0, bit_count=4)
    alarm = _point("u16", "alarm", bit=8, bit_count=1)
    kind = _point("u16", "kind", bit=12, bit_count=4, kind="identity", expect="3")
    profile = _profile(status, alarm, kind)
    check_profile(profile)
    request = ReadRequest(1, 3, 0, 1).encode()
    assert {k: r.value for k, r in _read_all(profile, "3107").items()} == {"status": 7, "alarm": 1}
    assert identities(profile, request, bytes.fromhex("0302 3107")) == {"kind": "3"}
    for reading in decode_block(profile, "m", request, bytes.fromhex("0302 4107")):
        assert (reading.quality, reading.reason) == (Quality.BAD, "identity mismatch: kind holds '4', not '3'")


def test_a_sentinel_of_a_field_is_that_of_its_bits() -> None:
    point = _point("u16", bit=4, bit_count=4, sentinels=[0xF])
    assert _read(point, "00f0").reason == "not available"
    assert _read(point, "ff0f").value == 0


@pytest.mark.parametrize(
    ("type_", "expect", "words"),
    [
        ("bcd32", "12345678", "1234 5678"), ("bcd32", "0x12345678", "1234 5678"), ("bcd16", "7", "0007"),
        ("m10k32", "19999", "0001 270f"), ("m10k64", "9999999999999999", "270f 270f 270f 270f"),
        ("u32", "12345678", "00bc 614e"), ("i16", "-2", "fffe"),
    ],
)  # fmt: skip
def test_an_identity_is_compared_as_the_number_that_it_tells(type_: str, expect: str, words: str) -> None:
    size = len(bytes.fromhex(words)) // 2
    profile = _profile(_point(type_, "serial", kind="identity", expect=expect), _point("u16", address=size))
    check_profile(profile)
    assert _read_all(profile, f"{words} 0001")["value"].quality is Quality.GOOD
    other = words[:-1] + ("0" if words[-1] != "0" else "1")
    reading = _read_all(profile, f"{other} 0001")["value"]
    assert reading.reason.startswith("identity mismatch: serial holds")


@pytest.mark.parametrize(("type_", "words"), [("bcd16", "a000"), ("m10k32", "0000 2710"), ("f32", "7fc0 0000")])
def test_an_identity_that_is_no_number_is_another_one(type_: str, words: str) -> None:
    size = len(bytes.fromhex(words)) // 2
    expect = None if type_ == "f32" else "1"
    profile = _profile(_point(type_, "serial", kind="identity", expect=expect), _point("u16", address=size))
    request = ReadRequest(1, 3, 0, size + 1).encode()
    answer = bytes((3, 2 * size + 2)) + bytes.fromhex(f"{words} 0001")
    told = f"{int(words.replace(' ', ''), 16):#x}"
    assert identities(profile, request, answer) == {"serial": told}
    reason = "" if expect is None else f"identity mismatch: serial holds {told!r}, not '1'"
    assert [one.reason for one in decode_block(profile, "m", request, answer)] == [reason]


@pytest.mark.parametrize(
    ("points", "part"),
    [
        ([_point("u16", bit=3)], "names bit 3 without a bit_count"),
        ([_point("i16", bit_count=1)], "only gauges and identities of u16, u32 and u64 are"),
        ([_point("f32", bit_count=1)], "is a bit field and a gauge of type f32"),
        ([_point("bcd16", bit_count=4)], "is a bit field and a gauge of type bcd16"),
        ([_point("u16", bit_count=4, kind="counter", unit="kWh")], "is a bit field and a counter of type u16"),
        ([_point("u16", bit=12, bit_count=5)], "has bits 12 to 16, beyond the 16 bits of u16"),
        ([_point("u16", bit_count=4), _point("u16", "b", bit=3, bit_count=2)], "points value and b overlap"),
        ([_point("u16", bit_count=4), _point("u16", "b")], "points value and b overlap"),
        (
            [_point("u16", bit_count=4), _point("u16", "b", bit=4, bit_count=4, byte_order="low_first")],
            "points value and b overlap",
        ),
        ([_point("u16", bit_count=4, sentinels=[0xFFFF])], "0xffff, which does not fit the 4 bits of its field"),
        ([_point("u16", bit_count=12, sentinels=[0x1000])], "0x1000, which does not fit the 12 bits of its field"),
        ([_point("u16", bit_count=4, kind="identity", expect="16")], "no whole number of type u16 in 4 bits"),
        ([_point("u16", bit_count=4, kind="identity", expect="0x10")], "no whole number of type u16 in 4 bits"),
        ([_point("bcd16", kind="identity", expect="10000")], "no whole number of type bcd16"),
        ([_point("bcd16", kind="identity", expect="-1")], "no whole number of type bcd16"),
        ([_point("u32", wraps_at=100)], "wraps at 100; only an unsigned counter wraps"),
        ([_point("i32", wraps_at=100, kind="counter", unit="Wh")], "only an unsigned counter wraps, at most at None"),
        ([_point("f32", wraps_at=100, kind="counter", unit="Wh")], "only an unsigned counter wraps, at most at None"),
        ([_point("u16", wraps_at=65537, kind="counter", unit="Wh")], "at most at 65536"),
        ([_point("bcd32", wraps_at=100_000_001, kind="counter", unit="Wh")], "at most at 100000000"),
    ],
)
def test_refused(points: list[Point], part: str) -> None:
    assert any(part in problem for problem in problems(_profile(*points))), list(problems(_profile(*points)))


@pytest.mark.parametrize(
    ("type_", "count"),
    [
        ("u16", 65_536),
        ("u32", 4_294_967_296),
        ("acc32", 4_294_967_296),
        ("u64", 18_446_744_073_709_551_616),
        ("acc64", 18_446_744_073_709_551_616),
        ("bcd16", 10_000),
        ("bcd32", 100_000_000),
        ("bcd48", 1_000_000_000_000),
        ("bcd64", 10_000_000_000_000_000),
        ("m10k32", 100_000_000),
        ("m10k48", 1_000_000_000_000),
        ("m10k64", 10_000_000_000_000_000),
        ("i32", None),
        ("f32", None),
        ("f64", None),
        ("string", None),
    ],
)
def test_where_a_counter_starts_again(type_: str, count: int | None) -> None:
    """The count after the highest one: 2^16, 2^32 and 2^64, or ten to the number of digits."""
    assert modulus(type_) == count


@pytest.mark.parametrize(("type_", "wraps_at"), [("u32", 10_000_000), ("u16", 65_536), ("m10k32", 99_999_999)])
def test_a_wrap_point_and_a_rate_are_what_is_known_of_a_counter_and_alter_no_reading(type_: str, wraps_at: int) -> None:
    plain = _point(type_, kind="counter", unit="Wh")
    told = _point(type_, kind="counter", unit="Wh", wraps_at=wraps_at, every=96)
    words = "0001" if type_ == "u16" else "0001 0002"
    assert _read(told, words) == _read(plain, words)


@pytest.mark.parametrize(("pattern", "digits"), [(0x1234, 1234), (0x9999, 9999), (0xA000, None), (0x000A, None)])
def test_digits_of_a_pattern(pattern: int, digits: int | None) -> None:
    assert digits_of("bcd16", pattern) == digits


@pytest.mark.parametrize(
    ("type_", "words", "sentinel"),
    [
        ("i16", "8000", 0x8000),
        ("u16", "ffff", 0xFFFF),
        ("i32", "8000 0000", 0x80000000),
        ("u32", "ffff ffff", 0xFFFFFFFF),
        ("i64", "8000 0000 0000 0000", 1 << 63),
        ("u64", "ffff ffff ffff ffff", (1 << 64) - 1),
    ],
)
def test_bad_input_18_what_is_not_implemented_is_no_number(type_: str, words: str, sentinel: int) -> None:
    reading = _read(_point(type_, sentinels=[sentinel], exponent=-1), words)
    assert (reading.quality, reading.value, reading.raw, reading.reason) == (Quality.BAD, None, 0, "not available")


def test_bad_input_18_a_scale_factor_that_is_not_implemented_is_none() -> None:
    points = (_point("i16", scale_point="scale"), _point("sunssf", "scale", address=1, kind="scale"))
    reading = _read_all(_profile(*points), "0007 8000")["value"]
    assert (reading.quality, reading.raw) == (Quality.BAD, 0)
    assert reading.reason == "scale factor invalid: -32768 is outside -10..10"


@pytest.mark.parametrize("order", sorted(ORDERS))
@pytest.mark.parametrize(
    ("type_", "pattern", "reason"),
    [
        ("f32", "7fc00000", "not a number"),
        ("f32", "7f800001", "not a number"),
        ("f32", "ffc00000", "not a number"),
        ("f32", "7f800000", "not a number"),
        ("f32", "ff800000", "not a number"),
        ("f32", "00000001", "denormal"),
        ("f32", "807fffff", "denormal"),
        ("f64", "7ff8000000000000", "not a number"),
        ("f64", "fff0000000000000", "not a number"),
        ("f64", "0000000000000001", "denormal"),
    ],
)
def test_bad_input_19_nan_infinity_and_denormal_in_every_order(
    order: str, type_: str, pattern: str, reason: str
) -> None:
    word_order, byte_order = ORDERS[order]
    words = [pattern[k : k + 4] for k in range(0, len(pattern), 4)]
    if byte_order == "low_first":
        words = [word[2:] + word[:2] for word in words]
    if word_order == "low_first":
        words.reverse()
    reading = _read(_point(type_, word_order=word_order, byte_order=byte_order), " ".join(words))
    assert (reading.quality, reading.raw, reading.reason) == (Quality.BAD, 0, reason)


@pytest.mark.parametrize(
    ("words", "quality", "reason"),
    [
        # 12 345.6796875 kWh is 4640 E6B8; exchanged it is −4.35 × 10^23
        ("e6b8 4640", Quality.UNCERTAIN, "out of range"),
        # 1e-41 or thereabouts: 50 is 4248 0000, exchanged a denormal
        ("0000 4248", Quality.BAD, "denormal"),
        # about 10^38: 7E96 7699 exchanged from 7699 7E96
        ("7e96 7699", Quality.UNCERTAIN, "out of range"),
        ("4640 e6b8", Quality.GOOD, ""),
    ],
)
def test_bad_input_20_words_exchanged_in_a_float_are_flagged(words: str, quality: Quality, reason: str) -> None:
    reading = _read(
        _point("f32", kind="counter", unit="kWh", word_order="high_first", minimum="0", maximum="1000000000"), words
    )
    assert (reading.quality, reading.reason) == (quality, reason)
