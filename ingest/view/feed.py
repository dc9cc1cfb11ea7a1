"""Feeding the readings view from the evidence log: every leaf once, in order, rebuildable at any time.

Guaranteed: a rebuilt view is the same view, since rows depend on the evidence log alone, on no clock, as long as
an epoch logs its configuration before it uses it. What cannot be decoded, is no known meter or lies in its own leaf's
future is refused with its reason (I9); it stays in the evidence log. What lay in the future when it was received is
listed beside it, while its rows are kept: calc and verifiers count them (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.names import Origin
from hakari.store.configurations import LoggedConfigurations
from hakari.store.evidence import EvidenceLog, StoredLeaf
from hakari.store.view import CursorMoved, ReadingsView, Refusal
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from hakari.wire.rows import MAX_FUTURE_MS, Place, derive_wide
from hakari.wire.wide import Row, Rows, Wide

STEP_LEAVES = 128
STEP_ROWS = 20_000  # a step ends with the leaf that reaches it, so that large leaves do not fill the memory
MAX_CURSOR_MOVES = 100


class EvidenceIncomplete(DataProblem):
    """The evidence log lacks a leaf below its size."""


class Fed(NamedTuple):
    """What one call did.

    `ahead`: origins whose cursor is beyond the evidence, as after restoring a backup of it; `done`: whether
    everything else reached its head; `moves`: how often somebody else had cleared the view meanwhile.
    """

    leaves: int
    rows: int
    refused: int
    ahead: tuple[Origin, ...]
    done: bool
    moves: int = 0


class FedLeaf(NamedTuple):
    """The rows of one leaf of an edge that stand in the view now; `received_ms` as in the evidence log.

    `refused` says why parts of it gave none.
    """

    received_ms: int
    rows: Rows
    edge_id: str = ""
    refused: Sequence[str] = ()


Watch = Callable[[list[FedLeaf]], None]


class Feeder:
    """Moves the cursors of `view` to the heads of `evidence` and tells `watch` what it has written.

    `cursors` has for each origin how far it was in the view when it was last looked at.
    """

    def __init__(self, evidence: EvidenceLog, view: ReadingsView, watch: Watch | None = None) -> None:
        self._evidence = evidence
        self._view = view
        self._watch = watch
        self.known = LoggedConfigurations(evidence)
        self.cursors: dict[Origin, int] = {}

    def catch_up(self, *, origins: Iterable[Origin] | None = None, max_steps: int | None = None) -> Fed:
        """Feeds `origins` (all of them by default) in steps of at most 128 leaves, each one transaction."""
        leaves = rows = refused = steps = moves = 0
        ahead: list[Origin] = []
        for origin in self._evidence.origins() if origins is None else origins:
            before = self.cursors.get(origin, 0)
            start = self._cursor(origin)
            moves += start < before
            while (stop := min(start + STEP_LEAVES, self._evidence.head(origin).size)) > start:
                if steps == max_steps:
                    return Fed(leaves, rows, refused, tuple(ahead), done=False, moves=moves)
                steps += 1
                try:
                    step = self._step(origin, start, stop)
                except CursorMoved:
                    moves += 1
                    if moves > MAX_CURSOR_MOVES:
                        raise
                    start = self._cursor(origin)
                    continue
                leaves, rows, refused = leaves + step[0], rows + step[1], refused + step[2]
                start = self.cursors[origin] = start + step[0]
            if stop < start:
                ahead.append(origin)
        return Fed(leaves, rows, refused, tuple(ahead), done=True, moves=moves)

    def _cursor(self, origin: Origin) -> int:
        self.cursors[origin] = self._view.cursor(origin.edge_id, origin.epoch)
        return self.cursors[origin]

    def _step(self, origin: Origin, start: int, stop: int) -> tuple[int, int, int]:
        parts: list[Wide | Row] = []
        refused: list[Refusal] = []
        fed: list[FedLeaf] = []
        at, made = start, 0
        for stored in self._evidence.leaves(origin, start, stop):
            if stored.i != at:
                break
            leaf_rows, reasons = self._derive(origin, stored)
            parts += leaf_rows.parts
            refused += [Refusal(origin.edge_id, origin.epoch, at, reason) for reason in reasons]
            made += len(leaf_rows)
            fed.append(FedLeaf(stored.received_ms, leaf_rows, origin.edge_id, reasons))
            at += 1
            if made >= STEP_ROWS:
                stop = at
                break
        if at != stop:
            raise EvidenceIncomplete(f"evidence log has no leaf {at} of {origin}; run: hakari log fsck")
        rows = Rows(parts)
        self._view.write(origin.edge_id, origin.epoch, stop, rows, refused, start)
        if self._watch is not None:
            self._watch(fed)
        return stop - start, len(rows), len(refused)

    def _derive(self, origin: Origin, stored: StoredLeaf) -> tuple[Rows, list[str]]:
        place = Place(origin.edge_id, origin.epoch, stored.i)
        try:
            leaf = decode(inflate(stored.deflated))
            reasons = self.known.learn(origin, leaf)
            configurations = self.known.needed(origin, stored.i, leaf)
            derived = derive_wide(place, leaf, configurations)
        except DataProblem as error:
            return Rows([]), [str(error)]
        return derived.rows, reasons + derived.refusals + _ahead(derived.rows, stored.received_ms)


def _ahead(rows: Rows, received_ms: int) -> list[str]:
    """That rows lay in the future when their leaf was received, if any did."""
    last_ms = max((part.t_ms for part in rows.parts), default=received_ms)
    if last_ms - received_ms <= MAX_FUTURE_MS:
        return []
    why = (
        f"slot {last_ms} lay {(last_ms - received_ms) // 1000} s in the future when it was received, limit"
        f" {MAX_FUTURE_MS // 1000} s; its rows are kept, as calc counts them: correct the edge's clock"
    )
    return [why]
