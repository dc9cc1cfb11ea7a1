"""Plant time as an argument: wall, monotonic and synchronisation state together.

Machine time (timeouts, keepalive, resends) is `time.monotonic` and never passes through here.
"""

from __future__ import annotations

import ctypes
import secrets
import time
from pathlib import Path
from typing import NamedTuple, Protocol

UNKNOWN = "unknown"
SYNCHRONISED = "synchronised"
UNSYNCHRONISED = "unsynchronised"
WITNESSED = "witnessed"
HELD_OVER = "held-over"
LOCKSTEP = "lockstep"

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOOT_DIGITS = 32
ASK_EVERY_NS = 1_000_000_000
STA_UNSYNC = 0x0040
STA_NANO = 0x2000
TIME_ERROR = 5


class PlantTime(NamedTuple):
    """One instant. `wall_ms` UTC milliseconds, `mono_ms` milliseconds of this boot, `sync` the clock's state.

    States: "synchronised" by the system's own time service; "witnessed": within the bounds that ingest's marks set;
    "held-over": carried on by the monotonic clock from a time that was one of these; "unsynchronised": not known;
    "lockstep": a driver's; "unknown": a release that did not look. `offset_ms` was added to the machine's wall clock.
    """

    wall_ms: int
    mono_ms: int
    sync: str
    offset_ms: int = 0


class PlantClock(Protocol):
    """Anything that tells plant time: the system's clock, or the driver's in lockstep."""

    def now(self) -> PlantTime:
        """The present instant."""
        ...


class KernelTime(NamedTuple):
    """What the kernel says of its own clock: `synchronised`, the phase offset it still corrects, its largest error."""

    synchronised: bool
    offset_us: int
    max_error_us: int


_UNASKED = KernelTime(synchronised=False, offset_us=0, max_error_us=0)


class _Timex(ctypes.Structure):
    """The head of Linux' struct timex (adjtimex(2)); the room behind it is longer than any platform's rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def kernel_time() -> KernelTime:
    """The kernel's word by adjtimex(2), which needs no privilege; not synchronised where it cannot be asked."""
    told = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return _UNASKED
    if state < 0:
        return _UNASKED
    offset_us = told.offset // 1000 if told.status & STA_NANO else told.offset
    return KernelTime(state != TIME_ERROR and not told.status & STA_UNSYNC, offset_us, told.maxerror)


def system_boot() -> str:
    """32 hexadecimal digits that name this boot of the machine; random ones where the kernel tells none."""
    try:
        told = BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except (OSError, UnicodeDecodeError):
        told = ""
    return told if len(told) == BOOT_DIGITS else secrets.token_hex(BOOT_DIGITS // 2)


class SystemClock:
    """The machine's clock, "synchronised" or "unsynchronised" as the kernel has it; it is asked once a second.

    `mono_ms` counts from the machine's boot and runs on while the machine sleeps.
    """

    def __init__(self) -> None:
        self.boot = system_boot()
        self.kernel = kernel_time()
        self._asked_ns = _mono_ns()

    def now(self) -> PlantTime:
        """The present instant."""
        mono_ns = _mono_ns()
        if mono_ns - self._asked_ns >= ASK_EVERY_NS:
            self.kernel, self._asked_ns = kernel_time(), mono_ns
        state = SYNCHRONISED if self.kernel.synchronised else UNSYNCHRONISED
        return PlantTime(time.time_ns() // 1_000_000, mono_ns // 1_000_000, state)


def _mono_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
