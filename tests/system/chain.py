"""A whole chain of real processes in one folder: plants, broker, ingest and edges, to be run, killed and asked."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from edge.spool import Spool
from hakari.registers.reading import exact_value
from hakari.store.evidence import EvidenceLog
from hakari.store.opened import open_evidence, open_view
from hakari.store.view import ReadingsView
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Leaf, decode
from hakari.wire.rows import once
from ingest.settings import load_settings
from simulate.demo import METERS
from simulate.layout import (
    INGEST_USER,
    Layout,
    MeterPlace,
    PlantPlace,
    approve_epochs,
    argv,
    call,
    commission,
    free_ports,
    prepare,
)
from simulate.plant import ms_of
from simulate.processes import Processes
from tests.system.influx import InfluxServer

ROOT = Path(__file__).parents[2]
PLANTS = ROOT / "simulate" / "data"
MOSQUITTO_CONF = ROOT / "deploy" / "mosquitto"
SOLAR_METERS, BOILER_METERS = METERS["solar"], METERS["boiler"]
RUN_LIMIT_S = 1500.0
PLANTS_READY_S = 120.0
KILL_AFTER_S = 1.5
CRASH_LIMIT_S = 5.0
HTTP_LIMIT_S = 60.0


class SampleKey(NamedTuple):
    """What makes a sample one sample."""

    boot: str
    mono_ms: int


def mosquitto() -> str | None:
    """The Mosquitto program, where one is."""
    return os.environ.get("HAKARI_TEST_MOSQUITTO") or shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


def solar(plant_text: str | None = None) -> tuple[str, str]:
    """The demo's solar plant as (name, plant file text with absolute paths)."""
    text = plant_text or (PLANTS / "solar.toml").read_text()
    return "solar", re.sub(r'"(solar\.(?:csv|map\.toml))"', lambda found: f'"{PLANTS / found[1]}"', text)


class Api(NamedTuple):
    """A running API as a verifier sees it; `link` is an address as its answers give them."""

    address: str
    token: str

    def body(self, link: str) -> bytes:
        """The bytes at a link."""
        request = urllib.request.Request(self.address + link, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=HTTP_LIMIT_S) as answer:
            return bytes(answer.read())

    def get(self, link: str) -> Any:
        """The JSON at a link."""
        return json.loads(self.body(link))


