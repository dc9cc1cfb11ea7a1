"""One line of meters read for one slot: counters of all first, then the rest, and last whoever is in doubt.

Guaranteed: every planned request of a due point is a block, with its answer, its error or why it was not asked; a
meter that falls silent costs one timeout, in later slots a single request after the others (`breaker`); what no
longer fits into the slot is said so. A refused request is taken apart, and a meter that is busy asked again,
where there is time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge.modbus.bus import NOT_TRIED, Bus, Exchange, is_busy, is_closed, is_refusal, is_silent, is_untried
from edge.reads.breaker import Breaker
from edge.reads.learned import ASK_AGAIN_MS, STOPPED, Learned, news, search
from edge.reads.plan import Planned, is_due, planned_for, planned_of
from hakari.clock import PlantClock
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter
from hakari.wire.leaf import Block

NO_TIME = f"{NOT_TRIED}no time left in this slot"
NOT_ASKED = "not asked: "
MAX_ERROR_CHARS = 200
BUSY_PAUSE_MS = 200
MAX_ORDERS = 64


def following(last_ms: int, now_ms: int, interval_ms: int, late_ms: int) -> int:
    """The slot to take after slot `last_ms`: one that began while that was read is taken at most `late_ms` late.

    Slots are the whole multiples of `interval_ms` in UTC.
    """
    begun_ms = now_ms // interval_ms * interval_ms
    late = now_ms - begun_ms <= min(late_ms, interval_ms // 2)
    return begun_ms if begun_ms > last_ms > 0 and late else begun_ms + interval_ms


def slots_within(began_ms: int, took_ms: int, interval_ms: int) -> int:
    """How many slots begin in the `took_ms` after `began_ms`: those that a sample of that length lets pass."""
    return (began_ms + took_ms) // interval_ms - began_ms // interval_ms


def slots_skipped(began_ms: int, took_ms: int, interval_ms: int, late_ms: int) -> int:
    """How many slots are never taken because of a sample from `began_ms` on: the last may still be, a little late."""
    passed = slots_within(began_ms, took_ms, interval_ms)
    ended_ms = began_ms + took_ms
    return passed - (passed > 0 and following(began_ms, ended_ms, interval_ms, late_ms) <= ended_ms)


class Unit:
    """One meter on the line: what was learnt of it and how it stands."""

    def __init__(self, meter: Meter, learned: Learned, interval_ms: int) -> None:
        self.meter = meter
        self.learned = learned
        self.breaker = Breaker(interval_ms)
        self.longest = 0  # registers of the longest read that it ever answered whole
        self.silence = ""  # why it is asked no more in this slot
        self.answers = False  # in this slot
        self.asked_refused = False  # in this slot
        self.ask_refused_ms = 0  # from when on what it refuses is asked again
        self.search_ms = 0  # from when on a refusal is taken apart although it answered nothing else

    def paced(self, interval_ms: int) -> None:
        """Slots are `interval_ms` apart from now on."""
        if self.breaker.interval_ms != interval_ms:
            self.breaker = Breaker(interval_ms)

    def renewed(self) -> None:
        """A new slot begins."""
        self.silence, self.answers, self.asked_refused = "", False, False

    def answered(self, request: ReadRequest) -> None:
        """It answered `request` whole."""
        self.answers = True
        self.longest = max(self.longest, request.count)

    def fell_silent(self, now_ms: int, error: str) -> None:
        """It gave no answer: it is asked no more in this slot, and in later ones as its breaker says."""
        self.silence = NOT_TRIED + error
        self.breaker.silent(now_ms, error)


class _Ask(NamedTuple):
    """A planned request at its place among the line's blocks.

    `unasked` is the error when it is not asked, which `never` happens for what a commissioning found not backed.
    """

    unit: Unit
    planned: Planned
    place: int
    unasked: str
    never: bool


class _Order(NamedTuple):
    """What is asked of a line in slots of one kind, first to last, and how many blocks that gives."""

    asks: tuple[_Ask, ...]
    blocks: int


class Line:
    """One bus and its meters, in the configuration's order; `timeout_ms` is what a silent meter costs."""

    def __init__(self, bus: Bus, units: Sequence[Unit], interval_ms: int, timeout_ms: int) -> None:
        self.bus = bus
        self.units = {unit.meter.id: unit for unit in units}
        self.timeout_ms = timeout_ms
        self.interval_ms = interval_ms
        self._orders: dict[tuple[bool, ...], _Order] = {}
        self._planned: list[tuple[Unit, tuple[Planned, ...]]] = []
        self._rates: list[int] = []

    def forget_plan(self) -> None:
        """Something was learnt: the next slot is planned anew."""
        self._planned, self._orders = [], {}

    def order(self, slot: int) -> _Order:
        """What slot number `slot` asks; planned once for all slots in which the same rates are due."""
        if not self._planned:
            self._planned = [
                (unit, planned_of(unit.meter.profile, unit.meter.unit, unit.learned)) for unit in self.units.values()
            ]
            self._rates = sorted({rate for _, asked in self._planned for one in asked for rate in one.rates} - {1})
        kind = tuple(slot % rate == 0 for rate in self._rates)
        order = self._orders.get(kind)
        if order is None:
            if len(self._orders) >= MAX_ORDERS:
                self._orders.clear()
            order = self._orders[kind] = _ordered(self._planned, slot)
        return order

    async def sample(self, slot_ms: int, clock: PlantClock) -> dict[str, list[Block]]:
        """The blocks of one slot by meter."""
        order = self.order(slot_ms // self.interval_ms)
        for unit in self.units.values():
            unit.renewed()
        now = clock.now()
        until_ms = now.mono_ms + self.interval_ms - (now.wall_ms - slot_ms) % self.interval_ms
        return await _Slot(self, order, clock, now.mono_ms, until_ms).read()


def _ordered(planned: Iterable[tuple[Unit, tuple[Planned, ...]]], slot: int) -> _Order:
    asks: list[_Ask] = []
    for unit, requests in planned:
        for one in requests:
            if is_due(one.rates, slot):
                never = bool(one.refusal) and unit.learned.lasts(one.groups[0])
                until = "not backed, see its commissioning" if never else "asked again once an hour"
                unasked = f"{NOT_ASKED}{one.refusal}; {until}" if one.refusal else ""
                asks.append(_Ask(unit, one, len(asks), unasked, never))
    return _Order(tuple(sorted(asks, key=lambda ask: not ask.planned.counter)), len(asks))


class _Slot:
    """One slot on one line, while it is read."""

    def __init__(self, line: Line, order: _Order, clock: PlantClock, began_ms: int, until_ms: int) -> None:
        self._line = line
        self._read = line.bus.read
        self._protocol = line.bus.protocol
        self._order = order
        self._clock = clock
        self._began_ms = began_ms
        self._until_ms = until_ms
        self._now_ms = began_ms
        self._closed = ""  # why no meter of the line can be asked any more
        self._blocks: list[list[Block]] = [[] for _ in range(order.blocks)]
        self._refused: list[tuple[_Ask, str]] = []
        self._busy: list[_Ask] = []

    async def read(self) -> dict[str, list[Block]]:
        """Everything that the slot asks for, by meter."""
        suspects: dict[Unit, list[_Ask]] = {}
        asks: list[_Ask] = []
        for ask in self._order.asks:
            if ask.unit.breaker.error:
                suspects.setdefault(ask.unit, []).append(ask)
            else:
                asks.append(ask)
        await self._pass(asks)
        await self._mend()
        for unit in sorted(suspects, key=lambda one: one.breaker.asked_ms):
            await self._probe(unit, suspects[unit])
        for unit in self._line.units.values():
            if unit.asked_refused:
                unit.ask_refused_ms = self._began_ms + ASK_AGAIN_MS
        found: dict[str, list[Block]] = {}
        for blocks in self._blocks:
            for block in blocks:
                found.setdefault(block.meter, []).append(block)
        return found

    async def _pass(self, asks: Iterable[_Ask]) -> None:
        for ask in asks:
            unit = ask.unit
            if ask.never or (ask.unasked and self._now_ms < unit.ask_refused_ms):
                self._skip(ask, ask.unasked)
            elif why := self._closed or unit.silence:
                self._skip(ask, why)
            elif self._now_ms >= self._until_ms:
                self._skip(ask, NO_TIME)
            else:
                await self._ask(ask)

    async def _ask(self, ask: _Ask) -> str:
        """The error of one exchange, of which a block is made; what it means for the rest of the slot is done."""
        unit = ask.unit
        exchange = await self._exchange(ask, ask.planned.request, ask.planned.text)
        error = exchange.error
        if ask.unasked:
            unit.asked_refused = True
            if not error:
                self._learn(unit, unit.learned.without(ask.planned.groups[0]))
        if not error:
            unit.answered(ask.planned.request)
        elif is_closed(error):
            self._closed = NOT_TRIED + error.partition(";")[0]
        elif is_untried(error):  # the line itself was not free; the meter is not to blame
            self._busy.append(ask)
        elif is_silent(error):
            unit.fell_silent(self._began_ms, error)
        elif is_busy(error):
            self._busy.append(ask)
        elif is_refusal(error) and not ask.unasked:
            self._refused.append((ask, error))
        return error

    async def _exchange(self, ask: _Ask, request: ReadRequest, text: str) -> Exchange:
        exchange = await self._read(request, self._clock)
        self._now_ms = exchange.mono_ms
        self._blocks[ask.place].append(
            Block(
                meter=ask.unit.meter.id,
                protocol=self._protocol,
                request=text,
                wall_ms=max(0, exchange.wall_ms),
                round_trip_us=exchange.round_trip_us,
                answer=exchange.answer.hex(),
                error=exchange.error[:MAX_ERROR_CHARS],
            )
        )
        return exchange

    def _skip(self, ask: _Ask, why: str) -> None:
        """A request that is not made is recorded with the time at which it was not."""
        wall_ms = max(0, self._clock.now().wall_ms)
        self._blocks[ask.place].append(
            Block(ask.unit.meter.id, self._protocol, ask.planned.text, wall_ms, 0, error=why[:MAX_ERROR_CHARS])
        )

    async def _mend(self) -> None:
        """Asks the busy ones once more and takes refused requests apart, while there is time."""
        busy, self._busy = self._busy, []
        refused, self._refused = self._refused, []
        if busy and not refused and self._has_ms(2 * BUSY_PAUSE_MS):
            await asyncio.sleep(BUSY_PAUSE_MS / 1000)
        for ask, error in refused:
            await self._take_apart(ask, error)
        for ask in busy:
            if not ask.unit.silence and not self._closed and self._has_ms(0):
                await self._ask(ask)
        self._busy = []  # once more, not for ever

    async def _take_apart(self, ask: _Ask, error: str) -> None:
        unit, planned = ask.unit, ask.planned
        if not unit.answers and self._began_ms < unit.search_ms:
            return
        searching = search(unit.learned, planned.groups, error, unit.longest, answers=unit.answers)
        try:
            groups = next(searching)
            while True:
                told = await self._part(ask, planned_for(unit.meter.unit, groups, planned.rates))
                groups = searching.send(told)
        except StopIteration as ended:
            self._learn(unit, ended.value)
        unit.asked_refused = unit.asked_refused or bool(unit.learned.refused)
        if not unit.answers:
            unit.search_ms = self._began_ms + ASK_AGAIN_MS

    async def _part(self, ask: _Ask, part: Planned) -> str:
        """The error of a part of a refused request, "" where it was answered."""
        unit = ask.unit
        if self._closed or unit.silence or not self._has_ms(0):
            return STOPPED
        exchange = await self._exchange(ask, part.request, part.text)
        if not exchange.error:
            unit.answered(part.request)
        elif is_silent(exchange.error):
            unit.fell_silent(self._began_ms, exchange.error)
        return exchange.error

    def _learn(self, unit: Unit, learned: Learned) -> None:
        if any(news(unit.learned, learned)):
            unit.learned = learned
            self._line.forget_plan()

    async def _probe(self, unit: Unit, asks: Sequence[_Ask]) -> None:
        """One request to a suspect meter; where it is answered, all the others of the slot too."""
        breaker, began_ms = unit.breaker, self._began_ms
        await self._pass(ask for ask in asks if ask.never)
        asks = [ask for ask in asks if not ask.never]
        fits = self._has_ms(self._line.timeout_ms) or breaker.overdue(began_ms)
        if not asks or self._closed or not fits or not breaker.due(began_ms):
            for ask in asks:
                self._skip(ask, self._closed or NOT_TRIED + breaker.error)
            return
        unit.ask_refused_ms = 0  # a meter that comes back may be another one, or set otherwise
        error = await self._ask(asks[0])
        if is_untried(error):
            unit.silence, self._busy = error, []
        elif not unit.silence and not self._closed:
            breaker.answered()
        await self._pass(asks[1:])
        await self._mend()

    def _has_ms(self, needed_ms: int) -> bool:
        return self._now_ms + needed_ms < self._until_ms
