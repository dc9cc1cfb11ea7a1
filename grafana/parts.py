"""What several dashboards share: their links, the texts of states, the steps of completeness."""

from __future__ import annotations

from collections.abc import Sequence

from grafana import flux
from grafana import queries as q
from grafana.panels import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    TONES,
    Column,
    Json,
    Place,
    link,
    query_variable,
    uid_of,
    value_map,
)  # fmt: skip
from grafana.texts import ENGLISH, JA, JAPANESE, Say, TextMissing

TITLES = {"fleet": "Fleet", "plant": "Plant", "quality": "Data quality"}
SLOTS = ("1m", "5m", "15m", "30m", "1h")
CORRECT: Sequence[tuple[float | None, str]] = ((None, GREY),)


class DescriptionMissing(TextMissing):
    """A panel's title has no description after it in grafana/texts.py."""


def text(say: Say, title: str) -> tuple[str, str]:
    """A panel's title and description: the description is the text that follows the title in grafana/texts.py."""
    texts = list(JA)
    place = texts.index(title) + 1 if title in JA else len(texts)
    if place >= len(texts) or not texts[place].endswith("."):
        raise DescriptionMissing(f"{title!r} is not followed by its description in grafana/texts.py; add it")
    return say(title), say(texts[place])


def links(place: Place, name: str) -> list[Json]:
    """To the other dashboards in the same language, and to the same one in the other language."""
    others = [link(place.say(TITLES[other]), uid_of(other, place.language)) for other in TITLES if other != name]
    other, label = (ENGLISH, "English") if place.language == JAPANESE else (JAPANESE, "日本語")
    return [*others, link(label, uid_of(name, other))]


def state_map(say: Say) -> list[Json]:
    """The numbers of `queries.RANKS` as text and colour."""
    return value_map({rank: (say(state), TONES[state]) for rank, state in flux.RANKS.items()})


def state_words(say: Say) -> list[Json]:
    """The states that ingest writes as text and colour."""
    shown = {state: (say(state), TONES[state]) for state in flux.RANKS.values()}
    doubted = {state: (say(state), TONES["stale"]) for state in ("unproven", "suspended")}
    return value_map(shown | {"edge silent": shown["silent"]} | doubted)


def quality_map(say: Say) -> list[Json]:
    """The numbers of a reading's quality as text and colour."""
    return value_map({
        0: (say("good"), GREEN), 1: (say("uncertain"), ORANGE), 2: (say("bad"), RED), 3: (say("never"), GREY),
    })  # fmt: skip


def completeness_steps() -> list[tuple[float | None, str]]:
    """From which share of good slots a completeness is red, orange or green."""
    return [(None, RED), (0.8, ORANGE), (0.95, GREEN)]


def emission_columns(say: Say) -> list[Column]:
    """The columns of a table of `emissions_day`."""
    locked = value_map({0: (say("draft"), ORANGE), 1: (say("locked"), GREEN)})
    return [
        Column("_time", say("day"), "time:YYYY-MM-DD HH:mm"),
        Column("site", say("plant")),
        Column("project", say("project")),
        Column("methodology", say("methodology")),
        Column("standing", say("standing")),
        Column("reference_tco2", say("reference tCO2"), "suffix:tCO2"),
        Column("project_tco2", say("project tCO2"), "suffix:tCO2"),
        Column("reductions_tco2", say("reductions tCO2"), "suffix:tCO2"),
        Column("completeness", say("completeness"), "percentunit", thresholds=completeness_steps()),
        refused_column(say),
        Column("locked", say("state"), "none", locked),
    ]


def refused_column(say: Say) -> Column:
    """Whether a day has no figure because it was refused."""
    return Column("refused", say("refused"), "none", value_map({0: (say("no"), GREEN), 1: (say("yes"), RED)}))


def meter_variables(say: Say, *, many_plants: bool) -> list[Json]:
    """`site` and, of the chosen ones, `meter`."""
    return [
        query_variable("site", say("Plant"), q.INFLUXQL, q.tag_values(q.HEALTH, "site"), multi=many_plants),
        query_variable(
            "meter", say("Meter"), q.INFLUXQL, q.tag_values(q.HEALTH, "meter", q.OF_SITE, q.KNOWN), multi=True
        ),
    ]
