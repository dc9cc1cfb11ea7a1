"""The commands that ask edges from afar, over a folder in which anything may lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.cli.root import main
from hakari.errors import DATA_PROBLEM, REFUSED
from hakari.log.note import SigningKey
from hakari.log.request import Request, sign_request
from hakari.log.roster import EdgeKey, NamedKey, Roster, sign_roster
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from ingest.outgoing import Named, named
from tests.unit.ingest_world import OWNER, SETTINGS

EDGE = "sola-e1"
STRANGER = SigningKey("plant.example/engineer", Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
AWFUL = ("sola-e1.7.note", "sola-e1.6.unsent", "sola-e1.5.1.2.done")
FOREIGN = ("sola-e1.note.bak", "sola-e1.note", "README.txt", ".note", "sola-e1.x.note", "sola-e1.1.2.note", "A.1.note",
           "sola-e1.1.done", f"sola-e1.{'9' * 5000}.note"[:200])  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ingest.toml"
    path.write_text(SETTINGS.replace("[ingest]", '[ingest]\noutgoing = "outgoing"'))
    assert main(["keys", "configurer", "--out", str(tmp_path / "c.pem"), "--name", "plant.example/engineer"]) == 0
    assert main(["keys", "edge", "--out", str(tmp_path / "edge.pem")]) == 0
    key, edge = ((tmp_path / f"{name}.pem.pub").read_text().strip() for name in ("c", "edge"))
    roster = Roster("plant.example", 1, [EdgeKey(EDGE, edge)], configurers=[NamedKey("plant.example/engineer", key)])
    (tmp_path / "roster").write_bytes(sign_roster(roster, OWNER))
    SqliteEvidenceLog(tmp_path / "evidence.db").close()
    outgoing = tmp_path / "outgoing"
    outgoing.mkdir()
    for name in (*AWFUL, *FOREIGN):
        (outgoing / name).write_bytes(b"\xff no note")
    (outgoing / "sola-e1.8.note").mkdir()
    (outgoing / "sola-e1.9.note").write_bytes(
        sign_request(Request(EDGE, 9, "diagnostics", 1_700_000_000, 1_700_000_100, "bus"), STRANGER)
    )
    return path


def test_one_bad_file_is_a_row_and_hides_none_of_the_others(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ingest", "requests", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["requests"]
    assert [(one["serial"], one["state"]) for one in told] == [
        (5, "unreadable"), (6, "unreadable"), (7, "unreadable"), (8, "unreadable"), (9, "waiting"),
    ]  # fmt: skip
    assert all(one["told"].startswith(f"sola-e1.{one['serial']}.") for one in told[:4])


def test_a_foreign_file_keeps_nobody_from_asking(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    asked = ["ingest", "ask", EDGE, "link", "--key", str(config.with_name("c.pem")), "--config", str(config), "--json"]
    assert main(asked) == 0
    assert Path(json.loads(capsys.readouterr().out)["file"]).is_file()


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"# caf\xe9\n", "is no UTF-8 at byte 5"), (b"", "has 0 characters"), (None, "cannot be read")],
)
def test_a_file_that_is_no_settings_is_refused_in_one_sentence(
    config: Path, content: bytes | None, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config.with_name("meters.toml")
    if content is not None:
        file.write_bytes(content)
    capsys.readouterr()
    sent = ["ingest", "send-configuration", EDGE, str(file), "--key", str(config.with_name("c.pem"))]
    assert main([*sent, "--config", str(config)]) in {REFUSED, DATA_PROBLEM}
    said = capsys.readouterr().err
    assert part in said
    assert said.count("\n") == 1


def test_names_are_read_exactly() -> None:
    for name in FOREIGN:
        assert named(Path(name)) is None, name
    assert {named(Path(name)) for name in AWFUL} == {Named(EDGE, serial) for serial in (5, 6, 7)}
