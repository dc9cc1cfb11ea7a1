"""A bus as the edge sees it: one request at a time, one exchange back. The port of every transport."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest

BACKOFF_MIN_S = 1.0
BACKOFF_MAX_S = 30.0

TIMEOUT = "timeout"
CONNECTION = "connection"
WAITING = f"{CONNECTION} {TIMEOUT}, waiting before the next attempt"


class Exchange(NamedTuple):
    """One request and what came of it.

    `request` is unit + PDU, `answer` the PDU (empty unless it is one to this request; an exception answer is
    kept), `error` "" or "timeout", "connection…", "mismatch: …", "exception …", "not tried: …" (nothing was sent);
    `wall_ms` and `mono_ms` are plant time of the answer, `round_trip_us` machine time.
    """

    request: bytes
    answer: bytes
    error: str
    wall_ms: int
    mono_ms: int
    round_trip_us: int


class Bus(Protocol):
    """One line of meters. `protocol` is what blocks say: "modbus-tcp", "modbus-rtu" or "modbus-rtu-tcp".

    Guaranteed by every transport: nothing but reads is sent; an answer is one to this very request; each request is
    tried once and holds up no other beyond its timeout; what goes wrong on the wire is the exchange's `error`, never
    an exception. Plant time is an argument; machine time is that of the running event loop.
    """

    protocol: str

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One read of registers."""
        ...

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        """One read of device identification from `object_id` on; `edge.modbus.identification` reads its answer."""
        ...

    def close(self) -> None:
        """Gives the line up; the next request opens it again."""
        ...


class Backoff:
    """When a place may be connected to again. Times are seconds of one monotonic clock.

    One that refused is free at once; one that was silent is left alone for a time that doubles from 1 s (at least
    twice the timeout) to 30 s, so that it does not hold up the others each time.
    """

    def __init__(self, timeout_s: float) -> None:
        self._least_s = max(BACKOFF_MIN_S, 2 * timeout_s)
        self._wait_s = 0.0
        self._until_s = 0.0

    def holds(self, now_s: float) -> bool:
        """Whether the place is to be left alone."""
        return now_s < self._until_s

    def succeeded(self) -> None:
        """The place was there."""
        self._wait_s = self._until_s = 0.0

    def failed(self, now_s: float, error: str) -> None:
        """The attempt ended with `error`."""
        if error.startswith(f"{CONNECTION} {TIMEOUT}"):
            self._wait_s = max(self._least_s, min(2 * self._wait_s, BACKOFF_MAX_S))
            self._until_s = now_s + self._wait_s
        else:
            self.succeeded()
