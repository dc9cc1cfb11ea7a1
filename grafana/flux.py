"""Queries of what stands now, and of states over time, in Flux: joins and rankings that InfluxQL cannot say.

`v.…` and `${…}` are Grafana's own macros and variables; a window is stamped with its beginning.
"""

from __future__ import annotations

from grafana.queries import ALARM, DAY, EDGE, EMISSIONS, FLUX, HEALTH, READING, Measured, Query
from hakari.measurements import VALUES

PRESENT = "10m"
LATEST_DAY = "48h"
REFUSED = DAY["refused"]
_LACKS_REDUCTIONS = f"if exists r.{EMISSIONS['reductions_tco2']} then 0 else 1"


def last_rows(measured: Measured, fields: tuple[str, ...], start: str, *, chosen: bool) -> str:
    """The last value of each field as table rows: tags and `fields`. Right where every row has all of the fields."""
    return _rows(measured, fields, start, "\n  |> last()", chosen=chosen)


def _rows(measured: Measured, fields: tuple[str, ...], start: str, of_each: str, *, chosen: bool) -> str:
    """Rows from `start` on: tags and `fields`, with `of_each` applied to every field's series alone."""
    either = " or ".join(f'r._field == "{measured[field]}"' for field in fields)
    site = "\n  |> filter(fn: (r) => r.site =~ /^${site:regex}$/)" if chosen else ""
    keys = ", ".join(f'"{one}"' for one in ("_time", *measured.tags))
    return f"""from(bucket: v.defaultBucket)
  |> range(start: {start}, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "{measured.name}" and ({either})){site}{of_each}
  |> pivot(rowKey: [{keys}], columnKey: ["_field"], valueColumn: "_value")"""


def now(measured: Measured, *fields: str) -> str:
    """What stood at the end of the range: rows of the last ten minutes, so that what left the roster is gone."""
    return last_rows(measured, fields, f"date.sub(d: {PRESENT}, from: v.timeRangeStop)", chosen=True)


_RANK = """rank = (s) =>
  if s == "ok" then 1.0
  else if s == "suspect" then 2.0
  else if s == "stale" or s == "unproven" or s == "suspended" then 3.0
  else if s == "frozen" then 5.0
  else if s == "never" then 0.0
  else 4.0
"""
# A number for a state, so that the worst of many can be found; `never` counts only where all are so.
RANKS = {0: "never", 1: "ok", 2: "suspect", 3: "stale", 4: "silent", 5: "frozen"}

# Without those that stand for an edge of which no configuration is known.
_METERS = f"""meters = {now(HEALTH, "age_s", "limit_s")}
  |> filter(fn: (r) => r.meter != "-")
  |> map(fn: (r) => ({{site: r.site, edge: r.edge, meter: r.meter, age: r.age_s, excess: r.age_s - r.limit_s}}))
  |> group(columns: ["site", "edge", "meter"])
  |> min(column: "age")
  |> map(fn: (r) => ({{site: r.site, edge: r.edge, meter: r.meter, age: r.age, reporting: if r.excess < 0.0 then 1.0 else 0.0}}))
"""  # noqa: E501
_EDGES = f"""edges = {now(EDGE, "state", "view_behind")}
  |> map(fn: (r) => ({{site: r.site, edge: r.edge, state: rank(s: r.state), online: if rank(s: r.state) == 1.0 or rank(s: r.state) == 5.0 then 1.0 else 0.0, behind: float(v: r.view_behind)}}))
"""  # noqa: E501


def flux(*parts: str) -> Query:
    """The parts as one query, with the imports that they need."""
    text = "\n".join(parts)
    return Query(FLUX, "".join(f'import "{name}"\n' for name in ("date", "strings") if f"{name}." in text) + text)


# Which points, as an expression for the beginning of their fields.
REGISTERS, GAUGES, POWERS = "^${register:regex}", "^${gauge:regex}", "power"
GOOD_VALUE = VALUES[0]
_NAMED = f"""
  |> map(fn: (r) => ({{_time: r._time, _value: r._value, point: r.edge + "/" + r.meter + "/" + strings.trimSuffix(v: r._field, suffix: ".{GOOD_VALUE}")}}))
  |> group(columns: ["point"])"""  # noqa: E501
