"""A Schneider Electric iEM3155 energy meter. Function code 3, high word first; a negative power is exported.

Source: volkszaehler/mbmd, meters/rs485/iem3000.go.
"""

from __future__ import annotations

from fractions import Fraction

from simulate import words as w
from simulate.readout import Readout

NEEDS = ("power_w", "export_wh", "import_wh")
COUNTERS = ("export_wh", "import_wh")
WH = Fraction(1)
COUNTER_BITS = 63  # a signed 64-bit register that never shows a negative count
KW = 1000


def registers(readout: Readout) -> dict[int, w.Words]:
    """The documented registers; every other address does not exist."""
    power_kw = -float(readout.value("power_w")) / KW
    volts = [readout.wobble(f"v{phase}", 230, 4) for phase in "abc"]
    amps = [abs(power_kw) / 3 * KW / volt for volt in volts]
    taken = readout.count("import_wh", WH, COUNTER_BITS)
    third = taken // 3
    return {
        2999: _floats(*amps),
        3009: w.f32(sum(amps) / 3),
        3027: _floats(*volts),
        3035: w.f32(sum(volts) / 3),
        3053: _floats(*(power_kw / 3,) * 3, power_kw),
        3067: w.f32(0.0),
        3075: w.f32(abs(power_kw)),
        3083: w.f32(1.0),
        3109: w.f32(readout.wobble("hz", 50, 0.06)),
        3203: (*w.i64(taken), *w.i64(readout.count("export_wh", WH, COUNTER_BITS))),
        3219: (*w.i64(0), *w.i64(0)),
        3517: (*w.i64(third), *w.i64(third), *w.i64(taken - 2 * third)),
    }


def _floats(*values: float) -> w.Words:
    return tuple(word for value in values for word in w.f32(value))
