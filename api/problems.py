"""Every answer that is not a success: RFC 9457 `application/problem+json`, one clear sentence, no stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from api.headers import SECURITY_HEADERS
from api.problem_types import BY_STATUS, TYPES
from hakari.errors import DATA_PROBLEM, NOT_REACHABLE, HakariError

MEDIA_TYPE = "application/problem+json"
MAX_BODY_BYTES = 64 * 1024
MAX_LENGTH_DIGITS = 10
MAX_SHOWN_CHARS = 100
MAX_ERRORS = 20
RETRY_AFTER_S = 5

_log = logging.getLogger("hakari.api")


class FieldError(BaseModel):
    """One value that cannot be used."""

    pointer: str = Field(description="Where it is: `/query/limit`, `/path/i`.", examples=["/query/limit"])
    message: str = Field(description="What is wrong and what to do.", examples=["limit is above 1000; ask for less"])
    value: str | None = Field(default=None, description="The value given, shortened.", examples=["5000"])
    limit: str | None = Field(default=None, description="The limit that it breaks.", examples=["1000"])


class Problem(BaseModel):
    """A problem as RFC 9457 describes it."""

    type: str = Field(description="Address of a page that explains it.", examples=["/problems/page-too-large"])
    title: str = Field(description="The kind of problem.", examples=["Page too large"])
    status: int = Field(description="The HTTP status.", examples=[400])
    detail: str = Field(description="What happened here, in one sentence.")
    instance: str = Field(description="The path asked for.", examples=["/v1/projects"])
    code: str = Field(description="The kind of problem, for programs.", examples=["page-too-large"])
    errors: list[FieldError] = Field(default=[], description="Each value that cannot be used.")
    trace_id: str = Field(description="Names this request in the server's log.", examples=["9f2c4e1ab07d3358"])


class ApiProblem(Exception):
    """Raised by a route to answer with the problem `code`."""

    def __init__(
        self,
        code: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`detail` is one sentence."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def not_found(what: str) -> ApiProblem:
    """The answer for what does not exist and for what belongs to others alike."""
    return ApiProblem("not-found", f"{shown(what)} does not exist or is not visible to this token")


def invalid(
    name: str, value: object, message: str, limit: str | None = None, code: str = "invalid-value"
) -> ApiProblem:
    """The answer for one query parameter that cannot be used; `message` says what is wrong and what to do."""
    error = FieldError(pointer=f"/query/{name}", message=message, value=shown(str(value)), limit=limit)
    return ApiProblem(code, f"query parameter {name}: {message}", [error])


def shown(value: str) -> str:
    """`value` as it may stand in a sentence: short and printable."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:MAX_SHOWN_CHARS])
    return text if len(value) <= MAX_SHOWN_CHARS else text + "…"


def respond(request: Request, problem: ApiProblem) -> Response:
    """The response of `problem`."""
    kind = TYPES[problem.code]
    body = Problem(
        type=f"/problems/{problem.code}",
        title=kind.en.title,
        status=kind.status,
        detail=problem.detail,
        instance=shown(request.url.path),
        code=problem.code,
        errors=problem.errors[:MAX_ERRORS],
        trace_id=trace_id(request),
    )
    headers = {**SECURITY_HEADERS, "cache-control": "no-store", "content-language": "en", **problem.headers}
    headers["trace-id"] = body.trace_id
    return Response(body.model_dump_json(), kind.status, headers, MEDIA_TYPE)


def trace_id(request: Request) -> str:
    """The random name of this request."""
    return cast("str", getattr(request.state, "trace_id", "none"))


def install(app: FastAPI) -> None:
    """Makes every failure of `app` a problem."""
    app.add_exception_handler(ApiProblem, _raised)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HakariError, _ours)
    app.add_exception_handler(Exception, _unexpected)


async def _raised(request: Request, error: Exception) -> Response:
    return respond(request, cast("ApiProblem", error))


async def _http(request: Request, error: Exception) -> Response:
    found = cast("HTTPException", error)
    code = BY_STATUS.get(found.status_code, "bad-request" if found.status_code < 500 else "internal")
    sentence = {
        "not-found": f"there is nothing at {shown(request.url.path)}",
        "method-not-allowed": f"{shown(request.method)} is not allowed at {shown(request.url.path)}; use GET",
    }.get(code, TYPES[code].en.cause)
    return respond(request, ApiProblem(code, sentence, headers=found.headers))


async def _validation(request: Request, error: Exception) -> Response:
    errors = [_field_error(one) for one in cast("RequestValidationError", error).errors()]
    first = errors[0]
    where = first.pointer.removeprefix("/").replace("/", " parameter ", 1)
    return respond(request, ApiProblem("invalid-value", f"{where}: {first.message}", errors))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    context = error.get("ctx", {})
    limit = next(
        (str(context[name]) for name in ("le", "ge", "lt", "gt", "max_length", "min_length") if name in context), None
    )
    missing = error["type"] == "missing"
    message = "is missing; add it" if missing else f"{error['msg'][:1].lower()}{error['msg'][1:]}; correct it"
    return FieldError(
        pointer="/" + "/".join(str(step) for step in error["loc"]),
        message=message,
        value=None if missing else shown(str(error.get("input"))),
        limit=limit,
    )


async def _ours(request: Request, error: Exception) -> Response:
    found = cast("HakariError", error)
    _log.error("request %s: %s", trace_id(request), found)
    if found.exit_code == NOT_REACHABLE:
        sentence = "a store of this server does not answer; ask again later"
        return respond(request, ApiProblem("unavailable", sentence, headers={"retry-after": str(RETRY_AFTER_S)}))
    if found.exit_code == DATA_PROBLEM:
        return respond(request, ApiProblem("evidence-mismatch", str(found)))
    return respond(request, ApiProblem("internal", TYPES["internal"].en.cause))


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("request %s failed", trace_id(request), exc_info=error)
    return respond(request, ApiProblem("internal", TYPES["internal"].en.cause))


class BodyLimit:
    """Refuses a request whose body is announced above the limit or with an unknown length.

    FastAPI's own limit answers in plain text. The server ends a connection whose body is longer than announced.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Around `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            request = Request(scope)
            length = request.headers.get("content-length", "0")
            known = length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS
            if not known or int(length) > MAX_BODY_BYTES or "transfer-encoding" in request.headers:
                sentence = f"the body has more than {MAX_BODY_BYTES} bytes or an unknown length; send less"
                await respond(request, ApiProblem("body-too-large", sentence))(scope, receive, send)
                return
        await self._app(scope, receive, send)
