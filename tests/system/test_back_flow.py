"""What flows back to an edge, and bodies that nobody has: through the commands, real processes and a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.spool import Spool
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.envelope import inflate
from hakari.wire.events import ANSWERS
from hakari.wire.leaf import decode
from simulate.layout import free_ports
from tests.unit.edge_folder import one_meter, settings_in

LIMIT_S = 90.0
EDGE = "sola-e1"


class Site:
    """A broker, an ingest and an edge in one folder; commands run there as a person types them."""

    def __init__(self, folder: Path, mosquitto: Path) -> None:
        self.folder = folder
        self.mosquitto = mosquitto
        (self.port, closed) = free_ports(2)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        bus = one_meter("schneider-iem3155", place=f'host = "127.0.0.1"\nport = {closed}\ntimeout_s = 0.2')
        config = settings_in(folder, bus, interval_s=1)
        text = config.read_text().replace("[broker]", f"remote_configuration = true\n[broker]\nport = {self.port}")
        config.write_text(text)
        owner = (folder / "owner.pem.pub").read_text().strip()
        self.hakari("keys", "configurer", "--out", "configurer.pem", "--name", "plant.example/engineer")
        self.hakari("keys", "roster", "add-configurer", "roster.note", "--owner", "owner.pem", "--key",
                    "configurer.pem.pub")  # fmt: skip
        (folder / "outgoing").mkdir()
        (folder / "m.conf").write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        (folder / "ingest.toml").write_text(
            f'[ingest]\nnamespace = "plant.example"\nevidence = "evidence.db"\nview = "view.db"\n'
            f'cosigner_name = "plant.example/ingest"\ncosigner_key_file = "ingest.pem"\nowner_key = "{owner}"\n'
            f'roster_file = "roster.note"\noutgoing = "outgoing"\n[broker]\nhost = "127.0.0.1"\nport = {self.port}\n'
        )

    def start(self, *names: str) -> None:
        program = [sys.executable, "-m", "hakari"]
        lines = {"broker": [str(self.mosquitto), "-c", "m.conf"], "ingest": [*program, "ingest", "run"],
                 "edge": [*program, "edge", "run", "edge.toml"]}  # fmt: skip
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(lines[name], cwd=self.folder, stdout=log, stderr=log)

    def stop(self, *names: str, how: signal.Signals = signal.SIGTERM) -> None:
        for name in names:
            one = self.running.pop(name)
            one.send_signal(how)
            one.wait(LIMIT_S)

    def hakari(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "hakari", *words, "--json"], cwd=self.folder, capture_output=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def until(self, there: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not there():
            assert time.monotonic() < end_s, f"not {what}: {(self.folder / 'edge.log').read_text()[-2000:]}"
            time.sleep(0.2)

    def states(self) -> list[str]:
        return [one["state"].split(" ")[0] for one in self.hakari("ingest", "requests")["requests"]]


@pytest.fixture
def site(tmp_path: Path, mosquitto: Path) -> Iterator[Site]:
    made = Site(tmp_path, mosquitto)
    try:
        yield made
    finally:
        made.stop(*made.running, how=signal.SIGKILL)


@pytest.mark.system
def test_an_edge_answers_and_is_led_past_bodies_that_nobody_has(site: Site) -> None:
    site.start("broker", "ingest")
    # Else the first leaves are lost, their marks come too late to witness the time, and configurations wait for it.
    site.until(lambda: b"connected to broker" in (site.folder / "ingest.log").read_bytes(), "connected")
    site.start("edge")
    key = ("--key", "configurer.pem")
    site.hakari("ingest", "ask", EDGE, "status", *key)
    meters = '[[meter]]\nid = "{}"\nbus = "line"\nunit = {}\nprofile = "schneider-iem3155"\n'
    (site.folder / "new.toml").write_text("".join(meters.format(*one) for one in (("heat", 1), ("cool", 2))))
    (site.folder / "bad.toml").write_text("".join(meters.format(*one) for one in (("heat", 1), ("cool", 1))))
    for file in ("new.toml", "bad.toml"):
        site.hakari("ingest", "send-configuration", EDGE, file, *key)
    site.until(lambda: all(state in ANSWERS for state in site.states()), "answered")
    assert site.states() == ["diagnostics", "configuration-taken", "configuration-refused"]
    assert "cool" in (site.folder / "edge.remote.toml").read_text()
    site.stop("edge")
    site.stop("ingest")
    for path in (*site.folder.glob("evidence.db*"), *site.folder.glob("view.db*")):
        path.unlink()
    spool = Spool(str(site.folder / "edge.spool"))
    assert spool.prune(2**60) > 0
    spool.close()
    site.start("ingest", "edge")
    site.until(lambda: b"hakari log forgo" in (site.folder / "ingest.log").read_bytes(), "alarmed")
    alarm = (site.folder / "ingest.log").read_text().split("hakari log forgo ")[1].split(" --who")[0]
    site.hakari("log", "forgo", *alarm.split(), "--who", "operator", "--why", "no backup")
    origin, stop = alarm.split()[0], int(alarm.split()[-1])

    def passed() -> bool:
        return bool(sizes_of(site).get(origin, 0) > stop)

    site.stop("edge")  # a reconnection sends everything at once, where the resend of E3 takes up to five minutes
    site.start("edge")
    site.until(passed, "past the gap")
    report = site.hakari("log", "fsck")
    (checked,) = report["origins"]
    assert (report["problem_count"], checked["forgone"][0]["who"]) == (0, "operator")
    assert checked["bodiless"] > 0
    assert site.states() == ["diagnostics", "configuration-taken", "configuration-refused"], "events never leave a ring"
    site.until(lambda: last_meters(site) == {"heat", "cool"}, "samples of both meters")


def sizes_of(site: Site) -> dict[str, int]:
    return {one["origin"]: one["size"] for one in site.hakari("log", "list")["origins"]}


def last_meters(site: Site) -> set[str]:
    evidence = SqliteEvidenceLog(site.folder / "evidence.db", read_only=True)
    (origin,) = evidence.origins()
    leaves = [decode(inflate(one.deflated)) for one in evidence.leaves(origin, 0, 10**6) if one.deflated]
    evidence.close()
    return {block.meter for leaf in leaves if leaf.samples for block in leaf.samples[-1].blocks}
