"""The files of one run in one folder: keys, roster, users and a settings file a room, made by the rooms' commands.

What it writes is what an integrator would write by hand; nothing here knows what the rooms do inside.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from hakari.errors import HakariError
from hakari.names import Origin
from simulate import users
from simulate.displays import displays
from simulate.plant import load_plant

NAMESPACE = "demo.hakari.example"
INGEST_USER = "ingest-all"
COMMAND_LIMIT_S = 120.0
COMMISSIONED_AT_ONCE = 2


class CommandFailed(HakariError):
    """A command of a room did not end well; `exit_code` is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        """`exit_code` as the command ended."""
        super().__init__(message)
        self.exit_code = exit_code


class MeterPlace(NamedTuple):
    """A meter as the edge sees it: its id, the profile's name, the unit identifier and the nameplate's serial."""

    id: str
    profile: str
    unit: int
    serial: str


class PlantPlace(NamedTuple):
    """One plant: its file, its edge (`{site}-{name}`), meters and project file (None: nothing is computed)."""

    name: str
    plant_file: Path
    site: str
    edge: str
    meters: Sequence[MeterPlace]
    project_file: Path | None
    modbus_port: int

    @property
    def edge_id(self) -> str:
        """The edge's id."""
        return f"{self.site}-{self.edge}"


class Layout(NamedTuple):
    """Where everything of a run is. `influxdb` is the table `[influxdb]` of its rooms, "" for the embedded view."""

    folder: Path
    plants: Sequence[PlantPlace]
    broker_port: int
    driver_port: int
    api_port: int
    owner_key: str
    influxdb: str = ""

    def edge_config(self, plant: PlantPlace) -> Path:
        """The edge's settings."""
        return self.folder / f"{plant.edge_id}.toml"

    @property
    def ingest_config(self) -> Path:
        """Ingest's settings."""
        return self.folder / "ingest.toml"

    @property
    def calc_config(self) -> Path:
        """Calc's settings."""
        return self.folder / "calc.toml"

    @property
    def api_config(self) -> Path:
        """The API's settings."""
        return self.folder / "api.toml"

    @property
    def broker_config(self) -> Path:
        """The embedded broker's settings."""
        return self.folder / "broker.toml"

    @property
    def roster(self) -> Path:
        """The signed roster."""
        return self.folder / "roster.note"

    @property
    def packs(self) -> Path:
        """The folder of the evidence packs."""
        return self.folder / "packs"


def argv(*words: str | Path) -> list[str]:
    """The command line of `hakari …` in this very installation."""
    return [sys.executable, "-m", "hakari", *map(str, words)]


def call(*words: str | Path, allow: Sequence[int] = (0,)) -> Any:  # noqa: ANN401 - JSON
    """Runs a command with `--json` and returns what it printed; CommandFailed with what it said otherwise."""
    done = subprocess.run(argv(*words, "--json"), capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False)  # noqa: S603
    if done.returncode not in allow:
        raise CommandFailed(f"hakari {' '.join(map(str, words))}: {done.stderr.strip()}", done.returncode)
    return json.loads(done.stdout) if done.stdout.strip() else None


