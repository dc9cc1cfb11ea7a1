"""Bearer tokens: random, shown once, kept as a hash; what a caller may see is decided here and nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Annotated, NamedTuple

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from api.problems import ApiProblem, not_found
from api.sources import FromSources
from hakari.ledger.types import ALL_PROJECTS, ProjectRecord, Role, TokenRecord

PREFIX = "hk_"
RANDOM_BYTES = 32
_TOKEN = re.compile(r"hk_[A-Za-z0-9_-]{43}")

_scheme = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="hk_…",
    description="A verifier's token, made by `hakari user token create`. It reads the projects named in it.",
)


class Caller(NamedTuple):
    """Who asks: the token's name and role, and the projects it may read, None for all of them."""

    name: str
    role: Role
    projects: frozenset[str] | None

    def may_read(self, project_id: str) -> bool:
        """Whether the project is in the token's scope."""
        return self.projects is None or project_id in self.projects


def new_token() -> str:
    """A fresh token, 256 random bits."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def hash_of(token: str) -> str:
    """The hash (hex) by which the ledger knows a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_valid(record: TokenRecord | None, token_sha256: str, now_ms: int) -> bool:
    """Whether the ledger's record lets this token in now."""
    if record is None:
        return False
    same = hmac.compare_digest(record.token_sha256, token_sha256)
    return same and not record.revoked and record.created_ms <= now_ms < record.expires_ms


async def caller_of(request: Request, sources: FromSources, _: Annotated[object, Security(_scheme)]) -> Caller:
    """The caller; a 401 problem unless the request has exactly one valid bearer token."""
    given = request.headers.getlist("authorization")
    if not given:
        raise _refused("this address needs a token: send Authorization: Bearer hk_…", "Bearer")
    scheme, _space, token = given[0].partition(" ")
    if len(given) == 1 and scheme.lower() == "bearer" and _TOKEN.fullmatch(token):
        token_sha256 = hash_of(token)
        record = sources.ledger.token(token_sha256)
        if record is not None and is_valid(record, token_sha256, sources.clock_ms()):
            everything = ALL_PROJECTS in record.projects
            return Caller(record.name, record.role, None if everything else frozenset(record.projects))
    raise _refused("the token is unknown, expired or revoked; ask the operator for a new one", _INVALID)


_INVALID = 'Bearer error="invalid_token"'
FromCaller = Annotated[Caller, Depends(caller_of)]


def visible_project(sources: FromSources, caller: Caller, project_id: str) -> ProjectRecord:
    """The project, if it exists and the caller may read it; the same 404 problem otherwise."""
    project = sources.ledger.project(project_id) if caller.may_read(project_id) else None
    if project is None:
        raise not_found(f"project {project_id}")
    return project


def _refused(sentence: str, challenge: str) -> ApiProblem:
    return ApiProblem("token-invalid", sentence, headers={"www-authenticate": challenge})
