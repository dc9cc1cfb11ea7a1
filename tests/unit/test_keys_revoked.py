"""What a revoked or unknown key has signed is refused from the very leaf on that the owner named."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.log import EdgeLog
from edge.spool import Spool
from hakari.cli.keys import keys
from hakari.clock import PlantTime
from hakari.log import rosterfile
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.log.publicfile import verifier_of
from hakari.log.roster import Roster
from hakari.names import batch_topic
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.envelope import seal
from hakari.wire.leaf import Event
from ingest.receive.protocol import Receiver

T0_MS = 1_700_000_000_000
LEAVES = 6
NEW = "roster new roster.note --owner owner.pem --namespace plant.example --edge sola-e1=edge.pem.pub"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (
        "owner --out owner.pem --name plant.example/owner",
        "edge --out edge.pem",
        "cosigner --out ingest.pem --name plant.example/ingest",
        NEW,
    ):
        say(line)


def say(line: str) -> None:
    assert CliRunner().invoke(keys, line.split()).exit_code == 0, line


def roster() -> Roster:
    return rosterfile.read("roster.note", verifier_of("owner.pem.pub"))


def messages(key: Ed25519PrivateKey) -> tuple[int, list[bytes]]:
    """The epoch and the messages of an edge that signs with `key`."""
    spool = Spool(":memory:")
    log = EdgeLog(spool, key, "plant.example", "sola-e1", "00000000000000aa", "hakari test")
    log.start("{}", PlantTime(T0_MS, 1, "test"))
    while (state := spool.current()) is not None and state.size < LEAVES:
        now = PlantTime(T0_MS + state.size * 1000, state.size + 1, "test")
        log.add_event(Event("test", now.wall_ms), now)
    assert state is not None
    found = [spool.leaf(state.epoch, i) for i in range(LEAVES)]
    return state.epoch, [seal(leaf.checkpoint, leaf.deflated) for leaf in found if leaf is not None]


def taken(evidence: SqliteEvidenceLog, receiver: Receiver, sent: list[bytes]) -> list[str]:
    with evidence.transaction():
        return [receiver.receive(batch_topic("sola-e1"), raw, T0_MS)[0].word for raw in sent]


def test_bad_input_30_a_revoked_or_unknown_key_is_refused_and_told() -> None:
    epoch, sent = messages(load("edge.pem"))
    evidence = SqliteEvidenceLog(Path("evidence.db"))
    receiver = Receiver(evidence, roster(), Cosigner("plant.example/ingest", load("ingest.pem")))
    assert taken(evidence, receiver, sent[:2]) == ["appended"] * 2
    say(f"roster revoke roster.note --owner owner.pem --edge sola-e1 --epoch {epoch} --from-leaf 4")
    receiver.roster = roster()
    assert taken(evidence, receiver, sent[2:]) == ["appended", "appended", "quarantined", "quarantined"]
    assert taken(evidence, receiver, sent[:1]) == ["duplicate"], "what came before the end stays valid"
    reasons = [one.reason for one in evidence.quarantined()]
    told = f"is signed by an ended key of edge sola-e1, which was revoked or exchanged from leaf 4 of epoch {epoch} on"
    assert any(f"leaf 4 {told}; the device may be stolen" in reason for reason in reasons), reasons
    assert not any("enrol" in reason for reason in reasons)
    _, forged = messages(Ed25519PrivateKey.generate())
    assert taken(evidence, receiver, forged[:1]) == ["quarantined"]
    assert any("sign" in one.reason for one in evidence.quarantined()), [one.reason for one in evidence.quarantined()]
    evidence.close()


def test_a_new_key_signs_on_where_the_old_one_ended() -> None:
    say("edge --out new.pem")
    say("roster rotate roster.note --owner owner.pem --edge sola-e1 --epoch 1700 --from-leaf 4 --key new.pem.pub")
    known = roster()
    old, new = (base64.b64decode(Path(f"{name}.pem.pub").read_text()) for name in ("edge", "new"))
    assert [known.edge_key("sola-e1", 1700, size) for size in (4, 5)] == [old, new]
    assert known.edge_key("sola-e1", 1800, 1) == new


def test_a_device_that_goes_on_with_its_old_key_is_told_apart_from_a_forger_and_from_an_unknown_edge() -> None:
    epoch, sent = messages(load("edge.pem"))
    receiver = Receiver(
        SqliteEvidenceLog(Path("evidence.db")), roster(), Cosigner("plant.example/ingest", load("ingest.pem"))
    )
    topic = batch_topic("sola-e1")
    say("edge --out new.pem")
    say(f"roster rotate roster.note --owner owner.pem --edge sola-e1 --epoch {epoch} --from-leaf 3 --key new.pem.pub")
    receiver.roster = roster()
    said = receiver.open(topic, sent[3])
    assert isinstance(said, str)
    assert f"from leaf 3 of epoch {epoch} on" in said
    say(f"roster revoke roster.note --owner owner.pem --edge sola-e1 --epoch {epoch} --from-leaf 5")
    receiver.roster = roster()
    _, forged = messages(Ed25519PrivateKey.generate())
    said = receiver.open(topic, forged[5])
    assert isinstance(said, str)
    assert "all of its keys have ended, and none of them signed this" in said
    receiver.roster = receiver.roster.following(edges=[])
    said = receiver.open(topic, sent[0])
    assert isinstance(said, str)
    assert said.endswith("enrol the edge")
