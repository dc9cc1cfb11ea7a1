"""`hakari calc run` beside an owner who replaces the roster: it goes on whatever stands in the file."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from calc import run
from hakari.ledger.result import decode
from hakari.log.roster import sign_roster
from hakari.store.ledger_sql import SqlLedger
from simulate.layout import argv
from tests.unit import calc_world as w

pytestmark = pytest.mark.system

WAIT_S = 60.0
LATER = "plant-2016-08"


def project() -> str:
    """The plant under a methodology that is always installed."""
    text = w.replaced(w.project_text(standing="demo"), "FIXTURE_PUBLISHED", "PV_CONSERVATIVE")
    text = text.replace('name = "EF"', 'name = "EF_RE"').replace('"EXP"', '"EG"')
    return text[: text.index('[[monitored]]\nparameter = "IMP"')]


class Running:
    """The process over a world with a month in it, and the ledger that it writes."""

    def __init__(self, folder: Path) -> None:
        self.world = w.World(folder)
        self.cfg = self.world.configure()
        self.world.record(w.month(), self.cfg)
        config = self.world.write_settings()
        config.write_text(f"{config.read_text()}poll_s = 0.1\n")
        self.roster = replace(self.world.roster(), serial=5)
        self.put(sign_roster(self.roster, self.world.owner))
        (folder / "project.toml").write_text(project())
        run.add_project(config, folder / "project.toml")
        self.ledger = SqlLedger(f"sqlite:///{folder / 'ledger.db'}")
        self.said = folder / "calc.log"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(argv("calc", "run", "--config", config), stdout=said, stderr=said)

    def put(self, note: bytes) -> None:
        """Replaces the roster as the owner does: as a whole."""
        new = self.world.folder / "roster.new"
        new.write_bytes(note)
        new.rename(self.world.folder / "roster.note")

    def wait(self, ready: Callable[[], bool]) -> None:
        end_s = time.monotonic() + WAIT_S
        while not ready():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < end_s, self.said.read_text()
            time.sleep(0.1)

    def goes_on(self, hour: int) -> None:
        """Fails unless a reading of that hour after July is computed."""
        t_ms = w.END_MS + hour * w.HOUR_MS
        self.world.record([(t_ms, 13_000_000 + hour * 10_000, 900_000)], self.cfg)

        def computed() -> bool:
            period = self.ledger.period(LATER)
            return period is not None and decode(period.result_json).measured_end_ms == t_ms

        self.wait(computed)


def test_a_roster_that_is_bad_or_older_is_said_and_not_taken(tmp_path: Path) -> None:
    running = Running(tmp_path)
    try:
        running.goes_on(10)
        running.put(b"not a roster")
        running.wait(lambda: "check roster_file and owner_key" in running.said.read_text())
        running.goes_on(11)
        running.put(sign_roster(replace(running.roster, serial=4, epochs=[]), running.world.owner))
        running.wait(lambda: "does not follow 5" in running.said.read_text())
        running.goes_on(12)
        (tmp_path / "roster.note").unlink()
        running.wait(lambda: "cannot be read" in running.said.read_text())
        running.goes_on(13)
        running.put(sign_roster(replace(running.roster, serial=6), running.world.owner))
        running.wait(lambda: "roster with serial 6 is in force" in running.said.read_text())
        running.goes_on(14)
        assert running.said.read_text().count("stays in force") == 3
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(WAIT_S) == 0
    finally:
        running.process.kill()
        running.process.wait()
        running.ledger.close()
        running.world.evidence.close()
