"""The tables of a spool, and how an older format becomes the present one with everything kept.

Every row carries a seal, SHA-256 over its other fields, so that a bit that turned over on the disk is seen before what
it changed is used. The seal of a leaf may be missing: format 1 had none, and a leaf has its hash and its checkpoint.
One note, KEYS, lists the keys of all notes and numbers, so that one that is gone is missed.
"""

from __future__ import annotations

import hashlib
import sqlite3

import msgspec

FORMAT = 4
TABLES = "tables"
KEYS = "keys"
UNKNOWN_SYNC = "unknown"
_NOTE = "CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal BLOB) WITHOUT ROWID;"
_STATE = "CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL, seal BLOB) WITHOUT ROWID;"
_EPOCH = """CREATE TABLE epoch (
  epoch INTEGER PRIMARY KEY, size INTEGER NOT NULL, frontier BLOB NOT NULL, root BLOB NOT NULL,
  mark INTEGER NOT NULL, high INTEGER NOT NULL, closed INTEGER NOT NULL, seal BLOB);"""
_LEAF = """CREATE TABLE leaf (
  epoch INTEGER NOT NULL, i INTEGER NOT NULL, hash BLOB NOT NULL, root BLOB NOT NULL,
  checkpoint BLOB NOT NULL, deflated BLOB NOT NULL, cut_ms INTEGER NOT NULL, seal BLOB, PRIMARY KEY (epoch, i));"""
_SAMPLE = """CREATE TABLE sample (
  id INTEGER PRIMARY KEY, boot TEXT NOT NULL, cfg TEXT NOT NULL, slot_ms INTEGER NOT NULL, body BLOB NOT NULL,
  sync TEXT NOT NULL, offset_ms INTEGER NOT NULL, seal BLOB);"""
_CARRY = "CREATE TABLE carry (epoch INTEGER NOT NULL, i INTEGER NOT NULL, seal BLOB, PRIMARY KEY (epoch, i)) \
WITHOUT ROWID;"
# Without a seal: whoever takes a hash or a root from it holds it against a signature.
_GONE = """CREATE TABLE gone (
  epoch INTEGER NOT NULL, i INTEGER NOT NULL, hash BLOB NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL,
  PRIMARY KEY (epoch, i)) WITHOUT ROWID;"""
SCHEMA = f"{_NOTE}{_STATE}{_EPOCH}{_LEAF}{_SAMPLE}{_CARRY}{_GONE}"

_FROM_1 = f"""{_NOTE}
ALTER TABLE state ADD COLUMN seal BLOB;
ALTER TABLE epoch ADD COLUMN seal BLOB;
ALTER TABLE leaf ADD COLUMN seal BLOB;
ALTER TABLE sample ADD COLUMN sync TEXT NOT NULL DEFAULT '{UNKNOWN_SYNC}';
ALTER TABLE sample ADD COLUMN offset_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sample ADD COLUMN seal BLOB;
ALTER TABLE carry ADD COLUMN seal BLOB;
{_GONE}"""
KEYED = ("note", "state")
# What identifies a row, and the fields that its seal covers, per table whose rows must be sealed.
SEALED = {
    "state": ("key", "key, value"),
    "note": ("key", "key, value"),
    "epoch": ("epoch", "epoch, size, frontier, root, mark, high, closed"),
    "sample": ("id", "id, boot, cfg, slot_ms, body, sync, offset_ms"),
    "carry": ("epoch, i", "epoch, i"),
}


def seal(*fields: object) -> bytes:
    """SHA-256 over the fields of a row, in the order of its columns."""
    return hashlib.sha256(msgspec.msgpack.encode(fields)).digest()


def text(raw: bytes) -> str:
    """A text of the database, though a bit of it turned over: its seal no longer fits then."""
    return raw.decode(errors="replace")


def make(db: sqlite3.Connection) -> None:
    """The tables of a new spool, all or none."""
    db.executescript(f"BEGIN;{SCHEMA}")
    _finish(db)


