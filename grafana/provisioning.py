"""The provisioning files of a Grafana that is ours: data sources, dashboards' folder, alerting.

Grafana fills in environment variables: HAKARI_INFLUX_URL, HAKARI_INFLUX_ORG, HAKARI_INFLUX_BUCKET,
HAKARI_GRAFANA_READ_TOKEN (reads one bucket) and HAKARI_OPS_MAIL.
https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from grafana.alerts import ALERTS, DOCS_URL, FOLDER, GROUP, INTERVAL, rule
from grafana.panels import TAG, Json
from grafana.queries import FLUX, INFLUXQL

DASHBOARD_FOLDER = "/etc/grafana/hakari"
MAX_SERIES = 2000
HEAD = "# Written by `python -m grafana.build`; do not edit."
RECEIVER = "hakari-ops"


def flux_source(url: str, org: str, bucket: str, token: str) -> Json:
    """The data source for Flux."""
    return _source(FLUX, url) | {
        "jsonData": {
            "version": "Flux",
            "organization": org,
            "defaultBucket": bucket,
            "timeInterval": "1m",
            "maxSeries": MAX_SERIES,
        },
        "secureJsonData": {"token": token},
    }


def influxql_source(url: str, bucket: str, token: str) -> Json:
    """The data source for InfluxQL: the bucket's name is the database, the token goes as a header."""
    return _source(INFLUXQL, url) | {
        "jsonData": {
            "version": "InfluxQL",
            "dbName": bucket,
            "httpMode": "POST",
            "httpHeaderName1": "Authorization",
            "timeInterval": "1m",
            "maxSeries": MAX_SERIES,
        },
        "secureJsonData": {"httpHeaderValue1": f"Token {token}"},
    }


def _source(uid: str, url: str) -> Json:
    return {"name": uid, "uid": uid, "type": "influxdb", "access": "proxy", "url": url}


def data_sources() -> Json:
    """`datasources/hakari.yaml`."""
    place = "$HAKARI_INFLUX_URL", "$HAKARI_INFLUX_ORG", "$HAKARI_INFLUX_BUCKET", "$HAKARI_GRAFANA_READ_TOKEN"
    url, org, bucket, token = place
    both = [flux_source(url, org, bucket, token), influxql_source(url, bucket, token)]
    return {"apiVersion": 1, "prune": True, "datasources": [{**one, "orgId": 1, "editable": False} for one in both]}


def dashboard_provider() -> Json:
    """`dashboards/hakari.yaml`."""
    provider = {
        "name": TAG,
        "orgId": 1,
        "folder": FOLDER,
        "folderUid": FOLDER,
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": DASHBOARD_FOLDER},
    }
    return {"apiVersion": 1, "providers": [provider]}


def rules(docs_url: str) -> Json:
    """`alerting/rules.yaml`."""
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER,
        "interval": INTERVAL,
        "rules": [filed(rule(alert, docs_url)) for alert in ALERTS],
    }
    return {"apiVersion": 1, "groups": [group]}


def contact_points() -> Json:
    """`alerting/contact-points.yaml`."""
    receiver = {"uid": RECEIVER, "type": "email", "settings": {"addresses": "$HAKARI_OPS_MAIL", "singleEmail": True}}
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": RECEIVER, "receivers": [receiver]}]}


def policies() -> Json:
    """`alerting/policies.yaml`: the one tree of the organisation; grouped so that a dead uplink is one message."""
    critical = {"receiver": RECEIVER, "object_matchers": [["severity", "=", "critical"]], "repeat_interval": "2h"}
    tree = {
        "orgId": 1,
        "receiver": RECEIVER,
        "group_by": ["alertname", "site"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [critical],
    }
    return {"apiVersion": 1, "policies": [tree]}


def filed(made: Json) -> Json:
    """A rule as a file takes it: Grafana fills in variables in labels, so that a `$` there is written twice."""
    labels = {name: value.replace("$", "$$") for name, value in made["labels"].items()}
    place = {
        "dashboardUid": made["annotations"]["__dashboardUid__"],
        "panelId": int(made["annotations"]["__panelId__"]),
    }
    return {**made, "labels": labels, **place}


def files(docs_url: str = DOCS_URL) -> dict[str, str]:
    """Every provisioning file: path below `provisioning/` → text."""
    trees = {
        "datasources/hakari.yaml": data_sources(),
        "dashboards/hakari.yaml": dashboard_provider(),
        "alerting/rules.yaml": rules(docs_url),
        "alerting/contact-points.yaml": contact_points(),
        "alerting/policies.yaml": policies(),
    }
    return {path: f"{HEAD}\n{yaml(tree)}" for path, tree in trees.items()}


def yaml(tree: Json) -> str:
    """`tree` as YAML of blocks; texts are quoted as in JSON, which YAML holds, and those of many lines are blocks."""
    return "\n".join(_mapping(tree, "")) + "\n"


def _mapping(tree: Json, indent: str) -> Iterator[str]:
    for key, value in tree.items():
        yield from _entry(f"{indent}{key}:", value, indent + "  ")


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield head
        yield from _mapping(value, indent)
    elif isinstance(value, list) and value and not _flat(value):
        yield head
        for one in value:
            inner = list(_mapping(one, indent + "  "))
            yield f"{indent}- {inner[0].lstrip()}"
            yield from inner[1:]
    elif isinstance(value, str) and "\n" in value and not value.endswith("\n"):
        yield f"{head} |-"
        yield from (indent + line if line else "" for line in value.split("\n"))
    else:
        yield f"{head} {json.dumps(value, ensure_ascii=False)}"


def _flat(values: Sequence[object]) -> bool:
    return not any(isinstance(value, dict) for value in values)