class Chain:
    """Processes `broker`, `ingest`, `plants` and one a plant; leaving the context stops them all."""

    def __init__(
        self,
        folder: Path,
        plants: Sequence[tuple[str, str]],
        start: str,
        end: str,
        *,
        broker: str = "amqtt",
        step_s: int = 900,
        batch_samples: int = 4,
        projects: Mapping[str, str] | None = None,
        meters: Mapping[str, Sequence[MeterPlace]] | None = None,
        influxd: InfluxServer | None = None,
    ) -> None:
        """`plants` and `projects` are the texts of plant and project files by the plant's name.

        `meters` are those of each plant, by default those of the shipped plants. With `influxd` the view is a new
        bucket there, `bucket`, instead of the file `view.db`.
        """
        meters = meters or METERS
        ports = free_ports(len(plants))
        places = [
            PlantPlace(name, folder / f"{name}.plant.toml", name, "e1", meters[name], None, port)
            for (name, _), port in zip(plants, ports, strict=True)
        ]
        self.start_ms = ms_of(datetime.fromisoformat(start))
        self.bucket = f"chain-{secrets.token_hex(8)}"
        self.influxd = influxd
        table = None
        if influxd is not None:
            folder.mkdir(parents=True, exist_ok=True)
            influxd.make_bucket(self.bucket)
            table = influxd.table(self.bucket, folder)
        self.layout: Layout = prepare(folder, places, interval_s=step_s, batch_samples=batch_samples, influxdb=table)
        self.folder = folder
        self.broker = broker
        for place, (_, text) in zip(places, plants, strict=True):
            place.plant_file.write_text(re.sub(r"(?m)^port = \d+$", f"port = {place.modbus_port}", text))
        self._projects = dict(projects or {})
        (folder / "scenario.toml").write_text(
            f"plants = {[place.plant_file.name for place in places]}\nstart = {start}\nend = {end}\nstep_s = {step_s}\n"
            f"[lockstep]\nedges = {[place.edge_id for place in places]}\nwatchers = ['ingest']\nwait_limit_s = 1200.0\n"
            f"port = {self.layout.driver_port}\n"
        )
        self.processes = Processes(folder / "logs")
        if broker == "mosquitto":
            self._write_mosquitto()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop_all()

    # processes

    def start(self, name: str, crash: str = "") -> None:
        """Starts a process by name; `crash` lets it kill itself at a crash point."""
        words = self._argv(name)
        self.processes.start(name, ["env", f"HAKARI_CRASH={crash}", *words] if crash else words)

    def start_all(self, *, commissioned: bool = True) -> None:
        """Everything. The first tick waits for the edges, so that their meters are commissioned at its time."""
        self.start("broker")
        self.processes.wait_listening("broker", "127.0.0.1", self.layout.broker_port)
        self.start("ingest")
        self.start("plants")
        for place in self.layout.plants:
            self.processes.wait_listening("plants", "127.0.0.1", place.modbus_port, PLANTS_READY_S)
        if commissioned:
            commission(self.layout, self.start_ms)
        for place in self.layout.plants:
            self.start(place.edge_id)

    def finish(self) -> None:
        """Waits until the scenario is driven to its end and everything is stored, then stops cleanly."""
        self.processes.wait("plants", RUN_LIMIT_S)
        for place in self.layout.plants:
            assert self.processes.stop(place.edge_id) == 0
        self._settle()
        assert self.processes.stop("ingest") == 0

    def alive(self, name: str) -> bool:
        """Whether the process runs."""
        return self.processes._children[name].process.poll() is None

    def killed(self, name: str, chance: random.Random, campaign: Kills) -> None:
        """Kills one process at a random instant, or lets it have killed itself at its crash point; restarts it."""
        deadline = time.monotonic() + (CRASH_LIMIT_S if campaign.armed else chance.uniform(0.0, KILL_AFTER_S))
        while time.monotonic() < deadline and self.alive(name):
            time.sleep(0.005)
        if self.alive(name):
            campaign.outside += 1
        else:
            campaign.between += 1
        self.processes.kill(name)
        self.start(name, campaign.next_crash(chance))

    def _argv(self, name: str) -> list[str]:
        if name == "broker" and self.broker == "mosquitto":
            return [str(mosquitto()), "-c", str(self.folder / "mosquitto.conf")]
        commands: dict[str, list[str]] = {
            "broker": argv("simulate", "broker", "--config", self.layout.broker_config),
            "ingest": argv("ingest", "run", "--config", self.layout.ingest_config),
            "plants": argv("simulate", "lockstep", self.folder / "scenario.toml"),
        }
        for place in self.layout.plants:
            commands[place.edge_id] = argv("edge", "run", self.layout.edge_config(place))
        return commands[name]

    def _write_mosquitto(self) -> None:
        text = (MOSQUITTO_CONF / "mosquitto.conf").read_text()
        text = text.replace("listener 1883 127.0.0.1", f"listener {self.layout.broker_port} 127.0.0.1")
        for name in ("passwords", "acl"):
            text = text.replace(f"_file {name}", f"_file {self.folder / name}")
        (self.folder / "mosquitto.conf").write_text(text + "user root\n")
        shutil.copy(MOSQUITTO_CONF / "acl", self.folder / "acl")
        (self.folder / "passwords").touch(mode=0o600)
        program = Path(str(mosquitto())).with_name("mosquitto_passwd")
        tool = str(program) if program.exists() else "mosquitto_passwd"
        for user in (INGEST_USER, *(place.edge_id for place in self.layout.plants)):
            password = (self.folder / f"{user}.password").read_text().strip()
            subprocess.run([tool, "-b", str(self.folder / "passwords"), user, password], check=True)

    def _settle(self) -> None:
        """The stop leaves are on their way when the edges have ended; the view follows the log."""
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            with closing(self.view()) as view, closing(self.evidence()) as log:
                level = all(view.cursor(o.edge_id, o.epoch) == log.head(o).size for o in log.origins())
            if level:
                return
            time.sleep(0.1)
        raise AssertionError("the view did not reach the evidence log in 20 s")

    # calc, packs and the API

    def compute(self) -> None:
        """Approves what the edges opened, registers the projects and computes every period."""
        approve_epochs(self.layout)
        for name, text in self._projects.items():
            file = self.folder / f"{name}.project.toml"
            file.write_text(text)
            call("project", "add", file, "--config", self.layout.calc_config)
        call("calc", "run", "--once", "--config", self.layout.calc_config)

    def verified(self, period_id: str) -> Any:
        """What `hakari verify` says of the period's pack, whatever it says."""
        pack = self.layout.packs / f"{period_id}.hakari"
        call("pack", "write", "--period", period_id, "--out", pack, "--config", self.layout.calc_config)
        return call("verify", pack, "--owner-key", self.layout.owner_key, allow=(0, 5))

    def serve(self) -> Api:
        """Starts `hakari api run` and makes a verifier's token for it."""
        port, config = self.layout.api_port, self.layout.api_config
        words = ("--role", "verifier", "--project", "*", "--days", "1", "--config", config)
        token = call("user", "token", "create", *words)["token"]
        self.processes.start("api", argv("api", "run", "--config", config))
        self.processes.wait_listening("api", "127.0.0.1", port)
        return Api(f"http://127.0.0.1:{port}", token)

    # what came out

    def evidence(self) -> EvidenceLog:
        """The evidence log, read only."""
        given = load_settings(self.layout.ingest_config, {})
        return open_evidence(self.layout.ingest_config, given.ingest.evidence, given.postgresql, read_only=True)

    def view(self) -> ReadingsView:
        """The readings view that ingest feeds, read only."""
        given = load_settings(self.layout.ingest_config, {})
        return open_view(self.layout.ingest_config, given.ingest.view, given.influxdb, read_only=True)

    def delete_view(self) -> None:
        """Deletes the view as a whole: its file, or its bucket, of which an empty one is left."""
        if self.influxd is not None:
            self.influxd.delete_bucket(self.bucket)
            self.influxd.make_bucket(self.bucket)
        for name in ("view.db", "view.db-wal", "view.db-shm"):
            (self.folder / name).unlink(missing_ok=True)

    def committed(self, edge_id: str) -> Counter[SampleKey]:
        """Every sample on the edge's disk, in its leaves and before them."""
        spool = Spool(str(self.folder / f"{edge_id}.spool"))
        found: Counter[SampleKey] = Counter()
        for state in spool.epochs():
            for i in range(state.size):
                leaf = spool.leaf(state.epoch, i)
                assert leaf is not None
                found.update(_samples(decode(inflate(leaf.deflated))))
        assert spool.samples() == []
        spool.close()
        return found

    def stored(self, edge_id: str) -> Counter[SampleKey]:
        """Every sample of the edge in ingest's evidence."""
        log = self.evidence()
        found: Counter[SampleKey] = Counter()
        for origin in log.origins():
            if origin.edge_id == edge_id:
                for leaf in log.leaves(origin, 0, log.head(origin).size):
                    found.update(_samples(decode(inflate(leaf.deflated))))
        log.close()
        return found

    def registers(self, point: str) -> dict[int, str]:
        """slot → value of a point, from the view, each reading once."""
        with closing(self.view()) as view:
            rows = once(view.read(point, 0, 2**53))
        assert len({row.t_ms for row in rows}) == len(rows), "a slot was sampled twice"
        return {row.t_ms: str(exact_value(row.type, row.raw, row.exponent)) for row in rows if row.quality == 0}

    def assert_nothing_lost_or_doubled(self) -> None:
        """Every committed sample is stored once, for every edge."""
        for place in self.layout.plants:
            committed = self.committed(place.edge_id)
            assert set(committed.values()) == {1}
            assert self.stored(place.edge_id) == committed


class Kills:
    """A campaign's crash points and what it reached: kills from outside, and between two steps for certain."""

    def __init__(self, points: Sequence[str]) -> None:
        self.points = points
        self.outside = 0
        self.between = 0
        self.armed = False

    def next_crash(self, chance: random.Random) -> str:
        """Where the next process is to kill itself; nowhere half of the time."""
        self.armed = bool(self.points) and chance.random() < 0.5
        return f"{chance.choice(self.points)}:{chance.randint(1, 3)}" if self.armed else ""


def _samples(leaf: Leaf) -> Iterator[SampleKey]:
    for sample in leaf.samples:
        yield SampleKey(leaf.boot, sample.mono_ms)
