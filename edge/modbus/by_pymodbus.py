"""Modbus TCP by pymodbus, the second adapter (`adapter = "pymodbus"`) and its only importer in the edge.

Guaranteed: an answer is taken only when its own bytes match the request's in transaction, protocol, length,
unit, function code and byte count; after a timeout, a mismatch or an unasked byte the connection is closed, so
that no late answer can be taken for a later one. pymodbus gets to see only frames that have been checked here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge.modbus.bus import CONNECTION, TIMEOUT, WAITING, Backoff, Exchange, is_mismatch
from edge.modbus.frame import HEADER_BYTES, Request, judge, refusal_of
from edge.modbus.identification import BASIC, IdentifyRequest
from edge.modbus.waits import Pace, Waits
from edge.settings import BusTable
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest

PYMODBUS_TIMEOUT_FACTOR = 4
PYMODBUS_TRANSACTIONS = 65_000

# Every failure is an Exchange's error; pymodbus's own log lines would only repeat it, without a limit.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class _Link:
    """One TCP connection: sends one read, judges what comes back, and is not used again once it is in doubt."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._sent = b""
        self._received = b""
        self._request: Request | None = None
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
        """Connects; "" or why not. Each connection begins at a transaction of its own, as `frame.Conversation` says."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self.usable = await self._client.connect()
        except TimeoutError:
            return f"{CONNECTION} {TIMEOUT}"
        except OSError:
            return CONNECTION
        self._client.ctx.next_tid = secrets.randbelow(PYMODBUS_TRANSACTIONS)
        return "" if self.usable else CONNECTION

    def close(self) -> None:
        """Nothing that still arrives is looked at."""
        self.usable = False
        self._judge(CONNECTION)
        self._verdict = None
        self._client.close()

    async def read(self, request: Request) -> tuple[bytes, str]:
        """Answer PDU and error of one request; the link is closed unless the answer was whole and fitting."""
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
        return answer, refusal_of(request, answer)

    async def _send(self, request: Request) -> None:
        client = self._client
        try:
            if isinstance(request, IdentifyRequest):
                await client.read_device_information(
                    read_code=BASIC, object_id=request.object_id, device_id=request.unit
                )
            else:
                read = client.read_holding_registers if request.table == "holding" else client.read_input_registers
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
        found = _verdict(self._sent, data, self._request)
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


def _verdict(sent: bytes, received: bytes, request: Request) -> str | None:
    """None while bytes are missing, "" for one whole answer and nothing else (an exception too), else "mismatch: …"."""
    found = judge(received, int.from_bytes(sent[:2], "big"), request, lambda _: False)
    if found is None or is_mismatch(found.error):
        return found and found.error
    too_many = len(received) - found.used
    return f"mismatch: {too_many} bytes after the answer" if too_many else ""


class PymodbusBus:
    """One Modbus TCP endpoint, connected when first needed and again whenever the connection was given up."""

    protocol = "modbus-tcp"

    def __init__(self, place: BusTable, waits: Waits) -> None:
        self._address = (place.host, place.port)
        self._timeout_s = place.timeout_s
        self._delay_s = waits.connect_delay_ms / 1000
        self._pace = Pace(waits)
        self._backoff = Backoff(place.timeout_s)
        self._lock = asyncio.Lock()
        self._link: _Link | None = None

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange; what goes wrong on the wire is its `error`, never an exception."""
        return await self._exchange(request, clock)

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        """One read of device identification."""
        return await self._exchange(IdentifyRequest(unit, object_id), clock)

    def close(self) -> None:
        """Gives the connection up; the next request opens a new one."""
        if self._link is not None:
            self._link.close()
        self._link = None

    async def _exchange(self, request: Request, clock: PlantClock) -> Exchange:
        loop = asyncio.get_running_loop()
        async with self._lock:
            answer, error = b"", await self._connect(loop)
            await self._pace.wait(request.unit)
            sent_s = loop.time()
            if not error and self._link is not None:
                answer, error = await self._link.read(request)
                self._pace.ended(request.unit)
            round_trip_us = int((loop.time() - sent_s) * 1_000_000)
        now = clock.now()
        return Exchange(request.encode(), answer, error, now.wall_ms, now.mono_ms, round_trip_us)

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> str:
        if self._link is not None and self._link.usable:
            return ""
        self.close()
        if self._backoff.holds(loop.time()):
            return WAITING
        link = _Link(*self._address, self._timeout_s)
        error = await link.open()
        if error:
            link.close()
            self._backoff.failed(loop.time(), error)
            return error
        self._backoff.succeeded()
        self._link = link
        await asyncio.sleep(self._delay_s)
        return ""
