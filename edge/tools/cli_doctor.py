"""`hakari edge doctor`: what stands in an edge's way, one line a check."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import click

from edge.tools.doctor import GROUPS, Check, Diagnosis, diagnosis, only, redacted, report_text, shown
from hakari.cli.output import show
from hakari.errors import DATA_PROBLEM, BadConfiguration

FILE_MODE = 0o600


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--only", "groups", multiple=True, type=click.Choice(GROUPS), help="This group of checks. Repeatable.")
@click.option("--report", "out", type=click.Path(path_type=Path), help="Write a text without secrets for support.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, config: Path, groups: tuple[str, ...], out: Path | None, as_json: bool) -> int:
    """Check settings, clock, buses and meters, spool, broker and versions of the edge of CONFIG. Changes nothing.

    Beside a running edge serial lines are left alone, and its login at the broker is not doubled. Ends with 5 when a
    check fails (✗); what only deserves a look (!) does not.
    """
    told = _diagnosed(config, groups)
    if out is not None:
        from hakari.log.keyfile import write_new  # noqa: PLC0415 - rarely needed

        text = report_text(told, redacted(_text(config)), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        write_new(out, text.encode(), FILE_MODE)
        click.echo(f"wrote {out}", err=True)
    show(told, shown(told), as_json)
    return 0 if told.ok else DATA_PROBLEM


def _text(config: Path) -> str:
    try:
        return config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(not readable)"


def _diagnosed(config: Path, groups: tuple[str, ...]) -> Diagnosis:
    from edge.settings import edge_id_of, load_settings  # noqa: PLC0415
    from edge.tools.doctor_machine import clock_checks, version_checks  # noqa: PLC0415 - loaded with its command

    try:
        settings = load_settings(config, os.environ)
    except BadConfiguration as error:
        bad = Check("config", "settings", "fail", str(error), "correct it; what depends on it was not checked")
        return diagnosis("", [bad, *only([*clock_checks(), *version_checks()], groups)])
    return diagnosis(edge_id_of(settings), asyncio.run(_checks(config, groups or GROUPS)))


async def _checks(config: Path, groups: tuple[str, ...]) -> list[Check]:
    from edge.settings import load_settings  # noqa: PLC0415
    from edge.tools import doctor_lines, doctor_machine  # noqa: PLC0415 - loaded with its command
    from hakari.settings import beside  # noqa: PLC0415

    told = load_settings(config, os.environ)
    running = doctor_machine.is_running(beside(config, told.edge.spool))
    found: list[Check] = []
    for group in GROUPS:
        if group not in groups:
            continue
        _progress(group)
        if group == "config":
            found += doctor_machine.config_checks(told, config)
        elif group == "clock":
            found += doctor_machine.clock_checks()
        elif group == "bus":
            found += [one async for one in doctor_lines.bus_checks(told, config.parent, running=running)]
        elif group == "spool":
            found += doctor_machine.spool_checks(told, config, os.environ)
        elif group == "broker":
            found += doctor_lines.broker_checks(told, config.parent, running=running)
        else:
            found += doctor_machine.version_checks()
    _progress("")
    return found


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{f'checking {what}' if what else ''}", nl=False, err=True)
