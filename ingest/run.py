"""The ingest process: one loop that receives, acknowledges, marks and feeds the view. Names the adapters."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from pathlib import Path

from hakari.clock import PlantClock, SystemClock
from hakari.errors import BadConfiguration
from hakari.lockstep import Answer, Hello, LockstepClient, LockstepClock, Tick, host_and_port
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.log.note import VerifierKey
from hakari.log.rosterfile import Watched
from hakari.names import Origin
from hakari.settings import beside
from hakari.store.evidence import EvidenceLog
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from ingest.feed import Feeder
from ingest.inbox import Inbox
from ingest.protocol import Receiver
from ingest.settings import Settings, load_roster, load_settings
from ingest.worker import Worker

TAKE_S = 0.05
ROSTER_CHECK_S = 2.0
REPORT_S = 60.0
FEED_STEPS = 4

_log = logging.getLogger("hakari.ingest")


class CosignerUnknown(BadConfiguration):
    """Ingest would sign marks that nobody trusts."""


def run(config: Path) -> None:
    """Runs until SIGTERM or SIGINT; ends with an error when a store fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(config, os.environ)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    clock, follower = _clock(settings)
    inbox = Inbox(settings.broker, config.parent)
    evidence = SqliteEvidenceLog(beside(config, settings.ingest.evidence))
    view = SqliteReadingsView(beside(config, settings.ingest.view))
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
        inbox.start()
        if follower is not None:
            _await_plant_time(stop, inbox, follower)
        _loop(stop, inbox, worker, receiver, roster, evidence, Feeder(evidence, view), clock)
    finally:
        inbox.stop()
        view.close()
        evidence.close()
        if follower is not None:
            follower.stop()


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
    evidence: EvidenceLog,
    feeder: Feeder,
    clock: PlantClock,
) -> None:
    checked = reported = time.monotonic()
    behind: set[Origin] = set(evidence.origins())
    while not stop.is_set():
        inbox.check()
        deliveries = inbox.take(0.0 if behind else TAKE_S)
        now_ms = clock.now().wall_ms
        if deliveries:
            behind |= worker.handle(deliveries, now_ms)
        worker.send_marks(now_ms)
        if _feed(feeder, behind):
            behind.clear()
        now_s = time.monotonic()
        if now_s - checked >= ROSTER_CHECK_S:
            checked = now_s
            receiver.roster = roster.again(receiver.roster)
        if now_s - reported >= REPORT_S:
            reported = now_s
            _report(worker, inbox)
    _report(worker, inbox)


def _report(worker: Worker, inbox: Inbox) -> None:
    _log.info("messages %s", json.dumps({**worker.counts, "connected": inbox.connected, "broker": inbox.refusal}))


def _feed(feeder: Feeder, behind: set[Origin]) -> bool:
    """One step of the view towards the evidence, so that a rebuild never keeps messages waiting; True when level."""
    if not behind:
        return True
    fed = feeder.catch_up(origins=sorted(behind), max_steps=FEED_STEPS)
    for origin in fed.ahead:
        _log.error(
            "the view is ahead of the evidence of %s (restored from a backup?); run: hakari view rebuild", origin
        )
    return fed.done


def _clock(settings: Settings) -> tuple[PlantClock, LockstepClient | None]:
    if settings.clock.source == "system":
        return SystemClock(), None
    clock = LockstepClock()
    host, port = host_and_port(settings.clock.address)

    def follow(tick: Tick) -> None:
        clock.set(tick)
        client.answer(Answer(tick.tick))

    client = LockstepClient(host, port, Hello("ingest", "watch"), follow)
    return clock, client
