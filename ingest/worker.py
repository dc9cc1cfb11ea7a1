"""One group of messages: received in one transaction, then acknowledged, then answered with marks (I7)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from hakari.crash import crash_point
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from ingest.inbox import Delivery
from ingest.protocol import Receiver

MARK_INTERVAL_S = 0.1

_log = logging.getLogger("hakari.ingest")


class Outlet(Protocol):
    """Where acknowledgements and marks go."""

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledges to the broker."""
        ...

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """Sends a mark."""
        ...


class Worker:
    """Counts what became of messages in `counts`; marks go out at most ten a second and edge."""

    def __init__(
        self, evidence: EvidenceLog, receiver: Receiver, outlet: Outlet, machine_s: Callable[[], float]
    ) -> None:
        self._evidence = evidence
        self._receiver = receiver
        self._outlet = outlet
        self._machine_s = machine_s
        self._owed: set[Origin] = set()
        self._marked: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    def handle(self, deliveries: Sequence[Delivery], now_ms: int) -> set[Origin]:
        """Receives the group durably, acknowledges it and owes a mark to each origin in it; returns these."""
        with self._evidence.transaction():
            outcomes = [
                outcome
                for delivery in deliveries
                for outcome in self._receiver.receive(delivery.topic, delivery.payload, now_ms)
            ]
            for origin in {one.origin for one in outcomes if one.origin is not None and one.word == "appended"}:
                self._receiver.keep_mark(origin, now_ms)
        crash_point("ingest.committed")
        for delivery in deliveries:
            self._outlet.acknowledge(delivery)
        for outcome in outcomes:
            self.counts[outcome.word] += 1
            if outcome.origin is not None:
                self._owed.add(outcome.origin)
            if outcome.alarm:
                _log.warning("%s: %s", outcome.word, outcome.alarm)
        crash_point("ingest.acknowledged")
        return {outcome.origin for outcome in outcomes if outcome.origin is not None}

    def send_marks(self, now_ms: int) -> None:
        """I8: sends the marks that are owed and allowed now; the others stay owed."""
        now_s = self._machine_s()
        for origin in sorted(self._owed):
            if now_s - self._marked.get(origin.edge_id, -MARK_INTERVAL_S) < MARK_INTERVAL_S:
                continue
            self._marked[origin.edge_id] = now_s
            self._outlet.publish_mark(origin.edge_id, self._receiver.mark(origin, now_ms))
            self._owed.discard(origin)
