"""Commands of the simulated plants: `hakari simulate …` and `hakari demo`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from hakari.cli.output import show, table
from hakari.errors import DATA_PROBLEM, INTERRUPTED, BadConfiguration, Refused
from simulate.demo import TICKS, shown
from simulate.demo import as_json as as_json_of
from simulate.demo import run as run_demo
from simulate.displays import displays as displays_at
from simulate.faults import Fault
from simulate.kinds import kinds_as_json, kinds_text
from simulate.plant import load_plant, ms_of
from simulate.processes import Processes
from simulate.progress import bar
from simulate.run import run_broker, run_lockstep, run_plants
from simulate.scenario import load_scenario
from simulate.schedule import load_schedule, parse_fault
from simulate.users import create

EXISTING = click.Path(path_type=Path)
FAULT = click.option(
    "--fault", multiple=True, metavar="WORDS", help="A fault, such as 'unit=1 kind=silence from=2016-07-02T00:00:00Z'."
)
FAULTS = click.option("--faults", multiple=True, type=EXISTING, help="A schedule file with [[fault]] tables.")
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
@FAULT
@FAULTS
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plants(
    plants: tuple[Path, ...], at: str | None, fault: tuple[str, ...], faults: tuple[Path, ...], as_json: bool
) -> None:
    """Serve the meters of PLANTS (TOML files) until SIGTERM; plant time runs with the clock."""
    wanted, at_ms = _faults(fault, faults), _moment_ms(at)
    asyncio.run(
        run_plants(list(plants), at_ms, os.environ, lambda at: _say(at, as_json), wanted, _say_faults, _say_waiting)
    )


@simulate.command()
@click.argument("scenario", type=EXISTING)
@FAULT
@FAULTS
@click.option("--hold", is_flag=True, help="Keep the meters and the driver at the last tick until SIGTERM.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lockstep(scenario: Path, fault: tuple[str, ...], faults: tuple[Path, ...], hold: bool, as_json: bool) -> int:
    """Serve the meters of SCENARIO and drive its edges tick by tick until all is stored."""
    chosen = load_scenario(scenario, os.environ, _faults(fault, faults))
    _say_faults(chosen.faults.lines)
    with bar(len(chosen.times_ms)) as progress:
        finished = asyncio.run(run_lockstep(chosen, hold=hold, say=lambda at: _say(at, as_json), progress=progress))
    return 0 if finished else INTERRUPTED


@simulate.command("displays")
@click.argument("plant", type=EXISTING)
@click.option("--at", help="ISO 8601 plant time with offset; default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: {unit: {point: display}}.")
def show_displays(plant: Path, at: str | None, as_json: bool) -> None:
    """Show what the displays of PLANT's meters show, as somebody who stands before them reads it."""
    at_ms = _moment_ms(at)
    shown = displays_at(load_plant(plant, os.environ), time.time_ns() // 1_000_000 if at_ms is None else at_ms)
    rows = [(unit, point, text) for unit, points in shown.items() for point, text in points.items()]
    show(shown, table(("unit", "point", "display"), rows, right=(0, 2)), as_json)


@simulate.command("faults")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_faults(as_json: bool) -> None:
    """List the faults that every simulated meter can have, with their parameters."""
    show(kinds_as_json(), kinds_text(), as_json)


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--exit", "leave", is_flag=True, help="Stop everything at the end instead of serving on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def demo(folder: Path | None, leave: bool, as_json: bool) -> int:
    """Run four plants and the whole chain on this machine, in FOLDER (new or empty) or a temporary one.

    A recorded solar system and a seeded boiler house, chiller and transformer are read over Modbus TCP for a month
    in quarter hours, published over MQTT, stored, computed, served and re-derived offline. It credits nothing.
    """
    with ExitStack() as stack:
        home = folder or Path(stack.enter_context(TemporaryDirectory(prefix="hakari-demo-")))
        if home.exists() and any(home.iterdir()):
            raise Refused(f"folder {home} is not empty; name a new one for the demo")
        processes = stack.enter_context(Processes(home / "logs"))
        total = stack.enter_context(bar(TICKS))
        outcome = run_demo(home, processes, lambda text: click.echo(f"· {text}", err=True), total)
        click.echo(
            json.dumps(as_json_of(outcome)) if as_json else shown(outcome, stays=not leave or folder is not None)
        )
        if not leave:
            click.echo("  everything stays up until Ctrl-C", err=True)
            _until_interrupted(processes)
    return 0 if all(one.verdict["ok"] for one in outcome.outcomes) else DATA_PROBLEM


def _until_interrupted(processes: Processes) -> None:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.wait(1.0):
        processes.check()


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


def _faults(words: tuple[str, ...], files: tuple[Path, ...]) -> list[Fault]:
    """Those of the files, then those of the command line, each in the order given."""
    return [fault for file in files for fault in load_schedule(file)] + [parse_fault(text) for text in words]


def _say(addresses: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(addresses))
        return
    for name, address in addresses.items():
        click.echo(f"{name}: {'driver' if name == 'lockstep' else 'modbus tcp'} {address}")


def _say_faults(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"fault: {line}", err=True)


def _say_waiting(line: str) -> None:
    click.echo(line, err=True)
