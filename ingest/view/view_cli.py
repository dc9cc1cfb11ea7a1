"""`hakari view`: look at decoded readings, make their bucket, compare them with the evidence, or rebuild them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hakari.cli.output import printable, show, table
from hakari.errors import DATA_PROBLEM
from hakari.store.opened import Made, make_bucket
from ingest.options import opened_evidence, opened_view, options, progress
from ingest.settings import IngestSettingsInvalid, load_settings
from ingest.supervised_cli import set_up
from ingest.view.compare import Comparison, compare
from ingest.view.feed import Fed, Feeder
from ingest.view.view_total import total


@click.group()
def view() -> None:
    """Look at decoded readings, or rebuild them."""


view.add_command(set_up)
view.add_command(total)


@view.command("init")
@options
def view_init(config: Path, *, as_json: bool) -> None:
    """Make the bucket of [influxdb], which keeps readings for ever, where it is absent; exit code 4 if it cannot."""
    given = load_settings(config, os.environ)
    if given.influxdb is None:
        raise IngestSettingsInvalid(
            f"{config}: there is no table [influxdb]; the embedded view makes its file by itself"
        )
    made = make_bucket(config, given.influxdb)
    show(made._asdict(), _made_text(made), as_json)


@view.command("status")
@options
def view_status(config: Path, *, as_json: bool) -> None:
    """Show how far the view is behind the evidence log, and the newest leaves that gave no readings."""
    given = load_settings(config, os.environ)
    with opened_evidence(config, given) as evidence, opened_view(config, given, read_only=True) as readings:
        origins = [(o, evidence.head(o).size, readings.cursor(o.edge_id, o.epoch)) for o in evidence.origins()]
        rows, refusals = readings.counts()
        points, refused = len(readings.points()), readings.refused()
    value = {
        "rows": rows,
        "points": points,
        "refusals": refusals,
        "origins": [{"origin": str(o), "leaves": size, "in_view": cursor} for o, size, cursor in origins],
        "refused": [r._asdict() for r in refused],
    }
    lines = [
        table(("origin", "leaves", "in view"), [(str(o), size, cursor) for o, size, cursor in origins], right=(1, 2)),
        f"{rows} rows of {points} points, {refusals} refusals",
    ]
    if refused:
        found = [(r.edge_id, f"{r.epoch}/{r.leaf}", r.reason) for r in refused]
        lines.append(table(("edge", "leaf", "refused because"), found))
    show(value, "\n\n".join(lines), as_json)


@view.command("rebuild")
@options
def view_rebuild(config: Path, *, as_json: bool) -> None:
    """Forget all decoded readings and derive them again from the evidence log. Ingest may go on running.

    A bucket that was deleted is made again first.
    """
    given = load_settings(config, os.environ)
    if given.influxdb is not None:
        make_bucket(config, given.influxdb)
    with opened_evidence(config, given) as evidence, opened_view(config, given) as readings:
        readings.clear()
        with progress("leaves fed") as done:
            feeder = Feeder(evidence, readings)
            fed = feeder.catch_up(max_steps=1)
            total = fed
            while not fed.done:
                done(fed.leaves)
                fed = feeder.catch_up(max_steps=1)
                total = _sum(total, fed)
    value = {"leaves": total.leaves, "rows": total.rows, "refusals": total.refused}
    show(value, f"{total.leaves} leaves gave {total.rows} rows and {total.refused} refusals", as_json)


@view.command("compare")
@options
def view_compare(config: Path, *, as_json: bool) -> int:
    """Hold every reading of the view against the signed leaves; exit code 5 when a point's day differs."""
    given = load_settings(config, os.environ)
    with (
        opened_evidence(config, given) as evidence,
        opened_view(config, given, read_only=True) as readings,
        progress("leaves compared") as done,
    ):
        found = compare(evidence, readings, done)
    value = {**found._asdict(), "days": [day._asdict() for day in found.days]}
    show(value, _compared_text(found), as_json)
    return DATA_PROBLEM if found.day_count else 0


def _sum(total: Fed, fed: Fed) -> Fed:
    return fed._replace(
        leaves=total.leaves + fed.leaves, rows=total.rows + fed.rows, refused=total.refused + fed.refused
    )


def _made_text(made: Made) -> str:
    return f"bucket {printable(made.bucket)}: {'made now' if made.made else 'there'}, keeps readings for ever"


def _compared_text(found: Comparison) -> str:
    parts = []
    if found.days:
        rows = [(d.point or "(no point)", *d[1:5], ", ".join(d.fields)) for d in found.days]
        head = ("point", "UTC day", "missing", "extra", "altered", "in")
        parts.append(table(head, rows, right=(2, 3, 4)))
        if found.day_count > len(found.days):
            parts.append(f"and {found.day_count - len(found.days)} more days")
    verdict = f"{found.behind} leaves are not in the view yet" if found.behind else "the view says what they say"
    if found.day_count:
        verdict = f"{found.day_count} DAYS DIFFER; run: hakari view rebuild"
    parts.append(f"{found.leaves} leaves, {found.rows} rows, {found.points} points: {verdict}")
    return "\n\n".join(parts)
