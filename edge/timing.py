"""Time between the spool and the Timekeeper: what is kept over a restart, what a boot is called, when a slot is due."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from edge.held import BOOT_DIGITS
from edge.spool import LAST_SLOT, Spool
from edge.timekeeping import STEP_MS, Known, Timekeeper
from hakari.clock import UNSYNCHRONISED, PlantClock, PlantTime, SystemClock
from hakari.log.roster import Roster
from hakari.wire.leaf import Event

FLOOR = "time/floor"
BOOT = "time/boot"
CLOCK = "time/state"
LAST_HELD_SLOT = "last_held_slot_ms"
LAST_MONO = "last_sample_mono_ms"
PASSED_OVER = "passed_over_last_slot_ms"
KEEP_EVERY_MS = 60_000
MOVED_MS = 1000
NAP_S = 1.0

_log = logging.getLogger("hakari.edge")


class BootNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of one boot of the machine: offsets of wall − monotonic clock, milliseconds."""

    boot: str
    trusted: tuple[int, int] | None = None
    provisional_ms: int | None = None


class Timing:
    """The plant clock of one edge process: a driver's, or the machine's with what was known of it before."""

    def __init__(self, machine: PlantClock, spool: Spool, roster: Roster, edge_id: str) -> None:
        system = machine.boot[:BOOT_DIGITS] if isinstance(machine, SystemClock) else secrets.token_hex(BOOT_DIGITS // 2)
        self.boot = system + secrets.token_hex(BOOT_DIGITS // 2)
        self._spool = spool
        self._kept = _known(spool, system)
        if self._kept.provisional_ms is None and spool.number(LAST_HELD_SLOT):
            spool.put_number(LAST_HELD_SLOT, 0)  # of another boot, whose provisional time was another
        # A number only: an epoch that was opened under a wrong clock says nothing about the time.
        newest = max((one.epoch for one in roster.epochs if one.edge == edge_id), default=0)
        self.first_epoch = max(newest + 1, self._kept.floor_ms // 1000)
        self.clock = Timekeeper(machine, self._kept)
        self._state = self._told = ""

    def settle(self) -> None:
        """Decides anew what the time is, and says so where its state changed."""
        self.clock.settle()
        now = self.clock.now()
        if now.sync != self._state:
            self._state = now.sync
            _log.info("the clock is %s, %d ms are added to the machine's", now.sync, now.offset_ms)

    def keep(self, sampled_mono_ms: int) -> None:
        """Keeps when a sample was taken, and at most once a minute what the next process has to know of the time."""
        self._spool.put_number(LAST_MONO, sampled_mono_ms)
        state = self.clock.now().sync
        if state != self._told:
            self._told = state
            self._spool.put_note(CLOCK, state)
        known, kept = self.clock.known, self._kept
        if _floor_moved(known, kept):
            self._spool.put_note(FLOOR, str(known.floor_ms))
        if known.provisional_ms != kept.provisional_ms or _trust_moved(known, kept):
            note = BootNote(self.boot[:BOOT_DIGITS], known.trusted, known.provisional_ms)
            self._spool.put_note(BOOT, msgspec.json.encode(note).decode())
        elif not _floor_moved(known, kept):
            return
        self._kept = known

    async def reached(self, slot_ms: int, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> bool:
        """Waits for `slot_ms`; False when the clock was set meanwhile, so that another slot may be due."""
        now = self.clock.now()
        offset_ms = now.wall_ms - now.mono_ms
        while now.wall_ms < slot_ms:
            await sleep(min(NAP_S, (slot_ms - now.wall_ms) / 1000))
            self.settle()
            now = self.clock.now()
            if abs(now.wall_ms - now.mono_ms - offset_ms) > MOVED_MS:
                return False
        return True


def last_slot_key(now: PlantTime) -> str:
    """Where the last slot is kept: those of a time that is not known are counted apart."""
    return LAST_HELD_SLOT if now.sync == UNSYNCHRONISED else LAST_SLOT


def was_taken(slot_ms: int, spool: Spool, now: PlantTime) -> tuple[bool, Event | None]:
    """Whether the slot has its sample already, and what is to be logged of it.

    Slots that a clock set back by at most STEP_MS comes to again are passed over, which is told once, even over a
    restart; after a larger step back they are sampled.
    """
    last_ms = spool.number(last_slot_key(now))
    told = {"slot_ms": str(slot_ms), "last_slot_ms": str(last_ms)}
    if slot_ms < last_ms - STEP_MS:
        return False, Event("clock-step-back", now.wall_ms, told)
    if slot_ms < last_ms != spool.number(PASSED_OVER):
        spool.put_number(PASSED_OVER, last_ms)
        return True, Event("slots-passed-over", now.wall_ms, told)
    return slot_ms <= last_ms, None


def _known(spool: Spool, system: str) -> Known:
    floor = spool.note(FLOOR)
    floor_ms = int(floor) if floor.isdecimal() else 0
    try:
        note = msgspec.json.decode(spool.note(BOOT) or "{}", type=BootNote)
    except msgspec.DecodeError:
        return Known(floor_ms)
    return Known(floor_ms, note.trusted, note.provisional_ms) if note.boot == system else Known(floor_ms)


def boot_of(note: str) -> str:
    """The machine's boot that a note under BOOT is of, "" where there is none."""
    try:
        return msgspec.json.decode(note or "{}", type=BootNote).boot
    except msgspec.DecodeError:
        return ""


def _floor_moved(known: Known, kept: Known) -> bool:
    return abs(known.floor_ms - kept.floor_ms) >= KEEP_EVERY_MS


def _trust_moved(known: Known, kept: Known) -> bool:
    if known.trusted is None or kept.trusted is None:
        return known.trusted != kept.trusted
    return abs(known.trusted[0] - kept.trusted[0]) > MOVED_MS or known.trusted[1] - kept.trusted[1] >= KEEP_EVERY_MS
