"""A backup is the whole log of one moment, checked; a restore puts it into either kind of place, or changes nothing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hakari.errors import Refused
from hakari.log.keyfile import write_new
from hakari.log.mark import Cosigner, cosign_text
from hakari.log.note import SigningKey, sign
from hakari.log.roster import NamedKey
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.settings import load
from hakari.store.evidence import DISCARDED, RESTORED, Decision, EvidenceLog
from hakari.store.evidence_copy import PlaceTaken
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.opened import open_evidence
from hakari.wire.leaf import encode
from ingest.evidence.backup import BackupDamaged, Restoring, backup, noted, restore
from ingest.evidence.backup_note import BackupKeyUnknown, BackupNoteInvalid, BackupNoteMissing, note_of
from ingest.evidence.fsck import fsck
from ingest.settings import Settings
from tests.system.postgres import PostgresServer
from tests.unit.ingest_world import SETTINGS
from tests.unit.test_fsck import FIRST, ROSTER, SECOND, leaf, store

PLACE = 'evidence = "evidence.db"\n'
COSIGNER = Cosigner("ingest", Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
HELD = ROSTER.following(cosigners=[NamedKey("ingest", str(COSIGNER.verifier))])
WANTED = Restoring("operator", "the disk broke", 1_700_000_000_000, replace=False)


class Room(NamedTuple):
    """A settings file, and what it says."""

    config: Path
    given: Settings

    def opened(self, *, read_only: bool = False) -> closing[EvidenceLog]:
        where = self.given.ingest.evidence, self.given.postgresql
        return closing(open_evidence(self.config, *where, read_only=read_only))

    def backup(self, file: Path) -> int:
        return backup(self.config, self.given, HELD, file, 1_700_000_000, lambda _: None)[1].leaves

    def restore(self, file: Path, *, replace: bool = False, sha256: str = "", without_note: str = "") -> str:
        asked = WANTED._replace(replace=replace, sha256=sha256, without_note=without_note)
        return restore(self.config, self.given, HELD, file, asked, lambda _: None).moved_to


def room(kind: str, folder: Path, request: pytest.FixtureRequest) -> Room:
    folder.mkdir()
    assert PLACE in SETTINGS
    text = SETTINGS
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        text = SETTINGS.replace(PLACE, "") + "\n" + server.table(server.settings(folder))
    config = folder / "ingest.toml"
    config.write_text(text)
    write_new(
        folder / "cosigner.pem",
        COSIGNER.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        0o600,
    )
    return Room(config, load(config, Settings, "ingest", {}))


def fill(log: EvidenceLog) -> None:
    """Something of everything that a log holds."""
    for origin, size in ((FIRST, 30), (SECOND, 3)):
        for i in range(size):
            store(log, origin, encode(leaf(origin, i)))
    with log.transaction():
        log.put_mark(FIRST, 30, b"mark")
        log.put_pending(SECOND, 5, b"early", 2)
        log.keep_conflict(SECOND, b"fork", 3)
        log.freeze(SECOND)
        for k in range(3):
            log.quarantine(f"topic {k}", "reason", bytes([k]), k)
        newest = log.quarantined()[0]
        log.decide(Decision(4, DISCARDED, str(newest.id), "who", "why"))
        log.drop_quarantined(newest.id)


def frontier_of_first(size: int) -> tuple[bytes, ...]:
    frontier: tuple[bytes, ...] = ()
    for i in range(size):
        frontier = extend(frontier, i, leaf_hash(encode(leaf(FIRST, i))))
    return frontier


def cut_to(size: int) -> tuple[str, ...]:
    """The first origin cut short, as somebody does who knows the tree."""
    frontier = frontier_of_first(size)
    head = f"size = {size}, frontier = x'{b''.join(frontier).hex()}', root = x'{root_of(frontier).hex()}'"
    return (
        f"DELETE FROM leaf WHERE origin = 1 AND i >= {size}",
        "DELETE FROM mark",
        f"UPDATE origin SET {head} WHERE id = 1",
    )


def everything(log: EvidenceLog) -> list[object]:
    return [
        [(origin, log.head(origin), list(log.leaves(origin, 0, 999))) for origin in log.origins()],
        (log.mark(FIRST, 30), log.pending(SECOND, 5), log.conflicts(SECOND)),
        (log.quarantined(), log.quarantine_total(), [one for one in log.decisions() if one.kind != RESTORED]),
    ]


@pytest.mark.parametrize(("kind", "onto"), [(a, b) for a in ("file", "postgres") for b in ("file", "postgres")])
def test_a_backup_is_restored_whole(kind: str, onto: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source, target, file = room(kind, tmp_path / "a", request), room(onto, tmp_path / "b", request), tmp_path / "backup"
    with source.opened() as log:
        fill(log)
        assert source.backup(file) == 33  # while a writer has it open
        expected, number = everything(log), max(int(one.subject) for one in log.decisions(DISCARDED))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup", "backup.note"], (
        "one file and its note"
    )
    assert target.restore(file) == ""
    with target.opened() as log:
        assert everything(log) == expected
        [decision] = log.decisions(RESTORED)
        assert decision[:1] + decision[3:5] == (WANTED.at_ms, WANTED.who, WANTED.why)
        assert json.loads(decision.detail)["leaves"] == 33
        store(log, FIRST, encode(leaf(FIRST, 30)))
        store(log, Origin("plant.example", FIRST.edge_id, 1900), encode(leaf(FIRST, 0)))
        with log.transaction():
            log.quarantine("topic", "reason", b"", 1)
            log.put_pending(SECOND, 6, b"early", 2)
        assert log.quarantined(1)[0].id > number, "a number that a decision names was given again"


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_a_log_that_is_there_is_moved_away_only_when_told(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ours, file = room(kind, tmp_path / "a", request), tmp_path / "backup"
    with ours.opened() as log:
        fill(log)
        ours.backup(file)
        store(log, FIRST, encode(leaf(FIRST, 30)))
        with pytest.raises(PlaceTaken, match="in use"):
            ours.restore(file, replace=True)
        assert log.head(FIRST).size == 31
    with pytest.raises(PlaceTaken, match="--replace"):
        ours.restore(file)
    with pytest.raises(PlaceTaken, match="is not overwritten"):
        ours.backup(file)
    with ours.opened(read_only=True), pytest.raises(PlaceTaken, match="in use"):
        ours.restore(file, replace=True)
    moved_to = ours.restore(file, replace=True)
    with ours.opened() as log:
        assert log.head(FIRST).size == 30
    text = ours.config.read_text()
    new = {"file": ('"evidence.db"', f'"{moved_to}"'), "postgres": ('schema = "', f'schema = "{moved_to}" # ')}[kind]
    ours.config.write_text(text.replace(*new))
    with Room(ours.config, load(ours.config, Settings, "ingest", {})).opened(read_only=True) as log:
        assert log.head(FIRST).size == 31


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_a_damaged_backup_changes_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ours, file = room(kind, tmp_path / "a", request), tmp_path / "backup"
    with ours.opened() as log:
        fill(log)
        ours.backup(file)
        before = everything(log)
    with closing(sqlite3.connect(file)) as db:
        db.execute("DROP TRIGGER leaf_holds")
        db.execute("UPDATE leaf SET deflated = (SELECT deflated FROM leaf WHERE i = 1) WHERE i = 2")
        db.commit()
    with pytest.raises(
        BackupDamaged, match="table leaf has 33 rows as the note says, and not all of them are the same"
    ):
        ours.restore(file, replace=True)
    note_of(file).unlink()
    with pytest.raises(BackupDamaged, match="leaf 2: its stored hash is not that of its body"):
        ours.restore(file, replace=True, without_note="the note was lost")
    with ours.opened() as log:
        assert everything(log) == before
        assert log.decisions(RESTORED) == []


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (cut_to(29), f"origin {FIRST} has 29 leaves, the note says 30"),
        (
            ("DELETE FROM leaf WHERE origin = 2", "DELETE FROM pending", "DELETE FROM conflict",
             "DELETE FROM origin WHERE id = 2"),
            f"origin {SECOND} is missing",
        ),
        (("DELETE FROM decision",), "table decision has 0 rows, the note says 1"),
        (
            ("INSERT INTO decision VALUES (9, 1, 'bodies-forgone', 'x', 'somebody', 'why', '')",),
            "table decision has 2 rows, the note says 1",
        ),
        (("UPDATE decision SET who = 'somebody else'",), "table decision has 1 rows as the note says, and not all"),
        (("UPDATE leaf SET received_ms = 5 WHERE i = 3",), "table leaf has 33 rows as the note says, and not all"),
        (("UPDATE quarantine SET reason = 'harmless'",), "table quarantine has 2 rows as the note says, and not all"),
        (("UPDATE origin SET frozen = 0",), f"origin {SECOND} has another root or state than the note says"),
        (("PRAGMA user_version = 7",), "its bytes are others"),
    ],
)  # fmt: skip
def test_what_no_signature_of_an_edge_finds_in_a_backup_its_note_finds(
    statements: tuple[str, ...], told: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ours, file = room("file", tmp_path / "a", request), tmp_path / "backup"
    with ours.opened() as log:
        fill(log)
        ours.backup(file)
        before = everything(log)
    with closing(sqlite3.connect(file)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(statement)
        db.commit()
    with closing(SqliteEvidenceLog(file, read_only=True)) as altered:
        checked = fsck(altered, HELD, lambda _: None)
        assert checked.problem_count == 0, "or this proves nothing about the note"
    with pytest.raises(BackupDamaged) as refused:
        ours.restore(file, replace=True)
    assert told in str(refused.value)
    assert "is not the backup that ingest at 2023-11-14T22:13:20" in str(refused.value)
    assert [one.text.split(" (")[0] for one in noted(file, HELD, checked).problems if told in one.text]
    with ours.opened() as log:
        assert everything(log) == before


def test_a_backup_is_taken_by_its_note_and_its_hash_or_by_a_reason_that_is_kept(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ours, file = room("file", tmp_path / "a", request), tmp_path / "backup"
    with ours.opened() as log:
        fill(log)
        ours.backup(file)
        decided = log.decisions()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(BackupDamaged, match=rf"its SHA-256 is {digest}, --sha256 says {'0' * 64}"):
        ours.restore(file, replace=True, sha256="0" * 64)
    with pytest.raises(Refused, match="leave --without-note out"):
        ours.restore(file, replace=True, without_note="no time")
    ours.restore(file, replace=True, sha256=digest)
    with ours.opened() as log:
        *kept, restored = log.decisions()
    assert kept == decided
    assert json.loads(restored.detail)["note"].startswith("ingest at 2023-11-14T22:13:20")
    note = note_of(file).read_bytes()
    note_of(file).unlink()
    with pytest.raises(BackupNoteMissing, match=r"there is no backup\.note beside it.*--without-note REASON"):
        ours.restore(file, replace=True)
    for wrong in (b"", note.replace(b'"size":30', b'"size":29'), note.replace(b"hakari backup v1", b"hakari backup v2"),
                  sign("hakari backup v1\n{}\n", SigningKey("ingest", COSIGNER.private))):  # fmt: skip
        note_of(file).write_bytes(wrong)
        with pytest.raises(BackupNoteInvalid, match="cannot be believed"):
            ours.restore(file, replace=True)
    note_of(file).write_bytes(cosign_text("hakari backup v1\n{}\n", COSIGNER, 1))
    with pytest.raises(BackupNoteInvalid, match="cannot be believed"):
        ours.restore(file, replace=True)
    note_of(file).unlink()
    (tmp_path / "a" / "evidence.db").unlink()
    ours.restore(file, without_note="its disk was lost with it")
    with ours.opened() as log:
        assert json.loads(log.decisions(RESTORED)[0].detail)["without_note"] == "its disk was lost with it"


def test_a_key_that_the_roster_lacks_makes_no_backup(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ours = room("file", tmp_path / "a", request)
    with ours.opened() as log:
        fill(log)
    with pytest.raises(BackupKeyUnknown, match="add-cosigner"):
        backup(ours.config, ours.given, ROSTER, tmp_path / "backup", 1, lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_log_that_is_damaged_gives_no_backup(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ours = room("file", tmp_path / "a", request)
    with ours.opened() as log:
        fill(log)
    with closing(sqlite3.connect(tmp_path / "a" / "evidence.db")) as db:
        db.execute("DROP TRIGGER leaf_stays")
        db.execute("DELETE FROM leaf WHERE i = 7")
        db.commit()
    with pytest.raises(BackupDamaged, match="is missing though the head says"):
        ours.backup(tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
