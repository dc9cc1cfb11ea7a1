"""A bus as the edge sees it, the port of every transport: one request at a time, one exchange back.

What an exchange's `error` says is asked of the functions here; its words stand here and in `hakari.registers.requests`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest

BACKOFF_MIN_S = 1.0
BACKOFF_MAX_S = 30.0

TIMEOUT = "timeout"
CONNECTION = "connection"
WAITING = f"{CONNECTION} {TIMEOUT}, waiting before the next attempt"
NOT_TRIED = "not tried: "
_MISMATCH = "mismatch"
_EXCEPTION = "exception"
_CLOSED = (f"{CONNECTION} {TIMEOUT}", f"{CONNECTION}:")


def _exceptions(*codes: int) -> tuple[str, ...]:
    return tuple(f"{_EXCEPTION} {code} " for code in codes)


_NOT_THERE = _exceptions(1, 2, 3)
_REFUSED = _exceptions(2, 3)
_BUSY = _exceptions(5, 6)
_GATEWAY = _exceptions(10, 11)


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


def is_untried(error: str) -> bool:
    """Whether nothing was sent: the line itself was not free, or it would have been in vain."""
    return error.startswith(NOT_TRIED)


def is_lost(error: str) -> bool:
    """Whether there was no connection, or it ended; one meter may be the cause of that."""
    return error.startswith(CONNECTION)


def is_closed(error: str) -> bool:
    """Whether the line itself cannot be opened: no meter on it is to blame."""
    return error.startswith(_CLOSED)


def is_mismatch(error: str) -> bool:
    """Whether something came that is no answer to the request."""
    return error.startswith(_MISMATCH)


def is_gateway(error: str) -> bool:
    """Whether it is a gateway's word that the meter behind it is silent."""
    return error.startswith(_GATEWAY)


def is_silent(error: str) -> bool:
    """Whether an exchange brought no word from the meter itself; its exceptions are such words, a gateway's are not."""
    return bool(error) and (not error.startswith(_EXCEPTION) or is_gateway(error))


def is_busy(error: str) -> bool:
    """Whether the meter asks to be asked again (acknowledge, busy)."""
    return error.startswith(_BUSY)


def is_refusal(error: str) -> bool:
    """Whether the meter says that the request, not the moment, was wrong (illegal data address, illegal data value)."""
    return error.startswith(_REFUSED)


def is_not_there(error: str) -> bool:
    """Whether the meter says that it has no such register (illegal function too)."""
    return error.startswith(_NOT_THERE)


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
