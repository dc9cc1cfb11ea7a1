"""A bus as the edge sees it: one request at a time, one exchange back. The port of every transport."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest


class Exchange(NamedTuple):
    """One request and what came of it.

    `request` is unit + PDU, `answer` the PDU (empty unless it is one to this request; an exception answer is
    kept), `error` "" or "timeout", "connection…", "mismatch: …", "exception …"; `wall_ms` and `mono_ms` are
    plant time of the answer, `round_trip_us` machine time.
    """

    request: bytes
    answer: bytes
    error: str
    wall_ms: int
    mono_ms: int
    round_trip_us: int


class Bus(Protocol):
    """One line of meters. `protocol` is what blocks say: "modbus-tcp", "modbus-rtu" or "modbus-rtu-tcp"."""

    protocol: str

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange; what goes wrong on the wire is its `error`, never an exception."""
        ...

    def close(self) -> None:
        """Gives the line up; the next read opens it again."""
        ...
