"""Modbus TCP on our own framing: one connection, one request at a time, each tried once.

Guaranteed: an answer is taken by the rules of `frame.Conversation`. After a timeout the connection stays and the
late answer is skipped when it comes, so that a dead unit behind a gateway costs its neighbours nothing; after a timeout
in the middle of a frame, a mismatch or an unasked frame it is closed and the next request opens a new one. Each bus
begins at a random transaction: a gateway may still hold what another process asked.
"""

from __future__ import annotations

import asyncio
import secrets

from edge.modbus.bus import CONNECTION, TIMEOUT, WAITING, Backoff, Exchange
from edge.modbus.frame import TRANSACTIONS, Conversation, Request
from edge.modbus.identification import IdentifyRequest
from edge.modbus.socket_line import dial, without_delay
from edge.modbus.strays import Strays
from edge.modbus.waits import Pace, Waits
from edge.settings import BusTable
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest

Found = tuple[bytes, str]


class TcpBus:
    """One Modbus TCP endpoint, connected when first needed and again whenever the connection was given up."""

    protocol = "modbus-tcp"

    def __init__(self, place: BusTable, waits: Waits) -> None:
        self._place = place
        self._delay_s = waits.connect_delay_ms / 1000
        self._pace = Pace(waits) if waits.gap_ms_by_unit else None
        self._backoff = Backoff(place.timeout_s)
        self._lock = asyncio.Lock()
        self._link: _Link | None = None
        self._first = secrets.randbelow(TRANSACTIONS)
        self._given = 0
        self._stale = 0
        self._strays = Strays(f"{place.host}:{place.port}")

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange; what goes wrong on the wire is its `error`, never an exception."""
        return await self._exchange(request, clock)

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        """One read of device identification."""
        return await self._exchange(IdentifyRequest(unit, object_id), clock)

    def close(self) -> None:
        """Gives the connection up; the next request opens a new one."""
        if self._link is not None:
            self._given = self._link.conversation.given
            self._stale += self._link.conversation.stale
            self._link.close()
        self._link = None

    async def _exchange(self, request: Request, clock: PlantClock) -> Exchange:
        encoded, answer, round_trip_us = request.encode(), b"", 0
        async with self._lock:
            link, error = self._link, ""
            if link is None or not link.usable:
                link, error = await self._connected()
            if self._pace is not None:
                await self._pace.wait(request.unit)
            if link is not None:
                loop = link.loop
                sent_s = loop.time()
                try:
                    answer, error = await link.ask(request, encoded, sent_s + self._place.timeout_s)
                finally:
                    link.settle()
                round_trip_us = int((loop.time() - sent_s) * 1_000_000)
                if self._pace is not None:
                    self._pace.ended(request.unit)
                if link.conversation.stale:
                    self._strays.told(self._stale + link.conversation.stale, 0, loop.time())
        now = clock.now()
        return Exchange(encoded, answer, error, now.wall_ms, now.mono_ms, round_trip_us)

    async def _connected(self) -> tuple[_Link | None, str]:
        self.close()
        loop = asyncio.get_running_loop()
        if self._backoff.holds(loop.time()):
            return None, WAITING
        link = _Link(loop, Conversation(self._given, self._first))
        error = await dial(lambda: link, self._place)
        if error:
            self._backoff.failed(loop.time(), error)
            return None, error
        self._backoff.succeeded()
        self._link = link
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return link, ""


class _Link(asyncio.Protocol):
    """One connection: what is asked and what comes, until it is in doubt."""

    def __init__(self, loop: asyncio.AbstractEventLoop, conversation: Conversation) -> None:
        self.loop = loop
        self.usable = False
        self.conversation = conversation
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Found] | None = None
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, request: Request, encoded: bytes, deadline_s: float) -> asyncio.Future[Found]:
        """Sends; the future gets answer and error by `deadline_s` of the loop's time. Then `settle`."""
        self._waiting = waiting = self.loop.create_future()
        self._deadline_s = deadline_s
        if self._transport is None:
            waiting.set_result((b"", CONNECTION))
            return waiting
        if self._timer is None:
            self._timer = self.loop.call_at(deadline_s, self._on_time)
        self._transport.write(self.conversation.ask(request, encoded))
        return waiting

    def settle(self) -> None:
        """The request is over, however it ended: what still comes for it is skipped."""
        self._waiting = None
        self.conversation.give_up()
        if not self.conversation.between:
            self.close()

    def close(self) -> None:
        """Nothing that still arrives is looked at."""
        self.usable = False
        self._decide((b"", CONNECTION))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = without_delay(transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if not self.usable:
            return
        found = self.conversation.take(data)
        if found is not None:
            self._decide(found)
        if self.conversation.doubt:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        self._transport = None
        self.close()

    def _on_time(self) -> None:
        # One timer serves many requests: it is set again only when it fires too early for the one that waits.
        self._timer = None
        if self._waiting is None or self._waiting.done():
            return
        if self.loop.time() < self._deadline_s:
            self._timer = self.loop.call_at(self._deadline_s, self._on_time)
        else:
            self._decide((b"", TIMEOUT))

    def _decide(self, found: Found) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(found)
