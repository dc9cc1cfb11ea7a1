"""Which edges a caller may look into: those that read a metering point of a project in its scope."""

from __future__ import annotations

from collections.abc import Iterator

from api.auth import Caller
from api.sources import Sources
from hakari.names import BadName, Origin, check_edge_id


def namespaces_of(sources: Sources, caller: Caller, edge_id: str) -> frozenset[str] | None:
    """The namespaces in which a project that the caller may read has, or had, a point at this edge; None for all."""
    if caller.projects is None:
        return None
    return frozenset(
        revision.namespace
        for project_id in caller.projects
        for revision in sources.ledger.revisions(project_id)
        if edge_id in sources.plans.edges_of(revision)
    )


def origins_of(sources: Sources, caller: Caller, edge_id: str) -> Iterator[Origin]:
    """The logs of an edge that the caller may look into, newest epoch first."""
    try:
        check_edge_id(edge_id)
    except BadName:
        return
    origins = [origin for origin in sources.evidence.origins() if origin.edge_id == edge_id]
    namespaces = namespaces_of(sources, caller, edge_id) if origins else None
    for origin in sorted(origins, key=lambda one: -one.epoch):
        if namespaces is None or origin.namespace in namespaces:
            yield origin
