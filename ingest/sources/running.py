"""The sources that ingest fetches itself, in a thread of their own.

Guaranteed: a file is moved only after its values are leaves on disk. A source that fails is stopped and shown in
`trouble`; a configuration that cannot be used or a failing evidence log ends the process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import hakari
from hakari.errors import BadConfiguration
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.settings import beside
from hakari.store.evidence import EvidenceLog
from ingest.settings import Settings
from ingest.sources.folder import Folder
from ingest.sources.mapping import read_mapping
from ingest.sources.own_log import OwnLog, Taken, Taking
from ingest.sources.settings import FolderSource
from ingest.sources.stopped import Stopped, failure_of
from ingest.supervised import Supervised

LOOK_EVERY_S = 1.0

_log = logging.getLogger("hakari.ingest")


def opened_log(config: Path, settings: Settings, log_id: str, evidence: EvidenceLog, roster: Roster) -> OwnLog:
    """The own log `log_id` of the settings file `config`. Errors: BadConfiguration."""
    key_file = next((beside(config, one.key_file) for one in settings.own_log if one.id == log_id), None)
    if key_file is None:
        known = ", ".join(one.id for one in settings.own_log) or "none"
        raise BadConfiguration(f"{config}: has no [[own_log]] with id = {log_id!r}; it has {known}")
    cosigner = Cosigner(settings.ingest.cosigner_name, load(beside(config, settings.ingest.cosigner_key_file)))
    return OwnLog(evidence, log_id, key_file, load(key_file), roster, cosigner, f"hakari {hakari.__version__}")


class FolderThread:
    """Watches the folders of `settings`; without one it does nothing.

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
        self._sources = [one for one in settings.source if isinstance(one, FolderSource)]
        self._stopping = threading.Event()
        self._stopped = Stopped()
        self._thread = Supervised("folders", self._work)

    def start(self) -> None:
        """Begins to watch."""
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
        """Ends the watching after the file that is being taken."""
        self._stopping.set()
        self._thread.ended()

    def _work(self) -> None:
        if (error := failure_of(self._watch)) is not None:
            self._stopped.stop("of every folder", error)

    def _watch(self) -> None:
        with ExitStack() as opened:
            evidence = opened.enter_context(self._open_evidence())
            logs: dict[str, OwnLog] = {}
            folders: dict[str, Folder] = {}
            for source in self._sources:
                if source.log not in logs:
                    own = opened_log(self._config, self._settings, source.log, evidence, self._roster)
                    opened.callback(own.close)
                    logs[source.log] = own
                folders[source.name] = self._folder(source, logs[source.log])
            while not self._stopping.is_set():
                for own in logs.values():
                    own.roster = self._roster
                for name in [one for one in folders if one not in self._stopped]:
                    look = partial(folders[name].look, self._now_ms(), time.monotonic())
                    if (error := failure_of(look)) is not None:
                        self._stopped.stop(name, error)
                self._stopping.wait(LOOK_EVERY_S)

    def _folder(self, source: FolderSource, own: OwnLog) -> Folder:
        mapping = read_mapping(beside(self._config, source.mapping), own.id)

        def take(taking: Taking, now_ms: int) -> Taken:
            (taken,) = own.take([taking], now_ms)
            if own.origin is not None:
                self._grew({own.origin})
            return taken

        done = beside(self._config, source.done) if source.done else None
        folder = Folder(source.name, beside(self._config, source.folder), source.still_s, mapping, take, done)
        folder.prepare()
        return folder