def free_ports(count: int) -> list[int]:
    """Ports on the loopback address that were free just now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def prepare(
    folder: Path, plants: Sequence[PlantPlace], *, interval_s: int, batch_samples: int, influxdb: str | None = None
) -> Layout:
    """Makes keys, roster, broker users and every settings file in `folder`, which must be empty or new.

    `influxdb` is the text of the table `[influxdb]` that ingest, calc and the API get instead of the embedded view.
    """
    folder.mkdir(parents=True, exist_ok=True)
    broker_port, driver_port, api_port = free_ports(3)
    owner = call("keys", "owner", "--out", folder / "owner.pem", "--name", f"{NAMESPACE}/owner")
    del owner
    owner_key = (folder / "owner.pem.pub").read_text().strip()
    layout = Layout(folder, plants, broker_port, driver_port, api_port, owner_key, influxdb or "")
    _keys(layout)
    users.create(folder, [INGEST_USER, *(plant.edge_id for plant in plants)])
    layout.broker_config.write_text(f'users_file = "users"\nport = {broker_port}\n')
    for plant in plants:
        layout.edge_config(plant).write_text(_edge_text(layout, plant, interval_s, batch_samples))
    layout.ingest_config.write_text(_ingest_text(layout))
    layout.calc_config.write_text(_calc_text(layout))
    layout.api_config.write_text(_api_text(layout))
    layout.packs.mkdir(exist_ok=True)
    return layout


def approve_epochs(layout: Layout) -> None:
    """Signs every epoch that ingest holds into the roster, as the owner does after asking why it was opened."""
    shown = call("keys", "roster", "show", layout.roster, "--owner-key", layout.owner_key)
    known = {(epoch["edge"], epoch["epoch"]) for epoch in shown["epochs"]}
    for listed in call("log", "list", "--config", layout.ingest_config)["origins"]:
        origin = Origin.parse(listed["origin"])
        if (origin.edge_id, origin.epoch) not in known:
            call(
                "keys", "roster", "approve-epoch", layout.roster, "--owner", layout.folder / "owner.pem",
                "--edge", origin.edge_id, "--epoch", str(origin.epoch),
            )  # fmt: skip


def commission(layout: Layout, t_ms: int) -> None:
    """Commissions every meter against its display while its plant is served at `t_ms` and no edge runs yet.

    The meters are new: what their displays show near zero is accepted. CommandFailed where one does not match.
    """
    with ThreadPoolExecutor(COMMISSIONED_AT_ONCE) as pool:
        for done in [pool.submit(_commission, layout, plant, t_ms) for plant in layout.plants]:
            done.result()


def _commission(layout: Layout, plant: PlantPlace, t_ms: int) -> None:
    by_unit = displays(load_plant(plant.plant_file, {}), t_ms)
    shown = {meter.id: by_unit[meter.unit] for meter in plant.meters}
    file = layout.folder / f"{plant.edge_id}.displays.json"
    file.write_text(json.dumps(shown), encoding="utf-8")
    call(
        "edge", "commission", layout.edge_config(plant), "--meter", "all", "--displays", file, "--accept-coarse",
        "--by", "the simulated plant's operator",
    )  # fmt: skip


def _keys(layout: Layout) -> None:
    folder = layout.folder
    call("keys", "cosigner", "--out", folder / "ingest.pem", "--name", f"{NAMESPACE}/ingest")
    call("keys", "statement", "--out", folder / "statement.pem", "--name", f"{NAMESPACE}/statement")
    edges: list[str | Path] = []
    for plant in layout.plants:
        key = folder / f"{plant.edge_id}.pem"
        call("keys", "edge", "--out", key)
        edges += ["--edge", f"{plant.edge_id}={key}.pub"]
    call(
        "keys", "roster", "new", layout.roster, "--owner", folder / "owner.pem", "--namespace", NAMESPACE, *edges,
        "--cosigner", folder / "ingest.pem.pub", "--statement-key", folder / "statement.pem.pub",
    )  # fmt: skip


def _broker_text(layout: Layout, user: str) -> str:
    return f'[broker]\nhost = "127.0.0.1"\nport = {layout.broker_port}\npassword_file = "{user}.password"\n'


def _clock_text(layout: Layout) -> str:
    return f'[clock]\nsource = "lockstep"\naddress = "127.0.0.1:{layout.driver_port}"\n'


def _edge_text(layout: Layout, plant: PlantPlace, interval_s: int, batch_samples: int) -> str:
    meters = "\n".join(
        f'[[meter]]\nid = "{meter.id}"\nbus = "bus1"\nunit = {meter.unit}\n'
        f'profile = "{meter.profile}"\nserial = "{meter.serial}"\nidentity_proof = "nameplate {meter.serial}"\n'
        for meter in plant.meters
    )
    return f"""[edge]
namespace = "{NAMESPACE}"
site = "{plant.site}"
name = "{plant.edge}"
key_file = "{plant.edge_id}.pem"
owner_key = "{layout.owner_key}"
roster_file = "roster.note"
spool = "{plant.edge_id}.spool"
interval_s = {interval_s}
batch_samples = {batch_samples}

{_broker_text(layout, plant.edge_id)}
{_clock_text(layout)}
[[bus]]
id = "bus1"
host = "127.0.0.1"
port = {plant.modbus_port}
timeout_s = 2.0

{meters}"""


def _ingest_text(layout: Layout) -> str:
    return f"""[ingest]
namespace = "{NAMESPACE}"
evidence = "evidence.db"
{_view_line(layout)}cosigner_name = "{NAMESPACE}/ingest"
cosigner_key_file = "ingest.pem"
owner_key = "{layout.owner_key}"
roster_file = "roster.note"

{_broker_text(layout, INGEST_USER)}
{_clock_text(layout)}
{layout.influxdb}"""


def _calc_text(layout: Layout) -> str:
    return f"""[calc]
evidence = "evidence.db"
{_view_line(layout)}ledger = "sqlite:///ledger.db"
roster_file = "roster.note"
owner_key = "{layout.owner_key}"
statement_key_file = "statement.pem"
statement_key_name = "{NAMESPACE}/statement"

{layout.influxdb}"""


def _api_text(layout: Layout) -> str:
    return f"""[api]
ledger = "sqlite:///ledger.db"
evidence = "evidence.db"
{_view_line(layout)}roster_file = "roster.note"
owner_key = "{layout.owner_key}"
pack_dir = "packs"
port = {layout.api_port}

{layout.influxdb}"""


def _view_line(layout: Layout) -> str:
    return "" if layout.influxdb else 'view = "view.db"\n'
