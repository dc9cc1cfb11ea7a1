"""Which rows of the view a reading was counted at already, as calc decides it."""

from __future__ import annotations

from collections import OrderedDict

from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView
from hakari.wire.rows import Row, once

MAX_KNOWN = 200
END_OF_TIME_MS = 2**62

Key = tuple[int, int, int, str, int]
_State = tuple[tuple[int, int], ...]


def key_of(row: Row) -> Key:
    """The place of a row among those of its point, in the order in which they are listed."""
    return (row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms)


class Displaced:
    """The rows that `hakari.wire.rows.once` leaves out of all that a point ever had, whatever span is asked for.

    A reading may have its first place at any time, so that a point is looked through from its beginning: once
    for each state of the view's cursors.
    """

    def __init__(self, view: ReadingsView, evidence: EvidenceLog) -> None:
        """Over `view`, which is made from `evidence`."""
        self._view = view
        self._evidence = evidence
        self._known: OrderedDict[str, tuple[_State, frozenset[Key]]] = OrderedDict()

    def of(self, point: str) -> frozenset[Key]:
        """The keys of those rows of `point`."""
        edge_id = point.partition("/")[0]
        epochs = sorted({origin.epoch for origin in self._evidence.origins() if origin.edge_id == edge_id})
        state = tuple((epoch, self._view.cursor(edge_id, epoch)) for epoch in epochs)
        known = self._known.get(point)
        if known is not None and known[0] == state:
            return known[1]
        rows = list(self._view.read(point, 0, END_OF_TIME_MS))
        found = frozenset(map(key_of, rows)).difference(map(key_of, once(rows)))
        self._known[point] = (state, found)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return found
