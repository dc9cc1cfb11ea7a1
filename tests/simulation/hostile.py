"""A line of meters that answer in every wrong way, and a loop whose time costs nothing. Shares no code with our frames.

The words of an answer say whose they are: unit and function, address, and the number of the request (its generation),
so that a value given to another request is always recognised.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from hakari.clock import PlantTime

TIMEOUT_S = 0.5
LATE_S = 5.0
BAUD: Literal[115200] = 115_200
MIN_WORDS = 4


class Jump(selectors.SelectSelector):
    """Waits for nothing: time goes on to the next timer at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """No file is ever ready."""
        if timeout is None:
            raise RuntimeError("nothing is left that could happen: something waits for ever")
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is the next timer's; connections lead to `peer` in memory."""

    def __init__(self, peer: Callable[[Channel], Callable[[bytes], None]] | None = None) -> None:
        self._jump = Jump()
        super().__init__(self._jump)
        self.peer = peer
        self.refuse: OSError | None = None
        self.silent = False
        self.attempts: list[float] = []

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jump.now_s

    async def create_connection(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        """A connection to the peer, or what connecting to it comes to."""
        self.attempts.append(self.time())
        if self.silent:
            await asyncio.sleep(3600)
        if self.refuse is not None:
            raise self.refuse
        protocol = protocol_factory()
        assert self.peer is not None
        channel = Channel(self, protocol)
        channel.take = self.peer(channel)
        protocol.connection_made(channel)
        return channel, protocol


class Channel(asyncio.Transport):
    """One connection in memory, both ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.loop = loop
        self.protocol = protocol
        self.closed = False
        self.take: Callable[[bytes], None] = lambda _: None

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - the loop's signature
        """There is no socket."""
        return default

    def write(self, data: Any) -> None:
        """Our side sends."""
        assert not self.closed, "written to a closed connection"
        self.take(bytes(data))

    def feed(self, data: bytes) -> None:
        """The other side sends."""
        if not self.closed:
            self.protocol.data_received(data)

    def abort(self) -> None:
        """Our side ends it."""
        self.hang_up()

    def close(self) -> None:
        """Our side ends it."""
        self.hang_up()

    def hang_up(self) -> None:
        """Either side ends it."""
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)


class MemoryLine:
    """A serial line in memory, as `edge.modbus.rtu` sees one."""

    protocol = "modbus-rtu"
    closes_on_timeout = False

    def __init__(self) -> None:
        self.is_open = False
        self.take: Callable[[bytes], None] = lambda _: None
        self._received: Callable[[bytes], None] = lambda _: None

    async def open(self, received: Callable[[bytes], None], _lost: Callable[[], None]) -> str:
        """Always there."""
        self.is_open, self._received = True, received
        return ""

    def write(self, frame: bytes) -> bool:
        """Our side sends."""
        self.take(frame)
        return True

    def feed(self, data: bytes) -> None:
        """The meters' side sends."""
        if self.is_open:
            self._received(data)

    def close(self) -> None:
        """Nothing more is heard."""
        self.is_open = False


class StillClock:
    """Plant time that stands still."""

    def now(self) -> PlantTime:
        """One instant."""
        return PlantTime(1_000, 7, "lockstep")


def crc(body: bytes) -> bytes:
    """CRC-16 of Modbus over Serial Line V1.02, 6.2.2, bit by bit."""
    register = 0xFFFF
    for byte in body:
        register ^= byte
        for _ in range(8):
            carried = register & 1
            register >>= 1
            if carried:
                register ^= 0xA001
    return struct.pack("<H", register)


class Asked(NamedTuple):
    """A request as the peer heard it; `generation` counts them."""

    transaction: int
    unit: int
    function: int
    address: int
    words: int
    generation: int


def good(asked: Asked) -> bytes:
    """The PDU that answers: words that say whose they are."""
    mark = zlib.crc32(repr(asked[1:]).encode())
    words = [asked.unit << 8 | asked.function, asked.address, asked.generation >> 16, asked.generation & 0xFFFF]
    words += [(mark + 40_503 * i) & 0xFFFF for i in range(asked.words - MIN_WORDS)]
    return struct.pack(f">BB{asked.words}H", asked.function, 2 * asked.words, *words)


def exception(asked: Asked) -> bytes:
    """The exception that answers; its code is as much of the generation as there is room for."""
    return bytes((asked.function | 0x80, asked.generation % 255 + 1))


FAULTS: Mapping[str, int] = {
    "right": 300, "slow": 40, "exception": 20, "silent": 8, "late": 12, "late exception": 4, "twice": 25,
    "exception twice": 6, "truncated": 8, "wrong unit": 8, "wrong function": 8, "wrong count": 8, "noise": 12,
    "joined": 16, "pieces": 30, "noise before": 12, "hang up": 3,
}  # fmt: skip
SOON = {
    "right", "exception", "truncated", "wrong unit", "wrong function", "wrong count", "wrong transaction", "noise",
    "noise before", "joined", "flipped",
}  # fmt: skip
OF_TCP = {"wrong transaction": 12}
OF_RTU = {"flipped": 12, "echo of the request": 8}


class Peer:
    """The other side of one line. `rtu` frames without transactions; `echo_s`: how much later a doubled frame ends."""

    def __init__(self, seed: int, units: int, *, rtu: bool, echo_s: float, late_s: float = LATE_S) -> None:
        self.random = random.Random(seed)
        self.units = units
        self.rtu = rtu
        self.echo_s = echo_s
        self.late_s = late_s
        self.asked: Asked | None = None
        self.generation = 0
        self.calm = False
        self.done: Counter[str] = Counter()
        self.sent: set[int] = set()
        self._feed: Callable[[bytes], None] = lambda _: None
        self._hang_up: Callable[[], None] = lambda: None
        self._faults = {**FAULTS, **(OF_RTU if rtu else OF_TCP)}
        self._before: list[bytes] = []

    def connect(self, channel: Channel) -> Callable[[bytes], None]:
        """Someone connects. A serial server sends what still comes to whoever is connected then, a gateway does not."""
        self._hang_up = channel.hang_up
        if self.rtu:
            self._feed = channel.feed
            return self._take
        return lambda data: self._take(data, channel.feed)

    def plug(self, line: MemoryLine) -> None:
        """A serial line is laid."""
        self._feed, line.take = line.feed, self._take

    def pdu(self, answer: bytes) -> str:
        """Whether `answer` is one to the last request: "right", "exception", or "wrong"."""
        assert self.asked is not None
        if answer == good(self.asked):
            return "right"
        return "exception" if answer == exception(self.asked) else "wrong"

    def _to_whoever_is_there(self, data: bytes) -> None:
        self._feed(data)

    def _take(self, data: bytes, feed: Callable[[bytes], None] | None = None) -> None:
        if self.rtu:
            assert crc(data[:-2]) == data[-2:]
            transaction, body = 0, data[:-2]
        else:
            transaction, body = struct.unpack(">H", data[:2])[0], data[6:]
            assert data[2:6] == struct.pack(">HH", 0, len(body))
        unit, function, address, count = struct.unpack(">BBHH", body)
        self.sent.add(function)
        self.generation += 1
        self.asked = Asked(transaction, unit, function, address, count, self.generation)
        kind = "right" if self.calm else self.random.choices([*self._faults], [*self._faults.values()])[0]
        self.done[kind] += 1
        self._answer(kind, self.asked, feed or self._to_whoever_is_there)

    def _answer(self, kind: str, asked: Asked, feed: Callable[[bytes], None]) -> None:
        """Sends what this kind of meter sends; what bears another's name comes while its own request waits."""
        rng, send = self.random, _Sender(feed)
        right = self._frame(asked, exception(asked) if "exception" in kind else good(asked))
        soon_s = asyncio.get_running_loop().time() + rng.uniform(0.001, 0.4 * TIMEOUT_S)
        if kind in SOON:
            send.at(soon_s, self._soon(kind, asked, right))
        elif kind in ("late", "late exception"):
            send.at(soon_s + rng.uniform(TIMEOUT_S, 0.95 * self.late_s - TIMEOUT_S), right)
        elif kind in ("twice", "exception twice"):
            send.at(soon_s, right)
            send.at(soon_s + rng.uniform(0.0, self.echo_s if self.rtu else 2 * self.late_s), right)
        elif kind == "slow":
            send.at(soon_s + 0.5 * TIMEOUT_S, right)
        elif kind == "pieces":
            self._in_pieces(send, soon_s, right)
        elif kind == "echo of the request":
            send.at(soon_s, self._frame(asked, struct.pack(">BHH", asked.function, asked.address, asked.words)))
            send.at(soon_s + 0.002, right)
        elif kind == "hang up":
            asyncio.get_running_loop().call_at(soon_s, self._hang_up)
        self._before = [] if "exception" in kind or self.rtu else [right]

    def _soon(self, kind: str, asked: Asked, right: bytes) -> bytes:
        """What comes at once, in the place of the right frame or around it."""
        rng = self.random
        other = rng.choice([unit for unit in range(1, self.units + 1) if unit != asked.unit])
        count = rng.choice([count for count in (4, 5, 6, 9) if count != asked.words])
        transaction = (asked.transaction + rng.choice([1, 65_535, 65_280, rng.randrange(1, 65_536)])) % 65_536
        at, pdu = rng.randrange(len(right)), good(asked)
        joined = [right + right, right + rng.randbytes(3), *(before + right for before in self._before)]
        made = {
            "right": right,
            "exception": right,
            "truncated": right[: at or 1],
            "wrong unit": self._frame(asked._replace(unit=other), pdu),
            "wrong function": self._frame(asked, bytes((7 - asked.function,)) + pdu[1:]),
            "wrong count": self._frame(asked, good(asked._replace(words=count))),
            "wrong transaction": self._frame(asked._replace(transaction=transaction), pdu),
            "noise": rng.randbytes(rng.randrange(1, 40)),
            "noise before": rng.randbytes(rng.randrange(1, 12)) + right,
            "joined": rng.choice(joined),
            "flipped": right[:at] + bytes((right[at] ^ (1 << rng.randrange(8)),)) + right[at + 1 :],
        }
        return made[kind]

    def _in_pieces(self, send: _Sender, at_s: float, frame: bytes) -> None:
        while frame:
            size = self.random.randrange(1, 6)
            send.at(at_s, frame[:size])
            frame = frame[size:]
            at_s += self.random.uniform(0.0, 0.004)

    def _frame(self, asked: Asked, pdu: bytes) -> bytes:
        body = bytes((asked.unit,)) + pdu
        return body + crc(body) if self.rtu else struct.pack(">HHH", asked.transaction, 0, len(body)) + body


class _Sender:
    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed

    def at(self, when_s: float, data: bytes) -> None:
        asyncio.get_running_loop().call_at(when_s, self._feed, data)
