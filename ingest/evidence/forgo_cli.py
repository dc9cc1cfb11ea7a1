"""Commands about evidence that a person decides on: `hakari log forgo` and `hakari log decisions`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hakari.cli.output import show, table
from hakari.clock import SystemClock
from hakari.names import BadName, Origin
from hakari.period import time_text
from hakari.store.evidence import DECISIONS
from hakari.store.forgone import forgo
from hakari.wire.forgone import Forgone
from ingest.options import opened_evidence, options
from ingest.settings import load_settings


def origin_of(_context: click.Context, _option: click.Parameter, text: str) -> Origin:
    """An origin as `hakari log list` prints it; a usage error otherwise."""
    try:
        return Origin.parse(text)
    except BadName as error:
        raise click.BadParameter(f"{error}; copy it from: hakari log list") from error


@click.command("forgo")
@options
@click.argument("origin", callback=origin_of)
@click.option("--start", required=True, type=click.IntRange(0), help="The first leaf whose body is lost.")
@click.option("--stop", required=True, type=click.IntRange(1), help="The first leaf after it that has its body again.")
@click.option("--who", required=True, help="Who decides.")
@click.option("--why", required=True, help="What happened, and where the bodies were looked for.")
def log_forgo(config: Path, origin: Origin, start: int, stop: int, who: str, why: str, *, as_json: bool) -> None:
    """Decide to go on without leaf bodies that nobody has any more.

    Ingest's alarm says which ones an edge no longer has. Look for them first: in a newer backup of the evidence log
    and in evidence packs. What is forgone stays a gap for good, is named with this decision to every verifier, and
    the decision is never deleted. Leaves in that range of which a body arrives after all are taken with it.
    """
    given = load_settings(config, os.environ)
    if origin.namespace != given.ingest.namespace:
        raise click.UsageError(f"{origin} is not of [ingest].namespace {given.ingest.namespace}")
    decided = Forgone(start, stop, SystemClock().now().wall_ms, who, why)
    with opened_evidence(config, given, read_only=False) as evidence, evidence.transaction():
        forgo(evidence, origin, decided)
    text = f"{origin}: {decided}. The edge's hashes are taken with its next resend, within about five minutes."
    show({"origin": str(origin), "start": start, "stop": stop, "who": who, "why": why}, text, as_json)


@click.command("decisions")
@options
@click.option("--kind", type=click.Choice(DECISIONS), help="Only decisions of one kind.")
def log_decisions(config: Path, kind: str | None, *, as_json: bool) -> None:
    """List what people decided about evidence, the oldest first."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
        found = evidence.decisions(kind or "")
    rows = [(time_text(one.at_ms), one.kind, one.subject, one.detail, one.who, one.why) for one in found]
    head = ("decided", "kind", "about", "detail", "by", "why")
    show({"decisions": [one._asdict() for one in found]}, table(head, rows), as_json)
