"""A real edge process whose meter is exchanged, and whose settings change while it runs, tick by tick."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.spool import Spool
from hakari.quality import Quality
from hakari.wire.configuration import Assembler
from hakari.wire.leaf import Event, Leaf, decode
from hakari.wire.rows import Row, rows_of_leaf
from simulate.displays import displays
from simulate.driver import Driver
from simulate.layout import Layout, MeterPlace, PlantPlace, argv, free_ports, prepare
from simulate.plant import Plant, load_plant
from simulate.processes import Processes
from simulate.run import serving
from simulate.schedule import NO_FAULTS, Faults, parse_fault
from tests.system.chain import ROOT, solar

pytestmark = pytest.mark.system

START_MS = 1_467_399_600_000  # 2016-07-01T12:00:00-07:00
STEP_MS = 900_000
EXCHANGED = "2016-07-01T13:00:00-07:00"  # tick 5
EDGE = "solar-e1"
POINT = f"{EDGE}/inverter/energy_export"
LOG_LIMIT_S = 20.0
BAD_CONFIGURATION, DATA_PROBLEM, REFUSED = 3, 5, 6


class World:
    """One plant served at a tick's time, the driver, and the edge as a process that may be stopped and started."""

    def __init__(self, folder: Path, driver: Driver, plant: Plant, layout: Layout, clock: list[int]) -> None:
        self.folder = folder
        self.driver = driver
        self.plant = plant
        self.layout = layout
        self.config = layout.edge_config(layout.plants[0])
        self.processes = Processes(folder / "logs")
        self._clock = clock
        self._tick = 0

    async def ticks(self, count: int) -> None:
        """So many more slots."""
        for _ in range(count):
            self._tick += 1
            await self.driver.step(self._tick, self.now_ms, lambda t_ms: self._clock.__setitem__(0, t_ms))

    @property
    def now_ms(self) -> int:
        """Plant time of the present tick."""
        return START_MS + max(0, self._tick - 1) * STEP_MS

    def stop(self) -> None:
        """Ends the edge cleanly."""
        assert self.processes.stop(EDGE) == 0

    def start(self) -> None:
        """Starts it."""
        self.processes.start(EDGE, argv("edge", "run", self.config))

    async def hakari(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """A command, while plant and driver are served on."""
        return await asyncio.to_thread(
            subprocess.run, argv(*words), capture_output=True, text=True, timeout=60, check=False
        )

    async def commission(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Against the inverter's display as it is now."""
        shown = displays(self.plant, self._clock[0])[1]
        return await self.hakari(
            "edge", "commission", self.config, "--meter", "inverter", "--by", "Ann",
            "--display", f"energy_export={words[0] if words else shown['energy_export']}",
        )  # fmt: skip

    async def logged(self, text: str) -> None:
        """Waits until the edge's log file has `text`."""
        await asyncio.to_thread(self._wait_logged, text, time.monotonic() + LOG_LIMIT_S)

    def _wait_logged(self, text: str, until_s: float) -> None:
        while text not in self.log():
            assert time.monotonic() < until_s, f"{text!r} is not in {self.log()}"
            time.sleep(0.02)

    def log(self) -> str:
        """What the edge has said so far."""
        return (self.folder / "logs" / f"{EDGE}.log").read_text()

    def edit(self, old: str, new: str) -> None:
        """Alters the edge's settings."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def sighup(self) -> None:
        """Asks the running edge to read its settings again."""
        os.kill(self.processes._children[EDGE].process.pid, signal.SIGHUP)

    def leaves(self) -> list[Leaf]:
        """Every leaf that the stopped edge signed."""
        spool = Spool(str(self.folder / f"{EDGE}.spool"))
        state = spool.current()
        assert state is not None
        found = [spool.leaf(state.epoch, i) for i in range(state.size)]
        spool.close()
        return [decode(body) for leaf in found if leaf is not None and (body := leaf.body()) is not None]


def events(leaves: Sequence[Leaf], kind: str) -> list[Event]:
    return [event for leaf in leaves for event in leaf.events if event.kind == kind]


def rows(leaves: Sequence[Leaf], point: str = POINT) -> list[Row]:
    """The readings of a point as everybody derives them: configurations as they were logged, leaf by leaf."""
    assembler = Assembler()
    found: list[Row] = []
    for leaf in leaves:
        if leaf.configuration is not None:
            assembler.add(leaf.configuration)
        found += [row for row in rows_of_leaf(EDGE, leaf.epoch, leaf, assembler.complete) if row.point == point]
    return found


@asynccontextmanager
async def world(folder: Path, *faults: str, serial: str = "") -> AsyncIterator[World]:
    """The demo's solar plant, whose inverter is read with a profile of the user's own: unproven."""
    meters = (MeterPlace("inverter", "own.toml", 1, serial), MeterPlace("export", "schneider-iem3155", 2, "IEM-0001"))
    (port,) = free_ports(1)
    place = PlantPlace("solar", folder / "solar.plant.toml", "solar", "e1", meters, None, port)
    layout = prepare(folder, [place], interval_s=900, batch_samples=1)
    (folder / "own.toml").write_text((ROOT / "edge/profiles/sunspec-inverter-103.toml").read_text())
    place.plant_file.write_text(re.sub(r"(?m)^port = \d+$", f"port = {port}", solar()[1]))
    plant, clock = load_plant(place.plant_file, {}), [START_MS]
    schedule = Faults([parse_fault(text) for text in faults], [plant]) if faults else NO_FAULTS
    async with (
        serving([plant], lambda: clock[0], schedule),
        Driver([EDGE], port=layout.driver_port) as driver,
    ):
        made = World(folder, driver, plant, layout, clock)
        # The driver tells its time to a command once there is one.
        driver.state.begin(0, START_MS)
        driver.state.tell_edges()
        with made.processes:
            yield made


async def explain(made: World) -> None:
    """The exchange, in words: refused until the settings expect the new serial."""
    certificate = made.folder / "b.pdf"
    certificate.write_bytes(b"certificate")
    told: list[str | Path] = ["edge", "replace-meter", made.config, "--meter", "inverter"]
    told += ["--old-final", "energy_export=8000.0", "--new-start", "energy_export=50000"]
    told += ["--new-serial", "INV-0002", "--why", "burnt out", "--by", "Ann", "--certificate", certificate]
    early = await made.hakari(*told)
    assert early.returncode == BAD_CONFIGURATION
    assert "write serial = 'INV-0002' there first" in early.stderr
    made.edit('serial = ""', 'serial = "INV-0002"')
    assert (await made.hakari(*told)).returncode == 0


def test_fault_17_an_exchanged_meter_counts_only_once_it_is_explained_and_commissioned(tmp_path: Path) -> None:
    async def run() -> None:
        fault = f"unit=1 kind=replaced new_serial=INV-0002 start=50000 from={EXCHANGED}"
        async with world(tmp_path, fault) as made:
            assert (await made.commission()).returncode == 0
            made.start()
            await made.ticks(4)
            running = await made.commission()
            assert running.returncode == REFUSED
            assert "belongs to a running edge; stop that one first" in running.stderr
            await made.ticks(2)
            await made.logged("serial was 'INV-0001' and is 'INV-0002'")
            made.stop()

            unexplained = await made.commission()
            assert unexplained.returncode == REFUSED
            assert "explain it first: hakari edge replace-meter" in unexplained.stderr
            made.start()
            await made.ticks(1)
            made.stop()

            await explain(made)
            made.start()
            await made.ticks(1)
            made.stop()

            wrong = await made.commission("5000")
            assert wrong.returncode == DATA_PROBLEM
            assert "differs" in wrong.stdout
            shown = displays(made.plant, made._clock[0])[1]["energy_export"]
            counted = int(shown) - int(displays(made.plant, START_MS + 4 * STEP_MS)[1]["energy_export"])
            done = await made.commission(str(50_000 + counted))
            assert done.returncode == 0, done.stdout
            made.start()
            await made.ticks(1)
            made.stop()

            found = made.leaves()
            readings = [(row.quality, row.reason.partition(":")[0]) for row in rows(found)]
            unproven = "profile unproven and point not commissioned"
            assert readings == [
                *[(Quality.GOOD, "")] * 4,
                *[(Quality.UNCERTAIN, "suspended")] * 3,
                (Quality.UNCERTAIN, unproven),
                (Quality.GOOD, ""),
            ]
            (changed,) = events(found, "identity-changed")
            assert (changed.data["before.serial"], changed.data["after.serial"]) == ("INV-0001", "INV-0002")
            (replaced,) = events(found, "meter-replaced")
            assert replaced.data["old_final.energy_export"] == "8000.0 Wh"
            assert replaced.data["certificate.0"].endswith(" b.pdf")
            assert (replaced.data["old.serial"], replaced.data["new.serial"]) == ("INV-0001", "INV-0002")
            assert len(events(found, "commissioning")) == 3

    asyncio.run(run())


def test_a_meter_whose_serial_is_expected_is_bad_at_once_and_suspended(tmp_path: Path) -> None:
    async def run() -> None:
        fault = f"unit=1 kind=replaced new_serial=INV-0002 from={EXCHANGED} until=2016-07-01T13:30:00-07:00"
        async with world(tmp_path, fault, serial="INV-0001") as made:
            assert (await made.commission()).returncode == 0
            made.start()
            await made.ticks(8)
            made.stop()
            qualities = [Quality(row.quality) for row in rows(made.leaves())]
            assert qualities == [Quality.GOOD] * 4 + [Quality.BAD] * 2 + [Quality.UNCERTAIN] * 2

    asyncio.run(run())


def test_fault_11_settings_that_change_at_run_time_cost_no_slot(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.start()
            await made.ticks(2)
            made.edit('id = "export"\nbus = "bus1"\nunit = 2', 'id = "second"\nbus = "bus1"\nunit = 2')
            made.sighup()
            await made.logged("they take effect at the next slot")
            await made.ticks(2)
            made.stop()
            found = made.leaves()
            samples = [(leaf.cfg, sample.slot_ms) for leaf in found for sample in leaf.samples]
            assert [slot_ms for _, slot_ms in samples] == [START_MS + k * STEP_MS for k in range(4)]
            before, after = samples[0][0], samples[3][0]
            assert [cfg for cfg, _ in samples] == [before, before, after, after]
            assert before != after
            (event,) = events(found, "configuration")
            assert event.data == {"before": before, "after": after, "added": "second", "removed": "export"}
            assert [row.t_ms for row in rows(found, f"{EDGE}/second/energy_export")] == [
                START_MS + 2 * STEP_MS, START_MS + 3 * STEP_MS,
            ]  # fmt: skip

    asyncio.run(run())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("unit = 2", "unit = 1", "are both unit 1 on bus bus1"),
        ('spool = "solar-e1.spool"', 'spool = "elsewhere.spool"', "[edge].spool has changed, which needs a restart"),
    ],
)
def test_settings_that_are_refused_leave_the_old_ones_in_force(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.start()
            await made.ticks(1)
            made.edit(old, new)
            made.sighup()
            await made.logged(sentence)
            assert "the old ones stay in force" in made.log()
            await made.ticks(1)
            made.edit(new, old)
            made.stop()
            found: list[Any] = [(leaf.cfg, one.slot_ms) for leaf in made.leaves() for one in leaf.samples]
            assert len({cfg for cfg, _ in found}) == 1
            assert len(found) == 2
            assert not (tmp_path / "elsewhere.spool").exists()

    asyncio.run(run())
