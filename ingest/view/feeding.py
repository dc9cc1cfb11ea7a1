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
from hakari.store.view import ReadingsView, ViewUnavailable
from ingest.view.feed import Feeder
from ingest.view.turns import Turns
from ingest.watch.health import MINUTE_MS
from ingest.watch.minutes import Health, everyone

ROUND_S = 0.5
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
        mine: Callable[[str], bool] = everyone,
    ) -> None:
        """`health` None writes none; plant time comes by `told`, `machine_s` is for waiting alone.

        `mine` says of an edge id whether this worker feeds it.
        """
        self._open_evidence = open_evidence
        self._view = view
        self._health = health
        self._machine_s = machine_s
        self._mine = mine
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._grown: set[Origin] = set()
        self._minutes: deque[int] = deque(maxlen=MAX_MINUTES)
        self._told_ms: int | None = None
        self._feed_outage = Outage("the readings view")
        self._health_outage = Outage("operators' health")
        # Of the thread that works alone from here on.
        self._behind = Turns()
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

    @property
    def behind(self) -> int:
        """How many origins have leaves that are known not to be in the view yet."""
        return len(self._behind)

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
            self._behind.grew(self._grown)
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
        """A step of each origin that is behind, in turn, for about half a second."""
        began_s = self._machine_s()
        if began_s - self._swept_s >= SWEEP_S:
            self._behind.grew(origin for origin in evidence.origins() if self._mine(origin.edge_id))
            self._swept_s = began_s
        while self._behind and self._machine_s() - began_s < ROUND_S:
            origin = self._behind.next()
            try:
                fed = feeder.catch_up(origins=[origin], max_steps=1)
            except ViewUnavailable:
                self._behind.remains(origin)
                raise
            if fed.moves:
                _log.warning("the readings view was cleared meanwhile; it is fed again from the evidence log")
                self._swept_s = -math.inf
            self._say_ahead(origin, ahead=bool(fed.ahead))
            if not fed.done:
                self._behind.remains(origin)

    def _say_ahead(self, origin: Origin, *, ahead: bool) -> None:
        if ahead and origin not in self._ahead:
            _log.error(
                "the view is ahead of the evidence of %s (restored from a backup?): it goes on by itself once they"
                " have come back; then look with hakari view compare, and rebuild where it finds something",
                origin,
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
        """Computes the minute that is due, and writes what waits unless the store cannot be reached now."""
        with self._lock:
            now_ms = self._minutes[0] if self._minutes else None
        if now_ms is not None:
            self._compute(health, evidence, feeder, now_ms)
        if not health.waiting or self._feed_outage.stands or self._health_outage.wait_s(self._machine_s()) > 0.0:
            return
        try:
            health.flush()
        except ViewUnavailable as error:
            self._health_outage.failed(error, self._machine_s())
            return
        if self._health_outage.worked():
            self._swept_s = -math.inf  # the view may have lost something with it

    def _compute(self, health: Health, evidence: EvidenceLog, feeder: Feeder, now_ms: int) -> None:
        began_ms, away = self._began_ms or now_ms, self._feed_outage.reason
        try:
            computed = health.compute(evidence, self._view, feeder, now_ms, began_ms, away)
        except ViewUnavailable as error:
            computed = health.compute(evidence, self._view, feeder, now_ms, began_ms, str(error))
        with self._lock:
            if computed and self._minutes and self._minutes[0] == now_ms:
                self._minutes.popleft()
            if self._minutes:
                self._wake.set()
