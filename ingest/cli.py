"""Commands of the room ingest: `hakari ingest`, `view`, `log` and `quarantine`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click
import msgspec

from hakari.cli.output import show, table
from hakari.errors import DATA_PROBLEM, Refused
from hakari.period import time_text
from hakari.store.evidence import Quarantined, QuarantineTotal
from ingest.fsck import Checked, Report, fsck
from ingest.options import opened_evidence, options, progress
from ingest.settings import load_roster, load_settings
from ingest.supervised_cli import status
from ingest.view_cli import view

__all__ = ["ingest", "log", "quarantine", "view"]

MAX_LISTED = 10_000
HEX_BYTES_A_LINE = 16


class EntryUnknown(Refused):
    """No quarantined message has that number, or no longer."""


@click.group()
def ingest() -> None:
    """Take signed leaves from the broker into the evidence log."""


ingest.add_command(status)


@ingest.command("run")
@click.option("--config", default="ingest.toml", show_default=True, type=click.Path(path_type=Path), help="Settings.")
def run(config: Path) -> None:
    """Run until SIGTERM or Ctrl-C."""
    importlib.import_module("ingest.run").run(config)


@click.group()
def log() -> None:
    """Check the evidence log."""


@log.command("list")
@options
def log_list(config: Path, *, as_json: bool) -> None:
    """List the origins with their sizes."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
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
@options
def log_fsck(config: Path, *, as_json: bool) -> int:
    """Re-derive every root from all leaves and check every signature; exit code 5 when something is wrong."""
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    with opened_evidence(config, given) as evidence, progress("leaves checked") as done:
        report = fsck(evidence, roster, done)
    show(report, _report_text(report), as_json)
    return DATA_PROBLEM if report.problem_count else 0


@click.group()
def quarantine() -> None:
    """Look at what could not be taken."""


@quarantine.command("list")
@options
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, MAX_LISTED))
def quarantine_list(config: Path, limit: int, *, as_json: bool) -> None:
    """List quarantined messages, the newest first."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
        entries, total = evidence.quarantined(limit), evidence.quarantine_total()
    rows = [(e.id, time_text(e.received_ms), len(e.payload), e.source, e.reason) for e in entries]
    text = table(("id", "received", "bytes", "source", "reason"), rows, right=(0, 2))
    value = {"messages": [_summary(e) for e in entries], "total": total._asdict()}
    show(value, f"{text}\n\n{_total_text(total)}", as_json)


@quarantine.command("show")
@options
@click.argument("entry_id", metavar="ID", type=int)
@click.option("--raw", is_flag=True, help="Write the message's bytes to stdout and nothing else.")
def quarantine_show(config: Path, entry_id: int, *, raw: bool, as_json: bool) -> None:
    """Show one quarantined message whole."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
        entry = evidence.quarantined_entry(entry_id)
    if entry is None:
        raise EntryUnknown(f"quarantine has no message {entry_id}, or no longer; see: hakari quarantine list")
    if raw:
        sys.stdout.buffer.write(entry.payload)
        return
    head = table(("field", "value"), list(_summary(entry).items()))
    value = {**_summary(entry), "payload": msgspec.to_builtins(entry.payload)}
    show(value, f"{head}\n\n{_dump(entry.payload)}", as_json)


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
