"""What is known of one point since it was recovered: its last reading, when its register moved, which slots are good.

Guaranteed: the same readings in another order give the same, but for when the register moved; again, nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from hakari.quality import Quality
from hakari.wire.rows import Row

DAY_MS = 24 * 3_600_000


class Marked(NamedTuple):
    """Times, interval, newest slot and bits of a point before a run of readings; the latter two after it."""

    before: tuple[list[int], int, int, int]
    after: tuple[int, int]


class Seen:
    """What is known of one point. Bit k of `bits` is whether slot number `newest` − k has a GOOD reading."""

    def __init__(self, interval_ms: int, known_from_ms: int) -> None:
        self.interval_ms = interval_ms
        self.known_from_ms = known_from_ms
        self.last: tuple[int, int] | None = None  # slot, quality
        self.good: Row | None = None
        self.changed_ms = 0
        self._size = max(1, DAY_MS // interval_ms)
        self._newest = 0
        self._bits = 0

    def add(self, row: Row) -> None:
        """Takes one reading; again without any effect.

        In any order, but for `changed_ms`: a reading that comes after a later one does not tell when the register
        moved, until the point is recovered from the view, in order, after the next start.
        """
        if self.last is None or row.t_ms > self.last[0]:
            self.last = (row.t_ms, row.quality)
        elif row.t_ms == self.last[0]:
            self.last = (row.t_ms, min(row.quality, self.last[1]))
        if row.quality != Quality.GOOD:
            return
        self._mark(row.t_ms // self.interval_ms)
        if self.good is None or ((row.type, row.raw, row.exponent) != self._register and row.t_ms > self.good.t_ms):
            self.changed_ms = row.t_ms
        if self.good is None or row.t_ms > self.good.t_ms:
            self.good = row

    def add_run(self, times: list[int], raws: Sequence[int], newest: Row, marked: Marked | None) -> Marked | None:
        """As `add` of GOOD readings of one type and exponent, ever later and after all known; `newest` is the last.

        Points that are read together have the same slots: `marked` is what this gave for the one before.
        """
        state = (times, self.interval_ms, self._newest, self._bits)
        if marked is not None and marked.before == state:
            self._newest, self._bits = marked.after
        else:
            self._mark_run([t_ms // self.interval_ms for t_ms in times])
            marked = Marked(state, (self._newest, self._bits))
        self.last = (times[-1], int(Quality.GOOD))
        k = len(raws) - 1
        while k and raws[k] == raws[k - 1]:
            k -= 1
        if k or (newest.type, raws[0], newest.exponent) != self._register:
            self.changed_ms = times[k]
        self.good = newest
        return marked

    def _mark_run(self, slots: Sequence[int]) -> None:
        if slots[0] <= self._newest or slots[-1] - slots[0] >= self._size:
            for slot in slots:
                self._mark(slot)
            return
        ahead, bits = slots[-1] - self._newest, 0
        for slot in slots:
            bits |= 1 << (slots[-1] - slot)
        self._bits = bits if ahead >= self._size else (self._bits << ahead) & _ones(self._size) | bits
        self._newest = slots[-1]

    @property
    def _register(self) -> tuple[str, int, int] | None:
        return None if self.good is None else (self.good.type, self.good.raw, self.good.exponent)

    def _mark(self, slot: int) -> None:
        if slot > self._newest:
            ahead = slot - self._newest
            self._bits = 0 if ahead >= self._size else (self._bits << ahead) & _ones(self._size)
            self._newest = slot
        if self._newest - slot < self._size:
            self._bits |= 1 << (self._newest - slot)

    def completeness(self, until_ms: int) -> float:
        """The share of the 24 hours' slots up to `until_ms` with a GOOD reading; of fewer while fewer are known."""
        last = until_ms // self.interval_ms
        known_from = -(-self.known_from_ms // self.interval_ms)
        slots = min(self._size, max(1, last - known_from + 1))
        bits = self._bits >> (self._newest - last) if last < self._newest else self._bits
        kept = slots - max(0, last - self._newest)
        return (bits & ((1 << kept) - 1)).bit_count() / slots if kept > 0 else 0.0


@lru_cache(maxsize=64)
def _ones(count: int) -> int:
    return (1 << count) - 1
