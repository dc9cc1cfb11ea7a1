"""The sources over MQTT in a thread of their own, with their own connection to the evidence log.

A slow or full broker of another sender never holds up the edges' leaves. A source that fails is stopped and shown in
`trouble`, its messages not acknowledged; a bad configuration or a failing evidence log ends the process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from ingest.settings import Settings
from ingest.sources.own_log import OwnLog
from ingest.sources.running import opened_log
from ingest.sources.settings import FolderSource
from ingest.sources.stopped import Stopped, failure_of
from ingest.sources.streams import StreamSource, open_streams
from ingest.supervised import Supervised

LOOK_EVERY_S = 0.05
REPORT_S = 60.0

_log = logging.getLogger("hakari.ingest.sources")


class StreamThread:
    """Runs the sources over MQTT of `settings`; without one it does nothing.

    `grew` hears which origins have new leaves, `now_ms` tells plant time.
    """

    def __init__(
        self,
        config: Path,
        settings: Settings,
        roster: Roster,
        open_evidence: Callable[[], AbstractContextManager[EvidenceLog]],
        now_ms: Callable[[], int],
        grew: Callable[[Collection[Origin]], None],
    ) -> None:
        self._config = config
        self._settings = settings
        self._roster = roster
        self._open_evidence = open_evidence
        self._now_ms = now_ms
        self._grew = grew
        self._sources = [one for one in settings.source if not isinstance(one, FolderSource)]
        self._stopping = threading.Event()
        self._stopped = Stopped()
        self._streams: list[StreamSource] = []
        self._thread = Supervised("streams", self._work)

    def start(self) -> None:
        """Begins to connect."""
        if self._sources:
            self._thread.start()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        self._thread.check()

    @property
    def trouble(self) -> str:
        """Which sources do not work and why, "" while all do."""
        away = [f"source {one.source.name}: {one.inbox.refusal}" for one in self._streams if one.inbox.refusal]
        return "; ".join(filter(None, [self._stopped.trouble, *away]))

    def put_roster(self, roster: Roster) -> None:
        """From now on this roster holds."""
        self._roster = roster

    def stop(self) -> None:
        """Ends the sessions after what is being stored."""
        self._stopping.set()
        self._thread.ended()

    def _work(self) -> None:
        if (error := failure_of(self._run)) is not None:
            self._stopped.stop("of every kind over MQTT", error)

    def _run(self) -> None:
        with ExitStack() as opened:
            evidence = opened.enter_context(self._open_evidence())
            logs: dict[str, OwnLog] = {}
            for log_id in {one.log for one in self._sources}:
                logs[log_id] = opened_log(self._config, self._settings, log_id, evidence, self._roster)
                opened.callback(logs[log_id].close)
            streams = open_streams(self._config, self._settings.broker, self._sources, logs, _wall_ms)
            self._streams = streams
            for one in streams:
                opened.callback(one.inbox.stop)
                one.inbox.start()
            reported_s = time.monotonic()
            while not self._stopping.is_set():
                for own in logs.values():
                    own.roster = self._roster
                busy = [self._round(one, logs) for one in streams]
                if time.monotonic() - reported_s >= REPORT_S:
                    reported_s = time.monotonic()
                    _report(streams)
                if not any(busy):
                    self._stopping.wait(LOOK_EVERY_S)
            _report(streams)

    def _round(self, stream: StreamSource, logs: dict[str, OwnLog]) -> bool:
        """One group of one source; whether anything came of it."""
        name = stream.source.name
        if name in self._stopped:
            return False
        stored: list[bool] = []

        def work() -> None:
            stream.inbox.check()
            stored.append(stream.work(self._now_ms(), time.monotonic()))

        if (error := failure_of(work)) is not None:
            self._stopped.stop(name, error)
            stream.inbox.stop()
            return False
        origin = logs[stream.source.log].origin
        if any(stored) and origin is not None:
            self._grew({origin})
        return any(stored)


def _report(streams: list[StreamSource]) -> None:
    for one in streams:
        stale = len(one.stale)
        counts = {**one.counts, "sessions gone": one.inbox.sessions_gone}
        _log.info("source %s: %s, %d STALE; broker: %s", one.source.name, counts, stale, one.inbox.refusal)


def _wall_ms() -> int:
    """The machine's time: a STATE tells other machines about a connection, nothing about the plant."""
    return time.time_ns() // 1_000_000
