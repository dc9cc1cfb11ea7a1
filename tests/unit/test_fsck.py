"""fsck finds whatever is not exactly what the edges signed, and nothing in a whole log."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.keyfile import public_bytes
from hakari.log.roster import ApprovedEpoch, EdgeKey, Roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog, StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.wire.envelope import EnvelopeMalformed, deflate, inflate
from hakari.wire.leaf import Leaf, Sync, encode
from ingest.evidence.fsck import Report, fsck

EDGE = "sola-e1"
FIRST = Origin("plant.example", EDGE, 1700)
SECOND = Origin("plant.example", EDGE, 1800)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = base64.b64encode(public_bytes(KEY)).decode()
ROSTER = Roster("plant.example", 1, [EdgeKey(EDGE, PUBLIC)], [ApprovedEpoch(EDGE, 1700)])
SIZE = 13


def leaf(origin: Origin, i: int) -> Leaf:
    salt = base64.b64encode(bytes([i]) * 16).decode()
    return Leaf(1, origin.edge_id, origin.epoch, i, salt, "0123456789abcdef", i, i, Sync("lockstep"), "", "hakari")


def store(log: EvidenceLog, origin: Origin, body: bytes, key: Ed25519PrivateKey = KEY) -> None:
    with log.transaction():
        head = log.head(origin)
        digest = leaf_hash(body)
        frontier = extend(head.frontier, head.size, digest)
        signed = sign_checkpoint(Checkpoint(origin, head.size + 1, root_of(frontier)), key)
        stored = StoredLeaf(head.size, digest, deflate(body), signed, 1)
        assert log.append(origin, head.size, stored, frontier, root_of(frontier))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEvidenceLog]:
    opened = SqliteEvidenceLog(tmp_path / "evidence.db")
    for origin, size in ((FIRST, SIZE), (SECOND, 3)):
        for i in range(size):
            store(opened, origin, encode(leaf(origin, i)))
    yield opened
    opened.close()


def damage(log: SqliteEvidenceLog, *statements: str) -> None:
    """Changes the file as a hand with a database shell would."""
    with log.transaction():
        for trigger in ("leaf_stays", "leaf_holds", "origin_stays", "origin_grows"):
            log._db.run(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            log._db.run(statement)


def report(log: SqliteEvidenceLog, roster: Roster = ROSTER) -> Report:
    return fsck(log, roster, lambda _: None)


def found(log: SqliteEvidenceLog) -> list[tuple[int | None, str]]:
    return [(problem.leaf, problem.text) for problem in report(log).problems]


def test_whole_log_has_no_problem(log: SqliteEvidenceLog) -> None:
    seen: list[int] = []
    checked = fsck(log, ROSTER, seen.append)
    assert (checked.leaves, checked.problem_count, checked.problems) == (SIZE + 3, 0, [])
    assert [(o.origin, o.leaves, o.approved, o.frozen) for o in checked.origins] == [
        (str(FIRST), SIZE, True, False), (str(SECOND), 3, False, False)
    ]  # fmt: skip
    assert checked.origins[0].root == log.head(FIRST).root.hex()
    assert sum(seen) == SIZE + 3


def test_frozen_origin_is_told_and_is_no_problem(log: SqliteEvidenceLog) -> None:
    with log.transaction():
        log.freeze(SECOND)
    checked = report(log)
    assert [origin.frozen for origin in checked.origins] == [False, True]
    assert checked.problem_count == 0


@pytest.mark.parametrize(
    ("statement", "leaf_number", "text"),
    [
        ("DELETE FROM leaf WHERE origin = 1 AND i = 4", 4, "is missing though the head says 13 leaves"),
        ("UPDATE origin SET size = 12 WHERE id = 1", 12, "stands beyond the head of 12 leaves"),
        ("UPDATE origin SET size = 14 WHERE id = 1", 13, "is missing though the head says 14 leaves"),
        ("UPDATE origin SET root = zeroblob(32) WHERE id = 1", None, "stored frontier or root is not that"),
        ("UPDATE origin SET frontier = zeroblob(96) WHERE id = 1", None, "stored frontier or root is not that"),
        ("UPDATE leaf SET leaf_hash = zeroblob(32) WHERE origin = 1 AND i = 4", 4, "stored hash is not that"),
        ("UPDATE leaf SET deflated = x'ff' WHERE origin = 1 AND i = 4", 4, "leaf is not deflated data"),
        ("UPDATE leaf SET checkpoint = x'00' WHERE origin = 1 AND i = 4", 4, "its checkpoint cannot be used"),
        ("UPDATE origin SET namespace = 'other.example' WHERE id = 1", None, "is not plant.example"),
        (
            "UPDATE leaf SET checkpoint = (SELECT checkpoint FROM leaf WHERE origin = 1 AND i = 5) WHERE i = 4",
            4,
            "its checkpoint is that of plant.example/sola/e1/1700, size 6",
        ),
    ],
)
def test_damage_is_found_and_named(log: SqliteEvidenceLog, statement: str, leaf_number: int | None, text: str) -> None:
    damage(log, statement)
    problems = found(log)
    assert any(number == leaf_number and text in sentence for number, sentence in problems), problems


def test_swapped_leaves_are_found(log: SqliteEvidenceLog) -> None:
    damage(
        log,
        "UPDATE leaf SET i = -1 WHERE origin = 1 AND i = 4",
        "UPDATE leaf SET i = 4 WHERE origin = 1 AND i = 5",
        "UPDATE leaf SET i = 5 WHERE origin = 1 AND i = -1",
    )
    problems = found(log)
    assert (4, "its body says it is sola-e1 1700/5") in problems
    assert (4, "its checkpoint is that of plant.example/sola/e1/1700, size 6") in problems


def test_every_flipped_bit_of_a_leaf_is_found(log: SqliteEvidenceLog) -> None:
    seeded = random.Random(3)
    with log.transaction():
        log._db.run("DROP TRIGGER leaf_holds")
    for _ in range(60):
        i = seeded.randrange(SIZE)
        column = seeded.choice(["leaf_hash", "deflated", "checkpoint"])
        whole = log._db.all(f"SELECT {column} FROM leaf WHERE origin = 1 AND i = ?", (i,))[0][0]
        flipped = bytearray(whole)
        flipped[seeded.randrange(len(flipped))] ^= 1 << seeded.randrange(8)
        with log.transaction():
            log._db.run(f"UPDATE leaf SET {column} = ? WHERE origin = 1 AND i = ?", (bytes(flipped), i))
        # A deflate stream has bits that change no byte of the body; the body is what is signed.
        same_body = column == "deflated" and is_same_body(bytes(flipped), whole)
        assert same_body or report(log).problem_count > 0, (i, column)
        with log.transaction():
            log._db.run(f"UPDATE leaf SET {column} = ? WHERE origin = 1 AND i = ?", (whole, i))
    assert report(log).problem_count == 0


def is_same_body(flipped: bytes, whole: bytes) -> bool:
    try:
        return inflate(flipped) == inflate(whole)
    except EnvelopeMalformed:
        return False


def test_leaf_signed_by_a_key_that_is_not_the_rosters(log: SqliteEvidenceLog) -> None:
    store(log, FIRST, encode(leaf(FIRST, SIZE)), STRANGER)
    assert [(number, "is not signed by its edge's key" in text) for number, text in found(log)] == [(SIZE, True)]


def test_root_that_the_edge_signed_and_its_leaves_do_not_give(log: SqliteEvidenceLog) -> None:
    other = sign_checkpoint(Checkpoint(FIRST, 5, leaf_hash(b"another tree")), KEY)
    damage(log, f"UPDATE leaf SET checkpoint = x'{other.hex()}' WHERE origin = 1 AND i = 4")
    assert found(log) == [(4, "the leaves up to it do not give the root signed for size 5")]


def test_edge_that_the_roster_does_not_hold(log: SqliteEvidenceLog) -> None:
    checked = report(log, Roster("plant.example", 2))
    assert checked.problem_count == SIZE + 3
    assert "the roster has no key of sola-e1 for 1700, size 1" in checked.problems[0].text


def test_signed_garbage_and_foreign_leaves_are_named(log: SqliteEvidenceLog) -> None:
    store(log, FIRST, b"signed, and yet no leaf")
    store(log, FIRST, encode(leaf(SECOND, 2)))
    problems = found(log)
    assert [number for number, _ in problems] == [SIZE, SIZE + 1]
    assert "leaf body is not a leaf" in problems[0][1]
    assert problems[1][1] == "its body says it is sola-e1 1800/2"


def test_a_key_holds_up_to_the_place_where_the_roster_ends_it(tmp_path: Path) -> None:
    other = base64.b64encode(public_bytes(STRANGER)).decode()
    keys = [EdgeKey(EDGE, PUBLIC, 0, 0, 1700, 4), EdgeKey(EDGE, other, 1700, 4)]
    rotated = Roster("plant.example", 1, keys, [ApprovedEpoch(EDGE, 1700)])
    opened = SqliteEvidenceLog(tmp_path / "rotated.db")
    for i in range(5):
        store(opened, FIRST, encode(leaf(FIRST, i)), KEY if i < 3 else STRANGER)  # size 4 is the new key's first
    assert report(opened, rotated).problem_count == 0
    assert [problem.leaf for problem in report(opened).problems] == [3, 4]
    store(opened, FIRST, encode(leaf(FIRST, 5)), KEY)
    assert [problem.leaf for problem in report(opened, rotated).problems] == [5]
    opened.close()
