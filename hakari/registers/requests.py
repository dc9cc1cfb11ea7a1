"""Read requests and what may count as their answer.

A request is kept as unit (1 byte) · function code (1) · address (2) · count (2); an answer is the PDU
alone: function code · byte count · data, or function code | 0x80 · exception code
(MODBUS Application Protocol Specification V1.1b3, 6.3, 6.4 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass

from hakari.errors import DataProblem
from hakari.registers.profile import MAX_BLOCK_WORDS, Table

REQUEST_BYTES = 6
MAX_UNIT = 255
MAX_ADDRESS = 65535
FUNCTION_OF: dict[Table, int] = {"holding": 3, "input": 4}
TABLE_OF: dict[int, Table] = {3: "holding", 4: "input"}
EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure",
    5: "acknowledge", 6: "server device busy", 8: "memory parity error", 10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}  # fmt: skip


class RequestMalformed(DataProblem):
    """Bytes or numbers are not a read of 1 to 125 registers with function code 3 or 4."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One read of `count` registers; nothing but a legal FC 3 or FC 4 read can be built."""

    unit: int
    function: int
    address: int
    count: int

    def __post_init__(self) -> None:
        if self.function not in TABLE_OF:
            raise RequestMalformed(f"function code {self.function} is not a register read; only 3 and 4 are sent")
        if not 0 <= self.unit <= MAX_UNIT:
            raise RequestMalformed(f"unit {self.unit} is outside 0..{MAX_UNIT}")
        if not 1 <= self.count <= MAX_BLOCK_WORDS:
            raise RequestMalformed(f"count {self.count} is outside 1..{MAX_BLOCK_WORDS} registers")
        if not 0 <= self.address <= MAX_ADDRESS + 1 - self.count:
            raise RequestMalformed(f"address {self.address} + {self.count} registers is outside 0..{MAX_ADDRESS}")

    @property
    def table(self) -> Table:
        """The table that is read."""
        return TABLE_OF[self.function]

    def encode(self) -> bytes:
        """The six bytes that a block keeps."""
        return bytes((self.unit, self.function)) + self.address.to_bytes(2, "big") + self.count.to_bytes(2, "big")

    @classmethod
    def parse(cls, request: bytes) -> ReadRequest:
        """The request in six bytes; RequestMalformed otherwise."""
        if len(request) != REQUEST_BYTES:
            raise RequestMalformed(f"request {request.hex()} has {len(request)} bytes, needs {REQUEST_BYTES}")
        return cls(request[0], request[1], int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big"))


def refusal(request: ReadRequest, answer: bytes) -> str:
    """Why `answer` gives no registers for `request`: an exception or a mismatch, "" when it is whole and fits."""
    if not answer:
        return "no answer"
    if answer[0] == request.function | 0x80:
        return _exception(answer)
    if answer[0] != request.function:
        return f"mismatch: function code {answer[0]} instead of {request.function}"
    wanted = 2 * request.count
    if len(answer) < 2 or answer[1] != wanted:
        return f"mismatch: byte count {answer[1] if len(answer) > 1 else 'missing'} instead of {wanted}"
    if len(answer) != 2 + wanted:
        return f"mismatch: {len(answer) - 2} data bytes instead of {wanted}"
    return ""


def _exception(answer: bytes) -> str:
    if len(answer) != 2:
        return f"mismatch: exception answer of {len(answer)} bytes instead of 2"
    return f"exception {answer[1]} ({EXCEPTIONS.get(answer[1], 'unknown')})"
