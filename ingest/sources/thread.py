"""What the threads that fetch from other senders have in common: one for folders, one for MQTT.

Guaranteed: a source that fails is stopped and shown in `trouble`, and edges' leaves go on; a configuration that cannot
be used or a failing evidence log ends the process.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import hakari
from hakari.errors import BadConfiguration
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.settings import beside
from hakari.store.evidence import EvidenceLog
from ingest.settings import Settings
from ingest.sources.own_log import OwnLog
from ingest.sources.settings import Source
from ingest.sources.stopped import Stopped, failure_of
from ingest.supervised import Supervised

Of = TypeVar("Of", bound=Source)


class SourceThread(ABC, Generic[Of]):
    """Runs the sources of one kind; without one it does nothing.

    `grew` hears which origins have new leaves, `now_ms` tells plant time.
    """

    kind: ClassVar[str]

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
        self._sources = self.of_its_kind(settings)
        self._stopping = threading.Event()
        self._stopped = Stopped()
        self._thread = Supervised(self.kind, self._work)

    @staticmethod
    @abstractmethod
    def of_its_kind(settings: Settings) -> list[Of]:
        """The `[[source]]` tables that this thread runs."""

    @abstractmethod
    def fetch(self, logs: dict[str, OwnLog], opened: ExitStack) -> None:
        """Fetches into `logs`, by id, until it is told to stop; what it opens is closed with `opened`."""

    def start(self) -> None:
        """Begins; does nothing where no source is of its kind."""
        if self._sources:
            self._thread.start()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        self._thread.check()

    @property
    def trouble(self) -> str:
        """Which sources do not work and why, "" while all do."""
        return self._stopped.trouble

    def put_roster(self, roster: Roster) -> None:
        """From now on this roster holds."""
        self._roster = roster

    def stop(self) -> None:
        """Ends after what is being stored, waiting some seconds for it."""
        self._stopping.set()
        self._thread.ended()

    def _work(self) -> None:
        if (error := failure_of(self._run)) is not None:
            self._stopped.stop(f"of every kind of {self.kind}", error)

    def _run(self) -> None:
        with ExitStack() as opened:
            evidence = opened.enter_context(self._open_evidence())
            logs: dict[str, OwnLog] = {}
            for log_id in dict.fromkeys(one.log for one in self._sources):
                logs[log_id] = opened_log(self._config, self._settings, log_id, evidence, self._roster)
                opened.callback(logs[log_id].close)
            self.fetch(logs, opened)


def opened_log(config: Path, settings: Settings, log_id: str, evidence: EvidenceLog, roster: Roster) -> OwnLog:
    """The own log `log_id` of the settings file `config`. Errors: BadConfiguration."""
    key_file = next((beside(config, one.key_file) for one in settings.own_log if one.id == log_id), None)
    if key_file is None:
        known = ", ".join(one.id for one in settings.own_log) or "none"
        raise BadConfiguration(f"{config}: has no [[own_log]] with id = {log_id!r}; it has {known}")
    cosigner = Cosigner(settings.ingest.cosigner_name, load(beside(config, settings.ingest.cosigner_key_file)))
    return OwnLog(evidence, log_id, key_file, load(key_file), roster, cosigner, f"hakari {hakari.__version__}")
