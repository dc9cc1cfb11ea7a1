"""The committed dashboards and provisioning: as generated, whole, in both languages, without what is known to fail."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as schema
from grafana_foundation_sdk.models import units

from grafana import build, provisioning, queries
from grafana.alerts import ALERTS, DOCS_URL, rule
from grafana.texts import JA, TextMissing, speaker
from hakari import measurements

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "grafana"
FILES = {path.stem: json.loads(path.read_text()) for path in sorted((ROOM / "dashboards").glob("*.json"))}
PROVISIONED = {
    path.relative_to(ROOM / "provisioning").as_posix(): yaml.safe_load(path.read_text())
    for path in sorted((ROOM / "provisioning").rglob("*.yaml"))
}
RULES: list[Json] = PROVISIONED["alerting/rules.yaml"]["groups"][0]["rules"]
UNITS = {value for value in vars(units).values() if isinstance(value, str)}
SOURCES = {queries.FLUX, queries.INFLUXQL}
WITHOUT_QUERY = {"row", "alertlist"}
FORBIDDEN = (
    re.compile(r"\blocation\b"),
    re.compile(r"\btimezone\."),
    re.compile(r"contains\("),
    re.compile(r"spread\("),
    re.compile(r"offset:\s*-"),
    # Empty windows are made of windows alone, never of what is stored: that takes the server a row for each of them.
    re.compile(r"^(?!(?s:.*)createEmpty: false(?s:.*)createEmpty: true)(?s:.*)createEmpty:\s*true"),
    re.compile(r"aggregateWindow\((?![^)]*createEmpty: (?:true|false)[^)]*timeSrc: \"_start\")"),
    re.compile(r"fill\((?!null|none)"),
    re.compile(r"tz\("),
)
MONEY = re.compile(r"(?<!\$)\$(?!\$)")


def panels(*, with_query: bool = False) -> Iterator[tuple[str, Json]]:
    for uid, board in FILES.items():
        for panel in board["panels"]:
            if not with_query or panel["type"] not in WITHOUT_QUERY:
                yield f"{uid}: {panel['title']}", panel


def texts_of_queries() -> Iterator[tuple[str, str]]:
    for name, panel in panels(with_query=True):
        for target in panel["targets"]:
            yield name, target["query"]
    for one in RULES:
        yield one["title"], one["data"][0]["model"]["query"]


def test_the_files_are_what_the_code_makes() -> None:
    made = build.files()
    held = {
        path.relative_to(ROOM).as_posix(): path.read_text()
        for folder in build.FOLDERS
        for path in (ROOM / folder).rglob("*")
        if path.is_file()
    }
    assert held == made, "run: .venv/bin/python -m grafana.build"


def test_what_is_no_longer_made_is_removed_and_the_docs_can_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "old.json").write_text("{}")
    build.write(tmp_path, "https://wiki.example")
    assert not (tmp_path / "dashboards" / "old.json").exists()
    assert "https://wiki.example/grafana.md#metersilent" in (tmp_path / "provisioning/alerting/rules.yaml").read_text()


def test_the_yaml_is_read_as_what_was_meant() -> None:
    assert PROVISIONED["alerting/rules.yaml"] == provisioning.rules(DOCS_URL)
    assert PROVISIONED["datasources/hakari.yaml"] == provisioning.data_sources()
    assert PROVISIONED["alerting/policies.yaml"] == provisioning.policies()


def test_there_are_three_dashboards_in_two_languages_each_with_its_uid() -> None:
    names = ("fleet", "plant", "quality")
    assert set(FILES) == {f"hakari-{name}{suffix}" for name in names for suffix in ("", "-ja")}
    assert all(board["uid"] == uid for uid, board in FILES.items())
    ranges = {uid: (board["time"]["from"], board["refresh"], board["timezone"]) for uid, board in FILES.items()}
    assert ranges["hakari-fleet-ja"] == ("now-24h", "1m", "utc")
    assert ranges["hakari-plant"] == ("now/d", "1m", "browser")
    assert ranges["hakari-quality"] == ("now-7d", "5m", "browser")
    assert "UTC" in FILES["hakari-fleet"]["title"]


@pytest.mark.parametrize("uid", sorted(FILES))
def test_grafanas_own_schema_knows_every_key_and_loses_none(uid: str) -> None:
    """The SDK's models drop what they do not know: what comes back must hold all that went in."""
    board = FILES[uid]
    model = schema.Dashboard.from_json(board)
    back = json.loads(JSONEncoder().encode(model))
    assert list(lost(board, back, uid)) == []


