"""Modbus RTU frames, without a line: unit (1 byte) · PDU · CRC-16, low byte first (Modbus over Serial Line V1.02, 2.5).

An RTU frame says neither whose it is nor how long; its length is told from its bytes, its boundaries from its CRC. A
silence that ends a frame cannot be measured behind an operating system or a serial server and is not relied upon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edge.modbus import identification

CRC_START = 0xFFFF
CRC_POLYNOMIAL = 0xA001
CRC_BYTES = 2
MAX_BYTES = 256
MAX_BUFFER_BYTES = 2 * MAX_BYTES
EXCEPTION_BYTES = 5
ECHO_BYTES = 8
REQUEST_BYTES = 8
COUNTED = frozenset((1, 2, 3, 4))
ECHOING = frozenset((5, 6, 15, 16))

GAP_CHARS = 3.5
FAST_BAUD = 19_200
FAST_GAP_S = 0.001_750


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (CRC_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _table()


class Frame(NamedTuple):
    """One frame with a right CRC: `body` is unit and PDU."""

    body: bytes

    @property
    def unit(self) -> int:
        """Whose it says it is."""
        return self.body[0]

    @property
    def answer(self) -> bytes:
        """The PDU."""
        return self.body[1:]


class Scan(NamedTuple):
    """What was found in a buffer: whole frames in order, bytes that belong to none, and what may still become one."""

    frames: list[Frame]
    noise: int
    rest: bytes


def crc16(body: bytes) -> bytes:
    """The CRC as it is sent, low byte first."""
    crc = CRC_START
    for byte in body:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(CRC_BYTES, "little")


def frame_of(body: bytes) -> bytes:
    """Unit and PDU with their CRC."""
    return body + crc16(body)


def length_of(received: bytes) -> int | None:
    """Bytes of the answer that begins with these; None while too few are there to know, 0 when it can be none."""
    if len(received) < 3:
        return None
    function = received[1]
    if function & 0x80:
        return EXCEPTION_BYTES
    if function in COUNTED:
        length = 3 + received[2] + CRC_BYTES
    elif function in ECHOING:
        length = ECHO_BYTES
    elif function == identification.FUNCTION:
        inner = identification.length_of(received[1:])
        if inner is None:
            return None
        length = 1 + inner + CRC_BYTES
    else:
        return 0
    return length if length <= MAX_BYTES else 0


def scan(received: bytes, awaited: Callable[[bytes], bool]) -> Scan:
    """The frames in `received`, found again behind noise, an echo of our own request and broken frames.

    A beginning that may still grow into a frame holds back what follows only if `awaited(beginning)`, which gets its
    first three bytes: a stray byte that would be the head of a long frame must not swallow the answer behind it.
    """
    frames: list[Frame] = []
    noise = at = start = 0
    while at < len(received):
        length = length_of(received[at : at + MAX_BYTES])
        whole = length is not None and 0 < length <= len(received) - at
        if whole and length and _sound(received[at : at + length]):
            frames.append(Frame(received[at : at + length - CRC_BYTES]))
            noise += at - start
            at = start = at + length
            continue
        if not whole and length != 0 and awaited(received[at : at + 3]):
            break
        at += 1
    rest = received[start:]
    kept = _hopeful(rest)
    return Scan(frames, noise + len(rest) - len(kept), kept)


def _sound(frame: bytes) -> bool:
    return crc16(frame[:-CRC_BYTES]) == frame[-CRC_BYTES:]


def _hopeful(rest: bytes) -> bytes:
    """`rest` from the first byte on that may begin a frame which is not whole yet."""
    for at in range(max(0, len(rest) - MAX_BUFFER_BYTES), len(rest)):
        length = length_of(rest[at : at + MAX_BYTES])
        if length is None or length > len(rest) - at:
            return rest[at:]
    return b""


def char_s(baud_rate: int, parity: str, stop_bits: int) -> float:
    """Seconds of one character: a start bit, eight data bits, a parity bit where there is one, stop bits."""
    return (9 + (parity != "none") + stop_bits) / baud_rate


def gap_s(baud_rate: int, parity: str, stop_bits: int) -> float:
    """The silence before a request: 3.5 characters; 1.750 ms above 19,200 baud (V1.02, 2.5.1.1)."""
    return FAST_GAP_S if baud_rate > FAST_BAUD else GAP_CHARS * char_s(baud_rate, parity, stop_bits)


def answer_bytes(count: int) -> int:
    """Bytes of a good answer of `count` registers."""
    return 3 + 2 * count + CRC_BYTES
