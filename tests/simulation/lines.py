"""Buses in memory with a script at the other end, on a loop whose time costs nothing."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

from edge.modbus.bus import Bus, Exchange
from edge.modbus.rtu import RtuBus
from edge.modbus.socket_line import SocketLine
from edge.modbus.tcp import TcpBus
from edge.modbus.waits import Waits
from edge.settings import BusTable
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import BAUD, LATE_S, TIMEOUT_S, Channel, MemoryLine, StillClock, VirtualLoop, crc

CLOCK = StillClock()


class Script:
    """What the other end does: `answers` are (seconds, unit and PDU) for each request, none for silence.

    `heard` is when which unit and PDU came; of TCP the frame's transaction stands in `transactions`.
    """

    def __init__(self, kind: str, answers: Callable[[bytes, int], list[tuple[float, bytes]]]) -> None:
        self.kind = kind
        self.answers = answers
        self.heard: list[tuple[float, bytes]] = []
        self.transactions: list[int] = []
        self.connections = 0
        self.loop = VirtualLoop(self._connect)
        self.line = MemoryLine()
        self._feed: Callable[[bytes], None] = self.line.feed
        self.line.take = self.take

    def bus(self, waits: Waits | None = None) -> Bus:
        """The bus of this kind."""
        place = BusTable(id="b", host="meters", device="memory", baud_rate=BAUD, timeout_s=TIMEOUT_S, late_s=LATE_S)
        if self.kind == "tcp":
            return TcpBus(place, waits or Waits())
        return RtuBus(place, waits or Waits(), self.line if self.kind == "rtu" else SocketLine(place))

    def run(self, use: Callable[[Bus], Awaitable[None]], waits: Waits | None = None) -> None:
        """Uses the bus, then closes it."""

        async def used() -> None:
            bus = self.bus(waits)
            await use(bus)
            bus.close()

        try:
            self.loop.run_until_complete(used())
        finally:
            self.loop.close()

    def take(self, frame: bytes) -> None:
        """A request comes."""
        body = frame[6:] if self.kind == "tcp" else frame[:-2]
        number = len(self.heard)
        self.heard.append((self.loop.time(), body))
        self.transactions.append(int.from_bytes(frame[:2], "big"))
        for delay_s, answer in self.answers(body, number):
            framed = struct.pack(">HHH", self.transactions[-1], 0, len(answer)) + answer
            self.say(delay_s, framed if self.kind == "tcp" else answer + crc(answer))

    def say(self, delay_s: float, data: bytes) -> None:
        """Bytes come after a while."""
        self.loop.call_later(delay_s, lambda: self._feed(data))

    def _connect(self, channel: Channel) -> Callable[[bytes], None]:
        self.connections += 1
        self._feed = channel.feed
        return self.take


def good(body: bytes, word: int = 0) -> bytes:
    """A good answer to a read: each register is its address plus `word`."""
    unit, function, address, count = struct.unpack(">BBHH", body)
    words = [(address + word + i) & 0xFFFF for i in range(count)]
    return struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)


def wanted(request: ReadRequest, word: int = 0) -> bytes:
    """The PDU of that answer."""
    return good(request.encode(), word)[1:]


async def read(bus: Bus, request: ReadRequest) -> Exchange:
    """One read at a plant time that stands still."""
    return await bus.read(request, CLOCK)


async def lasted(work: Awaitable[Exchange]) -> tuple[float, Exchange]:
    """How long it took by the loop's time, and what came."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    exchange = await work
    return loop.time() - begun_s, exchange
