"""The parts of the ingest process that alarm, made from its settings: called by `ingest.run`, names the adapters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hakari.log.roster import Roster
from hakari.settings import beside
from hakari.store.opened import open_operations
from ingest.receive.shards import Shards
from ingest.settings import Settings
from ingest.watch.alarm_store import AlarmStore
from ingest.watch.alarming import Alarming, of_worker
from ingest.watch.contextual import Contextual
from ingest.watch.minutes import Health
from ingest.watch.webhooks import Sender, key_of, messages


class Watching(NamedTuple):
    """What looks at health, None where nobody would hear of it, and what sends alarms, None where nobody is told."""

    health: Health | None
    sender: Sender | None

    def see_sources(self, trouble: Callable[[], str]) -> None:
        """From now on alarms hear from `trouble` which of other senders' sources do not work."""
        if self.health is not None and self.health.alarming is not None:
            self.health.alarming.sources = trouble

    def stop(self) -> None:
        """Ends the sender."""
        if self.sender is not None:
            self.sender.stop()


def watching(config: Path, settings: Settings, roster: Roster, shards: Shards) -> Watching:
    """Health and alarms of this worker's edges; the sender has begun. Errors: what the settings' files say."""
    operations = None if settings.influxdb is None else open_operations(config, settings.influxdb)
    if not settings.alarms.file:
        return Watching(None if operations is None else Health(operations, roster, mine=shards.mine), None)
    file = beside(config, settings.alarms.file)
    keys = {one.url: key_of(one.secret(config)) for one in settings.alarms.webhook}
    store = AlarmStore(file)
    sender = Sender(file, keys) if keys else None
    folder = beside(config, settings.ingest.evidence).parent if settings.ingest.evidence else None
    languages = {one.url: one.language for one in settings.alarms.webhook}
    alarming = Alarming(
        store,
        Contextual(settings.check),
        partial(messages, settings.ingest.namespace, languages, worker=shards.text),
        _nobody if sender is None else sender.told,
        folder,
        settings.alarms.min_free_percent,
        lockstep=settings.clock.source != "system",
        owns=of_worker(shards.mine, first=shards.first),
    )
    if sender is not None:
        sender.start()
    return Watching(Health(operations, roster, alarming, shards.mine), sender)


def _nobody() -> None:
    """Nobody is told."""
