"""Plant time as an argument: wall, monotonic and synchronisation state together.

Machine time (timeouts, keepalive, resends) is `time.monotonic` and never passes through here.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

UNKNOWN = "unknown"
SYNCHRONISED = "synchronised"
UNSYNCHRONISED = "unsynchronised"
WITNESSED = "witnessed"
HELD_OVER = "held-over"
LOCKSTEP = "lockstep"


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


class SystemClock:
    """The machine's clock. Whether it is synchronised is not read from the system yet, so its state is "unknown"."""

    def now(self) -> PlantTime:
        """The present instant."""
        return PlantTime(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000, "unknown")