_OF_POINTS = '|> group(columns: ["edge", "meter", "_field"])\n  |> sort(columns: ["_time"])'


def _values(points: str) -> str:
    return f"""from(bucket: v.defaultBucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "{READING.name}" and r._field =~ /{points}[.]{GOOD_VALUE}$/)
  |> filter(fn: (r) => r.{READING["site"]} =~ /^${{site:regex}}$/ and r.{READING["meter"]} =~ /^${{meter:regex}}$/)"""


def good(points: str, how: str) -> Query:
    """GOOD readings of the points that the expression `points` matches; an empty interval is null, so a gap is seen.

    Twice in windows: each series where it is stored, then what there is of a point in several epochs.
    """
    windows = 'aggregateWindow(every: v.windowPeriod, fn: {how}, createEmpty: {empty}, timeSrc: "_start")'
    return flux(
        f"""{_values(points)}
  |> {windows.format(how=how, empty="false")}
  {_OF_POINTS}
  |> {windows.format(how=how, empty="true")}{_NAMED}"""
    )


def falls() -> Query:
    """Steps at which a register fell: a reset, a rollover or a replaced meter."""
    return flux(
        f"""{_values(REGISTERS)}
  {_OF_POINTS}
  |> difference()
  |> filter(fn: (r) => r._value < 0.0){_NAMED}"""
    )


def energy() -> Query:
    """What registers rose by in each interval.

    A step belongs to the interval that ends with its reading, so windows begin 1 ms after the full hour.
    """
    return flux(
        f"""{_values(REGISTERS)}
  {_OF_POINTS}
  |> difference(nonNegative: true)
  |> aggregateWindow(every: v.windowPeriod, offset: 1ms, fn: sum, createEmpty: false, timeSrc: "_start"){_NAMED}"""
    )


def _whole(table: str, column: str, how: str) -> str:
    """One number over all rows."""
    return f'{table} |> group() |> {how}(column: "{column}") |> rename(columns: {{{column}: "_value"}}) |> keep(columns: ["_value"])'  # noqa: E501


def meters(column: str, how: str) -> Query:
    """One number over the meters of the chosen plants: `column` is age or reporting."""
    return flux(_METERS, _whole("meters", column, how))


def silent_meters() -> Query:
    """How many meters have no good reading within their limit."""
    return flux(
        _METERS,
        'meters |> map(fn: (r) => ({r with silent: 1.0 - r.reporting})) |> group() |> sum(column: "silent")'
        ' |> rename(columns: {silent: "_value"}) |> keep(columns: ["_value"])',
    )


def plants(how: str) -> Query:
    """How many plants there are (count), or how many have an edge that is online (sum)."""
    best = 'edges |> group(columns: ["site"]) |> max(column: "online")'
    return flux(_RANK, _EDGES, _whole(best, "online", how))


def edges(column: str, how: str) -> Query:
    """One number over the edges of the chosen plants: `column` is state or behind."""
    return flux(_RANK, _EDGES, _whole("edges", column, how))


def plant_lines() -> Query:
    """One row a plant: state, meters reporting and rostered, oldest age, leaves behind, the day's completeness."""
    part = '|> map(fn: (r) => ({{site: r.site, key: "{key}", _value: r.{column}}}))'

    def column(key: str, table: str, name: str, how: str) -> str:
        picked = part.format(key=key, column=name)
        return f'{table} |> group(columns: ["site"]) |> {how}(column: "{name}") {picked}'

    start = f"date.sub(d: {LATEST_DAY}, from: v.timeRangeStop)"
    return flux(
        _RANK,
        _METERS,
        _EDGES,
        f"""today = {last_rows(EMISSIONS, ("completeness",), start, chosen=True)}
""",
        "union(tables: [",
        f"  {column('state', 'edges', 'state', 'max')},",
        f"  {column('reporting', 'meters', 'reporting', 'sum')},",
        f"  {column('rostered', 'meters |> map(fn: (r) => ({r with one: 1.0}))', 'one', 'sum')},",
        f"  {column('oldest', 'meters', 'age', 'max')},",
        f"  {column('behind', 'edges', 'behind', 'sum')},",
        f"  {column('complete', 'today', 'completeness', 'min')},",
        "])",
        '  |> group() |> pivot(rowKey: ["site"], columnKey: ["key"], valueColumn: "_value")',
        '  |> sort(columns: ["site"])',
    )


