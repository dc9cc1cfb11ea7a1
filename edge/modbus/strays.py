"""What came on a line and answered no request that waited, told to whoever runs the edge."""

from __future__ import annotations

import logging

TELL_EVERY_S = 3600.0

_log = logging.getLogger("hakari.edge")


class Strays:
    """Says how much came at `where` that was not taken: when there is more of it, at most once an hour."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._told = (0, 0)
        self._free_s = float("-inf")

    def told(self, late: int, noise: int, now_s: float) -> None:
        """So many late answers and so many bytes of noise came in all, by `now_s` of a monotonic clock."""
        if (late, noise) == self._told or now_s < self._free_s:
            return
        self._told, self._free_s = (late, noise), now_s + TELL_EVERY_S
        _log.info(
            "%s: since the start %d answers came too late and %d bytes belonged to no answer; none was taken",
            self._where, late, noise,
        )  # fmt: skip
