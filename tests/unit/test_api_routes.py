"""What the API answers, on real SQLite stores."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from api.queries import instant_ms
from hakari.ledger.result import PeriodResult
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.period import time_text
from hakari.store.evidence import StoredLeaf
from hakari.wire.envelope import deflate
from hakari.wire.rows import once
from tests.unit.api_world import END_MS, EPOCH, HOUR_MS, POINT, SAMPLES, START_MS, Served, build

RANGE = f"point={POINT}&start=2016-07-01T00:00:00Z&end=2016-07-02T00:00:00Z"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = build(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


def test_projects_are_those_of_the_token(served: Served) -> None:
    assert [one["project_id"] for one in served.json("/v1/projects")["items"]] == ["plant-a"]
    assert [one["project_id"] for one in served.json("/v1/projects", "all")["items"]] == ["plant-a", "plant-b"]


def test_a_project_carries_the_exact_document_it_was_registered_with(served: Served) -> None:
    project = served.json("/v1/projects/plant-a")
    assert hashlib.sha256(project["document"].encode()).hexdigest() == project["document_sha256"]
    assert project["registered_at"] == "2016-07-01T07:00:00+07:00"
    assert project["links"]["periods"] == "/v1/projects/plant-a/periods"


def test_lists_are_paged_to_their_end_without_loss(served: Served) -> None:
    seen: list[str] = []
    url: str | None = "/v1/projects?limit=1"
    while url is not None:
        page = served.json(url, "all")
        assert len(page["items"]) == 1
        seen += [one["project_id"] for one in page["items"]]
        url = page["next_url"]
    assert seen == ["plant-a", "plant-b"]
    first = served.json("/v1/projects/plant-a/periods?limit=1")
    second = served.json(first["next_url"])
    assert [first["items"][0]["kind"], second["items"][0]["kind"]] == ["custom", "month"]
    assert second["next"] is None


def test_a_period_shows_its_standing_and_notice_with_every_total(served: Served) -> None:
    for one in (*served.json("/v1/projects/plant-a/periods")["items"], served.json("/v1/periods/plant-a-month")):
        assert one["standing"] == "recalled"
        assert one["notice"] == "not checked against the approved text"
        assert one["notice_ja"] == "承認文書と未照合"
        assert one["credits"] is False
        assert one["totals"]["reductions_tco2"] == "0.0100000000000000000000000000000000000000000001"
        assert one["monitoring_period"]["end"] == "2016-08-01T07:00:00+07:00"


def test_from_the_total_to_the_signed_leaf_by_links_alone(served: Served) -> None:
    period = served.json("/v1/periods/plant-a-month")
    boundary = period["inputs"][0]
    values = []
    for register in (boundary["start"], boundary["end"]):
        (reading,) = served.json(register["links"]["reading"])["items"]
        assert (reading["raw_hex"], reading["value"], reading["unit"]) == (
            register["raw_hex"],
            register["value"],
            register["unit"],
        )
        leaf = served.json(reading["links"]["leaf"])
        assert register["links"]["leaf"] == leaf["links"]["self"]
        body = served.get(leaf["links"]["body"]).content
        assert hashlib.sha256(body).hexdigest() == leaf["leaf_sha256"]
        assert leaf_hash(body).hex() == leaf["rfc6962_leaf_hash"]
        assert json.loads(body) == leaf["leaf"]
        assert register["raw_hex"] in body.decode()
        values.append(Decimal(reading["value"]))
    assert (values[1] - values[0]) / 1000 == Decimal(boundary["quantity"])


def test_a_period_has_everything_that_its_stored_result_has(served: Served) -> None:
    """A field that calc adds to the result must be shown, or left out here with its reason."""
    period = served.json("/v1/periods/plant-a-month")
    renamed = {
        "v": "result_sha256",
        "project": "project_id",
        "name": "links",
        "label": "monitoring_period",
        "zone": "monitoring_period",
        "start_ms": "monitoring_period",
        "end_ms": "monitoring_period",
        "measured_end_ms": "monitoring_period",
        "rules_version": "rules",
        "rules_sha256": "rules",
        "reference_tco2": "totals",
        "project_tco2": "totals",
        "reductions_tco2": "totals",
        "reductions_whole_tco2": "totals",
    }
    assert {renamed.get(field.name, field.name) for field in msgspec.structs.fields(PeriodResult)} <= set(period)


def test_the_pack_is_served_where_there_is_one(served: Served) -> None:
    period = served.json("/v1/periods/plant-a-month")
    response = served.get(period["links"]["pack"])
    assert response.content == (served.folder / "plant-a-month.hakari").read_bytes()
    assert response.headers["etag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
    again = served.get(period["links"]["pack"], headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert served.json("/v1/periods/plant-a-custom")["links"]["pack"] is None
    assert served.get("/v1/periods/plant-a-custom/pack").status_code == 404


def test_readings_come_back_exact_and_in_pages(served: Served) -> None:
    seen = []
    url: str | None = f"/v1/readings?{RANGE}&limit=7"
    while url is not None:
        page = served.json(url)
        seen += page["items"]
        url = page["next_url"]
    assert len(seen) == SAMPLES
    assert [one["time"] for one in seen] == sorted({one["time"] for one in seen})
    assert [one["value"] for one in seen] == [None if hour == 5 else str((100 + hour) * 10) for hour in range(SAMPLES)]
    assert seen[5]["quality"] == "bad"
    assert "no answer" in seen[5]["reason"]
    assert {one["unit"] for one in seen} == {"Wh"}
    power = served.json(f"/v1/readings?{RANGE}".replace("energy", "power"))["items"][3]
    assert (power["value"], power["raw_hex"], power["unit"]) == ("-3", "fffd", "W")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quality": 7}, "quality 7 is none"),
        ({"type": "bogus"}, "bogus of pattern 0x64 and exponent 1 has no value"),
        ({"exponent": 9 * 10**17}, "and exponent 900000000000000000 has no value"),
        ({"exponent": -201}, "and exponent -201 has no value"),
        ({"raw": 2**63}, "u32 of pattern 0x8000000000000000 and"),
        ({"type": "f32", "raw": 2**63}, "f32 of pattern 0x8000000000000000 and"),
        ({"type": "f32", "raw": 0x7F80_0000}, "f32 of pattern 0x7f800000 and"),
    ],
)
def test_an_altered_reading_is_bad_and_says_why(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    made = build(tmp_path)
    row = next(made.view.read(POINT, START_MS, END_MS))
    made.view.clear()
    made.view.write("sola-e1", EPOCH, row.leaf + 1, [row._replace(**changes)], [])
    (shown,) = made.json(f"/v1/readings?{RANGE}")["items"]
    assert (shown["value"], shown["quality"]) == (None, "bad")
    assert told in shown["reason"]
    assert "the view was altered: an operator runs hakari view compare" in shown["reason"]
    made.close()


def test_a_damaged_view_is_a_problem(tmp_path: Path) -> None:
    made = build(tmp_path)
    with closing(sqlite3.connect(tmp_path / "view.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE reading SET raw = 'abc'")
    answer = made.get(f"/v1/readings?{RANGE}")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    made.close()


def test_a_period_of_readings_is_half_open_in_any_offset(served: Served) -> None:
    asked = f"/v1/readings?point={POINT}&start=2016-07-01T07:00:00%2B07:00&end=2016-06-30T21:00:00-04:00"
    assert [one["time"] for one in served.json(asked)["items"]] == ["2016-07-01T00:00:00Z"]


def test_a_reading_that_was_carried_is_shown_once(served: Served) -> None:
    row = next(served.view.read(POINT, START_MS, END_MS))
    served.view.write("sola-e1", EPOCH + 1, 4, [row._replace(epoch=EPOCH + 1, leaf=3)], [])
    rows = list(served.view.read(POINT, START_MS, START_MS + HOUR_MS))
    assert len(rows) == 2
    one_hour = f"/v1/readings?point={POINT}&start=2016-07-01T00:00:00Z&end=2016-07-01T01:00:00Z"
    assert [one["epoch"] for one in served.json(one_hour)["items"]] == [EPOCH]


def test_readings_are_those_that_calc_counts_in_any_span(tmp_path: Path) -> None:
    """One identity at two slots counts at the first one, even where only the second one is asked for."""
    made = build(tmp_path)
    whole = f"/v1/readings?point={POINT}&start=2016-07-01T00:00:00Z&end=2016-07-31T00:00:00Z"
    before = made.json(whole)["items"]
    first, second = list(made.view.read(POINT, START_MS, START_MS + 2 * HOUR_MS))
    later = [
        first._replace(t_ms=START_MS + 30 * HOUR_MS, leaf=7),
        second._replace(t_ms=START_MS + 31 * HOUR_MS, leaf=7, boot="fedcba9876543210"),
    ]
    made.view.write("sola-e1", EPOCH, 8, later, [], 7)
    counted = once(made.view.read(POINT, 0, END_MS))
    after = made.json(whole)["items"]
    assert [instant_ms("time", one["time"]) for one in after] == [row.t_ms for row in counted]
    assert len(after) == len(before) + 1
    hours = (f"start=2016-07-02T{hour:02}:00:00Z&end=2016-07-02T{hour + 1:02}:00:00Z" for hour in (6, 7))
    assert [len(made.json(f"/v1/readings?point={POINT}&{span}")["items"]) for span in hours] == [0, 1]
    made.close()


def test_leaves_link_to_their_neighbours_and_show_their_checkpoint(served: Served) -> None:
    first = served.json(f"/v1/leaves/sola-e1/{EPOCH}/0")
    assert first["links"]["previous"] is None
    assert first["checkpoint"].startswith(f"plant.example/sola/e1/{EPOCH}\n1\n")
    url, count = first["links"]["self"], 0
    while url is not None:
        url, count = served.json(url)["links"]["next"], count + 1
    assert count == 7


@pytest.mark.parametrize("body", [b"not a leaf", b'{"v":2}', b'{"v":NaN}', b"[" * 40_000, b"\xff\xfe"])
def test_what_is_no_leaf_is_shown_as_its_bytes(tmp_path: Path, body: bytes) -> None:
    """The log appends whatever an edge signed; the API says what it is not."""
    made = build(tmp_path)
    origin = made.evidence.origins()[0]
    head = made.evidence.head(origin)
    frontier = extend(head.frontier, head.size, leaf_hash(body))
    stored = StoredLeaf(head.size, leaf_hash(body), deflate(body), b"\xffnote", START_MS)
    with made.evidence.transaction():
        assert made.evidence.append(origin, head.size, stored, frontier, root_of(frontier))
    leaf = made.json(f"/v1/leaves/sola-e1/{EPOCH}/{head.size}")
    assert leaf["leaf"] is None
    assert leaf["malformed"]
    assert leaf["leaf_sha256"] == hashlib.sha256(body).hexdigest()
    assert made.get(leaf["links"]["body"]).content == body
    made.close()


def test_a_leaf_that_does_not_give_its_hash_is_not_shown(tmp_path: Path) -> None:
    made = build(tmp_path)
    origin = made.evidence.origins()[0]
    head = made.evidence.head(origin)
    frontier = extend(head.frontier, head.size, b"h" * 32)
    with made.evidence.transaction():
        stored = StoredLeaf(head.size, b"h" * 32, deflate(b"other"), b"note", START_MS)
        made.evidence.append(origin, head.size, stored, frontier, root_of(frontier))
    for end in ("", "/body"):
        response = made.get(f"/v1/leaves/sola-e1/{EPOCH}/{head.size}{end}")
        assert (response.status_code, response.json()["code"]) == (500, "evidence-mismatch")
    made.close()


@pytest.mark.parametrize(
    ("t_ms", "zone", "text"),
    [
        (0, None, "1970-01-01T00:00:00Z"),
        (1, None, "1970-01-01T00:00:00.001Z"),
        (START_MS, "Asia/Ho_Chi_Minh", "2016-07-01T07:00:00+07:00"),
        (START_MS, "America/St_Johns", "2016-06-30T21:30:00-02:30"),
    ],
)
def test_a_time_is_written_and_read_back(t_ms: int, zone: str | None, text: str) -> None:
    assert time_text(t_ms, None if zone is None else ZoneInfo(zone)) == text
    assert instant_ms("start", text) == t_ms


def test_the_same_content_has_the_same_tag_and_is_sent_once(served: Served) -> None:
    for path in ("/v1/projects", "/v1/periods/plant-a-month", f"/v1/readings?{RANGE}", f"/v1/leaves/sola-e1/{EPOCH}/1"):
        response = served.get(path)
        assert response.headers["etag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
        for known in (response.headers["etag"], f'"other", W/{response.headers["etag"]}', "*"):
            again = served.get(path, headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == response.headers["etag"]
        assert served.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    leaf = served.get(f"/v1/leaves/sola-e1/{EPOCH}/1")
    assert "immutable" in leaf.headers["cache-control"]
    assert "immutable" not in served.get("/v1/periods/plant-a-month").headers["cache-control"]


def test_health_and_version_need_no_token(served: Served) -> None:
    assert served.get("/healthz", None).json() == {"status": "ok"}
    assert served.get("/readyz", None).json() == {
        "ready": True,
        "stores": {"ledger": "ok", "evidence": "ok", "view": "ok"},
    }
    assert served.get("/v1/version", None).json()["api"] == "v1"


def test_every_answer_has_the_security_headers(served: Served) -> None:
    for path in ("/v1/projects", "/docs", "/nothing", "/v1/projects?x=1", "/openapi.json"):
        headers = served.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert len(headers["trace-id"]) == 16
