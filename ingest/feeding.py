"""Feeding the readings view and writing operators' health, beside the loop that receives: nothing here delays a mark.

Guaranteed: while the view cannot be reached nothing is dropped, it is said once, and tried again; any other error ends
it. What the view lost, as by a bucket that was deleted and made again, is fed again without a restart.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from hakari.store.operations import OperationsView
from hakari.store.view import ReadingsView, ViewUnavailable
from ingest.feed import FedLeaf, Feeder
from ingest.health import MINUTE_MS, EdgeStanding, Tracker
from ingest.standing import Standings, recover

FEED_STEPS = 4
ROUND_S = 0.5
RECOVER_AT_ONCE = 20
IDLE_S = 1.0
SWEEP_S = 60.0
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0
MAX_ASKED_RETRY_S = 600.0
FEED_ON_STOP_S = 5.0
MAX_MINUTES = 600
CLOSE_AFTER_MS = 48 * 3_600_000
CLOSE_EVERY_MS = 6 * 3_600_000

_log = logging.getLogger("hakari.ingest")


class Outage:
    """Whether `what` may be tried now.

    It says once that it cannot be reached, again when the reason changes, and when it is back.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._reason = ""
        self._again_s = 0.0
        self._delay_s = FIRST_RETRY_S

    @property
    def reason(self) -> str:
        """Why the last try failed, "" where it did not."""
        return self._reason

    @property
    def stands(self) -> bool:
        """Whether the last try failed."""
        return bool(self._reason)

    def wait_s(self, now_s: float) -> float:
        """How long to wait before the next try, 0 for not at all."""
        return max(0.0, self._again_s - now_s) if self._reason else 0.0

    def failed(self, error: ViewUnavailable, now_s: float) -> None:
        """A try failed."""
        asked_s = error.retry_after_s
        delay_s = self._delay_s if asked_s is None else min(max(asked_s, FIRST_RETRY_S), MAX_ASKED_RETRY_S)
        self._delay_s = min(2 * self._delay_s, MAX_RETRY_S)
        self._again_s = now_s + delay_s
        if str(error) != self._reason:
            self._reason = str(error)
            _log.error("%s must wait, and is tried again by itself: %s", self._what, error)

    def worked(self) -> bool:
        """A try went well; whether that ended an outage."""
        ended, self._reason, self._delay_s = bool(self._reason), "", FIRST_RETRY_S
        if ended:
            _log.warning("%s goes on: it can be reached again", self._what)
        return ended


