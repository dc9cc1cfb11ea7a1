"""The quarantine at the API: seen by tokens for everything, decided by operators, carried out by ingest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.auth import hash_of
from hakari.ledger.types import TokenRecord
from hakari.store.evidence import RELEASE_WANTED, Decision
from tests.unit.api_world import NOW_MS, STATEMENT, TOKENS, Served, build

OPERATOR = f"hk_{'o' * 43}"
KEY = {"idempotency-key": "0123456789abcdef"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = build(tmp_path)
    for token, projects in ((OPERATOR, ("*",)), (f"hk_{'p' * 43}", ("plant-a",))):
        made.ledger.put_token(TokenRecord(hash_of(token), f"operator-{token[3]}", "operator", projects, 0, NOW_MS + 1))
    with made.evidence.transaction():
        for k in range(3):
            made.evidence.quarantine("hakari/v1/batch/00/x", f"not an envelope {k}", b"=cmd|' /C calc'!A0", NOW_MS)

    def decide(decision: Decision) -> None:
        with made.evidence.transaction():
            made.evidence.decide(decision)

    app = create_app(made.ledger, made.view, made.evidence, lambda: NOW_MS, lambda: [STATEMENT.verifier], None, decide)
    yield made._replace(app=app)
    made.close()


def ask(served: Served, path: str, token: str = OPERATOR, **extra: Any) -> httpx.Response:
    extra.setdefault("headers", KEY)
    extra.setdefault("json", {"why": "a reason"})
    return served.get(path, token, method="POST", **extra)


def test_messages_are_listed_in_pages_and_shown(served: Served) -> None:
    first = served.json("/v1/quarantine?limit=2", "all")
    assert [one["id"] for one in first["items"]] == [3, 2]
    assert first["total"] == {"kept": 3, "bytes": 54, "dropped": 0}
    second = served.json(first["next_url"], "all")
    assert [one["id"] for one in second["items"]] == [1]
    assert second["next"] is None
    detail = served.json("/v1/quarantine/3", "all")
    assert detail["reason"] == "not an envelope 2"
    assert detail["decisions"] == []
    payload = served.get(detail["links"]["payload"], "all")
    assert payload.content == b"=cmd|' /C calc'!A0"
    assert payload.headers["content-type"] == "application/octet-stream"
    assert payload.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["/v1/quarantine", "/v1/quarantine/1", "/v1/quarantine/1/payload", "/v1/decisions"])
def test_a_token_of_some_projects_sees_nothing_of_it(served: Served, path: str) -> None:
    assert served.get(path, "own").status_code == 404
    assert served.get(path, f"hk_{'p' * 43}").status_code == 404
    assert served.get(path, None).status_code == 401
    assert served.get("/v1/quarantine/99", "all").status_code == 404


def test_an_operator_asks_and_a_repeated_request_asks_once(served: Served) -> None:
    for _ in range(2):
        answer = ask(served, "/v1/quarantine/2/release")
        assert answer.status_code == 202, answer.text
        assert answer.json()["links"]["self"] == "/v1/quarantine/2"
    asked = served.evidence.decisions(RELEASE_WANTED)
    assert [(one.subject, one.who, one.why) for one in asked] == [("2", "operator-o", "a reason")]
    assert [one["kind"] for one in served.json("/v1/quarantine/2", "all")["decisions"]] == [RELEASE_WANTED]
    assert [one["subject"] for one in served.json("/v1/decisions", "all")["items"]] == ["2"]
    for other in ("/v1/quarantine/2/discard", "/v1/quarantine/1/release"):
        reused = ask(served, other)
        assert (reused.status_code, reused.json()["code"]) == (422, "key-reused")
    assert len(served.evidence.decisions()) == 1


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"headers": {}}, 400, "key-missing"),
        ({"headers": {"idempotency-key": "short"}}, 400, "key-missing"),
        ({"json": {}}, 422, "invalid-value"),
        ({"json": {"why": ""}}, 422, "invalid-value"),
        ({"json": {"why": "  "}}, 422, "invalid-value"),
        ({"json": {"why": 7}}, 422, "invalid-value"),
        ({"json": {"why": "x", "who": "somebody else"}}, 422, "invalid-value"),
        ({"json": None, "content": b"why=x", "headers": {**KEY, "content-type": "text/plain"}}, 415, "media-type"),
        ({"json": None, "content": b"{", "headers": {**KEY, "content-type": "application/json"}}, 422, "invalid-value"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_problem(
    served: Served, extra: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(served, "/v1/quarantine/1/release", **extra)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert served.evidence.decisions() == []


def test_who_only_verifies_decides_nothing(served: Served) -> None:
    assert ask(served, "/v1/quarantine/1/release", TOKENS["all"]).status_code == 404
    assert ask(served, "/v1/quarantine/1/release", f"hk_{'p' * 43}").status_code == 404
    assert ask(served, "/v1/quarantine/99/release").status_code == 404
    assert served.evidence.decisions() == []


def test_a_server_that_takes_no_decisions_says_where_they_are_taken(tmp_path: Path) -> None:
    made = build(tmp_path)
    made.ledger.put_token(TokenRecord(hash_of(OPERATOR), "operator-o", "operator", ("*",), 0, NOW_MS + 1))
    with made.evidence.transaction():
        made.evidence.quarantine("x", "y", b"z", NOW_MS)
    answer = ask(made, "/v1/quarantine/1/release")
    assert (answer.status_code, answer.json()["code"]) == (403, "decided-elsewhere")
    made.close()
