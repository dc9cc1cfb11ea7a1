"""The OpenAPI document and the pages are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.problem_types import TYPES
from tests.unit.api_world import Served, build


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = build(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(served: Served) -> Any:
    return served.json("/openapi.json")


def operations(document: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def test_every_operation_is_named_described_and_tagged(document: Any) -> None:
    found = {operation["operationId"]: operation for _, operation in operations(document)}
    assert set(found) == {
        "project_list", "project_get", "period_list", "period_get", "period_pack", "reading_list",
        "leaf_get", "leaf_body", "quarantine_list", "quarantine_get", "quarantine_payload", "quarantine_release",
        "quarantine_discard", "decision_list", "version_get", "health_live", "health_ready",
    }  # fmt: skip
    for operation in found.values():
        assert operation["summary"]
        assert operation["x-summary-ja"]
        assert operation["description"]
        assert len(operation["tags"]) == 1
    assert document["openapi"].startswith("3.1")


def test_every_failure_is_documented_as_a_problem(document: Any) -> None:
    for path, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and path != "/readyz":
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, (path, status)
        if path.startswith("/v1/") and path != "/v1/version":
            assert operation["security"] == [{"token": []}]
            assert {"400", "401", "404", "406", "503"} <= set(operation["responses"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_reference_leads_somewhere(document: Any) -> None:
    schemas = document["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/([^'\"]+)", str(document)):
        assert name in schemas


def test_no_schema_carries_a_float(document: Any) -> None:
    assert "'type': 'number'" not in str(document)


def test_every_problem_has_its_page_in_both_languages(served: Served) -> None:
    for code, kind in TYPES.items():
        page = served.get(f"/problems/{code}", None)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert kind.en.cause in page.text.replace("&#x27;", "'")
        assert kind.ja.remedy in page.text
        assert "<script" not in page.text


def test_the_list_of_addresses_is_a_page_without_anything_from_elsewhere(served: Served) -> None:
    page = served.get("/docs", None).text
    assert "/v1/readings" in page
    assert "http://" not in page
    assert "https://" not in page
    assert served.get("/style.css", None).headers["content-type"].startswith("text/css")
