"""An ABB B23 energy meter. Function code 3, high word first.

Source: volkszaehler/mbmd, meters/rs485/abb.go.
"""

from __future__ import annotations

from fractions import Fraction

from simulate import words as w
from simulate.readout import Readout, amperes, whole

NEEDS = ("power_w", "import_wh")
OPTIONAL = ("export_wh", "phase_v")
COUNTERS = ("import_wh", "export_wh")
TEN_WH = Fraction(10)  # 0.01 kWh
COUNTER_BITS = 64
CENTIWATT = Fraction(1, 100)
I32_MAX = 0x7FFFFFFE


def registers(readout: Readout) -> dict[int, w.Words]:
    """The documented registers; every other address does not exist."""
    power_w = readout.value("power_w")
    volts = readout.phase_volts()
    amps = amperes(power_w, volts)
    taken = readout.count("import_wh", TEN_WH, COUNTER_BITS)
    third = taken // 3
    return {
        0x5000: (*w.u64(taken), *w.u64(readout.count("export_wh", TEN_WH, COUNTER_BITS))),
        0x5460: (*w.u64(third), *w.u64(third), *w.u64(taken - 2 * third), *w.u64(0) * 3),
        0x5B00: tuple(word for volt in volts for word in w.u32(whole(volt, 0.1, 0, I32_MAX))),
        0x5B0C: tuple(word for amp in amps for word in w.u32(whole(amp, 0.01, 0, I32_MAX))),
        0x5B14: (*_centiwatts(power_w), *_centiwatts(power_w / 3) * 3),
        0x5B2C: w.u16(whole(readout.wobble("hz", 50, 0.06), 0.01, 0, 0xFFFE)),
        0x5B3A: w.i16(1000) * 4,
    }


def _centiwatts(power_w: Fraction) -> w.Words:
    return w.i32(whole(power_w, CENTIWATT, -I32_MAX, I32_MAX))
