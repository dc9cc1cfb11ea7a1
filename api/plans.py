"""Which edges a project reads: those of the metering points in its monitoring plan."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from hakari.ledger.types import ProjectRecord

MAX_KNOWN = 10_000


class _Point(msgspec.Struct):
    point: str


class _Monitored(msgspec.Struct):
    points: list[_Point]


class _Plan(msgspec.Struct):
    monitored: list[_Monitored] = []


class Plans:
    """The edges of plans; a document is read once, since its hash never means another."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, frozenset[str]] = OrderedDict()

    def edges_of(self, project: ProjectRecord) -> frozenset[str]:
        """The edge ids in the monitoring plan of one revision of a project; none when it has no such plan."""
        known = self._known.get(project.document_sha256)
        if known is None:
            known = self._known[project.document_sha256] = _edges_in(project.document)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return known


def _edges_in(document: str) -> frozenset[str]:
    try:
        plan = msgspec.toml.decode(document, type=_Plan)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return frozenset()
    return frozenset(one.point.split("/", 1)[0] for monitored in plan.monitored for one in monitored.points)
