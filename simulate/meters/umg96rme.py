"""A Janitza UMG 96RM-E power analyser. Function code 3, single floats, high word first, in watts and watt-hours.

Source: OpenEMS, MeterJanitzaUmg96rmeImpl.java. As a single float shows them, energies move in steps of 2 Wh from
16.8 MWh on and of 16 kWh from 137 GWh on.
"""

from __future__ import annotations

from fractions import Fraction

from simulate import words as w
from simulate.readout import Readout, amperes

NEEDS = ("power_w", "import_wh", "phase_v")
OPTIONAL = ("export_wh", "reactive_var")
COUNTERS = ("import_wh", "export_wh")
WH = Fraction(1)
COUNTER_BITS = 63


def registers(readout: Readout) -> dict[int, w.Words]:
    """The documented registers; every other address does not exist."""
    power_w, reactive_var = readout.value("power_w"), float(readout.optional("reactive_var", 0))
    third_w, third_var = float(power_w) / 3, reactive_var / 3
    volts = readout.phase_volts()
    return {
        19000: w.floats(*volts),
        19012: w.floats(*amperes(power_w, volts)),
        19020: w.floats(*[third_w] * 3, float(power_w)),
        19036: w.floats(*[third_var] * 3, reactive_var),
        19050: w.f32(readout.wobble("hz", 50, 0.06) if volts[0] else 0.0),
        19068: w.f32(readout.count("import_wh", WH, COUNTER_BITS)),
        19076: w.f32(readout.count("export_wh", WH, COUNTER_BITS)),
    }