def lost(ours: Any, back: Any, where: str) -> Iterator[str]:
    """Where `back` lacks something of `ours`; what is empty may be left out, panels' own options are free."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            if key in ("options", "custom", "targets"):
                continue
            if not isinstance(back, dict) or key not in back:
                if value not in ({}, [], "", None, False, 0):
                    yield f"{where}.{key}"
            else:
                yield from lost(value, back[key], f"{where}.{key}")
    elif isinstance(ours, list):
        if len(ours) != len(back):
            yield f"{where}: {len(ours)} became {len(back)}"
        for k, (one, other) in enumerate(zip(ours, back, strict=False)):
            yield from lost(one, other, f"{where}[{k}]")


@pytest.mark.parametrize("uid", sorted(FILES))
def test_ids_are_unique_and_no_panel_lies_on_another(uid: str) -> None:
    placed = FILES[uid]["panels"]
    assert len({panel["id"] for panel in placed}) == len(placed)
    cells = [
        (x, y)
        for panel in placed
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert all(one["gridPos"]["y"] <= other["gridPos"]["y"] for one, other in pairwise(placed))


def test_every_panel_says_what_it_is() -> None:
    for name, panel in panels():
        if panel["type"] != "row":
            assert panel["title"], name
            assert panel["description"].endswith((".", "。")), name


def test_every_panel_has_a_unit_that_grafana_knows() -> None:
    for name, panel in panels(with_query=True):
        asked = [panel["fieldConfig"]["defaults"]["unit"]]
        asked += [
            one["value"]
            for override in panel["fieldConfig"]["overrides"]
            for one in override["properties"]
            if one["id"] == "unit"
        ]
        assert [unit for unit in asked if unit not in UNITS and not unit.startswith(("suffix:", "time:"))] == [], name


def test_every_query_names_its_data_source_by_uid() -> None:
    for name, panel in panels(with_query=True):
        used = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(one["type"] == "influxdb" and one["uid"] in SOURCES for one in used), name
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), name
    for uid, board in FILES.items():
        assert "__inputs" not in board, uid


def test_no_query_does_what_is_known_to_be_slow_or_wrong() -> None:
    for name, text in texts_of_queries():
        assert [pattern.pattern for pattern in FORBIDDEN if pattern.search(text)] == [], name


def test_what_is_forbidden_would_be_found() -> None:
    bad = (
        "option location = x", "timezone.location", "contains(value: 1)", "spread(x)", "offset: -9h",
        "tz('Asia/Tokyo')", "createEmpty: true", "aggregateWindow(every: 1d, fn: sum)", "fill(previous)", "fill(0)",
    )  # fmt: skip
    assert [text for text in bad if not any(pattern.search(text) for pattern in FORBIDDEN)] == []


def test_every_query_is_bound_in_time_but_that_of_refusals_which_have_none() -> None:
    for name, text in texts_of_queries():
        bound = "$timeFilter" in text or "stop: v.timeRangeStop" in text
        assert bound != (f'FROM "{measurements.REFUSED}"' in text), name


def test_gaps_stay_gaps_and_no_line_is_stacked_unmeant() -> None:
    for name, panel in panels(with_query=True):
        custom = panel["fieldConfig"]["defaults"]["custom"]
        if panel["type"] in ("timeseries", "state-timeline"):
            assert custom["spanNulls"] is False, name
    [power] = [panel for name, panel in panels() if name == "hakari-plant: Power"]
    assert "createEmpty: true" in power["targets"][0]["query"]
    assert power["interval"] == "$slot"


def test_a_colour_has_its_text_beside_it() -> None:
    for name, panel in panels(with_query=True):
        mappings = panel["fieldConfig"]["defaults"]["mappings"] + [
            inner
            for override in panel["fieldConfig"]["overrides"]
            for one in override["properties"]
            if one["id"] == "mappings"
            for inner in one["value"]
        ]
        assert all(shown["text"] for one in mappings for shown in one["options"].values()), name
        if panel["type"] in ("state-timeline", "status-history"):
            assert panel["options"]["showValue"] == "always", name


def test_links_carry_time_and_variables_and_lead_to_what_there_is() -> None:
    for uid, board in FILES.items():
        assert board["links"], uid
        for link in board["links"]:
            assert link["keepTime"], uid
            assert link["includeVars"], uid
            assert link["url"].removeprefix("/d/") in FILES, uid
        own = [link for link in board["links"] if link["url"].endswith("-ja") == uid.endswith("-ja")]
        assert len(own) == 2, "the other two in the same language"
    opened = re.findall(r"/d/([a-z-]+)\?var-site=\$\{__value\.raw\}&\$\{__url_time_range\}", json.dumps(FILES))
    assert set(opened) == {"hakari-plant", "hakari-plant-ja"}


def test_variables_are_used_defined_and_asked_without_a_time() -> None:
    for uid, board in FILES.items():
        defined = {variable["name"]: variable for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$\{(\w+):regex\}", json.dumps(board["panels"])))
        used |= {"slot"} if '"$slot"' in json.dumps(board["panels"]) else set()
        assert used == set(defined), uid
        for variable in defined.values():
            if variable["type"] == "query":
                assert variable["query"].startswith("SHOW TAG VALUES"), uid
                assert "time" not in variable["query"].lower(), uid
                assert variable["datasource"]["uid"] == queries.INFLUXQL, uid
                assert variable["multi"] == variable["includeAll"], "all without many is broken in Grafana"
                # All of the registers are the counters alone: a gauge is none.
                anything = variable["multi"] and variable["name"] != "register"
                assert ("allValue" in variable) == anything, uid


def test_every_variable_in_a_query_is_written_as_an_expression() -> None:
    for name, text in texts_of_queries():
        plain = re.findall(r"\$(?!timeFilter|__interval|\{\w+:regex\}|/|\)|\")", text)
        assert plain == [], name


def test_every_text_has_its_japanese_and_none_is_left_over() -> None:
    with pytest.raises(TextMissing, match=r"grafana/texts\.py"):
        speaker("ja")("nobody translated this")
    shown = json.dumps([FILES[uid] for uid in FILES if not uid.endswith("-ja")], ensure_ascii=False)
    unused = [text for text in JA if json.dumps(text, ensure_ascii=False)[1:-1] not in shown]
    assert sorted(unused) == ["English"]
    assert [text for text, japanese in JA.items() if not japanese or japanese == text] == ["日本語", "English"]


def test_the_japanese_ones_differ_in_words_alone() -> None:
    for uid in [uid for uid in FILES if not uid.endswith("-ja")]:
        english, japanese = FILES[uid], FILES[f"{uid}-ja"]
        asked = [[target["query"] for target in panel.get("targets", [])] for panel in english["panels"]]
        assert asked == [[target["query"] for target in panel.get("targets", [])] for panel in japanese["panels"]]
        assert [panel["id"] for panel in english["panels"]] == [panel["id"] for panel in japanese["panels"]]


def test_a_measurement_refuses_a_name_that_it_has_not() -> None:
    with pytest.raises(KeyError, match=r"hakari/measurements\.py"):
        queries.HEALTH["agee_s"]


# ── provisioning ──


def test_data_sources_have_fixed_uids_and_take_address_and_token_from_the_environment() -> None:
    sources = PROVISIONED["datasources/hakari.yaml"]["datasources"]
    assert {source["uid"] for source in sources} == SOURCES
    for source in sources:
        assert source["url"] == "$HAKARI_INFLUX_URL"
        assert "$HAKARI_GRAFANA_READ_TOKEN" in str(source["secureJsonData"])
        assert source["editable"] is False
    assert "deleteDatasources" not in PROVISIONED["datasources/hakari.yaml"]


def test_there_is_one_policy_tree_grouped_so_that_one_uplink_is_one_message() -> None:
    [tree] = PROVISIONED["alerting/policies.yaml"]["policies"]
    [point] = PROVISIONED["alerting/contact-points.yaml"]["contactPoints"]
    assert tree["group_by"] == ["alertname", "site"]
    assert {tree["receiver"], *(route["receiver"] for route in tree["routes"])} == {point["name"]}
    assert "$HAKARI_OPS_MAIL" in str(point)


@pytest.mark.parametrize("one", RULES, ids=lambda one: str(one["title"]))
def test_an_alert_is_complete(one: Json) -> None:
    notes = one["annotations"]
    assert all(notes[key] for key in ("summary", "description"))
    board, panel = FILES[notes["__dashboardUid__"]], int(notes["__panelId__"])
    assert panel in {each["id"] for each in board["panels"] if each["type"] != "row"}
    assert (one["dashboardUid"], one["panelId"]) == (board["uid"], panel)
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/grafana.md").read_text(), re.MULTILINE)
    assert notes["runbook_url"].endswith(f"/grafana.md#{one['title'].lower()}")
    assert one["title"] in headings, "docs/grafana.md says what to do"
    assert one["noDataState"] == "Alerting"
    assert one["labels"]["severity"] in ("warning", "critical")
    assert [part["refId"] for part in one["data"]] == ["A", "B", "C"]
    assert one["data"][0]["datasourceUid"] in SOURCES
    assert not any(MONEY.search(value) for value in one["labels"].values())


def test_a_dollar_in_a_label_is_doubled_in_files_and_nowhere_else() -> None:
    made = rule(ALERTS[0])
    made["labels"]["what"] = "{{ $labels.meter }}"
    filed = provisioning.filed(made)
    assert filed["labels"]["what"] == "{{ $$labels.meter }}"
    assert filed["annotations"]["summary"] == made["annotations"]["summary"]
    assert "$labels" in filed["annotations"]["summary"]
    assert "$$" not in filed["annotations"]["summary"]


def test_alerts_ask_for_one_number_with_its_labels() -> None:
    for one in RULES:
        text = one["data"][0]["model"]["query"]
        if one["title"] != "HealthAbsent":
            assert re.search(r'keep\(columns: \["_time", "_value", "site", "edge"(, "meter")?\]\)$', text), one["title"]


# ── the room ──


def test_the_room_stands_on_click_and_grafana_client_alone() -> None:
    allowed = {"click", "grafana_client", "niquests", "grafana", "hakari"}
    for path in sorted(ROOM.glob("*.py")):
        tree = ast.parse(path.read_text())
        named = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        named += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        tops = {str(name).split(".")[0] for name in named}
        foreign = tops - allowed - sys.stdlib_module_names
        assert foreign == set(), path.name
        if path.name != "remote.py":
            assert not tops & {"grafana_client", "niquests"}, path.name
