"""`hakari edge scan`: who answers on a bus, and what each one says it is."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import get_args

import click
import msgspec

from hakari.cli.output import show
from hakari.errors import DATA_PROBLEM
from hakari.registers.profile import Table

TIMEOUT_S = 0.3
PROGRESS_LINES = 10


@click.command()
@click.argument("target")
@click.option("--units", default="1-247", show_default=True, help="Units and ranges of them, such as 1-10,17.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.05, 60), default=TIMEOUT_S, show_default=True)
@click.option("--table", "table_", type=click.Choice(get_args(Table)), default="holding", show_default=True)
@click.option(
    "--address", type=click.IntRange(0, 65535), default=0, show_default=True, help="The register asked first."
)
@click.option("--write", "out", type=click.Path(path_type=Path), help="Write [[bus]] and [[meter]] tables to review.")
@click.option(
    "--guess/--no-guess",
    default=None,
    help="Whether to try which profiles could be read where a unit does not say what it is; over TCP it does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scan(
    *,
    target: str,
    units: str,
    timeout_s: float,
    table_: Table,
    address: int,
    out: Path | None,
    guess: bool | None,
    as_json: bool,
) -> int:
    """Find the units that answer on TARGET, and ask each what it is. Needs no settings and only reads.

    \b
    hakari edge scan tcp://10.0.0.7
    hakari edge scan rtu:///dev/ttyUSB0?baud=9600&parity=even --units 1-32 --timeout 0.5 --write meters.toml

    Each unit is asked one register; any answer proves a device, an exception too. Stop an edge that reads the same
    serial line first. Ends with 5 when no unit answers, with 4 when the line itself cannot be opened.
    """  # noqa: D301 - \b is click's
    from edge.tools import scan as thinking  # noqa: PLC0415 - loaded with its command
    from edge.tools.output_file import check_free, write_free  # noqa: PLC0415
    from edge.tools.scanning import ASKED_TIMEOUT_S, Question, reads_a_unit, scanned  # noqa: PLC0415
    from edge.tools.target import parse_target, shown_target  # noqa: PLC0415

    bus, wanted = parse_target(target, timeout_s), thinking.units_of(units)
    check_free(out)
    reads_s = max(timeout_s, ASKED_TIMEOUT_S)
    guesses = bus.kind == "tcp" if guess is None else guess
    reads = reads_a_unit(guesses=guesses)
    # A line of its own is listened to twice: before the units are asked, and before they are asked who they are.
    listens_s = 0.0 if bus.kind == "tcp" else 2 * bus.late_s
    _say(
        f"asking {len(wanted)} units at {shown_target(bus)} for {table_} register {address}, {timeout_s:g} s each:"
        f" at most {len(wanted) * timeout_s + listens_s:.0f} s, then each unit found for who it is: about"
        f" {reads} reads, {reads * reads_s:.0f} s where it answers none of them"
    )
    if bus.kind != "tcp":
        _say(
            f"the line is listened to for {bus.late_s:g} s before each of the two, so that no answer of another master"
            " is taken"
        )
        if not guesses:
            _say("which profiles could be read is not tried on a line as slow as this; --guess tries them all")
    first = Question(table_, address)
    report = asyncio.run(scanned(bus, wanted, first, _quiet if as_json else _progress, guesses=guesses))
    _clear()
    _say(
        f"asked {report.units_asked} units in {report.took_s:g} s; what needs longer than {timeout_s:g} s to answer is"
        " not seen: --timeout 1 finds it"
    )
    if out is not None and report.found:
        write_free(out, thinking.settings_text(bus, report.found))
        report = msgspec.structs.replace(report, written=str(out))
        _say(f"wrote {out}; review it")
    show(report, thinking.shown(report), as_json)
    return 0 if report.found else DATA_PROBLEM


def _say(text: str) -> None:
    click.echo(text, err=True)


def _progress(done: int, of: int, what: str) -> None:
    """One line that changes; without a terminal some lines, each whole."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{done}/{of} {what}", nl=False, err=True)
    elif done % max(1, of // PROGRESS_LINES) == 0:
        _say(f"{done}/{of} {what}")


def _quiet(done: int, of: int, what: str) -> None:
    """For who reads JSON."""


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
