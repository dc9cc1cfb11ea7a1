"""The sources over MQTT in a thread of their own, with their own connection to the evidence log.

A slow or full broker of another sender never holds up edges' leaves; of a source that failed nothing is acknowledged.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack

from ingest.settings import Settings
from ingest.sources.own_log import OwnLog
from ingest.sources.settings import FolderSource, JsonSource, SparkplugSource, TelegrafSource
from ingest.sources.stopped import failure_of
from ingest.sources.streams import StreamSource, open_streams
from ingest.sources.thread import SourceThread

LOOK_EVERY_S = 0.05
REPORT_S = 60.0

_log = logging.getLogger("hakari.ingest.sources")


class MqttThread(SourceThread[TelegrafSource | JsonSource | SparkplugSource]):
    """Runs the sources over MQTT of the settings."""

    kind = "MQTT"
    _streams: tuple[StreamSource, ...] = ()

    @staticmethod
    def of_its_kind(settings: Settings) -> list[TelegrafSource | JsonSource | SparkplugSource]:
        """The tables whose kind is a sender over MQTT."""
        return [one for one in settings.source if not isinstance(one, FolderSource)]

    @property
    def trouble(self) -> str:
        """Which sources do not work and why, "" while all do."""
        away = [f"source {one.source.name}: {one.inbox.refusal}" for one in self._streams if one.inbox.refusal]
        return "; ".join(filter(None, [super().trouble, *away]))

    def fetch(self, logs: dict[str, OwnLog], opened: ExitStack) -> None:
        """Connects, and stores what comes."""
        streams = open_streams(self._config, self._settings.broker, self._sources, logs, _wall_ms)
        self._streams = tuple(streams)
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
