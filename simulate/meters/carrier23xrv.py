"""A Carrier AquaEdge 23XRV chiller's controller: each address is one value of its own, of 16 or 32 bits.

A read of two words at 0x003B gives one float, a read at 0x003C the next: the registers overlap. Temperatures in °C.
Source: the maker's manual of the 23XRV, page 70: 0x0028 and 0x0030 are holding registers (function code 3),
0x003B to 0x003E input registers (4). Which word of a float comes first is not said there; here it is the high one.
"""

from __future__ import annotations

from simulate import words as w
from simulate.readout import Readout

NEEDS = ("load_percent", "control_point_c", "chilled_in_c", "chilled_out_c", "cooling_in_c", "cooling_out_c")
INPUT_FROM = 0x003B
OFF, RUNNING = 0, 7


def registers(readout: Readout) -> dict[int, w.Words]:
    """The simulated values by their address; every other address does not exist."""
    return {
        0x0028: w.u16(RUNNING if readout.value("load_percent") > 0 else OFF),
        0x0030: _float(readout, "control_point_c"),
        0x003B: _float(readout, "chilled_in_c"),
        0x003C: _float(readout, "chilled_out_c"),
        0x003D: _float(readout, "cooling_in_c"),
        0x003E: _float(readout, "cooling_out_c"),
    }


def _float(readout: Readout, name: str) -> w.Words:
    return w.f32(float(readout.value(name)))
