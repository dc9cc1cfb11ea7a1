"""Every adapter of the evidence log keeps what was committed, once, in order, and nothing else."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from hakari.errors import NOT_REACHABLE, BadConfiguration
from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import (
    DISCARDED,
    FORGONE,
    RELEASED,
    Decision,
    EvidenceLog,
    Head,
    QuarantineTotal,
    StoredLeaf,
)
from hakari.store.evidence_postgres import PostgresEvidenceLog
from hakari.store.evidence_sqlite import EvidenceStoreFailed, SqliteEvidenceLog
from hakari.store.evidence_tables import POSTGRES
from hakari.store.postgres import Database
from hakari.store.sqlite import StoreMisused
from tests.conformance.evidence_places import Place, PostgresPlace, Refused, SqlitePlace, writer
from tests.system.postgres import PostgresServer

ORIGIN = Origin("plant.example", "sola-e1", 1700)
LATER = Origin("plant.example", "sola-e1", 1800)
OTHER = Origin("plant.example", "boil-e1", 1750)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return SqlitePlace(tmp_path)
    return PostgresPlace(request.getfixturevalue("postgres"), tmp_path)


@pytest.fixture
def log(place: Place) -> Iterator[EvidenceLog]:
    opened = place.open()
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


def test_unknown_origin_is_the_empty_tree(log: EvidenceLog) -> None:
    assert log.head(ORIGIN) == Head(0, (), EMPTY_ROOT, frozen=False)
    assert log.origins() == []
    assert log.leaf(ORIGIN, 0) is None
    assert list(log.leaves(ORIGIN, 0, 10)) == []
    assert log.pending(ORIGIN, 0) == []


def test_leaves_come_back_as_they_were_appended(place: Place) -> None:
    log = place.open()
    expected = []
    with log.transaction():
        for k in range(700):
            after = following(log.head(ORIGIN), random.Random(k).randbytes(50), k)
            expected.append(after.leaf)
            assert log.append(ORIGIN, k, *after)
            assert log.head(ORIGIN) == Head(k + 1, after.frontier, after.root, frozen=False)
    log.close()
    again = place.open()
    assert list(again.leaves(ORIGIN, 0, 700)) == expected
    assert list(again.leaves(ORIGIN, 250, 520)) == expected[250:520]
    assert again.leaf(ORIGIN, 699) == expected[699]
    assert again.leaf(ORIGIN, 700) is None
    assert again.head(ORIGIN).size == 700
    again.close()


def test_origins_are_ordered_by_edge_and_epoch_and_apart(log: EvidenceLog) -> None:
    for origin, count in ((LATER, 2), (ORIGIN, 3), (OTHER, 1)):
        grow(log, origin, count)
    with log.transaction():
        log.put_pending(Origin("plant.example", "none-e1", 1), 1, b"early", 0)
    assert log.origins() == [OTHER, ORIGIN, LATER]
    assert [log.head(origin).size for origin in log.origins()] == [1, 3, 2]
    assert [leaf.i for leaf in log.leaves(LATER, 0, 99)] == [0, 1]


def test_append_is_compare_and_swap(log: EvidenceLog) -> None:
    stale = following(log.head(ORIGIN), b"loser")
    grow(log, ORIGIN, 2)
    head = log.head(ORIGIN)
    with log.transaction():
        assert not log.append(ORIGIN, 0, *stale)
    assert log.head(ORIGIN) == head
    assert [leaf.deflated for leaf in log.leaves(ORIGIN, 0, 9)] == [f"{ORIGIN} {k}".encode() for k in range(2)]


def test_append_beyond_the_head_is_refused_or_changes_nothing(log: EvidenceLog) -> None:
    ahead = following(Head(1, (leaf_hash(b"x"),), leaf_hash(b"x"), frozen=False))
    with log.transaction():
        assert not log.append(ORIGIN, 1, *ahead)
    with pytest.raises(StoreMisused, match="do not follow size 5"), log.transaction():
        log.append(ORIGIN, 5, *ahead)
    assert log.head(ORIGIN).size == 0


def test_the_first_mark_of_a_size_is_kept(log: EvidenceLog) -> None:
    grow(log, ORIGIN, 2)
    with log.transaction():
        log.put_mark(ORIGIN, 2, b"first")
        log.put_mark(ORIGIN, 2, b"second")
    assert log.mark(ORIGIN, 2) == b"first"
    assert log.mark(ORIGIN, 1) is None
    assert log.mark(ORIGIN._replace(epoch=999), 2) is None
    assert log.marked(ORIGIN, 1) == (2, b"first")
    assert log.marked(ORIGIN, 3) is None


def test_frozen_origin_never_grows(log: EvidenceLog) -> None:
    grow(log, ORIGIN, 1)
    with log.transaction():
        log.freeze(ORIGIN)
        assert not log.append(ORIGIN, 1, *following(log.head(ORIGIN)))
        log.freeze(OTHER)
    assert log.head(ORIGIN).frozen
    assert log.head(ORIGIN).size == 1
    assert log.head(OTHER) == Head(0, (), EMPTY_ROOT, frozen=True)
    assert log.origins() == [OTHER, ORIGIN]


def test_failed_transaction_leaves_nothing(log: EvidenceLog) -> None:
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


def test_transactions_do_not_nest_and_writes_need_one(log: EvidenceLog) -> None:
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


def test_pending_is_kept_beside_each_other_within_its_places(log: EvidenceLog) -> None:
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


def test_pending_over_its_bytes_gives_up_the_farthest_places(log: EvidenceLog) -> None:
    with log.transaction():
        for i in (9, 8, 7, 1):
            log.put_pending(ORIGIN, i, bytes([i]) * 300, 1)
        log.put_pending(OTHER, 9, b"x" * 300, 1)
    assert [bool(log.pending(ORIGIN, i)) for i in (1, 7, 8, 9)] == [True, True, True, False]
    assert log.pending(OTHER, 9) == [b"x" * 300]


def test_conflicts_are_kept_once_and_bounded(log: EvidenceLog) -> None:
    with log.transaction():
        kept = [log.keep_conflict(ORIGIN, message, 1) for message in (b"a", b"b", b"a", b"c", b"d", b"b")]
        assert kept == [True, True, True, True, False, True]
        assert not log.keep_conflict(OTHER, b"x" * 101, 1)
        assert log.keep_conflict(OTHER, b"y", 1)
    assert log.conflicts(ORIGIN) == [b"a", b"b", b"c"]
    assert log.conflicts(OTHER) == [b"y"]


def test_quarantine_keeps_the_newest_and_counts_the_rest(log: EvidenceLog) -> None:
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


def test_quarantine_is_not_filled_by_one_sender(log: EvidenceLog) -> None:
    with log.transaction():
        log.quarantine("hakari/v1/batch/00/sola-e1", "an edge's", b"e", 0)
        log.quarantine("quiet: a.csv", "another's", b"q", 1)
        for k in range(20):
            log.quarantine(f"loud: {k}.csv", "empty", b"", k)
    assert [one.source for one in log.quarantined()] == [
        "loud: 19.csv", "loud: 18.csv", "loud: 17.csv", "quiet: a.csv", "hakari/v1/batch/00/sola-e1",
    ]  # fmt: skip
    assert log.quarantine_total() == QuarantineTotal(5, 2, 17)


def test_quarantine_is_bounded_in_bytes(log: EvidenceLog) -> None:
    with log.transaction():
        for k in range(4):
            log.quarantine("topic", "reason", bytes([k]) * 40, k)
        log.quarantine("topic", "too long", b"z" * 70, 9)
    assert log.quarantine_total() == QuarantineTotal(2, 100, 3)
    newest = log.quarantined()[0]
    assert newest.payload == b"z" * 60
    assert newest.reason == "too long (the first 60 of 70 bytes)"


def test_leaves_cannot_be_changed_by_another_hand(log: EvidenceLog, place: Place) -> None:
    grow(log, ORIGIN, 3)
    with log.transaction():
        log.freeze(OTHER)
        log.decide(Decision(1, FORGONE, str(ORIGIN), "who", "why"))
    for statement in (
        "UPDATE leaf SET received_ms = 0",
        "DELETE FROM leaf WHERE i = 2",
        "UPDATE origin SET size = 2 WHERE size = 3",
        "UPDATE origin SET size = 5 WHERE size = 3",
        "UPDATE origin SET frozen = 0 WHERE frozen = 1",
        "UPDATE origin SET size = 1 WHERE frozen = 1",
        "DELETE FROM origin",
        "UPDATE decision SET why = 'other'",
        "DELETE FROM decision",
    ):
        with pytest.raises(Refused):
            place.alter(statement)
    assert log.head(ORIGIN).size == 3
    assert len(list(log.leaves(ORIGIN, 0, 9))) == 3
    assert len(log.decisions()) == 1


def test_decisions_and_what_they_let_go_of(log: EvidenceLog) -> None:
    given = [
        Decision(1, RELEASED, "1", "a", "b"),
        Decision(2, DISCARDED, "2", "a", "c\0d"),
        Decision(3, RELEASED, "2", "", ""),
    ]
    with log.transaction():
        for k in range(3):
            log.quarantine("topic\0", "reason", bytes(k), k)
        for one in given:
            log.decide(one)
        newest, *_ = log.quarantined()
        assert log.drop_quarantined(newest.id)
        assert not log.drop_quarantined(newest.id)
    assert [(one.at_ms, one.kind, one.subject) for one in log.decisions()] == [one[:3] for one in given]
    assert log.decisions(RELEASED, "2") == [given[2]]
    assert log.decisions(subject="1") == [given[0]]
    assert log.quarantine_total() == QuarantineTotal(2, 1, 0)
    with pytest.raises(StoreMisused, match="no kind of decision"), log.transaction():
        log.decide(Decision(1, "whim", "", "", ""))


def test_a_leaf_known_by_its_hash_alone_is_kept(log: EvidenceLog) -> None:
    digest = leaf_hash(b"nobody has it")
    with log.transaction([ORIGIN]):
        assert log.append(ORIGIN, 0, StoredLeaf(0, digest, b"", b"checkpoint", 1, b"word"), (digest,), digest)
        assert log.leaf(ORIGIN, 0) == StoredLeaf(0, digest, b"", b"checkpoint", 1, b"word")
        assert log.leaf(ORIGIN, 1) is None
    assert log.leaf(ORIGIN, 0) == StoredLeaf(0, digest, b"", b"checkpoint", 1, b"word")


def test_what_a_transaction_wrote_it_reads(log: EvidenceLog) -> None:
    grow(log, ORIGIN, 2)
    for touching in ((), (ORIGIN, OTHER)):
        with log.transaction(touching):
            for origin in (ORIGIN, OTHER):
                start = log.head(origin).size
                for _ in range(3):
                    after = following(log.head(origin))
                    stale = Head(15, tuple(bytes(32) for _ in range(4)), b"", frozen=False)
                    assert not log.append(origin, 15, *following(stale))
                    assert log.append(origin, after.leaf.i, *after)
                    assert log.leaf(origin, after.leaf.i) == after.leaf
                    assert log.leaf(origin, after.leaf.i + 1) is None
                log.put_mark(origin, start + 3, b"mark")
                assert log.mark(origin, start + 3) == b"mark"
                assert log.marked(origin, start + 1) == (start + 3, b"mark")
                assert [leaf.i for leaf in log.leaves(origin, 0, 99)] == [*range(start + 3)]
                assert origin in log.origins()
                log.put_pending(origin, start + 5, b"early", 1)
                assert log.pending(origin, start + 5) == [b"early"]
                log.drop_pending(origin, start + 6)
                assert log.pending(origin, start + 5) == []
            log.freeze(LATER)
            assert log.head(LATER).frozen
            assert not log.append(LATER, 0, *following(Head(0, (), EMPTY_ROOT, frozen=False)))


def test_full_disk_stops_everything_and_keeps_what_was_committed(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    log = place.open()
    assert isinstance(log, SqliteEvidenceLog)
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
    again = place.open()
    assert again.head(ORIGIN).size == 3
    assert len(list(again.leaves(ORIGIN, 0, 9))) == 3
    again.close()


def test_readers_see_commits_and_cannot_write(log: EvidenceLog, place: Place) -> None:
    reader = place.open(read_only=True)
    grow(log, ORIGIN, 2)
    with log.transaction():
        assert log.append(ORIGIN, 2, *following(log.head(ORIGIN)))
        assert reader.head(ORIGIN).size == 2
    assert reader.head(ORIGIN).size == 3
    assert len(list(reader.leaves(ORIGIN, 0, 9))) == 3
    with pytest.raises(StoreMisused, match="for reading only"), reader.transaction():
        pass
    reader.close()


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(EvidenceStoreFailed, match="unable to open database file"):
        SqliteEvidenceLog(tmp_path / "absent.db", read_only=True)
    assert not (tmp_path / "absent.db").exists()


def test_logs_of_another_kind_or_version_are_refused(place: Place) -> None:
    place.open().close()
    place.alter("UPDATE hakari_store SET version = 9")
    for read_only in (False, True):
        with pytest.raises(BadConfiguration, match="schema version 9, known is 3"):
            place.open(read_only=read_only)
    place.alter("UPDATE hakari_store SET version = 1, kind = 'readings view'")
    for read_only in (False, True):
        with pytest.raises(BadConfiguration, match="of kind readings view, expected evidence log"):
            place.open(read_only=read_only)


def test_strange_files_are_refused(tmp_path: Path) -> None:
    strange = sqlite3.connect(tmp_path / "strange.db")
    strange.execute("CREATE TABLE t (x)")
    strange.close()
    with pytest.raises(BadConfiguration, match="without the mark of one"):
        SqliteEvidenceLog(tmp_path / "strange.db")
    (tmp_path / "text.db").write_text("not a database, only text\n" * 100)
    with pytest.raises(EvidenceStoreFailed, match="the file is something else"):
        SqliteEvidenceLog(tmp_path / "text.db")


def origin_of(number: int) -> Origin:
    return ORIGIN._replace(edge_id=f"sola-e{number}")


def check_whole(log: EvidenceLog, origin: Origin = ORIGIN) -> int:
    """Every leaf stands once at its place and they give the head; their number."""
    head = log.head(origin)
    frontier: tuple[bytes, ...] = ()
    leaves = list(log.leaves(origin, 0, head.size + 9))
    for k, leaf in enumerate(leaves):
        assert leaf.i == k
        assert leaf.leaf_hash == leaf_hash(leaf.deflated)
        frontier = extend(frontier, k, leaf.leaf_hash)
    assert (frontier, len(leaves)) == (head.frontier, head.size)
    assert not leaves or root_of(frontier) == head.root
    return head.size


def test_racing_processes_leave_no_gap_and_no_double(place: Place) -> None:
    # Nobody makes the log beforehand: they race for creating it, too.
    racers = [writer(place, 150, 1) for _ in range(3)]
    output = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    with closing(place.open(read_only=True)) as log:
        assert check_whole(log) == 450
        assert len({leaf.deflated for leaf in log.leaves(ORIGIN, 0, 450)}) == 450
    assert any(json.loads(text.splitlines()[-1])[1] for text in output), "no swap was lost, so nothing was raced"


@pytest.mark.parametrize("named", [True, False])
def test_opposite_orders_do_not_lock_one_another_out(place: Place, *, named: bool) -> None:
    orders = ([1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2])
    racers = [writer(place, 240, 2, order, named=named, stale=False) for order in orders]
    for racer in racers:
        racer.communicate(timeout=60)
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    with closing(place.open(read_only=True)) as log:
        assert [check_whole(log, origin_of(number)) for number in (1, 2, 3, 4)] == [180] * 4


def test_what_a_killed_writer_had_committed_is_there(place: Place) -> None:
    seeded = random.Random(20160701)
    known = [0, 0]
    for _ in range(6):
        process = writer(place, 10**9, 25, (1, 2), named=True)
        stdout = process.stdout
        assert stdout is not None
        for _ in range(seeded.randint(1, 6)):
            known = json.loads(stdout.readline())[0]
        os.kill(process.pid, signal.SIGKILL)
        rest = stdout.read().splitlines()
        process.wait()
        stdout.close()
        known = json.loads(rest[-1])[0] if rest else known
        # A reader must cope with what the killed process left behind, before any writer has mended it.
        with closing(place.open(read_only=True)) as log:
            sizes = [check_whole(log, origin_of(number)) for number in (1, 2)]
        assert all(size >= was and size % 25 == 0 for size, was in zip(sizes, known, strict=True))
    assert min(sizes) > 6 * 25


def test_what_a_killed_server_had_committed_is_there(postgres_programs: Path, tmp_path: Path) -> None:
    with PostgresServer(postgres_programs) as server:
        place = PostgresPlace(server, tmp_path)
        for _ in range(2):
            process = writer(place, 10**9, 25, (1, 2), named=True)
            stdout = process.stdout
            assert stdout is not None
            for _ in range(8):
                known = json.loads(stdout.readline())[0]
            server.kill()
            rest = stdout.read().splitlines()
            assert process.wait(60) != 0
            stdout.close()
            known = json.loads(rest[-1])[0] if rest else known
            server.start()
            with closing(place.open(read_only=True)) as log:
                sizes = [check_whole(log, origin_of(number)) for number in (1, 2)]
            assert all(size >= was and size % 25 == 0 for size, was in zip(sizes, known, strict=True))


def test_a_failed_writer_writes_nothing_more_and_a_reader_goes_on(postgres_programs: Path, tmp_path: Path) -> None:
    with PostgresServer(postgres_programs) as server:
        place = PostgresPlace(server, tmp_path)
        log, reader = place.open(), place.open(read_only=True)
        grow(log, ORIGIN, 3)
        assert reader.head(ORIGIN).size == 3

        def lose_the_server() -> None:
            with log.transaction([ORIGIN]):
                log.append(ORIGIN, 3, *following(log.head(ORIGIN)))
                server.kill()

        with pytest.raises(EvidenceStoreFailed) as failed:
            lose_the_server()
        assert failed.value.exit_code == NOT_REACHABLE
        with pytest.raises(EvidenceStoreFailed):
            reader.head(ORIGIN)
        server.start()
        assert reader.head(ORIGIN).size == 3
        with pytest.raises(StoreMisused, match="failed before"), log.transaction():
            pass
        log.close()
        reader.close()


def test_a_server_that_says_no_is_told_in_one_sentence(postgres: PostgresServer, tmp_path: Path) -> None:
    given = postgres.settings(tmp_path)
    password = given.password(tmp_path / "ingest.toml")
    for change, secret, text in (
        ({}, "wrong", r"authentication failed.* check \[postgresql\]\.user and password_file"),
        ({"database": "absent"}, password, r"does not exist.* check \[postgresql\]\.database"),
        ({"port": 1}, password, r"refused.* check that PostgreSQL runs at \[postgresql\]\.host and port"),
        ({"tls": "verify"}, password, r"check \[postgresql\]\.host, tls and ca_file"),
    ):
        with pytest.raises(EvidenceStoreFailed, match=text) as refused:
            PostgresEvidenceLog(msgspec.structs.replace(given, **change), secret, tmp_path)
        assert secret not in str(refused.value)
    with pytest.raises(BadConfiguration, match="is not there, is empty"):
        PostgresEvidenceLog(given, password, tmp_path, read_only=True)
    with postgres.connect() as db:
        db.execute(f"CREATE SCHEMA {given.schema}")
        db.execute(f"CREATE TABLE {given.schema}.strange (x int)")
    with pytest.raises(BadConfiguration, match="is not there, is empty"):
        PostgresEvidenceLog(given, password, tmp_path)


def test_a_file_of_the_first_version_is_brought_up_to_date_and_keeps_everything(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    with closing(place.open()) as log:
        grow(log, ORIGIN, 5)
        with log.transaction():
            log.put_mark(ORIGIN, 5, b"mark")
            log.put_pending(ORIGIN, 7, b"early", 1)
            log.keep_conflict(ORIGIN, b"other", 1)
            log.quarantine("topic", "reason", b"payload", 1)
        before = (log.head(ORIGIN), list(log.leaves(ORIGIN, 0, 9)), log.quarantined())
    without = ("DROP TABLE decision", "ALTER TABLE leaf DROP COLUMN gone", "UPDATE hakari_store SET version = 1")
    place.alter(*without)
    with pytest.raises(BadConfiguration, match="start first what writes it"):
        place.open(read_only=True)
    with closing(place.open()) as log:
        assert (log.head(ORIGIN), list(log.leaves(ORIGIN, 0, 9)), log.quarantined()) == before
        assert (log.mark(ORIGIN, 5), log.pending(ORIGIN, 7), log.conflicts(ORIGIN)) == (b"mark", [b"early"], [b"other"])
        with log.transaction():
            log.decide(Decision(1, FORGONE, str(ORIGIN), "who", "why"))
    with closing(place.open(read_only=True)) as log:
        assert check_whole(log) == 5
        assert len(log.decisions()) == 1
    for statement in ("DELETE FROM decision", "UPDATE decision SET why = ''"):
        with pytest.raises(Refused):
            place.alter(statement)


def test_a_log_of_the_second_version_keeps_words_of_edges_from_now_on(place: Place) -> None:
    with closing(place.open()) as log:
        grow(log, ORIGIN, 5)
        before = list(log.leaves(ORIGIN, 0, 9))
    place.alter("ALTER TABLE leaf DROP COLUMN gone", "UPDATE hakari_store SET version = 2")
    with closing(place.open()) as log:
        assert list(log.leaves(ORIGIN, 0, 9)) == before
        digest = leaf_hash(b"nobody has it")
        head = log.head(ORIGIN)
        frontier = extend(head.frontier, 5, digest)
        with log.transaction([ORIGIN]):
            assert log.append(ORIGIN, 5, StoredLeaf(5, digest, b"", b"c", 1, b"word"), frontier, root_of(frontier))
    with closing(place.open(read_only=True)) as log:
        assert [one.gone for one in log.leaves(ORIGIN, 0, 9)] == [b""] * 5 + [b"word"]


def test_a_schema_of_an_older_version_is_brought_up_to_date(postgres: PostgresServer, tmp_path: Path) -> None:
    place = PostgresPlace(postgres, tmp_path)
    with closing(place.open()) as log:
        grow(log, ORIGIN, 5)
    newer = POSTGRES._replace(
        version=POSTGRES.version + 2,
        upgrades={POSTGRES.version: ("CREATE TABLE more (x INT)",), POSTGRES.version + 1: ("DROP TABLE more",)},
    )
    password = place.settings.password(tmp_path / "ingest.toml")
    with pytest.raises(BadConfiguration, match="start first what writes it"):
        Database(place.settings, password, tmp_path, newer, read_only=True)
    for _ in range(2):
        with closing(Database(place.settings, password, tmp_path, newer)) as database:
            assert database.all("SELECT version FROM hakari_store") == [(POSTGRES.version + 2,)]
            assert database.all("SELECT count(*) FROM leaf") == [(5,)]
    with pytest.raises(BadConfiguration, match="use the version of hakari that wrote it"):
        place.open()
