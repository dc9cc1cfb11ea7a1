"""What ingest's commands share: their options, the stores that the settings name, and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import click

from hakari.store.evidence import EvidenceLog
from hakari.store.opened import open_evidence, open_view
from hakari.store.view import ReadingsView
from ingest.settings import Settings

PROGRESS_LEAVES = 1000

F = TypeVar("F", bound=Callable[..., object])


def options(command: F) -> F:
    """The options of every command of ingest."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    path = click.Path(path_type=Path)
    return click.option("--config", default="ingest.toml", show_default=True, type=path, help="Settings file.")(command)


def opened_evidence(config: Path, given: Settings, *, read_only: bool = True) -> closing[EvidenceLog]:
    """The evidence log, for reading only unless it is said otherwise."""
    return closing(open_evidence(config, given.ingest.evidence, given.postgresql, read_only=read_only))


def opened_view(config: Path, given: Settings, *, read_only: bool = False) -> closing[ReadingsView]:
    """The readings view, embedded or in InfluxDB."""
    return closing(open_view(config, given.ingest.view, given.influxdb, read_only=read_only))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """Counts on stderr, on one line, where a person is watching."""
    watched = sys.stderr.isatty()
    done = shown = 0

    def add(count: int) -> None:
        nonlocal done, shown
        done += count
        if watched and done - shown >= PROGRESS_LEAVES:
            shown = done
            click.echo(f"\r{done} {what}", nl=False, err=True)

    yield add
    if shown:
        click.echo(err=True)
