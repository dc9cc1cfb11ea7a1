"""The threads that fetch from other senders, as one: folders and MQTT."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from ingest.settings import Settings
from ingest.sources.running import FolderThread
from ingest.sources.streaming import StreamThread


class SourceThread(Protocol):
    """A thread that lives beside the loop that receives."""

    def start(self) -> None:
        """Begins; does nothing where no source is of its kind."""
        ...

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        ...

    @property
    def trouble(self) -> str:
        """Which sources do not work and why, "" while all do."""
        ...

    def put_roster(self, roster: Roster) -> None:
        """From now on this roster holds."""
        ...

    def stop(self) -> None:
        """Ends the thread, waiting some seconds for it."""
        ...


def source_threads(
    config: Path,
    settings: Settings,
    roster: Roster,
    open_evidence: Callable[[], AbstractContextManager[EvidenceLog]],
    now_ms: Callable[[], int],
    grew: Callable[[Collection[Origin]], None],
) -> list[SourceThread]:
    """The threads of the `[[source]]` tables; `grew` hears of new leaves, `now_ms` tells plant time."""
    about = (config, settings, roster, open_evidence, now_ms, grew)
    return [FolderThread(*about), StreamThread(*about)]
