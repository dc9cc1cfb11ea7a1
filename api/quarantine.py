"""The quarantine: what could not be taken and why; an operator asks for release or discard, and ingest decides.

Seen by tokens for every project, since a quarantined message belongs to nobody until it is released.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from api import documented
from api.auth import Caller, FromCaller, caller_of
from api.problems import ApiProblem, invalid, not_found
from api.quarantine_models import (
    DecisionList,
    DecisionSummary,
    QuarantineDetail,
    QuarantineLinks,
    QuarantineList,
    QuarantineSummary,
    QuarantineTotals,
    Wanted,
    WantedAnswer,
)
from api.queries import JSON, FromPage, Page, accepts, only_known
from api.sources import FromSources, Sources
from hakari.period import time_text
from hakari.store.evidence import DISCARD_WANTED, RELEASE_WANTED, Decision, Quarantined

BODY_TYPE = "application/octet-stream"
CHANGING = (*documented.READ, "invalid-value", "key-missing", "key-reused", "media-type", "decided-elsewhere")
MAX_ID = 2**63 - 1

_KEY = re.compile(r"[A-Za-z0-9-]{16,100}")

Number = Annotated[int, Path(ge=1, le=MAX_ID, description="Number of the quarantined message.")]
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="Names this request when it is repeated.")]


async def json_only(request: Request) -> None:
    """Refuses a body that is not declared as JSON."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
        raise ApiProblem("media-type", f"the body must be declared as {JSON}")


router = APIRouter(prefix="/v1", tags=["quarantine"], dependencies=[Depends(caller_of), Depends(only_known)])


@router.get(
    "/quarantine",
    operation_id="quarantine_list",
    summary="Messages that could not be taken",
    responses=documented.problems(*documented.LISTED),
    dependencies=[accepts(JSON)],
    openapi_extra={"x-summary-ja": "隔離されたメッセージ"},
)
async def quarantine_list(sources: FromSources, caller: FromCaller, page: FromPage) -> QuarantineList:
    """The newest first, each with its reason. Only for tokens that may read every project."""
    _check_all(caller, "the quarantine")
    found = sources.evidence.quarantined(page.limit + 1, _before(page))
    shown = found[: page.limit]
    next_ = page.next_of([shown[-1].id]) if len(found) > page.limit else None
    return QuarantineList(
        items=[_summary(entry) for entry in shown],
        total=QuarantineTotals(**sources.evidence.quarantine_total()._asdict()),
        next=next_,
        next_url=None if next_ is None else page.url_of(next_),
    )


@router.get(
    "/quarantine/{entry_id}",
    operation_id="quarantine_get",
    summary="One message that could not be taken",
    responses=documented.problems(*documented.READ, "invalid-value"),
    dependencies=[accepts(JSON)],
    openapi_extra={"x-summary-ja": "隔離されたメッセージと決定"},
)
async def quarantine_get(sources: FromSources, caller: FromCaller, entry_id: Number) -> QuarantineDetail:
    """Its reason and what was decided about it. After a decision the message itself is gone: see /v1/decisions."""
    entry = _entry(sources, caller, entry_id)
    decisions = [_decision(one) for one in sources.evidence.decisions(subject=str(entry_id))]
    return QuarantineDetail(**dict(_summary(entry)), decisions=decisions)


@router.get(
    "/quarantine/{entry_id}/payload",
    operation_id="quarantine_payload",
    summary="The bytes of a quarantined message",
    response_class=Response,
    responses={
        200: {"description": "The bytes as they came, at most the first MiB.", "content": {BODY_TYPE: {}}},
        **documented.problems(*documented.READ, "invalid-value"),
    },
    dependencies=[accepts(BODY_TYPE)],
    openapi_extra={"x-summary-ja": "隔離されたメッセージのバイト列"},
)
async def quarantine_payload(sources: FromSources, caller: FromCaller, entry_id: Number) -> Response:
    """As a download; it may be anything, so do not open it in a browser."""
    entry = _entry(sources, caller, entry_id)
    name = f'attachment; filename="quarantine-{entry_id}.bin"'
    return Response(entry.payload, 200, {"content-disposition": name}, BODY_TYPE)


@router.post(
    "/quarantine/{entry_id}/release",
    operation_id="quarantine_release",
    summary="Ask ingest to take a quarantined message",
    status_code=202,
    responses=documented.problems(*CHANGING),
    dependencies=[accepts(JSON), Depends(json_only)],
    openapi_extra={"x-summary-ja": "隔離の解除を依頼"},
)
async def quarantine_release(
    sources: FromSources, caller: FromCaller, entry_id: Number, wanted: Wanted, key: Key = None
) -> WantedAnswer:
    """Ingest takes it by the rules for any message; what is still wrong keeps it where it is. Operators only."""
    return _ask(sources, caller, entry_id, RELEASE_WANTED, wanted, key)


