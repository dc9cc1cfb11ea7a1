"""The ingest process: one loop that receives, acknowledges and marks; beside it the view is fed. Names the adapters."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hakari import logs
from hakari.alive import Alive
from hakari.clock import PlantClock, SystemClock
from hakari.errors import BadConfiguration
from hakari.lockstep import Answer, Hello, LockstepClient, LockstepClock, Tick, host_and_port
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.log.note import VerifierKey
from hakari.log.roster import Roster
from hakari.log.rosterfile import Watched
from hakari.settings import beside
from hakari.store.evidence import EvidenceLog
from hakari.store.opened import open_evidence, open_view
from hakari.store.view import ReadingsView
from ingest.observed import Observed, Seen, Signs
from ingest.outgoing import Outgoing
from ingest.receive.inbox import Inbox
from ingest.receive.protocol import Receiver
from ingest.receive.shards import Shards
from ingest.receive.source import Source
from ingest.receive.worker import Worker
from ingest.settings import Settings, load_roster, load_settings
from ingest.sources.beside import source_threads
from ingest.sources.thread import SourceThread
from ingest.view.feeding import Feeding
from ingest.watch.minutes import Health
from ingest.watch.run_alarms import Watching, watching

TAKE_S = 0.05
ROSTER_CHECK_S = 2.0
REPORT_S = 60.0
STOP_LIMIT_S = 8.0
GARBAGE_THRESHOLD = 20_000

_log = logging.getLogger("hakari.ingest")


class CosignerUnknown(BadConfiguration):
    """Ingest would sign marks that nobody trusts."""


class FeedingThread(Feeding):
    """Feeding in a thread of its own; what ends it is raised by `check`, where the process can end."""

    beside: Sequence[SourceThread[Any]] = ()
    _error: Exception | None = None
    _thread: threading.Thread | None = None

    @property
    def sources(self) -> str:
        """Which of other senders' sources do not work and why, "" while all do."""
        return "; ".join(filter(None, (one.trouble for one in self.beside)))

    def put_roster(self, roster: Roster) -> None:
        """As Feeding's; the threads `beside` hear of it too."""
        super().put_roster(roster)
        for one in self.beside:
            one.put_roster(roster)

    def start(self) -> None:
        """Begins with what is not in the view yet."""
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)
        self._thread.start()
        for one in self.beside:
            one.start()

    def check(self) -> None:
        """Raises what ended the thread or one `beside` it, if anything did."""
        if self._error is not None:
            raise self._error
        for one in self.beside:
            one.check()

    def stop(self) -> bool:
        """Ends the feeding; whether the thread has ended too, waiting some seconds for it.

        Where it has not, a request to the view still hangs: the view must not be closed under it.
        """
        for one in self.beside:
            one.stop()
        self.end()
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)
        if self._thread is None or not self._thread.is_alive():
            return True
        _log.error("the readings view does not answer: what it lacks is fed after the next start")
        return False

    def _run(self) -> None:
        try:
            self.work()
        except Exception as error:  # noqa: BLE001
            # The one supervised thread of this process: it ends there, and the process with it.
            self._error = error


