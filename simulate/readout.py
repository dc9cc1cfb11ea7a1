"""What one meter measures at one moment: its quantities, counted and rounded as the meter's registers do."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from simulate import noise
from simulate.source import Source

MS_PER_MINUTE = 60_000
PHASE_V = 230


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
        self.source = source
        self.names = names
        self.offsets = offsets

    def at(self, t_ms: int) -> Readout:
        """The same meter at another time."""
        return Readout(self.source, t_ms, self.plate, self.names, self.offsets)

    def value(self, name: str) -> Fraction:
        """The exact quantity."""
        return self.source.value(self.names.get(name, name), self.t_ms)

    def optional(self, name: str, otherwise: Fraction | int) -> Fraction:
        """The exact quantity where the source has it."""
        return self.value(name) if self.names.get(name, name) in self.source.quantities else Fraction(otherwise)

    def phase_volts(self) -> list[float]:
        """The three voltages to neutral: the source's `phase_v`, 230 V where it has none, apart by less than 1 %."""
        middle = float(self.optional("phase_v", PHASE_V))
        return [self.wobble(f"v{phase}", middle, middle * 4 / PHASE_V) for phase in "abc"]

    def count(self, name: str, resolution: Fraction, bits: int) -> int:
        """A counter's register: whole counts of `resolution`, truncated, beginning again after `bits` bits."""
        return (self.offsets.get(name, 0) + self.optional(name, 0) // resolution) % (1 << bits)

    def wobble(self, label: str, middle: float, width: float) -> float:
        """A side value such as a voltage: seeded by the serial number, within `width` around `middle`."""
        minutes = self.t_ms / MS_PER_MINUTE
        return middle + width * (noise.smooth(0, f"{self.plate.serial}/{label}", minutes) - 0.5)


def amperes(power_w: Fraction, volts: list[float]) -> list[float]:
    """What flows in each phase where `power_w` is spread evenly; nothing without a voltage."""
    return [abs(float(power_w)) / 3 / volt if volt else 0.0 for volt in volts]


def whole(value: Fraction | float, resolution: Fraction | float, low: int, high: int) -> int:
    """A gauge's register: `value` in counts of `resolution`, to the nearest, held at the register's ends."""
    return min(max(round(Fraction(value) / Fraction(resolution)), low), high)


def scale_for(largest: float, limit: int, finest: int) -> int:
    """The finest power of ten, not below `finest`, with which `largest` stays within `limit` counts."""
    exponent = finest
    while largest > limit * 10.0**exponent:
        exponent += 1
    return exponent
