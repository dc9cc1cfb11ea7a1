"""Which edges a caller may look into: those that read a metering point of a project in its scope."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from api.auth import Caller
from api.sources import Sources
from hakari.ledger.types import ProjectRecord
from hakari.names import BadName, Origin, check_edge_id


class _Point(msgspec.Struct):
    point: str


class _Monitored(msgspec.Struct):
    points: list[_Point]


class _Plan(msgspec.Struct):
    monitored: list[_Monitored] = []


def edges_of(project: ProjectRecord) -> frozenset[str]:
    """The edge ids in the monitoring plan of one revision of a project; none when it has no such plan."""
    try:
        plan = msgspec.toml.decode(project.document, type=_Plan)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return frozenset()
    return frozenset(one.point.split("/", 1)[0] for monitored in plan.monitored for one in monitored.points)


def may_look_into(sources: Sources, caller: Caller, namespace: str, edge_id: str) -> bool:
    """Whether a project that the caller may read has, or had, a point at this edge."""
    if caller.projects is None:
        return True
    return any(
        revision.namespace == namespace and edge_id in edges_of(revision)
        for project_id in caller.projects
        for revision in sources.ledger.revisions(project_id)
    )


def origins_of(sources: Sources, caller: Caller, edge_id: str) -> Iterator[Origin]:
    """The logs of an edge that the caller may look into, newest epoch first."""
    try:
        check_edge_id(edge_id)
    except BadName:
        return
    for origin in sorted(sources.evidence.origins(), key=lambda one: -one.epoch):
        if origin.edge_id == edge_id and may_look_into(sources, caller, origin.namespace, edge_id):
            yield origin
