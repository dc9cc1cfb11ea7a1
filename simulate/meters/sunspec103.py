"""A three-phase inverter that speaks SunSpec: common model 1 and inverter model 103, integers with scale factors.

Base 40000, function code 3. Unused points hold SunSpec's "not implemented" patterns.
Source: sunspec/models, model_1.json and model_103.json.
"""

from __future__ import annotations

from fractions import Fraction

from simulate import words as w
from simulate.readout import Readout, scale_for, whole

NEEDS = ("power_w", "generated_wh", "cabinet_c")
COUNTERS = ("generated_wh",)
BASE = 40000
COMMON_LENGTH = 66
INVERTER_LENGTH = 50
END_MODEL = (0xFFFF, 0)
SLEEPING, MPPT = 2, 4
PAD = 0x8000
DC_VOLTAGE_V = 600
EFFICIENCY = Fraction(97, 100)
I16_MAX, U16_MAX = 0x7FFE, 0xFFFE


def registers(readout: Readout) -> dict[int, w.Words]:
    """The whole map as one block from the marker "SunS" to the end model."""
    return {BASE: (*w.text("SunS", 2), *_common(readout), *_inverter(readout), *END_MODEL)}


def _common(readout: Readout) -> w.Words:
    return (
        *w.u16(1),
        *w.u16(COMMON_LENGTH),
        *w.text("Simulated", 16),
        *w.text("Inverter 103", 16),
        *w.text("", 8),
        *w.text("1.0", 8),
        *w.text(readout.plate.serial, 16),
        *w.u16(1),
        *w.u16(PAD),
    )


def _inverter(readout: Readout) -> w.Words:
    return (*w.u16(103), *w.u16(INVERTER_LENGTH), *_alternating(readout), *_direct(readout), *_state(readout))


def _alternating(readout: Readout) -> w.Words:
    """Offsets 2 to 26: currents, voltages, power, frequency and the energy counter."""
    power_w = readout.value("power_w")
    rated_w = readout.plate.rated_w
    a_sf, w_sf = scale_for(rated_w / 200, U16_MAX, -2), scale_for(2 * rated_w, I16_MAX, -1)
    volts = [readout.wobble(f"v{phase}", 230, 4) for phase in "abc"]
    amps = whole(abs(power_w) / 690, Fraction(10) ** a_sf, 0, U16_MAX // 3)
    watts = whole(power_w, Fraction(10) ** w_sf, -I16_MAX, I16_MAX)
    return (
        *w.u16(3 * amps), *(amps, amps, amps), *w.i16(a_sf),
        *(w.NOT_IMPLEMENTED_U16,) * 3,
        *(whole(volt, 0.1, 0, U16_MAX) for volt in volts), *w.i16(-1),
        *w.i16(watts), *w.i16(w_sf),
        *w.u16(whole(readout.wobble("hz", 50, 0.06), 0.01, 0, U16_MAX)), *w.i16(-2),
        *w.i16(abs(watts)), *w.i16(w_sf),
        *w.i16(0), *w.i16(w_sf),
        *w.i16(1000), *w.i16(-1),
        *w.u32(readout.count("generated_wh", Fraction(1), 32)), *w.i16(0),
    )  # fmt: skip


def _direct(readout: Readout) -> w.Words:
    """Offsets 27 to 37: the panels' side and the temperatures."""
    rated_w = readout.plate.rated_w
    a_sf, w_sf = scale_for(rated_w / 200, U16_MAX, -2), scale_for(2 * rated_w, I16_MAX, -1)
    dc_w = max(readout.value("power_w"), Fraction(0)) / EFFICIENCY
    return (
        *w.u16(whole(dc_w / DC_VOLTAGE_V, Fraction(10) ** a_sf, 0, U16_MAX)), *w.i16(a_sf),
        *w.u16(10 * DC_VOLTAGE_V if dc_w else 0), *w.i16(-1),
        *w.i16(whole(dc_w, Fraction(10) ** w_sf, 0, I16_MAX)), *w.i16(w_sf),
        *w.i16(whole(readout.value("cabinet_c"), Fraction(1, 10), -I16_MAX, I16_MAX)),
        *(w.NOT_IMPLEMENTED_I16,) * 3, *w.i16(-1),
    )  # fmt: skip


def _state(readout: Readout) -> w.Words:
    """Offsets 38 to 51: operating state and events."""
    state = MPPT if readout.value("power_w") > 0 else SLEEPING
    return (*w.u16(state), w.NOT_IMPLEMENTED_U16, 0, 0, *w.NOT_IMPLEMENTED_BITS32 * 5)
