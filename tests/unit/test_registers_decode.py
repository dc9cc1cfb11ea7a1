"""Decoding: a failed read is never a number, an identity that is not the meter's takes every reading away."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hakari.quality import Quality
from hakari.registers.decode import decode_block, decode_sample
from hakari.registers.profile import Point, Profile, Span
from hakari.registers.reading import Reading
from hakari.registers.requests import ReadRequest, RequestMalformed, refusal


def _profile(*points: Point, spans: tuple[Span, ...] = ()) -> Profile:
    return Profile("p", "maker", "model", "source", "two-sources", list(points), list(spans))


def _gauge(type_: Any, **more: Any) -> Point:
    return Point("value", 0, type_, "gauge", **more)


def _read(point: Point, words: str) -> Reading:
    data = bytes.fromhex(words)
    request = ReadRequest(1, 3, 0, len(data) // 2).encode()
    (reading,) = decode_block(_profile(point), "m", request, bytes((3, len(data))) + data)
    return reading


@pytest.mark.parametrize(
    ("type_", "words", "value"),
    [
        ("u16", "ffff", "65535"),
        ("i16", "8000", "-32768"),
        ("u32", "ffffffff", "4294967295"),
        ("i32", "80000000", "-2147483648"),
        ("u64", "ffffffffffffffff", "18446744073709551615"),
        ("i64", "8000000000000000", "-9223372036854775808"),
        ("f32", "3dcccccd", "0.100000001490116119384765625"),
        ("f64", "3ff0000000000001", "1.0000000000000002220446049250313080847263336181640625"),
        ("acc32", "ffffffff", "4294967295"),
    ],
)
def test_each_type_is_exact(type_: str, words: str, value: str) -> None:
    reading = _read(_gauge(type_), words)
    assert (reading.quality, reading.value) == (Quality.GOOD, Decimal(value))


@pytest.mark.parametrize(
    ("type_", "words", "value"),
    [("u32", "56781234", 0x12345678), ("u64", "0004000300020001", 0x0001000200030004), ("u16", "1234", 0x1234)],
)
def test_low_word_first(type_: str, words: str, value: int) -> None:
    assert _read(_gauge(type_, word_order="low_first"), words).value == value


@pytest.mark.parametrize(
    ("type_", "words", "reason"),
    [
        ("f32", "7fc00000", "not a number"),
        ("f32", "ff800000", "not a number"),
        ("f32", "00000001", "denormal"),
        ("f32", "807fffff", "denormal"),
        ("f64", "7ff8000000000000", "not a number"),
        ("f64", "0000000000000001", "denormal"),
        ("f64", "0010000000000000", "too large or too small to be exact"),
        ("f64", "7fefffffffffffff", "too large or too small to be exact"),
        ("acc32", "00000000", "not accumulated"),
    ],
)
def test_what_is_no_number_is_bad(type_: str, words: str, reason: str) -> None:
    reading = _read(_gauge(type_), words)
    assert (reading.quality, reading.value, reading.raw, reading.reason) == (Quality.BAD, None, 0, reason)


@pytest.mark.parametrize("biased", [1023 - 200, 1023 + 600])
def test_doubles_at_the_edge_of_exactness_have_a_value(biased: int) -> None:
    raw = biased << 52 | 0xFFFFFFFFFFFFF
    assert _read(_gauge("f64", exponent=-18), f"{raw:016x}").value is not None


def test_sentinel_is_bad_and_its_neighbour_is_not() -> None:
    point = _gauge("i16", sentinels=[0x8000, 0x7FFF])
    assert _read(point, "8000").reason == "not available"
    assert _read(point, "7fff").quality is Quality.BAD
    assert _read(point, "7ffe").value == 32766


@pytest.mark.parametrize(("words", "quality"), [("0064", 0), ("0065", 1), ("fff6", 0), ("fff5", 1)])
def test_bounds_are_inclusive_and_alter_nothing(words: str, quality: int) -> None:
    reading = _read(_gauge("i16", exponent=-1, minimum="-1.0", maximum="10"), words)
    assert reading.quality == quality
    assert reading.value == Decimal(int.from_bytes(bytes.fromhex(words), "big", signed=True)).scaleb(-1)
    assert reading.reason == ("out of range" if quality else "")


SCALED = _profile(
    Point("energy", 10, "acc32", "counter", "Wh", scale_point="scale"),
    Point("scale", 12, "sunssf", "scale"),
)


@pytest.mark.parametrize(("scale", "exponent"), [("0000", 0), ("000a", 10), ("fff6", -10)])
def test_scale_factor_of_the_same_answer(scale: str, exponent: int) -> None:
    request = ReadRequest(1, 3, 10, 3).encode()
    (reading,) = decode_block(SCALED, "m", request, bytes.fromhex("0306 0000 0007" + scale))
    assert (reading.raw, reading.exponent, reading.quality) == (7, exponent, Quality.GOOD)


@pytest.mark.parametrize("scale", ["000b", "fff5", "8000", "7fff"])
def test_scale_factor_out_of_bounds_is_bad(scale: str) -> None:
    request = ReadRequest(1, 3, 10, 3).encode()
    (reading,) = decode_block(SCALED, "m", request, bytes.fromhex("0306 0000 0007" + scale))
    assert (reading.quality, reading.raw) == (Quality.BAD, 0)
    assert reading.reason.startswith("scale factor invalid")


def test_scale_factor_of_another_answer_is_not_used() -> None:
    blocks = [
        (ReadRequest(1, 3, 10, 2).encode(), bytes.fromhex("0304 0000 0007"), ""),
        (ReadRequest(1, 3, 12, 1).encode(), bytes.fromhex("0302 0001"), ""),
    ]
    first, second = decode_sample(SCALED, "m", blocks)
    assert [(r.quality, r.reason) for r in first] == [(Quality.BAD, "scale factor not in the block")]
    assert second == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no answer"),
        ("8302", "exception 2 (illegal data address)"),
        ("830b", "exception 11 (gateway target device failed to respond)"),
        ("83ff", "exception 255 (unknown)"),
        ("83", "mismatch: exception answer of 1 bytes instead of 2"),
        ("830200", "mismatch: exception answer of 3 bytes instead of 2"),
        ("8402", "mismatch: function code 132 instead of 3"),
        ("04060000000700 01", "mismatch: function code 4 instead of 3"),
        ("0304000000070001", "mismatch: byte count 4 instead of 6"),
        ("0306000000070 0", "mismatch: 5 data bytes instead of 6"),
        ("0306000000070001 00", "mismatch: 7 data bytes instead of 6"),
        ("03", "mismatch: byte count missing instead of 6"),
    ],
)
def test_unusable_answers_are_never_decoded(answer: str, reason: str) -> None:
    request = ReadRequest(1, 3, 10, 3)
    pdu = bytes.fromhex(answer.replace(" ", ""))
    assert refusal(request, pdu) == reason
    (reading,) = decode_block(SCALED, "m", request.encode(), pdu)
    assert (reading.quality, reading.raw, reading.value, reading.reason) == (Quality.BAD, 0, None, reason)


IDENTIFIED = _profile(
    Point("serial", 0, "string", "identity", words=2, expect="AB1"),
    Point("model", 2, "u16", "identity", expect="0x0103"),
    Point("energy", 10, "u32", "counter", "Wh"),
    Point("power", 12, "i16", "gauge", "W"),
)
FIRST, SECOND = ReadRequest(7, 3, 10, 3).encode(), ReadRequest(7, 3, 0, 3).encode()
VALUES, OURS = bytes.fromhex("0306 00000009 fffe"), bytes.fromhex("0306 41423100 0103")


def _sample(identity: bytes | None, error: str = "") -> list[Reading]:
    energies, nothing = decode_sample(IDENTIFIED, "m", [(FIRST, VALUES, ""), (SECOND, identity, error)])
    assert nothing == []
    return energies


def test_identity_that_fits_leaves_readings_good() -> None:
    assert [(r.point, r.value, r.quality) for r in _sample(OURS)] == [
        ("energy", Decimal(9), Quality.GOOD), ("power", Decimal(-2), Quality.GOOD)]  # fmt: skip


@pytest.mark.parametrize("other", ["0306 41423200 0103", "0306 41423100 0104", "0306 41423120 0203"])
def test_another_meter_takes_every_reading_of_the_sample_away(other: str) -> None:
    for reading in _sample(bytes.fromhex(other)):
        assert (reading.quality, reading.raw) == (Quality.BAD, 0)
        assert reading.reason.startswith("identity mismatch: ")


@pytest.mark.parametrize(("answer", "error"), [(None, "timeout"), (bytes.fromhex("8302"), ""), (OURS, "mismatch: x")])
def test_identity_that_was_not_read_leaves_doubt(answer: bytes | None, error: str) -> None:
    for reading in _sample(answer, error):
        assert (reading.quality, reading.reason) == (Quality.UNCERTAIN, "identity not read")
        assert reading.value is not None


def test_error_of_a_block_is_the_reason_of_its_points_even_with_an_answer() -> None:
    for answer in (None, b"", VALUES):
        energies, _ = decode_sample(IDENTIFIED, "m", [(FIRST, answer, "timeout"), (SECOND, OURS, "")])
        assert [(r.point, r.quality, r.raw, r.reason) for r in energies] == [
            ("energy", Quality.BAD, 0, "timeout"), ("power", Quality.BAD, 0, "timeout")]  # fmt: skip


def test_point_only_partly_inside_a_request_is_not_read() -> None:
    assert (
        decode_block(_profile(_gauge("u32")), "m", ReadRequest(1, 3, 0, 1).encode(), bytes.fromhex("0302 0001")) == []
    )


def test_input_registers_are_another_table() -> None:
    assert (
        decode_block(_profile(_gauge("u16")), "m", ReadRequest(1, 4, 0, 1).encode(), bytes.fromhex("0402 0001")) == []
    )


@pytest.mark.parametrize(
    "request_hex", ["", "0103000000", "01030000000100", "010300000000", "01030000007e", "0103ffff0002", "010600000001"]
)
def test_malformed_requests_are_refused(request_hex: str) -> None:
    with pytest.raises(RequestMalformed):
        decode_block(SCALED, "m", bytes.fromhex(request_hex), b"")


@pytest.mark.parametrize("numbers", [(256, 3, 0, 1), (-1, 3, 0, 1), (1, 16, 0, 1), (1, 3, 0, 126), (1, 3, 65535, 2)])
def test_illegal_reads_cannot_be_built(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(RequestMalformed):
        ReadRequest(*numbers)


@pytest.mark.parametrize(("scale", "quality"), [("0002", Quality.GOOD), ("0003", Quality.BAD), ("0013", Quality.BAD)])
def test_plain_scale_register_has_sentinels_and_bounds(scale: str, quality: Quality) -> None:
    profile = _profile(
        Point("value", 0, "u16", "gauge", scale_point="scale"), Point("scale", 1, "u16", "scale", sentinels=[3])
    )
    (reading,) = decode_block(profile, "m", ReadRequest(1, 3, 0, 2).encode(), bytes.fromhex("0304 0005" + scale))
    assert (reading.quality, reading.value) == (quality, Decimal(500) if quality is Quality.GOOD else None)


FLOATS = [Point(f"t{k}", 0x3B + k, "f32", "gauge", table="input", word_order="high_first") for k in range(4)]
WORD = Point("w", 0x3C, "u16", "gauge", table="input")
SEPARATE = Profile("p", "maker", "model", "source", "one-source", [*FLOATS, WORD], separate=True)


def _separate(address: int, words: str) -> dict[str, Decimal | None]:
    data = bytes.fromhex(words)
    request = ReadRequest(1, 4, address, len(data) // 2).encode()
    readings = decode_block(SEPARATE, "m", request, bytes((4, len(data))) + data)
    return {reading.point: reading.value for reading in readings}


def test_an_answer_of_a_separate_profile_gives_its_own_point_only() -> None:
    assert _separate(0x3B, "414c 0000") == {"t0": Decimal("12.75")}
    assert _separate(0x3C, "40e0 0000") == {"t1": Decimal(7)}
    assert _separate(0x3C, "40e0") == {"w": Decimal(0x40E0)}


def test_a_read_across_separate_points_gives_none() -> None:
    assert _separate(0x3B, "414c 0000 40e0 0000") == {}
    assert _separate(0x3B, "414c 0000 40e0") == {}
    assert _separate(0x3A, "0000 414c 0000") == {}


def test_each_block_of_a_sample_keeps_its_own_point_and_error() -> None:
    blocks = [
        (ReadRequest(1, 4, 0x3B, 2).encode(), bytes.fromhex("0404 414c 0000"), ""),
        (ReadRequest(1, 4, 0x3C, 2).encode(), None, "timeout"),
        (ReadRequest(1, 4, 0x3D, 2).encode(), bytes.fromhex("0404 41e4 0000"), ""),
    ]
    read = decode_sample(SEPARATE, "m", blocks)
    assert [[(r.point, r.value, r.reason) for r in block] for block in read] == [
        [("t0", Decimal("12.75"), "")],
        [("t1", None, "timeout")],
        [("t2", Decimal("28.5"), "")],
    ]
