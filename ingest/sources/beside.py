"""The threads that fetch from other senders: folders and MQTT."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from ingest.settings import Settings
from ingest.sources.folder_thread import FolderThread
from ingest.sources.mqtt_thread import MqttThread
from ingest.sources.thread import SourceThread


def source_threads(
    config: Path,
    settings: Settings,
    roster: Roster,
    open_evidence: Callable[[], AbstractContextManager[EvidenceLog]],
    now_ms: Callable[[], int],
    grew: Callable[[Collection[Origin]], None],
) -> list[SourceThread[Any]]:
    """The threads of the `[[source]]` tables; `grew` hears of new leaves, `now_ms` tells plant time."""
    about = (config, settings, roster, open_evidence, now_ms, grew)
    return [FolderThread(*about), MqttThread(*about)]