class Health:
    """The minutes of operators' health: what to write, from a tracker that every fed leaf is told to."""

    def __init__(self, operations: OperationsView, roster: Roster) -> None:
        self.operations = operations
        self.roster = roster
        self._tracker = Tracker()
        self._standings: Standings | None = None

    def watch(self, fed: list[FedLeaf]) -> None:
        """Takes leaves that stand in the view now."""
        for leaf in fed:
            self._tracker.told(leaf.received_ms, leaf.rows)

    def write(self, evidence: EvidenceLog, view: ReadingsView, feeder: Feeder, now_ms: int, began_ms: int) -> bool:
        """Writes the health at `now_ms`, as its minute; False where more points must be recovered first."""
        if self._standings is None:
            self._standings = Standings(evidence, feeder.known)
        standings = self._standings.of(self.roster, feeder.cursors)
        unknown = self._tracker.unknown(standings)
        for point, interval_ms in unknown[:RECOVER_AT_ONCE]:
            self._recover(self._standings, view, point, interval_ms, standings[_edge_of(point)])
        if len(unknown) > RECOVER_AT_ONCE:
            return False
        points, edges = self._tracker.minute(now_ms, self._standings.began_ms(began_ms), standings)
        self.operations.put_health(now_ms // MINUTE_MS * MINUTE_MS, points, edges)
        return True

    def _recover(
        self, known: Standings, view: ReadingsView, point: str, interval_ms: int, standing: EdgeStanding
    ) -> None:
        namespace, edge_id = self.roster.namespace, _edge_of(point)
        slots = (interval_ms, standing.limit_of(interval_ms))
        known_from_ms, rows = recover(
            view, lambda row: known.received_ms(row, namespace, edge_id), point, standing.last_ms or 0, slots
        )
        self._tracker.recovered(point, interval_ms, known_from_ms, rows)


def _edge_of(point: str) -> str:
    return point.split("/", 1)[0]


class Feeding:
    """Feeds `view` from the evidence log that `open_evidence` opens for reading, in the thread that calls `work`.

    That thread alone uses the view and the evidence log; `grew`, `told`, `put_roster` and `end` may come from others.
    """

    def __init__(
        self,
        open_evidence: Callable[[], AbstractContextManager[EvidenceLog]],
        view: ReadingsView,
        health: Health | None = None,
        machine_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`health` None writes none; plant time comes by `told`, `machine_s` is for waiting alone."""
        self._open_evidence = open_evidence
        self._view = view
        self._health = health
        self._machine_s = machine_s
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._grown: set[Origin] = set()
        self._minutes: deque[int] = deque(maxlen=MAX_MINUTES)
        self._told_ms: int | None = None
        self._feed_outage = Outage("the readings view")
        self._health_outage = Outage("operators' health")
        # Of the thread that works alone from here on.
        self._behind: dict[Origin, None] = {}
        self._ahead: set[Origin] = set()
        self._swept_s = -math.inf
        self._closed_ms: int | None = None
        self._began_ms: int | None = None
        self._ended_by_s: float | None = None

    def grew(self, origins: Collection[Origin]) -> None:
        """Says which origins have new leaves."""
        if origins:
            with self._lock:
                self._grown.update(origins)
            self._wake.set()

    def told(self, now_ms: int) -> None:
        """Says what time it is at the plant; each minute's first telling gives a minute of health."""
        with self._lock:
            before, self._told_ms = self._told_ms, now_ms
            if before is not None and before // MINUTE_MS == now_ms // MINUTE_MS:
                return
            self._minutes.append(now_ms)
        self._wake.set()

    def put_roster(self, roster: Roster) -> None:
        """From now on health is that of the edges and points of `roster`."""
        if self._health is not None:
            self._health.roster = roster

    @property
    def trouble(self) -> str:
        """What stands in the way of the view or of operators' health, "" while nothing does."""
        return self._feed_outage.reason or self._health_outage.reason

    def end(self) -> None:
        """Lets `work` end once it has fed what is stored, at most for some seconds, and only while the view answers."""
        self._stopping.set()
        self._wake.set()

    def work(self) -> None:
        """Feeds and writes until `end`, in a thread of its own. Errors: any but ViewUnavailable."""
        with self._open_evidence() as evidence:
            feeder = Feeder(evidence, self._view, None if self._health is None else self._health.watch)
            while not self._finished():
                self._round(evidence, feeder)
                self._wake.wait(self._pause_s())
                self._wake.clear()

    def _finished(self) -> bool:
        """Whether to end: asked to, and all is fed, the view does not answer, or the time for it is over."""
        if not self._stopping.is_set():
            return False
        if self._ended_by_s is None:
            self._ended_by_s, self._swept_s = self._machine_s() + FEED_ON_STOP_S, -math.inf
            return self._feed_outage.stands
        level = not self._behind and not self._grown
        return level or self._feed_outage.stands or self._machine_s() >= self._ended_by_s

    def _pause_s(self) -> float:
        if self._feed_outage.stands:
            return min(IDLE_S, self._feed_outage.wait_s(self._machine_s()))
        return 0.0 if self._behind or self._stopping.is_set() else IDLE_S

    def _round(self, evidence: EvidenceLog, feeder: Feeder) -> None:
        """One step of everything, so that no part keeps the others waiting for long."""
        with self._lock:
            self._behind.update(dict.fromkeys(sorted(self._grown)))
            self._grown.clear()
            now_ms = self._told_ms
        if now_ms is not None and self._began_ms is None:
            self._began_ms = now_ms
        if self._feed_outage.wait_s(self._machine_s()) == 0.0:
            try:
                self._feed(evidence, feeder)
                self._close_days(now_ms)
            except ViewUnavailable as error:
                self._feed_outage.failed(error, self._machine_s())
            else:
                if self._feed_outage.worked():
                    self._swept_s = -math.inf
        if self._health is not None and not self._stopping.is_set():
            self._write_health(self._health, evidence, feeder)

    def _feed(self, evidence: EvidenceLog, feeder: Feeder) -> None:
        """Some steps of each origin that is behind, in turn, for about half a second."""
        began_s = self._machine_s()
        if began_s - self._swept_s >= SWEEP_S:
            self._behind.update(dict.fromkeys(evidence.origins()))
            self._swept_s = began_s
        for origin in list(self._behind):
            fed = feeder.catch_up(origins=[origin], max_steps=FEED_STEPS)
            if fed.moves:
                _log.warning("the readings view was cleared meanwhile; it is fed again from the evidence log")
                self._swept_s = -math.inf
            self._say_ahead(origin, ahead=bool(fed.ahead))
            del self._behind[origin]
            if not fed.done:
                self._behind[origin] = None
            if self._machine_s() - began_s >= ROUND_S:
                return

    def _say_ahead(self, origin: Origin, *, ahead: bool) -> None:
        if ahead and origin not in self._ahead:
            _log.error(
                "the view is ahead of the evidence of %s (restored from a backup?); run: hakari view rebuild", origin
            )
        (self._ahead.add if ahead else self._ahead.discard)(origin)

    def _close_days(self, now_ms: int | None) -> None:
        """Lets the view close old days at a slow rhythm of plant time, once it is level."""
        if now_ms is None or self._behind:
            return
        if self._closed_ms is None or not 0 <= now_ms - self._closed_ms < CLOSE_EVERY_MS:
            self._view.close_days(now_ms - CLOSE_AFTER_MS)
            self._closed_ms = now_ms

    def _write_health(self, health: Health, evidence: EvidenceLog, feeder: Feeder) -> None:
        """Writes the minutes that are due; while the store cannot be reached only the newest is kept.

        What was stored after a minute would make an old one look better than it was.
        """
        if self._feed_outage.stands or self._health_outage.wait_s(self._machine_s()) > 0.0:
            with self._lock:
                while len(self._minutes) > 1:
                    self._minutes.popleft()
            return
        with self._lock:
            now_ms = self._minutes[0] if self._minutes else None
        if now_ms is None:
            return
        try:
            written = health.write(evidence, self._view, feeder, now_ms, self._began_ms or now_ms)
        except ViewUnavailable as error:
            self._health_outage.failed(error, self._machine_s())
            return
        if self._health_outage.worked():
            self._swept_s = -math.inf  # the view may have lost something with it
        with self._lock:
            if written and self._minutes and self._minutes[0] == now_ms:
                self._minutes.popleft()
            if self._minutes:
                self._wake.set()
