"""The few pages for people: the list of addresses, and one page a kind of problem, in English and Japanese."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.problem_types import TYPES, Words
from api.problems import not_found

router = APIRouter(include_in_schema=False)

_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ccc}"
)


@router.get("/")
async def root() -> RedirectResponse:
    """To the list of addresses."""
    return RedirectResponse("/docs")


@router.get("/style.css")
async def style() -> Response:
    """The one style sheet."""
    return Response(_STYLE, media_type="text/css")


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Every address with what it gives; the machine's version is /openapi.json."""
    document: dict[str, Any] = request.app.openapi()
    rows = "".join(
        f"<tr><td><code>{escape(method.upper())} {escape(path)}</code><td>{escape(operation['summary'])}"
        f"<td lang=ja>{escape(operation.get('x-summary-ja', ''))}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    kinds = "".join(
        f'<li><a href="/problems/{code}">{code}</a> ({kind.status}) {escape(kind.en.title)}'
        f" · <span lang=ja>{escape(kind.ja.title)}</span>"
        for code, kind in TYPES.items()
    )
    return _page(
        "hakari API",
        f"<p>{escape(document['info']['description'])}<p>Machine-readable: "
        f'<a href="/openapi.json">/openapi.json</a><table>{rows}</table><h2>Problems</h2><ul>{kinds}</ul>',
    )


@router.get("/problems/{code}")
async def problem(code: str) -> HTMLResponse:
    """What a problem means and what to do."""
    kind = TYPES.get(code)
    if kind is None:
        raise not_found(f"problem type {code}")
    return _page(
        f"{kind.en.title} ({kind.status})",
        f"<p><code>{code}</code>{_words(kind.en)}<section lang=ja><h1>{escape(kind.ja.title)}</h1>"
        f"{_words(kind.ja)}</section>",
    )


def _words(words: Words) -> str:
    return f"<p>{escape(words.cause)}<p>{escape(words.remedy)}"


def _page(title: str, content: str) -> HTMLResponse:
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><link rel=stylesheet href=/style.css><h1>{escape(title)}</h1>{content}</html>"
    )
