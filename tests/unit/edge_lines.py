"""A line of simulated meters for tests of the edge: registers, holes, block limits, silence; on a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge.modbus.bus import Exchange
from edge.reads.sampling import Sampling
from hakari.clock import PlantClock, PlantTime
from hakari.registers.profile import Point, Profile, Span
from hakari.registers.requests import EXCEPTIONS, ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Sample

SLOT_MS = 1_700_000_010_000
INTERVAL_MS = 10_000


class Hands:
    """A clock that stands still until somebody waits."""

    def __init__(self, wall_ms: int = SLOT_MS) -> None:
        """`wall_ms` is UTC."""
        self.wall_ms = wall_ms
        self.mono_ms = 5_000

    def now(self) -> PlantTime:
        """The present instant."""
        return PlantTime(self.wall_ms, self.mono_ms, "test")

    def wait(self, took_ms: int) -> None:
        """Time passes."""
        self.mono_ms += took_ms
        self.wall_ms += took_ms


@dataclass
class Device:
    """One meter: answers `words` registers from 0 on, but for `holes`, at most `most` at once.

    `silent` and `says` (an exception code, 0 for none) may be changed between slots; `says_next` are exceptions that
    it answers first, each once.
    """

    words: int = 200
    holes: frozenset[int] = frozenset()
    most: int = 125
    too_long: int = 3
    walls: tuple[int, ...] = ()
    silent: bool = False
    says: int = 0
    says_next: list[int] = field(default_factory=list)

    def answer(self, request: ReadRequest) -> bytes | None:
        """The PDU; None for silence."""
        if self.silent:
            return None
        code = self.says_next.pop(0) if self.says_next else self.says or self._refusal(request)
        if code:
            return bytes((request.function | 0x80, code))
        return bytes((request.function, 2 * request.count)) + bytes(range(2 * request.count))

    def _refusal(self, request: ReadRequest) -> int:
        asked = range(request.address, request.address + request.count)
        if request.count > self.most:
            return self.too_long
        over = any(request.address < wall < asked.stop for wall in self.walls)
        return 2 if over or asked.stop > self.words or self.holes & set(asked) else 0


class FakeLine:
    """A bus of devices by unit; `asked` are the requests in order. `closed` is the error of a line that cannot open.

    `refuses` are errors by unit of requests that the line does not send.
    """

    protocol = "modbus-rtu"

    def __init__(self, hands: Hands, devices: Mapping[int, Device], timeout_ms: int = 1000, each_ms: int = 20) -> None:
        """Every answer takes `each_ms`, every silence `timeout_ms`."""
        self.hands = hands
        self.devices = devices
        self.timeout_ms = timeout_ms
        self.each_ms = each_ms
        self.closed = ""
        self.refuses: dict[int, str] = {}
        self.asked: list[ReadRequest] = []

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        """One exchange."""
        await asyncio.sleep(0)
        if said := self.refuses.get(request.unit):
            now = clock.now()
            return Exchange(request.encode(), b"", said, now.wall_ms, now.mono_ms, 0)
        self.asked.append(request)
        answer = None if self.closed else self.devices[request.unit].answer(request)
        took_ms = 0 if self.closed else self.timeout_ms if answer is None else self.each_ms
        self.hands.wait(took_ms)
        error = self.closed or ("timeout" if answer is None else "")
        if answer and answer[0] & 0x80:
            error = f"exception {answer[1]} ({EXCEPTIONS[answer[1]]})"
        now = clock.now()
        return Exchange(request.encode(), answer or b"", error, now.wall_ms, now.mono_ms, 1000 * took_ms)

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        """These devices do not identify themselves."""
        now, _ = clock.now(), object_id
        return Exchange(bytes((unit, 0x2B)), b"", "timeout", now.wall_ms, now.mono_ms, 0)

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> list[tuple[int, int, int]]:
        """What was asked since this was called last: unit, address, count."""
        asked = [(one.unit, one.address, one.count) for one in self.asked]
        self.asked.clear()
        return asked


def gauge(address: int, name: str = "", every: int = 1) -> Point:
    """A register that is no counter."""
    return Point(name or f"g{address}", address, "u16", "gauge", every=every)


def counter(address: int, name: str = "", every: int = 1) -> Point:
    """A counter of 32 bits."""
    return Point(name or f"c{address}", address, "u32", "counter", "Wh", every=every)


def profile_of(points: Sequence[Point], spans: Sequence[Span] = (), max_words: int = 125) -> Profile:
    """A profile of these points."""
    return Profile("fake", "maker", "model", "source", "two-sources", list(points), list(spans), max_words)


@dataclass
class Plant:
    """One line `line` of meters `m1`, `m2`, … at units 1, 2, … with one profile; `sampling` reads them."""

    devices: dict[int, Device]
    profile: Profile
    interval_ms: int = INTERVAL_MS
    timeout_ms: int = 1000
    each_ms: int = 20
    kept: Callable[[str], str] = lambda _key: ""

    def __post_init__(self) -> None:
        """The clock stands at a slot's begin."""
        self.hands = Hands(SLOT_MS // self.interval_ms * self.interval_ms)
        self.line = FakeLine(self.hands, self.devices, self.timeout_ms, self.each_ms)
        meters = [Meter(f"m{unit}", "line", unit, "", self.profile) for unit in self.devices]
        self.configuration = MeteringConfiguration(1, "sola-e1", self.interval_ms, 60_000, meters)
        self.start()

    def start(self) -> None:
        """A new process begins, with what was kept."""
        self.sampling = Sampling(
            self.configuration, {"line": self.line}, self.hands, self.kept, {"line": self.timeout_ms / 1000}
        )

    def slot(self) -> Sample:
        """The sample of the slot that begins now; afterwards the clock stands at the next begin."""
        begin_ms = self.hands.wall_ms // self.interval_ms * self.interval_ms
        sample = asyncio.run(self.sampling.sample(begin_ms))
        late_ms = self.hands.wall_ms % self.interval_ms
        self.hands.wait(self.interval_ms - late_ms if late_ms or self.hands.wall_ms == begin_ms else 0)
        return sample


def errors(sample: Sample) -> list[tuple[str, str]]:
    """Meter and error of every block."""
    return [(block.meter, block.error) for block in sample.blocks]
