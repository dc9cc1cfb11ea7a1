"""A Carlo Gavazzi EM340 energy meter. Function code 4; 32-bit values low word first, in two's complement.

Source: volkszaehler/mbmd, meters/rs485/carlogavazzi-ex3x0.go. The registers between the documented ones do not exist.
"""

from __future__ import annotations

from fractions import Fraction

from simulate import words as w
from simulate.readout import Readout, amperes, whole

NEEDS = ("power_w", "import_wh")
OPTIONAL = ("export_wh", "phase_v")
COUNTERS = ("import_wh", "export_wh")
INPUT_FROM = 0
HUNDRED_WH = Fraction(100)  # 0.1 kWh
COUNTER_BITS = 31  # a signed 32-bit register that never shows a negative count
DECIWATT = Fraction(1, 10)
I32_MAX = 0x7FFFFFFE


def registers(readout: Readout) -> dict[int, w.Words]:
    """The documented registers; every other address does not exist."""
    power_w = readout.value("power_w")
    volts = readout.phase_volts()
    amps = amperes(power_w, volts)
    taken = readout.count("import_wh", HUNDRED_WH, COUNTER_BITS)
    third = taken // 3
    return {
        0x00: _each(volts, Fraction(1, 10)),
        0x0C: (*_each(amps, Fraction(1, 1000)), *_each([power_w / 3] * 3, DECIWATT)),
        0x28: _each([power_w], DECIWATT),
        0x2E: w.i16(1000) * 4,
        0x33: w.i16(whole(readout.wobble("hz", 50, 0.06), Fraction(1, 10), 0, 0x7FFE)),
        0x34: w.i32_low_first(taken),
        0x40: (*w.i32_low_first(third) * 2, *w.i32_low_first(taken - 2 * third)),
        0x4E: w.i32_low_first(readout.count("export_wh", HUNDRED_WH, COUNTER_BITS)),
    }


def _each(values: list[float] | list[Fraction], resolution: Fraction) -> w.Words:
    return tuple(word for value in values for word in w.i32_low_first(whole(value, resolution, -I32_MAX, I32_MAX)))
