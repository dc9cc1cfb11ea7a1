"""docker-compose.yml as a test sees it: variables put in, merges done, every service's parts by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "images" / "Dockerfile"
_VARIABLE = re.compile(r"\$(?:\$|\{([A-Z_]+)(?::\?[^}]*)?\})")


class Mount(NamedTuple):
    """What stands at `target` in a container: a file or folder of the host, or the named volume `volume`."""

    target: str
    source: str
    volume: bool
    read_only: bool


class Service(NamedTuple):
    """One service; `table` is its own part of the file."""

    name: str
    table: dict[str, Any]
    mounts: list[Mount]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment variables."""
        return {name: str(value) for name, value in self.table.get("environment", {}).items()}

    @property
    def ours(self) -> bool:
        """Whether it runs our own command."""
        return "build" in self.table

    @property
    def runs_once(self) -> bool:
        """Whether it ends by itself."""
        return bool(self.table["restart"] == "no")


def loaded(environ: Mapping[str, str]) -> dict[str, Any]:
    """The whole file with `environ` put in; KeyError names a variable that it does not have."""

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [put(inner) for inner in value]
        if isinstance(value, str):
            return _VARIABLE.sub(lambda found: environ[found[1]] if found[1] else "$", value)
        return value

    whole: dict[str, Any] = put(yaml.safe_load(FILE.read_text()))
    return whole


def services(environ: Mapping[str, str]) -> dict[str, Service]:
    """Every service by its name."""
    whole = loaded(environ)
    return {name: Service(name, table, list(_mounts(whole, table))) for name, table in whole["services"].items()}


def _mounts(whole: dict[str, Any], table: dict[str, Any]) -> list[Mount]:
    mounts = [
        Mount(one["target"], whole["configs"][one["source"]]["file"], volume=False, read_only=True)
        for one in table.get("configs", [])
    ]
    mounts += [
        Mount(f"/run/secrets/{name}", whole["secrets"][name]["file"], volume=False, read_only=True)
        for name in table.get("secrets", [])
    ]
    for one in table.get("volumes", []):
        if isinstance(one, dict):
            mounts.append(Mount(one["target"], one["source"], volume=False, read_only=one["read_only"]))
        else:
            source, target, *options = one.split(":")
            mounts.append(Mount(target, source, volume=source in whole["volumes"], read_only=options == ["ro"]))
    return mounts


def environ_of(file: Path) -> dict[str, str]:
    """The variables in a file that `hakari keys set-up` wrote for docker compose."""
    lines = [line.split("=", 1) for line in file.read_text().splitlines() if not line.startswith("#")]
    return {name: value.strip("'") for name, value in lines}
