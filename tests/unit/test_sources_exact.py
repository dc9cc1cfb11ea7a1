"""Numbers and times of other senders: exact, or refused with a sentence."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.exact import NotExact, NumberText, decimal_text, epoch_ms, iso_ms, strict_json

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text("0123456789.eE+-", max_size=12),
)


@given(NUMBERS, st.integers(-18, 18))
def test_a_number_keeps_its_value_to_the_last_digit_or_is_refused(text: str, power: int) -> None:
    try:
        told = decimal_text(text, power)
    except NotExact:
        return
    assert Decimal(told) == Decimal(text).scaleb(power)
    assert len(told.partition(".")[2]) <= 18
    assert -(2**63) <= int(told.replace(".", "")) < 2**63


@pytest.mark.parametrize(
    ("text", "power", "told"),
    [
        ("1.50", 0, "1.50"),
        ("1e3", 0, "1000"),
        ("12345", -3, "12.345"),
        ("1.5", 3, "1500"),
        ("-0.0", 0, "-0.0"),
        ("9223372036854775807", 0, "9223372036854775807"),
        ("1.0000000000000000000000", 0, "1.000000000000000000"),
        (".5", 0, "0.5"),
    ],
)
def test_digits_stay_as_they_were_given(text: str, power: int, told: str) -> None:
    assert decimal_text(text, power) == told


@pytest.mark.parametrize(
    "text", ["", "-", ".", "NaN", "inf", "1e400", "1" * 30, "0x10", "1_000", " 1", "1,5", "\u0661"]
)
def test_what_is_no_number_of_64_bits_is_refused(text: str) -> None:
    with pytest.raises(NotExact):
        decimal_text(text)


@pytest.mark.parametrize(
    ("text", "t_ms"),
    [
        ("2026-05-01T00:15:00+07:00", 1_777_569_300_000),
        ("2026-04-30T17:15:00.1239Z", 1_777_569_300_123),
        ("2026-04-30 17:15:00+0000", 1_777_569_300_000),
    ],
)
def test_iso_times_name_one_instant(text: str, t_ms: int) -> None:
    assert iso_ms(text) == t_ms


@pytest.mark.parametrize("text", ["2026-05-01T00:15:00", "2026-05-01", "2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_a_time_without_an_offset_or_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(NotExact):
        iso_ms(text)


def test_epochs_are_cut_to_milliseconds() -> None:
    assert epoch_ms("1777569300123999999", "ns") == 1_777_569_300_123
    assert epoch_ms("1777569300.5", "s") == 1_777_569_300_500
    for text in ("-1000", "1e99", "x"):
        with pytest.raises(NotExact):
            epoch_ms(text, "s")


def test_json_numbers_keep_their_characters() -> None:
    assert strict_json(b'{"a": [1.10, 123456789012345678901234567890, 1e400]}') == {
        "a": [NumberText("1.10"), NumberText("123456789012345678901234567890"), NumberText("1e400")]
    }


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff{}", "UTF-8"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "nested"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1, "a": 1}', "twice"),
    ],
)
def test_bad_input_26_json_that_is_none_is_refused_with_a_sentence(payload: bytes, reason: str) -> None:
    with pytest.raises(NotExact, match=reason):
        strict_json(payload)