def states(measured: Measured, *by: str) -> Query:
    """The worst state of each `by` in each interval, as a number of RANKS."""
    chosen = " and r.meter =~ /^${meter:regex}$/" if "meter" in by else ""
    columns = ", ".join(f'"{measured[tag]}"' for tag in by)
    return flux(
        _RANK,
        f"""from(bucket: v.defaultBucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "{measured.name}" and r._field == "{measured["state"]}")
  |> filter(fn: (r) => r.site =~ /^${{site:regex}}$/{chosen})
  |> aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: false, timeSrc: "_start")
  |> map(fn: (r) => ({{r with _value: rank(s: r._value)}}))
  |> group(columns: ["_time", {columns}])
  |> max()
  |> group(columns: [{columns}])
  |> sort(columns: ["_time"])
  |> keep(columns: ["_time", "_value", {columns}])""",
    )


def point_lines(*fields: str, kind: str = "", only: str = "", order: str = "age_s") -> Query:
    """One row a point as it stands now; `only` is a condition on the row r."""
    condition = [f'r.kind == "{kind}"'] if kind else []
    condition += [only] if only else []
    kept = ", ".join(f'"{HEALTH[name]}"' for name in ("site", "edge", "meter", "point", *fields))
    chosen = "" if not condition else f"\n  |> filter(fn: (r) => {' and '.join(condition)})"
    return flux(
        f"""{now(HEALTH, *fields)}
  |> group(){chosen}
  |> keep(columns: [{kept}])
  |> sort(columns: ["{order}"], desc: true)
  |> limit(n: 500)""",
    )


def edge_lines() -> Query:
    """One row an edge as it stands now."""
    fields = ("state", "age_s", "late_s", "leaves", "view_behind", "epochs_unapproved", "frozen")
    kept = ", ".join(f'"{EDGE[name]}"' for name in ("site", "edge", *fields))
    text = f"""{now(EDGE, *fields)}
  |> group()
  |> keep(columns: [{kept}])
  |> sort(columns: ["site", "edge"])"""
    return flux(text)


def alarm_lines() -> Query:
    """One row an alarm that stands now, of every plant and of ingest itself."""
    fields = ("active", "raised_ms", "english", "japanese", "number")
    kept = ", ".join(f'"{ALARM[name]}"' for name in ("severity", "kind", *fields[1:]))
    asked = last_rows(ALARM, fields, f"date.sub(d: {PRESENT}, from: v.timeRangeStop)", chosen=False)
    return flux(
        f"""{asked}
  |> group()
  |> filter(fn: (r) => r.{ALARM["active"]} == 1)
  |> keep(columns: [{kept}])
  |> sort(columns: ["raised_ms"], desc: true)
  |> limit(n: 500)""",
    )


def latest_days(measured: Measured, *fields: str) -> Query:
    """The newest local day of each series as a table row: what a refused day lacks is not taken from an older one.

    By limit(): last() over whole rows would turn what is absent into 0.
    """
    every = _rows(measured, fields, f"date.sub(d: {LATEST_DAY}, from: v.timeRangeStop)", "", chosen=True)
    tags = ", ".join(f'"{one}"' for one in measured.tags)
    kept = ", ".join(f'"{one}"' for one in ("_time", *measured.tags, *fields, REFUSED))
    refused = "" if REFUSED in fields else f"\n  |> map(fn: (r) => ({{r with {REFUSED}: {_LACKS_REDUCTIONS}}}))"
    return flux(
        f"""{every}
  |> group(columns: [{tags}])
  |> sort(columns: ["_time"], desc: true)
  |> limit(n: 1)
  |> group(){refused}
  |> keep(columns: [{kept}])
  |> sort(columns: ["site", "_time"])"""
    )


def draft(field: str) -> Query:
    """The sum of a figure of `emissions_day` over the days in the range."""
    return flux(
        f"""from(bucket: v.defaultBucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "{EMISSIONS.name}" and r._field == "{EMISSIONS[field]}")
  |> filter(fn: (r) => r.site =~ /^${{site:regex}}$/)
  |> group()
  |> sum()
  |> keep(columns: ["_value"])""",
    )
