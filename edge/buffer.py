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


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written beside the spool."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


class Buffer:
    """Whether there is room for another sample; `reserve_bytes` 0 asks nothing of the disk."""

    def __init__(self, reserve_bytes: int, free: Callable[[], int]) -> None:
        self._reserve_bytes = reserve_bytes
        self._free = free
        self.full = False

    def look(self, wall_ms: int) -> Event | None:
        """Looks at the disk; the event to be logged where that changed whether samples are taken."""
        if not self._reserve_bytes:
            return None
        free = self._free()
        wanted = self._reserve_bytes * (AGAIN if self.full else 1)
        if self.full == (free < wanted):
            return None
        self.full = not self.full
        told = {"free_bytes": str(free), "reserve_bytes": str(self._reserve_bytes)}
        return Event("buffer-full" if self.full else "buffer-free", wall_ms, told)
