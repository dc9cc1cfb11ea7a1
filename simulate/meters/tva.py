"""A Spirax-Sarco TVA steam meter. Function code 3; 32-bit totals as two registers, the low one first.

Source: the maker's TVA manual, page 45. Registers 0 to 11; the US units at 20 to 28 are not simulated.
"""

from __future__ import annotations

from fractions import Fraction

from simulate import words as w
from simulate.readout import Readout, whole

NEEDS = ("heat_wh", "heat_power_w", "steam_kg", "steam_kg_h")
COUNTERS = ("heat_wh", "steam_kg")
KWH = Fraction(1000)
KG = Fraction(1)
COUNTER_BITS = 32
U16_MAX = 0xFFFF
DEVICE_ID = 0
SOFTWARE_VERSION = 103


def registers(readout: Readout) -> dict[int, w.Words]:
    """Registers 0 to 11 as one block."""
    flow_kg_h = readout.value("steam_kg_h")
    return {
        0: (
            *w.u32_low_first(readout.count("steam_kg", KG, COUNTER_BITS)),
            *w.u16(whole(flow_kg_h, KG, 0, U16_MAX)),
            *w.u16(whole(readout.wobble("bar", 7, 0.2), 0.01, 0, U16_MAX)),
            *w.u16(whole(readout.wobble("c", 170.4, 0.8), 0.1, 0, U16_MAX)),
            *w.u16(whole(flow_kg_h, Fraction(1, 10), 0, U16_MAX)),
            *w.u16(whole(readout.value("heat_power_w"), KWH, 0, U16_MAX)),
            *w.u32_low_first(readout.count("heat_wh", KWH, COUNTER_BITS)),
            *w.u16(0),
            *w.u16(DEVICE_ID),
            *w.u16(SOFTWARE_VERSION),
        )
    }
