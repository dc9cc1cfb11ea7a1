"""Every adapter of the evidence log keeps what was committed, once, in order, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hakari.errors import NOT_REACHABLE, BadConfiguration
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog, Head, QuarantineTotal, StoredLeaf
from hakari.store.evidence_sqlite import EvidenceStoreFailed, Limits, SqliteEvidenceLog
from hakari.store.sqlite import StoreMisused

ORIGIN = Origin("plant.example", "sola-e1", 1700)
LATER = Origin("plant.example", "sola-e1", 1800)
OTHER = Origin("plant.example", "boil-e1", 1750)
LIMITS = Limits(
    pending_bytes=1000, conflicts=3, conflict_bytes=100, quarantined=5, quarantine_bytes=100, payload_bytes=60
)

Opener = Callable[[Path], SqliteEvidenceLog]
ADAPTERS: dict[str, Opener] = {"sqlite": lambda folder: SqliteEvidenceLog(folder / "evidence.db", limits=LIMITS)}


@pytest.fixture(params=list(ADAPTERS.values()), ids=list(ADAPTERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    found: Opener = request.param
    return found


@pytest.fixture
def log(opener: Opener, tmp_path: Path) -> Iterator[SqliteEvidenceLog]:
    opened = opener(tmp_path)
    yield opened
    opened.close()


class Next(NamedTuple):
    leaf: StoredLeaf
    frontier: tuple[bytes, ...]
    root: bytes


def following(head: Head, body: bytes = b"body", received_ms: int = 5) -> Next:
    digest = leaf_hash(body)
    frontier = extend(head.frontier, head.size, digest)
    return Next(StoredLeaf(head.size, digest, body, b"checkpoint", received_ms), frontier, root_of(frontier))


def grow(log: EvidenceLog, origin: Origin, count: int) -> None:
    with log.transaction():
        for k in range(count):
            after = following(log.head(origin), f"{origin} {k}".encode())
            assert log.append(origin, after.leaf.i, *after)


def test_unknown_origin_is_the_empty_tree(log: SqliteEvidenceLog) -> None:
    assert log.head(ORIGIN) == Head(0, (), EMPTY_ROOT, frozen=False)
    assert log.origins() == []
    assert log.leaf(ORIGIN, 0) is None
    assert list(log.leaves(ORIGIN, 0, 10)) == []
    assert log.pending(ORIGIN, 0) == []


def test_leaves_come_back_as_they_were_appended(opener: Opener, tmp_path: Path) -> None:
    log = opener(tmp_path)
    expected = []
    with log.transaction():
        for k in range(700):
            after = following(log.head(ORIGIN), random.Random(k).randbytes(50), k)
            expected.append(after.leaf)
            assert log.append(ORIGIN, k, *after)
            assert log.head(ORIGIN) == Head(k + 1, after.frontier, after.root, frozen=False)
    log.close()
    again = opener(tmp_path)
    assert list(again.leaves(ORIGIN, 0, 700)) == expected
    assert list(again.leaves(ORIGIN, 250, 520)) == expected[250:520]
    assert again.leaf(ORIGIN, 699) == expected[699]
    assert again.leaf(ORIGIN, 700) is None
    assert again.head(ORIGIN).size == 700
    again.close()


def test_origins_are_ordered_by_edge_and_epoch_and_apart(log: SqliteEvidenceLog) -> None:
    for origin, count in ((LATER, 2), (ORIGIN, 3), (OTHER, 1)):
        grow(log, origin, count)
    with log.transaction():
        log.put_pending(Origin("plant.example", "none-e1", 1), 1, b"early", 0)
    assert log.origins() == [OTHER, ORIGIN, LATER]
    assert [log.head(origin).size for origin in log.origins()] == [1, 3, 2]
    assert [leaf.i for leaf in log.leaves(LATER, 0, 99)] == [0, 1]


def test_append_is_compare_and_swap(log: SqliteEvidenceLog) -> None:
    stale = following(log.head(ORIGIN), b"loser")
    grow(log, ORIGIN, 2)
    head = log.head(ORIGIN)
    with log.transaction():
        assert not log.append(ORIGIN, 0, *stale)
    assert log.head(ORIGIN) == head
    assert [leaf.deflated for leaf in log.leaves(ORIGIN, 0, 9)] == [f"{ORIGIN} {k}".encode() for k in range(2)]


def test_append_beyond_the_head_is_refused_or_changes_nothing(log: SqliteEvidenceLog) -> None:
    ahead = following(Head(1, (leaf_hash(b"x"),), leaf_hash(b"x"), frozen=False))
    with log.transaction():
        assert not log.append(ORIGIN, 1, *ahead)
    with pytest.raises(StoreMisused, match="do not follow size 5"), log.transaction():
        log.append(ORIGIN, 5, *ahead)
    assert log.head(ORIGIN).size == 0


def test_the_first_mark_of_a_size_is_kept(log: SqliteEvidenceLog) -> None:
    grow(log, ORIGIN, 2)
    with log.transaction():
        log.put_mark(ORIGIN, 2, b"first")
        log.put_mark(ORIGIN, 2, b"second")
    assert log.mark(ORIGIN, 2) == b"first"
    assert log.mark(ORIGIN, 1) is None
    assert log.mark(ORIGIN._replace(epoch=999), 2) is None
    assert log.marked(ORIGIN, 1) == (2, b"first")
    assert log.marked(ORIGIN, 3) is None


def test_frozen_origin_never_grows(log: SqliteEvidenceLog) -> None:
    grow(log, ORIGIN, 1)
    with log.transaction():
        log.freeze(ORIGIN)
        assert not log.append(ORIGIN, 1, *following(log.head(ORIGIN)))
        log.freeze(OTHER)
    assert log.head(ORIGIN).frozen
    assert log.head(ORIGIN).size == 1
    assert log.head(OTHER) == Head(0, (), EMPTY_ROOT, frozen=True)
    assert log.origins() == [OTHER, ORIGIN]


def test_failed_transaction_leaves_nothing(log: SqliteEvidenceLog) -> None:
    grow(log, ORIGIN, 1)

    def half_a_group() -> None:
        with log.transaction():
            assert log.append(ORIGIN, 1, *following(log.head(ORIGIN)))
            assert log.append(LATER, 0, *following(log.head(LATER)))
            log.quarantine("topic", "reason", b"payload", 1)
            log.put_pending(OTHER, 3, b"early", 1)
            raise KeyError

    with pytest.raises(KeyError):
        half_a_group()
    assert log.head(ORIGIN).size == 1
    assert log.origins() == [ORIGIN]
    assert log.quarantined() == []
    assert log.pending(OTHER, 3) == []
    grow(log, LATER, 1)
    assert log.origins() == [ORIGIN, LATER]


def test_transactions_do_not_nest_and_writes_need_one(log: SqliteEvidenceLog) -> None:
    with log.transaction():
        grown = following(log.head(ORIGIN))
        with pytest.raises(StoreMisused, match="one is open already"), log.transaction():
            pass
        assert log.append(ORIGIN, 0, *grown)
    with pytest.raises(StoreMisused, match="needs a transaction"):
        log.append(ORIGIN, 1, *following(log.head(ORIGIN)))
    with pytest.raises(StoreMisused, match="needs a transaction"):
        log.quarantine("topic", "reason", b"", 1)
    assert log.head(ORIGIN).size == 1


def test_pending_is_kept_beside_each_other_within_its_places(log: SqliteEvidenceLog) -> None:
    grow(log, ORIGIN, 2)
    with log.transaction():
        for i, message in ((4, b"a"), (4, b"b"), (4, b"a"), (3, b"c"), (1, b"past"), (257, b"last"), (258, b"far")):
            log.put_pending(ORIGIN, i, message, 1)
    kept = {i: log.pending(ORIGIN, i) for i in (1, 3, 4, 257, 258)}
    assert kept == {1: [], 3: [b"c"], 4: [b"a", b"b"], 257: [b"last"], 258: []}
    with log.transaction():
        log.drop_pending(ORIGIN, 4)
    assert (log.pending(ORIGIN, 3), log.pending(ORIGIN, 4)) == ([], [b"a", b"b"])
    assert log.pending(LATER, 4) == []


def test_pending_over_its_bytes_gives_up_the_farthest_places(log: SqliteEvidenceLog) -> None:
    with log.transaction():
        for i in (9, 8, 7, 1):
            log.put_pending(ORIGIN, i, bytes([i]) * 300, 1)
        log.put_pending(OTHER, 9, b"x" * 300, 1)
    assert [bool(log.pending(ORIGIN, i)) for i in (1, 7, 8, 9)] == [True, True, True, False]
    assert log.pending(OTHER, 9) == [b"x" * 300]


def test_conflicts_are_kept_once_and_bounded(log: SqliteEvidenceLog) -> None:
    with log.transaction():
        kept = [log.keep_conflict(ORIGIN, message, 1) for message in (b"a", b"b", b"a", b"c", b"d", b"b")]
        assert kept == [True, True, True, True, False, True]
        assert not log.keep_conflict(OTHER, b"x" * 101, 1)
        assert log.keep_conflict(OTHER, b"y", 1)
    assert log.conflicts(ORIGIN) == [b"a", b"b", b"c"]
    assert log.conflicts(OTHER) == [b"y"]


def test_quarantine_keeps_the_newest_and_counts_the_rest(log: SqliteEvidenceLog) -> None:
    with log.transaction():
        for k in range(8):
            log.quarantine(f"topic {k}", f"reason {k}", bytes([k]), k)
    assert [entry.payload for entry in log.quarantined()] == [bytes([k]) for k in (7, 6, 5, 4, 3)]
    assert [entry.reason for entry in log.quarantined(2)] == ["reason 7", "reason 6"]
    assert log.quarantine_total() == QuarantineTotal(5, 5, 3)
    newest = log.quarantined(1)[0]
    assert (newest.source, newest.received_ms) == ("topic 7", 7)
    assert log.quarantined_entry(newest.id) == newest
    assert log.quarantined_entry(newest.id - 5) is None


def test_quarantine_is_bounded_in_bytes(log: SqliteEvidenceLog) -> None:
    with log.transaction():
        for k in range(4):
            log.quarantine("topic", "reason", bytes([k]) * 40, k)
        log.quarantine("topic", "too long", b"z" * 70, 9)
    assert log.quarantine_total() == QuarantineTotal(2, 100, 3)
    newest = log.quarantined()[0]
    assert newest.payload == b"z" * 60
    assert newest.reason == "too long (the first 60 of 70 bytes)"


def test_leaves_cannot_be_changed_by_another_hand(log: SqliteEvidenceLog, tmp_path: Path) -> None:
    grow(log, ORIGIN, 3)
    with log.transaction():
        log.freeze(OTHER)
    other = sqlite3.connect(tmp_path / "evidence.db", isolation_level=None)
    for statement in (
        "UPDATE leaf SET received_ms = 0",
        "DELETE FROM leaf WHERE i = 2",
        "UPDATE origin SET size = 2 WHERE size = 3",
        "UPDATE origin SET size = 5 WHERE size = 3",
        "UPDATE origin SET frozen = 0",
        "DELETE FROM origin",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(statement)
    other.close()
    assert log.head(ORIGIN).size == 3
    assert len(list(log.leaves(ORIGIN, 0, 9))) == 3


def test_full_disk_stops_everything_and_keeps_what_was_committed(opener: Opener, tmp_path: Path) -> None:
    log = opener(tmp_path)
    grow(log, ORIGIN, 3)
    pages = log._db._db.execute("PRAGMA page_count").fetchone()[0]
    log._db._db.execute(f"PRAGMA max_page_count = {pages + 3}")

    def fill() -> None:
        with log.transaction():
            for _ in range(100):
                after = following(log.head(ORIGIN), random.Random(1).randbytes(4000))
                log.append(ORIGIN, after.leaf.i, *after)

    with pytest.raises(EvidenceStoreFailed, match=r"is full \(SQLITE_FULL\); free space") as failed:
        fill()
    assert failed.value.exit_code == NOT_REACHABLE
    with pytest.raises(StoreMisused, match="failed before"), log.transaction():
        pass
    log.close()
    again = opener(tmp_path)
    assert again.head(ORIGIN).size == 3
    assert len(list(again.leaves(ORIGIN, 0, 9))) == 3
    again.close()


def test_readers_see_commits_and_cannot_write(log: SqliteEvidenceLog, tmp_path: Path) -> None:
    reader = SqliteEvidenceLog(tmp_path / "evidence.db", read_only=True)
    grow(log, ORIGIN, 2)
    with log.transaction():
        assert log.append(ORIGIN, 2, *following(log.head(ORIGIN)))
        assert reader.head(ORIGIN).size == 2
    assert reader.head(ORIGIN).size == 3
    assert len(list(reader.leaves(ORIGIN, 0, 9))) == 3
    with pytest.raises(StoreMisused, match="for reading only"), reader.transaction():
        pass
    reader.close()
    with pytest.raises(EvidenceStoreFailed, match="unable to open database file"):
        SqliteEvidenceLog(tmp_path / "absent.db", read_only=True)
    assert not (tmp_path / "absent.db").exists()


def test_files_of_another_kind_or_version_are_refused(log: SqliteEvidenceLog, tmp_path: Path) -> None:
    with log.transaction():
        log._db.run("UPDATE hakari_store SET version = 9")
    for read_only in (False, True):
        with pytest.raises(BadConfiguration, match="schema version 9, known is 2"):
            SqliteEvidenceLog(tmp_path / "evidence.db", read_only=read_only)
    with log.transaction():
        log._db.run("UPDATE hakari_store SET version = 1, kind = 'readings view'")
    with pytest.raises(BadConfiguration, match="of kind readings view, expected evidence log"):
        SqliteEvidenceLog(tmp_path / "evidence.db")
    strange = sqlite3.connect(tmp_path / "strange.db")
    strange.execute("CREATE TABLE t (x)")
    strange.close()
    with pytest.raises(BadConfiguration, match="without the mark of one"):
        SqliteEvidenceLog(tmp_path / "strange.db")
    (tmp_path / "text.db").write_text("not a database, only text\n" * 100)
    with pytest.raises(EvidenceStoreFailed, match="the file is something else"):
        SqliteEvidenceLog(tmp_path / "text.db")


WRITER = textwrap.dedent("""
    import os, sys
    from hakari.log.tree import extend, leaf_hash, root_of
    from hakari.names import Origin
    from hakari.store.evidence import StoredLeaf
    from hakari.store.evidence_sqlite import SqliteEvidenceLog

    log = SqliteEvidenceLog(sys.argv[1])
    origin = Origin("plant.example", "sola-e1", 1700)
    won = lost = 0
    while won < int(sys.argv[2]):
        seen = [log.head(origin)]
        with log.transaction():
            group = 0
            for _ in range(int(sys.argv[3])):
                head = seen[-1]
                body = f"{os.getpid()} {won + group}".encode()
                digest = leaf_hash(body)
                frontier = extend(head.frontier, head.size, digest)
                leaf = StoredLeaf(head.size, digest, body, b"", 0)
                if log.append(origin, head.size, leaf, frontier, root_of(frontier)):
                    group += 1
                else:
                    lost += 1
                seen.append(log.head(origin))
            size = seen[-1].size
        won += group
        print(size, lost, flush=True)
    log.close()
