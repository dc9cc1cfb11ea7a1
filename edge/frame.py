"""Modbus TCP frames: whether the bytes received are the answer to the bytes sent. Pure.

Layout of the header: transaction id (2 bytes) · protocol id 0 (2) · length of what follows (2) · unit (1)
(MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3).
"""

from __future__ import annotations

from hakari.registers.requests import ReadRequest, refusal

HEADER_BYTES = 7
EXCEPTION_LENGTH = 3


def verdict(sent: bytes, received: bytes, request: ReadRequest) -> str | None:
    """None while bytes are missing, "" for a whole answer to `sent` (an exception too), else "mismatch: …".

    `sent` is the whole request frame, `received` everything that came since; any byte too many is a mismatch.
    """
    early = _header_problem(sent, received, request)
    if early or len(received) < HEADER_BYTES + 1:
        return early or None
    whole = 6 + int.from_bytes(received[4:6], "big")
    if len(received) < whole:
        return None
    if len(received) > whole:
        return f"mismatch: {len(received) - whole} bytes after the answer"
    problem = refusal(request, received[HEADER_BYTES:])
    return "" if problem.startswith("exception") else problem


def _header_problem(sent: bytes, received: bytes, request: ReadRequest) -> str:
    if len(received) >= 2 and received[:2] != sent[:2]:
        return f"mismatch: transaction {received[:2].hex()} instead of {sent[:2].hex()}"
    if len(received) >= 4 and received[2:4] != b"\0\0":
        return f"mismatch: protocol {received[2:4].hex()} instead of 0000"
    if len(received) >= 6:
        length, wanted = int.from_bytes(received[4:6], "big"), 3 + 2 * request.count
        if length not in (wanted, EXCEPTION_LENGTH):
            return f"mismatch: length {length} instead of {wanted}"
    if len(received) >= HEADER_BYTES and received[6] != request.unit:
        return f"mismatch: unit {received[6]} instead of {request.unit}"
    return ""
