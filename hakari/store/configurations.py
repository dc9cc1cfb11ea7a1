"""The logged configurations of every edge in an evidence log, found when a leaf needs one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.leaf import Leaf
from hakari.wire.logged import Logged, with_carried
from hakari.wire.rows import Configurations

MAX_EDGES = 1000


class LoggedConfigurations:
    """Finds configurations by hash in `evidence`, whose leaves are each looked through once."""

    def __init__(self, evidence: EvidenceLog) -> None:
        self._evidence = evidence
        self._edges: dict[tuple[str, str], Logged] = {}

    def learn(self, origin: Origin, leaf: Leaf) -> list[str]:
        """Takes the configuration parts of a leaf of `origin`; what is wrong with them."""
        return self._edge(origin).learn(leaf)

    def needed(self, origin: Origin, i: int, leaf: Leaf) -> Configurations:
        """All configurations known of the edge, after looking below leaf `i` for those that it names."""
        for one in with_carried(leaf):
            if one.samples:
                self.find(origin, i, one.cfg)
        return self._edge(origin).known

    def find(self, origin: Origin, stop: int, sha256: str) -> MeteringConfiguration | None:
        """The configuration of that hash, logged below leaf `stop` of `origin` or in an earlier epoch of its edge."""
        return self._edge(origin).find(sha256, self._places(origin, stop))

    def _places(self, origin: Origin, stop: int) -> Iterator[tuple[int, int]]:
        """Its own epoch first: that is where an edge logs what it uses."""
        yield origin.epoch, stop
        for other in self._evidence.origins():
            if other._replace(epoch=origin.epoch) == origin and other.epoch < origin.epoch:
                yield other.epoch, self._evidence.head(other).size

    def _edge(self, origin: Origin) -> Logged:
        key = (origin.namespace, origin.edge_id)
        known = self._edges.get(key)
        if known is None:
            if len(self._edges) >= MAX_EDGES:
                self._edges.clear()
            known = self._edges[key] = Logged(origin.edge_id, partial(self._stored, origin))
        return known

    def _stored(self, origin: Origin, epoch: int, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        for stored in self._evidence.leaves(origin._replace(epoch=epoch), start, stop):
            yield stored.i, stored.deflated
