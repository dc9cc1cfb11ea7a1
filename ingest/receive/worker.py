"""One group of messages: received in one transaction, then acknowledged, then answered with marks (I7)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from hakari.crash import crash_point
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from ingest.evidence.quarantine import carry_out_wanted, take_message
from ingest.outgoing import Outgoing
from ingest.receive.complaints import Complaints
from ingest.receive.protocol import Message, Outcome, Receiver
from ingest.receive.source import Delivery, Outlet

MARK_INTERVAL_S = 0.1
LOST_SWAP = "lost_swap"
EARLY = ("pending", "far")

_log = logging.getLogger("hakari.ingest")


class Worker:
    """Counts what became of messages in `counts`; marks go out at most ten a second and edge, requests by `outgoing`.

    `counts["lost_swap"]` is how often another worker had appended to an edge of ours: its shard has two owners.
    """

    def __init__(
        self, evidence: EvidenceLog, receiver: Receiver, outlet: Outlet, machine_s: Callable[[], float]
    ) -> None:
        self._evidence = evidence
        self._receiver = receiver
        self._outlet = outlet
        self._machine_s = machine_s
        self._complaints = Complaints(_log.warning)
        self._owed: set[Origin] = set()
        self._marked: dict[str, float] = {}
        self.counts: Counter[str] = Counter({LOST_SWAP: 0})
        self.quarantined = (0, 0, 0)
        self.outgoing: Outgoing | None = None

    def handle(self, deliveries: Sequence[Delivery], now_ms: int) -> set[Origin]:
        """Receives the group durably, acknowledges it and owes a mark to each origin in it; returns these."""
        opened = [(one, self._receiver.open(one.topic, one.payload)) for one in deliveries]
        # In the order of edge ids, so that no two workers ever wait for each other's rows.
        opened.sort(key=_place)
        touched = {message.origin for _, message in opened if isinstance(message, Message)}
        with self._evidence.transaction(sorted(touched)), self._receiver.group():
            outcomes = [
                outcome
                for one, message in opened
                for outcome in self._receiver.take(one.topic, one.payload, message, now_ms)
            ]
            for origin in sorted({one.origin for one in outcomes if one.origin and one.word == "appended"}):
                self._receiver.keep_mark(origin, now_ms)
        crash_point("ingest.committed")
        for delivery in deliveries:
            self._outlet.acknowledge(delivery)
        self._count(outcomes)
        crash_point("ingest.acknowledged")
        heard = {outcome.origin for outcome in outcomes if outcome.origin is not None}
        if self.outgoing is not None:
            self.outgoing.heard({origin.edge_id for origin in heard})
        return heard

    def carry_out_wanted(self, now_ms: int) -> None:
        """Releases and discards what operators asked for at the API; each answer is recorded and said.

        `quarantined` then has messages, bytes and how many were dropped.
        """
        total = self._evidence.quarantine_total()
        self.quarantined = (total.kept, total.bytes, total.dropped)
        for answer in carry_out_wanted(self._evidence, take_message(self._receiver), now_ms):
            _log.warning("%s: message %s, by %s: %s", answer.kind, answer.subject, answer.who, answer.detail)

    def send_marks(self, now_ms: int) -> None:
        """I8: sends the marks that are owed and allowed now; the others stay owed."""
        now_s = self._machine_s()
        self._complaints.tick(now_s)
        if self.outgoing is not None:
            self.outgoing.work(now_s, now_ms)
        for origin in sorted(self._owed):
            if now_s - self._marked.get(origin.edge_id, -MARK_INTERVAL_S) < MARK_INTERVAL_S:
                continue
            self._marked[origin.edge_id] = now_s
            self._outlet.publish_mark(origin.edge_id, self._receiver.mark(origin, now_ms))
            self._owed.discard(origin)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        now_s = self._machine_s()
        for outcome in outcomes:
            self.counts[outcome.word] += 1
            if outcome.origin is not None:
                self._owed.add(outcome.origin)
            if outcome.word in EARLY:
                self._complaints.tell(
                    f"a leaf of {outcome.origin} came before one that is missing: the edge sent it before ingest first"
                    " subscribed, or messages were lost or overtaken on the way; the edge sends them again. Only where"
                    " this goes on, look at the broker's queue limits (max_queued_messages)",
                    now_s,
                    "early",
                )
            if outcome.alarm:
                self._complaints.tell(f"{outcome.word}: {outcome.alarm}", now_s)
        if self._receiver.lost_swaps > self.counts[LOST_SWAP]:
            self.counts[LOST_SWAP] = self._receiver.lost_swaps
            self._complaints.tell(
                f"another worker appends to edges of ours, {self._receiver.lost_swaps} times so far; nothing is lost or"
                " doubled, but give each shard one worker",
                now_s,
            )


def _place(one: tuple[Delivery, Message | str]) -> tuple[str, int]:
    """By edge and epoch; within one the order of arrival stays."""
    message = one[1]
    return (message.origin.edge_id, message.origin.epoch) if isinstance(message, Message) else ("", 0)
