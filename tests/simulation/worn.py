"""The world in which bodies are lost: rings let them go, ingest comes back from backups, and an operator decides."""

from __future__ import annotations

import random
from collections.abc import Callable

from hakari.log.tree import EMPTY_ROOT, extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.forgone import forgo, forgone_of
from hakari.wire import rows as wire_rows
from hakari.wire.configuration import Assembler
from hakari.wire.envelope import inflate, unseal
from hakari.wire.forgone import Forgone, covering
from hakari.wire.leaf import decode
from tests.simulation.world import EDGE_ID, NAMESPACE, Identity, World, identities

DECIDES = 0.3


class WornWorld(World):
    """`held` has what every leaf of the edge held, by (epoch, i), whether its body is still there or not."""

    def __init__(self, seed: int, *, edge_restored: bool = False) -> None:
        self.held: dict[tuple[int, int], set[Identity]] = {}
        self.decides = True
        self._edge_restored = edge_restored
        super().__init__(seed)
        self._first_image = self.evidence._db._db.serialize()

    def _disasters(self) -> list[Callable[[], None]]:
        kept = [one for one in super()._disasters() if self._edge_restored or one.__name__ != "_restore_edge"]
        return [*kept, self._let_go, self._let_go, self._restore_ingest, self._lose_ingest]

    def _let_go(self) -> None:
        self._look()
        if self.spool.prune(2**52):
            self.faults["let go"] += 1

    def _lose_ingest(self) -> None:
        """Nothing is left of ingest but what it had at the beginning."""
        if self.random.random() < 0.3:
            self.faults["ingest lost"] += 1
            self.evidence = SqliteEvidenceLog(":memory:")
            self.evidence._db._db.deserialize(self._first_image)
            self._boot_ingest()

    def _look(self) -> None:
        """Notes what the leaves on the edge's disk hold."""
        for state in self.spool.epochs():
            for i in range(state.size):
                leaf = self.spool.leaf(state.epoch, i)
                body = None if leaf is None else leaf.body()
                if body is not None:
                    self.held[state.epoch, i] = set(identities(decode(body)))

    def step(self) -> None:
        super().step()
        self._decide(self.random)

    def _deliver(self) -> None:
        super()._deliver()
        if self.healed:
            self._decide(self.random)

    def _decide(self, chance: random.Random) -> None:
        """The operator does what the newest alarm asks for, sometimes."""
        for entry in self.evidence.quarantined(50):
            if not self.decides or "hakari log forgo" not in entry.reason or chance.random() > DECIDES:
                continue
            words = entry.reason.split()
            origin = Origin.parse(words[words.index("forgo") + 1])
            start, stop = (int(words[words.index(name) + 1]) for name in ("--start", "--stop"))
            assert unseal(entry.payload).stop == stop
            if start >= self.evidence.head(origin).size and covering(forgone_of(self.evidence, origin), start) is None:
                self.faults["decided"] += 1
                with self.evidence.transaction():
                    forgo(self.evidence, origin, Forgone(start, stop, 0, "operator", "the ring had let them go"))

    # what ingest holds, bodies or not

    def stored_leaves(self) -> list[tuple[Origin, StoredLeaf]]:
        return [
            (origin, stored)
            for origin in self.evidence.origins()
            for stored in self.evidence.leaves(origin, 0, self.evidence.head(origin).size)
        ]

    def credited(self) -> list[wire_rows.Row]:
        configurations = Assembler()
        found: list[wire_rows.Row] = []
        for origin, stored in self.stored_leaves():
            if stored.deflated:
                leaf = decode(inflate(stored.deflated))
                if leaf.configuration is not None:
                    configurations.add(leaf.configuration)
                found += wire_rows.rows_of_leaf(EDGE_ID, origin.epoch, leaf, configurations.complete)
        return wire_rows.once(found)

    def at_ingest(self) -> list[Identity]:
        bodies = [stored.deflated for _, stored in self.stored_leaves() if stored.deflated]
        return [one for deflated in bodies for one in identities(decode(inflate(deflated)))]

    def roots_are_sound(self) -> bool:
        frontiers: dict[Origin, tuple[bytes, ...]] = dict.fromkeys(self.evidence.origins(), ())
        for origin, stored in self.stored_leaves():
            digest = leaf_hash(inflate(stored.deflated)) if stored.deflated else stored.leaf_hash
            frontiers[origin] = extend(frontiers[origin], stored.i, digest)
        heads = {origin: self.evidence.head(origin) for origin in frontiers}
        return all(
            (root_of(frontier) if heads[origin].size else EMPTY_ROOT) == heads[origin].root
            for origin, frontier in frontiers.items()
        )

    def decided(self) -> set[tuple[int, int]]:
        """(epoch, i) of every leaf whose body an operator forwent."""
        return {
            (epoch, i)
            for epoch, i in self.held
            if covering(forgone_of(self.evidence, Origin(NAMESPACE, EDGE_ID, epoch)), i) is not None
        }

    def without_a_body(self) -> set[tuple[int, int]]:
        """(epoch, i) of every leaf that ingest holds by its hash alone."""
        return {(origin.epoch, stored.i) for origin, stored in self.stored_leaves() if not stored.deflated}
