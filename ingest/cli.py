"""Commands of the room ingest: `hakari ingest`, `view`, `log` and `quarantine`."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from ingest.evidence.log_cli import log
from ingest.evidence.quarantine_cli import quarantine
from ingest.receive.shards_cli import shards
from ingest.requests_cli import ask, requests, send_configuration
from ingest.supervised_cli import status
from ingest.view.view_cli import view
from ingest.watch.alarms_cli import alarms, meters

__all__ = ["ingest", "log", "quarantine", "view"]


@click.group()
def ingest() -> None:
    """Take signed leaves from the broker into the evidence log."""


ingest.add_command(status)
ingest.add_command(shards)
ingest.add_command(alarms)
ingest.add_command(meters)
ingest.add_command(send_configuration)
ingest.add_command(ask)
ingest.add_command(requests)


@ingest.command("run")
@click.option("--config", default="ingest.toml", show_default=True, type=click.Path(path_type=Path), help="Settings.")
def run(config: Path) -> None:
    """Run until SIGTERM or Ctrl-C."""
    importlib.import_module("ingest.run").run(config)
