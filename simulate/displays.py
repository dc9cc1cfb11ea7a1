"""What the displays of the simulated meters show, by the names of the edge's points: the truth, not the words.

A person would read it off the meter; nothing here knows registers, types, word orders or scale factors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from simulate.meters import MODELS, b23, em340, iem3155, tva, umg96rme
from simulate.meters.carrier23xrv import OFF, RUNNING
from simulate.meters.sunspec103 import EFFICIENCY, MPPT, SLEEPING
from simulate.plant import Plant
from simulate.readout import Readout, amperes

SUNSPEC_BITS = 32
Display = dict[str, str]


def rounded(value: Fraction | float, places: int) -> str:
    """A gauge on a display: rounded to `places` digits behind the point."""
    return f"{Decimal(round(Fraction(value) * 10**places)).scaleb(-places):f}"


def counted(counts: int, places: int) -> str:
    """A counter on a display: whole counts of its last digit."""
    return f"{Decimal(counts).scaleb(-places):f}"


def _b23(readout: Readout) -> Display:
    return _three_phases(readout, b23.TEN_WH, b23.COUNTER_BITS, kwh_places=2, hz_places=2)


def _em340(readout: Readout) -> Display:
    return _three_phases(readout, em340.HUNDRED_WH, em340.COUNTER_BITS, kwh_places=1, hz_places=1)


def _three_phases(readout: Readout, step_wh: Fraction, bits: int, *, kwh_places: int, hz_places: int) -> Display:
    power_w, volts = readout.value("power_w"), readout.phase_volts()
    return {
        "energy_import": counted(readout.count("import_wh", step_wh, bits), kwh_places),
        "energy_export": counted(readout.count("export_wh", step_wh, bits), kwh_places),
        **_phases("voltage", volts, 1),
        **_phases("current", amperes(power_w, volts), 2),
        "active_power": rounded(power_w, 1),
        "frequency": rounded(readout.wobble("hz", 50, 0.06), hz_places),
        "power_factor": "1.000",
    }


def _carrier23xrv(readout: Readout) -> Display:
    return {
        "status": str(RUNNING if readout.value("load_percent") > 0 else OFF),
        "control_point": rounded(readout.value("control_point_c"), 1),
        "chilled_water_entering": rounded(readout.value("chilled_in_c"), 1),
        "chilled_water_leaving": rounded(readout.value("chilled_out_c"), 1),
        "cooling_water_entering": rounded(readout.value("cooling_in_c"), 1),
        "cooling_water_leaving": rounded(readout.value("cooling_out_c"), 1),
    }


def _umg96rme(readout: Readout) -> Display:
    volts = readout.phase_volts()
    return {
        "energy_import": _single(readout.count("import_wh", umg96rme.WH, umg96rme.COUNTER_BITS)),
        "energy_export": _single(readout.count("export_wh", umg96rme.WH, umg96rme.COUNTER_BITS)),
        **_phases("voltage", volts, 1),
        "active_power": rounded(readout.value("power_w"), 0),
        "frequency": rounded(readout.wobble("hz", 50, 0.06) if volts[0] else 0, 2),
    }


def _sunspec103(readout: Readout) -> Display:
    power_w = readout.value("power_w")
    generated_wh = readout.count("generated_wh", Fraction(1), SUNSPEC_BITS)
    shown = {
        "current": rounded(abs(power_w) / 230, 1),
        **_phases("voltage", [readout.wobble(f"v{phase}", 230, 4) for phase in "abc"], 1),
        "active_power": rounded(power_w, 0),
        "frequency": rounded(readout.wobble("hz", 50, 0.06), 2),
        "dc_power": rounded(max(power_w, Fraction(0)) / EFFICIENCY, 0),
        "cabinet_temperature": rounded(readout.value("cabinet_c"), 1),
        "status": str(MPPT if power_w > 0 else SLEEPING),
    }
    # An inverter that has fed in nothing yet shows no energy.
    return shown | ({"energy_export": str(generated_wh)} if generated_wh else {})


def _iem3155(readout: Readout) -> Display:
    power_w, volts = readout.value("power_w"), [readout.wobble(f"v{phase}", 230, 4) for phase in "abc"]
    return {
        "energy_import": counted(readout.count("import_wh", iem3155.WH, iem3155.COUNTER_BITS), 0),
        "energy_export": counted(readout.count("export_wh", iem3155.WH, iem3155.COUNTER_BITS), 0),
        **_phases("voltage", volts, 1),
        **_phases("current", amperes(power_w, volts), 2),
        "active_power": rounded(-power_w / 1000, 2),
        "frequency": rounded(readout.wobble("hz", 50, 0.06), 2),
    }


def _tva(readout: Readout) -> Display:
    return {
        "steam_mass": counted(readout.count("steam_kg", tva.KG, tva.COUNTER_BITS), 0),
        "heat_energy": counted(readout.count("heat_wh", tva.KWH, tva.COUNTER_BITS), 0),
        "steam_flow": rounded(readout.value("steam_kg_h"), 0),
        "water_equivalent": rounded(readout.value("steam_kg_h"), 1),
        "pressure": rounded(readout.wobble("bar", 7, 0.2), 2),
        "temperature": rounded(readout.wobble("c", 170.4, 0.8), 1),
        "heat_power": rounded(readout.value("heat_power_w") / 1000, 0),
        "alarms": "0",
    }


def _phases(name: str, values: list[float], places: int) -> Display:
    return {f"{name}_l{phase}": rounded(value, places) for phase, value in enumerate(values, 1)}


def _single(counts: int) -> str:
    """As a meter shows it that counts in a single float."""
    return f"{Decimal(struct.unpack('>f', struct.pack('>f', counts))[0]):f}"


DISPLAYS: dict[str, Callable[[Readout], Display]] = {
    "abb-b23": _b23,
    "carlo-gavazzi-em340": _em340,
    "carrier-23xrv": _carrier23xrv,
    "janitza-umg-96rm-e": _umg96rme,
    "schneider-iem3155": _iem3155,
    "spirax-sarco-tva": _tva,
    "sunspec-103": _sunspec103,
}


def displays(plant: Plant, t_ms: int) -> dict[int, Display]:
    """The displays of a plant's meters by their units, at plant time `t_ms`."""
    name_of = {id(model): name for name, model in MODELS.items()}
    return {meter.unit: DISPLAYS[name_of[id(meter.model)]](meter.readout(t_ms)) for meter in plant.meters}
