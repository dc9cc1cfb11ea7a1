"""When a meter that does not answer is asked again: pure, a state for each unit.

Guaranteed: once it was silent it is asked with one request only, after the others, at first in the next slot and then
ever later up to 30 s; a meter is never given up, however long it was away.
"""

from __future__ import annotations

LONGEST_MS = 30_000
MAX_DOUBLINGS = 20


class Breaker:
    """One unit. `error` is why it is suspect, "" while it answers; times are monotonic milliseconds of the plant."""

    def __init__(self, interval_ms: int) -> None:
        self.error = ""
        self.asked_ms = 0
        self.interval_ms = interval_ms
        self._silences = 0
        self._not_before_ms = 0

    def silent(self, began_ms: int, error: str) -> None:
        """It did not answer in the slot that began to be read at `began_ms`."""
        wait_ms = min(self.interval_ms << min(self._silences, MAX_DOUBLINGS), max(LONGEST_MS, self.interval_ms))
        self._silences += 1
        self.error, self.asked_ms = error, began_ms
        # Slots do not begin to the millisecond: half of one is left so that none is missed.
        self._not_before_ms = began_ms + wait_ms - self.interval_ms // 2

    def answered(self) -> None:
        """It gave a word of its own: all is as before."""
        self.error, self._silences = "", 0

    def due(self, began_ms: int) -> bool:
        """Whether a suspect unit is asked in a slot that began to be read at `began_ms`."""
        return began_ms >= self._not_before_ms

    def overdue(self, began_ms: int) -> bool:
        """Whether it waited so long that it is asked even where its timeout does not fit into the slot."""
        return began_ms - self.asked_ms >= max(2 * LONGEST_MS, self.interval_ms)
