"""The dashboard `hakari-plant`: what one plant's meters say, and what calc makes of its days."""

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
    bars,
    dashboard,
    interval_variable,
    lines,
    query_variable,
    row,
    rows,
    stat,
    timeline,
)  # fmt: skip
from grafana.parts import SLOTS, completeness_steps, links, meter_variables, quality_map, state_map, state_words, text

NAME = "plant"
DAYS_SHOWN = "31d"
POINT = "${__field.labels.point}"


def build(place: Place) -> Json:
    """The dashboard in the place's language."""
    say = place.say
    panels = [
        row(say("Now")),
        *_numbers(place),
        row(say("Measured")),
        *_measured(place),
        row(say("States")),
        *_states(place),
    ]
    panels += [row(say("Days by calc (draft until locked)")), *_days(place)]
    counters, gauges = (
        q.tag_values(q.HEALTH, "point", q.OF_SITE, f"\"kind\" = '{kind}'") for kind in ("counter", "gauge")
    )
    variables = [
        *meter_variables(say, many_plants=False),
        query_variable("register", say("Register"), q.INFLUXQL, counters, multi=True, listed=True, part=q.ENDS),
        query_variable("gauge", say("Quantity"), q.INFLUXQL, gauges, multi=False, part=q.ENDS),
        interval_variable("slot", say("Interval at least"), SLOTS, "15m"),
    ]
    about = "One plant: power, registers, states of its meters and calc's days."
    return dashboard(place, (say("hakari plant"), say(about)), panels, variables, links(place, NAME))


def _numbers(place: Place) -> list[Json]:
    say = place.say
    return [
        stat(
            text(say, "State"), Size(6, 5), [Target(flux.edges("state", "max"))], Look("none", mappings=state_map(say))
        ),
        stat(
            text(say, "Silent meters"),
            Size(6, 5),
            [Target(flux.silent_meters())],
            Look("none", ((None, GREEN), (1, RED))),
        ),
        stat(
            text(say, "Oldest reading"),
            Size(6, 5),
            [Target(flux.meters("age", "max"))],
            Look("dtdurations", ((None, GREEN), (3600, ORANGE), (86400, RED)), decimals=1),
        ),
        stat(
            text(say, "Reductions in the range (draft)"),
            Size(6, 5),
            [Target(flux.draft("reductions_tco2"))],
            Look("suffix:tCO2", decimals=3),
        ),
    ]


def _measured(place: Place) -> list[Json]:
    say = place.say
    fall = {
        "matcher": {"id": "byFrameRefID", "options": "B"},
        "properties": [
            {"id": "custom.drawStyle", "value": "points"},
            {"id": "custom.pointSize", "value": 12},
            {"id": "custom.axisPlacement", "value": "right"},
            {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
            {"id": "displayName", "value": f"{POINT} {say('fall')}"},
        ],
    }
    look = Look("short", name=POINT)
    gaps, hourly = {"interval": "$slot"}, {"interval": "1h"}
    return [
        lines(text(say, "Power"), Size(24, 9), [Target(flux.good(flux.POWERS, "mean"))], look, **gaps),
        lines(
            text(say, "Registers"),
            Size(12, 9),
            [Target(flux.good(flux.REGISTERS, "last")), Target(flux.falls())],
            look,
            overrides=[fall],
            **gaps,
        ),
        bars(text(say, "Rise of the registers"), Size(12, 9), [Target(flux.energy())], look, **hourly),
        lines(
            text(say, "Any quantity"),
            Size(24, 8),
            [Target(flux.good(flux.GAUGES, "mean"))],
            look,
            **gaps,
        ),
    ]


def _states(place: Place) -> list[Json]:
    say = place.say
    fields = ("state", "age_s", "limit_s", "quality", "completeness_24h", "value")
    columns = [
        Column("edge", say("edge")),
        Column("meter", say("meter")),
        Column("point", say("point")),
        Column("state", say("state"), mappings=state_words(say)),
        Column("age_s", say("age"), "dtdurations"),
        Column("limit_s", say("limit"), "dtdurations"),
        Column("quality", say("quality"), "none", quality_map(say)),
        Column("completeness_24h", say("last 24 h"), "percentunit", thresholds=completeness_steps()),
        Column("value", say("last value"), "short"),
    ]
    return [
        timeline(
            text(say, "State of each meter"),
            Size(24, 8),
            Target(flux.states(q.HEALTH, "edge", "meter")),
            state_map(say),
            "${__field.labels.edge} ${__field.labels.meter}",
        ),
        rows(text(say, "Points now"), Size(24, 10), Target(flux.point_lines(*fields)), columns),
    ]


def _days(place: Place) -> list[Json]:
    say = place.say
    point = ("project", "edge", "meter", "point", "quantity", "unit")
    drafts = [
        Target(q.days(q.EMISSIONS, field, "project", "standing"), f"$tag_project {say(name)} ($tag_standing)")
        for field, name in (
            ("reference_tco2", "reference tCO2"),
            ("project_tco2", "project tCO2"),
            ("reductions_tco2", "reductions tCO2"),
        )
    ]
    legend = "$tag_project $tag_quantity $tag_point"
    whole = Look("percentunit", completeness_steps(), low=0, high=1)
    month = {"timeFrom": DAYS_SHOWN}
    return [
        bars(
            text(say, "Quantity of each day"),
            Size(12, 9),
            [Target(q.days(q.DAY, "amount", *point), f"{legend} ($tag_unit)")],
            Look("short"),
            **month,
        ),
        bars(
            text(say, "Completeness of each day"),
            Size(12, 9),
            [Target(q.days(q.DAY, "completeness", *point), legend)],
            whole,
            **month,
        ),
        bars(text(say, "Emissions of each day (draft)"), Size(24, 9), drafts, Look("suffix:tCO2"), **month),
    ]
