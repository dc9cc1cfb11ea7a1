"""The ingest process: one loop that receives, acknowledges and marks; beside it the view is fed. Names the adapters."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

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
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.opened import open_operations, open_view
from hakari.store.view import ReadingsView
from ingest.feeding import Feeding, Health
from ingest.inbox import Inbox
from ingest.protocol import Receiver
from ingest.settings import Settings, load_roster, load_settings
from ingest.worker import Worker

TAKE_S = 0.05
ROSTER_CHECK_S = 2.0
REPORT_S = 60.0
STOP_LIMIT_S = 8.0

_log = logging.getLogger("hakari.ingest")


class CosignerUnknown(BadConfiguration):
    """Ingest would sign marks that nobody trusts."""


class FeedingThread(Feeding):
    """Feeding in a thread of its own; what ends it is raised by `check`, where the process can end."""

    _error: Exception | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins with what is not in the view yet."""
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self) -> bool:
        """Ends the feeding; whether the thread has ended too, waiting some seconds for it.

        Where it has not, a request to the view still hangs: the view must not be closed under it.
        """
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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(config, os.environ)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    inbox = Inbox(settings.broker, config.parent)
    file = beside(config, settings.ingest.evidence)
    evidence = SqliteEvidenceLog(file)
    view = open_view(config, settings.ingest.view, settings.influxdb)
    health = feeding = follower = None
    alive = Alive(beside(config, settings.ingest.alive_file) if settings.ingest.alive_file else None)
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
        worker = Worker(evidence, receiver, inbox, time.monotonic)
        health = _health(config, settings, known)
        feeding = FeedingThread(lambda: closing(SqliteEvidenceLog(file, read_only=True)), view, health)
        clock, follower = _clock(settings, feeding.told)
        feeding.start()
        inbox.start()
        if follower is not None:
            _await_plant_time(stop, inbox, follower)
        _loop(stop, inbox, worker, receiver, roster, feeding, clock, alive)
    finally:
        alive.end()
        inbox.stop()
        _end(feeding, view, health)
        evidence.close()
        if follower is not None:
            follower.stop()


def _health(config: Path, settings: Settings, roster: Roster) -> Health | None:
    """Where operators' health goes: to InfluxDB, or nowhere."""
    return None if settings.influxdb is None else Health(open_operations(config, settings.influxdb), roster)


def _end(feeding: FeedingThread | None, view: ReadingsView, health: Health | None) -> None:
    """Closes the view unless a request to it hangs: that one ends with the process."""
    if feeding is not None and not feeding.stop():
        return
    view.close()
    if health is not None:
        health.operations.close()


def _await_plant_time(stop: threading.Event, inbox: Inbox, follower: LockstepClient) -> None:
    """Joins the driver once messages can arrive, and lets them wait until there is a time to hold them against."""
    while not stop.is_set() and not inbox.subscribed(TAKE_S):
        inbox.check()
    follower.start()
    while not stop.is_set() and not follower.told(TAKE_S):
        inbox.check()


def _loop(
    stop: threading.Event,
    inbox: Inbox,
    worker: Worker,
    receiver: Receiver,
    roster: Watched,
    feeding: FeedingThread,
    clock: PlantClock,
    alive: Alive,
) -> None:
    checked = reported = time.monotonic()
    while not stop.is_set():
        inbox.check()
        feeding.check()
        deliveries = inbox.take(TAKE_S)
        now_ms = clock.now().wall_ms
        if deliveries:
            feeding.grew(worker.handle(deliveries, now_ms))
        worker.send_marks(now_ms)
        if isinstance(clock, SystemClock):
            feeding.told(now_ms)
        alive.beat(inbox.refusal, feeding.trouble)
        now_s = time.monotonic()
        if now_s - checked >= ROSTER_CHECK_S:
            checked = now_s
            receiver.roster = roster.again(receiver.roster)
            feeding.put_roster(receiver.roster)
        if now_s - reported >= REPORT_S:
            reported = now_s
            _report(worker, inbox)
    _report(worker, inbox)


def _report(worker: Worker, inbox: Inbox) -> None:
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
