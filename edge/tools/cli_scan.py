"""`hakari edge scan`: who answers on a bus, and what each one says it is."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import get_args

import click
import msgspec

from hakari.cli.output import show
from hakari.errors import DATA_PROBLEM, Refused
from hakari.registers.profile import Table

TIMEOUT_S = 0.3
FILE_MODE = 0o644


class FileTaken(Refused):
    """The file to be written is there already."""


@click.command()
@click.argument("target")
@click.option("--units", default="1-247", show_default=True, help="Units and ranges of them, such as 1-10,17.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.05, 60), default=TIMEOUT_S, show_default=True)
@click.option("--table", "table_", type=click.Choice(get_args(Table)), default="holding", show_default=True)
@click.option(
    "--address", type=click.IntRange(0, 65535), default=0, show_default=True, help="The register asked first."
)
@click.option("--write", "out", type=click.Path(path_type=Path), help="Write [[bus]] and [[meter]] tables to review.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scan(
    *, target: str, units: str, timeout_s: float, table_: Table, address: int, out: Path | None, as_json: bool
) -> int:
    """Find the units that answer on TARGET, and ask each what it is. Needs no settings and only reads.

    \b
    hakari edge scan tcp://10.0.0.7
    hakari edge scan rtu:///dev/ttyUSB0?baud=9600&parity=even --units 1-32 --timeout 0.5 --write meters.toml

    Each unit is asked one register; any answer proves a device, an exception too. Stop an edge that reads the same
    serial line first. Ends with 5 when no unit answers, with 4 when the line itself cannot be opened.
    """  # noqa: D301 - \b is click's
    from edge.tools import scan as thinking  # noqa: PLC0415 - loaded with its command
    from edge.tools.scanning import Question, scanned  # noqa: PLC0415
    from edge.tools.target import parse_target, shown_target  # noqa: PLC0415
    from hakari.log.keyfile import write_new  # noqa: PLC0415

    bus, wanted = parse_target(target, timeout_s), thinking.units_of(units)
    if out is not None and out.exists():
        raise FileTaken(f"file {out} exists and is not overwritten; choose another name or move it")
    _say(
        f"asking {len(wanted)} units at {shown_target(bus)} for {table_} register {address}, {timeout_s:g} s each:"
        f" at most {len(wanted) * timeout_s:.0f} s, then who they are"
    )
    if bus.kind == "rtu":
        _say(f"a serial line is listened to for {bus.late_s:g} s first, so that no answer of another master is taken")
    report = asyncio.run(scanned(bus, wanted, Question(table_, address), _progress))
    _clear()
    _say(
        f"asked {report.units_asked} units in {report.took_s:g} s; what needs longer than {timeout_s:g} s to answer is"
        " not seen: --timeout 1 finds it"
    )
    if out is not None and report.found:
        write_new(out, thinking.settings_text(bus, report.found).encode(), FILE_MODE)
        report = msgspec.structs.replace(report, written=str(out))
        _say(f"wrote {out}; review it")
    show(report, thinking.shown(report), as_json)
    return 0 if report.found else DATA_PROBLEM


def _say(text: str) -> None:
    click.echo(text, err=True)


def _progress(done: int, of: int, what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{done}/{of} {what}", nl=False, err=True)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
