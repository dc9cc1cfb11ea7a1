"""`hakari import`: manual readings, invoices and files into a log of ingest's own, with who, why and hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import click

from hakari.cli.output import printable, show, table
from hakari.errors import DATA_PROBLEM, BadConfiguration, Refused
from hakari.names import point_id
from hakari.period import time_text
from hakari.settings import beside
from hakari.store.evidence import EvidenceLog
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.opened import open_evidence
from ingest.settings import Settings, load_roster, load_settings
from ingest.sources.mapping import Mapping, read_mapping, unit_notes
from ingest.sources.own_log import Taken, Taking
from ingest.sources.port import GivenReading, Message, Parsed
from ingest.sources.table import TableParser
from ingest.sources.table_lines import MAX_FILE_BYTES
from ingest.sources.thread import opened_log

SOURCE = "import"
MAX_SHOWN = 50
MAX_WHO_CHARS = 200
MAX_WHY_CHARS = 1000
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
READ_BYTES = 1024 * 1024

_VALUE = re.compile(r"([a-z0-9_]{1,40})/([a-z0-9_]{1,40})=([^@]{1,60})@(.{1,40})")


class ImportRefused(Refused):
    """What was asked for contradicts the mapping's origin."""


class FileUnreadable(BadConfiguration):
    """A file that was named cannot be read."""


class _Asked(NamedTuple):
    """Who asks why, for what."""

    file: Path | None
    values: Sequence[str]
    document: Path | None
    who: str
    why: str


