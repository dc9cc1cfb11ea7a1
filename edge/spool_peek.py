"""A spool read beside a running edge or after it: what its seals vouch for, and what they do not. Changes nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edge.spool_schema import FORMAT, KEYS, SEALED, seal, spoilt
from hakari.clock import UNSYNCHRONISED
from hakari.errors import NotReachable

OLDER = (1, 2, 3)
KEYS_SINCE = 3


class SpoolUnread(NotReachable):
    """There is no spool to read, or it cannot be read."""


class EpochRow(NamedTuple):
    """One epoch: leaves signed, leaves known as stored, closed by a fork or not."""

    epoch: int
    size: int
    mark: int
    closed: bool


class Peek(NamedTuple):
    """What a spool told at one moment. `spoilt` names what is not what was written and counts as not there."""

    epochs: list[EpochRow]
    numbers: dict[str, int]
    notes: dict[str, str]
    waiting_samples: int
    held_samples: int
    spoilt: list[str]
    spoilt_notes: frozenset[str]

    def note(self, key: str) -> str:
        """A note, "" when never set or not what was written."""
        return self.notes.get(key, "")

    def is_spoilt(self, key: str) -> bool:
        """Whether what note `key` said may be lost, as `Spool.is_spoilt`."""
        return key in self.spoilt_notes or (KEYS in self.spoilt_notes and key not in self.notes)


def peek(path: Path) -> Peek:
    """What stands in the spool at `path`; SpoolUnread where there is none, or SQLite cannot read it."""
    if not path.is_file():
        raise SpoolUnread(f"there is no spool {path} yet; start the edge")
    try:
        with opened(path) as db, _moment(db):
            return _peek(db, path)
    except sqlite3.Error as error:
        raise SpoolUnread(f"spool {path} cannot be read: {error}; check [edge].spool") from error


def is_sound(path: Path) -> str:
    """What SQLite finds wrong in the structure of the spool, "ok" if nothing; sqlite3.Error where it cannot be read."""
    with opened(path) as db:
        return str(db.execute("PRAGMA quick_check(1)").fetchone()[0])


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The spool, for reading only, closed at the end."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.text_factory = lambda raw: raw.decode(errors="replace")
        db.isolation_level = None
        yield db


@contextlib.contextmanager
def _moment(db: sqlite3.Connection) -> Iterator[None]:
    """All reads inside see one moment of a spool that is being written."""
    db.execute("BEGIN")
    yield
    db.execute("ROLLBACK")


def _peek(db: sqlite3.Connection, path: Path) -> Peek:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in (*OLDER, FORMAT):
        raise SpoolUnread(f"spool {path} has format {version}; use the version that wrote it")
    sealed = version > 1
    lost = spoilt(db) if version >= KEYS_SINCE else set()
    epochs, bad = _epochs(db, sealed=sealed)
    notes = dict(_kept(db, "note")) if sealed else {}
    notes.pop(KEYS, None)
    waiting = db.execute("SELECT count(*) FROM sample").fetchone()[0]
    held = db.execute("SELECT count(*) FROM sample WHERE sync=?", (UNSYNCHRONISED,)).fetchone()[0] if sealed else 0
    numbers = dict(_kept(db, "state")) if sealed else dict(db.execute("SELECT key, value FROM state"))
    named = sorted(f"{table} {key}" for table, key in lost)
    spoilt_notes = frozenset(key for table, key in lost if table == "note")
    return Peek(epochs, numbers, notes, waiting, held, [*bad, *named], spoilt_notes)


def _kept(db: sqlite3.Connection, table: str) -> Iterator[tuple[str, Any]]:
    for key, value, sealed in db.execute(f"SELECT key, value, seal FROM {table}"):  # noqa: S608 - two constants
        if sealed == seal(key, value):
            yield key, value


def _epochs(db: sqlite3.Connection, *, sealed: bool) -> tuple[list[EpochRow], list[str]]:
    """Epochs that are what was written, oldest first, and the names of the others."""
    good, bad = [], []
    fields = SEALED["epoch"][1]
    for row in db.execute(f"SELECT {fields}{', seal' if sealed else ''} FROM epoch ORDER BY epoch"):  # noqa: S608
        epoch, size, _, _, mark, _, closed, *told = row
        if told and told[0] != seal(*row[:-1]):
            bad.append(f"epoch {epoch}")
        else:
            good.append(EpochRow(epoch, size, mark, bool(closed)))
    return good, bad
