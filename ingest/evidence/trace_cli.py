"""`hakari log trace`: one leaf from its arrival to the readings that the view has of it, by the id that logs bear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from hakari.cli.output import printable, show, table
from hakari.errors import DATA_PROBLEM, DataProblem, Refused
from hakari.log.mark import MarkInvalid, open_mark
from hakari.log.note import VerifierKey
from hakari.log.tree import MAX_SIZE
from hakari.names import MAX_EPOCH, BadName, Origin, check_edge_id
from hakari.period import time_text
from hakari.quality import Quality
from hakari.store.configurations import LoggedConfigurations
from hakari.store.days import value_of
from hakari.store.evidence import EvidenceLog, StoredLeaf
from hakari.store.view import ReadingsView
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from hakari.wire.rows import Place, Row, derive
from ingest.options import opened_evidence, opened_view, options
from ingest.settings import load_roster, load_settings


class TraceUnknown(Refused):
    """There is no such leaf."""


class Reading(NamedTuple):
    """One reading of the leaf; `in_view` is whether the view has exactly it."""

    point: str
    slot: str
    value: str
    quality: str
    reason: str
    in_view: bool


class Traced(NamedTuple):
    """What is known of one leaf. `acknowledged` is the time in the first mark that covers it, "" without one."""

    trace: str
    origin: str
    received: str
    acknowledged: str
    in_view: bool
    readings: list[Reading]
    refused: list[str]


@click.command("trace")
@options
@click.argument("trace", metavar="EDGE/EPOCH/LEAF")
def log_trace(config: Path, trace: str, *, as_json: bool) -> int:
    """Follow one leaf: received, acknowledged, and each of its readings in the view.

    EDGE/EPOCH/LEAF is the trace that log lines bear, and what every reading has as its evidence. Ends with 5 where the
    view, being that far, lacks a reading or has another one.
    """
    given = load_settings(config, os.environ)
    keys = load_roster(config, given.ingest).cosigner_keys()
    origin, i = _place(given.ingest.namespace, trace)
    with opened_evidence(config, given) as evidence, opened_view(config, given, read_only=True) as view:
        found = _traced(evidence, view, keys, (origin, i))
    show(found, _text(found), as_json)
    return DATA_PROBLEM if found.in_view and not all(one.in_view for one in found.readings) else 0


def _place(namespace: str, trace: str) -> tuple[Origin, int]:
    edge_id, _, place = trace.partition("/")
    epoch, _, i = place.partition("/")
    try:
        check_edge_id(edge_id)
    except BadName as error:
        raise TraceUnknown(f"{trace[:120]!r} is not EDGE/EPOCH/LEAF: {error}") from error
    if not (_number(epoch, MAX_EPOCH) and _number(i, MAX_SIZE)):
        raise TraceUnknown(f"{trace[:120]!r} is not EDGE/EPOCH/LEAF such as sola-e1/1467356400/12")
    return Origin(namespace, edge_id, int(epoch)), int(i)


def _number(text: str, limit: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(limit)) and int(text) <= limit


def _traced(evidence: EvidenceLog, view: ReadingsView, keys: list[VerifierKey], place: tuple[Origin, int]) -> Traced:
    origin, i = place
    stored = evidence.leaf(origin, i)
    if stored is None:
        raise TraceUnknown(f"{origin} has no leaf {i}; it has {evidence.head(origin).size}: hakari log list")
    marked = evidence.marked(origin, i + 1)
    rows, refused = _derived(evidence, origin, stored)
    in_view = view.cursor(origin.edge_id, origin.epoch) > i
    return Traced(
        trace=f"{origin.edge_id}/{origin.epoch}/{i}",
        origin=str(origin),
        received=time_text(stored.received_ms),
        acknowledged="" if marked is None else _marked_at(marked[1], keys),
        in_view=in_view,
        readings=[_reading(row, view) for row in rows],
        refused=refused,
    )


def _marked_at(mark: bytes, keys: list[VerifierKey]) -> str:
    try:
        return time_text(open_mark(mark, keys).time_s * 1000)
    except MarkInvalid:
        # Signed by a cosigner that the roster has no longer: fsck and verify say more.
        return ""


def _derived(evidence: EvidenceLog, origin: Origin, stored: StoredLeaf) -> tuple[list[Row], list[str]]:
    if not stored.deflated:
        return [], ["nobody has its body any more; its hash alone is in the log"]
    try:
        leaf = decode(inflate(stored.deflated))
        configurations = LoggedConfigurations(evidence).needed(origin, stored.i, leaf)
        derived = derive(Place(origin.edge_id, origin.epoch, stored.i), leaf, configurations)
    except DataProblem as error:
        return [], [str(error)]
    return derived.rows, derived.refusals


def _reading(row: Row, view: ReadingsView) -> Reading:
    value = value_of(row.type, row.raw, row.exponent) if row.quality != Quality.BAD else None
    return Reading(
        row.point,
        time_text(row.t_ms),
        "" if value is None else f"{value:f}",
        Quality(row.quality).name,
        row.reason,
        row in set(view.read(row.point, row.t_ms, row.t_ms + 1)),
    )


def _text(found: Traced) -> str:
    head = [
        ("trace", found.trace),
        ("received", found.received),
        ("acknowledged", found.acknowledged or "not yet"),
        ("view", "has come to it" if found.in_view else "has not come to it yet"),
    ]
    parts = [table(("leaf", found.origin), head), *_readings(found)]
    return "\n\n".join([*parts, *(f"refused: {printable(one)}" for one in found.refused)])


def _readings(found: Traced) -> Iterator[str]:
    if found.readings:
        rows = [(*one[:5], "yes" if one.in_view else "NO") for one in found.readings]
        yield table(("point", "slot", "value", "quality", "reason", "in the view"), rows, right=(2,))
