"""A quarantined message leaves the quarantine only with a record, and enters the log only by the rules for any."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hakari.log.roster import Roster
from hakari.names import Origin, batch_topic
from hakari.store.evidence import (
    DISCARD_WANTED,
    DISCARDED,
    KEPT,
    RELEASE_WANTED,
    RELEASED,
    Decision,
    QuarantineTotal,
)
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from ingest.evidence.deciding import WhoAndWhyMissing
from ingest.evidence.quarantine import (
    EntryUnknown,
    NotReleased,
    carry_out_wanted,
    discard,
    in_log_now,
    release,
    take_message,
)
from ingest.receive.protocol import Receiver
from tests.simulation.world import EDGE_ID, NAMESPACE, keys
from tests.unit.test_ingest_protocol import EPOCH, Disk

ORIGIN = Origin(NAMESPACE, EDGE_ID, EPOCH)
TOPIC = batch_topic(EDGE_ID)
NOW_MS = EPOCH * 1000


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[SqliteEvidenceLog]:
    log = SqliteEvidenceLog(tmp_path / "evidence.db")
    yield log
    log.close()


def strangers(evidence: SqliteEvidenceLog) -> Receiver:
    """Has quarantined the first leaf of an edge that its roster did not list."""
    receiver = Receiver(evidence, Roster(NAMESPACE, 1), keys().cosigner)
    with evidence.transaction():
        assert [one.word for one in receiver.receive(TOPIC, Disk().message(0), NOW_MS)] == ["quarantined"]
    return receiver


def test_a_message_is_released_once_its_edge_is_enrolled(evidence: SqliteEvidenceLog) -> None:
    receiver = strangers(evidence)
    with pytest.raises(NotReleased, match="the roster has no key of edge"):
        release(evidence, 1, take_message(receiver), "An Operator", "tried", NOW_MS)
    assert evidence.quarantine_total().kept == 1  # the refused try left no second copy
    assert evidence.decisions() == []
    receiver.roster = keys().roster
    made = release(evidence, 1, take_message(receiver), "An Operator", "edge enrolled late", NOW_MS)
    assert evidence.head(ORIGIN).size == 1
    assert evidence.mark(ORIGIN, 1) is not None
    assert evidence.quarantine_total() == QuarantineTotal(0, 0, 0)
    assert evidence.decisions(RELEASED, "1") == [made]
    detail = json.loads(made.detail)
    assert (detail["outcome"], detail["source"]) == ("appended", TOPIC)
    assert len(detail["sha256"]) == 64
    with pytest.raises(EntryUnknown):
        release(evidence, 1, take_message(receiver), "An Operator", "again", NOW_MS)


def test_a_release_of_what_arrived_meanwhile_counts_nothing_twice(evidence: SqliteEvidenceLog) -> None:
    receiver = strangers(evidence)
    receiver.roster = keys().roster
    with evidence.transaction():
        receiver.receive(TOPIC, Disk().message(0), NOW_MS)
    size = evidence.head(ORIGIN).size
    made = release(evidence, 1, take_message(receiver), "An Operator", "why not", NOW_MS)
    assert json.loads(made.detail)["outcome"] in ("duplicate", "conflict")
    assert evidence.head(ORIGIN).size == size == 1


def test_a_discarded_message_leaves_its_hash_and_its_reason(evidence: SqliteEvidenceLog) -> None:
    with evidence.transaction():
        evidence.quarantine("somewhere", "no envelope", b"garbage", NOW_MS)
    made = discard(evidence, 1, "An Operator", "a port scan", NOW_MS + 1)
    assert evidence.quarantined_entry(1) is None
    assert json.loads(made.detail) == {
        "outcome": "discarded",
        "received_ms": NOW_MS,
        "source": "somewhere",
        "reason": "no envelope",
        "bytes": 7,
        "sha256": hashlib.sha256(b"garbage").hexdigest(),
    }
    assert evidence.decisions(DISCARDED) == [made]


@pytest.mark.parametrize(("who", "why"), [("", "x"), (" ", "x"), ("x", ""), ("x" * 201, "x"), ("x", "x" * 1001)])
def test_a_decision_needs_who_and_why(evidence: SqliteEvidenceLog, who: str, why: str) -> None:
    with evidence.transaction():
        evidence.quarantine("somewhere", "no envelope", b"garbage", NOW_MS)
    with pytest.raises(WhoAndWhyMissing):
        discard(evidence, 1, who, why, NOW_MS)
    assert evidence.quarantine_total().kept == 1


def test_a_record_is_never_changed_or_deleted(evidence: SqliteEvidenceLog, tmp_path: Path) -> None:
    with evidence.transaction():
        evidence.decide(Decision(NOW_MS, DISCARDED, "1", "An Operator", "a port scan"))
    with sqlite3.connect(tmp_path / "evidence.db") as other:
        for statement in ("DELETE FROM decision", "UPDATE decision SET who = 'nobody'"):
            with pytest.raises(sqlite3.IntegrityError):
                other.execute(statement)


def wanted(kind: str, subject: int, key: str) -> Decision:
    return Decision(NOW_MS, kind, str(subject), "An Operator", "asked at the API", json.dumps({"key": key}))


def test_what_is_asked_for_at_the_api_is_done_once_and_answered(evidence: SqliteEvidenceLog) -> None:
    receiver = strangers(evidence)
    with evidence.transaction():
        evidence.quarantine("somewhere", "no envelope", b"garbage", NOW_MS)
        evidence.decide(wanted(RELEASE_WANTED, 1, "a" * 16))
        evidence.decide(wanted(DISCARD_WANTED, 2, "b" * 16))
        evidence.decide(wanted(DISCARD_WANTED, 99, "c" * 16))
    answers = carry_out_wanted(evidence, take_message(receiver), NOW_MS)
    assert [(one.kind, one.subject) for one in answers] == [(KEPT, "1"), (DISCARDED, "2"), (KEPT, "99")]
    assert "the roster has no key" in json.loads(answers[0].detail)["outcome"]
    assert carry_out_wanted(evidence, take_message(receiver), NOW_MS) == []
    receiver.roster = keys().roster
    with evidence.transaction():
        evidence.decide(wanted(RELEASE_WANTED, 1, "d" * 16))
    assert [one.kind for one in carry_out_wanted(evidence, take_message(receiver), NOW_MS)] == [RELEASED]
    assert evidence.head(ORIGIN).size == 1


def test_two_operators_with_the_same_key_are_both_answered(evidence: SqliteEvidenceLog) -> None:
    with evidence.transaction():
        for _ in range(2):
            evidence.quarantine("somewhere", "no envelope", b"garbage", NOW_MS)
        evidence.decide(wanted(DISCARD_WANTED, 1, "a" * 16))
        evidence.decide(wanted(DISCARD_WANTED, 2, "a" * 16)._replace(who="Another Operator"))
    answers = carry_out_wanted(evidence, take_message(Receiver(evidence, keys().roster, keys().cosigner)), NOW_MS)
    assert [(one.kind, one.subject) for one in answers] == [(DISCARDED, "1"), (DISCARDED, "2")]
    assert evidence.quarantine_total().kept == 0


def test_of_a_released_leaf_that_waited_it_is_told_when_it_stands_in_the_log(evidence: SqliteEvidenceLog) -> None:
    receiver, disk = Receiver(evidence, Roster(NAMESPACE, 1), keys().cosigner), Disk()
    messages = [disk.message(k) for k in range(2)]
    with evidence.transaction():
        receiver.receive(TOPIC, messages[1], NOW_MS)
    receiver.roster = keys().roster
    made = release(evidence, 1, take_message(receiver), "An Operator", "edge enrolled late", NOW_MS)
    assert json.loads(made.detail)["outcome"] == "pending"
    assert in_log_now(evidence, made) is False
    with evidence.transaction():
        receiver.receive(TOPIC, messages[0], NOW_MS)
    assert in_log_now(evidence, made) is True
    assert in_log_now(evidence, wanted(DISCARD_WANTED, 1, "a" * 16)) is None
