"""About the server itself: version and health, open to everyone and without a fact about any plant."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter, Depends, Response
from pydantic import Field

import hakari
from api import documented
from api.models import Answer
from api.queries import JSON, accepts, only_known
from api.sources import FromSources
from hakari.errors import HakariError

router = APIRouter(tags=["server"], dependencies=[Depends(only_known), accepts(JSON)])
_log = logging.getLogger("hakari.api")


class Version(Answer):
    """What answers."""

    name: str = Field(examples=["hakari"])
    version: str = Field(examples=["0.1.0"])
    api: str = Field(examples=["v1"])


class Health(Answer):
    """The process answers."""

    status: str = Field(examples=["ok"])


class Readiness(Answer):
    """Every store answers."""

    ready: bool
    stores: dict[str, str] = Field(examples=[{"ledger": "ok", "evidence": "ok", "view": "ok"}])


@router.get(
    "/v1/version",
    operation_id="version_get",
    summary="Version of this server",
    responses=documented.problems("unknown-parameter", "not-acceptable"),
    openapi_extra={"x-summary-ja": "サーバーの版"},
)
async def version_get() -> Version:
    """Software and API version."""
    return Version(name="hakari", version=hakari.__version__, api="v1")


@router.get(
    "/healthz",
    operation_id="health_live",
    summary="The process answers",
    responses=documented.problems("unknown-parameter", "not-acceptable"),
    openapi_extra={"x-summary-ja": "稼働確認"},
)
async def health_live() -> Health:
    """Says nothing about the stores."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="health_ready",
    summary="Every store answers",
    responses={
        **documented.problems("unknown-parameter", "not-acceptable"),
        503: {"description": "A store does not answer", "model": Readiness},
    },
    openapi_extra={"x-summary-ja": "準備確認"},
)
async def health_ready(sources: FromSources, response: Response) -> Readiness:
    """One word a store; the server's log says what is wrong."""
    checks: dict[str, Callable[[], object]] = {
        "ledger": sources.ledger.ping,
        "evidence": sources.evidence.origins,
        "view": lambda: sources.view.cursor("none-none", 0),
    }
    stores = {name: _word(name, check) for name, check in checks.items()}
    ready = set(stores.values()) == {"ok"}
    response.status_code = 200 if ready else 503
    response.headers["cache-control"] = "no-store"
    return Readiness(ready=ready, stores=stores)


def _word(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except HakariError as error:
        _log.warning("store %s: %s", name, error)
        return "failing"
    return "ok"
