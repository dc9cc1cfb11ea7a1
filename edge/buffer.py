"""Room on the spool's disk: below a reserve sampling stops, said in a signed event, and goes on with twice the room.

The reserve is what the edge needs to say so and to send what it holds. Nothing is ever deleted to make room.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hakari.wire.leaf import Event

MB = 1_000_000
AGAIN = 2
FULL = "buffer_full"


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written beside the spool."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def is_full(reserve_bytes: int, free: int, *, was_full: bool) -> bool:
    """Whether nothing is sampled with `free` bytes: below the reserve, and after that below twice of it."""
    return free < reserve_bytes * (AGAIN if was_full else 1)


def stopped_text(reserve_bytes: int, free: int) -> str:
    """What is to be said while nothing is sampled."""
    return (
        f"sampling stopped: {free / MB:.0f} MB free, reserve {reserve_bytes / MB:.0f} MB"
        f" ([edge].min_free_mb); it goes on at {AGAIN * reserve_bytes / MB:.0f} MB"
    )


class Buffer:
    """Whether there is room for another sample; `reserve_bytes` 0 asks nothing of the disk.

    `full` is whether an earlier process of this edge stopped for want of room.
    """

    def __init__(self, reserve_bytes: int, free: Callable[[], int], *, full: bool = False) -> None:
        self._reserve_bytes = reserve_bytes
        self._free = free
        self.full = full and reserve_bytes > 0

    def look(self, wall_ms: int) -> Event | None:
        """Looks at the disk; the event to be logged where that changed whether samples are taken."""
        if not self._reserve_bytes:
            return None
        free = self._free()
        if self.full == is_full(self._reserve_bytes, free, was_full=self.full):
            return None
        self.full = not self.full
        told = {"free_bytes": str(free), "reserve_bytes": str(self._reserve_bytes)}
        return Event("buffer-full" if self.full else "buffer-free", wall_ms, told)
