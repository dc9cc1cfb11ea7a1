"""`hakari quarantine`: look at what could not be taken, release it or discard it, each with a record."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import click
import msgspec

from hakari.cli.output import printable, show, table
from hakari.errors import Refused
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.period import time_text
from hakari.settings import beside
from hakari.store.evidence import (
    DISCARD_WANTED,
    DISCARDED,
    KEPT,
    RELEASE_WANTED,
    RELEASED,
    Decision,
    EvidenceLog,
    Quarantined,
    QuarantineTotal,
)
from ingest.evidence.deciding import check_who_and_why
from ingest.evidence.quarantine import discard, entry_of, in_log_now, release, take_message
from ingest.options import opened_evidence, options
from ingest.receive.protocol import Receiver
from ingest.settings import Settings, load_roster, load_settings

MAX_LISTED = 10_000
MAX_AT_ONCE = 1000
HEX_BYTES_A_LINE = 16
SHOWN_KINDS = (RELEASED, DISCARDED, KEPT, RELEASE_WANTED, DISCARD_WANTED)

_IN_LOG = {None: "", True: "in the log", False: "not in the log"}

F = TypeVar("F", bound=Callable[..., object])


class SomeUndecided(Refused):
    """At least one of several messages stays as it is."""


class _Decided(NamedTuple):
    """The decisions that were made, and why not for the other messages."""

    made: list[Decision]
    failed: dict[int, str]


@click.group()
def quarantine() -> None:
    """Look at what could not be taken, release or discard it."""


@quarantine.command("list")
@options
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, MAX_LISTED))
@click.option("--source", default="", help="Only those whose source holds this text.")
@click.option("--reason", default="", help="Only those whose reason holds this text.")
def quarantine_list(config: Path, limit: int, source: str, reason: str, *, as_json: bool) -> None:
    """List quarantined messages, the newest first."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
        entries, total = evidence.quarantined(MAX_LISTED if source or reason else limit), evidence.quarantine_total()
    entries = [e for e in entries if source in e.source and reason in e.reason][:limit]
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
        entry = entry_of(evidence, entry_id)
        decisions = evidence.decisions(subject=str(entry_id))
    if raw:
        sys.stdout.buffer.write(entry.payload)
        return
    head = table(("field", "value"), list(_summary(entry).items()))
    value = {
        **_summary(entry),
        "payload": msgspec.to_builtins(entry.payload),
        "decisions": [one._asdict() for one in decisions],
    }
    parts = [head, _dump(entry.payload), *([_decisions(decisions)] if decisions else [])]
    show(value, "\n\n".join(parts), as_json)


@quarantine.command("records")
@options
def quarantine_records(config: Path, *, as_json: bool) -> None:
    """Show every release and discard: who, when, why, what came of it then, and whether the leaf is in the log now."""
    with opened_evidence(config, load_settings(config, os.environ)) as evidence:
        found = [(one, in_log_now(evidence, one)) for one in evidence.decisions() if one.kind in SHOWN_KINDS]
    value = [one._asdict() | ({} if there is None else {"in_log_now": there}) for one, there in found]
    text = _decisions([one for one, _ in found], [_IN_LOG[there] for _, there in found])
    show({"records": value}, text, as_json)


def _deciding(command: F) -> F:
    command = click.option("--why", required=True, help="The reason; kept with the record.")(command)
    command = click.option("--who", required=True, help="The person who decides; kept with the record.")(command)
    command = click.argument("entry_ids", metavar="ID...", type=int, nargs=-1, required=True)(command)
    return options(command)


@quarantine.command("release")
@_deciding
def quarantine_release(config: Path, entry_ids: tuple[int, ...], who: str, why: str, *, as_json: bool) -> None:
    """Take messages as if they came now, once what stood against them was mended; ingest may go on running.

    Each is taken by the rules for any message. One that still cannot be taken stays; the others are taken all the
    same, and the command ends with 6.
    """
    check_who_and_why(who, why)
    given = load_settings(config, os.environ)
    with opened_evidence(config, given, read_only=False) as evidence:
        take = take_message(_receiver(config, given, evidence))
        decided = _each(entry_ids, lambda one: release(evidence, one, take, who, why, _now_ms()))
    _show_decided(decided, as_json)


@quarantine.command("discard")
@_deciding
def quarantine_discard(config: Path, entry_ids: tuple[int, ...], who: str, why: str, *, as_json: bool) -> None:
    """Delete messages that are of no use; hash, source, reason, who and why stay on record.

    The others are deleted where one is not there, and the command ends with 6.
    """
    check_who_and_why(who, why)
    with opened_evidence(config, load_settings(config, os.environ), read_only=False) as evidence:
        decided = _each(entry_ids, lambda one: discard(evidence, one, who, why, _now_ms()))
    _show_decided(decided, as_json)


def _receiver(config: Path, given: Settings, evidence: EvidenceLog) -> Receiver:
    roster = load_roster(config, given.ingest)
    key = load(beside(config, given.ingest.cosigner_key_file))
    return Receiver(evidence, roster, Cosigner(given.ingest.cosigner_name, key))


def _each(entry_ids: tuple[int, ...], decide: Callable[[int], Decision]) -> _Decided:
    """What came of every message, each by itself."""
    if len(entry_ids) > MAX_AT_ONCE:
        raise click.UsageError(f"{len(entry_ids)} messages at once, limit {MAX_AT_ONCE}; give fewer")
    decided = _Decided([], {})
    for one in dict.fromkeys(entry_ids):
        try:
            decided.made.append(decide(one))
        except Refused as error:
            decided.failed[one] = str(error)
    return decided


def _show_decided(decided: _Decided, as_json: bool) -> None:
    """Shows what was decided; SomeUndecided where a message stays."""
    failed = [{"message": one, "error": why} for one, why in decided.failed.items()]
    show({"records": [one._asdict() for one in decided.made], "failed": failed}, _decisions(decided.made), as_json)
    if failed:
        of = len(decided.made) + len(failed)
        raise SomeUndecided(f"{len(failed)} of {of} messages stay as they are: {'; '.join(decided.failed.values())}")


def _decisions(decisions: list[Decision], now: list[str] | None = None) -> str:
    """A table of them, with what is `now` of each in a last column."""
    rows = [
        (time_text(one.at_ms), one.kind, one.subject, one.who, one.why, _outcome(one.detail), *there)
        for one, there in zip(decisions, [(text,) for text in now] if now else [()] * len(decisions), strict=True)
    ]
    head = ("at", "decision", "message", "who", "why", "outcome", *(("now",) if now else ()))
    return table(head, rows, right=(2,))


def _outcome(detail: str) -> str:
    return printable(json.loads(detail).get("outcome", "")) if detail else ""


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


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
