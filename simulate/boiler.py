"""A boiler house that heats a district: load from a seeded outdoor temperature, and its pumps' electricity."""

from __future__ import annotations

import math
from fractions import Fraction

from simulate import noise
from simulate.solar import MS_PER_DAY, SLOT_MS, span_from
from simulate.source import MS_PER_HOUR, Integrator, Source

HEATING_LIMIT_C = 17.0  # no space heating above this outdoor temperature
DESIGN_OUTDOOR_C = -15.0  # full capacity at this outdoor temperature
HOT_WATER_SHARE = 0.08  # of capacity, all year
AUX_STANDBY_SHARE = Fraction(1, 1000)  # of capacity: controls and circulation pump
AUX_LOAD_SHARE = Fraction(12, 1000)  # of the heat: fans, fuel feed, pumps
STEAM_WH_PER_KG = Fraction(2_433_000, 3600)  # 2433 kJ/kg: steam of 7 bar g from feed water of 80 °C


class BoilerModel(Source):
    """heat_wh, heat_power_w, aux_wh, aux_power_w, steam_kg, steam_kg_h, outdoor_c; a pure function of (seed, time)."""

    quantities = frozenset({"heat_wh", "heat_power_w", "aux_wh", "aux_power_w", "steam_kg", "steam_kg_h", "outdoor_c"})

    def __init__(self, seed: int, *, capacity_w: float, mean_outdoor_c: float, start_ms: int) -> None:
        """`capacity_w` is the rated heat output; `mean_outdoor_c` the year's mean; counters are zero at `start_ms`."""
        self.span = span_from(start_ms)
        self._seed = seed
        self._capacity_w = capacity_w
        self._mean_outdoor_c = mean_outdoor_c
        self._heat = Integrator(self._heat_mw, start_ms, SLOT_MS)

    def value(self, quantity: str, t_ms: int) -> Fraction:
        """See `Source.value`."""
        values = {
            "heat_wh": lambda: self._heat.positive_wh(t_ms),
            "heat_power_w": lambda: self._heat.power_w(t_ms),
            "steam_kg": lambda: self._heat.positive_wh(t_ms) / STEAM_WH_PER_KG,
            "steam_kg_h": lambda: self._heat.power_w(t_ms) / STEAM_WH_PER_KG,
            "aux_wh": lambda: self._aux(self._heat.positive_wh(t_ms), Fraction(t_ms - self.span.start_ms, MS_PER_HOUR)),
            "aux_power_w": lambda: self._aux(self._heat.power_w(t_ms), Fraction(1)),
            "outdoor_c": lambda: Fraction(round(self._outdoor_c(t_ms) * 100), 100),
        }
        return values[quantity]()

    def _outdoor_c(self, t_ms: int) -> float:
        days = t_ms / MS_PER_DAY
        season = -12 * math.cos(2 * math.pi * (days % 365.2425 - 20) / 365.2425)
        hours = -4 * math.cos(2 * math.pi * (days % 1 - 0.1))
        weather = 10 * (noise.smooth(self._seed, "weather", days / 2) - 0.5)
        return self._mean_outdoor_c + season + hours + weather

    def _heat_mw(self, slot: int) -> int:
        t_ms = slot * SLOT_MS + SLOT_MS // 2
        cold = max(HEATING_LIMIT_C - self._outdoor_c(t_ms), 0.0) / (HEATING_LIMIT_C - DESIGN_OUTDOOR_C)
        hot_water = HOT_WATER_SHARE * (0.5 + noise.smooth(self._seed, "tap", t_ms / 1_800_000))
        return round(min(cold + hot_water, 1.0) * self._capacity_w * 1000)

    def _aux(self, heat: Fraction, hours: Fraction) -> Fraction:
        """Electricity that goes with `heat`: its share of the load, and the standby of those hours."""
        return AUX_LOAD_SHARE * heat + AUX_STANDBY_SHARE * Fraction(self._capacity_w) * hours
