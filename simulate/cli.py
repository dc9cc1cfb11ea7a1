"""Commands of the simulated plants: `hakari simulate …` and `hakari demo`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from datetime import datetime
from pathlib import Path

import click

from hakari.errors import INTERRUPTED, BadConfiguration, Refused
from simulate.plant import ms_of
from simulate.progress import bar
from simulate.run import run_broker, run_lockstep, run_plants
from simulate.scenario import load_scenario
from simulate.users import create

EXISTING = click.Path(path_type=Path)
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


@click.group()
def simulate() -> None:
    """Plants that speak Modbus, a broker, and the lockstep driver."""


@simulate.command()
@click.option("--config", required=True, type=EXISTING, help="The broker's TOML file.")
def broker(config: Path) -> None:
    """Run an in-memory MQTT 3.1.1 broker with named users until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    asyncio.run(run_broker(config, os.environ))


@simulate.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def users(folder: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Write a fresh password file for each of NAMES and the broker's users file into FOLDER."""
    path = create(folder, names)
    click.echo(json.dumps({"users_file": str(path), "users": names}) if as_json else f"wrote {path}")


@simulate.command()
@click.argument("plants", nargs=-1, required=True, type=EXISTING)
@click.option("--at", help="ISO 8601 time with offset that plant time begins at; default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plants(plants: tuple[Path, ...], at: str | None, as_json: bool) -> None:
    """Serve the meters of PLANTS (TOML files) until SIGTERM; plant time runs with the clock."""
    asyncio.run(run_plants(list(plants), _moment_ms(at), os.environ, lambda at: _say(at, as_json)))


@simulate.command()
@click.argument("scenario", type=EXISTING)
@click.option("--hold", is_flag=True, help="Keep the meters and the driver at the last tick until SIGTERM.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lockstep(scenario: Path, hold: bool, as_json: bool) -> int:
    """Serve the meters of SCENARIO and drive its edges tick by tick until all is stored."""
    chosen = load_scenario(scenario, os.environ)
    with bar(len(chosen.times_ms)) as progress:
        finished = asyncio.run(run_lockstep(chosen, hold=hold, say=lambda at: _say(at, as_json), progress=progress))
    return 0 if finished else INTERRUPTED


@click.command()
def demo() -> None:
    """Run the whole chain on this machine."""
    raise Refused("the demo is not part of this version yet; run the rooms one by one")


def _moment_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadConfiguration(f"--at {text!r} is no ISO 8601 time; write one such as 2016-07-01T00:00:00Z") from error
    if moment.tzinfo is None:
        raise BadConfiguration(f"--at {text!r} has no zone; add its offset, such as Z or +08:00")
    return ms_of(moment)


def _say(addresses: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(addresses))
        return
    for name, address in addresses.items():
        click.echo(f"{name}: {'driver' if name == 'lockstep' else 'modbus tcp'} {address}")
