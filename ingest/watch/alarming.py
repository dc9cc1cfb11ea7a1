"""From a minute's health, the contextual checks and what stands around ingest to alarms, kept and told.

Guaranteed: a meter behind a silent edge, or in a view that cannot be read, is not judged: what stood, stands. One dead
uplink is one alarm. Nothing here waits for a receiver.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hakari.checks import clock_wrong
from hakari.names import edge_id_of_batch_topic
from hakari.store.evidence import EvidenceLog, Quarantined
from hakari.store.operations import AlarmPoint, EdgeHealth, MeterHealth, PointHealth
from ingest.receive.protocol import KEY_ENDED
from ingest.view.feed import FedLeaf
from ingest.watch.alarm_store import AlarmStore, Message
from ingest.watch.alarms import KINDS, Alarm, Change, Subject, sentence
from ingest.watch.contextual import Contextual
from ingest.watch.health import NEVER_ANY, NOTHING, EdgeStanding

OUTBOX_LIMIT_S = 3600.0
BEHIND_LEAVES = 10
CERTIFICATE_DAYS = 30.0
NEW_QUARANTINED = 100
KEY_WORDS = ("the roster has no key", "signature")
EVENTS = ("quarantine", "key-refused", "key-ended", "refused", "future", "before-commissioning", "out-of-range")
OF_TIME = ("edge-silent", "meter-silent", "register-silent", "outbox-old")
# About ingest as a whole: one worker alone judges them.
OF_ALL = ("quarantine", "key-refused", "disk", "view-away")
BY_EVIDENCE = ("key-ended", "edge-silent", "edge-frozen", "epoch-unapproved", "view-behind")

_log = logging.getLogger("hakari.ingest.alarms")

Tell = Callable[[Sequence[Change]], list[Message]]


class Minute(NamedTuple):
    """What is known of one minute: `away` says why readings cannot be judged, "" where they can."""

    now_ms: int
    points: Sequence[PointHealth]
    edges: Sequence[EdgeHealth]
    meters: Sequence[MeterHealth]
    standings: Mapping[str, EdgeStanding]
    away: str


def everything(subject: Subject) -> bool:
    """One worker raises all of them."""
    del subject
    return True


def of_worker(mine: Callable[[str], bool], *, first: bool) -> Callable[[Subject], bool]:
    """What a worker owns: alarms of edges that are `mine`, and as the `first` one those about all of ingest."""
    return lambda one: mine(one.edge_id) if one.edge_id else first or one.kind not in OF_ALL


class Alarming:
    """The alarms of one worker, in its `store`; `tell` makes the messages that webhooks get, `told` wakes the sender.

    `sources` tells which of other senders' sources do not work, "" for none.
    `folder` is on the disk of the evidence log, None where a database server keeps it. In `lockstep` the plant's time
    outruns the messages, so that nobody can be told to be late or silent. Each of several workers raises what it
    `owns`.
    """

    def __init__(
        self,
        store: AlarmStore,
        contextual: Contextual,
        tell: Tell,
        told: Callable[[], None],
        folder: Path | None,
        min_free_percent: float,
        *,
        lockstep: bool = False,
        owns: Callable[[Subject], bool] = everything,
    ) -> None:
        self.store = store
        self._owns = owns
        self.contextual = contextual
        self._tell = tell
        self._told = told
        self._folder = folder
        self.sources: Callable[[], str] = str
        self._min_free_percent = min_free_percent
        self._unjudgeable = frozenset(OF_TIME) if lockstep else frozenset[str]()
        self._alarms = store.load()
        self._quarantined: int | None = None
        self._began = False

    def watch(self, fed: Sequence[FedLeaf]) -> None:
        """Takes leaves that stand in the view now."""
        for leaf in fed:
            self.contextual.told(leaf.received_ms, leaf.rows)
            if leaf.refused:
                self.contextual.event(Subject("refused", leaf.edge_id), leaf.received_ms, leaf.refused[0])

    def minute(self, minute: Minute, evidence: EvidenceLog) -> list[AlarmPoint]:
        """Judges one minute and keeps what it changed; the alarms that stand, and those that it cleared."""
        if not self._began:
            self._began = True
            for alarm in self._alarms.raised:
                if alarm.subject.kind in EVENTS:
                    self.contextual.event(alarm.subject, minute.now_ms, alarm.detail)
        self._look_into_quarantine(evidence, minute.now_ms)
        conditions = self._conditions(minute)
        before = dict(self._alarms.standing)
        untrue = _untrue(minute)
        untold = {edge.edge_id for edge in minute.edges if edge.certificate_days is None}
        for subject in [one for one in conditions if one.kind in self._unjudgeable or not self._owns(one)]:
            del conditions[subject]
        changes = self._alarms.minute(
            minute.now_ms, conditions, lambda one: _unjudged(one, untrue, untold, away=bool(minute.away))
        )
        self.store.save(before, self._alarms, changes, self._tell(changes))
        for change in changes:
            _log.warning("alarm %s %s", "cleared" if change.cleared else "raised", sentence(change.alarm, "en"))
        if changes:
            self._told()
        cleared = [_point(change.alarm, active=0) for change in changes if change.cleared]
        return [*cleared, *(_point(alarm, active=1) for alarm in self._alarms.raised)]

    def flags(self) -> dict[str, str]:
        """The kinds of alarms that stand, by edge and by `edge/meter`."""
        return self._alarms.flags()

    def _look_into_quarantine(self, evidence: EvidenceLog, now_ms: int) -> None:
        newest = evidence.quarantined(NEW_QUARANTINED)
        before, self._quarantined = self._quarantined, max((one.id for one in newest), default=0)
        if before is None:
            return
        for one in newest:
            if one.id > before:
                self.contextual.event(_of_quarantined(one), now_ms, f"{one.source}: {one.reason}")

    def _conditions(self, minute: Minute) -> dict[Subject, str]:
        found = dict(_of_edges(minute))
        if minute.away:
            found[Subject("view-away", "")] = minute.away
        else:
            found.update(self.contextual.found(minute.now_ms))
            found.update(_of_meters(minute))
        for subject in [one for one in found if one.kind in ("counter-still", "power-energy")]:
            if Subject("meter-frozen", subject.name) in found:
                del found[subject]
        if stopped := self.sources():
            found[Subject("source-stopped", "")] = stopped
        behind = sum(edge.view_behind for edge in minute.edges)
        if behind > BEHIND_LEAVES:
            found[Subject("view-behind", "")] = f"{behind} leaves are stored and not yet in the view"
        if self._folder is not None:
            disk = shutil.disk_usage(self._folder)
            free_percent = 100 * disk.free / disk.total
            if free_percent < self._min_free_percent:
                found[Subject("disk", "")] = (
                    f"{disk.free // 1_000_000} MB free, {free_percent:.1f} %, limit {self._min_free_percent:g} %"
                )
        return found


def _untrue(minute: Minute) -> set[str]:
    """Edges of whose meters the view cannot show how they are.

    They are silent, hold their samples until they know the time, or what they sent is not in the view yet.
    """
    return {
        edge.edge_id
        for edge in minute.edges
        if edge.age_s >= edge.limit_s
        or edge.state == "never"
        or edge.view_behind > 0
        or minute.standings[edge.edge_id].waits
    }


def _of_quarantined(one: Quarantined) -> Subject:
    """An ended key is an alarm of its own, for its edge; the others are told together."""
    if KEY_ENDED in one.reason:
        return Subject("key-ended", edge_id_of_batch_topic(one.source) or "")
    return Subject("key-refused" if any(word in one.reason for word in KEY_WORDS) else "quarantine", "")


def _unjudged(subject: Subject, untrue: set[str], untold: set[str], *, away: bool) -> bool:
    if subject.kind == "certificate":
        return subject.edge_id in untold
    if not subject.edge_id or subject.kind in BY_EVIDENCE:
        return False
    return away or subject.edge_id in untrue


def _of_edges(minute: Minute) -> dict[Subject, str]:
    """What the evidence log says of the edges, also while the view is away."""
    found: dict[Subject, str] = {}
    for edge in minute.edges:
        standing = minute.standings[edge.edge_id]
        late = edge.age_s >= edge.limit_s
        if edge.state == "silent" or (edge.state == "never" and late):
            found[Subject("edge-silent", edge.edge_id)] = f"limit {edge.limit_s:g} s"
        if edge.frozen:
            found[Subject("edge-frozen", edge.edge_id)] = ""
        if edge.epochs_unapproved:
            found[Subject("epoch-unapproved", edge.edge_id)] = f"{edge.epochs_unapproved} of them"
        limit_s = max(OUTBOX_LIMIT_S, edge.limit_s)
        if edge.outbox_age_s is not None and edge.outbox_age_s >= limit_s and edge.state == "ok":
            found[Subject("outbox-old", edge.edge_id)] = (
                f"its newest leaf came {edge.outbox_age_s:.0f} s after it was cut"
            )
        if edge.certificate_days is not None and edge.certificate_days < CERTIFICATE_DAYS:
            found[Subject("certificate", edge.edge_id)] = (
                f"{edge.certificate_days:.1f} days, limit {CERTIFICATE_DAYS:g}"
            )
        if not late and standing.waits:
            found[Subject("time-unknown", edge.edge_id)] = (
                "it is there and samples; it sends them dated once ingest's marks or NTP tell it the time"
            )
        elif (
            not late
            and standing.offset_ms is not None
            and (why := clock_wrong(standing.sync_state, standing.offset_ms))
        ):
            found[Subject("clock", edge.edge_id)] = why
    return found


def _of_meters(minute: Minute) -> dict[Subject, str]:
    """What the readings of meters say whose edge is there."""
    found: dict[Subject, str] = {}
    silent: set[str] = set()
    untrue = _untrue(minute)
    for meter in minute.meters:
        name = f"{meter.edge_id}/{meter.meter}"
        if meter.meter == NOTHING or meter.edge_id in untrue:
            continue
        if meter.age_alarm_s >= meter.limit_s:
            silent.add(name)
            found[Subject("meter-silent", name)] = f"no good reading, limit {meter.limit_s:g} s"
        if meter.frozen:
            found[Subject("meter-frozen", name)] = "a mains voltage or frequency among its words"
    for point in minute.points:
        name = f"{point.edge_id}/{point.meter}"
        if point.edge_id in untrue:
            continue
        stale = point.kind == "counter" and point.age_alarm_s >= point.limit_s and point.quality < NEVER_ANY
        if stale and name not in silent:
            found[Subject("register-silent", name)] = f"{point.point}: limit {point.limit_s:g} s"
    return found


def _point(alarm: Alarm, active: int) -> AlarmPoint:
    subject = alarm.subject
    return AlarmPoint(
        subject.kind, KINDS[subject.kind].severity, subject.edge_id, subject.meter, subject.name, active, alarm.id,
        alarm.raised_ms or 0, alarm.detail, sentence(alarm, "en"), sentence(alarm, "ja"),
    )  # fmt: skip
