"""The dashboard `hakari-quality`: how whole the data is, and what is wrong with it."""

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
    grid,
    lines,
    row,
    rows,
    value_map,
)  # fmt: skip
from grafana.parts import completeness_steps, links, meter_variables, quality_map, refused_column, state_words, text

NAME = "quality"
METER = "$tag_edge $tag_meter"


def build(place: Place) -> Json:
    """The dashboard in the place's language."""
    say = place.say
    panels = [row(say("Completeness")), *_completeness(place), row(say("Readings")), *_readings(place)]
    panels += [row(say("Transport")), *_transport(place)]
    about = "How whole the data is: completeness by day and meter, quality, ages, lateness and refusals."
    variables = meter_variables(say, many_plants=True)
    return dashboard(place, (say("hakari data quality"), say(about)), panels, variables, links(place, NAME))


def _completeness(place: Place) -> list[Json]:
    say = place.say
    cells = q.days(q.DAY, "completeness", "project", "edge", "meter", "point", "quantity")
    columns = [
        Column("_time", say("day"), "time:YYYY-MM-DD HH:mm"),
        Column("site", say("plant")),
        Column("meter", say("meter")),
        Column("point", say("point")),
        Column("quantity", say("quantity")),
        Column("amount_text", say("amount")),
        Column("unit", say("unit")),
        Column("completeness", say("completeness"), "percentunit", thresholds=completeness_steps()),
        Column("incidents", say("incidents"), "none"),
        refused_column(say),
    ]
    return [
        grid(
            text(say, "Completeness of each day"),
            Size(24, 10),
            Target(cells, "$tag_point $tag_quantity"),
            Look("percentunit", completeness_steps(), low=0, high=1, decimals=0),
        ),
        rows(text(say, "Days with incidents"), Size(24, 9), Target(q.flawed_days()), columns),
    ]


def _readings(place: Place) -> list[Json]:
    say = place.say
    ages = Target(q.oldest_age(), METER)
    counted = [Target(q.of_quality(k), say(name)) for k, name in enumerate(("good", "uncertain", "bad"))]
    stacked = Look("short", custom={"stacking": {"mode": "normal", "group": "A"}})
    columns = [
        Column("site", say("plant")),
        Column("edge", say("edge")),
        Column("meter", say("meter")),
        Column("point", say("point")),
        Column("frozen_s", say("unchanged for"), "dtdurations"),
        Column("age_s", say("age"), "dtdurations"),
        Column("state", say("state"), mappings=state_words(say)),
        Column("quality", say("quality"), "none", quality_map(say)),
        Column("value", say("last value"), "short"),
    ]
    fields = ("frozen_s", "age_s", "state", "quality", "value")
    still = flux.point_lines(*fields, kind="counter", only="exists r.frozen_s", order="frozen_s")
    return [
        bars(text(say, "Readings by quality"), Size(12, 9), counted, stacked, interval="1h"),
        lines(text(say, "Age of each meter"), Size(12, 9), [ages], Look("dtdurations"), interval="1m"),
        rows(text(say, "Counters that do not move"), Size(24, 9), Target(still), columns),
    ]


def _transport(place: Place) -> list[Json]:
    say = place.say
    conflict = value_map({0: (say("no"), GREEN), 1: (say("yes"), RED)})
    columns = [
        Column("site", say("plant")),
        Column("edge", say("edge")),
        Column("state", say("state"), mappings=state_words(say)),
        Column("age_s", say("age"), "dtdurations"),
        Column("late_s", say("late"), "dtdurations"),
        Column("leaves", say("leaves"), "none"),
        Column("view_behind", say("leaves behind"), "none", thresholds=[(None, GREEN), (10, ORANGE)]),
        Column("epochs_unapproved", say("epochs not approved"), "none", thresholds=[(None, GREEN), (1, ORANGE)]),
        Column("frozen", say("conflict"), "none", conflict),
    ]
    refused = [
        Column("edge", say("edge")),
        Column("epoch", say("epoch")),
        Column("leaf", say("leaf"), "none"),
        Column("reason", say("reason")),
    ]
    late = Target(q.series(q.EDGE, "max", "late_s", "edge"), "$tag_edge")
    behind = Target(q.series(q.EDGE, "max", "view_behind", "edge"), "$tag_edge")
    return [
        lines(text(say, "Lateness of each edge"), Size(12, 8), [late], Look("dtdurations"), interval="1m"),
        lines(text(say, "Leaves behind in the view"), Size(12, 8), [behind], Look("short"), interval="1m"),
        rows(text(say, "Edges now"), Size(24, 8), Target(flux.edge_lines()), columns),
        rows(text(say, "Refused leaves"), Size(24, 8), Target(q.refused_leaves()), refused),
    ]