@click.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--mapping", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The mapping file.")
@click.option("--log", "log_id", required=True, metavar="ID", help="The [[own_log]] to write into.")
@click.option("--who", required=True, metavar="NAME", help="Who imports it; stands in the signed log.")
@click.option("--why", required=True, metavar="TEXT", help="Why, and where it comes from; stands in the signed log.")
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="METER/POINT=VALUE@TIME",
    help="A typed value, as in main/energy=1234.5@2026-05-01T00:00:00+07:00; may be given more than once.",
)
@click.option(
    "--document",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The invoice or photograph that the values were read from; its SHA-256 stands in the signed log.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be taken.")
@click.option("--config", default="ingest.toml", show_default=True, type=click.Path(path_type=Path), help="Settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(  # noqa: PLR0913 - one option a part of the record
    *,
    file: Path | None,
    mapping: Path,
    log_id: str,
    who: str,
    why: str,
    values: tuple[str, ...],
    document: Path | None,
    dry_run: bool,
    config: Path,
    as_json: bool,
) -> int:
    """Import readings from a file, or values that a person read.

    They go as signed leaves into a log of ingest's own, with the origin that the mapping says: "imported" for files
    of a device, "declared" for what people read or an invoice says. A monitoring plan must allow an origin before it
    credits.
    A value counts once for its point and time; another one for the same is refused. May run beside ingest.
    Exit code 5 when something was refused.
    """
    asked = _Asked(file, values, document, who.strip(), why.strip())
    _check(asked)
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    mapped = read_mapping(mapping, log_id)
    now_ms = time.time_ns() // 1_000_000
    taking = _taking(asked, mapped, now_ms)
    with ExitStack() as opened:
        evidence = opened.enter_context(_evidence(config, given, dry_run=dry_run))
        own = opened.enter_context(closing(opened_log(config, given, log_id, evidence, roster)))
        (taken,) = own.preview([taking], now_ms) if dry_run else own.take([taking], now_ms)
        place = "" if own.origin is None else str(own.origin)
    _say(log_id, (taking, taken, unit_notes(mapped)), place, dry_run=dry_run, as_json=as_json)
    return DATA_PROBLEM if taken.refused else 0


def _evidence(config: Path, given: Settings, *, dry_run: bool) -> AbstractContextManager[EvidenceLog]:
    """The evidence log; of a dry run before there is any, an empty one in memory."""
    if dry_run and given.postgresql is None and not beside(config, given.ingest.evidence).exists():
        return closing(SqliteEvidenceLog(":memory:"))
    return closing(open_evidence(config, given.ingest.evidence, given.postgresql, read_only=dry_run))


def _check(asked: _Asked) -> None:
    if (asked.file is None) == (not asked.values):
        raise click.UsageError("give either a FILE or values by --value, not both")
    for name, text, limit in (("--who", asked.who, MAX_WHO_CHARS), ("--why", asked.why, MAX_WHY_CHARS)):
        if not text or len(text) > limit or not text.isprintable():
            raise click.UsageError(f"{name} must be one line of 1 to {limit} characters")


def _taking(asked: _Asked, mapped: Mapping, now_ms: int) -> Taking:
    """What to take, with the words of its event. Errors: ImportRefused, FileUnreadable, click.UsageError."""
    if (asked.values or asked.document) and mapped.file.origin != "declared":
        raise ImportRefused(
            f'the mapping\'s origin is "{mapped.file.origin}", and what a person read or an invoice says is declared;'
            ' use a mapping with origin = "declared", whose meters are other ones'
        )
    told = {"way": "person", "who": asked.who, "why": asked.why, "mapping": mapped.sha256}
    if asked.document is not None:
        told |= {"document": asked.document.name[:MAX_WHO_CHARS], "document_sha256": _sha256(asked.document)}
    if asked.file is None:
        message = Message(SOURCE, "typed values", "\n".join([*asked.values, ""]).encode())
        return Taking(mapped.declared, message, Parsed([_typed(one) for one in asked.values], []), told)
    message = Message(SOURCE, asked.file.name, _content(asked.file))
    return Taking(mapped.declared, message, TableParser(mapped).parse(message, now_ms), told)


def _typed(text: str) -> GivenReading:
    found = _VALUE.fullmatch(text)
    if found is None:
        raise click.UsageError(f"--value {text[:120]!r} is not METER/POINT=VALUE@TIME")
    meter, point, value, when = found.groups()
    try:
        at = dt.datetime.fromisoformat(when)
    except ValueError as error:
        raise click.UsageError(
            f"--value {text[:120]!r}: {when!r} is no time such as 2026-05-01T00:00:00+07:00"
        ) from error
    if at.tzinfo is None:
        raise click.UsageError(f"--value {text[:120]!r}: the time has no offset; write one, as in +07:00")
    t_ms = (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    return GivenReading(meter, point, t_ms, value, f"value {text[:120]}")


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FileUnreadable(f"file {file} cannot be read: {error.strerror}; check the path") from error


def _sha256(file: Path) -> str:
    digest, length = hashlib.sha256(), 0
    try:
        with file.open("rb") as opened:
            while piece := opened.read(READ_BYTES):
                digest.update(piece)
                length += len(piece)
                if length > MAX_DOCUMENT_BYTES:
                    raise FileUnreadable(
                        f"document {file} has more than {MAX_DOCUMENT_BYTES} bytes; give a smaller one"
                    )
    except OSError as error:
        raise FileUnreadable(f"document {file} cannot be read: {error.strerror}; check the path") from error
    return digest.hexdigest()


def _say(log_id: str, of: tuple[Taking, Taken, list[str]], place: str, *, dry_run: bool, as_json: bool) -> None:
    taking, taken, notes = of
    readings, declared = taking.parsed.readings, taking.declared
    outcomes = ("",) * len(readings) if taken.again else taken.outcomes
    rows = [
        (point_id(log_id, one.meter, one.point), _time(one.t_ms), one.value, _unit(taking, one), outcome)
        for one, outcome in zip(readings[:MAX_SHOWN], outcomes, strict=False)
    ]
    lines = [table(("point", "time (UTC)", "value", "unit", "what becomes of it"), rows, right=(2,))] if rows else []
    lines += [f"and {len(readings) - MAX_SHOWN} more values"] if len(readings) > MAX_SHOWN else []
    lines += [f"note: {printable(one)}" for one in notes]
    lines += [f"refused: {printable(one)}" for one in taken.refused[:MAX_SHOWN]]
    lines += [f"refused: {len(taken.refused) - MAX_SHOWN} more"] if len(taken.refused) > MAX_SHOWN else []
    lines += ["this very file was imported before with this mapping; nothing counts again"] if taken.again else []
    done = "would be taken" if dry_run else "taken"
    where = f" into {place}" if place and taken.new else ""
    counts = f"{taken.duplicates} known, {len(taken.refused)} refused"
    lines.append(f"{taken.new} new values {done}{where} as {declared.origin}, {counts}")
    value = {
        "log": log_id,
        "origin": place,
        "kind": declared.origin,
        "dry_run": dry_run,
        "sha256": hashlib.sha256(taking.message.payload).hexdigest(),
        **taken._asdict(),
        "notes": notes,
    }
    show(value, "\n".join(lines), as_json)


def _time(t_ms: int) -> str:
    try:
        return time_text(t_ms)
    except (ValueError, OverflowError, OSError):
        return f"{t_ms} ms"


def _unit(taking: Taking, one: GivenReading) -> str:
    point = taking.declared.points.get((one.meter, one.point))
    return "" if point is None else point.unit
