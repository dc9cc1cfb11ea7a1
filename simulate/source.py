"""Where a plant's quantities come from: exact numbers as a pure function of time."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple, Protocol

from hakari.errors import BadConfiguration

MS_PER_HOUR = 3_600_000
MW_PER_W = 1000
MAX_SLOTS = 2_200_000  # twenty years of five minutes


class SourceInvalid(BadConfiguration):
    """A source cannot give what is asked of it."""


class Span(NamedTuple):
    """The time for which a source knows its quantities: [start_ms, end_ms], UTC milliseconds."""

    start_ms: int
    end_ms: int


class Source(Protocol):
    """Quantities of one plant. The unit ends the quantity's name: `power_w`, `heat_wh`, `steam_kg`."""

    quantities: frozenset[str]
    span: Span

    def value(self, quantity: str, t_ms: int) -> Fraction:
        """The exact value at `t_ms`; a counter's is what it has counted since the source began."""
        ...


class Integrator:
    """Energy counted in both directions from a power that is constant within each slot.

    `power_mw(k)` is the power in whole milliwatts during slot k, which begins `k * slot_ms` after 1970.
    """

    def __init__(self, power_mw: Callable[[int], int], start_ms: int, slot_ms: int) -> None:
        """Counting begins at `start_ms`, which is rounded down to the beginning of its slot."""
        self._power_mw = power_mw
        self._slot_ms = slot_ms
        self._first = start_ms // slot_ms
        self._powers: list[int] = []
        self._positive = [0]
        self._negative = [0]

    def power_w(self, t_ms: int) -> Fraction:
        """The power at `t_ms`."""
        return Fraction(self._power_mw(t_ms // self._slot_ms), MW_PER_W)

    def positive_wh(self, t_ms: int) -> Fraction:
        """What was counted of power above zero."""
        return self._counted(self._positive, t_ms, 1)

    def negative_wh(self, t_ms: int) -> Fraction:
        """What was counted of power below zero, as a positive number."""
        return self._counted(self._negative, t_ms, -1)

    def _counted(self, sums: list[int], t_ms: int, sign: int) -> Fraction:
        slot, rest_ms = divmod(t_ms, self._slot_ms)
        index = slot - self._first
        if not 0 <= index < MAX_SLOTS:
            raise SourceInvalid(
                f"time {t_ms} ms is outside the {MAX_SLOTS} slots after the source's start;"
                " set `start` in the plant file to a later date before that time"
            )
        self._extend(index)
        counted = sums[index] * self._slot_ms + max(sign * self._powers[index], 0) * rest_ms
        return Fraction(counted, MW_PER_W * MS_PER_HOUR)

    def _extend(self, index: int) -> None:
        while len(self._powers) <= index:
            power = self._power_mw(self._first + len(self._powers))
            self._powers.append(power)
            self._positive.append(self._positive[-1] + max(power, 0))
            self._negative.append(self._negative[-1] + max(-power, 0))
