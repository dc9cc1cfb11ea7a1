"""Port of the readings view: decoded, rebuildable from the evidence log at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from hakari.errors import NOT_REACHABLE, HakariError
from hakari.wire.rows import Row


class Refusal(NamedTuple):
    """A leaf, or part of one, that could not become rows or is doubtful, and why."""

    edge_id: str
    epoch: int
    leaf: int
    reason: str


class CursorMoved(HakariError):
    """The cursor is not where the writer read it: read it again and go on from there."""


class ViewMismatch(HakariError):
    """What was read back is not what was written; nothing of it was kept. Rebuild the view."""

    exit_code = NOT_REACHABLE


class ReadingsView(Protocol):
    """Rows by point and time, with one cursor an origin."""

    def cursor(self, edge_id: str, epoch: int) -> int:
        """Leaves of (edge, epoch) that are in the view: the next leaf to write."""
        ...

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        """Writes rows of leaves start ≤ leaf < upto and moves the cursor to `upto`, together.

        Writing the same again changes nothing and never moves the cursor back; CursorMoved when the cursor is
        below `start`, so that no leaf is passed over after somebody else has cleared the view. ViewMismatch when
        reading back does not find every row; then nothing was written.
        """
        ...

    def read(self, point: str, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Rows with start_ms ≤ t_ms < end_ms ordered by (t_ms, epoch, leaf)."""
        ...

    def points(self) -> list[str]:
        """Every point with a row, sorted."""
        ...

    def refused(self, limit: int = 100) -> list[Refusal]:
        """What could not become rows, newest leaf first."""
        ...

    def clear(self) -> None:
        """Forgets rows, refusals and cursors."""
        ...

    def close(self) -> None:
        """Releases what is held."""
        ...
