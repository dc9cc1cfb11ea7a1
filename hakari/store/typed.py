"""Queries whose every row has the types that its reader expects; SQLite itself keeps any type in any column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from types import NoneType

from hakari.store.sqlite import Database, SqlRow

MAX_SHOWN_CHARS = 40

_TYPES: dict[str, type] = {"i": int, "t": str, "b": bytes, "-": NoneType}


class TypedQueries:
    """Reads from `database`; a row of other types than asked for fails as the store does, and never leaves here.

    `kinds` of a query: a letter a column, `i` integer, `t` text, `b` bytes, `-` NULL; alternatives are parted by `|`.
    """

    def __init__(self, database: Database, failed: Callable[[str], Exception]) -> None:
        """`failed` makes the store's error from a sentence."""
        self._db = database
        self._failed = failed

    def one(self, kinds: str, sql: str, values: Sequence[object] = ()) -> SqlRow | None:
        """The first row of a query."""
        row = self._db.one(sql, values)
        return None if row is None else next(self._checked(kinds, (row,)))

    def all(self, kinds: str, sql: str, values: Sequence[object] = ()) -> list[SqlRow]:
        """All rows of a query."""
        return list(self._checked(kinds, self._db.all(sql, values)))

    def stream(self, kinds: str, sql: str, values: Sequence[object], at_once: int) -> Iterator[SqlRow]:
        """The rows of a query as of one moment, fetched in groups."""
        return self._checked(kinds, self._db.stream(sql, values, at_once))

    def _checked(self, kinds: str, rows: Iterable[SqlRow]) -> Iterator[SqlRow]:
        allowed = _allowed(kinds)
        for row in rows:
            if tuple(map(type, row)) not in allowed:
                shown = ", ".join(f"{value!r:.{MAX_SHOWN_CHARS}}" for value in row)
                raise self._failed(
                    f"a row ({shown}) of the wrong types is damaged; rebuild the view: hakari view rebuild"
                )
            yield row


@lru_cache
def _allowed(kinds: str) -> frozenset[tuple[type, ...]]:
    return frozenset(tuple(_TYPES[kind] for kind in one) for one in kinds.split("|"))
