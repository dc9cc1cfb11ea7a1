"""The configurations that an edge has logged, learnt from its own leaves: one finder for ingest, calc and the API.

Guaranteed: a configuration counts from the leaf that completed it, of that edge and by its hash alone; nothing
is remembered as absent, and no leaf is looked through twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from hakari.errors import DataProblem
from hakari.wire.configuration import Assembler, MeteringConfiguration
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Leaf, decode
from hakari.wire.rows import carried_leaf

Leaves = Callable[[int, int, int], Iterable[tuple[int, bytes]]]
"""(number, deflated body) of the edge's leaves start ≤ i < stop of an epoch, in order."""

_MARKS = (b'"configuration"', b'"carried"')


class Logged:
    """The configurations of the edge `edge_id`; `leaves` is where `find` looks for those that passed unseen."""

    def __init__(self, edge_id: str, leaves: Leaves | None = None) -> None:
        self._edge_id = edge_id
        self._leaves = leaves
        self._assembler = Assembler()
        self._looked: dict[int, int] = {}

    @property
    def known(self) -> Mapping[str, MeteringConfiguration]:
        """Those known by now, by hash."""
        return self._assembler.complete

    def learn(self, leaf: Leaf) -> list[str]:
        """Takes the configuration parts of a leaf and of the one that it carries; what is wrong with them."""
        wrong: list[str] = []
        for one in with_carried(leaf):
            if one.configuration is not None and one.edge == self._edge_id:
                try:
                    self._assembler.add(one.configuration)
                except DataProblem as error:
                    wrong.append(str(error))
        return wrong

    def find(self, sha256: str, places: Iterable[tuple[int, int]]) -> MeteringConfiguration | None:
        """The configuration of that hash, looked for in the leaves below `stop` of each (epoch, stop) in `places`."""
        for epoch, stop in places:
            if sha256 in self.known or self._leaves is None:
                break
            for i, deflated in self._leaves(epoch, self._looked.get(epoch, 0), stop):
                self._looked[epoch] = i + 1
                self._look_into(deflated)
                if sha256 in self.known:
                    break
        return self.known.get(sha256)

    def _look_into(self, deflated: bytes) -> None:
        try:
            body = inflate(deflated)
            if any(mark in body for mark in _MARKS):
                self.learn(decode(body))
        except DataProblem:
            # Whoever reads this leaf for its own sake says what is wrong with it.
            return


def with_carried(leaf: Leaf) -> Iterator[Leaf]:
    """`leaf`, then the one that it carries where that can be read."""
    yield leaf
    try:
        carried = carried_leaf(leaf)
    except DataProblem:
        # `derive` says why.
        return
    if carried is not None:
        yield carried
