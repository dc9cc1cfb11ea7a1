"""Device identification: the answer of the specification, several parts, and what is none."""

from __future__ import annotations

import pytest

from edge.modbus.identification import Identification, IdentifyRequest, parse, refusal
from hakari.registers.requests import RequestMalformed

# MODBUS Application Protocol V1.1b3, 6.21, the example of basic identification in one answer.
SPECIFIED = (
    bytes.fromhex("2b 0e 01 01 00 00 03 00 16")
    + b"Company identification"
    + bytes.fromhex("01 0f")
    + b"Product code XX"
    + bytes.fromhex("02 05")
    + b"V2.11"
)
FIRST_OF_TWO = bytes.fromhex("2b 0e 01 01 ff 02 02 00 16") + SPECIFIED[9:31] + SPECIFIED[31:48]


def test_specified_answer_is_read() -> None:
    assert refusal(SPECIFIED) == ""
    wanted = {0: "Company identification", 1: "Product code XX", 2: "V2.11"}
    assert parse(SPECIFIED) == Identification(wanted, None)


def test_more_follows_says_where_to_go_on() -> None:
    assert parse(FIRST_OF_TWO) == Identification({0: "Company identification", 1: "Product code XX"}, 2)


@pytest.mark.parametrize("cut", range(1, len(SPECIFIED)))
def test_cut_answer_is_none(cut: int) -> None:
    assert refusal(SPECIFIED[:cut]).startswith("mismatch: ")
    assert parse(SPECIFIED[:cut]) == Identification({}, None)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("", "no answer"),
        ("ab01", "exception 1 (illegal function)"),
        ("ab", "mismatch: exception answer of 1 bytes instead of 2"),
        ("0302 0001", "mismatch: function code 3 instead of 43"),
        ("2b 0d 01 01 00 00 00", "mismatch: 2b0d0101000000 is no head of a device identification"),
        ("2b 0e 01 01 00 00 00 00", "mismatch: 8 bytes that do not hold 0 objects"),
    ],
)
def test_what_identifies_nothing_says_why(answer: str, told: str) -> None:
    assert refusal(bytes.fromhex(answer)) == told


def test_text_is_shown_without_what_cannot_be_shown() -> None:
    value = b"\xffA\x1b[2J\n\0\0"
    answer = bytes.fromhex("2b 0e 01 01 00 00 01 00") + bytes((len(value),)) + value
    assert parse(answer).objects == {0: "?A?[2J?"}


@pytest.mark.parametrize(("unit", "object_id"), [(-1, 0), (256, 0), (1, -1), (1, 256)])
def test_request_outside_its_range_is_refused(unit: int, object_id: int) -> None:
    with pytest.raises(RequestMalformed):
        IdentifyRequest(unit, object_id)