def from_format_1(db: sqlite3.Connection) -> None:
    """Format 1 becomes the present one, all or nothing; what it kept is sealed as it stands."""
    db.executescript(f"BEGIN;{_FROM_1}")
    for table, (key, fields) in SEALED.items():
        where = " AND ".join(f"{name.strip()}=?" for name in key.split(","))
        keys = len(key.split(","))
        # Only names of this module stand in the statement.
        for row in db.execute(f"SELECT {fields} FROM {table}").fetchall():  # noqa: S608
            db.execute(f"UPDATE {table} SET seal=? WHERE {where}", (seal(*row), *row[:keys]))  # noqa: S608
    _finish(db)


def from_format_2_or_3(db: sqlite3.Connection) -> None:
    """Either becomes the present one: the keys that format 2 has are those that it must have."""
    db.execute("BEGIN")
    told = db.execute("SELECT value, seal FROM note WHERE key=?", (TABLES,)).fetchall()
    # Where its tables are not what they were the note stays, and the check at opening says so.
    renewed = [seal(TABLES, tables(db))] == [sealed for _, sealed in told]
    db.execute(_GONE)
    if renewed:
        db.execute("DELETE FROM note WHERE key=?", (TABLES,))
        _finish(db)
    else:
        _end(db)


def expected_keys(db: sqlite3.Connection) -> set[tuple[str, str]] | None:
    """(table, key) of every note and number that was ever set; None where this list itself is damaged or not there."""
    rows = db.execute("SELECT value, seal FROM note WHERE key=?", (KEYS,)).fetchall()
    if not rows or rows[0][1] != seal(KEYS, rows[0][0]):
        return None
    return set(msgspec.json.decode(rows[0][0], type=list[tuple[str, str]]))


def expect(db: sqlite3.Connection, table: str, key: str) -> None:
    """Lists a key of `table` before it is set for the first time; a damaged list stays, and goes on saying so."""
    if db.execute(f"SELECT 1 FROM {table} WHERE key=?", (key,)).fetchone() is None:  # noqa: S608 - two constants
        listed = expected_keys(db)
        if listed is not None:
            _list(db, listed | {(table, key)})


def spoilt(db: sqlite3.Connection) -> set[tuple[str, str]]:
    """(table, key) of every note and number that is not what was written, or is gone; KEYS itself: any may be gone."""
    whole, broken = set[tuple[str, str]](), set[tuple[str, str]]()
    for table in KEYED:
        for key, value, sealed in db.execute(f"SELECT key, value, seal FROM {table}"):  # noqa: S608 - two constants
            (whole if sealed == seal(key, value) else broken).add((table, key))
    listed = expected_keys(db)
    # A broken row whose key was never set is one whose key turned over: the key that is missed says which.
    return broken | {("note", KEYS)} if listed is None else listed - whole


def _list(db: sqlite3.Connection, keys: set[tuple[str, str]]) -> None:
    told = msgspec.json.encode(sorted(keys)).decode()
    db.execute("INSERT OR REPLACE INTO note VALUES (?,?,?)", (KEYS, told, seal(KEYS, told)))


def tables(db: sqlite3.Connection) -> str:
    """What the database says of its own tables, as one number: the same for the life of a spool."""
    rows = db.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY name").fetchall()
    return seal(*rows).hex()


def _finish(db: sqlite3.Connection) -> None:
    told = tables(db)
    db.execute("INSERT INTO note VALUES (?,?,?)", (TABLES, told, seal(TABLES, told)))
    _end(db)


def _end(db: sqlite3.Connection) -> None:
    if not db.execute("SELECT 1 FROM note WHERE key=?", (KEYS,)).fetchall():
        _list(db, {(table, key) for table in KEYED for (key,) in db.execute(f"SELECT key FROM {table}")})  # noqa: S608
    db.execute(f"PRAGMA user_version={FORMAT}")
    db.execute("COMMIT")
