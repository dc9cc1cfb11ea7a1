"""What every answer carries: security headers, a trace id, and a strong ETag over its content."""

from __future__ import annotations

import hashlib
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_TAGGED_BYTES = 16 * 1024 * 1024

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
}


class AnswerHeaders:
    """Outermost: names the request and sets what a route has not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        """Around `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = secrets.token_hex(8)
        Request(scope).state.trace_id = trace

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "private, no-cache")
                headers.setdefault("vary", "Authorization, Accept")
                headers["trace-id"] = trace
            await send(message)

        await self._app(scope, receive, sending)


class ContentTags:
    """Gives every successful GET a strong ETag, the SHA-256 of its content, and answers 304 where it is known."""

    def __init__(self, app: ASGIApp) -> None:
        """Around `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(Headers(scope=scope).get("if-none-match"), send))


class _Tagging:
    """Holds one answer back until its content is whole, or too large to tag."""

    def __init__(self, known: str | None, send: Send) -> None:
        self._known = known
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()
        self._silent = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body" and self._start is not None:
            await self._collect(message)
        elif not self._silent:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        tag = Headers(raw=message["headers"]).get("etag")
        if message["status"] != 200:
            await self._send(message)
        elif tag is None:
            self._start = message
        elif _matches(self._known, tag):
            self._silent = True
            await self._not_modified(message)
        else:
            await self._send(message)

    async def _collect(self, message: Message) -> None:
        self._body += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._body) <= MAX_TAGGED_BYTES:
            return
        start, self._start = self._start, None
        if start is None:
            return
        if not more:
            tag = f'"{hashlib.sha256(self._body).hexdigest()}"'
            MutableHeaders(scope=start)["etag"] = tag
            if _matches(self._known, tag):
                await self._not_modified(start)
                return
        await self._send(start)
        await self._send({"type": "http.response.body", "body": bytes(self._body), "more_body": more})

    async def _not_modified(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        for name in ("content-length", "content-type"):
            del headers[name]
        await self._send({**start, "status": 304})
        await self._send({"type": "http.response.body", "body": b""})


def _matches(known: str | None, tag: str) -> bool:
    """Whether If-None-Match names `tag` (weak comparison, RFC 9110 section 13.1.2)."""
    if known is None:
        return False
    return known.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in known.split(",")}
