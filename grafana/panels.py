"""Parts of a dashboard in Grafana's classic JSON model: panels, rows, variables, links. Pure dictionaries.

The model: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana.queries import FLUX, Query
from grafana.texts import JAPANESE, Say

Json = dict[str, Any]

SCHEMA_VERSION = 39
TAG = "hakari"
TIME = "_time"
COLUMNS = 24
STATE_INTERVAL = "5m"
GREEN, ORANGE, RED, GREY, BLUE = "green", "orange", "red", "text", "blue"
TONES = {"never": GREY, "ok": GREEN, "suspect": ORANGE, "stale": RED, "silent": RED, "frozen": RED}


class Target(NamedTuple):
    """A query in a panel; `alias` names its series (InfluxQL), `table` asks for rows and columns."""

    query: Query
    alias: str = ""
    table: bool = False


class Size(NamedTuple):
    """Of a panel, in Grafana's grid of 24 columns."""

    w: int
    h: int


def source(uid: str) -> Json:
    """A data source by its fixed uid."""
    return {"type": "influxdb", "uid": uid}


def _target(target: Target, ref: str) -> Json:
    query = {"refId": ref, "datasource": source(target.query.source), "query": target.query.text}
    if target.query.source == FLUX:
        return query
    shape = {"rawQuery": True, "resultFormat": "table" if target.table else "time_series"}
    return query | shape | ({"alias": target.alias} if target.alias else {})


class Look(NamedTuple):
    """How a panel shows numbers: Grafana's unit id, thresholds as (from, colour), mappings, and its own settings."""

    unit: str
    thresholds: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    mappings: Sequence[Json] = ()
    custom: Mapping[str, Any] = {}
    colour: str = "thresholds"
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    name: str | None = None

    def defaults(self) -> Json:
        """The panel's `fieldConfig.defaults`."""
        steps = [{"value": value, "color": colour} for value, colour in self.thresholds]
        defaults: Json = {
            "unit": self.unit,
            "color": {"mode": self.colour},
            "thresholds": {"mode": "absolute", "steps": steps},
            "mappings": list(self.mappings),
            "custom": dict(self.custom),
        }
        given = {"decimals": self.decimals, "min": self.low, "max": self.high, "displayName": self.name}
        return defaults | {name: value for name, value in given.items() if value is not None}


def panel(
    kind: str,
    texts: tuple[str, str],
    size: Size,
    targets: Sequence[Target],
    look: Look,
    options: Mapping[str, Any],
    **more: object,
) -> Json:
    """A panel of `kind` without id and place; `texts` are its title and description."""
    overrides = more.pop("overrides", [])
    made: Json = {
        "type": kind,
        "title": texts[0],
        "description": texts[1],
        "gridPos": {"w": size.w, "h": size.h},
        "datasource": source(targets[0].query.source),
        "targets": [_target(target, chr(ord("A") + k)) for k, target in enumerate(targets)],
        "fieldConfig": {"defaults": look.defaults(), "overrides": overrides},
        "options": dict(options),
    }
    return made | more


def stat(texts: tuple[str, str], size: Size, targets: Sequence[Target], look: Look, **more: object) -> Json:
    """One big number a query; its colour is never alone, since the number and its name stand in it."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value_and_name" if len(targets) > 1 else "auto",
        "justifyMode": "auto",
        "orientation": "auto",
    }
    return panel("stat", texts, size, targets, look, options, **more)


def lines(texts: tuple[str, str], size: Size, targets: Sequence[Target], look: Look, **more: object) -> Json:
    """Lines over time in which a gap stays a gap."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "insertNulls": False,
        "stacking": {"mode": "none", "group": "A"},
    }
    chosen = look._replace(custom=custom | dict(look.custom), colour="palette-classic-by-name")
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", texts, size, targets, chosen, options, **more)


def bars(texts: tuple[str, str], size: Size, targets: Sequence[Target], look: Look, **more: object) -> Json:
    """Bars over time, each beginning at the time of its row."""
    custom = {"drawStyle": "bars", "barAlignment": 1, "fillOpacity": 60, "showPoints": "never"}
    return lines(texts, size, targets, look._replace(custom=custom | dict(look.custom)), **more)


