from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from collections import Counter
from pathlib import Path

import pytest

from edge.spool import Spool, SpoolDamaged
from edge.spool_peek import peek
from edge.spool_schema import KEYS
from edge.spool_wal import Left, left_behind
from tests.unit.test_edge_log import CONFIGURATION, at, leaves, log_on, sample

NOW_MS = 1_800_000_000_000
SEALED = '{"accepted":{"serial":"A"},"suspended":"serial was A and is B"}'


def flipped(path: Path, what: bytes, at_: int = 0, bit: int = 2) -> None:
    """Turns a bit in the only place of the file that says `what`."""
    content = bytearray(path.read_bytes())
    content[content.index(what) + at_] ^= bit
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "edge.spool"
    spool = Spool(str(found))
    spool.put_note("identity/m1", SEALED)
    spool.put_note("identity/m2", "{}")
    spool.put_number("last_slot_ms", NOW_MS)
    spool.close()
    return found


@pytest.mark.parametrize(
    ("what", "offset", "key"),
    [
        (SEALED.encode(), 20, "identity/m1"),
        (b"identity/m1{", len("identity/"), "identity/m1"),
        (b"time/floor1", 5, "time/floor"),
        (b"last_slot_ms", 3, "last_slot_ms"),
    ],
)
def test_a_spoilt_note_is_named_and_logged(path: Path, what: bytes, offset: int, key: str) -> None:
    spool = Spool(str(path))
    spool.put_note("time/floor", "1800000000000")
    spool.close()
    if what == b"last_slot_ms":  # its key also stands in the list, which is a note of its own
        with sqlite3.connect(path) as db:
            db.execute("UPDATE state SET key='last_slou_ms' WHERE key='last_slot_ms'")
        db.close()
    else:
        flipped(path, what, offset)
    told = peek(path)
    assert [one.split()[1] for one in told.spoilt] == [key]
    spool = Spool(str(path))
    assert spool.spoilt_notes | spool.spoilt_numbers == {key}
    assert spool.is_spoilt(key) == told.is_spoilt(key) == (key != "last_slot_ms")
    assert not spool.is_spoilt("identity/m2")
    assert not spool.is_spoilt("identity/never")
    log_on(spool).start(CONFIGURATION, at(NOW_MS))
    first = leaves(spool, NOW_MS // 1000)[0]
    assert [(one.kind, one.data.get("key")) for one in first.events] == [("start", None), ("note-lost", key)]
    spool.put_note("identity/m3", "{}")
    spool.close()
    spool = Spool(str(path))
    assert spool.spoilt_notes | spool.spoilt_numbers == {key}, "what is gone stays missed until it is written anew"
    (spool.put_number(key, 1) if key == "last_slot_ms" else spool.put_note(key, "anew"))
    spool.close()
    spool = Spool(str(path))
    assert spool.spoilt_notes | spool.spoilt_numbers == set()
    spool.close()


@pytest.mark.parametrize("how", ["UPDATE note SET value='[]' WHERE key=?", "DELETE FROM note WHERE key=?"])
def test_where_the_list_of_keys_is_damaged_every_key_without_a_note_is_in_doubt(path: Path, how: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(how, (KEYS,))
    db.close()
    for _ in range(2):
        spool = Spool(str(path))
        assert spool.spoilt_notes == {KEYS}
        assert [spool.is_spoilt(f"identity/m{k}") for k in (1, 2, 3)] == [False, False, True]
        assert peek(path).is_spoilt("identity/m3")
        spool.put_note("learned/m1", "x")
        spool.close()


def killed(folder: Path) -> Path:
    """The files of a spool whose process was killed with 20 commits in SQLite's log."""
    spool = Spool(str(folder / "live"))
    log = log_on(spool)
    log.start(CONFIGURATION, at(NOW_MS))
    for k in range(1, 21):
        log.add_sample(sample(NOW_MS + k * 1000), at(NOW_MS + k * 1000), 100)
    for name in ("", "-wal"):
        shutil.copy(folder / f"live{name}", folder / f"cut{name}")
    spool.close()
    return folder / "cut"


def test_a_turned_bit_in_the_log_of_sqlite_is_never_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, chance, counted = killed(tmp_path), random.Random(7), Counter[str]()
    database, log = path.read_bytes(), path.with_name("cut-wal").read_bytes()
    assert left_behind(path) is Left.WHOLE
    for at_ in [0, 8, 17, 25, *chance.sample(range(len(log)), 60)]:
        path.write_bytes(database)
        path.with_name("cut-wal").write_bytes(log[:at_] + bytes([log[at_] ^ 1]) + log[at_ + 1 :])
        caplog.clear()
        if left_behind(path) is Left.DAMAGED:
            counted["refused"] += 1
            with pytest.raises(SpoolDamaged, match="-wal is damaged"):
                Spool(str(path))
            assert path.with_name("cut-wal").stat().st_size == len(log), "what is left is kept for the owner"
            continue
        spool = Spool(str(path))
        lost = spool.sample_count() < 20
        spool.close()
        assert not lost or "was cut off, or is damaged" in caplog.text, f"byte {at_}"
        counted["said" if lost else "harmless"] += 1
    assert counted["refused"] > 50, counted


def test_a_log_that_ends_anywhere_is_a_power_cut(tmp_path: Path) -> None:
    path = killed(tmp_path)
    log = path.with_name("cut-wal").read_bytes()
    (page_bytes,) = struct.unpack_from(">I", log, 8)
    for end in range(0, len(log), page_bytes // 3):
        path.with_name("cut-wal").write_bytes(log[:end])
        assert left_behind(path) is not Left.DAMAGED
    path.with_name("cut-wal").write_bytes(log[: -page_bytes // 2] + b"\x5a" * (page_bytes // 2))
    assert left_behind(path) is Left.UNFINISHED
