"""Runs of the real chain in which many meters of one bus measure the same plant, each with a fault of its own.

The first meter of each model has none: it is the same run without faults, and what the others are held against.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from calc.run import add_project, compute_once, write_pack_of
from calc.verify import Verdict, verify_pack
from hakari.ledger.result import Input, PeriodResult, decode
from hakari.log.note import VerifierKey
from hakari.registers.reading import exact_value
from hakari.store.ledger_sql import SqlLedger
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row, once
from simulate.layout import MeterPlace, approve_epochs, call
from tests.system.chain import PLANTS, Chain, solar

FIRST_DAY, MONTH = "2016-07-31", "2016-07"
START, END = "2016-07-30T22:00:00-07:00", "2016-08-01T02:00:00-07:00"
SLOTS = 28 * 4 + 1
TIMEOUT_S = 1.0
LATE_S, SLOW_S = 1.4, 0.05
CERTIFICATE = '{ certificate = "T", lab = "T", date = 2016-06-01, valid_to = 2026-06-01 }'


class Meter(NamedTuple):
    """A meter model as it stands in a plant: which of its points counts for what, and further keys of its plan."""

    plant: str
    profile: str
    table: str
    point: str
    parameter: str
    plan: str


METERS = {
    "inverter": Meter(
        "solar",
        "sunspec-inverter-103",
        'model = "sunspec-103"\nrated_kw = 6.0',
        "energy_export",
        "EG",
        'capacity_kw = "6.5"',
    ),
    "export": Meter(
        "solar", "schneider-iem3155", 'model = "schneider-iem3155"', "energy_export", "EG", 'capacity_kw = "6.5"'
    ),
    "heat": Meter(
        "boiler", "spirax-sarco-tva", 'model = "spirax-sarco-tva"', "heat_energy", "PH", 'capacity_kw = "2200"'
    ),
    "aux": Meter(
        "boiler",
        "abb-b23",
        'model = "abb-b23"\nrated_kw = 60.0\nreads = { power_w = "aux_power_w", import_wh = "aux_wh" }',
        "energy_import",
        "EC",
        'capacity_kw = "66"',
    ),
    "power": Meter(
        "chiller",
        "carlo-gavazzi-em340",
        'model = "carlo-gavazzi-em340"\nrated_kw = 300.0',
        "energy_import",
        "EC",
        'equipment = "ch-1"\ncapacity_kw = "330"',
    ),
    "primary": Meter(
        "transformer",
        "janitza-umg-96rm-e",
        'model = "janitza-umg-96rm-e"\nrated_kw = 1000.0\nreads = { power_w = "primary_w", import_wh = "primary_wh",'
        ' phase_v = "primary_phase_v", reactive_var = "primary_var" }',
        "voltage_l1",
        "H",
        'energised_above = "6000"',
    ),
}


class Case(NamedTuple):
    """One fault of one meter. `flagged` names where a person meets it: place → a text that stands there.

    Places: `lines` and `refusals` of the result, `view` (why readings are not GOOD), `log` (the edge's).
    """

    meter: str
    words: str
    flagged: Mapping[str, str]

    @property
    def id(self) -> str:
        """The case for a test's name."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.meter} {self.words}".lower().replace("2016-07-", ""))


class Outcome(NamedTuple):
    """What a run made of one meter: its month, the input of its register, and its readings by time."""

    result: PeriodResult
    input: Input
    rows: Sequence[Row]

    @property
    def quantity(self) -> Decimal | None:
        """The register's quantity in the month, None where it was refused."""
        return None if self.input.quantity is None else Decimal(self.input.quantity)

    @property
    def reductions(self) -> Decimal | None:
        """The project's reductions in the month."""
        return None if self.result.reductions_tco2 is None else Decimal(self.result.reductions_tco2)

    @property
    def values(self) -> dict[int, Decimal]:
        """slot → value of the register, GOOD readings only."""
        return {row.t_ms: exact_value(row.type, row.raw, row.exponent) for row in self.rows if row.quality == 0}


class FaultRun:
    """One chain over `cases`; each has a meter and a project of its own, beside the true one of its model."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.folder = folder
        self._ids: dict[str, list[str]] = defaultdict(list)
        self._meter_of: dict[str, str] = {}
        for name, spec in METERS.items():
            if any(METERS[case.meter].plant == spec.plant for case in cases):
                self._ids[name].append(f"{name}0")
        for case in cases:
            self._meter_of[case.id] = f"{case.meter}{len(self._ids[case.meter])}"
            self._ids[case.meter].append(self._meter_of[case.id])
        self.plants = sorted({METERS[name].plant for name in self._ids})
        self._units = {
            meter: unit
            for plant in self.plants
            for unit, meter in enumerate((m for n in METERS if METERS[n].plant == plant for m in self._ids[n]), 1)
        }
        self.chain = self._chain()
        self._configure()

    def drive(self) -> None:
        """The run itself: real processes from the meters to the view."""
        with self.chain as chain:
            chain.start_all()
            chain.finish()
        approve_epochs(self.chain.layout)
        self.compute()

    def compute(self) -> None:
        """Registers every project in a new ledger and computes it."""
        config = self.chain.layout.calc_config
        (self.folder / "ledger.db").unlink(missing_ok=True)
        for meter in self._units:
            file = self.folder / f"{meter}.project.toml"
            file.write_text(self._project(meter))
            add_project(config, file)
        compute_once(config)

    def rebuild(self) -> None:
        """`hakari view rebuild` after the view was lost."""
        for part in self.folder.glob("view.db*"):
            part.unlink()
        call("view", "rebuild", "--config", self.chain.layout.ingest_config)

    def outcome(self, meter: str) -> Outcome:
        """What became of a meter."""
        ledger = SqlLedger(f"sqlite:///{self.folder / 'ledger.db'}")
        period = ledger.period(f"{meter}-{MONTH}")
        ledger.close()
        assert period is not None
        result = decode(period.result_json)
        point = self._point(meter)
        return Outcome(result, next(one for one in result.inputs if one.point == point), self.rows(point))

    def meter_of(self, case: Case) -> str:
        """The meter that has the case's fault."""
        return self._meter_of[case.id]

    def true_of(self, case: Case) -> str:
        """The meter of the same model without a fault."""
        return f"{case.meter}0"

    def rows(self, point: str) -> list[Row]:
        """A point's readings in the view."""
        view = SqliteReadingsView(self.folder / "view.db", read_only=True)
        rows = once(view.read(point, 0, 2**53))
        view.close()
        return rows

    def verdict(self, meter: str) -> Verdict:
        """What verification makes of the month's pack."""
        path = self.folder / f"{meter}.hakari"
        write_pack_of(self.chain.layout.calc_config, f"{meter}-{MONTH}", path)
        return verify_pack(path, VerifierKey.parse(self.chain.layout.owner_key))

    def log(self, case: Case) -> str:
        """What the edge of the case's meter logged."""
        return (self.folder / "logs" / f"{METERS[case.meter].plant}-e1.log").read_text()

    def places(self, case: Case) -> dict[str, str]:
        """place → everything that stands there about the case's meter."""
        meter, found = self.meter_of(case), self.outcome(self.meter_of(case))
        point = self._point(meter)
        return {
            "lines": " ".join(f"{line.rule}: {line.text};" for line in found.result.lines if line.point == point),
            "refusals": " ".join(one for one in found.result.refusals if f" at {point}: " in one),
            "view": " ".join(sorted({row.reason for row in found.rows if row.quality})),
            "log": " ".join(line for line in self.log(case).splitlines() if f"meter {meter} " in line),
        }

    def _point(self, meter: str) -> str:
        spec = METERS[meter.rstrip("0123456789")]
        return f"{spec.plant}-e1/{meter}/{spec.point}"

    def _chain(self) -> Chain:
        texts = {plant: (PLANTS / f"{plant}.toml").read_text() for plant in self.plants} | {"solar": solar()[1]}
        places = {
            plant: [
                MeterPlace(meter, METERS[name].profile, self._units[meter], f"S-{meter}")
                for name in METERS
                if METERS[name].plant == plant
                for meter in self._ids[name]
            ]
            for plant in self.plants
        }
        plants = [(plant, self._plant(texts[plant], places[plant])) for plant in self.plants]
        return Chain(self.folder, plants, START, END, meters=places)

    def _plant(self, text: str, places: Sequence[MeterPlace]) -> str:
        tables = [
            f'[[meters]]\nunit = {place.unit}\nserial = "{place.serial}"\n'
            f"{METERS[place.id.rstrip('0123456789')].table}\n"
            for place in places
        ]
        return text[: text.index("[[meters]]")] + "\n".join(tables)

    def _configure(self) -> None:
        """The schedule, and a timeout that a busy machine keeps and a late meter does not."""
        for place in self.chain.layout.plants:
            config = self.chain.layout.edge_config(place)
            config.write_text(config.read_text().replace("timeout_s = 2.0", f"timeout_s = {TIMEOUT_S}"))
        tables = [self._fault(case) for case in self.cases]
        (self.folder / "faults.toml").write_text("\n".join(tables))
        scenario = self.folder / "scenario.toml"
        scenario.write_text('faults = "faults.toml"\n' + scenario.read_text())

    def _fault(self, case: Case) -> str:
        """The case's words as a table of the schedule."""
        pairs = [word.partition("=") for word in case.words.split()]
        lines = [
            f'{key} = "{value}"' if key in ("kind", "new_serial") else f"{key} = {value}" for key, _, value in pairs
        ]
        return "\n".join(["[[fault]]", f'serial = "S-{self.meter_of(case)}"', *lines, ""])

    def _project(self, meter: str) -> str:
        """The demo's project, with this meter's register in place of its own and the other parameter's true one."""
        spec = METERS[meter.rstrip("0123456789")]
        others = {"heat": "aux0", "aux": "heat0"}
        text = (PLANTS / f"{spec.plant}.project.toml").read_text().split("[[monitored]]")[0]
        text = text.replace(f'id = "demo-{spec.plant}"', f'id = "{meter}"')
        bound = [meter, *([others[name]] if (name := meter.rstrip("0123456789")) in others else [])]
        for one in sorted(bound, key=lambda one: METERS[one.rstrip("0123456789")].parameter, reverse=True):
            its = METERS[one.rstrip("0123456789")]
            text += (
                f'[[monitored]]\nparameter = "{its.parameter}"\noption = "C"\n[[monitored.points]]\n'
                f'point = "{self._point(one)}"\nserial = "S-{one}"\naccuracy_class = "T"\n'
                f"{its.plan}\ncommissioned = {FIRST_DAY}\ncalibration = {CERTIFICATE}\n\n"
            )
        return text
