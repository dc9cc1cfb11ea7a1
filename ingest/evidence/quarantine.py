"""What becomes of a quarantined message: released into the evidence log by the rules for any message, or discarded.

Guaranteed: the payload leaves the quarantine in the same transaction that records who decided, why and what came of
it; a message that still cannot be taken stays, with its reason. A record is never changed or deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

from hakari.errors import Refused
from hakari.names import ALL_BATCHES, BadName, Origin, batch_topic
from hakari.store.evidence import (
    DISCARD_WANTED,
    DISCARDED,
    KEPT,
    RELEASE_WANTED,
    RELEASED,
    Decision,
    EvidenceLog,
    Quarantined,
)
from ingest.evidence.deciding import check_who_and_why
from ingest.receive.protocol import Receiver

MAX_SHOWN_CHARS = 120
BATCHES = ALL_BATCHES.removesuffix("+/+")


class EntryUnknown(Refused):
    """No quarantined message has that number, or no longer."""


class NotReleased(Refused):
    """A quarantined message still cannot be taken."""


Take = Callable[[Quarantined, int], dict[str, str]]
"""Takes a quarantined payload at a time, inside the transaction; what the record says of it, its outcome at least.

NotReleased where it cannot.
"""


def entry_of(evidence: EvidenceLog, entry_id: int) -> Quarantined:
    """The quarantined message of that number; EntryUnknown where it is not kept."""
    entry = evidence.quarantined_entry(entry_id)
    if entry is None:
        raise EntryUnknown(f"quarantine has no message {entry_id}, or no longer; see: hakari quarantine list")
    return entry


def release(evidence: EvidenceLog, entry_id: int, take: Take, who: str, why: str, now_ms: int) -> Decision:
    """Lets a quarantined message be taken as if it came now, and records it.

    Errors: EntryUnknown, WhoAndWhyMissing, and NotReleased where it still cannot be taken; then nothing has changed.
    """
    check_who_and_why(who, why)
    with evidence.transaction():
        return _settle(evidence, Decision(now_ms, RELEASED, str(entry_id), who, why), take)


def discard(evidence: EvidenceLog, entry_id: int, who: str, why: str, now_ms: int) -> Decision:
    """Deletes a quarantined message's bytes; its hash, source and reason stay in the record.

    Errors: EntryUnknown, WhoAndWhyMissing; then nothing has changed.
    """
    check_who_and_why(who, why)
    with evidence.transaction():
        return _settle(evidence, Decision(now_ms, DISCARDED, str(entry_id), who, why), _discard)


def take_message(receiver: Receiver) -> Take:
    """Takes what an edge sent, by the protocol's own rules: nothing is let in that ingest would refuse today."""

    def take(entry: Quarantined, now_ms: int) -> dict[str, str]:
        if not topic_of(entry.source).startswith(BATCHES):
            raise NotReleased(
                f"message {entry.id} came from {entry.source[:MAX_SHOWN_CHARS]}, not from an edge: mend its mapping or"
                " what was sent, hand it in again, and discard this one"
            )
        topic = topic_of(entry.source)
        opened = receiver.open(topic, entry.payload)
        outcomes = receiver.take(topic, entry.payload, opened, now_ms)
        first = outcomes[0]
        if first.word == "quarantined":
            raise NotReleased(
                f"message {entry.id} still cannot be taken: {first.alarm}; mend that first, or discard it"
            )
        for origin in {one.origin for one in outcomes if one.origin is not None and one.word == "appended"}:
            receiver.keep_mark(origin, now_ms)
        if isinstance(opened, str):
            return {"outcome": first.word}
        leaf = {"origin": str(opened.origin), "leaf": str(opened.i), "leaf_hash": opened.leaf_hash.hex()}
        return {"outcome": first.word, **leaf}

    return take


def in_log_now(evidence: EvidenceLog, decision: Decision) -> bool | None:
    """Whether the leaf that a decision released stands in the evidence log; None where it released none."""
    detail = json.loads(decision.detail) if decision.kind == RELEASED and decision.detail else {}
    if "leaf_hash" not in detail:
        return None
    stored = evidence.leaf(Origin.parse(detail["origin"]), int(detail["leaf"]))
    return stored is not None and stored.leaf_hash.hex() == detail["leaf_hash"]


def topic_of(source: str) -> str:
    """The batch topic of a quarantined message, whose source is that topic or its origin."""
    try:
        return batch_topic(Origin.parse(source).edge_id)
    except BadName:
        return source


def carry_out_wanted(evidence: EvidenceLog, take: Take, now_ms: int) -> list[Decision]:
    """Acts on what operators asked for at the API and has no answer yet; the answers, each recorded.

    Several workers may do so at once: who is slower finds the request answered, or the message gone, and adds nothing.
    """
    asked = [one for kind in (RELEASE_WANTED, DISCARD_WANTED) for one in evidence.decisions(kind)]
    if not asked:
        return []
    answered = _answered(evidence)
    answers = [
        _answer(evidence, wanted, take, now_ms)
        for wanted in asked
        if wanted.asked_as is not None and wanted.asked_as not in answered
    ]
    return [one for one in answers if one is not None]


def _answer(evidence: EvidenceLog, wanted: Decision, take: Take, now_ms: int) -> Decision | None:
    """What came of it, recorded; None where another worker was quicker."""
    asked = {"key": json.loads(wanted.detail)["key"]}
    kind, by = (RELEASED, take) if wanted.kind == RELEASE_WANTED else (DISCARDED, _discard)
    try:
        with evidence.transaction():
            if wanted.asked_as in _answered(evidence):
                return None
            return _settle(evidence, wanted._replace(at_ms=now_ms, kind=kind), by, asked)
    except Refused as error:
        detail = json.dumps({"outcome": str(error), **asked}, ensure_ascii=False)
        kept = wanted._replace(at_ms=now_ms, kind=KEPT, detail=detail)
        with evidence.transaction():
            if wanted.asked_as in _answered(evidence):
                return None
            evidence.decide(kept)
        return kept


def _settle(evidence: EvidenceLog, decision: Decision, take: Take, asked: Mapping[str, str] | None = None) -> Decision:
    """Takes the message out of the quarantine and records what came of it; inside the caller's transaction."""
    entry = entry_of(evidence, int(decision.subject))
    detail = {
        **take(entry, decision.at_ms),
        "received_ms": entry.received_ms,
        "source": entry.source,
        "reason": entry.reason,
        "bytes": len(entry.payload),
        "sha256": hashlib.sha256(entry.payload).hexdigest(),
        **(asked or {}),
    }
    made = decision._replace(detail=json.dumps(detail, ensure_ascii=False))
    if not evidence.drop_quarantined(entry.id):
        raise EntryUnknown(f"message {entry.id} was decided about meanwhile; see: hakari quarantine records")
    evidence.decide(made)
    return made


def _discard(_entry: Quarantined, _now_ms: int) -> dict[str, str]:
    return {"outcome": "discarded"}


def _answered(evidence: EvidenceLog) -> set[tuple[str, str] | None]:
    """Who asked under which key and has an answer."""
    return {one.asked_as for kind in (RELEASED, DISCARDED, KEPT) for one in evidence.decisions(kind)}
