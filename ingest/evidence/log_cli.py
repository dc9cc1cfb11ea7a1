"""Commands of the evidence log: `hakari log`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from hakari.cli.output import json_text, show, table
from hakari.clock import SystemClock
from hakari.errors import DATA_PROBLEM, Refused
from hakari.names import Origin
from hakari.period import time_text
from hakari.settings import beside
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from ingest.evidence.backup import Restoring, backup, noted, restore
from ingest.evidence.backup_note import note_of
from ingest.evidence.deciding import MAX_WHY_CHARS, check_who_and_why
from ingest.evidence.forgo_cli import log_decisions, log_forgo, origin_of
from ingest.evidence.fsck import Checked, Report, fsck
from ingest.evidence.trace_cli import log_trace
from ingest.options import opened_evidence, options, progress
from ingest.settings import load_roster, load_settings

MAX_LEAF = 2**53
_SHA256 = re.compile("[0-9a-f]{64}")
_ANY_BACKUP = (
    "--sha256 is not given, so an older backup, good in itself, would be taken as well; compare the SHA-256 below with"
    " the one that was noted elsewhere when the backup was made"
)
_NO_NOTE = "without a note nobody can tell what was cut off, added or altered beside the leaves that edges signed"


class LeafUnknown(Refused):
    """The origin has no leaf of that number."""


def _hex(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """A SHA-256 in hex, or none; a usage error otherwise."""
    if text and not _SHA256.fullmatch(text.lower()):
        raise click.BadParameter("it must be 64 hex digits; copy it from what the backup printed")
    return text.lower()


@click.group()
def log() -> None:
    """Check the evidence log, look into it, back it up and restore it."""


log.add_command(log_trace)


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


log.add_command(log_forgo)
log.add_command(log_decisions)


@log.command("fsck")
@options
def log_fsck(config: Path, *, as_json: bool) -> int:
    """Re-derive every root from all leaves and check every signature; exit code 5 when something is wrong.

    Where the log is a backup's file with its note beside it, the note is checked too.
    """
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    with opened_evidence(config, given) as evidence, progress("leaves checked") as done:
        report = fsck(evidence, roster, done)
    if given.postgresql is None:
        report = noted(beside(config, given.ingest.evidence), roster, report)
    show(report, _report_text(report), as_json)
    return DATA_PROBLEM if report.problem_count else 0


@log.command("show")
@options
@click.argument("origin", callback=origin_of)
@click.argument("number", metavar="LEAF", type=click.IntRange(0, MAX_LEAF))
@click.option("--raw", is_flag=True, help="Write the leaf's bytes, which its hash is of, to stdout and nothing else.")
def log_show(config: Path, origin: Origin, number: int, *, raw: bool, as_json: bool) -> None:
    """Show one leaf: what it says, its checkpoint, the next mark at or after it, and when it arrived."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
        stored, marked = evidence.leaf(origin, number), evidence.marked(origin, number + 1)
        size = evidence.head(origin).size
    if stored is None:
        raise LeafUnknown(f"{origin} has {size} leaves and no leaf {number}; see: hakari log list")
    body = inflate(stored.deflated) if stored.deflated else b""
    if raw:
        sys.stdout.buffer.write(body)
        return
    mark = "" if marked is None else marked[1].decode(errors="replace")
    leaf = decode(body) if body else None
    value = {
        "origin": str(origin),
        "leaf": number,
        "received": time_text(stored.received_ms),
        "leaf_hash": stored.leaf_hash.hex(),
        "checkpoint": stored.checkpoint.decode(errors="replace"),
        "marked_size": None if marked is None else marked[0],
        "mark": mark,
        "content": leaf,
    }
    content = json_text(leaf) if leaf is not None else "its body was forgone; see: hakari log decisions"
    head = table(("field", "value"), [(key, value[key]) for key in ("origin", "leaf", "received", "leaf_hash")])
    marks = f"mark of size {marked[0]}\n{mark}" if marked is not None else "no mark yet"
    show(value, f"{head}\n\ncheckpoint\n{value['checkpoint']}\n{marks}\n{content}", as_json)


