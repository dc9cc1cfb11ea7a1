"""What one meter measures at one moment: its quantities, counted and rounded as the meter's registers do."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from simulate import noise
from simulate.source import Source

MS_PER_MINUTE = 60_000


class Nameplate(NamedTuple):
    """What distinguishes two meters of one model. `rated_w` decides the scale factors that a model has."""

    serial: str
    rated_w: int


class Readout:
    """One meter at `t_ms`. `names` maps the model's quantities to the source's, `offsets` a counter's first count."""

    def __init__(
        self, source: Source, t_ms: int, plate: Nameplate, names: Mapping[str, str], offsets: Mapping[str, int]
    ) -> None:
        """Nothing is computed before it is asked for."""
        self.t_ms = t_ms
        self.plate = plate
        self._source = source
        self._names = names
        self._offsets = offsets

    def value(self, name: str) -> Fraction:
        """The exact quantity."""
        return self._source.value(self._names.get(name, name), self.t_ms)

    def count(self, name: str, resolution: Fraction, bits: int) -> int:
        """A counter's register: whole counts of `resolution`, truncated, beginning again after `bits` bits."""
        return (self._offsets.get(name, 0) + self.value(name) // resolution) % (1 << bits)

    def wobble(self, label: str, middle: float, width: float) -> float:
        """A side value such as a voltage: seeded by the serial number, within `width` around `middle`."""
        minutes = self.t_ms / MS_PER_MINUTE
        return middle + width * (noise.smooth(0, f"{self.plate.serial}/{label}", minutes) - 0.5)


def whole(value: Fraction | float, resolution: Fraction | float, low: int, high: int) -> int:
    """A gauge's register: `value` in counts of `resolution`, to the nearest, held at the register's ends."""
    return min(max(round(Fraction(value) / Fraction(resolution)), low), high)


def scale_for(largest: float, limit: int, finest: int) -> int:
    """The finest power of ten, not below `finest`, with which `largest` stays within `limit` counts."""
    exponent = finest
    while largest > limit * 10.0**exponent:
        exponent += 1
    return exponent
