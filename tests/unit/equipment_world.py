"""Two projects with equipment over the small plant of `calc_world`: chillers by meters, transformers by voltage."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from calc.compute import compute
from calc.evidence import Evidence
from calc.leaves import Facts
from calc.methodologies.base import Methodology
from calc.methodologies.registry import find
from calc.project import check_project, read_project
from hakari.ledger.result import PeriodResult
from hakari.period import Period
from hakari.quality import Quality
from hakari.registers.profile import Point, Profile
from hakari.wire.configuration import parts_of, sha256_of, text_of
from hakari.wire.rows import Row
from tests.unit import calc_world as w

VOLTAGE = f"{w.EDGE}/export/energy"
ANALYSER = f"{w.EDGE}/import/energy"

HEAD = f"""
[project]
id = "plant"
name = "Test plant"
country = "VN"
zone = "Etc/UTC"
namespace = "{w.NAMESPACE}"
methodology = "{{code}}"
version = "1.0"

[plan]
boundary_limit_h = 1
interval_s = 3600
"""


def given(table: str, name: str, value: str, unit: str) -> str:
    """One ex-ante value."""
    return f'[[{table}]]\nname = "{name}"\nvalue = "{value}"\nunit = "{unit}"\nstanding = "demo"\nsource = "S"\n\n'


def point(name: str, serial: str, *keys: str) -> str:
    """One metering point."""
    calibration = '{ certificate = "C-1", lab = "L", date = 2016-01-01, valid_to = 2026-01-01 }'
    lines = ["[[monitored.points]]", f'point = "{name}"', f'serial = "{serial}"', 'accuracy_class = "0.5S"', *keys]
    return "\n".join([*lines, f"calibration = {calibration}", "", ""])


def chiller(identity: str, service: str, capacity: str, cop: str, temperatures: tuple[str, str]) -> str:
    """One chiller of the register."""
    cooling, chilled = temperatures
    return (
        f'[[equipment]]\nid = "{identity}"\n{service}\n\n'
        + given("equipment.parameter", "capacity", capacity, "USRt")
        + given("equipment.parameter", "COP_PJ", cop, "1")
        + given("equipment.parameter", "T_cooling_out", cooling, "°C")
        + given("equipment.parameter", "T_chilled_out", chilled, "°C")
    )


def chiller_text() -> str:
    """Two chillers; the second comes into service on 11 July."""
    return (
        HEAD.format(code="CHILLER_COP_RATIO")
        + given("parameter", "EF_elec", "0.8", "tCO2/MWh")
        + chiller("ch-1", "in_service = 2016-06-01", "400", "6.4", ("36", "8"))
        + chiller("ch-2", 'class = "below-300"\nin_service = 2016-07-11', "250", "5.5", ("37", "7"))
        + '[[monitored]]\nparameter = "EC"\noption = "C"\n\n'
        + point(w.EXPORT, "S-export", 'capacity_kw = "100"', 'equipment = "ch-1"')
        + point(w.IMPORT, "S-import", 'capacity_kw = "100"', 'equipment = "ch-2"')
    )


def transformer(identity: str, units: int, service: str, losses: tuple[str, str]) -> str:
    """One class of transformers of the register."""
    return (
        f'[[equipment]]\nid = "{identity}"\nclass = "{identity} kVA"\nunits = {units}\n{service}\n\n'
        + given("equipment.parameter", "NLL_RE", losses[0], "W")
        + given("equipment.parameter", "NLL_PJ", losses[1], "W")
    )


def transformer_text() -> str:
    """Two classes behind one analyser; the second serves from 16 to 20 July."""
    return (
        HEAD.format(code="AMORPHOUS_TRANSFORMER")
        + given("parameter", "EF_grid", "0.5", "tCO2/MWh")
        + given("parameter", "Br", "0.01", "1")
        + given("parameter", "tolerance", "10", "%")
        + transformer("t-1000", 20, "in_service = 2016-06-01", ("1400", "450"))
        + transformer("t-400", 3, "in_service = 2016-07-16\nout_of_service = 2016-07-21", ("700", "200"))
        + '[[monitored]]\nparameter = "H"\noption = "C"\n\n'
        + point(VOLTAGE, "S-export", 'energised_above = "6000"')
    )


def gauge_rows(readings: Sequence[tuple[int, int | None]], name: str = VOLTAGE) -> list[Row]:
    """(slot, tenths of a volt) as rows; None is a reading that is not GOOD."""
    return [
        Row(
            name,
            t,
            "u32",
            volt or 0,
            -1,
            Quality.BAD if volt is None else Quality.GOOD,
            "",
            1,
            k,
            w.BOOT,
            t - w.START_MS,
        )
        for k, (t, volt) in enumerate(readings)
    ]


def counter_rows(name: str, readings: Sequence[tuple[int, int]]) -> list[Row]:
    """(slot, Wh) as rows."""
    return [
        Row(name, t, "u32", wh, 0, Quality.GOOD, "", 1, k, w.BOOT, t - w.START_MS) for k, (t, wh) in enumerate(readings)
    ]


def evidence(rows: dict[str, list[Row]], unit: str, kind: str) -> Evidence:
    """Evidence of points that are all of one unit and kind."""
    serials = {w.EXPORT: "S-export", w.IMPORT: "S-import"}
    facts = {name: [Facts(unit, kind, serials[name])] for name in rows}
    return Evidence(rows, facts, [], [], [])


def result_of(
    text: str, found: Evidence, period: Period | None = None, methodology: Methodology | None = None
) -> PeriodResult:
    """The result of July 2016, or of `period`."""
    project = read_project(text.encode(), "p.toml")
    methodology = methodology or find(project.file.project.methodology, "1.0")
    check_project(project, methodology)
    return compute(project, methodology, found, "2016-07", period or Period(w.START_MS, w.END_MS))


def july_energy() -> Evidence:
    """Ten kWh an hour by the first meter and one by the second, all of July."""
    month = w.month()
    rows = {
        w.EXPORT: counter_rows(w.EXPORT, [(t, one) for t, one, _ in month if one is not None]),
        w.IMPORT: counter_rows(w.IMPORT, [(t, two) for t, _, two in month if two is not None]),
    }
    return evidence(rows, "Wh", "counter")


def july_voltage() -> list[tuple[int, int | None]]:
    """6.35 kV and a little every hour, three readings of zero from hour 100 on and none from hour 200 to 204."""
    return [
        (w.START_MS + hour * w.HOUR_MS, 0 if 100 <= hour <= 102 else 63_500 + hour % 2)
        for hour in range(747)
        if not 200 <= hour <= 204
    ]


def gauge() -> Profile:
    """An analyser with one voltage in tenths of a volt."""
    return Profile(
        id="test-gauge",
        maker="Test",
        model="Gauge",
        source="made for tests",
        standing="one-source",
        points=[Point(name="energy", address=0, type="u32", kind="gauge", unit="V", exponent=-1)],
    )


def configure_gauges(world: w.World) -> str:
    """Logs a configuration in which both meters are analysers; its hash."""
    configuration = w.configuration()
    meters = [msgspec.structs.replace(meter, profile=gauge()) for meter in configuration.meters]
    text = text_of(msgspec.structs.replace(configuration, meters=meters))
    for part in parts_of(text):
        world.leaf(1, part=part)
    return sha256_of(text)


def total(result: PeriodResult) -> Decimal:
    """The reductions; fails where there are none."""
    if result.reductions_tco2 is None:
        raise AssertionError(result.refusals)
    return Decimal(result.reductions_tco2)
