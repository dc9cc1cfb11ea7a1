"""docker-compose.yml without containers: the same commands, configuration files and health checks, as processes.

Only places differ: a volume is a folder, a service's name is 127.0.0.1, its port a free one. Grafana is not started.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from hakari.cli.installation import set_up
from ingest.view.influx_access import TOKEN_FILE
from simulate.layout import argv, call, free_ports
from simulate.processes import Processes
from tests.system import forge
from tests.system.composed import ROOT, Service, environ_of, services

pytestmark = pytest.mark.system

PORTS = ("1883", "8086", "8420", "15020")
NOT_STARTED = {"grafana"}
HEALTHY_LIMIT_S = 90.0
ARRIVAL_LIMIT_S = 60.0
POLL_S = 0.5
COMMAND_LIMIT_S = 60.0
POINT = "boiler-e1/heat/heat_energy"
NOT_REACHABLE = 4


class Topology:
    """The services of docker-compose.yml as processes in `folder`, started in the order of what they depend on."""

    def __init__(self, folder: Path, programs: dict[str, str]) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self._programs = programs
        words = [str(folder / "secrets"), "--namespace", "demo.hakari.example", "--edge-here", "boiler-e1"]
        set_up.main([*words, "--env", str(folder / "env")], standalone_mode=False)
        self.environ = environ_of(folder / "env")
        self.services = {k: v for k, v in services(self.environ).items() if k not in NOT_STARTED}
        self.processes = Processes(folder / "logs")
        self.ended: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop_all()

    def up(self) -> None:
        """Everything, as `docker compose --profile demo up --wait` does it."""
        waiting = dict(self.services)
        while waiting:
            name = next(n for n, one in waiting.items() if not set(one.table.get("depends_on", {})) & set(waiting))
            self.start(waiting.pop(name))

    def start(self, service: Service) -> None:
        """Starts a service and waits until it is healthy, or has ended well."""
        if service.runs_once:
            done = self.run(service, service.table["command"])
            assert done.returncode == 0, f"{service.name}: {done.stderr}"
            self.ended[service.name] = done.stdout
            return
        self.processes.start(service.name, ["env", *self._environment(service), *self.words(service)])
        self.wait_healthy(service.name)

    def wait_healthy(self, name: str) -> None:
        """Returns once the service's own health check passes."""
        deadline = time.monotonic() + HEALTHY_LIMIT_S
        while (done := self.health(name)).returncode != 0:
            self.processes.check()
            assert time.monotonic() < deadline, f"{name}: {done.stderr}{self.log(name)}"
            time.sleep(POLL_S)

    def log(self, name: str) -> str:
        """What a service has said."""
        return (self.folder / "logs" / f"{name}.log").read_text()

    def words(self, service: Service) -> list[str]:
        """Its command line with this machine's programs, files and ports."""
        command: list[str] = service.table["command"]
        if service.ours:
            return [*argv(), *(self.placed(service, word) for word in command)]
        return [self._programs[command[0]], *(self.placed(service, word) for word in command[1:])]

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """What its health check says, once."""
        service = self.services[name]
        kind, *words = service.table["healthcheck"]["test"]
        if kind == "CMD-SHELL":
            return self._done(service, ["sh", "-c", self.placed(service, words[0])])
        starts = {"hakari": argv(), "python": [sys.executable]}.get(words[0], words[:1])
        return self._done(service, [*starts, *(self.placed(service, word) for word in words[1:])])

    def run(self, service: Service, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs one of our commands with what the service sees."""
        return self._done(service, [*argv(), *(self.placed(service, word) for word in command)])

    def say(self, name: str, line: str) -> str:
        """What `hakari {line}` prints where the service `name` runs."""
        done = self.run(self.services[name], line.split())
        assert done.returncode == 0, done.stderr
        return done.stdout

    def placed(self, service: Service, text: str) -> str:
        """`text` with the container's paths, hosts and ports exchanged for ours."""
        places = {mount.target: self._host_path(service, mount.target) for mount in service.mounts}
        places["/tmp"] = str(self._made(self.folder / "tmp" / service.name))
        if service.name == "init":
            places["/run/hakari"] = str(self.folder / "volumes" / "token")
        paths = "|".join(re.escape(target) for target in sorted(places, key=len, reverse=True))
        text = re.sub(rf"(?<![\w.])({paths})(?![\w.-])", lambda found: places[found[1]], text)
        text = re.sub(r'(?<=")(?:0\.0\.0\.0|broker|plant)(?=")|(?<=//)influxdb(?=:)', "127.0.0.1", text)
        text = text.replace("=:8086", "=127.0.0.1:8086").replace("listener 1883", "listener 1883 127.0.0.1")
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self.ports[found[1]], text)

    def _host_path(self, service: Service, target: str) -> str:
        mount = next(one for one in service.mounts if one.target == target)
        if mount.volume:
            return str(self._made(self.folder / "volumes" / mount.source.replace("-", "/")))
        if Path(mount.source).is_absolute():
            return mount.source
        return str(self._rewritten(service, ROOT / mount.source))

    def _rewritten(self, service: Service, file: Path) -> Path:
        """A copy of a configuration file for this machine."""
        copy = self._made(self.folder / "etc" / service.name) / file.name
        if not copy.exists():
            copy.touch()
            text = self.placed(service, file.read_text())
            if file.name == "mosquitto.conf" and os.getuid() == 0:
                text += "user root\n"  # where the container runs as the secrets' user
            copy.write_text(text)
        return copy

    def _environment(self, service: Service) -> list[str]:
        given = {**service.environment, "HOME": str(self._made(self.folder / "home"))}
        if service.name == "edge":
            given["HAKARI_EDGE__EDGE__INTERVAL_S"] = "1"
        return [f"{name}={value}" for name, value in given.items()]

    def _done(self, service: Service, words: list[str]) -> subprocess.CompletedProcess[str]:
        line = ["env", *self._environment(service), *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False)

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def ask(self, url: str, token: str, body: str | None = None, kind: str = "application/vnd.flux") -> str:
        """What a server says."""
        request = urllib.request.Request(
            url, body.encode() if body is not None else None, {"Authorization": token, "Content-Type": kind}
        )
        with urllib.request.urlopen(request, timeout=COMMAND_LIMIT_S) as answer:
            return str(answer.read().decode())

    def token(self, room: str) -> str:
        """The token that `init` made for a room."""
        return (self.folder / "volumes" / "token" / room / TOKEN_FILE).read_text().strip()

    def flux(self, room: str, measurement: str) -> int:
        """How many values of a measurement InfluxDB has, asked with the room's token."""
        query = (
            f'from(bucket: "hakari") |> range(start: -1h, stop: 1h)'
            f' |> filter(fn: (r) => r._measurement == "{measurement}") |> toString() |> group() |> count()'
        )
        url = f"http://127.0.0.1:{self.ports['8086']}/api/v2/query?org=hakari"
        told = self.ask(url, f"Token {self.token(room)}", query)
        rows = [line.rsplit(",", 1)[1] for line in told.splitlines() if line.startswith(",_result")]
        return int(rows[0]) if rows else 0


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory, mosquitto: Path, influxd_program: Path) -> Iterator[Topology]:
    """Everything up."""
    for program in ("mosquitto_sub", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; health checks of docker-compose.yml need it")
    with ExitStack() as stack:
        programs = {"mosquitto": str(mosquitto), "influxd": str(influxd_program)}
        running = stack.enter_context(Topology(tmp_path_factory.mktemp("topology"), programs))
        running.up()
        yield running


def eventually(what: str, holds: Callable[[], bool]) -> None:
    forge.eventually(what, holds, ARRIVAL_LIMIT_S)


def test_readings_go_from_the_register_to_influxdb_and_to_the_api(topology: Topology) -> None:
    eventually("readings in InfluxDB", lambda: topology.flux("grafana", "reading") > 0)
    made = topology.say("api", "user token create --project * --days 1 --json --config /etc/hakari/api.toml")
    bearer = f"Bearer {json.loads(made)['token']}"
    address = f"http://127.0.0.1:{topology.ports['8420']}"

    def readings() -> list[dict[str, Any]]:
        hour, now = timedelta(hours=1), datetime.now(UTC).replace(tzinfo=None)
        query = f"point={POINT}&start={now - hour:%FT%TZ}&end={now + hour:%FT%TZ}"
        told: dict[str, Any] = json.loads(topology.ask(f"{address}/v1/readings?{query}", bearer))
        found: list[dict[str, Any]] = told["items"]
        return found

    eventually("three readings in the API", lambda: len(readings()) >= 3)
    values = [int(one["value"]) for one in readings()]
    assert values == sorted(values)
    assert values[0] > 0
    projects = json.loads(topology.ask(f"{address}/v1/projects", bearer))["items"]
    assert [one["project_id"] for one in projects] == ["demo-boiler"]


def test_the_owner_approves_and_calc_computes(topology: Topology) -> None:
    listed = json.loads(topology.say("ingest", "log list --json --config /etc/hakari/ingest.toml"))
    epoch = listed["origins"][0]["origin"].rpartition("/")[2]
    roster, owner = topology.folder / "secrets/roster/roster.note", topology.folder / "secrets/owner.pem"
    call("keys", "roster", "approve-epoch", roster, "--owner", owner, "--edge", "boiler-e1", "--epoch", epoch)
    eventually("calc trusts the newer roster", lambda: "serial 2 is in force" in topology.log("calc"))

    def periods() -> list[dict[str, Any]]:
        line = "period list demo-boiler --json --config /etc/hakari/calc.toml"
        found: list[dict[str, Any]] = json.loads(topology.say("calc", line))["periods"]
        return found

    eventually("calc computes the demo's month and year", lambda: len(periods()) >= 2)
    assert {one["state"] for one in periods()} == {"open"}
    assert not any("epoch" in refusal for one in periods() for refusal in one["refusals"])


def test_a_bucket_that_was_deleted_is_filled_again_and_every_token_still_reads_it(topology: Topology) -> None:
    buckets = f"http://127.0.0.1:{topology.ports['8086']}/api/v2/buckets"
    operator = f"Token {(topology.folder / 'secrets/influxdb-operator.token').read_text().strip()}"
    found = json.loads(topology.ask(f"{buckets}?name=hakari", operator))["buckets"][0]["id"]
    subprocess.run(
        ["curl", "-fsS", "-X", "DELETE", "-H", f"Authorization: {operator}", f"{buckets}/{found}"], check=True
    )
    topology.say("ingest", "view rebuild --config /etc/hakari/ingest.toml")
    assert topology.flux("grafana", "reading") > 0
    compared = topology.say("ingest", "view compare --config /etc/hakari/ingest.toml")
    assert "the view says what they say" in compared
    assert topology.health("api").returncode == 0


def test_operators_measurements_are_there_for_grafana(topology: Topology) -> None:
    eventually("a minute's health of points", lambda: topology.flux("grafana", "health_minute") > 0)
    eventually("a minute's health of edges", lambda: topology.flux("grafana", "edge_minute") > 0)


def test_every_health_check_passes(topology: Topology) -> None:
    for name, service in topology.services.items():
        if not service.runs_once:
            done = topology.health(name)
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("room", ["api", "grafana"])
def test_who_reads_cannot_write(topology: Topology, room: str) -> None:
    write = f"http://127.0.0.1:{topology.ports['8086']}/api/v2/write?org=hakari&bucket=hakari"
    with pytest.raises(urllib.error.HTTPError) as caught:
        topology.ask(write, f"Token {topology.token(room)}", "reading raw=1i", "text/plain")
    assert caught.value.code in {401, 403, 404}


def test_init_again_changes_nothing(topology: Topology) -> None:
    assert "set up now" in topology.ended["init"]
    before = {room: topology.token(room) for room in ("ingest", "calc", "api", "grafana")}
    init = topology.services["init"]
    again = topology.run(init, init.table["command"])
    assert "set up already, bucket hakari there, new tokens: none" in again.stdout, again.stderr
    assert {room: topology.token(room) for room in before} == before


def test_a_token_that_was_lost_is_made_again(topology: Topology) -> None:
    file = topology.folder / "volumes" / "token" / "grafana" / TOKEN_FILE
    lost = file.read_text().strip()
    file.unlink()
    init = topology.services["init"]
    assert "new tokens: grafana\n" in topology.run(init, init.table["command"]).stdout
    assert topology.flux("grafana", "reading") > 0
    with pytest.raises(urllib.error.HTTPError):
        topology.ask(f"http://127.0.0.1:{topology.ports['8086']}/api/v2/buckets", f"Token {lost}")


def test_the_wrong_operator_is_told_so(topology: Topology) -> None:
    init = topology.services["init"]
    words = [word.replace("influxdb-operator.token", "influxdb-admin.password") for word in init.table["command"]]
    refused = topology.run(init, words)
    assert refused.returncode == 6
    assert "is this the operator token of this server?" in refused.stderr


def test_a_stopped_ingest_is_noticed_and_the_others_go_on(topology: Topology) -> None:
    ingest = topology.services["ingest"]
    assert topology.processes.stop("ingest") == 0
    noticed = topology.health("ingest")
    assert noticed.returncode == NOT_REACHABLE
    assert "no sign of life" in noticed.stderr
    assert topology.health("edge").returncode == 0
    topology.start(ingest)


def test_a_broker_that_is_away_is_noticed_by_whom_it_stops(topology: Topology) -> None:
    assert topology.processes.stop("broker") in {0, -signal.SIGTERM}
    assert topology.health("broker").returncode != 0
    eventually("ingest says so", lambda: "is not reachable" in topology.health("ingest").stderr)
    assert topology.health("edge").returncode == 0, "an edge samples on"
    topology.start(topology.services["broker"])
    topology.wait_healthy("ingest")
    before = topology.flux("grafana", "reading")
    eventually("readings arrive again", lambda: topology.flux("grafana", "reading") > before)