@router.post(
    "/quarantine/{entry_id}/discard",
    operation_id="quarantine_discard",
    summary="Ask ingest to discard a quarantined message",
    status_code=202,
    responses=documented.problems(*CHANGING),
    dependencies=[accepts(JSON), Depends(json_only)],
    openapi_extra={"x-summary-ja": "隔離されたメッセージの破棄を依頼"},
)
async def quarantine_discard(
    sources: FromSources, caller: FromCaller, entry_id: Number, wanted: Wanted, key: Key = None
) -> WantedAnswer:
    """Its bytes are deleted; its hash, source and reason stay in the record for ever. Operators only."""
    return _ask(sources, caller, entry_id, DISCARD_WANTED, wanted, key)


@router.get(
    "/decisions",
    operation_id="decision_list",
    summary="What people decided about evidence",
    responses=documented.problems(*documented.LISTED),
    dependencies=[accepts(JSON)],
    openapi_extra={"x-summary-ja": "証拠に関する決定の記録"},
)
async def decision_list(sources: FromSources, caller: FromCaller, page: FromPage) -> DecisionList:
    """The newest first: releases, discards, bodies that were given up, restored backups."""
    _check_all(caller, "the record of decisions")
    every = sources.evidence.decisions()
    stop = len(every) if page.after is None else _before(page) or 0
    shown = every[max(0, stop - page.limit) : stop][::-1]
    next_ = page.next_of([stop - len(shown)]) if stop > len(shown) and shown else None
    return DecisionList(
        items=[_decision(one) for one in shown],
        next=next_,
        next_url=None if next_ is None else page.url_of(next_),
    )


def _ask(
    sources: Sources,
    caller: Caller,
    entry_id: int,
    kind: str,
    wanted: Wanted,
    key: str | None,
) -> WantedAnswer:
    if caller.role != "operator":
        raise not_found(f"quarantined message {entry_id}")
    if key is None or not _KEY.fullmatch(key):
        raise ApiProblem("key-missing", "Idempotency-Key must be 16 to 100 letters, digits and hyphens; send one")
    asked = Decision(
        sources.clock_ms(), kind, str(entry_id), caller.name, wanted.why, json.dumps({"key": key}, sort_keys=True)
    )
    known = _asked_before(sources, asked)
    if not known:
        _entry(sources, caller, entry_id)
        if sources.decide is None:
            raise ApiProblem("decided-elsewhere", "this server takes no decisions; say it beside ingest")
        sources.decide(asked)
    return WantedAnswer(status="asked", links=_links(entry_id))


def _asked_before(sources: Sources, asked: Decision) -> bool:
    """Whether the very same was asked under this key; a problem where something else was."""
    for kind in (RELEASE_WANTED, DISCARD_WANTED):
        for one in sources.evidence.decisions(kind):
            if one.asked_as != asked.asked_as:
                continue
            if one[1:] != asked[1:]:
                raise ApiProblem("key-reused", "this Idempotency-Key came before with another request; use a new one")
            return True
    return False


def _entry(sources: Sources, caller: Caller, entry_id: int) -> Quarantined:
    _check_all(caller, f"quarantined message {entry_id}")
    entry = sources.evidence.quarantined_entry(entry_id)
    if entry is None:
        raise not_found(f"quarantined message {entry_id}")
    return entry


def _check_all(caller: Caller, what: str) -> None:
    if caller.projects is not None:
        raise not_found(what)


def _before(page: Page) -> int | None:
    if page.after is None:
        return None
    if len(page.after) != 1 or not isinstance(page.after[0], int) or page.after[0] < 0:
        raise invalid("next", page.after, "is not one that this list gave; start again without it")
    return page.after[0]


def _links(entry_id: int) -> QuarantineLinks:
    here = f"/v1/quarantine/{entry_id}"
    return QuarantineLinks(self=here, payload=f"{here}/payload")


def _summary(entry: Quarantined) -> QuarantineSummary:
    return QuarantineSummary(
        id=entry.id,
        received_at=time_text(entry.received_ms),
        source=entry.source,
        reason=entry.reason,
        bytes=len(entry.payload),
        sha256=hashlib.sha256(entry.payload).hexdigest(),
        links=_links(entry.id),
    )


def _decision(one: Decision) -> DecisionSummary:
    return DecisionSummary(
        at=time_text(one.at_ms), kind=one.kind, subject=one.subject, who=one.who, why=one.why, detail=one.detail
    )
