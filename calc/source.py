"""The evidence of one project, read from the evidence log leaf by leaf and kept between calls.

Guaranteed of a cut: its root is computed from the leaves that were read and is the one that the edge signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from calc.cuts import cut_of
from calc.evidence import Evidence, evidence_of
from calc.leaves import EdgeEvidence, cut_sizes
from calc.project import Project
from hakari.errors import DataProblem
from hakari.log.checkpoint import Checkpoint, open_checkpoint
from hakari.log.gone import is_word
from hakari.log.roster import Roster
from hakari.log.tree import frontier_of, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from hakari.store.forgone import forgone_of
from hakari.wire.envelope import inflate
from hakari.wire.forgone import covering
from hakari.wire.rows import MAX_FUTURE_MS


class EvidenceBroken(DataProblem):
    """The evidence log does not hold what its edges signed."""


class CutEvidence(NamedTuple):
    """Evidence before a cut, the cut itself, and whether it reaches past the period and its grace."""

    evidence: Evidence
    cuts: list[Checkpoint]
    closed: bool


class ProjectSource:
    """Reads approved epochs of a project's edges; a call only looks at leaves that came since the last one."""

    def __init__(self, project: Project, roster: Roster, log: EvidenceLog) -> None:
        self._project = project
        self._roster = roster
        self._log = log
        self._namespace = project.file.project.namespace
        self._edges: dict[str, EdgeEvidence] = {}
        self._hashes: dict[Origin, list[bytes]] = {}

    def refresh(self) -> None:
        """Reads what is new."""
        for edge_id in self._project.edge_ids:
            origins = self._origins(edge_id)
            known = self._edges.get(edge_id)
            if known is None or self._grew_behind(known, origins):
                known = self._edges[edge_id] = self._empty(edge_id)
                for origin in origins:
                    self._hashes[origin] = []
            for origin in origins:
                self._read(known, origin)

    def span(self) -> tuple[int, int] | None:
        """The first and last slot of any reading of the project's points, None without one.

        What lay in the future when it was received makes no period.
        """
        spans = [edge.span for edge in self._edges.values() if edge.span is not None]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None

    def cuts(self, until_ms: int) -> list[tuple[str, int, int, bool]]:
        """(edge id, epoch, size, closed) of the cut at `until_ms`: equal ones mean equal evidence."""
        found = []
        for edge_id, edge in sorted(self._edges.items()):
            sizes, closed = cut_sizes(edge, until_ms)
            found += [
                (edge_id, epoch, self._marked(edge, epoch, size), closed) for epoch, size in sorted(sizes.items())
            ]
        return found

    def _marked(self, edge: EdgeEvidence, epoch: int, size: int) -> int:
        """The cut moved on to the next size for which ingest's mark was kept, so that the cut carries its word."""
        marked = self._log.marked(Origin(self._namespace, edge.edge_id, epoch), size) if size else None
        return size if marked is None or marked[0] > edge.size(epoch) else marked[0]

    def at(self, until_ms: int) -> CutEvidence:
        """The evidence for a period that ends, with its grace, at `until_ms`."""
        sizes: dict[str, dict[int, int]] = {edge_id: {} for edge_id in sorted(self._edges)}
        closed = True
        for edge_id, epoch, size, reached in self.cuts(until_ms):
            sizes[edge_id][epoch] = size
            closed = closed and reached
        cuts = [
            self._checkpoint(Origin(self._namespace, edge_id, epoch), size)
            for edge_id, by_epoch in sizes.items()
            for epoch, size in sorted(by_epoch.items())
            if size
        ]
        stated = [cut_of(*cut) for cut in cuts]
        edges = [self._edges[edge_id] for edge_id in sorted(self._edges)]
        return CutEvidence(evidence_of(edges, sizes, stated), cuts, closed and all(sizes.values()))

    def at_cuts(self, cuts: Sequence[Checkpoint]) -> Evidence:
        """The evidence before these cuts, as a period that is locked rests on it."""
        sizes: dict[str, dict[int, int]] = {edge_id: {} for edge_id in sorted(self._edges)}
        for cut in cuts:
            sizes.setdefault(cut.origin.edge_id, {})[cut.origin.epoch] = cut.size
        edges = [self._edges[edge_id] for edge_id in sorted(self._edges)]
        return evidence_of(edges, sizes, [cut_of(*cut) for cut in cuts])

    def _origins(self, edge_id: str) -> list[Origin]:
        """Approved epochs of the edge that have leaves, oldest first."""
        return sorted(
            origin
            for origin in self._log.origins()
            if (origin.namespace, origin.edge_id) == (self._namespace, edge_id)
            and self._roster.approved(edge_id, origin.epoch)
        )

    def _empty(self, edge_id: str) -> EdgeEvidence:
        points = [point.point for point in self._project.points if point.edge_id == edge_id]
        return EdgeEvidence(edge_id, points, is_source=edge_id in self._roster.sources)

    def _grew_behind(self, edge: EdgeEvidence, origins: list[Origin]) -> bool:
        """Whether an epoch has leaves that a reading in order of epochs would have seen before others."""
        begun = [origin for origin in origins if edge.size(origin.epoch)]
        unread = [origin for origin in origins if self._log.head(origin).size > edge.size(origin.epoch)]
        return bool(begun and unread and unread[0] < begun[-1])

    def _read(self, edge: EdgeEvidence, origin: Origin) -> None:
        hashes = self._hashes.setdefault(origin, [])
        for stored in self._log.leaves(origin, len(hashes), self._log.head(origin).size):
            if stored.i != len(hashes):
                raise EvidenceBroken(f"evidence log has no leaf {len(hashes)} of {origin}; run: hakari log fsck")
            if not stored.deflated:
                forgone = covering(forgone_of(self._log, origin), stored.i)
                if forgone is None:
                    raise EvidenceBroken(
                        f"leaf {stored.i} of {origin} has no body, and no decision says so; run: hakari log fsck"
                    )
                if not is_word(self._roster, origin, stored.i, stored.leaf_hash, stored.gone):
                    raise EvidenceBroken(
                        f"leaf {stored.i} of {origin} has no body, and its edge has not signed so; run: hakari log fsck"
                    )
                hashes.append(stored.leaf_hash)
                edge.skip(origin.epoch, stored.leaf_hash, forgone)
                continue
            body = inflate(stored.deflated)
            hashes.append(leaf_hash(body))
            edge.add(origin.epoch, body, stored.received_ms + MAX_FUTURE_MS)

    def _checkpoint(self, origin: Origin, size: int) -> Checkpoint:
        last = self._log.leaf(origin, size - 1)
        key = self._roster.edge_key(origin.edge_id, origin.epoch, size)
        if last is None or key is None:
            raise EvidenceBroken(f"evidence of {origin} at size {size} has no leaf, or the roster no key for it")
        signed = open_checkpoint(last.checkpoint, key)
        computed = Checkpoint(origin, size, root_of(frontier_of(self._hashes[origin][:size])))
        if signed != computed:
            raise EvidenceBroken(
                f"leaves of {origin} below {size} do not give the root that was signed; run: hakari log fsck"
            )
        return computed
