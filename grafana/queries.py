"""Queries of the dashboards over time, in InfluxQL; what stands now is in `grafana.flux`.

Names come from `hakari.measurements` and are refused here where that home does not know them. No query names a
time zone, calls `contains` or `spread`, or shifts windows backwards: days come cut from calc. `$…` and `v.…` are
Grafana's own macros and variables.
"""

# ruff: noqa: S608 - no query is built from what a user says: names are constants, choices are Grafana's variables

from __future__ import annotations

from typing import NamedTuple

from hakari import measurements as m

FLUX = "hakari-flux"
INFLUXQL = "hakari-influxql"
# What a variable of points holds is the end of their whole names, by which their fields begin.
ENDS = r"/[^\/]+$/"


class Measured(NamedTuple):
    """A measurement with the tags and fields that it has."""

    name: str
    tags: tuple[str, ...]
    fields: tuple[str, ...]

    def __getitem__(self, name: object) -> str:  # type: ignore[override]
        """`name` itself where it is a tag or field of the measurement; KeyError otherwise."""
        if name not in self.tags and name not in self.fields:
            raise KeyError(f"{self.name} has no tag or field {name!r}; see hakari/measurements.py")
        return str(name)


READING = Measured(m.READING, m.READING_TAGS, m.READING_FIELDS)
HEALTH = Measured(m.HEALTH_MINUTE, m.HEALTH_TAGS, m.HEALTH_FIELDS)
EDGE = Measured(m.EDGE_MINUTE, m.EDGE_TAGS, m.EDGE_FIELDS)
ALARM = Measured(m.ALARM, m.ALARM_TAGS, m.ALARM_FIELDS)
DAY = Measured(m.PERIOD_DAY, m.DAY_TAGS, m.DAY_FIELDS)
EMISSIONS = Measured(m.EMISSIONS_DAY, m.EMISSIONS_TAGS, m.EMISSIONS_FIELDS)


class Query(NamedTuple):
    """A query's text and the data source that runs it."""

    source: str
    text: str


def _where(measured: Measured, *more: str, time: bool = True) -> str:
    """The time filter and the dashboard's variables, then `more`."""
    chosen = [f'"{measured["site"]}" =~ /^${{site:regex}}$/']
    if "meter" in measured.tags:
        chosen.append('"meter" =~ /^${meter:regex}$/')
    return " AND ".join([*(["$timeFilter"] if time else []), *chosen, *more])


def _by(measured: Measured, *tags: str, every: str = "", fill: str = "none") -> str:
    columns = [*([f"time({every})"] if every else []), *(f'"{measured[tag]}"' for tag in tags)]
    return f"GROUP BY {', '.join(columns)}" + (f" fill({fill})" if every else "")


def series(
    measured: Measured, how: str, field: str, *tags: str, more: tuple[str, ...] = (), fill: str = "none"
) -> Query:
    """One value an interval: `how` of a field, one series for each value of `tags`."""
    return Query(
        INFLUXQL,
        f'SELECT {how}("{measured[field]}") FROM "{measured.name}" WHERE {_where(measured, *more)} '
        f"{_by(measured, *tags, every='$__interval', fill=fill)}",
    )


def of_quality(quality: int) -> Query:
    """How many readings had a quality, in each interval."""
    return series(READING, "sum", m.QUALITIES[quality])


def oldest_age() -> Query:
    """The greatest age, in each interval, of each meter's freshest point."""
    inner = (
        f'SELECT min("{HEALTH["age_s"]}") AS "age" FROM "{HEALTH.name}" WHERE {_where(HEALTH)} '
        f"{_by(HEALTH, 'site', 'edge', 'meter', every='1m')}"
    )
    by = _by(HEALTH, "site", "edge", "meter", every="$__interval")
    return Query(INFLUXQL, f'SELECT max("age") FROM ({inner}) WHERE $timeFilter {by}')


def days(measured: Measured, field: str, *tags: str, more: tuple[str, ...] = ()) -> Query:
    """A field of calc's local days as they stand, one series for each value of `tags`."""
    return Query(
        INFLUXQL,
        f'SELECT "{measured[field]}" FROM "{measured.name}" WHERE {_where(measured, *more)} {_by(measured, *tags)}',
    )


def flawed_days() -> Query:
    """Days that an incident touches or whose quantity was refused, as a table."""
    flawed = f'("{DAY["incidents"]}" > 0 OR "{DAY["refused"]}" > 0)'
    fields = '"incidents", "refused", "completeness", "amount_text"'
    by = _by(DAY, "site", "edge", "meter", "point", "quantity", "unit")
    return Query(INFLUXQL, f'SELECT {fields} FROM "{DAY.name}" WHERE {_where(DAY, flawed)} {by}')


def refused_leaves() -> Query:
    """What ingest could not turn into readings, and why, as a table: of all time, since a leaf has no slot."""
    edge = '"edge" =~ /^${site:regex}-[^-]+$/'
    text = (
        f'SELECT "leaf", "reason" FROM "{m.REFUSED}" WHERE {edge} GROUP BY "edge", "epoch" ORDER BY time DESC LIMIT 200'
    )
    return Query(INFLUXQL, text)


def tag_values(measured: Measured, tag: str, *where: str) -> str:
    """The values of a tag, for a variable: of all time, so that a plant that fell silent can still be chosen."""
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    return f'SHOW TAG VALUES FROM "{measured.name}" WITH KEY = "{measured[tag]}"{condition}'


# An edge that has logged no configuration yet has one row with "-" for meter and point.
KNOWN = "\"meter\" != '-'"
OF_SITE = '"site" =~ /^${site:regex}$/'