""")


def writer(path: Path, leaves: int, group: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(leaves), str(group)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rederived(log: SqliteEvidenceLog) -> tuple[bytes, ...]:
    frontier: tuple[bytes, ...] = ()
    for k, leaf in enumerate(log.leaves(ORIGIN, 0, log.head(ORIGIN).size)):
        assert leaf.i == k
        assert leaf.leaf_hash == leaf_hash(leaf.deflated)
        frontier = extend(frontier, k, leaf.leaf_hash)
    return frontier


def test_racing_processes_leave_no_gap_and_no_double(tmp_path: Path) -> None:
    # Nobody makes the file beforehand: they race for creating it, too.
    racers = [writer(tmp_path / "evidence.db", 150, 1) for _ in range(3)]
    output = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    log = SqliteEvidenceLog(tmp_path / "evidence.db", read_only=True)
    head = log.head(ORIGIN)
    assert head.size == 450
    assert rederived(log) == head.frontier
    assert len({leaf.deflated for leaf in log.leaves(ORIGIN, 0, 450)}) == 450
    assert any(int(text.split()[-1]) for text in output), "no swap was lost, so nothing was raced"
    log.close()


def test_what_a_killed_writer_had_committed_is_there(tmp_path: Path) -> None:
    seeded = random.Random(20160701)
    path = tmp_path / "evidence.db"
    known = 0
    for _ in range(8):
        process = writer(path, 10**9, 50)
        stdout = process.stdout
        assert stdout is not None
        for _ in range(seeded.randint(1, 6)):
            known = int(stdout.readline().split()[0])
        os.kill(process.pid, signal.SIGKILL)
        rest = stdout.read().splitlines()
        process.wait()
        stdout.close()
        known = int(rest[-1].split()[0]) if rest else known
        # A reader must cope with what the killed process left behind, before any writer has mended it.
        log = SqliteEvidenceLog(path, read_only=True)
        head = log.head(ORIGIN)
        assert head.size >= known
        assert head.size % 50 == 0
        assert rederived(log) == head.frontier
        assert root_of(head.frontier) == head.root
        log.close()
    assert head.size > 8 * 50
