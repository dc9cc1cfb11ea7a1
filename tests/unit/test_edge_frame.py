"""Modbus TCP frames and conversations: every byte is waited for, every wrong one is found, what is older is skipped."""

from __future__ import annotations

import pytest

from edge.modbus.frame import Conversation, judge
from edge.modbus.identification import IdentifyRequest
from hakari.registers.requests import ReadRequest

ASKED = ReadRequest(1, 3, 100, 2)
GOOD = bytes.fromhex("0000 0007 01 03 04 1234 5678")
WRONG = {
    "wrong protocol": "0001 0007 01 03 04 1234 5678",
    "bytes after the answer": GOOD.hex() + "00",
    "another answer behind it": GOOD.hex() + "0009" + GOOD.hex(),
    "garbage": "dead beef dead beef dead beef",
    "a page of garbage": "ff" * 200,
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n".hex(),
    "length of a byte": "0000 0001 01",
}


def _none_is_older(_: int) -> bool:
    return False


def _asked(request: ReadRequest | IdentifyRequest = ASKED, given: int = 0) -> Conversation:
    conversation = Conversation(given)
    conversation.ask(request, request.encode())
    return conversation


def test_frames_are_those_of_the_guide() -> None:
    conversation = Conversation()
    assert conversation.ask(ASKED, ASKED.encode()) == bytes.fromhex("0001 0000 0006 01 03 0064 0002")
    identify = IdentifyRequest(9, 4)
    assert conversation.ask(identify, identify.encode()) == bytes.fromhex("0002 0000 0005 09 2b 0e 01 04")


@pytest.mark.parametrize("cut", range(14))
def test_every_byte_of_a_good_answer_is_waited_for(cut: int) -> None:
    whole = b"\0\1" + GOOD
    found = _asked().take(whole[:cut]) if cut else None
    assert found == ((bytes.fromhex("0304 1234 5678"), "") if cut >= len(whole) else None)


def test_answer_in_single_bytes_is_taken_at_its_last() -> None:
    conversation = _asked()
    found = [conversation.take(bytes((byte,))) for byte in b"\0\1" + GOOD]
    assert found == [None] * 12 + [(bytes.fromhex("0304 1234 5678"), "")]
    assert conversation.between


@pytest.mark.parametrize("at", range(9))
def test_every_flipped_header_byte_is_found(at: int) -> None:
    whole = b"\0\1" + GOOD
    for bit in range(8):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        found = judge(bytes(flipped), 1, ASKED, _none_is_older)
        assert found is not None
        assert found.answer == b""
        assert found.error.startswith("mismatch: ")


@pytest.mark.parametrize("what", WRONG)
def test_wrong_bytes_end_the_conversation(what: str) -> None:
    conversation = _asked()
    found = conversation.take(b"\0\1" + bytes.fromhex(WRONG[what]))
    assert found is not None
    assert found[0] == b""
    assert conversation.doubt == found[1]
    assert found[1].startswith("mismatch: ")


def test_exception_is_an_answer() -> None:
    found = _asked().take(bytes.fromhex("0001 0000 0003 01 83 02"))
    assert found == (bytes.fromhex("8302"), "exception 2 (illegal data address)")


def test_wrong_transaction_is_named() -> None:
    conversation = _asked()
    assert conversation.take(b"\0\0" + GOOD) == (b"", "mismatch: transaction 0000 instead of 0001")


@pytest.mark.parametrize("joined", [False, True])
def test_answer_to_an_older_request_is_skipped(*, joined: bool) -> None:
    conversation = _asked()
    conversation.give_up()
    conversation.ask(ASKED, ASKED.encode())
    late, ours = b"\0\1" + bytes.fromhex("0000 0007 01 03 04 dead dead"), b"\0\2" + GOOD
    if joined:
        found = conversation.take(late + ours)
    else:
        assert conversation.take(late) is None
        found = conversation.take(ours)
    assert found == (bytes.fromhex("0304 1234 5678"), "")
    assert (conversation.stale, conversation.doubt) == (1, "")


def test_answer_that_comes_twice_is_taken_once() -> None:
    conversation = _asked()
    assert conversation.take(b"\0\1" + GOOD + b"\0\1" + GOOD) == (bytes.fromhex("0304 1234 5678"), "")
    assert conversation.take(b"\0\1" + GOOD) is None
    assert (conversation.stale, conversation.doubt) == (2, "")


@pytest.mark.parametrize("told", ["0000", "0002", "ffff"])
def test_frame_that_nobody_asked_for_is_doubt(told: str) -> None:
    conversation = _asked()
    conversation.take(b"\0\1" + GOOD)
    assert conversation.take(bytes.fromhex(told) + GOOD) is None
    assert conversation.doubt == f"mismatch: transaction {told} that nobody asked for"


def test_first_byte_of_a_conversation_is_doubt_when_nothing_was_asked() -> None:
    conversation = Conversation()
    assert conversation.take(b"\0\0" + GOOD) is None
    assert conversation.doubt


def test_ids_go_on_over_connections_and_come_back_after_65536() -> None:
    seen = set()
    conversation = Conversation(given=65_000)
    for _ in range(65_536):
        seen.add(conversation.ask(ASKED, ASKED.encode())[:2])
    assert len(seen) == 65_536
    assert conversation.ask(ASKED, ASKED.encode())[:2] == (65_001).to_bytes(2, "big")


def test_ids_of_a_bus_begin_where_it_says_and_only_those_are_its_own() -> None:
    conversation = Conversation(given=2, first=65_533)
    assert conversation.ask(ASKED, ASKED.encode())[:2] == b"\0\0"
    late = bytes.fromhex("0000 0007 01 03 04 dead dead")
    assert conversation.take(b"\xff\xfe" + late + b"\xff\xff" + late + b"\0\0" + GOOD) == (GOOD[5:], "")
    conversation = Conversation(given=2, first=65_533)
    conversation.ask(ASKED, ASKED.encode())
    assert conversation.take(b"\xff\xfd" + late) == (b"", "mismatch: transaction fffd instead of 0000")


def test_answer_of_an_earlier_connection_is_skipped_on_the_next() -> None:
    conversation = _asked(given=7)
    assert conversation.take(b"\0\7" + GOOD + b"\0\x08" + GOOD) == (bytes.fromhex("0304 1234 5678"), "")


def test_identification_is_taken_whole() -> None:
    body = bytes.fromhex("2b 0e 01 01 00 00 01 00 02") + b"ab"
    frame = bytes.fromhex("0001 0000") + (len(body) + 1).to_bytes(2, "big") + b"\x09" + body
    conversation = _asked(IdentifyRequest(9))
    assert conversation.take(frame[:-1]) is None
    assert conversation.take(frame[-1:]) == (body, "")
