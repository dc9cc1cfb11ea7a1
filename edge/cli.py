"""`hakari edge …`: check a configuration, read a meter once, run the edge, ask how it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from edge.tools.cli_commission import commission
from edge.tools.cli_doctor import doctor
from edge.tools.cli_enrol import enrol
from edge.tools.cli_import import import_points
from edge.tools.cli_read import read
from edge.tools.cli_replace import replace_meter
from edge.tools.cli_scan import scan
from edge.tools.cli_sunspec import sunspec
from hakari.cli.output import show
from hakari.errors import BAD_CONFIGURATION

CONFIG = click.argument("config", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def edge() -> None:
    """Read meters, sign what they say and publish it."""


edge.add_command(scan)
edge.add_command(read)
edge.add_command(doctor)
edge.add_command(enrol)
edge.add_command(import_points)
edge.add_command(sunspec)
edge.add_command(commission)
edge.add_command(replace_meter)


@edge.command()
@CONFIG
@AS_JSON
def check(config: Path, as_json: bool) -> int:
    """Show what CONFIG would read and send, and what would be refused. Touches no meter."""
    from edge.tools.check import check as report_on  # noqa: PLC0415 - loaded with its command
    from edge.tools.check import shown  # noqa: PLC0415

    report = report_on(config, os.environ)
    show(report, shown(report), as_json)
    return BAD_CONFIGURATION if report.refused else 0


@edge.command()
@CONFIG
def run(config: Path) -> None:
    """Read, sign and publish until stopped (SIGTERM ends cleanly)."""
    from edge import run as runner  # noqa: PLC0415 - loaded with its command
    from edge.reads.cycle import check_cycles  # noqa: PLC0415
    from edge.settings import check_files, load_settings, metering_configuration  # noqa: PLC0415

    told = load_settings(config, os.environ)
    check_files(told, config.parent)
    check_cycles(told, metering_configuration(told, config.parent))
    runner.run(config)


@edge.command()
@CONFIG
@click.option("--check", is_flag=True, help="End with 4 unless a slot was sampled lately, for supervisors.")
@AS_JSON
def status(config: Path, check: bool, as_json: bool) -> None:
    """Show what is spooled, sent and known to be stored."""
    from edge.settings import load_settings  # noqa: PLC0415 - loaded with its command
    from edge.status import check_sampling, shown  # noqa: PLC0415
    from edge.status import status as status_of  # noqa: PLC0415

    told = status_of(config)
    if check:
        check_sampling(told, load_settings(config, os.environ).edge.interval_s, time.time_ns() // 1_000_000)
    show(told, shown(told), as_json)
