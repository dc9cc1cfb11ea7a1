"""Named instants at which a test may kill a process for certain, between two steps that must not be one.

HAKARI_CRASH="edge.committed:17" sends SIGKILL to the process that passes that point the 17th time.
Unset, as in production, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

_WHERE, _, _COUNT = os.environ.get("HAKARI_CRASH", "").partition(":")
_left = int(_COUNT) if _COUNT.isdigit() else 1


def crash_point(name: str) -> None:
    """Dies here if the environment says so."""
    global _left  # noqa: PLW0603 - one countdown a process is the whole purpose
    if name == _WHERE:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
