"""`hakari calc status`: what a supervisor asks beside a running calc."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from calc.settings import CalcSettingsInvalid, load_settings
from hakari.alive import check
from hakari.cli.output import show
from hakari.settings import beside

# One round computes every project; that may take minutes where a year came late.
SILENCE_LIMIT_S = 1800.0


@click.command("status")
@click.option("--config", default="calc.toml", show_default=True, type=click.Path(path_type=Path), help="Settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(config: Path, *, as_json: bool) -> None:
    """Show the running calc's last sign of life; exit code 4 where it hangs or its last round failed."""
    settings = load_settings(config, os.environ)
    if not settings.calc.alive_file:
        raise CalcSettingsInvalid(f"{config}: [calc].alive_file is missing, so there is no sign of life; name a file")
    sign = check(beside(config, settings.calc.alive_file), SILENCE_LIMIT_S + settings.calc.poll_s, time.time())
    show(sign._asdict(), f"alive {sign.age_s:.0f} s ago", as_json)
