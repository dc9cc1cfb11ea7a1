"""Signed requests on their way: sent until the edge's own log answers them, and by their shard's owner alone."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.note import SigningKey
from hakari.log.request import Request, sign_request
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.wire.leaf import Event
from ingest.outgoing import Outgoing, file_name
from tests.unit import calc_world as w

KEY = SigningKey("plant.example/engineer", Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
STRANGER = SigningKey(KEY.name, Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
MADE_S = w.START_MS // 1000


class Sending:
    """An outgoing folder over the evidence of a small plant; `sent` are edge and note of each publish."""

    def __init__(self, folder: Path, *, mine: bool = True) -> None:
        self.world = w.World(folder / "world")
        self.world.configure()
        self.folder = folder / "outgoing"
        self.folder.mkdir()
        self.sent: list[tuple[str, bytes]] = []
        edge = EdgeKey(w.EDGE, base64.b64encode(self.world.edge_key.public_key().public_bytes_raw()).decode())
        roster = Roster(w.NAMESPACE, 1, [edge], configurers=[NamedKey(KEY.name, str(KEY.verifier))])
        self.outgoing = Outgoing(
            self.folder, self.world.evidence, lambda *one: self.sent.append(one), lambda: roster, lambda _: mine
        )
        self.now_s = 0.0

    def put(self, serial: int, key: SigningKey = KEY, edge: str = w.EDGE) -> Path:
        request = Request(edge, serial, "diagnostics", MADE_S, MADE_S + 1000, "status")
        path = self.folder / file_name(request._replace(edge=w.EDGE))
        path.write_bytes(sign_request(request, key))
        return path

    def pass_s(self, seconds: float, *, heard: bool = True, now_s: int = MADE_S) -> None:
        for _ in range(int(seconds / 3)):
            self.now_s += 3.0
            if heard:
                self.outgoing.heard({w.EDGE})
            self.outgoing.work(self.now_s, now_s * 1000)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def test_a_request_goes_out_at_once_and_again_ever_slower_while_its_edge_is_heard(tmp_path: Path) -> None:
    sending = Sending(tmp_path)
    sending.put(5)
    sending.pass_s(3)
    assert len(sending.sent) == 1
    sending.pass_s(600, heard=False)
    assert len(sending.sent) == 1, "nobody is there"
    sending.pass_s(3600)
    assert 10 < len(sending.sent) < 20
    assert {edge for edge, _ in sending.sent} == {w.EDGE}


@pytest.mark.parametrize("kind", ["diagnostics", "diagnostics-refused", "configuration-taken", "configuration-refused"])
def test_the_edges_own_event_ends_it(tmp_path: Path, kind: str) -> None:
    sending = Sending(tmp_path)
    sending.put(5)
    sending.pass_s(3)
    sending.world.leaf(
        1, events=[Event(kind, w.START_MS, {"serial": "4"}), Event("start", w.START_MS, {"serial": "5"})]
    )
    sending.pass_s(9)
    assert sending.names() == [f"{w.EDGE}.5.note"]
    sending.world.leaf(1, events=[Event(kind, w.START_MS, {"serial": "5", "reason": "why"})])
    i = sending.world.evidence.head(w.ORIGIN).size - 1
    sending.pass_s(3)
    assert sending.names() == [f"{w.EDGE}.5.1.{i}.done"]
    sent = len(sending.sent)
    sending.pass_s(600)
    assert len(sending.sent) == sent


def test_after_a_restart_an_answer_that_is_there_already_ends_it(tmp_path: Path) -> None:
    sending = Sending(tmp_path)
    sending.world.leaf(1, events=[Event("diagnostics", w.START_MS, {"serial": "5"})])
    sending.put(5)
    sending.pass_s(3)
    assert [name.rsplit(".", 1)[1] for name in sending.names()] == ["done"]


def test_what_has_expired_or_was_taken_away_is_sent_no_longer(tmp_path: Path) -> None:
    sending = Sending(tmp_path)
    sending.put(5)
    path = sending.put(6)
    sending.pass_s(3)
    path.unlink()
    sending.pass_s(3, now_s=MADE_S + 1001)
    assert sending.names() == [f"{w.EDGE}.5.expired"]
    sent = len(sending.sent)
    sending.pass_s(600)
    assert len(sending.sent) == sent


def test_only_what_a_configurer_signed_for_that_edge_is_sent(tmp_path: Path) -> None:
    sending = Sending(tmp_path)
    sending.put(5, STRANGER)
    sending.put(6, edge="other-e1")
    (sending.folder / f"{w.EDGE}.7.note").write_bytes(bytes(100_000))
    (sending.folder / f"{w.EDGE}.8.note").mkdir()
    sending.pass_s(30)
    assert sending.sent == []
    assert {name.rsplit(".", 1)[1] for name in sending.names()} == {"unsent"}


def test_a_worker_leaves_the_edges_of_other_shards_alone(tmp_path: Path) -> None:
    sending = Sending(tmp_path, mine=False)
    sending.put(5)
    sending.pass_s(30)
    assert (sending.sent, sending.names()) == ([], [f"{w.EDGE}.5.note"])


def test_a_folder_that_is_gone_is_said_once_and_stops_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sending = Sending(tmp_path)
    sending.folder.rmdir()
    sending.pass_s(30)
    assert len([one for one in caplog.records if "make that folder" in one.getMessage()]) == 1
    sending.folder.mkdir()
    sending.put(5)
    sending.pass_s(3)
    assert len(sending.sent) == 1
