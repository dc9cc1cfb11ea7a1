"""Feeding the readings view from the evidence log: every leaf once, in order, rebuildable at any time.

Guaranteed: a rebuilt view is the same view, since rows depend on the evidence log alone, on no clock, as long as
an epoch logs its configuration before it uses it. What cannot be decoded, is no known meter or lay more than five
minutes in the future when it was received is refused with its reason (I9); it stays in the evidence log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog, StoredLeaf
from hakari.store.view import CursorMoved, ReadingsView, Refused, Row
from hakari.wire.configuration import Assembler, ConfigurationMalformed, MeteringConfiguration
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Leaf, decode
from hakari.wire.rows import MAX_FUTURE_MS, Place, carried_leaf, derive

STEP_LEAVES = 128
MAX_CURSOR_MOVES = 100


class EvidenceIncomplete(DataProblem):
    """The evidence log lacks a leaf below its size."""


class ViewIncomplete(DataProblem):
    """The view did not keep what was written."""


class Fed(NamedTuple):
    """What one call did.

    `ahead`: origins whose cursor is beyond the evidence, as after restoring a backup of it; `done`: whether
    everything else reached its head.
    """

    leaves: int
    rows: int
    refused: int
    ahead: tuple[Origin, ...]
    done: bool


class Feeder:
    """Moves the cursors of `view` to the heads of `evidence`."""

    def __init__(self, evidence: EvidenceLog, view: ReadingsView) -> None:
        self._evidence = evidence
        self._view = view
        self._known = Configurations(evidence)

    def catch_up(self, *, origins: Iterable[Origin] | None = None, max_steps: int | None = None) -> Fed:
        """Feeds `origins` (all of them by default) in steps of at most 128 leaves, each one transaction."""
        leaves = rows = refused = steps = moves = 0
        ahead: list[Origin] = []
        for origin in self._evidence.origins() if origins is None else origins:
            while (behind := self._behind(origin)) > 0:
                if steps == max_steps:
                    return Fed(leaves, rows, refused, tuple(ahead), done=False)
                steps += 1
                try:
                    step = self._step(origin)
                except CursorMoved:
                    moves += 1
                    if moves > MAX_CURSOR_MOVES:
                        raise
                    continue
                leaves, rows, refused = leaves + step[0], rows + step[1], refused + step[2]
            if behind < 0:
                ahead.append(origin)
        return Fed(leaves, rows, refused, tuple(ahead), done=True)

    def _behind(self, origin: Origin) -> int:
        return self._evidence.head(origin).size - self._view.cursor(origin.edge_id, origin.epoch)

    def _step(self, origin: Origin) -> tuple[int, int, int]:
        start = self._view.cursor(origin.edge_id, origin.epoch)
        stop = min(start + STEP_LEAVES, self._evidence.head(origin).size)
        rows: list[Row] = []
        refused: list[Refused] = []
        at = start
        for stored in self._evidence.leaves(origin, start, stop):
            if stored.i != at:
                break
            leaf_rows, reasons = self._derive(origin, stored)
            rows += leaf_rows
            refused += [Refused(origin.edge_id, origin.epoch, at, reason) for reason in reasons]
            at += 1
        if at != stop:
            raise EvidenceIncomplete(f"evidence log has no leaf {at} of {origin}; run: hakari log fsck")
        counted = self._view.write(origin.edge_id, origin.epoch, stop, rows, refused, start)
        if counted != len(rows):
            raise ViewIncomplete(
                f"view of {origin}: {len(rows)} rows written, {counted} found; run: hakari view rebuild"
            )
        return stop - start, len(rows), len(refused)

    def _derive(self, origin: Origin, stored: StoredLeaf) -> tuple[list[Row], list[str]]:
        place = Place(origin.edge_id, origin.epoch, stored.i)
        try:
            leaf = decode(inflate(stored.deflated))
            reasons = self._known.learn(origin.edge_id, leaf)
            configurations = self._known.needed(origin, stored.i, leaf)
            derived = derive(place, leaf, configurations, stored.received_ms + MAX_FUTURE_MS)
        except DataProblem as error:
            return [], [str(error)]
        return derived.rows, reasons + derived.refusals


class Configurations:
    """The logged configurations of every edge, learnt from the leaves that pass and, after a restart, looked up."""

    def __init__(self, evidence: EvidenceLog) -> None:
        self._evidence = evidence
        self._assemblers: dict[str, Assembler] = {}
        self._looked: dict[Origin, int] = {}

    def learn(self, edge_id: str, leaf: Leaf) -> list[str]:
        """Takes the configuration parts of a leaf and of the one that it carries; what is wrong with them."""
        assembler = self._assemblers.setdefault(edge_id, Assembler())
        wrong: list[str] = []
        for one in _with_carried(leaf):
            if one.configuration is not None and one.edge == edge_id:
                try:
                    assembler.add(one.configuration)
                except ConfigurationMalformed as error:
                    wrong.append(str(error))
        return wrong

    def needed(self, origin: Origin, i: int, leaf: Leaf) -> dict[str, MeteringConfiguration]:
        """All configurations known of the edge, after looking for those that leaf `i` names below it."""
        assembler = self._assemblers.setdefault(origin.edge_id, Assembler())
        for one in _with_carried(leaf):
            if one.samples and one.cfg not in assembler.complete:
                self._look_for(one.cfg, origin, i, assembler)
        return assembler.complete

    def _look_for(self, cfg: str, origin: Origin, below: int, assembler: Assembler) -> None:
        """Reads the edge's leaves of this and earlier epochs, each once, until `cfg` is complete."""
        for other in self._evidence.origins():
            if other.edge_id != origin.edge_id or other.epoch > origin.epoch:
                continue
            stop = below if other == origin else self._evidence.head(other).size
            for stored in self._evidence.leaves(other, self._looked.get(other, 0), stop):
                self._looked[other] = stored.i + 1
                self._learn_stored(origin.edge_id, stored)
                if cfg in assembler.complete:
                    return

    def _learn_stored(self, edge_id: str, stored: StoredLeaf) -> None:
        try:
            self.learn(edge_id, decode(inflate(stored.deflated)))
        except DataProblem:
            # Refused with its reason when it is fed itself.
            return


def _with_carried(leaf: Leaf) -> Iterator[Leaf]:
    yield leaf
    try:
        carried = carried_leaf(leaf)
    except DataProblem:
        # `derive` says why.
        return
    if carried is not None:
        yield carried
