"""Whose leaves are fed next: what has just come first, and backlogs in turn, so that neither starves the other."""

from __future__ import annotations

from collections.abc import Iterable

from hakari.names import Origin

LIVE_TURNS = 8


class Turns:
    """Origins that are behind.

    Guaranteed: of those that are level but for their newest leaves LIVE_TURNS have a step for each step of a backlog,
    and every backlog has its step in turn.
    """

    def __init__(self) -> None:
        self._live: dict[Origin, None] = {}
        self._backlogs: dict[Origin, None] = {}
        self._live_steps = 0

    def __len__(self) -> int:
        return len(self._live) + len(self._backlogs)

    def grew(self, origins: Iterable[Origin]) -> None:
        """These have new leaves; one with a backlog keeps its turn."""
        self._live.update(dict.fromkeys(one for one in sorted(origins) if one not in self._backlogs))

    def next(self) -> Origin:
        """Whose step is now; it leaves the row. KeyError where nobody is behind."""
        if self._live and (self._live_steps < LIVE_TURNS or not self._backlogs):
            self._live_steps += 1
            return self._first(self._live)
        self._live_steps = 0
        return self._first(self._backlogs)

    def remains(self, origin: Origin) -> None:
        """One step was not enough for it: it has a backlog."""
        self._live.pop(origin, None)
        self._backlogs[origin] = None

    @staticmethod
    def _first(row: dict[Origin, None]) -> Origin:
        origin = next(iter(row), None)
        if origin is None:
            raise KeyError
        del row[origin]
        return origin
