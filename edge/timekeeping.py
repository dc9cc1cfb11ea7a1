"""Which time an edge may sign: the system's, one that ingest's marks witness, or one carried on by the monotonic clock.

Pure: told the machine's clock and the marks, it decides. Guaranteed: between two calls of `settle` the wall clock only
runs on with the monotonic one, so that no step falls into a sample; a time before this release is never told, nor one
more than STEP_MS before the floor, which is the last witness; one wrong step dates no sample and raises no floor.
"""

from __future__ import annotations

from typing import NamedTuple

from hakari.clock import HELD_OVER, SYNCHRONISED, UNSYNCHRONISED, WITNESSED, PlantClock, PlantTime
from hakari.wire.leaf import Event

# 2026-11-01T00:00:00Z: no clock that is right can tell an earlier time to this release.
BUILT_MS = 1_793_491_200_000
STEP_MS = 5 * 60 * 1000
WITNESS_WIDTH_MS = 5000
MARK_RESOLUTION_MS = 1000
DRIFT_PPM = 100
HOLD_MS = 30 * 86_400_000
MAX_EVENTS = 100
JUDGED = (SYNCHRONISED, UNSYNCHRONISED)


class Bounds(NamedTuple):
    """The true time minus the monotonic clock lies from `low_ms` to `high_ms`; found when that clock was `at_ms`."""

    low_ms: int
    high_ms: int
    at_ms: int

    @classmethod
    def of(cls, time_s: int, sent_ms: int, received_ms: int) -> Bounds:
        """From ingest's time in whole seconds, between sending leaf n−1 and receiving mark n (monotonic times)."""
        time_ms = time_s * 1000
        return cls(time_ms - received_ms, time_ms + MARK_RESOLUTION_MS - sent_ms, received_ms)

    def aged(self, mono_ms: int) -> Bounds:
        """What is left of them at `mono_ms`: quartz clocks drift apart."""
        drift_ms = (mono_ms - self.at_ms) * DRIFT_PPM // 1_000_000
        return Bounds(self.low_ms - drift_ms, self.high_ms + drift_ms, mono_ms)

    def joined(self, newer: Bounds) -> Bounds:
        """Both together; where they contradict each other, one clock was set since, and the newer ones hold."""
        old = self.aged(newer.at_ms)
        both = Bounds(max(old.low_ms, newer.low_ms), min(old.high_ms, newer.high_ms), newer.at_ms)
        return both if both.low_ms <= both.high_ms else newer

    @property
    def narrow(self) -> bool:
        """Whether they are close enough to date samples by."""
        return self.high_ms - self.low_ms <= WITNESS_WIDTH_MS

    def near(self, offset_ms: int, by_ms: int = 0) -> bool:
        """Whether `offset_ms` lies in them, or outside by at most `by_ms`."""
        return self.low_ms - by_ms <= offset_ms <= self.high_ms + by_ms


class Known(NamedTuple):
    """What outlives a process: `floor_ms` a stored mark confirmed; of this boot of the machine the time last trusted.

    `trusted` is (offset_ms, mono_ms) of that time, `provisional_ms` the offset that is used while nothing is known.
    """

    floor_ms: int = 0
    trusted: tuple[int, int] | None = None
    provisional_ms: int | None = None


NOTHING_KNOWN = Known()


