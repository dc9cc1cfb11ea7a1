"""Modbus TCP frames, without a socket: bytes in, verdict out.

Layout of the header: transaction id (2 bytes) · protocol id 0 (2) · length of what follows (2) · unit (1), then the PDU
(MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edge.modbus import identification
from edge.modbus.bus import is_mismatch
from edge.modbus.identification import IdentifyRequest
from hakari.registers.requests import ReadRequest, refusal

HEADER_BYTES = 7
UNCOUNTED_BYTES = 6
MIN_LENGTH = 3
MAX_LENGTH = 254
EXCEPTION_LENGTH = 3
TRANSACTIONS = 1 << 16

Request = ReadRequest | IdentifyRequest


class Verdict(NamedTuple):
    """What the first `used` bytes are.

    `answer` is the PDU of our answer; `error` "" or "exception …" (with the answer), else "mismatch: …"; both empty:
    a whole frame of an older transaction, to be skipped.
    """

    used: int
    answer: bytes
    error: str


def refusal_of(request: Request, answer: bytes) -> str:
    """Why a PDU answers nothing for `request`: an exception or a mismatch, "" when it is whole and fits."""
    return refusal(request, answer) if isinstance(request, ReadRequest) else identification.refusal(answer)


def frame_of(transaction: int, encoded: bytes) -> bytes:
    """The frame that asks: `encoded` is unit and PDU."""
    return transaction.to_bytes(2, "big") + b"\0\0" + len(encoded).to_bytes(2, "big") + encoded


def prefix_of(transaction: int, request: ReadRequest) -> bytes:
    """The nine bytes with which a good answer begins; `2 * count` bytes of registers follow."""
    data = 2 * request.count
    return bytes((transaction >> 8, transaction & 0xFF, 0, 0, 0, data + 3, request.unit, request.function, data))


def judge(received: bytes, transaction: int, request: Request, older: Callable[[int], bool]) -> Verdict | None:
    """The verdict on the frame that `received` begins with, None while bytes are missing.

    `transaction` is that of `request`; `older` says whether an id is one of ours that was given out before it. A wrong
    byte of the header is told as soon as it is there.
    """
    if len(received) >= 2:
        told = int.from_bytes(received[:2], "big")
        if told != transaction:
            if older(told):
                return skipped(received)
            return _wrong(f"transaction {told:04x} instead of {transaction:04x}")
    if problem := _header_problem(received, request):
        return _wrong(problem)
    if len(received) < UNCOUNTED_BYTES or len(received) < (whole := _whole(received)):
        return None
    answer = received[HEADER_BYTES:whole]
    problem = refusal_of(request, answer)
    return Verdict(whole, b"" if is_mismatch(problem) else answer, problem)


def skipped(received: bytes) -> Verdict | None:
    """The verdict on a frame that is not looked into: used up, or no frame of Modbus at all; None while incomplete."""
    if len(received) >= 4 and received[2:4] != b"\0\0":
        return _wrong(f"protocol {received[2:4].hex()} instead of 0000")
    if len(received) < UNCOUNTED_BYTES:
        return None
    length = int.from_bytes(received[4:6], "big")
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        return _wrong(f"length {length} outside {MIN_LENGTH}..{MAX_LENGTH}")
    return Verdict(_whole(received), b"", "") if len(received) >= _whole(received) else None


def _whole(received: bytes) -> int:
    return UNCOUNTED_BYTES + int.from_bytes(received[4:6], "big")


def _wrong(problem: str) -> Verdict:
    return Verdict(0, b"", f"mismatch: {problem}")


def _header_problem(received: bytes, request: Request) -> str:
    if len(received) >= 4 and received[2:4] != b"\0\0":
        return f"protocol {received[2:4].hex()} instead of 0000"
    if len(received) >= 6 and (problem := _length_problem(int.from_bytes(received[4:6], "big"), request)):
        return problem
    if len(received) >= HEADER_BYTES and received[6] != request.unit:
        return f"unit {received[6]} instead of {request.unit}"
    return ""


def _length_problem(length: int, request: Request) -> str:
    if isinstance(request, ReadRequest):
        wanted = 3 + 2 * request.count
        return "" if length in (wanted, EXCEPTION_LENGTH) else f"length {length} instead of {wanted}"
    return "" if MIN_LENGTH <= length <= MAX_LENGTH else f"length {length} outside {MIN_LENGTH}..{MAX_LENGTH}"


class Conversation:
    """The frames of one connection: gives each request its transaction, and each byte that comes its meaning.

    Ids count up from `first` over all connections of a bus (`given`: how many there were before) and come back after
    65,536 requests: some gateways answer on a new connection what was asked on an earlier one. Guaranteed: an
    answer is handed out only for the request that is waiting, only when its bytes fit in transaction, protocol, length,
    unit, function and count, and once; a frame of an earlier request of the bus is skipped whole; after anything else
    `doubt` is set for good.
    """

    def __init__(self, given: int = 0, first: int = 0) -> None:
        self.given = given
        self._request: Request | None = None
        self._transaction = (first + given) % TRANSACTIONS
        self._buffer = b""
        self._prefix = b""
        self._length = 0
        self.stale = 0
        self.doubt = ""

    @property
    def between(self) -> bool:
        """Whether no frame has begun and not ended."""
        return not self._buffer

    def ask(self, request: Request, encoded: bytes) -> bytes:
        """The frame that asks `request` (`encoded`: its unit and PDU); the one before is not waited for any more."""
        self.given += 1
        self._transaction = transaction = (self._transaction + 1) % TRANSACTIONS
        self._request = request
        if isinstance(request, ReadRequest):
            self._prefix = prefix_of(transaction, request)
            self._length = len(self._prefix) + 2 * request.count
        else:
            self._prefix, self._length = b"", -1
        return frame_of(transaction, encoded)

    def give_up(self) -> None:
        """The request is not waited for any more; its answer will be stale."""
        self._request = None

    def take(self, data: bytes) -> tuple[bytes, str] | None:
        """Answer and error for the request that waits, once it is decided; None before that, and for what is skipped.

        A mismatch is final for the connection. `doubt` is set too where nobody waits.
        """
        if len(data) == self._length and not self._buffer and self._request and data.startswith(self._prefix):
            self._request = None  # what nearly always comes: one good answer, whole and alone
            return data[HEADER_BYTES:], ""
        self._buffer += data
        found: tuple[bytes, str] | None = None
        while self._buffer and not self.doubt:
            verdict = self._judged()
            if verdict is None:
                break
            self._buffer = self._buffer[verdict.used :]
            if is_mismatch(verdict.error):
                self.doubt = verdict.error
            elif verdict.answer:
                found, self._request = (verdict.answer, verdict.error), None
            else:
                self.stale += 1
        return self._decided(found)

    def _decided(self, found: tuple[bytes, str] | None) -> tuple[bytes, str] | None:
        if found is not None and self._buffer and not self.doubt:
            self.doubt = f"mismatch: {len(self._buffer)} bytes after the answer"
        if self.doubt and (found is not None or self._request is not None):
            self._request = None
            return b"", self.doubt
        return found

    def _judged(self) -> Verdict | None:
        if self._request is not None:
            return judge(self._buffer, self._transaction, self._request, self._older)
        if len(self._buffer) < 2:
            return None
        told = int.from_bytes(self._buffer[:2], "big")
        if self.given and (told == self._transaction or self._older(told)):
            return skipped(self._buffer)
        return _wrong(f"transaction {told:04x} that nobody asked for")

    def _older(self, told: int) -> bool:
        age = (self._transaction - told) % TRANSACTIONS
        return 0 < age < self.given
