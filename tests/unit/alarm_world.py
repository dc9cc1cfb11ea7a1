"""A meter with power, counters and a voltage, whose faults are those of the simulation: from signed words to alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import msgspec

from hakari.log.roster import Roster
from hakari.registers.profile import Point, Profile
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import Meter, MeteringConfiguration, text_of
from hakari.wire.leaf import Block, Sample, encode
from ingest.view.feed import Feeder
from ingest.watch.alarm_settings import CheckTable
from ingest.watch.alarm_store import AlarmStore, Message
from ingest.watch.alarming import Alarming, everything
from ingest.watch.alarms import Change, Subject
from ingest.watch.contextual import Contextual
from ingest.watch.health import MINUTE_MS
from ingest.watch.minutes import Health
from simulate.faults import Fault, manner_of
from tests.unit.ingest_world import EDGE, FIRST, SLOT, STEP_MS, Minutes, Plant

PROFILE = Profile(
    id="test-meter", maker="m", model="m", source="s", standing="excerpt",
    points=[
        Point(name="energy_import", address=0, type="u32", kind="counter", unit="Wh"),
        Point(name="energy_export", address=2, type="u32", kind="counter", unit="Wh"),
        Point(name="active_power", address=4, type="i32", kind="gauge", unit="W", minimum="-20000", maximum="20000"),
        Point(name="voltage_l1", address=6, type="u16", kind="gauge", unit="V", exponent=-1),
    ],
)  # fmt: skip
WORDS = 7
BASE_WH = 1_000_000


def watts(k: int) -> int:
    """A day's work: none at night, up to 8 kW."""
    hour = k % 96 / 4
    return round(max(0.0, 8000 - 1000 * abs(hour - 13)))


class Site:
    """Ingest's stores, health and alarms; `restart` leaves nothing but the stores."""

    def __init__(
        self, folder: Path, roster: Roster, meters: Sequence[str] = ("main",), checks: Sequence[CheckTable] = ()
    ) -> None:
        self.folder = folder
        self.evidence = SqliteEvidenceLog(folder / "evidence.db")
        self.view = SqliteReadingsView(folder / "view.db")
        self.plant = Plant(self.evidence)
        self.roster = roster
        self.meters = tuple(meters)
        self.checks = checks
        self.changes: list[Change] = []
        self.minutes = Minutes()
        self.cfg = ""
        self.energy = [BASE_WH]
        self.away = ""
        self.min_free_percent = 0.0
        self.restart()

    def restart(self, owns: Callable[[Subject], bool] = everything) -> Self:
        self.store = AlarmStore(self.folder / "alarms.db")
        alarming = Alarming(
            self.store,
            Contextual(self.checks),
            self._tell,
            lambda: None,
            self.folder,
            self.min_free_percent,
            owns=owns,
        )
        self.health = Health(self.minutes, self.roster, alarming)
        self.feeder = Feeder(self.evidence, self.view, self.health.watch)
        return self

    def _tell(self, changes: Sequence[Change]) -> list[Message]:
        self.changes += changes
        return [Message("http://a", str(change.alarm.id), "{}") for change in changes]

    def configure(self) -> None:
        described = [Meter(name, "bus", unit, "", PROFILE) for unit, name in enumerate(self.meters, 1)]
        self.cfg = self.plant.configure(FIRST, text_of(MeteringConfiguration(1, EDGE, STEP_MS, 60_000, described)))

    def truth(self, k: int) -> dict[str, int]:
        while len(self.energy) <= k:
            at = len(self.energy)
            self.energy.append(self.energy[-1] + (watts(at - 1) + watts(at)) // 8)
        return {
            "energy_import": self.energy[k], "energy_export": 0, "active_power": watts(k), "voltage_l1": 2300 + k % 7,
        }  # fmt: skip

    def shown(self, k: int, faults: Sequence[Fault]) -> dict[str, int] | None:
        """What a meter with `faults` shows in slot `k`; None where it does not answer."""
        t_ms = SLOT + k * STEP_MS
        found = {}
        for name in self.truth(k):
            curve = Fraction(self.truth(k)[name])
            for fault in faults:
                if fault.at(t_ms) and (not fault.named() or name in fault.named()):
                    curve = fault.falsified(
                        lambda at, name=name: Fraction(self.truth((at - SLOT) // STEP_MS)[name]),  # type: ignore[misc]
                        t_ms,
                        counter=name.startswith("energy"),
                    )
            found[name] = int(curve)

        return None if manner_of(faults, t_ms).silent else found

    def slot(self, k: int, faults: Mapping[str, Sequence[Fault]] | None = None, *, received_ms: int = 0) -> None:
        """Stores the leaf of slot `k`."""
        if not self.cfg:
            self.configure()
        t_ms = SLOT + k * STEP_MS
        self.plant.counter += 1
        blocks = []
        for unit, name in enumerate(self.meters, 1):
            shown = self.shown(k, (faults or {}).get(name, ()))
            request = f"{unit:02x}030000{WORDS:04x}"
            answer = "" if shown is None else (bytes([3, 2 * WORDS]) + _words(shown)).hex()
            blocks.append(Block(name, "modbus-tcp", request, t_ms, 900, answer, "" if answer else "no answer"))
        received_ms = received_ms or t_ms
        leaf = msgspec.structs.replace(
            self.plant.leaf(FIRST, self.cfg, max(t_ms, received_ms)),
            samples=[Sample(t_ms, self.plant.counter, blocks)],
        )
        self.plant.store(FIRST, encode(leaf), received_ms)

    def minute(self, now_ms: int) -> None:
        """Feeds what is stored, and computes and writes the minute."""
        if not self.away:
            self.feeder.catch_up()
        while not self.health.compute(self.evidence, self.view, self.feeder, now_ms, SLOT, self.away):
            pass
        if not self.away:
            self.health.flush()

    def run(
        self, first: int, last: int, faults: Mapping[str, Sequence[Fault]] | None = None, *, silent: bool = False
    ) -> None:
        """Slots `first` to `last`, each with two minutes after it."""
        for k in range(first, last + 1):
            if not silent:
                self.slot(k, faults)
            for minute in (1, 2):
                self.minute(SLOT + k * STEP_MS + minute * MINUTE_MS)

    def raised(self) -> set[tuple[str, str]]:
        return {one.alarm.subject for one in self.changes if not one.cleared}

    def cleared(self) -> set[tuple[str, str]]:
        return {one.alarm.subject for one in self.changes if one.cleared}

    def standing(self) -> set[tuple[str, str]]:
        return {alarm.subject for alarm in self.store.load().raised}

    def close(self) -> None:
        self.store.close()
        self.evidence.close()
        self.view.close()


def _words(shown: Mapping[str, int]) -> bytes:
    parts = [(shown["energy_import"], 4), (shown["energy_export"], 4), (shown["active_power"], 4)]
    data = b"".join((value % 2 ** (8 * size)).to_bytes(size, "big") for value, size in parts)
    return data + (shown["voltage_l1"] % 2**16).to_bytes(2, "big")
