"""A water-cooled centrifugal chiller of a building: cooling load from weather and occupancy, power from load and lift.

COP = what the machine reaches, at its part load, of the Carnot COP between its two refrigerant temperatures
(evaporating in kelvin ÷ difference), which lie 1.5 K beyond those of the leaving waters. The cooling water is warmed by
load and power, and the power depends on how warm it leaves: solved in closed form.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import NamedTuple

from simulate import noise
from simulate.solar import MS_PER_DAY, SLOT_MS, span_from
from simulate.source import MW_PER_W, Integrator, Source

SETPOINT_C = Fraction(7)
DESIGN_RISE_K = 5  # of the chilled water at full load, which fixes its flow
DESIGN_REJECTION = Fraction(6, 5)  # heat to the cooling water ÷ load, which fixes that flow for the same rise
TERMINAL_K = 1.5  # between refrigerant and leaving water, on each side
ZERO_C_IN_K = 273.15
CARNOT_SHARE = 0.68  # of the ideal COP at the best part load
BEST_LOAD = 0.8
PART_LOAD_LOSS = 0.6  # of the share, times the square of the distance from the best part load
LEAST_LOAD = 0.2  # of capacity: below it the compressor would surge, so the chiller stands still
STANDBY_SHARE = 0.0005  # of capacity: controls and oil heater
COLDEST_TOWER_C = 20.0
OPEN_H, CLOSE_H = 8.0, 19.0
MC = 1000  # millikelvin in a kelvin
CACHED_SLOTS = 64


class State(NamedTuple):
    """One slot: load and power in whole milliwatts, leaving chilled and entering cooling water in millidegrees."""

    load_mw: int
    power_mw: int
    chilled_out_mc: int
    cooling_in_mc: int


class ChillerModel(Source):
    """Power and energy, load and the four water temperatures of one chiller, a pure function of (seed, time).

    Exact: load = flow × (chilled in − out), load + power = flow × (cooling out − in), cop = load ÷ power; below a
    fifth of its capacity the chiller stands still, and what it then uses does not reach the cooling water.
    """

    quantities = frozenset({
        "power_w", "import_wh", "cooling_w", "load_percent", "cop", "chilled_in_c", "chilled_out_c", "cooling_in_c",
        "cooling_out_c", "control_point_c", "outdoor_c", "wet_bulb_c", "phase_v",
    })  # fmt: skip

    def __init__(
        self, seed: int, *, capacity_w: float, mean_outdoor_c: float, longitude_deg: float, start_ms: int
    ) -> None:
        """`capacity_w` is the rated cooling, `mean_outdoor_c` the year's mean; the counter is zero at `start_ms`."""
        self.span = span_from(start_ms)
        self._seed = seed
        self._capacity_w = capacity_w
        self._mean_outdoor_c = mean_outdoor_c
        self._longitude_deg = longitude_deg
        self._chilled_w_k = Fraction(capacity_w) / DESIGN_RISE_K
        self._cooling_w_k = self._chilled_w_k * DESIGN_REJECTION
        self._state = functools.lru_cache(CACHED_SLOTS)(self._computed)
        self._energy = Integrator(lambda slot: self._state(slot).power_mw, start_ms, SLOT_MS)

    def value(self, quantity: str, t_ms: int) -> Fraction:
        """See `Source.value`."""
        if quantity == "import_wh":
            return self._energy.positive_wh(t_ms)
        weather = {"outdoor_c": self._outdoor_c, "wet_bulb_c": self._wet_bulb_c, "phase_v": self._phase_v}
        if quantity in weather:
            return Fraction(round(weather[quantity](t_ms) * MC), MC)
        return self._of(self._state(t_ms // SLOT_MS), quantity)

    def _of(self, state: State, quantity: str) -> Fraction:
        load_w, power_w = Fraction(state.load_mw, MW_PER_W), Fraction(state.power_mw, MW_PER_W)
        chilled_out_c, cooling_in_c = Fraction(state.chilled_out_mc, MC), Fraction(state.cooling_in_mc, MC)
        values = {
            "power_w": lambda: power_w,
            "cooling_w": lambda: load_w,
            "load_percent": lambda: 100 * load_w / Fraction(self._capacity_w),
            "cop": lambda: load_w / power_w,
            "chilled_out_c": lambda: chilled_out_c,
            "chilled_in_c": lambda: chilled_out_c + load_w / self._chilled_w_k,
            "cooling_in_c": lambda: cooling_in_c,
            "cooling_out_c": lambda: cooling_in_c + (load_w + power_w) * bool(load_w) / self._cooling_w_k,
            "control_point_c": lambda: SETPOINT_C,
        }
        return values[quantity]()

    def _computed(self, slot: int) -> State:
        t_ms = slot * SLOT_MS + SLOT_MS // 2
        share = self._share(t_ms)
        cooling_in_c = max(self._wet_bulb_c(t_ms) + 2.5 + 2 * share, COLDEST_TOWER_C)
        if share < LEAST_LOAD:  # the water in the still pipes takes the temperature of the rooms, slowly
            still_c = 14 + 3 * noise.smooth(self._seed, "still", t_ms / MS_PER_DAY)
            power_mw = round(STANDBY_SHARE * self._capacity_w * MW_PER_W)
            return State(0, power_mw, round(still_c * MC), round(cooling_in_c * MC))
        chilled_out_c = float(SETPOINT_C) + 0.4 * (noise.smooth(self._seed, "control", t_ms / 1_200_000) - 0.5)
        load_w = share * self._capacity_w
        power_w = load_w * self._power_per_load(share, load_w, chilled_out_c, cooling_in_c)
        return State(
            round(load_w * MW_PER_W), round(power_w * MW_PER_W), round(chilled_out_c * MC), round(cooling_in_c * MC)
        )

    def _power_per_load(self, share: float, load_w: float, chilled_out_c: float, cooling_in_c: float) -> float:
        """1 ÷ COP, the solution of x = (lift + rise × x) ÷ ideal: what the power adds warms the cooling water too."""
        reached = CARNOT_SHARE * (1 - PART_LOAD_LOSS * (share - BEST_LOAD) ** 2)
        ideal_k = reached * (chilled_out_c + ZERO_C_IN_K - TERMINAL_K)
        rise_k = load_w / float(self._cooling_w_k)
        lift_k = cooling_in_c + rise_k - chilled_out_c + 2 * TERMINAL_K
        return lift_k / (ideal_k - rise_k)

    def _share(self, t_ms: int) -> float:
        """The load as a share of capacity: machines that never rest, people and sun while the building is open."""
        days = t_ms / MS_PER_DAY + self._longitude_deg / 360
        hour, weekday = days % 1 * 24, int(days + 3) % 7  # 1970-01-01 was a Thursday, 3 days after a Monday
        is_open = OPEN_H <= hour < CLOSE_H and weekday < 5
        people = 0.35 + 0.1 * noise.smooth(self._seed, "people", t_ms / 5_400_000) if is_open else 0.0
        warmth = max(self._outdoor_c(t_ms) - 16, 0.0) / 40
        return min(0.05 + people + warmth * (1.0 if is_open else 0.45), 1.0)

    def _outdoor_c(self, t_ms: int) -> float:
        days = t_ms / MS_PER_DAY
        season = -8 * math.cos(2 * math.pi * (days % 365.2425 - 20) / 365.2425)
        hours = -4 * math.cos(2 * math.pi * ((days + self._longitude_deg / 360) % 1 - 0.1))
        weather = 6 * (noise.smooth(self._seed, "weather", days / 2) - 0.5)
        return self._mean_outdoor_c + season + hours + weather

    def _wet_bulb_c(self, t_ms: int) -> float:
        """Below the air by what evaporating water takes away: 3 K in damp weather to 9 K in dry."""
        return self._outdoor_c(t_ms) - 3 - 6 * noise.smooth(self._seed, "dryness", t_ms / MS_PER_DAY / 3)

    def _phase_v(self, t_ms: int) -> float:
        return 228 + 8 * noise.smooth(self._seed, "voltage", t_ms / 3_600_000)