def run(config: Path) -> None:
    """Runs until SIGTERM or SIGINT; ends with an error when a store fails."""
    logs.set_up(os.environ)
    settings = load_settings(config, os.environ)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    shards = Shards(settings.ingest.shards)
    inbox = Inbox(settings.broker, config.parent, shards)

    def opened(*, read_only: bool = False) -> EvidenceLog:
        return open_evidence(config, settings.ingest.evidence, settings.postgresql, read_only=read_only)

    evidence = opened()
    view = open_view(config, settings.ingest.view, settings.influxdb)
    feeding = follower = None
    watched = Watching(None, None)
    signs = _signs(config, settings)
    try:
        known = load_roster(config, settings.ingest)
        owner = VerifierKey.parse(settings.ingest.owner_key)
        roster = Watched(beside(config, settings.ingest.roster_file), owner, settings.ingest.namespace)
        cosigner = Cosigner(settings.ingest.cosigner_name, load(beside(config, settings.ingest.cosigner_key_file)))
        if cosigner.verifier not in known.cosigner_keys():
            raise CosignerUnknown(
                f"[ingest].cosigner_name and cosigner_key_file are {cosigner.verifier}, which the roster does not have:"
                " no edge would believe a mark; give the right ones, or let the owner add this one:"
                " hakari keys roster add-cosigner"
            )
        receiver = Receiver(evidence, known, cosigner)
        # What was imported stays, and what is fed has no cycles: looking for some costs 5 % and more of the work.
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD)
        worker = Worker(evidence, receiver, inbox, time.monotonic)
        if settings.ingest.outgoing:
            outgoing = beside(config, settings.ingest.outgoing)
            worker.outgoing = Outgoing(outgoing, evidence, inbox.publish_request, lambda: receiver.roster, shards.mine)
        watched = watching(config, settings, known, shards)
        feeding = FeedingThread(lambda: closing(opened(read_only=True)), view, watched.health, mine=shards.mine)
        clock, follower = _clock(settings, feeding.told)
        feeding.beside = source_threads(
            config, settings, known, lambda: closing(opened()), lambda: clock.now().wall_ms, feeding.grew
        )
        watched.see_sources(lambda: feeding.sources)
        signs.start()
        feeding.start()
        inbox.start()
        if follower is not None:
            _await_plant_time(stop, inbox, follower)
        _loop(stop, inbox, worker, receiver, roster, feeding, clock, signs)
    finally:
        signs.end()
        inbox.stop()
        watched.stop()
        _end(feeding, view, watched.health)
        evidence.close()
        if follower is not None:
            follower.stop()


def _end(feeding: FeedingThread | None, view: ReadingsView, health: Health | None) -> None:
    """Closes the view unless a request to it hangs: that one ends with the process."""
    if feeding is not None and not feeding.stop():
        return
    view.close()
    if health is not None:
        health.close()


def _await_plant_time(stop: threading.Event, inbox: Source, follower: LockstepClient) -> None:
    """Joins the driver once messages can arrive, and lets them wait until there is a time to hold them against."""
    while not stop.is_set() and not inbox.subscribed(TAKE_S):
        inbox.check()
    follower.start()
    while not stop.is_set() and not follower.told(TAKE_S):
        inbox.check()


def _loop(
    stop: threading.Event,
    inbox: Source,
    worker: Worker,
    receiver: Receiver,
    roster: Watched,
    feeding: FeedingThread,
    clock: PlantClock,
    signs: Signs,
) -> None:
    checked = reported = time.monotonic()
    while not stop.is_set():
        inbox.check()
        feeding.check()
        deliveries = inbox.take(TAKE_S)
        now_ms, began_s = clock.now().wall_ms, time.monotonic()
        if deliveries:
            feeding.grew(worker.handle(deliveries, now_ms))
            signs.group(len(deliveries), time.monotonic() - began_s)
        worker.send_marks(now_ms)
        if isinstance(clock, SystemClock):
            feeding.told(now_ms)
        signs.beat(
            Seen(
                inbox.refusal,
                feeding.trouble,
                inbox.connected,
                dict(worker.counts),
                worker.quarantined,
                feeding.behind,
                receiver.roster.serial,
                feeding.sources,
            )
        )
        now_s = time.monotonic()
        if now_s - checked >= ROSTER_CHECK_S:
            checked = now_s
            receiver.roster = roster.again(receiver.roster)
            feeding.put_roster(receiver.roster)
            worker.carry_out_wanted(now_ms)
        if now_s - reported >= REPORT_S:
            reported = now_s
            _report(worker, inbox)
    _report(worker, inbox)


def _signs(config: Path, settings: Settings) -> Signs:
    """The signs of life that the settings ask for."""
    table = settings.ingest
    folder = beside(config, table.evidence).parent if table.evidence else None
    alive = Alive(beside(config, table.alive_file) if table.alive_file else None)
    return Signs(alive, Observed(table.observe, folder))


def _report(worker: Worker, inbox: Source) -> None:
    _log.info("messages %s", json.dumps({**worker.counts, "connected": inbox.connected, "broker": inbox.refusal}))


def _clock(settings: Settings, told: Callable[[int], None]) -> tuple[PlantClock, LockstepClient | None]:
    """Plant time; in lockstep `told` hears of every tick."""
    if settings.clock.source == "system":
        return SystemClock(), None
    clock = LockstepClock()
    host, port = host_and_port(settings.clock.address)

    def follow(tick: Tick) -> None:
        clock.set(tick)
        client.answer(Answer(tick.tick))
        told(tick.t_ms)

    client = LockstepClient(host, port, Hello("ingest", "watch"), follow)
    return clock, client