class Timekeeper:
    """A plant clock over the machine's: `settle` decides, `now` runs on from there. A driver's time passes untouched.

    States are those of hakari.clock. Offsets are wall clock − monotonic clock, milliseconds.
    """

    def __init__(self, machine: PlantClock, known: Known = NOTHING_KNOWN) -> None:
        self._machine = machine
        self._floor_ms = known.floor_ms
        self._trusted = known.trusted
        self._provisional_ms = known.provisional_ms
        self._bounds: Bounds | None = None
        self._system_ms: int | None = known.trusted[0] if known.trusted else None
        self._contradicted = self._refused = False
        self._witnessed_s = 0
        self._state, self._offset_ms = UNSYNCHRONISED, 0
        self._events: list[Event] = []
        self.settle()

    def now(self) -> PlantTime:
        """The present instant, by the decision of the last `settle`."""
        machine = self._machine.now()
        if machine.sync not in JUDGED:
            return machine
        wall_ms = machine.mono_ms + self._offset_ms
        added_ms = 0 if self._state == SYNCHRONISED else wall_ms - machine.wall_ms
        return PlantTime(wall_ms, machine.mono_ms, self._state, added_ms)

    @property
    def known(self) -> Known:
        """What is to be kept for the next process."""
        return Known(self._floor_ms, self._trusted, self._provisional_ms)

    def events(self) -> list[Event]:
        """What happened to the clock since the last call, to be logged."""
        events, self._events = self._events, []
        return events

    def witness(self, time_s: int, sent_ms: int, received_ms: int) -> None:
        """Mark n, cosigned at `time_s`, answered leaf n−1, which this process cut and first sent at `sent_ms`.

        Neither a time before this release nor one before an earlier witness is one; the first of such a row is told.
        """
        if time_s < max(self._witnessed_s, -(-BUILT_MS // 1000)):
            if not self._refused:
                told = {"mark_ms": str(time_s * 1000), "witness_ms": str(self._witnessed_s * 1000)}
                self._tell("witness-refused", self.now().wall_ms, told)
            self._refused = True
            return
        self._refused, self._witnessed_s = False, time_s
        found = Bounds.of(time_s, sent_ms, received_ms)
        self._bounds = found if self._bounds is None else self._bounds.joined(found)
        self._floor_ms = time_s * 1000

    def settle(self) -> None:
        """Decides what the time is from here on; not to be called while a sample is being taken."""
        machine = self._machine.now()
        if machine.sync not in JUDGED:
            return
        system_ms = machine.wall_ms - machine.mono_ms
        bounds = self._bounds.aged(machine.mono_ms) if self._bounds else None
        self._tell_step(system_ms, machine)
        if machine.sync == SYNCHRONISED and self._is_right(machine, system_ms, bounds):
            self._trust(SYNCHRONISED, system_ms, machine)
        elif bounds is not None and bounds.narrow:
            self._trust(WITNESSED, self._within(bounds, system_ms), machine)
        elif self._trusted is not None and self._may_hold(self._trusted, machine.mono_ms):
            self._state, self._offset_ms = HELD_OVER, self._trusted[0]
        else:
            self._state, self._offset_ms = UNSYNCHRONISED, self._provisional(machine, system_ms)

    def _may_hold(self, trusted: tuple[int, int], mono_ms: int) -> bool:
        offset_ms, at_ms = trusted
        return mono_ms - at_ms <= HOLD_MS and mono_ms + offset_ms >= max(self._floor_ms - STEP_MS, BUILT_MS)

    def _is_right(self, machine: PlantTime, system_ms: int, bounds: Bounds | None) -> bool:
        """Whether nothing contradicts a system that calls itself synchronised; a witness decides where there is one."""
        if bounds is not None:
            right = bounds.near(system_ms, STEP_MS) and machine.wall_ms >= BUILT_MS
            if not right and not self._contradicted:
                witnessed_ms = machine.mono_ms + (bounds.low_ms + bounds.high_ms) // 2
                told = {"system_ms": str(machine.wall_ms), "witness_ms": str(witnessed_ms)}
                self._tell("clock-contradicted", witnessed_ms, told)
            self._contradicted = not right
            return right
        if machine.wall_ms < max(self._floor_ms, BUILT_MS):
            return False
        return self._trusted is None or abs(system_ms - self._trusted[0]) <= STEP_MS

    def _within(self, bounds: Bounds, system_ms: int) -> int:
        """An offset inside `bounds`: the system's or the last one if they lie there, so that time runs on evenly."""
        last_ms = self._trusted[0] if self._trusted else system_ms
        inside = [one for one in (system_ms, last_ms) if bounds.near(one)]
        return inside[0] if inside else (bounds.low_ms + bounds.high_ms) // 2

    def _trust(self, state: str, offset_ms: int, machine: PlantTime) -> None:
        self._state, self._offset_ms = state, offset_ms
        self._trusted = (offset_ms, machine.mono_ms)

    def _provisional(self, machine: PlantTime, system_ms: int) -> int:
        """One offset for as long as nothing is known in this boot: the machine's, raised to what is surely past."""
        before_ms = system_ms if self._provisional_ms is None else self._provisional_ms
        self._provisional_ms = max(before_ms, max(self._floor_ms, BUILT_MS) - machine.mono_ms)
        return self._provisional_ms

    def _tell_step(self, system_ms: int, machine: PlantTime) -> None:
        last_ms, self._system_ms = self._system_ms, system_ms
        if last_ms is not None and abs(system_ms - last_ms) > STEP_MS:
            before_ms = machine.mono_ms + last_ms
            told = {"before_ms": before_ms, "after_ms": machine.wall_ms, "by_ms": system_ms - last_ms}
            self._tell("clock-step", before_ms, {key: str(value) for key, value in told.items()})

    def _tell(self, kind: str, wall_ms: int, told: dict[str, str]) -> None:
        if len(self._events) < MAX_EVENTS:
            self._events.append(Event(kind, max(0, wall_ms), told))