@log.command("backup")
@options
@click.argument("file", type=click.Path(path_type=Path))
def log_backup(config: Path, file: Path, *, as_json: bool) -> None:
    """Write the whole evidence log into FILE while ingest goes on, and check every root in it.

    FILE is an evidence log file whatever holds the log: `hakari log fsck` checks it where [ingest].evidence names it.
    FILE.note beside it says under ingest's cosigning key what is in it; a restore asks for it. Write the SHA-256 down
    elsewhere.
    """
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    with progress("leaves written") as done:
        made, report = backup(config, given, roster, file, SystemClock().now().wall_ms // 1000, done)
    note = str(note_of(file))
    value = {"file": str(made.file), "note": note, "bytes": made.bytes, "sha256": made.sha256, "leaves": report.leaves}
    text = f"{report.leaves} leaves of {len(report.origins)} origins, each checked, are in {file}"
    show(value, f"{text}\n{made.bytes} bytes, SHA-256 {made.sha256}\nkeep {note} with it", as_json)


@log.command("restore")
@options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--who", required=True, help="Who restores.")
@click.option("--why", required=True, help="What happened.")
@click.option("--replace", is_flag=True, help="Move a log that is there away instead of refusing.")
@click.option("--sha256", default="", callback=_hex, help="The SHA-256 that the backup printed; any other is refused.")
@click.option("--without-note", default="", help="Why a backup is taken that has no note; kept with the decision.")
def log_restore(
    config: Path, file: Path, who: str, why: str, sha256: str, without_note: str, *, replace: bool, as_json: bool
) -> None:
    """Put the backup FILE in the place of the evidence log, after ingest, calc and API were stopped.

    FILE is checked first, against its edges' signatures and against FILE.note. What the edges sent since the backup
    comes again from their rings once ingest runs. The restore stays on record, and a log that was there stays beside
    it.
    """
    check_who_and_why(who, why)
    if len(without_note) > MAX_WHY_CHARS:
        raise click.UsageError(f"--without-note has at most {MAX_WHY_CHARS} characters; shorten it")
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    wanted = Restoring(who, why, SystemClock().now().wall_ms, replace, sha256, without_note.strip())
    if not sha256:
        click.echo(f"WARNING: {_ANY_BACKUP}", err=True)
    if without_note:
        click.echo(f"WARNING: {_NO_NOTE}", err=True)
    with progress("leaves written") as done:
        made = restore(config, given, roster, file, wanted, done)
    value = {"file": str(file), "sha256": made.copied.sha256, "leaves": made.leaves, "moved_to": made.moved_to,
             "vouched": made.vouched}  # fmt: skip
    moved = f"\nwhat was there is now {made.moved_to}" if made.moved_to else ""
    vouched = f"as {made.vouched} signed" if made.vouched else "WITHOUT A NOTE"
    text = f"{made.leaves} leaves restored from {file}, SHA-256 {made.copied.sha256}, {vouched}{moved}"
    show(value, text, as_json)


def _report_text(report: Report) -> str:
    rows = [(c.origin, c.leaves, c.root[:16], _state(c), c.problems) for c in report.origins]
    parts = [table(("origin", "leaves", "root", "state", "problems"), rows, right=(1, 4))]
    forgone = [(c.origin, str(one)) for c in report.origins for one in c.forgone]
    if forgone:
        parts.append(table(("origin", "without bodies"), forgone))
    if report.problems:
        found = [(p.origin, "head" if p.leaf is None else p.leaf, p.text) for p in report.problems]
        parts.append(table(("origin", "leaf", "problem"), found))
    verdict = f"{report.problem_count} PROBLEMS" if report.problem_count else "every leaf is what its edge signed"
    vouched = f"every row is that of the backup that {report.vouched} signed for\n" if report.vouched else ""
    unsigned = f"{vouched}signed by no edge: {report.unsigned}"
    return "\n\n".join([*parts, f"{report.leaves} leaves of {len(report.origins)} origins: {verdict}\n{unsigned}"])


def _state(checked: Checked) -> str:
    hashes = [f"{checked.bodiless} by hash alone"] if checked.bodiless else []
    return ", ".join([*hashes, *["FROZEN"] * checked.frozen, "approved" if checked.approved else "not approved"])
