"""How problems stand in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from api.problem_types import TYPES
from api.problems import MEDIA_TYPE, FieldError, Problem

Responses = dict[int | str, dict[str, Any]]


def problems(*codes: str) -> Responses:
    """The `responses=` of a route that may answer with these problems."""
    found: Responses = {}
    for code in codes:
        kind = TYPES[code]
        entry = found.setdefault(kind.status, {"description": kind.en.title, "content": {MEDIA_TYPE: _content()}})
        if kind.en.title not in entry["description"]:
            entry["description"] += f"; {kind.en.title}"
        entry["content"][MEDIA_TYPE]["examples"][code] = {"summary": kind.en.title, "value": _example(code)}
    return found


def _content() -> dict[str, Any]:
    return {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}


def _example(code: str) -> dict[str, Any]:
    kind = TYPES[code]
    problem = Problem(
        type=f"/problems/{code}",
        title=kind.en.title,
        status=kind.status,
        detail=kind.en.cause,
        instance="/v1/…",
        code=code,
        trace_id="9f2c4e1ab07d3358",
    )
    return problem.model_dump()


READ = ("unknown-parameter", "token-invalid", "not-found", "not-acceptable", "unavailable")
LISTED = (*READ, "page-too-large", "invalid-value")


class DocumentedApi(FastAPI):
    """FastAPI whose OpenAPI document knows the problem object."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        made = self.openapi_schema is None
        schema = super().openapi()
        if made:
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            for model in (FieldError, Problem):
                text = model.model_json_schema(ref_template="#/components/schemas/{model}")
                text.pop("$defs", None)
                schemas[model.__name__] = text
        return schema
