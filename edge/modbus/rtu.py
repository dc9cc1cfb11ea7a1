"""Modbus RTU on a serial line or through a transparent serial server: one request at a time, each tried once.

Guaranteed: an answer is taken only by the rules of `edge.modbus.ownership`; before a request the line is silent for 3.5
characters, after a timeout it is drained first, and what never gets silent is told, not waited for; a request is waited
for no longer than its timeout and the time that request and answer take on the line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from edge.modbus.bus import CONNECTION, NOT_TRIED, TIMEOUT, WAITING, Backoff, Exchange
from edge.modbus.frame import Request, refusal_of
from edge.modbus.frame_rtu import REQUEST_BYTES, Scan, answer_bytes, char_s, frame_of, gap_s, scan
from edge.modbus.identification import IdentifyRequest
from edge.modbus.ownership import Fate, Ownership
from edge.modbus.strays import Strays
from edge.modbus.waits import Pace, Waits
from edge.settings import BusTable
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest

SHORT_WAIT_S = 0.25
ECHO_S = 0.05
ECHO_TCP_S = 0.2
DRAIN_S = 0.05
IDENTIFICATION_BYTES = 256

OLDER = NOT_TRIED + "an answer to an older request may still come"
NOISY = NOT_TRIED + "the line is not silent"


class Line(Protocol):
    """Where the bytes go: a serial device or a socket."""

    protocol: str
    closes_on_timeout: bool

    @property
    def is_open(self) -> bool:
        """Whether bytes can be written."""
        ...

    async def open(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> str:
        """Opens the line, then hands on what comes until `lost` or `close`; "" or "connection…", why not."""
        ...

    def write(self, frame: bytes) -> bool:
        """Sends; whether all of it was taken."""
        ...

    def close(self) -> None:
        """Gives the line up, without `lost`."""
        ...


class RtuBus:
    """The port over one line. `noise` counts bytes that belonged to no answer, `late` answers to older requests."""

    def __init__(self, place: BusTable, waits: Waits, line: Line) -> None:
        self.protocol = line.protocol
        self._line = line
        self._timeout_s = place.timeout_s
        self._late_s = place.late_s
        self._char_s = char_s(place.baud_rate, place.parity, place.stop_bits)
        self._gap_s = gap_s(place.baud_rate, place.parity, place.stop_bits)
        self._delay_s = waits.connect_delay_ms / 1000
        self._pace = Pace(waits)
        self._backoff = Backoff(place.timeout_s)
        self._owner = Ownership(ECHO_TCP_S if line.closes_on_timeout else ECHO_S, self._char_s)
        self._lock = asyncio.Lock()
        self._answer: asyncio.Future[tuple[bytes, str]] | None = None
        self._request: Request | None = None
        self._buffer = b""
        self._active_s = 0.0
        self._dirty = False
        self._came = 0
        self._heard = False
        self.noise = 0
        self.late = 0
        self._strays = Strays(place.device or f"{place.host}:{place.port}")

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange; what goes wrong on the line is its `error`, never an exception."""
        wire_s = (REQUEST_BYTES + answer_bytes(request.count)) * self._char_s
        return await self._exchange(request, wire_s, clock)

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        """One read of device identification."""
        return await self._exchange(IdentifyRequest(unit, object_id), IDENTIFICATION_BYTES * self._char_s, clock)

    def close(self) -> None:
        """Gives the line up; the next request opens it again. What was asked stays open."""
        self._line.close()
        self._decide((b"", CONNECTION))

    async def _exchange(self, request: Request, wire_s: float, clock: PlantClock) -> Exchange:
        loop = asyncio.get_running_loop()
        async with self._lock:
            started_s = loop.time()
            answer, error = b"", await self._opened(loop) or await self._permitted(request, loop)
            if not error:
                started_s = loop.time()
                answer, error = await self._asked(request, wire_s, loop)
                self._pace.ended(request.unit)
            round_trip_us = int((loop.time() - started_s) * 1_000_000)
        if self.late or self.noise:
            self._strays.told(self.late, self.noise, loop.time())
        now = clock.now()
        return Exchange(request.encode(), answer, error, now.wall_ms, now.mono_ms, round_trip_us)

    async def _opened(self, loop: asyncio.AbstractEventLoop) -> str:
        if self._line.is_open:
            return ""
        if self._backoff.holds(loop.time()):
            return WAITING
        error = await self._line.open(self._received, self._lost)
        if error:
            self._backoff.failed(loop.time(), error)
            return error
        self._backoff.succeeded()
        self._buffer, self._dirty = b"", True
        # Nobody knows what the owner before us asked: at first its answers are let pass.
        wait_s = self._delay_s if self._heard else max(self._delay_s, self._late_s)
        await asyncio.sleep(wait_s)
        self._heard = True
        self._active_s = loop.time()
        return ""

    async def _permitted(self, request: Request, loop: asyncio.AbstractEventLoop) -> str:
        """Waits until `request` may go out; "" or why it must not."""
        now_s = begun_s = loop.time()
        if self._owner.blocked_until(request, now_s) > now_s + SHORT_WAIT_S:
            return OLDER
        limit_s = begun_s + self._timeout_s + self._longest_wait_s(request, now_s)
        while (free_s := self._free_s(request, now_s)) > now_s:
            if now_s > limit_s:
                return NOISY
            await asyncio.sleep(min(free_s, limit_s + self._gap_s) - now_s)
            now_s = loop.time()
            if not self._line.is_open:
                return CONNECTION
        self._dirty = False
        return ""

    def _longest_wait_s(self, request: Request, now_s: float) -> float:
        owner, free_s = self._owner, self._pace.free_s(request.unit)
        return max(owner.blocked_until(request, now_s), owner.echo_until(request, now_s), free_s) - now_s

    def _free_s(self, request: Request, now_s: float) -> float:
        """When the request may go out if nothing more comes."""
        silent_s = max(DRAIN_S, self._gap_s) if self._dirty else self._gap_s
        return max(
            self._active_s + silent_s,
            self._pace.free_s(request.unit),
            self._owner.blocked_until(request, now_s),
            self._owner.echo_until(request, now_s),
        )

    async def _asked(self, request: Request, wire_s: float, loop: asyncio.AbstractEventLoop) -> tuple[bytes, str]:
        """Sends and waits: answer and error."""
        sent_s = loop.time()
        self._drop()
        self._came = 0
        self._request = request
        self._owner.sent(request, sent_s + wire_s + self._late_s)
        self._answer = answer = loop.create_future()
        deadline = loop.call_at(sent_s + wire_s + self._timeout_s, self._decide, (b"", TIMEOUT))
        self._active_s = sent_s + len(request.encode()) * self._char_s
        if not self._line.write(frame_of(request.encode())):
            self._lost()
        found: tuple[bytes, str] = (b"", TIMEOUT)
        try:
            found = await answer
        finally:
            deadline.cancel()
            self._answer = self._request = None
            self._owner.gave_up()
            if not found[0]:
                self._doubted()
        if found[1] == TIMEOUT and self._came:
            return b"", f"mismatch: {self._came} bytes came, no answer to this request among them"
        return found

    def _doubted(self) -> None:
        """Nobody knows what still comes: the line is drained, a connection through a serial server ended."""
        self._dirty = True
        if self._line.closes_on_timeout:
            self._line.close()

    def _received(self, data: bytes) -> None:
        self._active_s = now_s = asyncio.get_running_loop().time()
        self._came += len(data)
        found: Scan = scan(self._buffer + data, self._owner.expects)
        self._buffer = found.rest
        self.noise += found.noise
        for frame in found.frames:
            fate = self._owner.received(frame.body, now_s)
            if fate is Fate.OURS and self._request is not None:
                self._decide((frame.answer, refusal_of(self._request, frame.answer)))
            elif fate is Fate.LATE:
                self.late += 1
            else:
                self.noise += len(frame.body) + 2

    def _lost(self) -> None:
        self._line.close()
        self._decide((b"", CONNECTION))

    def _drop(self) -> None:
        self.noise += len(self._buffer)
        self._buffer = b""

    def _decide(self, found: tuple[bytes, str]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(found)
