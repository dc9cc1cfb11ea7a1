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
    """What was read back is not what was written; the cursor stands where it stood. Rebuild the view."""

    exit_code = NOT_REACHABLE


class ViewUnavailable(HakariError):
    """The view cannot be reached, refuses us or asks to wait: nothing was dropped, write the same again later.

    `retry_after_s` is how long the store asks to wait, None where it did not say.
    """

    exit_code = NOT_REACHABLE

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """`message` names the store, what it said and what to do."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ViewDay(NamedTuple):
    """One UTC day of one point, each reading counted once (I10).

    Once means over the whole point, also where its repetitions lie on other days or outside what was asked for: its
    earliest place counts, as in `hakari.wire.rows.once`. `rows` readings, `good_slots` slots with a GOOD one.
    `first` and `last` are the first and last GOOD reading by (t_ms, epoch, leaf, boot, mono_ms), None without one;
    `falls` how often a GOOD reading's exact value was below that of the GOOD one before it on the same day.
    """

    point: str
    start_ms: int
    rows: int
    good_slots: int
    first: Row | None
    last: Row | None
    falls: int


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
        reading back does not find every row; then the cursor stands, and a store with transactions has kept nothing.
        """
        ...

    def read(self, point: str, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Rows with start_ms ≤ t_ms < end_ms ordered by (t_ms, epoch, leaf, boot, mono_ms), repetitions and all."""
        ...

    def last(self, point: str) -> Row | None:
        """The GOOD row with the greatest slot, of several the last in the order of `read`; None without one."""
        ...

    def days(self, point: str, start_ms: int, end_ms: int) -> Iterator[ViewDay]:
        """UTC days with a reading that lie wholly in [start_ms, end_ms), in order; the same whatever is packed."""
        ...

    def close_days(self, before_ms: int) -> int:
        """Lets the store keep days that end at or before `before_ms` in their closed form; how many it closed.

        Nothing that is read changes by it; a row that comes later for such a day is kept and read all the same.
        """
        ...

    def points(self) -> list[str]:
        """Every point with a row, sorted."""
        ...

    def refused(self, limit: int = 100) -> list[Refusal]:
        """What could not become rows, newest leaf first."""
        ...

    def counts(self) -> tuple[int, int]:
        """(rows, refusals) in the view; may look at all of them."""
        ...

    def clear(self) -> None:
        """Forgets rows, refusals and cursors."""
        ...

    def close(self) -> None:
        """Releases what is held."""
        ...
