"""Commands of the room ingest: `hakari ingest`, `view`, `log` and `quarantine`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from hakari import settings as toml
from hakari.cli.output import show, table
from hakari.errors import DATA_PROBLEM, Refused
from hakari.period import time_text
from hakari.store.evidence import Quarantined
from hakari.store.evidence_sqlite import QuarantineTotal, SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from ingest.feed import Fed, Feeder
from ingest.fsck import Checked, Report, fsck
from ingest.settings import Settings, load_roster, load_settings

PROGRESS_LEAVES = 1000
MAX_LISTED = 10_000
HEX_BYTES_A_LINE = 16

F = TypeVar("F", bound=Callable[..., object])


class EntryUnknown(Refused):
    """No quarantined message has that number, or no longer."""


def _options(command: F) -> F:
    """The options of every command here."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    path = click.Path(path_type=Path)
    return click.option("--config", default="ingest.toml", show_default=True, type=path, help="Settings file.")(command)


@click.group()
def ingest() -> None:
    """Take signed leaves from the broker into the evidence log."""


@ingest.command("run")
@click.option("--config", default="ingest.toml", show_default=True, type=click.Path(path_type=Path), help="Settings.")
def run(config: Path) -> None:
    """Run until SIGTERM or Ctrl-C."""
    importlib.import_module("ingest.run").run(config)


@click.group()
def log() -> None:
    """Check the evidence log."""


@log.command("list")
@_options
def log_list(config: Path, *, as_json: bool) -> None:
    """List the origins with their sizes."""
    with _evidence(config, load_settings(config, os.environ)) as evidence:
        rows = [(origin, evidence.head(origin)) for origin in evidence.origins()]
    value = [
        {"origin": str(origin), "size": head.size, "root": head.root.hex(), "frozen": head.frozen}
        for origin, head in rows
    ]
    text = table(
        ("origin", "leaves", "root", "state"),
        [(str(origin), head.size, head.root.hex()[:16], "FROZEN" if head.frozen else "") for origin, head in rows],
        right=(1,),
    )
    show({"origins": value}, text, as_json)


@log.command("fsck")
@_options
def log_fsck(config: Path, *, as_json: bool) -> int:
    """Re-derive every root from all leaves and check every signature; exit code 5 when something is wrong."""
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    with _evidence(config, given) as evidence, _progress("leaves checked") as progress:
        report = fsck(evidence, roster, progress)
    show(report, _report_text(report), as_json)
    return DATA_PROBLEM if report.problem_count else 0


@click.group()
def view() -> None:
    """Look at decoded readings, or rebuild them."""


@view.command("status")
@_options
def view_status(config: Path, *, as_json: bool) -> None:
    """Show how far the view is behind the evidence log, and the newest leaves that gave no readings."""
    given = load_settings(config, os.environ)
    with _evidence(config, given) as evidence, _view(config, given, read_only=True) as readings:
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
@_options
def view_rebuild(config: Path, *, as_json: bool) -> None:
    """Forget all decoded readings and derive them again from the evidence log. Ingest may go on running."""
    given = load_settings(config, os.environ)
    with _evidence(config, given) as evidence, _view(config, given) as readings, _progress("leaves fed") as progress:
        readings.clear()
        feeder = Feeder(evidence, readings)
        fed = feeder.catch_up(max_steps=1)
        total = fed
        while not fed.done:
            progress(fed.leaves)
            fed = feeder.catch_up(max_steps=1)
            total = _sum(total, fed)
    value = {"leaves": total.leaves, "rows": total.rows, "refusals": total.refused}
    show(value, f"{total.leaves} leaves gave {total.rows} rows and {total.refused} refusals", as_json)


@click.group()
def quarantine() -> None:
    """Look at what could not be taken."""


