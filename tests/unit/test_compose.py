"""docker-compose.yml, what it mounts, and the image that it builds: against the schema and against our own code.

No container is started here; tests/system/test_topology.py starts the same commands with the same files without them.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from api import settings as api_settings
from calc import settings as calc_settings
from calc.project import read_project
from edge import settings as edge_settings
from hakari.cli import root as cli
from hakari.cli.installation import set_up
from ingest import settings as ingest_settings
from ingest.view.influx_access import RIGHTS, TOKEN_FILE
from simulate.plant import load_plant
from tests.system.composed import DOCKERFILE, FILE, ROOT, Service, environ_of, loaded, services

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
DEMO_EDGE = "boiler-e1"
# What each configuration file is read by.
LOADERS: dict[str, Callable[[Path, dict[str, str]], object]] = {
    "ingest": ingest_settings.load_settings,
    "calc": calc_settings.load_settings,
    "api": api_settings.read,
    "demo-edge": edge_settings.load_settings,
    "demo-plant": load_plant,
}
PROVISIONED = set(
    re.findall(r"\$(HAKARI_[A-Z_]+)", "".join(f.read_text() for f in (ROOT / "grafana/provisioning").rglob("*.yaml")))
)
# What the images of others bring, looked up in the recipes that they are built from.
FOREIGN_COMMANDS = {"broker": {"mosquitto", "mosquitto_sub"}, "influxdb": {"influxd", "curl"}, "grafana": {"curl"}}


def made(folder: Path) -> dict[str, str]:
    """The variables of an installation made in `folder`."""
    words = [str(folder / "secrets"), "--namespace", "demo.hakari.example", "--edge-here", DEMO_EDGE]
    set_up.main([*words, "--env", str(folder / "env")], standalone_mode=False)
    return environ_of(folder / "env")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("made"))


NAMES = sorted(services(dict.fromkeys(re.findall(r"HAKARI_[A-Z_]+", FILE.read_text()), "x")))
each_service = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def service(name: str, environ: dict[str, str]) -> Service:
    return services(environ)[name]


def test_the_file_fits_the_compose_schema() -> None:
    tool = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", FILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_it_needs_only_what_set_up_writes(environ: dict[str, str]) -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    assert used == set(environ)
    for variable in used:
        assert f"${{{variable}:?" in FILE.read_text(), f"nothing says what to do without {variable}"


@each_service
def test_images_are_pinned_by_name_and_tag(service: Service) -> None:
    image, _, tag = service.table["image"].partition(":")
    assert re.fullmatch(r"[a-z-]+(/[a-z-]+)?", image), "an image is named without a registry's host"
    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)
    assert not service.ours or tag == _version()


@each_service
def test_nothing_runs_with_more_rights_than_it_needs(service: Service) -> None:
    assert service.table["read_only"] is True
    assert service.table["cap_drop"] == ["ALL"]
    assert service.table["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"} & set(service.table)
    assert service.ours or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.table["user"])
    assert not any(mount.target == "/var/run/docker.sock" for mount in service.mounts)


@each_service
def test_ports_are_published_on_this_machine_only(service: Service) -> None:
    published = service.table.get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert bool(published) == (service.name in {"api", "grafana"})


def test_only_what_is_published_reaches_out(environ: dict[str, str]) -> None:
    whole = loaded(environ)
    assert [name for name, table in whole["networks"].items() if not table.get("internal")] == ["front"]
    on_front = [name for name, one in services(environ).items() if "front" in one.table.get("networks", [])]
    assert sorted(on_front) == ["api", "grafana"]
    assert services(environ)["register"].table["network_mode"] == "none"


@each_service
def test_logs_are_bounded_and_a_service_is_started_again(service: Service) -> None:
    assert set(service.table["logging"]["options"]) == {"max-size", "max-file"}
    assert service.table["restart"] == ("no" if service.name in {"init", "register"} else "unless-stopped")


@each_service
def test_what_is_mounted_exists(service: Service, environ: dict[str, str]) -> None:
    for mount in service.mounts:
        if mount.volume:
            continue
        assert mount.read_only
        assert (ROOT / mount.source).exists(), mount.source
        if mount.target.startswith("/run/secrets/"):
            assert Path(mount.source).is_relative_to(environ["HAKARI_SECRETS"])
    assert set(service.table.get("secrets", [])) <= set(loaded(environ)["secrets"])


def test_no_secret_is_part_of_the_tree(environ: dict[str, str]) -> None:
    for secret in loaded(environ)["secrets"].values():
        assert Path(secret["file"]).is_file()
        assert not Path(secret["file"]).is_relative_to(ROOT)
    files = ["secrets/owner.pem", ".env"]
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == files
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in kept, "what is not named does not go into an image"
    assert not any("secrets" in line or "env" in line for line in kept if line.startswith("!"))


def test_the_owners_key_is_mounted_nowhere(environ: dict[str, str]) -> None:
    folder = Path(environ["HAKARI_SECRETS"])
    sources = [Path(mount.source) for one in services(environ).values() for mount in one.mounts]
    assert not any((folder / "owner.pem").is_relative_to(source) for source in sources if source.is_absolute())


def test_every_volume_config_and_secret_is_used(environ: dict[str, str]) -> None:
    whole = loaded(environ)
    mounts = [mount for one in services(environ).values() for mount in one.mounts]
    assert {mount.source for mount in mounts if mount.volume} == set(whole["volumes"])
    assert {config["file"] for config in whole["configs"].values()} <= {mount.source for mount in mounts}
    assert {secret["file"] for secret in whole["secrets"].values()} <= {mount.source for mount in mounts}


@pytest.mark.parametrize("config", sorted(LOADERS))
def test_every_configuration_file_is_read_by_its_room(config: str, environ: dict[str, str]) -> None:
    file = ROOT / loaded(environ)["configs"][config]["file"]
    users = [one for one in services(environ).values() if any(m.source.endswith(file.name) for m in one.mounts)]
    assert users
    for user in users:
        LOADERS[config](file, user.environment)


def test_every_room_is_given_the_token_that_is_made_for_it(environ: dict[str, str]) -> None:
    known = services(environ)
    written = {mount.target: mount.source for mount in known["init"].mounts if mount.volume}
    assert written == {f"/run/hakari/{room}": f"token-{room}" for room in RIGHTS}
    for room in RIGHTS:
        tokens = [mount for mount in known[room].mounts if mount.target.startswith("/run/hakari/")]
        assert [(mount.target, mount.source, mount.read_only) for mount in tokens] == [
            (f"/run/hakari/{room}", f"token-{room}", True)
        ]
        if known[room].ours:
            text = (ROOT / f"deploy/compose/{room}.toml").read_text()
            assert f'token_file = "/run/hakari/{room}/{TOKEN_FILE}"' in text


def test_the_demo_project_is_read_by_calc() -> None:
    file = ROOT / "deploy/compose/demo.project.toml"
    project = read_project(file.read_bytes(), str(file)).file
    edge = tomllib.loads((ROOT / "deploy/compose/demo.edge.toml").read_text())
    assert project.plan.interval_s == edge["edge"]["interval_s"]
    assert project.project.namespace in (ROOT / "docs/deploy.md").read_text()
    meters = {f"{DEMO_EDGE}/{meter['id']}": meter["serial"] for meter in edge["meter"]}
    for monitored in project.monitored:
        for point in monitored.points:
            assert meters[point.point.rpartition("/")[0]] == point.serial


@each_service
def test_every_path_in_its_configuration_is_mounted(service: Service) -> None:
    targets = [mount.target for mount in service.mounts] + ["/tmp"]
    for mount in service.mounts:
        if mount.source.startswith("./deploy/"):
            text = (ROOT / mount.source).read_text()
            for path in re.findall(r'(?<![\w:/.])(?:sqlite:///)?(/(?:run|etc|var|tmp)/[^\s"]+)', text):
                # The one-shot services read a room's file for one table of it.
                reads_all = not service.runs_once
                assert not reads_all or any(path == t or path.startswith(f"{t}/") for t in targets), path


@each_service
def test_environment_variables_are_keys_of_the_settings(service: Service) -> None:
    kinds: dict[str, type[msgspec.Struct]] = {
        "INGEST": ingest_settings.Settings,
        "CALC": calc_settings.Settings,
        "API": api_settings.ApiSettings,
        "EDGE": edge_settings.Settings,
    }
    for variable in service.environment:
        if service.ours:
            room, table, key = variable.removeprefix("HAKARI_").split("__")
            held = {field.encode_name: field.type for field in msgspec.structs.fields(kinds[room])}[table.lower()]
            assert key.lower() in {field.encode_name for field in msgspec.structs.fields(held)}
        else:
            assert variable.startswith("GF_") or variable in PROVISIONED


def test_grafana_is_given_every_variable_that_its_provisioning_names(environ: dict[str, str]) -> None:
    grafana = services(environ)["grafana"]
    exported = set(re.findall(r"export ([A-Z_]+)", " ".join(grafana.table["entrypoint"])))
    assert {name for name in grafana.environment if name.startswith("HAKARI_")} | exported == PROVISIONED
    token = re.findall(r"cat ([^)]+)\)", " ".join(grafana.table["entrypoint"]))
    assert token == [f"{mount.target}/{TOKEN_FILE}" for mount in grafana.mounts if mount.source == "token-grafana"]
    folders = {mount.target for mount in grafana.mounts if not mount.volume}
    providers = (ROOT / "grafana/provisioning/dashboards").glob("*.yaml")
    paths = {path for file in providers for path in re.findall(r'path: "?([^"\s]+)', file.read_text())}
    assert paths
    assert paths <= folders


@each_service
def test_hosts_in_configurations_are_services_on_a_network_in_common(service: Service, environ: dict[str, str]) -> None:
    known = services(environ)
    for mount in service.mounts:
        if mount.source.endswith(".toml") and not service.runs_once:
            text = (ROOT / mount.source).read_text()
            for host in re.findall(r'^host = "([a-z]+)"|^url = "http://([a-z]+):', text, re.MULTILINE):
                other = known["".join(host)]
                assert set(other.table["networks"]) & set(service.table["networks"]), f"{service.name} → {other.name}"


@each_service
def test_commands_are_ours_and_their_options_exist(service: Service) -> None:
    if service.ours:
        _parsed(service.table["command"])


@each_service
def test_a_service_that_stays_has_a_health_check_that_exists(service: Service) -> None:
    check = service.table.get("healthcheck")
    assert (check is None) == service.runs_once
    if check is None:
        return
    kind, *words = check["test"]
    program = words[0].split()[0]
    assert kind == ("CMD-SHELL" if service.name == "broker" else "CMD")
    if service.ours:
        assert program in {"hakari", "python"}
    else:
        assert program in FOREIGN_COMMANDS[service.name]
    if program == "hakari":
        _parsed(words[1:])
    if program == "python":
        compile(words[2], "healthcheck", "exec")
    assert check["start_interval"]
    assert check["retries"]


@each_service
def test_dependencies_wait_for_what_can_be_waited_for(service: Service, environ: dict[str, str]) -> None:
    known = services(environ)
    for other, how in service.table.get("depends_on", {}).items():
        once = known[other].runs_once
        assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")
        assert set(known[other].table.get("profiles", [])) <= set(service.table.get("profiles", []))


@each_service
def test_an_image_holds_what_its_service_runs(service: Service) -> None:
    if not service.ours:
        return
    extras = service.table["build"]["args"]["EXTRAS"].split(",")
    assert set(extras) <= set(EXTRAS)
    assert ROOT / service.table["build"]["dockerfile"] == DOCKERFILE
    needed = {"edge": "edge", "simulate": "simulate"}.get(service.table["command"][0])
    assert extras == [needed] if needed else {"ingest", "calc", "api", "influx"} == set(extras)


def test_the_image_runs_as_nobody_special_and_installs_by_hash() -> None:
    text = DOCKERFILE.read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.11-slim-bookworm"] * 2
    assert text.index("USER ${UID}:${GID}") < text.index('ENTRYPOINT ["hakari"]')
    installs = re.findall(r"pip install ([^\n&]+)", text)
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert "://" not in text.replace("file://", "")
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE)) == packages
    copied = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert packages <= copied


def test_a_volume_is_owned_by_the_user_of_the_image(environ: dict[str, str]) -> None:
    """A folder that the image does not make would belong to root, and the room could not write it."""
    text = DOCKERFILE.read_text()
    folders = {
        f"{place}/{room}"
        for rooms, place in re.findall(r"for room in ([a-z ]+); do install [^\n]*?\"(/[a-z/]+)/\$room\"", text)
        for room in rooms.split()
    }
    ours = [mount for one in services(environ).values() if one.ours for mount in one.mounts if mount.volume]
    assert {mount.target for mount in ours} == folders


def test_the_part_of_the_lock_that_an_image_needs() -> None:
    tool = _script("deploy/images/lock_of.py")
    lock = (ROOT / "requirements.lock").read_text()
    names = {"Paho_MQTT", "pymodbus", "hakari"}
    part = tool.part(lock, names)
    assert re.findall(r"^([a-z0-9-]+)==", part, re.MULTILINE) == ["paho-mqtt", "pymodbus"]
    assert part.count("--hash=sha256:") >= 2
    assert all(entry in lock for entry in tool.entries(part).values())
    assert len(tool.versions(lock).splitlines()) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    assert "--hash" not in tool.versions(lock)
    with pytest.raises(KeyError):
        tool.part(lock, {"a-package-that-nobody-locked"})


def test_the_containers_broker_is_the_one_that_the_tests_run() -> None:
    """Two files for two places: only where things lie may differ."""

    def kept(file: str) -> list[str]:
        lines = (ROOT / file).read_text().splitlines()
        return [line for line in lines if line[:1] not in {"", "#"} and not re.match(r"listener|\w+_file", line)]

    assert kept("deploy/compose/mosquitto.conf") == kept("deploy/mosquitto/mosquitto.conf")


def _parsed(words: list[str]) -> None:
    """Nothing when `hakari {words}` is a command with these options; Click's own error otherwise."""
    command: click.Command = cli.root
    context = click.Context(cli.root)
    rest = list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"hakari {' '.join(words)}: there is no {name}"
        command = found
    command.make_context("hakari", rest)


def _version() -> str:
    return (ROOT / "hakari/__init__.py").read_text().partition('__version__ = "')[2].partition('"')[0]


def _script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock_of", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