def timeline(texts: tuple[str, str], size: Size, target: Target, mappings: Sequence[Json], name: str) -> Json:
    """States over time as bands, with the state's text in each; `name` of a band is made of its labels."""
    custom = {"lineWidth": 0, "fillOpacity": 70, "spanNulls": False}
    look = Look("none", ((None, GREY),), mappings, custom, name=name)
    options = {
        "mergeValues": True,
        "showValue": "always",
        "alignValue": "left",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel("state-timeline", texts, size, [target], look, options, interval=STATE_INTERVAL)


def grid(texts: tuple[str, str], size: Size, target: Target, look: Look, **more: object) -> Json:
    """A cell for each series and time, its number written in it."""
    chosen = look._replace(custom={"lineWidth": 1, "fillOpacity": 70})
    options = {
        "showValue": "always",
        "rowHeight": 0.9,
        "colWidth": 0.95,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel("status-history", texts, size, [target], chosen, options, **more)


class Column(NamedTuple):
    """A column of a table: the field, its heading, unit, what its values are shown as, and where a click leads."""

    field: str
    heading: str
    unit: str = "string"
    mappings: Sequence[Json] = ()
    link: str = ""
    thresholds: Sequence[tuple[float | None, str]] = ()

    def names(self) -> tuple[str, ...]:
        """What Grafana may call the field: it renames the time of some answers."""
        return ("Time", TIME) if self.field == TIME else (self.field,)


def rows(texts: tuple[str, str], size: Size, target: Target, columns: Sequence[Column], **more: object) -> Json:
    """A table with exactly `columns`, in this order."""
    named = [(name, k, column.heading) for k, column in enumerate(columns) for name in column.names()]
    organised = {
        "id": "organize",
        "options": {
            "excludeByName": {},
            "indexByName": {name: k for name, k, _ in named},
            "renameByName": {name: heading for name, _, heading in named},
            "includeByName": {name: True for name, _, _ in named},
        },
    }
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": [], "fields": ""}}
    more = {
        "overrides": [_column(column) for column in columns],
        "transformations": [organised],
    } | more
    asked = target if target.query.source == FLUX else target._replace(table=True)
    return panel("table", texts, size, [asked], Look("string", ((None, GREY),)), options, **more)


def _column(column: Column) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.mappings:
        properties.append({"id": "mappings", "value": list(column.mappings)})
    if column.thresholds:
        steps = [{"value": value, "color": colour} for value, colour in column.thresholds]
        properties.append({"id": "thresholds", "value": {"mode": "absolute", "steps": steps}})
    if column.mappings or column.thresholds:
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    if column.link:
        properties.append({"id": "links", "value": [{"title": column.heading, "url": column.link}]})
    return {"matcher": {"id": "byName", "options": column.heading}, "properties": properties}


def alerts(texts: tuple[str, str], size: Size) -> Json:
    """The list of hakari's alerts that are not in order."""
    options = {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 50,
        "sortOrder": 3,
        "dashboardAlerts": False,
        "alertName": "",
        "alertInstanceLabelFilter": '{source="hakari"}',
        "stateFilter": {"firing": True, "pending": True, "noData": True, "normal": False, "error": True},
    }
    return {
        "type": "alertlist",
        "title": texts[0],
        "description": texts[1],
        "gridPos": {"w": size.w, "h": size.h},
        "options": options,
    }


def row(title: str) -> Json:
    """A heading above the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": COLUMNS, "h": 1}}


def value_map(texts: Mapping[int, tuple[str, str]] | Mapping[str, tuple[str, str]]) -> list[Json]:
    """Values shown as a text and a colour: {value: (text, colour)}."""
    options = {
        str(value): {"text": text, "color": colour, "index": k}
        for k, (value, (text, colour)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def query_variable(
    name: str, label: str, uid: str, query: str, *, multi: bool, listed: bool = False, part: str = ""
) -> Json:
    """A variable whose values a query gives; with `multi` also all of them, which is where it begins.

    All stands for anything at all, or where `listed` for the values of the query alone, joined by Grafana. `part` is an
    expression for what of each value counts.
    """
    everything = {"text": "All", "value": "$__all"}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": source(uid),
        "query": query,
        "definition": query,
        "refresh": 1,
        "sort": 1,
        "regex": part,
        "hide": 0,
        "skipUrlSync": False,
        "multi": multi,
        "includeAll": multi,
        "options": [],
        "current": everything if multi else {},
    } | ({"allValue": ".*"} if multi and not listed else {})


def interval_variable(name: str, label: str, values: Sequence[str], chosen: str) -> Json:
    """A variable of lengths of time; the smallest interval of panels that name it."""
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "skipUrlSync": False,
        "options": [{"text": value, "value": value, "selected": value == chosen} for value in values],
        "current": {"text": chosen, "value": chosen},
    }


class Place(NamedTuple):
    """Where a dashboard stands: its name in English, its language's words, and default range and refresh."""

    name: str
    language: str
    say: Say
    start: str
    refresh: str
    timezone: str

    @property
    def uid(self) -> str:
        """The fixed uid."""
        return uid_of(self.name, self.language)


def uid_of(name: str, language: str) -> str:
    """`hakari-{name}`, with `-ja` for Japanese."""
    return f"hakari-{name}-ja" if language == JAPANESE else f"hakari-{name}"


def link(title: str, uid: str) -> Json:
    """A link to another dashboard that carries time and variables."""
    return {
        "type": "link",
        "title": title,
        "url": f"/d/{uid}",
        "icon": "external link",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "targetBlank": False,
        "keepTime": True,
        "includeVars": True,
    }


def dashboard(
    place: Place, texts: tuple[str, str], panels: Sequence[Json], variables: Sequence[Json], links: Sequence[Json]
) -> Json:
    """The whole dashboard; ids go up in the order of `panels`, which are laid out from left to right."""
    return {
        "uid": place.uid,
        "title": texts[0],
        "description": texts[1],
        "tags": [TAG, f"{TAG}-{place.language}"],
        "timezone": place.timezone,
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": place.start, "to": "now"},
        "refresh": place.refresh,
        "timepicker": {},
        "weekStart": "",
        "liveNow": False,
        "fiscalYearStartMonth": 0,
        "annotations": {"list": []},
        "templating": {"list": list(variables)},
        "links": list(links),
        "panels": _laid_out(panels),
    }


def _laid_out(panels: Sequence[Json]) -> list[Json]:
    x = y = height = 0
    placed = []
    for number, one in enumerate(panels, 1):
        size = one["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        placed.append({"id": number, **one, "gridPos": {"x": x, "y": y, **size}})
        x, height = x + size["w"], max(height, size["h"])
    return placed
