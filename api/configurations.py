"""The unit of a point, from the configuration that the leaves themselves carry."""

from __future__ import annotations

from hakari.errors import DataProblem
from hakari.names import Origin
from hakari.store.configurations import LoggedConfigurations
from hakari.store.evidence import EvidenceLog
from hakari.wire.envelope import inflate
from hakari.wire.leaf import decode
from hakari.wire.rows import carried_leaf

MAX_HASHES = 20_000


class Configurations:
    """Finds the configuration that a leaf was read with, and what it says of a point."""

    def __init__(self, evidence: EvidenceLog) -> None:
        """Over `evidence`."""
        self._evidence = evidence
        self._logged = LoggedConfigurations(evidence)
        self._hashes: dict[tuple[Origin, int], str] = {}

    def unit(self, origin: Origin, i: int, meter: str, point: str) -> str | None:
        """The unit of `meter`'s `point` in leaf `i`, None where no configuration that was logged names it."""
        sha256 = self._named(origin, i)
        found = None if sha256 is None else self._logged.find(origin, i + 1, sha256)
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
