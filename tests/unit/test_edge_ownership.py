"""Whose answer is it: each rule by itself, on one clock that is an argument."""

from __future__ import annotations

import pytest

from edge.modbus.identification import IdentifyRequest
from edge.modbus.ownership import Fate, Ownership
from hakari.registers.requests import ReadRequest

ECHO_S, CHAR_S = 0.05, 0.001
A = ReadRequest(1, 3, 100, 2)
A_ELSEWHERE = ReadRequest(1, 3, 200, 2)
LONGER = ReadRequest(1, 3, 100, 4)
INPUTS = ReadRequest(1, 4, 100, 2)
NEIGHBOUR = ReadRequest(2, 3, 100, 2)
ANSWER = bytes.fromhex("01 03 04 1234 5678")
EXCEPTION = bytes.fromhex("01 83 02")


@pytest.fixture
def owner() -> Ownership:
    return Ownership(ECHO_S, CHAR_S)


def _unanswered(owner: Ownership, request: ReadRequest = A, until_s: float = 5.0) -> None:
    owner.sent(request, until_s)
    owner.gave_up()


def test_answer_that_fits_is_ours_once(owner: Ownership) -> None:
    owner.sent(A, 5.0)
    assert owner.received(ANSWER, 0.1) is Fate.OURS
    assert owner.received(ANSWER, 0.11) is Fate.NOISE


@pytest.mark.parametrize(
    "body", ["02 03 04 1234 5678", "01 04 04 1234 5678", "01 03 02 1234", "01 84 02", "02 83 02", "01 06 0064 0002"]
)
def test_what_fits_no_shape_is_noise_and_the_wait_goes_on(owner: Ownership, body: str) -> None:
    owner.sent(A, 5.0)
    assert owner.received(bytes.fromhex(body), 0.1) is Fate.NOISE
    assert owner.received(ANSWER, 0.2) is Fate.OURS


def test_unanswered_request_holds_back_its_own_shape_alone(owner: Ownership) -> None:
    _unanswered(owner)
    assert [owner.blocked_until(one, 1.0) for one in (A, A_ELSEWHERE)] == [5.0, 5.0]
    assert [owner.blocked_until(one, 1.0) for one in (LONGER, INPUTS, NEIGHBOUR)] == [1.0, 1.0, 1.0]
    assert owner.blocked_until(A, 5.0) == 5.0


def test_late_answer_is_nobodys_and_frees_nothing(owner: Ownership) -> None:
    _unanswered(owner)
    owner.sent(NEIGHBOUR, 6.0)
    assert owner.received(ANSWER, 2.0) is Fate.LATE
    assert owner.blocked_until(A, 2.0) == 5.0
    assert owner.received(b"\x02" + ANSWER[1:], 2.1) is Fate.OURS


def test_exception_that_may_be_an_older_requests_is_nobodys(owner: Ownership) -> None:
    _unanswered(owner)
    owner.sent(LONGER, 6.0)
    assert owner.received(EXCEPTION, 1.0) is Fate.LATE
    assert owner.received(bytes.fromhex("01 03 08 0001 0002 0003 0004"), 1.1) is Fate.OURS


def test_exception_of_a_later_request_is_taken_when_no_older_is_open(owner: Ownership) -> None:
    _unanswered(owner)
    owner.sent(LONGER, 11.0)
    assert owner.received(EXCEPTION, 6.0) is Fate.OURS


def test_answer_holds_back_its_own_shape_for_the_echo_window(owner: Ownership) -> None:
    owner.sent(A, 5.0)
    owner.received(ANSWER, 1.0)
    until_s = 1.0 + ECHO_S + len(ANSWER) * CHAR_S
    assert [owner.echo_until(one, 1.01) for one in (A, A_ELSEWHERE)] == [until_s, until_s]
    assert [owner.echo_until(one, 1.01) for one in (LONGER, INPUTS, NEIGHBOUR)] == [1.01, 1.01, 1.01]
    assert owner.echo_until(A, 2.0) == 2.0


def test_each_repetition_begins_the_window_anew(owner: Ownership) -> None:
    owner.sent(A, 5.0)
    owner.received(ANSWER, 1.0)
    owner.received(ANSWER, 1.04)
    assert owner.echo_until(A, 1.05) == 1.04 + ECHO_S + len(ANSWER) * CHAR_S


def test_exception_holds_back_every_count_of_its_unit_and_function(owner: Ownership) -> None:
    owner.sent(A, 5.0)
    owner.received(EXCEPTION, 1.0)
    assert owner.echo_until(LONGER, 1.01) > 1.01
    assert [owner.echo_until(one, 1.01) for one in (INPUTS, NEIGHBOUR)] == [1.01, 1.01]


def test_identification_has_a_shape_of_its_own(owner: Ownership) -> None:
    answer = bytes.fromhex("01 2b 0e 01 01 00 00 01 00 01 41")
    owner.sent(IdentifyRequest(1), 5.0)
    owner.gave_up()
    assert owner.blocked_until(IdentifyRequest(1, 2), 1.0) == 5.0
    assert owner.blocked_until(A, 1.0) == 1.0
    assert owner.received(answer, 1.0) is Fate.LATE


def test_only_what_may_be_an_answer_is_awaited(owner: Ownership) -> None:
    _unanswered(owner, NEIGHBOUR)
    owner.sent(A, 5.0)
    for beginning, awaited in {
        "01": True, "0103": True, "010304": True, "0183": True, "018302": True, "02": True, "020304": True,
        "03": False, "0104": False, "010306": False, "0283": True, "0203c8": False,
    }.items():  # fmt: skip
        assert owner.expects(bytes.fromhex(beginning)) is awaited, beginning


def test_frames_without_end_are_kept_within_a_limit(owner: Ownership) -> None:
    for number in range(2_000):
        owner.received(bytes((9, 3, 2)) + number.to_bytes(2, "big"), 1.0)
    assert len(owner._seen) == 256
