"""Hostile and mistaken requests: each a problem with one clear sentence, never a 5xx, never a leak."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problem_types import TYPES
from hakari.ledger.result import sha256_of
from tests.unit.api_world import EPOCH, FOREIGN_POINT, POINT, TOKENS, Served, build

SPAN = "start=2016-07-01T00:00:00Z&end=2016-07-02T00:00:00Z"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = build(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


def jwt_none() -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": "admin", "projects": ["*"]})
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts) + "."


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {jwt_none()}",
        f"Bearer hk_{'z' * 43}",
        f"Bearer {TOKENS['old']}",
        f"Bearer {TOKENS['revoked']}",
        f"Bearer {TOKENS['own']} ",
        f"Bearer {TOKENS['own']}\t",
        f"Bearer {TOKENS['own'].upper()}",
        f"Basic {TOKENS['own']}",
        TOKENS["own"],
        "Bearer ' OR 1=1 --",
        f"Bearer hk_{'a' * 100_00}",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects",
        "/v1/projects/plant-a/periods",
        "/v1/periods/plant-a-month",
        "/v1/periods/plant-a-month/pack",
        f"/v1/readings?point={POINT}&{SPAN}",
        f"/v1/leaves/sola-e1/{EPOCH}/0",
        f"/v1/leaves/sola-e1/{EPOCH}/0/body",
        "/v1/projects?unknown=1",
    ],
)
def test_no_token_that_is_not_valid_reads_anything(served: Served, header: str, path: str) -> None:
    response = served.get(path, None, headers={"authorization": header})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.json()["code"] == "token-invalid"


def test_without_a_token_the_challenge_names_no_error(served: Served) -> None:
    response = served.get("/v1/projects", None)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


def test_two_tokens_are_none(served: Served) -> None:
    pair = [("authorization", f"Bearer {TOKENS['own']}"), ("authorization", f"Bearer {TOKENS['all']}")]
    assert served.get("/v1/projects", None, headers=pair).status_code == 401


@pytest.mark.parametrize(
    ("foreign", "absent"),
    [
        ("/v1/projects/plant-b", "/v1/projects/plant-z"),
        ("/v1/projects/plant-b/periods", "/v1/projects/plant-z/periods"),
        ("/v1/periods/plant-b-month", "/v1/periods/plant-z-month"),
        ("/v1/periods/plant-b-month/pack", "/v1/periods/plant-z-month/pack"),
        (f"/v1/leaves/solb-e1/{EPOCH}/0", f"/v1/leaves/solz-e1/{EPOCH}/0"),
        (f"/v1/leaves/solb-e1/{EPOCH}/0/body", f"/v1/leaves/solz-e1/{EPOCH}/0/body"),
        (f"/v1/readings?point={FOREIGN_POINT}&{SPAN}", f"/v1/readings?point=solz-e1/export/energy&{SPAN}"),
    ],
)
def test_what_belongs_to_others_looks_like_what_does_not_exist(served: Served, foreign: str, absent: str) -> None:
    answers = []
    for path, name in ((foreign, "b"), (absent, "z")):
        response = served.get(path)
        assert response.status_code == 404
        problem = response.json()
        answers.append(
            (problem["code"], problem["title"], problem["detail"].replace(f"-{name}", "").replace(f"sol{name}", ""))
        )
    assert answers[0] == answers[1]
    assert served.get(foreign, "all").status_code == (404 if foreign.endswith("pack") else 200)


HOSTILE_IDS = [
    "'; DROP TABLE periods; --",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "=cmd|' /C calc'!A0",
    "a" * 5000,
    "%00",
    "plant-a-month%00",
    "plant-a%0d%0aset-cookie:x=1",
    "%ff%fe",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "\uff05\uff12\uff45",
]


@pytest.mark.parametrize("bad", HOSTILE_IDS)
@pytest.mark.parametrize(
    "route",
    ["/v1/projects/{}", "/v1/projects/{}/periods", "/v1/periods/{}", "/v1/periods/{}/pack", "/v1/leaves/{}/1/1"],
)
def test_a_hostile_id_is_nothing(served: Served, route: str, bad: str) -> None:
    response = served.get(route.format(bad), "all")
    assert response.status_code in (404, 422)
    check(response.headers["content-type"], response.json())
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("query", "status", "code", "names"),
    [
        (f"point={POINT}&start=2016-07-01T00:00:00&end=2016-07-02T00:00:00Z", 422, "time-without-offset", "start"),
        (f"point={POINT}&start=2016-07-01T00:00:00+07:00&end=2016-07-02T00:00:00Z", 422, "invalid-value", "%2B"),
        (f"point={POINT}&start=2016-07-02T00:00:00Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "not before"),
        (f"point={POINT}&start=2016-07-03T00:00:00Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "not before"),
        (f"point={POINT}&start=2016-02-30T00:00:00Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "calendar"),
        (f"point={POINT}&start=2016-07-01T24:00:01Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "calendar"),
        (f"point={POINT}&start=1969-07-01T00:00:00Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "1970"),
        (f"point={POINT}&start=0001-01-01T00:00:00%2B14:00&end=2016-07-02T00:00:00Z", 422, "invalid-value", "start"),
        (f"point={POINT}&start=2016-07-01T00:00:00%2B99:00&end=2016-07-02T00:00:00Z", 422, "invalid-value", "start"),
        (f"point={POINT}&start=2010-07-01T00:00:00Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "two years"),
        (f"point={POINT}&start=2030-07-01T00:00:00Z&end=2030-07-02T00:00:00Z", 422, "invalid-value", "future"),
        (f"point={POINT}&start=now&end=2016-07-02T00:00:00Z", 422, "invalid-value", "not a time"),
        (f"point={POINT}&start={'9' * 9000}&end=2016-07-02T00:00:00Z", 422, "invalid-value", "not a time"),
        (f"point={POINT}&start=2016-W01-1&end=2016-07-02T00:00:00Z", 422, "invalid-value", "not a time"),
        (f"point={POINT}&start=\uff12016-07-01T00:00:00Z&end=2016-07-02T00:00:00Z", 422, "invalid-value", "not a time"),
        (f"point={POINT}&end=2016-07-02T00:00:00Z", 422, "invalid-value", "start"),
        (SPAN, 422, "invalid-value", "point"),
        (f"point={POINT}&{SPAN}&limit=1001", 400, "page-too-large", "1000"),
        (f"point={POINT}&{SPAN}&limit=99999999999999999999999", 400, "page-too-large", "1000"),
        (f"point={POINT}&{SPAN}&limit=0", 422, "invalid-value", "limit"),
        (f"point={POINT}&{SPAN}&limit=-1", 422, "invalid-value", "limit"),
        (f"point={POINT}&{SPAN}&limit=ten", 422, "invalid-value", "limit"),
        (f"point={POINT}&{SPAN}&limit=1e2", 422, "invalid-value", "limit"),
        (f"point={POINT}&{SPAN}&quality=good", 400, "unknown-parameter", "quality"),
        (f"point={POINT}&{SPAN}&limit=1&limit=2", 400, "unknown-parameter", "twice"),
        (f"point={POINT}&{SPAN}&next=abc", 422, "invalid-value", "next"),
        (f"point={POINT}&{SPAN}&next={'A' * 501}", 422, "invalid-value", "next"),
        (f"point=x&{SPAN}", 404, "not-found", "x"),
        (f"point=sola-e1/export/energy/more&{SPAN}", 404, "not-found", "more"),
        (f"point=%00&{SPAN}", 404, "not-found", "point"),
        (f"point={POINT}%00&{SPAN}", 404, "not-found", "energy"),
        (f"point={POINT}%0A&{SPAN}", 404, "not-found", "energy"),
        (f"point={POINT.upper()}&{SPAN}", 404, "not-found", "ENERGY"),
        (f"point=sola-e1/EXPORT/energy&{SPAN}", 404, "not-found", "EXPORT"),
        (f"point=sola-e1//energy&{SPAN}", 404, "not-found", "sola-e1"),
        (f"point=sola-e1/export/{'e' * 41}&{SPAN}", 404, "not-found", "eee"),
        (f"point={'a' * 300}&{SPAN}", 422, "invalid-value", "point"),
        ("&".join(f"p{k}=1" for k in range(2000)), 400, "unknown-parameter", "p0"),
    ],
)
def test_a_question_that_cannot_be_answered_gets_one_sentence(
    served: Served, query: str, status: int, code: str, names: str
) -> None:
    response = served.get(f"/v1/readings?{query}")
    assert (response.status_code, response.json()["code"]) == (status, code)
    check(response.headers["content-type"], response.json())
    assert names in response.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/leaves/sola-e1/{EPOCH}/99999999999999999999999999",
        f"/v1/leaves/sola-e1/{EPOCH}/-1",
        f"/v1/leaves/sola-e1/{10**30}/0",
        f"/v1/leaves/sola-e1/{EPOCH}/0x1",
        f"/v1/leaves/sola-e1/{EPOCH}/1.5",
        f"/v1/leaves/sola-e1/{EPOCH}/7",
        f"/v1/leaves/sola-e1/{EPOCH + 1}/0",
        f"/v1/leaves/SOLA-E1/{EPOCH}/0",
        f"/v1/leaves/{'a' * 65}-e1/{EPOCH}/0",
        "/v1/leaves/sola-e1/x/0",
        "/v1/nothing",
        "/v2/projects",
        "/v1/projects/",
        "/.env",
        "/problems/nothing",
        "/problems/<script>",
    ],
)
def test_an_address_that_is_nothing(served: Served, path: str) -> None:
    response = served.get(path)
    if response.status_code == 307:
        assert path == "/v1/projects/"
        return
    assert response.status_code in (404, 422)
    check(response.headers["content-type"], response.json())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD"])
def test_reading_is_all_there_is(served: Served, method: str) -> None:
    response = served.get("/v1/projects", method=method)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET"
    if method != "HEAD":
        check(response.headers["content-type"], response.json())
    assert served.get("/v1/projects", method="POST", data={"project_id": "x"}).status_code == 405


def test_a_body_above_the_limit_is_refused_before_it_is_read(served: Served) -> None:
    response = served.get("/v1/projects", method="POST", content=b"x" * 70_000)
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")
    for headers in ({"content-length": "-1"}, {"content-length": "9" * 400}, {"transfer-encoding": "chunked"}):
        assert served.get("/v1/projects", headers=headers).json()["code"] == "body-too-large"


@pytest.mark.parametrize("accept", ["text/csv", "application/xml, text/html", "application/parquet"])
def test_a_representation_that_there_is_not(served: Served, accept: str) -> None:
    response = served.get("/v1/projects", headers={"accept": accept})
    assert (response.status_code, response.json()["code"]) == (406, "not-acceptable")


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "text/html, application/json;q=0.5", "application/*", ""]
)
def test_a_representation_that_there_is(served: Served, accept: str) -> None:
    assert served.get("/v1/projects", headers={"accept": accept}).status_code == 200


def test_next_belongs_to_its_question(served: Served) -> None:
    page = served.json("/v1/projects/plant-a/periods?limit=1")
    other = served.get(f"/v1/readings?point={POINT}&{SPAN}&next={page['next']}")
    assert (other.status_code, other.json()["code"]) == (422, "invalid-value")
    assert served.json(f"/v1/projects/plant-a/periods?limit=2&next={page['next']}")["next"] is None


@given(st.text(max_size=200), st.sampled_from(["next", "limit", "point", "start", "end", "x"]))
def test_no_text_in_a_query_breaks_the_server(served: Served, text: str, name: str) -> None:
    params = {"point": POINT, "start": "2016-07-01T00:00:00Z", "end": "2016-07-02T00:00:00Z"} | {
        name: text.encode("utf-8", "replace").decode()
    }
    response = served.get("/v1/readings", params=params)
    assert response.status_code < 500
    if response.status_code != 200:
        check(response.headers["content-type"], response.json())


@given(st.binary(max_size=100))
def test_no_forged_next_breaks_the_server(served: Served, junk: bytes) -> None:
    page = served.json("/v1/projects/plant-a/periods?limit=1")["next"]
    digest = json.loads(base64.urlsafe_b64decode(page + "=="))[0]
    for content in (junk, json.dumps([digest, junk.hex(), 1]).encode(), f'["{digest}",{"1" * 5000}]'.encode()):
        forged = base64.urlsafe_b64encode(content).decode()
        assert served.get("/v1/projects/plant-a/periods", params={"limit": 1, "next": forged}).status_code in (200, 422)


def test_a_failure_of_ours_shows_no_trace(served: Served, tmp_path: Path) -> None:
    made = build(tmp_path)
    made.ledger.close()
    (tmp_path / "ledger.sqlite").write_bytes(b"broken" * 1000)
    for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    response = made.get("/v1/projects")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "5"
    assert str(tmp_path) not in response.text
    ready = made.get("/readyz", None)
    assert (ready.status_code, ready.json()["stores"]["ledger"]) == (503, "failing")
    made.close()
    del served


def test_what_does_not_give_its_hash_is_not_shown(tmp_path: Path) -> None:
    made = build(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as raw:
        raw.execute("UPDATE periods SET result_json = replace(result_json, '0.46', '9.46')")
    raw.close()
    response = made.get("/v1/periods/plant-a-month")
    assert (response.status_code, response.json()["code"]) == (500, "evidence-mismatch")
    assert "9.46" not in response.text
    with sqlite3.connect(tmp_path / "ledger.sqlite") as raw:
        raw.execute("UPDATE periods SET result_json = '{}', result_sha256 = ?", (sha256_of("{}"),))
    raw.close()
    assert made.get("/v1/periods/plant-a-month").json()["code"] == "evidence-mismatch"
    made.close()


def test_our_own_fault_is_a_problem_too(tmp_path: Path) -> None:
    made = build(tmp_path)
    made.view.close()
    response = made.get(f"/v1/readings?point={POINT}&{SPAN}")
    assert response.status_code == 500
    check(response.headers["content-type"], response.json())
    assert response.json()["code"] == "internal"
    assert "sqlite" not in response.text.lower()
    assert "default-src 'none'" in response.headers["content-security-policy"]
    made.close()


def check(content_type: str, problem: dict[str, object]) -> None:
    """A whole problem whose detail is one short sentence without a trace of our insides."""
    assert content_type == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "errors", "trace_id"}
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["code"] in TYPES
    detail = str(problem["detail"])
    assert 0 < len(detail) < 500
    for word in ("Traceback", "sqlite3", ".py", "sqlalchemy"):
        assert word not in detail
