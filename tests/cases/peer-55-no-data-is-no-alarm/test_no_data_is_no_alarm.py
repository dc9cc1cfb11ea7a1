from __future__ import annotations

from pathlib import Path

import yaml

RULES = Path(__file__).parents[3] / "grafana" / "provisioning" / "alerting" / "rules.yaml"


def test_every_alert_says_that_no_data_and_an_error_alert() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert rule["noDataState"] == "Alerting", rule["title"]
        assert rule["execErrState"] in ("Alerting", "Error"), rule["title"]
