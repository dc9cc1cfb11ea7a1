"""A photovoltaic system: clear-sky geometry under seeded clouds, the same in every run with the same seed.

Clear-sky irradiance after Haurwitz (1945): 1098 W/m² · sin h · exp(-0.057 / sin h).
"""

from __future__ import annotations

import math
from fractions import Fraction

from simulate import noise
from simulate.source import MAX_SLOTS, Integrator, Source, Span

SLOT_MS = 300_000
MS_PER_DAY = 86_400_000
PERFORMANCE_RATIO = 0.85
NIGHT_SHARE = -0.0005  # the inverter's own use at night, as a share of its capacity
DARK_BELOW = 0.02  # sine of the sun's height under which the inverter sleeps
END_MS = 4_102_444_800_000  # 2100-01-01


def span_from(start_ms: int) -> Span:
    """What a seeded model knows that counts from `start_ms` on: as long as its counters can count, to 2100 at most."""
    return Span(start_ms, min((start_ms // SLOT_MS + MAX_SLOTS) * SLOT_MS - 1, END_MS))


class SolarModel(Source):
    """power_w, export_wh, import_wh, generated_wh and cabinet_c of one system, a pure function of (seed, time)."""

    quantities = frozenset({"power_w", "export_wh", "import_wh", "generated_wh", "cabinet_c"})

    def __init__(
        self, seed: int, *, capacity_w: float, latitude_deg: float, longitude_deg: float, start_ms: int
    ) -> None:
        """`capacity_w` is the rated power; counters are zero at `start_ms`."""
        self.span = span_from(start_ms)
        self._seed = seed
        self._capacity_w = capacity_w
        self._latitude = math.radians(latitude_deg)
        self._longitude_deg = longitude_deg
        self._energy = Integrator(self._power_mw, start_ms, SLOT_MS)

    def value(self, quantity: str, t_ms: int) -> Fraction:
        """See `Source.value`."""
        if quantity == "power_w":
            return self._energy.power_w(t_ms)
        if quantity == "import_wh":
            return self._energy.negative_wh(t_ms)
        if quantity == "cabinet_c":
            return Fraction(20) + max(self._energy.power_w(t_ms), Fraction(0)) * 25 / Fraction(self._capacity_w)
        return self._energy.positive_wh(t_ms)

    def _power_mw(self, slot: int) -> int:
        t_ms = slot * SLOT_MS + SLOT_MS // 2
        height = self._sine_of_height(t_ms)
        if height < DARK_BELOW:
            return round(NIGHT_SHARE * self._capacity_w * 1000)
        irradiance = 1098 * height * math.exp(-0.057 / height)
        power_w = self._capacity_w * irradiance / 1000 * PERFORMANCE_RATIO * self._clearness(t_ms)
        return round(min(power_w, self._capacity_w) * 1000)

    def _sine_of_height(self, t_ms: int) -> float:
        days = t_ms / MS_PER_DAY
        declination = math.radians(-23.44) * math.cos(2 * math.pi * (days % 365.2425 + 10) / 365.2425)
        hour_angle = 2 * math.pi * (days % 1 - 0.5) + math.radians(self._longitude_deg)
        noon = math.cos(self._latitude) * math.cos(declination)
        return math.sin(self._latitude) * math.sin(declination) + noon * math.cos(hour_angle)

    def _clearness(self, t_ms: int) -> float:
        """What the clouds leave: a level for the day, and passing clouds where the day is not clear."""
        day = 0.25 + 0.75 * math.sqrt(noise.smooth(self._seed, "day", t_ms / MS_PER_DAY))
        passing = noise.smooth(self._seed, "cloud", t_ms / 1_200_000)
        return day * (1 - (1 - day) * passing)
