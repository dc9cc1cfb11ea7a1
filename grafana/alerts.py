"""The alert rules, as Grafana's provisioning API and files take them.

Every rule looks at a row that ingest writes each minute whether anything arrives or not, so that silence cannot
resolve it; no rows at all means that ingest or InfluxDB is dead, and alarms too (`noDataState`).
"""

from __future__ import annotations

from typing import NamedTuple

from grafana import alert_queries as asked
from grafana import queries as q
from grafana.fleet import NAME as FLEET
from grafana.fleet import build as fleet
from grafana.panels import TAG, Json, Place, uid_of
from grafana.plant import NAME as PLANT
from grafana.plant import build as plant
from grafana.quality import NAME as QUALITY
from grafana.quality import build as quality
from grafana.texts import ENGLISH, speaker

FOLDER = "hakari"
GROUP = "hakari"
INTERVAL = "1m"
RANGE_S = 600
DOCS_URL = "https://hakari.example/docs"
METER = "{{ $labels.edge }}/{{ $labels.meter }}"
EDGE = "{{ $labels.edge }}"
BUILDERS = {FLEET: fleet, PLANT: plant, QUALITY: quality}


class Alert(NamedTuple):
    """A rule in the words of its reader: fires while `query` is above `above` (or below `below`) for `hold`."""

    title: str
    query: q.Query
    above: float
    hold: str
    severity: str
    summary: str
    description: str
    dashboard: str
    panel: str
    below: bool = False

    @property
    def uid(self) -> str:
        """`hakari-` and the title in small letters."""
        return f"{TAG}-{self.title.lower()}"


ALERTS = (
    Alert(
        "MeterSilent",
        asked.silent_meter_excess_s(),
        0,
        "5m",
        "warning",
        f"{METER} is silent",
        f"No point of {METER} has had a good reading within its limit, while its edge does deliver. "
        "Stays until a good reading comes.",
        FLEET,
        "Silent meters",
    ),
    Alert(
        "RegisterSilent",
        asked.silent_register_excess_s(),
        0,
        "5m",
        "warning",
        f"A counter of {METER} is silent",
        f"{METER} answers, but a counter that it had answered before has no good reading within its limit.",
        PLANT,
        "Points now",
    ),
    Alert(
        "EdgeSilent",
        asked.silent_edge_excess_s(),
        0,
        "5m",
        "critical",
        f"Edge {EDGE} is silent",
        f"No leaf of {EDGE} was stored within its limit. What it measures is buffered on its disk and comes later.",
        FLEET,
        "State of each plant",
    ),
    Alert(
        "HealthAbsent",
        asked.health_rows(),
        1,
        "3m",
        "critical",
        "Nobody writes health: the pipeline itself is dead",
        "Ingest wrote no minute of health for ten minutes, or InfluxDB does not answer. "
        "Until it does, no other alert of hakari can tell anything.",
        FLEET,
        "Plants online",
        below=True,
    ),
    Alert(
        "ViewBehind",
        asked.edge_number("view_behind"),
        10,
        "15m",
        "warning",
        f"The readings view lags behind the leaves of {EDGE}",
        f"For a quarter of an hour more than 10 stored leaves of {EDGE} have not been in the readings view.",
        QUALITY,
        "Leaves behind in the view",
    ),
    Alert(
        "EdgeFrozen",
        asked.edge_number("frozen"),
        0,
        "0s",
        "critical",
        f"Two signed histories of {EDGE}: its epoch is frozen",
        f"Ingest holds two validly signed roots for one size of {EDGE}. Delete nothing.",
        QUALITY,
        "Edges now",
    ),
    Alert(
        "EpochUnapproved",
        asked.edge_number("epochs_unapproved"),
        0,
        "1h",
        "warning",
        f"{EDGE} has an epoch that the roster does not approve",
        f"The leaves of an unapproved epoch of {EDGE} are stored and credit nothing until the owner approves it.",
        QUALITY,
        "Edges now",
    ),
)


def rule(alert: Alert, docs_url: str = DOCS_URL) -> Json:
    """The rule as the provisioning API takes it, without folder and group; `docs_url` is where docs/ can be read."""
    board = uid_of(alert.dashboard, ENGLISH)
    return {
        "uid": alert.uid,
        "title": alert.title,
        "condition": "C",
        "data": [_asked(alert.query), _reduced(), _compared(alert)],
        "noDataState": "Alerting",
        "execErrState": "Error",
        "for": alert.hold,
        "isPaused": False,
        "labels": {"severity": alert.severity, "source": TAG},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{docs_url}/grafana.md#{alert.title.lower()}",
            "__dashboardUid__": board,
            "__panelId__": str(panel_id(alert.dashboard, alert.panel)),
        },
    }


def api_rule(alert: Alert, docs_url: str) -> Json:
    """The rule as it is sent to a Grafana, in its folder and group."""
    return {**rule(alert, docs_url), "folderUID": FOLDER, "ruleGroup": GROUP}


def panel_id(name: str, title: str) -> int:
    """The id of a panel by its English title; LookupError where the dashboard has none."""
    place = Place(name, ENGLISH, speaker(ENGLISH), "", "", "")
    for panel in BUILDERS[name](place)["panels"]:
        if panel["title"] == title:
            return int(panel["id"])
    raise LookupError(f"dashboard {name} has no panel {title!r}")


def _asked(query: q.Query) -> Json:
    model = {"refId": "A", "query": query.text, "intervalMs": 60_000, "maxDataPoints": 1000}
    return _part("A", query.source, {**model, "datasource": {"type": "influxdb", "uid": query.source}}, RANGE_S)


def _reduced() -> Json:
    return _part("B", "__expr__", {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"}, 0)


def _compared(alert: Alert) -> Json:
    evaluator = {"type": "lt" if alert.below else "gt", "params": [alert.above]}
    model = {"refId": "C", "type": "threshold", "expression": "B", "conditions": [{"evaluator": evaluator}]}
    return _part("C", "__expr__", model, 0)


def _part(ref: str, source: str, model: Json, range_s: int) -> Json:
    return {
        "refId": ref,
        "datasourceUid": source,
        "relativeTimeRange": {"from": range_s, "to": 0},
        "model": model,
    }
