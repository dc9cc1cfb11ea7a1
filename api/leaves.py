"""Leaves: what an edge signed, byte for byte."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Response
from pydantic import JsonValue

from api import documented
from api.auth import FromCaller, caller_of
from api.links import leaf_link
from api.models import LeafDetail, LeafLinks
from api.problems import not_found
from api.queries import JSON, accepts, only_known
from api.scope import origins_of
from api.sources import FromSources, Sources
from hakari.errors import DataProblem
from hakari.log.tree import MAX_SIZE, leaf_hash
from hakari.names import MAX_EPOCH, Origin
from hakari.period import time_text
from hakari.store.evidence import StoredLeaf
from hakari.wire.envelope import inflate
from hakari.wire.leaf import LeafMalformed, decode

BODY_TYPE = "application/octet-stream"
IMMUTABLE = "private, max-age=31536000, immutable"

EdgeId = Annotated[str, Path(max_length=64, description="Edge id, `{site}-{edge}`.", examples=["sola-e1"])]
Epoch = Annotated[int, Path(ge=0, le=MAX_EPOCH, description="Creation time of the log, UTC seconds.")]
Number = Annotated[int, Path(ge=0, lt=MAX_SIZE, description="Number of the leaf, from 0.")]

router = APIRouter(prefix="/v1/leaves", tags=["leaves"], dependencies=[Depends(caller_of), Depends(only_known)])


class LeafHashMismatch(DataProblem):
    """A stored body does not give the hash stored with it."""


class _Found(NamedTuple):
    origin: Origin
    stored: StoredLeaf
    body: bytes


@router.get(
    "/{edge_id}/{epoch}/{i}",
    operation_id="leaf_get",
    summary="One signed leaf, decoded",
    responses=documented.problems(*documented.READ, "invalid-value", "evidence-mismatch"),
    dependencies=[accepts(JSON)],
    openapi_extra={"x-summary-ja": "署名された一枚の葉（復号済み）"},
)
async def leaf_get(
    sources: FromSources, caller: FromCaller, response: Response, edge_id: EdgeId, epoch: Epoch, i: Number
) -> LeafDetail:
    """The leaf's JSON, its hashes and the edge's signed checkpoint; `/body` has the bytes that were signed."""
    origin, stored, body = _visible(sources, caller, edge_id, epoch, i)
    content, malformed = _decoded(body)
    here = leaf_link(edge_id, epoch, i)
    size = sources.evidence.head(origin).size
    if i + 1 < size:
        response.headers["cache-control"] = IMMUTABLE
    return LeafDetail(
        edge_id=edge_id,
        epoch=epoch,
        i=i,
        origin=str(origin),
        leaf_sha256=hashlib.sha256(body).hexdigest(),
        rfc6962_leaf_hash=stored.leaf_hash.hex(),
        received_at=time_text(stored.received_ms),
        checkpoint=stored.checkpoint.decode("utf-8", "replace"),
        leaf=content,
        malformed=malformed,
        links=LeafLinks(
            self=here,
            body=f"{here}/body",
            previous=leaf_link(edge_id, epoch, i - 1) if i else None,
            next=leaf_link(edge_id, epoch, i + 1) if i + 1 < size else None,
        ),
    )


@router.get(
    "/{edge_id}/{epoch}/{i}/body",
    operation_id="leaf_body",
    summary="The bytes of one leaf",
    response_class=Response,
    responses={
        200: {"description": "Exactly the bytes that were hashed and signed.", "content": {BODY_TYPE: {}}},
        **documented.problems(*documented.READ, "invalid-value", "evidence-mismatch"),
    },
    dependencies=[accepts(BODY_TYPE)],
    openapi_extra={"x-summary-ja": "葉のバイト列"},
)
async def leaf_body(sources: FromSources, caller: FromCaller, edge_id: EdgeId, epoch: Epoch, i: Number) -> Response:
    """Its SHA-256 is `leaf_sha256`; with a zero byte in front it is the hash in the tree."""
    found = _visible(sources, caller, edge_id, epoch, i)
    name = f'attachment; filename="{edge_id}-{epoch}-{i}.leaf"'
    return Response(found.body, 200, {"cache-control": IMMUTABLE, "content-disposition": name}, BODY_TYPE)


def _visible(sources: Sources, caller: FromCaller, edge_id: str, epoch: int, i: int) -> _Found:
    for origin in origins_of(sources, caller, edge_id):
        stored = sources.evidence.leaf(origin, i) if origin.epoch == epoch else None
        if stored is not None and not stored.deflated:
            raise not_found(f"the body of leaf {edge_id} {epoch}/{i}, forgone by a recorded decision,")
        if stored is not None:
            body = inflate(stored.deflated)
            if leaf_hash(body) != stored.leaf_hash:
                raise LeafHashMismatch(f"stored leaf {edge_id} {epoch}/{i} does not give its hash; it is not shown")
            return _Found(origin, stored, body)
    raise not_found(f"leaf {edge_id} {epoch}/{i}")


def _decoded(body: bytes) -> tuple[JsonValue, str]:
    """The body as JSON, or null and why it is no leaf: the log keeps whatever an edge signed."""
    try:
        decode(body)
    except LeafMalformed as error:
        return None, str(error)
    content: JsonValue = json.loads(body)
    return content, ""
