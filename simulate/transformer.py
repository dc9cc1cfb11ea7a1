"""A distribution transformer: what it delivers, what it loses, what it takes, and when the grid is away.

No-load loss P0 · (V/Vn)², load loss Pk · (S/Sn)²; taken = delivered + both. Without voltage nothing flows.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import NamedTuple

from simulate import noise
from simulate.solar import MS_PER_DAY, SLOT_MS, span_from
from simulate.source import MW_PER_W, Integrator, Source, Span

POWER_FACTOR = 0.95
VOLTAGE_SWING = 0.04  # of the nominal voltage, from lowest to highest
REGULATION = 0.02  # of the secondary voltage, lost at full load
OUTAGE_BLOCK_MS = 30 * MS_PER_DAY
QUIET_MS = 3 * MS_PER_DAY  # at the beginning of each block of 30 days no outage begins
SHORTEST_MS, LONGEST_MS = 45 * 60_000, 180 * 60_000
MAX_OUTAGES = 20
MV = 1000  # millivolts in a volt
CACHED_SLOTS = 64


class Rating(NamedTuple):
    """The nameplate: S in VA, line voltages in V, no-load loss P0 and load loss Pk at rated voltage and load in W."""

    capacity_va: float
    primary_v: float
    secondary_v: float
    no_load_w: float
    load_w: float


class State(NamedTuple):
    """One slot: whole milliwatts, and whole millivolts between phase and neutral."""

    secondary_mw: int = 0
    no_load_mw: int = 0
    load_mw: int = 0
    primary_mv: int = 0
    secondary_mv: int = 0

    @property
    def primary_mw(self) -> int:
        """What is delivered and what is lost, exactly."""
        return self.secondary_mw + self.no_load_mw + self.load_mw


class TransformerModel(Source):
    """Both sides' power, energy and phase voltage, and the losses; a pure function of (seed, time).

    Exact: primary = secondary + no_load_loss + load_loss, in power and in energy. `energised_h` counts the hours with
    voltage. In each 30 days from the start `outages` begin, of 45 to 180 minutes, none in the first three days; two may
    run into one.
    """

    quantities = frozenset({
        "primary_w", "primary_wh", "primary_phase_v", "primary_var", "secondary_w", "secondary_wh",
        "secondary_phase_v", "no_load_loss_w", "load_loss_w", "load_percent", "energised_h",
    })  # fmt: skip

    def __init__(self, seed: int, *, rating: Rating, outages: int, longitude_deg: float, start_ms: int) -> None:
        """`outages` from 0 to 20; `longitude_deg` tells when its morning is; counters are zero at `start_ms`."""
        self.span = span_from(start_ms)
        self._seed = seed
        self._rating = rating
        self._outages = outages
        self._longitude_deg = longitude_deg
        self._state = functools.lru_cache(CACHED_SLOTS)(self._computed)
        self._primary = Integrator(lambda slot: self._state(slot).primary_mw, start_ms, SLOT_MS)
        self._secondary = Integrator(lambda slot: self._state(slot).secondary_mw, start_ms, SLOT_MS)
        self._energised = Integrator(lambda slot: MW_PER_W * bool(self._state(slot).primary_mv), start_ms, SLOT_MS)

    def value(self, quantity: str, t_ms: int) -> Fraction:
        """See `Source.value`."""
        counters = {"primary_wh": self._primary, "secondary_wh": self._secondary, "energised_h": self._energised}
        if quantity in counters:
            return counters[quantity].positive_wh(t_ms)
        state = self._state(t_ms // SLOT_MS)
        apparent_w = Fraction(state.secondary_mw, MW_PER_W) / Fraction(POWER_FACTOR)
        values = {
            "primary_w": Fraction(state.primary_mw, MW_PER_W),
            "primary_phase_v": Fraction(state.primary_mv, MV),
            "primary_var": Fraction(round(float(apparent_w) * math.sqrt(1 - POWER_FACTOR**2) * MV), MV),
            "secondary_w": Fraction(state.secondary_mw, MW_PER_W),
            "secondary_phase_v": Fraction(state.secondary_mv, MV),
            "no_load_loss_w": Fraction(state.no_load_mw, MW_PER_W),
            "load_loss_w": Fraction(state.load_mw, MW_PER_W),
            "load_percent": 100 * apparent_w / Fraction(self._rating.capacity_va),
        }
        return values[quantity]

    def outages(self, block: int) -> list[Span]:
        """The outages of the `block`-th 30 days from the start, in whole slots."""
        begin_ms = self.span.start_ms + block * OUTAGE_BLOCK_MS + QUIET_MS
        found = []
        for k in range(self._outages):
            index = block * MAX_OUTAGES + k
            room_ms = OUTAGE_BLOCK_MS - QUIET_MS - LONGEST_MS
            start_ms = begin_ms + int(noise.unit(self._seed, "outage", index) * room_ms)
            lasts_ms = SHORTEST_MS + int(noise.unit(self._seed, "lasts", index) * (LONGEST_MS - SHORTEST_MS))
            found.append(Span(start_ms // SLOT_MS * SLOT_MS, (start_ms + lasts_ms) // SLOT_MS * SLOT_MS))
        return found

    def _computed(self, slot: int) -> State:
        t_ms = slot * SLOT_MS + SLOT_MS // 2
        block = (t_ms - self.span.start_ms) // OUTAGE_BLOCK_MS
        if any(away.start_ms <= t_ms < away.end_ms for away in self.outages(block)):
            return State()
        voltage = 1 + VOLTAGE_SWING * (noise.smooth(self._seed, "voltage", t_ms / 7_200_000) - 0.5)
        share = self._share(t_ms)
        rating = self._rating
        return State(
            secondary_mw=round(share * POWER_FACTOR * rating.capacity_va * MW_PER_W),
            no_load_mw=round(rating.no_load_w * voltage**2 * MW_PER_W),
            load_mw=round(rating.load_w * share**2 * MW_PER_W),
            primary_mv=round(voltage * rating.primary_v / math.sqrt(3) * MV),
            secondary_mv=round(voltage * (1 - REGULATION * share) * rating.secondary_v / math.sqrt(3) * MV),
        )

    def _share(self, t_ms: int) -> float:
        """The load S/Sn: homes and shops, with a peak in the morning and a higher one in the evening."""
        hour = (t_ms / MS_PER_DAY + self._longitude_deg / 360) % 1 * 24
        morning, evening = (math.exp(-(((hour - peak_h) / 2.5) ** 2)) for peak_h in (9, 19))
        weather = 0.12 * noise.smooth(self._seed, "weather", t_ms / MS_PER_DAY)
        people = 0.06 * noise.smooth(self._seed, "people", t_ms / 1_800_000)
        return 0.22 + 0.18 * morning + 0.3 * evening + weather + people