@quarantine.command("list")
@_options
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, MAX_LISTED))
def quarantine_list(config: Path, limit: int, *, as_json: bool) -> None:
    """List quarantined messages, the newest first."""
    with _evidence(config, load_settings(config, os.environ)) as evidence:
        entries, total = evidence.quarantined(limit), evidence.quarantine_total()
    rows = [(e.id, time_text(e.received_ms), len(e.payload), e.source, e.reason) for e in entries]
    text = table(("id", "received", "bytes", "source", "reason"), rows, right=(0, 2))
    value = {"messages": [_summary(e) for e in entries], "total": total._asdict()}
    show(value, f"{text}\n\n{_total_text(total)}", as_json)


@quarantine.command("show")
@_options
@click.argument("entry_id", metavar="ID", type=int)
@click.option("--raw", is_flag=True, help="Write the message's bytes to stdout and nothing else.")
def quarantine_show(config: Path, entry_id: int, *, raw: bool, as_json: bool) -> None:
    """Show one quarantined message whole."""
    with _evidence(config, load_settings(config, os.environ)) as evidence:
        entry = evidence.quarantined_entry(entry_id)
    if entry is None:
        raise EntryUnknown(f"quarantine has no message {entry_id}, or no longer; see: hakari quarantine list")
    if raw:
        sys.stdout.buffer.write(entry.payload)
        return
    head = table(("field", "value"), list(_summary(entry).items()))
    value = {**_summary(entry), "payload": msgspec.to_builtins(entry.payload)}
    show(value, f"{head}\n\n{_dump(entry.payload)}", as_json)


def _evidence(config: Path, given: Settings) -> closing[SqliteEvidenceLog]:
    return closing(SqliteEvidenceLog(toml.beside(config, given.ingest.evidence), read_only=True))


def _view(config: Path, given: Settings, *, read_only: bool = False) -> closing[SqliteReadingsView]:
    return closing(SqliteReadingsView(toml.beside(config, given.ingest.view), read_only=read_only))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """Counts on stderr, on one line, where a person is watching."""
    watched = sys.stderr.isatty()
    done = shown = 0

    def progress(leaves: int) -> None:
        nonlocal done, shown
        done += leaves
        if watched and done - shown >= PROGRESS_LEAVES:
            shown = done
            click.echo(f"\r{done} {what}", nl=False, err=True)

    yield progress
    if shown:
        click.echo(err=True)


def _report_text(report: Report) -> str:
    rows = [(c.origin, c.leaves, c.root[:16], _state(c), c.problems) for c in report.origins]
    parts = [table(("origin", "leaves", "root", "state", "problems"), rows, right=(1, 4))]
    if report.problems:
        found = [(p.origin, "head" if p.leaf is None else p.leaf, p.text) for p in report.problems]
        parts.append(table(("origin", "leaf", "problem"), found))
    verdict = f"{report.problem_count} PROBLEMS" if report.problem_count else "every leaf is what its edge signed"
    return "\n\n".join([*parts, f"{report.leaves} leaves of {len(report.origins)} origins: {verdict}"])


def _state(checked: Checked) -> str:
    return ", ".join([*["FROZEN"] * checked.frozen, "approved" if checked.approved else "not approved"])


def _sum(total: Fed, fed: Fed) -> Fed:
    return fed._replace(
        leaves=total.leaves + fed.leaves, rows=total.rows + fed.rows, refused=total.refused + fed.refused
    )


def _summary(entry: Quarantined) -> dict[str, object]:
    return {
        "id": entry.id,
        "received": time_text(entry.received_ms),
        "source": entry.source,
        "reason": entry.reason,
        "bytes": len(entry.payload),
    }


def _total_text(total: QuarantineTotal) -> str:
    return f"{total.kept} messages of {total.bytes} bytes kept, {total.dropped} older ones dropped"


def _dump(payload: bytes) -> str:
    lines = []
    for at in range(0, len(payload), HEX_BYTES_A_LINE):
        piece = payload[at : at + HEX_BYTES_A_LINE]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{at:08x}  {piece.hex(' '):47}  {shown}")
    return "\n".join(lines)
