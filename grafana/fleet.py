"""The dashboard `hakari-fleet`: all plants at a glance."""

from __future__ import annotations

from grafana import flux
from grafana import queries as q
from grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    Column,
    Json,
    Look,
    Place,
    Size,
    Target,
    alerts,
    dashboard,
    query_variable,
    row,
    rows,
    stat,
    timeline,
    uid_of,
)  # fmt: skip
from grafana.parts import CORRECT, completeness_steps, emission_columns, links, refused_column, state_map, text

NAME = "fleet"


def build(place: Place) -> Json:
    """The dashboard in the place's language."""
    say = place.say
    panels = [row(say("Now")), *_numbers(place), row(say("Plants")), *_plants(place)]
    panels += [
        row(say("Today (draft)")),
        *_today(place),
        row(say("Alerts")),
        alerts(text(say, "Open alerts"), Size(24, 8)),
        _alarms(place),
    ]
    site = query_variable("site", say("Plant"), q.INFLUXQL, q.tag_values(q.EDGE, "site"), multi=True)
    about = "All plants at a glance: who reports, who is silent, and the day's draft figures. Times are UTC."
    return dashboard(place, (say("hakari fleet (UTC)"), say(about)), panels, [site], links(place, NAME))


def _numbers(place: Place) -> list[Json]:
    say = place.say
    some_wrong = Look("none", ((None, GREEN), (1, RED)))
    return [
        stat(
            text(say, "Plants online"),
            Size(5, 5),
            [Target(flux.plants("sum")), Target(flux.plants("count"))],
            Look("none", CORRECT),
            overrides=[_named("A", say("online")), _named("B", say("plants"))],
        ),
        stat(
            text(say, "Meters reporting"),
            Size(5, 5),
            [Target(flux.meters("reporting", "sum")), Target(flux.meters("reporting", "count"))],
            Look("none", CORRECT),
            overrides=[_named("A", say("reporting")), _named("B", say("on the roster"))],
        ),
        stat(
            text(say, "Oldest reading"),
            Size(5, 5),
            [Target(flux.meters("age", "max"))],
            Look("dtdurations", ((None, GREEN), (3600, ORANGE), (86400, RED)), decimals=1),
        ),
        stat(text(say, "Silent meters"), Size(5, 5), [Target(flux.silent_meters())], some_wrong),
        stat(
            text(say, "View lag"),
            Size(4, 5),
            [Target(flux.edges("behind", "sum"))],
            Look("none", ((None, GREEN), (10, ORANGE))),
        ),
    ]


def _alarms(place: Place) -> Json:
    """What ingest alarms with: the same list as `hakari ingest alarms`."""
    say = place.say
    columns = [
        Column("raised_ms", say("since"), "time:YYYY-MM-DD HH:mm"),
        Column("severity", say("severity")),
        Column("kind", say("kind")),
        Column("english", say("what (en)")),
        Column("japanese", say("what (ja)")),
        Column("number", say("number"), "none"),
    ]
    return rows(text(say, "Standing alarms"), Size(24, 8), Target(flux.alarm_lines()), columns)


def _named(ref: str, name: str) -> Json:
    return {
        "matcher": {"id": "byFrameRefID", "options": ref},
        "properties": [{"id": "displayName", "value": name}],
    }


def _plants(place: Place) -> list[Json]:
    say = place.say
    opened = f"/d/{uid_of('plant', place.language)}?var-site=${{__value.raw}}&${{__url_time_range}}"
    columns = [
        Column("site", say("plant"), link=opened),
        Column("state", say("state"), "none", state_map(say)),
        Column("reporting", say("meters reporting"), "none"),
        Column("rostered", say("meters on the roster"), "none"),
        Column("oldest", say("oldest reading"), "dtdurations"),
        Column("behind", say("leaves behind"), "none"),
        Column("complete", say("completeness"), "percentunit", thresholds=completeness_steps()),
    ]
    return [
        rows(text(say, "Plants now"), Size(24, 9), Target(flux.plant_lines()), columns),
        timeline(
            text(say, "State of each plant"),
            Size(24, 8),
            Target(flux.states(q.EDGE, "site")),
            state_map(say),
            "${__field.labels.site}",
        ),
    ]


def _today(place: Place) -> list[Json]:
    say = place.say
    fields = ("reference_tco2", "project_tco2", "reductions_tco2", "completeness", "locked")
    columns = [
        Column("_time", say("day"), "time:YYYY-MM-DD HH:mm"),
        Column("site", say("plant")),
        Column("meter", say("meter")),
        Column("quantity", say("quantity")),
        Column("amount", say("amount"), "none"),
        Column("unit", say("unit")),
        Column("completeness", say("completeness"), "percentunit", thresholds=completeness_steps()),
        refused_column(say),
    ]
    return [
        rows(
            text(say, "Emissions of the newest day (draft)"),
            Size(12, 9),
            Target(flux.latest_days(q.EMISSIONS, *fields)),
            emission_columns(say),
        ),
        rows(
            text(say, "Quantities of the newest day"),
            Size(12, 9),
            Target(flux.latest_days(q.DAY, "amount", "completeness", "refused")),
            columns,
        ),
    ]
