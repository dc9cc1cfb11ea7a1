"""The unit of a point, from the configuration that the leaves themselves carry."""

from __future__ import annotations

from hakari.errors import DataProblem
from hakari.names import Origin
from hakari.store.evidence import EvidenceLog
from hakari.wire.configuration import Assembler, MeteringConfiguration
from hakari.wire.envelope import inflate
from hakari.wire.leaf import Leaf, decode
from hakari.wire.rows import carried_leaf

MAX_KNOWN = 1000
MAX_HASHES = 20_000
MAX_SEARCHED_LEAVES = 20_000
_MARK = b'"configuration"'


class Configurations:
    """Finds logged configurations by hash and remembers them; a hash never means another text."""

    def __init__(self, evidence: EvidenceLog) -> None:
        """Over `evidence`."""
        self._evidence = evidence
        self._hashes: dict[tuple[Origin, int], str] = {}
        self._known: dict[tuple[Origin, str], MeteringConfiguration | None] = {}

    def unit(self, origin: Origin, i: int, meter: str, point: str) -> str | None:
        """The unit of `meter`'s `point` in leaf `i`, None where no configuration that was logged names it."""
        sha256 = self._named(origin, i)
        found = None if sha256 is None else self._configuration(origin, i, sha256)
        named = None if found is None else found.meter(meter)
        if named is None:
            return None
        return next((one.unit for one in named.profile.points if one.name == point), None)

    def _named(self, origin: Origin, i: int) -> str | None:
        """The hash of the configuration that leaf `i`, or the leaf that it carries, was read with."""
        key = (origin, i)
        if key not in self._hashes:
            if len(self._hashes) >= MAX_HASHES:
                self._hashes.clear()
            stored = self._evidence.leaf(origin, i)
            if stored is None:
                return None
            try:
                leaf = decode(inflate(stored.deflated))
                self._hashes[key] = (carried_leaf(leaf) or leaf).cfg
            except DataProblem:
                return None
        return self._hashes[key]

    def _configuration(self, origin: Origin, i: int, sha256: str) -> MeteringConfiguration | None:
        key = (origin, sha256)
        if key not in self._known:
            found = self._search(origin, i, sha256)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = found
        return self._known[key]

    def _search(self, origin: Origin, i: int, sha256: str) -> MeteringConfiguration | None:
        """A configuration is logged in every epoch before its first use, so it stands at or before leaf `i`."""
        assembler = Assembler()
        for stored in self._evidence.leaves(origin, 0, min(i + 1, MAX_SEARCHED_LEAVES)):
            try:
                _add(assembler, inflate(stored.deflated))
            except DataProblem:
                continue
            if sha256 in assembler.complete:
                return assembler.complete[sha256]
        return None


def _add(assembler: Assembler, body: bytes) -> None:
    if _MARK not in body and b'"carried"' not in body:
        return
    leaf: Leaf = decode(body)
    for one in (leaf, carried_leaf(leaf)):
        if one is not None and one.configuration is not None:
            assembler.add(one.configuration)
