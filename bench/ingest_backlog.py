"""A backlog from 100 edges drains while ten live edges go on: how long a live leaf waits for its mark and for the view.

Each edge with a backlog keeps 256 leaves beyond its mark on the way, as the protocol lets it; the way is one queue in
the order of sending, as a broker has it. Real receiver, SQLite FULL with group commit, feeder and embedded view.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import material
from bench.result import Result
from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import PlantTime
from hakari.log.checkpoint import claimed
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.names import batch_topic
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import text_of
from hakari.wire.envelope import seal
from ingest.receive.inbox import GROUP_MESSAGES
from ingest.receive.protocol import Receiver
from ingest.receive.source import Delivery
from ingest.receive.worker import Worker
from ingest.view.feeding import Feeding

BACKLOG_EDGES, BACKLOG_SAMPLES = 100, 300
LIVE_EDGES, LIVE_SAMPLES = 10, 120
LIVE_EVERY_S = 0.5
WINDOW = 256
MARK_LIMIT_S = 15.0
VIEW_LIMIT_S = 30.0
RATE_LIMIT = 500.0
RUN_LIMIT_S = 600.0


class Sender:
    """An edge: its messages, how many are on the way, and when each live one was sent."""

    def __init__(self, k: int, samples: int, *, live: bool) -> None:
        self.edge_id = f"{'live' if live else 'old'}{k}-e1"
        self.live = live
        self.key = Ed25519PrivateKey.from_private_bytes((1000 * live + k + 1).to_bytes(32, "big"))
        self.sent = self.marked = self.fed = 0
        self.sent_s: dict[int, float] = {}
        spool = Spool(":memory:")
        log = EdgeLog(spool, self.key, material.NAMESPACE, self.edge_id, f"{k:016x}", "hakari bench")
        told = msgspec.structs.replace(material.configuration(), edge=self.edge_id)
        taken = material.samples(LIVE_SAMPLES if live else samples)
        log.start(text_of(told), PlantTime(taken[0].slot_ms, 1, "lockstep"))
        for sample in taken:
            log.add_sample(sample, PlantTime(sample.slot_ms + material.DELAY_MS, sample.mono_ms, "lockstep"), 1)
        (state,) = spool.epochs()
        self.epoch = state.epoch
        leaves = [spool.leaf(state.epoch, i) for i in range(state.size)]
        self.messages = [seal(leaf.checkpoint, leaf.deflated) for leaf in leaves if leaf is not None]
        spool.close()


class Way:
    """The broker: one queue; marks let the edges send more."""

    def __init__(self, senders: list[Sender]) -> None:
        self.queue: deque[Delivery] = deque()
        self.waits_s: list[float] = []
        self._senders = {sender.edge_id: sender for sender in senders}

    def acknowledge(self, delivery: Delivery) -> None:
        """Nothing is delivered twice here."""

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """The edge hears it and sends on."""
        sender, now_s = self._senders[edge_id], time.monotonic()
        size = claimed(mark).size
        self.waits_s += [now_s - sender.sent_s[i] for i in range(sender.marked, size) if i in sender.sent_s]
        sender.marked = max(sender.marked, size)
        if not sender.live:
            self.send(sender, min(len(sender.messages), sender.marked + WINDOW))

    def send(self, sender: Sender, until: int) -> None:
        """Puts leaves up to `until` on the way."""
        for i in range(sender.sent, until):
            if sender.live:
                sender.sent_s[i] = time.monotonic()
            self.queue.append(Delivery(1, i, batch_topic(sender.edge_id), sender.messages[i]))
        sender.sent = max(sender.sent, until)


def run() -> list[Result]:
    """Leaves a second of the backlog, and the longest waits of a live leaf."""
    senders = [Sender(k, BACKLOG_SAMPLES, live=False) for k in range(BACKLOG_EDGES)]
    senders += [Sender(k, LIVE_SAMPLES, live=True) for k in range(LIVE_EDGES)]
    with TemporaryDirectory() as folder:
        drained_s, mark_s, view_s = _drained(Path(folder), senders)
    leaves = sum(len(sender.messages) for sender in senders if not sender.live)
    of = f"limit, {BACKLOG_EDGES} edges' backlog"
    return [
        Result("backlog, received and fed", leaves / drained_s, "leaves/s", of, RATE_LIMIT, "higher", 1.0),
        Result("backlog, live leaf to its mark, longest", mark_s, "s", of, MARK_LIMIT_S, allowed=1.0),
        Result("backlog, live leaf to the view, longest", view_s, "s", of, VIEW_LIMIT_S, allowed=1.0),
    ]


def _drained(folder: Path, senders: list[Sender]) -> tuple[float, float, float]:
    """Seconds until all is in the view, and the longest a live leaf waited for its mark and for the view."""
    evidence, view = SqliteEvidenceLog(folder / "evidence.db"), SqliteReadingsView(folder / "view.db")
    way = Way(senders)
    worker = Worker(evidence, Receiver(evidence, _roster(senders), material.keys().cosigner), way, time.monotonic)
    feeding = Feeding(lambda: closing(SqliteEvidenceLog(folder / "evidence.db", read_only=True)), view)
    thread = threading.Thread(target=feeding.work)
    thread.start()
    began_s = next_s = time.monotonic()
    for sender in senders:
        if not sender.live:
            way.send(sender, min(WINDOW, len(sender.messages)))
    seen: list[float] = []
    with closing(SqliteReadingsView(folder / "view.db", read_only=True)) as shown:
        while time.monotonic() - began_s < RUN_LIMIT_S:
            if time.monotonic() >= next_s:
                next_s += LIVE_EVERY_S
                for sender in senders:
                    if sender.live:
                        way.send(sender, min(sender.sent + 1, len(sender.messages)))
                        seen += _fed(sender, shown.cursor)
            group = [way.queue.popleft() for _ in range(min(GROUP_MESSAGES, len(way.queue)))]
            if group:
                feeding.grew(worker.handle(group, 0))
            elif all(shown.cursor(s.edge_id, s.epoch) >= len(s.messages) for s in senders if not s.live):
                break
            else:
                time.sleep(0.01)
            worker.send_marks(0)
    drained_s = time.monotonic() - began_s
    feeding.end()
    thread.join()
    view.close()
    evidence.close()
    return drained_s, max(way.waits_s), max(seen)


def _fed(sender: Sender, cursor: Callable[[str, int], int]) -> list[float]:
    """How long those leaves waited that have come into the view since the last look, half a second ago at most."""
    before, sender.fed = sender.fed, cursor(sender.edge_id, sender.epoch)
    return [time.monotonic() - sender.sent_s[i] for i in range(before, sender.fed)]


def _roster(senders: list[Sender]) -> Roster:
    cosigner = material.keys().cosigner
    edges = [
        EdgeKey(sender.edge_id, base64.b64encode(sender.key.public_key().public_bytes_raw()).decode())
        for sender in senders
    ]
    return Roster(material.NAMESPACE, 1, edges, cosigners=[NamedKey(cosigner.name, str(cosigner.verifier))])
