"""Query parameters, strictly: every name known, each once, times with offset, pages with an opaque `next`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple, cast
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, params
from fastapi.routing import APIRoute

from api.problems import ApiProblem, FieldError, invalid, shown

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_NEXT_CHARS = 500
MAX_TIME_CHARS = 40
JSON = "application/json"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_MS = timedelta(milliseconds=1)
_TIME = re.compile(
    r"(?P<at>\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)(?P<offset>[Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)


async def only_known(request: Request) -> None:
    """Refuses a query parameter that the route does not have, or one given twice."""
    route = cast("APIRoute", request.scope["route"])
    known = sorted(name for name in _names(route))
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name in known and name not in seen:
            seen.add(name)
            continue
        advice = "is given twice; give it once" if name in seen else f"is not known here; known: {_listed(known)}"
        error = FieldError(pointer=f"/query/{shown(name)}", message=advice, value=shown(value))
        raise ApiProblem("unknown-parameter", f"query parameter {shown(name)} {advice}", [error])


def accepts(*kinds: str) -> params.Depends:
    """A dependency that refuses an Accept header which rules out every one of `kinds`."""

    async def check(request: Request) -> None:
        given = ",".join(request.headers.getlist("accept"))
        ranges = [one.split(";")[0].strip().lower() for one in given.split(",") if one.strip()]
        usable = {"*/*", *kinds, *(f"{kind.split('/')[0]}/*" for kind in kinds)}
        if ranges and not usable.intersection(ranges):
            raise ApiProblem("not-acceptable", f"this address answers with {' or '.join(kinds)}; accept that")

    return params.Depends(check)


def _names(route: APIRoute) -> set[str]:
    found: set[str] = set()
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        found |= {field.alias for field in dependant.query_params}
        waiting += dependant.dependencies
    return found


def _listed(known: list[str]) -> str:
    return ", ".join(known) or "none"


class Page(NamedTuple):
    """The page asked for: how many items, after which key (None at the start), of which query."""

    limit: int
    after: list[int | str] | None
    path: str
    filters: tuple[tuple[str, str], ...]

    def next_of(self, key: list[int | str]) -> str:
        """The opaque text that continues after `key`."""
        content = json.dumps([_digest(self.path, self.filters), *key], separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    def url_of(self, next_: str) -> str:
        """The address of the page that `next_` continues with."""
        return f"{self.path}?{urlencode([*self.filters, ('limit', self.limit), ('next', next_)])}"


async def page_of(
    request: Request,
    limit: Annotated[int, Query(ge=1, description="Items on one page, at most 1000.")] = DEFAULT_LIMIT,
    next_: Annotated[
        str | None,
        Query(alias="next", max_length=MAX_NEXT_CHARS, description="`next` of the page before; opaque."),
    ] = None,
) -> Page:
    """The page asked for; problems for a page too large and for a `next` that this list did not give."""
    if limit > MAX_LIMIT:
        message = f"{shown(str(limit))} is above {MAX_LIMIT}; ask for less and follow next_url"
        raise invalid("limit", limit, message, str(MAX_LIMIT), "page-too-large")
    path = request.url.path
    filters = tuple(
        (name, value) for name, value in request.query_params.multi_items() if name not in ("limit", "next")
    )
    return Page(limit, None if next_ is None else _after(next_, _digest(path, filters)), path, filters)


FromPage = Annotated[Page, Depends(page_of)]


def _after(next_: str, digest: str) -> list[int | str]:
    refused = invalid("next", next_, "is not one that this list gave; start again without it")
    try:
        content = json.loads(base64.b64decode(next_ + "=" * (-len(next_) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise refused from error
    if not isinstance(content, list) or content[:1] != [digest]:
        raise refused
    if not all(isinstance(one, str) or (type(one) is int and abs(one) < 2**53) for one in content):
        raise refused
    return content[1:]


def _digest(path: str, filters: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(json.dumps([path, sorted(filters)]).encode()).hexdigest()[:12]


def instant_ms(name: str, text: str) -> int:
    """The instant (UTC milliseconds) of an RFC 3339 time with offset; a problem otherwise."""
    found = _TIME.fullmatch(text[: MAX_TIME_CHARS + 1])
    if found is None:
        hint = "; write its plus sign as %2B" if " " in text else ""
        raise invalid(name, text, f"{shown(text)} is not a time such as 2016-07-01T00:00:00%2B07:00{hint}")
    if found["offset"] is None:
        message = f"{shown(text)} has no offset from UTC; write {shown(text)}Z or {shown(text)}%2B07:00"
        raise invalid(name, text, message, code="time-without-offset")
    try:
        instant = datetime.fromisoformat(found["at"].upper() + found["offset"].upper().replace("Z", "+00:00"))
        elapsed = (instant - _EPOCH) // _ONE_MS
    except (ValueError, OverflowError) as error:
        raise invalid(name, text, f"{shown(text)} is no instant of the calendar; correct it") from error
    if elapsed < 0:
        raise invalid(name, text, f"{shown(text)} is before 1970; there are no readings", "1970-01-01T00:00:00Z")
    return elapsed
