from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

PROVISIONING = Path(__file__).parents[3] / "grafana" / "provisioning"
DASHBOARDS = Path(__file__).parents[3] / "grafana" / "dashboards"


def test_uids_are_fixed_and_named_everywhere() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PROVISIONING.rglob("*.y*ml")}
    sources = [yaml.safe_load(text) for path, text in texts.items() if "datasources" in path.parts]
    fixed = {one["uid"] for content in sources for one in content["datasources"]}
    assert fixed
    assert not any("deleteDatasources" in text for text in texts.values())
    used: set[str] = set()
    for path in DASHBOARDS.rglob("*.json"):
        used |= {one["uid"] for one in _data_sources(json.loads(path.read_text(encoding="utf-8")))}
    assert used - {"-- Grafana --", "grafana", "-- Dashboard --", "-- Mixed --"} <= fixed
    assert used & fixed


def test_no_alert_holds_a_template_variable() -> None:
    for path in PROVISIONING.rglob("*.y*ml"):
        if "alerting" in path.parts:
            queries = re.findall(r'"?query"?: (.*)', path.read_text(encoding="utf-8"))
            assert not any(re.search(r"\$\{?(?!__|timeFilter|timeRange)[a-z]+\}?", query) for query in queries)


def _data_sources(content: object) -> list[dict[str, str]]:
    if isinstance(content, dict):
        own = content.get("datasource")
        found = [own] if isinstance(own, dict) and "uid" in own else []
        return found + [one for value in content.values() for one in _data_sources(value)]
    if isinstance(content, list):
        return [one for value in content for one in _data_sources(value)]
    return []
