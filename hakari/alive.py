"""A room's sign of life: one small file that its loop rewrites, so that a supervisor knows a hung room from a live one.

It holds the machine's time, never the plant's, and nothing that anybody credits.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hakari.errors import NotReachable

EVERY_S = 5.0
MAX_FILE_BYTES = 4096
MAX_SAID_CHARS = 500


class NotAlive(NotReachable):
    """A room gives no sign of life, or says itself that it cannot work."""


class Sign(NamedTuple):
    """The last sign of life: its age, what stood in the room's way, what it does without meanwhile ("" for none)."""

    age_s: float
    trouble: str
    without: str


class Alive:
    """Writes the sign, at most every EVERY_S unless what it says has changed. Without a path it does nothing."""

    def __init__(self, path: Path | None, now_s: Callable[[], float] = time.time) -> None:
        """`now_s` is the machine's time in UTC seconds."""
        self._path = path
        self._now_s = now_s
        self._written: tuple[float, str, str] | None = None

    def beat(self, trouble: str = "", without: str = "") -> None:
        """The loop has come round; each is one sentence. Raises OSError where the file cannot be written.

        `trouble` keeps the room from its work; `without` does not, and is only told.
        """
        now_s, said = self._now_s(), (trouble[:MAX_SAID_CHARS], without[:MAX_SAID_CHARS])
        if self._path is None or (
            self._written is not None and self._written[1:] == said and 0 <= now_s - self._written[0] < EVERY_S
        ):
            return
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(json.dumps({"at_s": now_s, "trouble": said[0], "without": said[1]}), encoding="utf-8")
        os.replace(new, self._path)  # noqa: PTH105 - as elsewhere
        self._written = (now_s, *said)

    def end(self) -> None:
        """The room ends by itself: no sign is left."""
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()


def check(path: Path, limit_s: float, now_s: float) -> Sign:
    """The sign in `path`, not older than `limit_s` and without trouble; NotAlive otherwise."""
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(MAX_FILE_BYTES))
        sign = Sign(now_s - float(told["at_s"]), str(told["trouble"]), str(told["without"]))
    except FileNotFoundError as error:
        raise NotAlive(f"there is no sign of life {path}: the room does not run, or has just started") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAlive(f"sign of life {path} cannot be read: {error}; check alive_file in its settings") from error
    if not -limit_s <= sign.age_s <= limit_s:
        raise NotAlive(
            f"the last sign of life {path} is {sign.age_s:.0f} s old, limit {limit_s:.0f} s: the room hangs or was"
            " killed; look at its log and start it again"
        )
    if sign.trouble:
        raise NotAlive(f"the room runs, but {sign.trouble}")
    return sign
