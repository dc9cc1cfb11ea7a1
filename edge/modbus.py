"""Modbus TCP, the only importer of pymodbus: one bus, one connection, one request at a time.

Guaranteed: an answer is taken only when its own bytes match the request's in transaction, protocol, length,
unit, function code and byte count; after a timeout, a mismatch or an unasked byte the connection is closed, so
that no late answer can be taken for a later one; nothing but reads is ever sent; `read` never raises for
what a network or a meter does. pymodbus gets to see only frames that have been checked here.
"""

from __future__ import annotations

import asyncio
import logging
import time

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge.bus import Exchange
from edge.frame import HEADER_BYTES, verdict
from edge.settings import BusTable
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest, refusal

BACKOFF_MIN_S = 1.0
BACKOFF_MAX_S = 60.0
PYMODBUS_TIMEOUT_FACTOR = 4

TIMEOUT = "timeout"
CONNECTION = "connection"

# Every failure is an Exchange's error; pymodbus's own log lines would only repeat it, without a limit.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class _Link:
    """One TCP connection: sends one read, judges what comes back, and is not used again once it is in doubt."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._sent = b""
        self._received = b""
        self._request: ReadRequest | None = None
        self._verdict: asyncio.Future[str] | None = None
        self.usable = False
        # Our own timeouts and retries rule; pymodbus's must never fire first.
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            timeout=timeout_s * PYMODBUS_TIMEOUT_FACTOR,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._on_packet,
            trace_connect=self._on_connect,
        )

    async def open(self) -> str:
        """Connects; "" or why not."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self.usable = await self._client.connect()
        except TimeoutError:
            return f"{CONNECTION} {TIMEOUT}"
        except OSError:
            return CONNECTION
        return "" if self.usable else CONNECTION

    def close(self) -> None:
        """Nothing that still arrives is looked at."""
        self.usable = False
        self._verdict = None
        self._client.close()

    async def read(self, request: ReadRequest) -> tuple[bytes, str]:
        """Answer PDU and error of one read; the link is closed unless the answer was whole and fitting."""
        self._request, self._sent, self._received = request, b"", b""
        self._verdict = judged = asyncio.get_running_loop().create_future()
        sending = asyncio.ensure_future(self._send(request))
        error = TIMEOUT
        try:
            async with asyncio.timeout(self._timeout_s):
                error = await judged
        except TimeoutError:
            pass
        finally:
            self._verdict = None
            sending.cancel()
            if error:
                self.close()
            await asyncio.wait([sending])
        if not sending.cancelled():
            sending.result()
        if error:
            return b"", error
        answer = self._received[HEADER_BYTES:]
        return answer, refusal(request, answer)

    async def _send(self, request: ReadRequest) -> None:
        read = self._client.read_holding_registers if request.table == "holding" else self._client.read_input_registers
        try:
            await read(request.address, count=request.count, device_id=request.unit)
        except (ModbusException, OSError):
            self._judge(CONNECTION)

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        """Called by pymodbus with a frame to send, or with everything received since the last whole frame."""
        if sending:
            self._sent = data
            return data
        if self._verdict is None or self._verdict.done() or self._request is None:
            self.usable = False  # an unasked byte: whatever follows on this connection is in doubt
            return b""
        found = verdict(self._sent, data, self._request)
        if found == "":
            self._received = data
        if found is not None:
            self._judge(found)
        return data if found == "" else b""

    def _on_connect(self, connected: bool) -> None:
        if not connected:
            self.usable = False
            self._judge(CONNECTION)

    def _judge(self, error: str) -> None:
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(error)


class Bus:
    """One Modbus TCP endpoint, connected when first needed and again whenever the connection was given up.

    A refused connection is tried again by the next read. One that timed out is not tried for a time that
    doubles from 1 s (at least twice the timeout) to 60 s, so that a silent host does not hold up its meters.
    """

    protocol = "modbus-tcp"

    def __init__(self, place: BusTable) -> None:
        self._address = (place.host, place.port)
        self._timeout_s = place.timeout_s
        self._link: _Link | None = None
        self._backoff_s = 0.0
        self._not_before_s = 0.0

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange; what goes wrong on the wire is its `error`, never an exception."""
        started_ns = time.monotonic_ns()
        answer = b""
        error = await self._connect()
        if not error and self._link is not None:
            started_ns = time.monotonic_ns()
            answer, error = await self._link.read(request)
        round_trip_us = (time.monotonic_ns() - started_ns) // 1000
        now = clock.now()
        return Exchange(request.encode(), answer, error, now.wall_ms, now.mono_ms, round_trip_us)

    def close(self) -> None:
        """Gives the connection up; the next read opens a new one."""
        if self._link is not None:
            self._link.close()
        self._link = None

    async def _connect(self) -> str:
        if self._link is not None and self._link.usable:
            return ""
        self.close()
        if time.monotonic() < self._not_before_s:
            return f"{CONNECTION} {TIMEOUT}, waiting before the next attempt"
        link = _Link(*self._address, self._timeout_s)
        error = await link.open()
        if error:
            link.close()
            self._postpone(timed_out=error != CONNECTION)
            return error
        self._backoff_s = 0.0
        self._link = link
        return ""

    def _postpone(self, *, timed_out: bool) -> None:
        if not timed_out:
            self._backoff_s = 0.0
            return
        least_s = max(BACKOFF_MIN_S, 2 * self._timeout_s)
        self._backoff_s = max(least_s, min(2 * self._backoff_s, BACKOFF_MAX_S))
        self._not_before_s = time.monotonic() + self._backoff_s
