"""`hakari ingest alarms` and `hakari ingest meters`: what stands, and each meter's last day; no ingest need run."""

from __future__ import annotations

import os
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from hakari.cli.output import show, table
from hakari.period import time_text
from hakari.settings import beside
from ingest.options import opened_evidence, opened_view, options
from ingest.settings import IngestSettingsInvalid, Settings, load_roster, load_settings
from ingest.watch.alarm_store import AlarmStore
from ingest.watch.alarms import KINDS, Alarm, sentence
from ingest.watch.day import MeterDay, meter_days

MAX_HISTORY = 1000


@click.command("alarms")
@options
@click.option("--history", default=0, show_default=True, type=click.IntRange(0, MAX_HISTORY), help="Last changes too.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "ja"]), help="Of the sentences.")
def alarms(config: Path, history: int, language: str, *, as_json: bool) -> None:
    """List the alarms that stand, the oldest first, and how many messages webhooks have not taken."""
    given = load_settings(config, os.environ)
    if not given.alarms.file:
        raise IngestSettingsInvalid(f"{config}: [alarms].file is empty, so nothing is alarmed; name a file")
    file = beside(config, given.alarms.file)
    if not file.exists():
        show({"alarms": [], "history": [], "owed": 0, "given_up": 0}, "no alarm was ever judged", as_json)
        return
    with closing(AlarmStore(file, read_only=True)) as store:
        raised, owed, dropped = store.load().raised, store.owed_count(), store.dropped
        changes = store.history(history)
    value = {
        "alarms": [_alarm(one, language) for one in raised],
        "history": [
            {
                "number": one.id,
                "at": time_text(one.at_ms),
                "change": "cleared" if one.cleared else "raised",
                "kind": one.subject.kind,
                "subject": one.subject.name,
                "detail": one.detail,
            }
            for one in changes
        ],
        "owed": owed,
        "given_up": dropped,
    }
    rows = [
        (
            one.id,
            time_text(one.raised_ms or 0),
            KINDS[one.subject.kind].severity,
            one.subject.kind,
            sentence(one, language),
        )
        for one in raised
    ]
    parts = [table(("number", "raised", "severity", "kind", "what"), rows, right=(0,)) if rows else "no alarm stands"]
    if changes:
        told = [
            (
                one.id,
                time_text(one.at_ms),
                "cleared" if one.cleared else "raised",
                one.subject.kind,
                one.subject.name,
                one.detail,
            )
            for one in changes
        ]
        parts.append(table(("number", "at", "change", "kind", "subject", "detail"), told, right=(0,)))
    if owed or dropped:
        parts.append(f"webhooks: {owed} messages wait, {dropped} were given up")
    show(value, "\n\n".join(parts), as_json)


def _alarm(alarm: Alarm, language: str) -> dict[str, object]:
    return {
        "number": alarm.id,
        "raised": time_text(alarm.raised_ms or 0),
        "severity": KINDS[alarm.subject.kind].severity,
        "kind": alarm.subject.kind,
        "edge": alarm.subject.edge_id,
        "meter": alarm.subject.meter,
        "subject": alarm.subject.name,
        "detail": alarm.detail,
        "sentence": sentence(alarm, language),
    }


@click.command("meters")
@options
@click.option("--edge", "edge_id", default="", help="Of this edge alone.")
@click.option("--at", "at", default="", help="At this time, as in 2026-04-01T00:00:00Z, instead of now.")
def meters(config: Path, edge_id: str, at: str, *, as_json: bool) -> None:
    """Show each meter's last 24 hours: expected, received, good, late and refused readings, why, and what stands."""
    given = load_settings(config, os.environ)
    roster = load_roster(config, given.ingest)
    now_ms = _ms(at) if at else round(time.time() * 1000)
    flags = _flags(config, given)
    with opened_evidence(config, given) as evidence, opened_view(config, given, read_only=True) as view:
        found = meter_days(evidence, view, roster, now_ms, flags, lambda one: edge_id in ("", one))
    head = ("edge", "meter", "state", "age s", "24 h", "expected", "received", "good", "late", "refused", "alarms")
    rows = [
        (
            h.edge_id, h.meter, h.state, f"{h.age_s:.0f}", f"{h.completeness_24h:.1%}", one.expected, one.received,
            one.good, one.late, one.refused, h.flags or "",
        )
        for one in found
        for h in [one.health]
    ]  # fmt: skip
    why = [(one.health.edge_id, one.health.meter, count, text) for one in found for text, count in one.reasons]
    parts = [table(head, rows, right=(3, 4, 5, 6, 7, 8, 9))]
    if why:
        parts.append(table(("edge", "meter", "times", "not good or refused because"), why, right=(2,)))
    show({"at": time_text(now_ms), "meters": [_meter(one) for one in found]}, "\n\n".join(parts), as_json)


def _meter(day: MeterDay) -> dict[str, object]:
    return {
        **day.health._asdict(),
        "flags": (day.health.flags or "").split(),
        "expected": day.expected,
        "received": day.received,
        "good": day.good,
        "late": day.late,
        "refused": day.refused,
        "reasons": dict(day.reasons),
        "last_slot": None if day.last_slot_ms is None else time_text(day.last_slot_ms),
    }


def _flags(config: Path, given: Settings) -> dict[str, str]:
    """The kinds of alarms that stand, by meter."""
    file = beside(config, given.alarms.file)
    if not given.alarms.file or not file.exists():
        return {}
    with closing(AlarmStore(file, read_only=True)) as store:
        return store.load().flags()


def _ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"--at {text[:60]!r} is no time; write one such as 2026-04-01T00:00:00Z") from error
