"""The watched folders, in a thread of their own: a file is moved only after its values are leaves on disk."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from hakari.settings import beside
from ingest.settings import Settings
from ingest.sources.folder import Folder
from ingest.sources.mapping import read_mapping
from ingest.sources.own_log import OwnLog, Taken, Taking
from ingest.sources.settings import FolderSource
from ingest.sources.stopped import failure_of
from ingest.sources.thread import SourceThread

LOOK_EVERY_S = 1.0


class FolderThread(SourceThread[FolderSource]):
    """Watches the folders of the settings."""

    kind = "folders"

    @staticmethod
    def of_its_kind(settings: Settings) -> list[FolderSource]:
        """The tables whose kind is folder."""
        return [one for one in settings.source if isinstance(one, FolderSource)]

    def fetch(self, logs: dict[str, OwnLog], opened: ExitStack) -> None:  # noqa: ARG002 - a folder opens nothing
        """Looks into each folder, again and again."""
        folders = {source.name: self._folder(source, logs[source.log]) for source in self._sources}
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
