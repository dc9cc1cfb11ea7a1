"""The sampling of an edge: its lines side by side, each slot one sample, what is learnt of meters handed on.

Guaranteed: a sample has a block for every request that is due, whatever goes wrong on the wire; what was learnt of a
meter is forgotten with its profile, its serial or its place, and asked for with `lessons` to be kept and logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from edge.modbus.bus import Bus
from edge.reads.learned import MAX_WHAT_CHARS, Learned, digest_of, news, parse, text_of
from edge.reads.sampler import Line, Unit
from edge.settings import BusTable
from hakari.clock import PlantClock
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Block, Event, Sample

TIMEOUT_S = 1.0


class Lesson(NamedTuple):
    """Something new of one meter: a note to be kept under `key`, and its sentence for the log."""

    meter: str
    key: str
    text: str
    what: str

    def event(self, wall_ms: int) -> Event:
        """It as it is logged."""
        return Event("learned", wall_ms, {"meter": self.meter, "what": self.what[:MAX_WHAT_CHARS]})


def note_key(meter_id: str) -> str:
    """Where what was learnt of a meter is kept in the spool."""
    return f"learned/{meter_id}"


def timeouts_of(buses: Iterable[BusTable]) -> dict[str, float]:
    """What a silent meter costs on each bus, in seconds."""
    return {bus.id: bus.timeout_s for bus in buses}


class Sampling:
    """Reads every meter of a configuration; `kept` gives the note of a key, "" where there is none.

    `buses` are by id and stay the caller's to close; `timeouts_s` is 1 s for a bus that it does not name.
    """

    def __init__(
        self,
        configuration: MeteringConfiguration,
        buses: Mapping[str, Bus],
        clock: PlantClock,
        kept: Callable[[str], str] = lambda _key: "",
        timeouts_s: Mapping[str, float] | None = None,
    ) -> None:
        self._clock = clock
        self._buses = dict(buses)
        self._kept = kept
        self._timeouts_s = dict(timeouts_s or {})
        self._units: dict[str, Unit] = {}
        self._told: dict[str, Learned] = {}
        self.reconfigure(configuration)

    def reconfigure(
        self,
        configuration: MeteringConfiguration,
        buses: Mapping[str, Bus] | None = None,
        timeouts_s: Mapping[str, float] | None = None,
    ) -> None:
        """From the next slot on another configuration, on the same buses unless others are given.

        What is known of a meter that stays is kept.
        """
        self._buses = self._buses if buses is None else dict(buses)
        self._timeouts_s = self._timeouts_s if timeouts_s is None else dict(timeouts_s)
        before, self._units = self._units, {}
        lines: dict[str, list[Unit]] = {}
        for meter in configuration.meters:
            unit = self._unit(meter, before.get(meter.id), configuration.interval_ms)
            self._units[meter.id] = unit
            lines.setdefault(meter.bus, []).append(unit)
        self.configuration = configuration
        self._lines = [
            Line(self._buses[bus], units, configuration.interval_ms, round(1000 * self._timeouts_s.get(bus, TIMEOUT_S)))
            for bus, units in lines.items()
        ]

    async def sample(self, slot_ms: int) -> Sample:
        """All blocks of one slot, the meters in the configuration's order; a failed read is a block with its error."""
        mono_ms = self._clock.now().mono_ms
        if len(self._lines) == 1:
            found = await self._lines[0].sample(slot_ms, self._clock)
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(line.sample(slot_ms, self._clock)) for line in self._lines]
            found = {meter: blocks for task in tasks for meter, blocks in task.result().items()}
        blocks: list[Block] = []
        for meter in self._units:
            blocks += found.get(meter, ())
        return Sample(slot_ms=slot_ms, mono_ms=mono_ms, blocks=blocks)

    def lessons(self) -> list[Lesson]:
        """What was learnt since this was asked last."""
        found: list[Lesson] = []
        for meter, unit in self._units.items():
            told = self._told[meter]
            if told is not unit.learned:
                what = "; ".join(news(told, unit.learned))
                self._told[meter] = unit.learned
                if what:
                    found.append(Lesson(meter, note_key(meter), text_of(unit.learned), what))
        return found

    def _unit(self, meter: Meter, before: Unit | None, interval_ms: int) -> Unit:
        if before is None or before.learned.meter != digest_of(meter):
            unit = Unit(meter, parse(self._kept(note_key(meter.id)), meter), interval_ms)
            self._told[meter.id] = unit.learned
            return unit
        before.meter = meter
        before.paced(interval_ms)
        return before
