"""The numbers and texts that a spool keeps by key, and which of them are no longer what was written."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from edge.spool_schema import KEYS, expect, seal

_log = logging.getLogger("hakari.edge")


class Kept:
    """The part of a spool that keeps them; the spool gives it its database."""

    _db: sqlite3.Connection
    _path: str
    _spoilt: set[tuple[str, str]]

    def transaction(self) -> AbstractContextManager[None]:
        """All writes inside are on disk together when it ends."""
        raise NotImplementedError

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        raise NotImplementedError

    def number(self, key: str) -> int:
        """A persisted number, 0 when never set."""
        kept = self._kept("state", key)
        return kept if isinstance(kept, int) else 0

    def put_number(self, key: str, value: int) -> None:
        """Persists a number."""
        with self.transaction():
            self._put("state", key, value)

    def note(self, key: str) -> str:
        """A persisted text, "" when never set: what was learnt of a meter, its identity, its commissioning."""
        kept = self._kept("note", key)
        return kept if isinstance(kept, str) else ""

    def put_note(self, key: str, value: str) -> None:
        """Persists a text."""
        with self.transaction():
            self._put("note", key, value)

    @property
    def spoilt_notes(self) -> frozenset[str]:
        """Keys of notes that are not what was written, or are gone, and were not set anew since.

        With KEYS among them nobody knows which are gone: ask `is_spoilt`.
        """
        return frozenset(key for table, key in self._spoilt if table == "note")

    @property
    def spoilt_numbers(self) -> frozenset[str]:
        """The same of numbers."""
        return frozenset(key for table, key in self._spoilt if table == "state")

    def is_spoilt(self, key: str) -> bool:
        """Whether what note `key` said may be lost: the note is spoilt, or not there while the list of keys is."""
        if KEYS not in self.spoilt_notes:
            return key in self.spoilt_notes
        return key in self.spoilt_notes or not self._all("SELECT 1 FROM note WHERE key=?", (key,))

    def _put(self, table: str, key: str, value: str | int) -> None:
        expect(self._db, table, key)
        row = (key, value, seal(key, value))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?,?,?)", row)  # noqa: S608 - two constants
        self._spoilt.discard((table, key))

    def _kept(self, table: str, key: str) -> object:
        rows = self._all(f"SELECT value, seal FROM {table} WHERE key=?", (key,))  # noqa: S608 - two constants
        if not rows:
            return None
        value, sealed = rows[0]
        if sealed == seal(key, value):
            return value
        if (table, key) not in self._spoilt:
            self._spoilt.add((table, key))
            _log.error("%s %s in spool %s is not what was written; it counts as never set", table, key, self._path)
        return None
