"""What is packaged: the wheel's content, the lock, and (in CI) each room with only its own extra installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
ROOMS = ["edge", "ingest", "calc", "api", "simulate", "grafana"]
INSTALL_TIMEOUT_S = 240
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)

# Extra → what must import with it alone.
IMPORTS = {
    "": ["hakari"],
    "edge": ["hakari", "edge"],
    "ingest": ["hakari", "ingest"],
    "calc": ["hakari", "calc"],
    "api": ["hakari", "api"],
    "simulate": ["hakari", "simulate"],
    "grafana": ["hakari", "grafana"],
    "influx": ["hakari"],
    "postgres": ["hakari"],
    "hardware": ["hakari"],
    "verify": [],
}
# Modules that an extra brings. One of `hakari` that needs another extra's is left out.
FOREIGN = {
    "paho", "sqlalchemy", "alembic", "pymodbus", "amqtt", "fastapi", "uvicorn", "rich", "pydantic", "starlette",
    "influxdb_client", "urllib3", "grafana_client", "niquests", "psycopg", "pkcs11", "prometheus_client",
}  # fmt: skip
IMPORT_ALL = """
import importlib, pkgutil, sys
foreign = set(sys.argv[2].split(","))
done = []
for package in sys.argv[1].split(","):
    top = importlib.import_module(package)
    for found in pkgutil.walk_packages(top.__path__, package + "."):
        if found.name.endswith("__main__") or ".migrations." in found.name:
            continue
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if package != "hakari" or error.name.split(".")[0] not in foreign:
                raise
            continue
        done.append(found.name)
assert done, "nothing was imported"
print(len(done))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def wanted_files() -> Iterator[str]:
    """Every file of the packages that belongs to the product."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        notices = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert held == set(wanted_files())
    assert len(notices) == 1
    assert any(name.endswith(".toml") for name in held)


def test_it_can_not_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def test_every_extra_of_a_room_exists() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert {*ROOMS, "points", "verify", "influx", "postgres", "hardware", "all", "dev"} == set(extras)
    assert set(re.findall(r"\w+", extras["all"][0])) - {"hakari"} == {
        *ROOMS,
        "points",
        "verify",
        "influx",
        "postgres",
        "hardware",
    }


def test_the_lock_names_no_address_and_a_hash_for_each() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]
    assert "://" not in lock
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_holds_every_requirement() -> None:
    locked = {name.lower() for name, _ in LOCKED.findall((ROOT / "requirements.lock").read_text())}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *(each for name in extras if name != "all" for each in extras[name])]
    names = {re.split(r"[<>=!~\[; ]", each)[0].lower() for each in wanted}
    assert names <= locked


@pytest.mark.skipif(os.environ.get("HAKARI_TEST_WHEEL") != "1", reason="installs from the network; HAKARI_TEST_WHEEL=1")
@pytest.mark.parametrize("extra", sorted(IMPORTS))
def test_the_wheel_works_with_one_extra_alone(wheel: Path, tmp_path: Path, extra: str) -> None:
    python = install(wheel, tmp_path, extra)
    foreign = ",".join(sorted(FOREIGN))
    if IMPORTS[extra]:
        run(tmp_path, python, "-I", "-c", IMPORT_ALL, ",".join(IMPORTS[extra]), foreign)
    else:
        run(tmp_path, python, "-I", "-c", "import calc.verify, hakari.pack")
    command = str(Path(python).with_name("hakari"))
    assert "Commands:" in run(tmp_path, command, "--help")
    for name in sorted(set(ROOMS) - {extra}):
        _check_other_room(tmp_path, command, name)


def _check_other_room(folder: Path, command: str, name: str) -> None:
    """Another room's command either shows its help or names its extra; it never ends in a traceback."""
    done = subprocess.run(
        [command, name, "--help"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 or (done.returncode == 3 and f"'hakari[{name}]'" in done.stderr), done.stderr


def install(wheel: Path, folder: Path, extra: str) -> str:
    """A clean environment with the wheel and one extra at the lock's versions; the path of its Python."""
    versions = LOCKED.findall((ROOT / "requirements.lock").read_text())
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions))
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv/bin/python")
    target = f"hakari[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", str(constraints), target]
    run(folder, python, *pip)
    return python


def run(folder: Path, *command: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tests_run_on_a_supported_python() -> None:
    assert sys.version_info >= (3, 11)
