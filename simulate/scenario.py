"""A scenario file: the plants of one lockstep run, its time and the edges that it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from hakari import names, settings
from hakari.errors import BadConfiguration
from simulate.faults import Fault
from simulate.plant import ROOM, Moment, Plant, Port, load_plant, ms_of, shown
from simulate.schedule import NO_FAULTS, Faults, load_schedule

MAX_TICKS = 1_000_000
MAX_PLANTS = 100


class ScenarioInvalid(BadConfiguration):
    """A scenario asks for a time that it cannot have."""


class LockstepSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The driver: where it listens, which edges every tick waits for, which watchers the first one waits for."""

    edges: Annotated[list[str], msgspec.Meta(min_length=1, max_length=200)]
    watchers: Annotated[list[str], msgspec.Meta(max_length=20)] = []
    host: str = "127.0.0.1"
    port: Port = 0
    wait_limit_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 120.0


class ScenarioSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario file. `plants` and the schedule `faults` are paths relative to it.

    Ticks run from `start` to `end`, both included.
    """

    plants: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_PLANTS)]
    start: Moment
    end: Moment
    lockstep: LockstepSettings
    step_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 900
    faults: str = ""


class Scenario(NamedTuple):
    """A scenario that was checked: `times_ms` are the ticks in UTC milliseconds."""

    plants: list[Plant]
    times_ms: list[int]
    lockstep: LockstepSettings
    faults: Faults = NO_FAULTS


def load_scenario(path: Path, environ: Mapping[str, str], more_faults: Sequence[Fault] = ()) -> Scenario:
    """The scenario that `path` describes, with `more_faults` after its own; BadConfiguration says what is wrong."""
    chosen = settings.load(path, ScenarioSettings, ROOM, environ)
    for edge in chosen.lockstep.edges:
        names.check_edge_id(edge)
    times_ms = _times_ms(chosen)
    plants = [load_plant(settings.beside(path, plant), {}) for plant in chosen.plants]
    for plant in plants:
        check_known(plant, times_ms[0], times_ms[-1])
    own = load_schedule(settings.beside(path, chosen.faults)) if chosen.faults else []
    faults = Faults([*own, *more_faults], plants)
    faults.check_within(times_ms[0], times_ms[-1])
    return Scenario(plants, times_ms, chosen.lockstep, faults)


def check_known(plant: Plant, start_ms: int, end_ms: int) -> None:
    """ScenarioInvalid unless the plant's source knows its quantities from `start_ms` to `end_ms`."""
    span = plant.source.span
    if start_ms < span.start_ms or end_ms > span.end_ms:
        raise ScenarioInvalid(
            f"plant {plant.name} knows {shown(span.start_ms)} to {shown(span.end_ms)},"
            f" asked is {shown(start_ms)} to {shown(end_ms)}; choose times within (`simulate plants` takes --at)"
            " or another `start` of its source"
        )


def _times_ms(chosen: ScenarioSettings) -> list[int]:
    start_ms, end_ms = ms_of(chosen.start), ms_of(chosen.end)
    if end_ms < start_ms:
        raise ScenarioInvalid(f"end {shown(end_ms)} is before start {shown(start_ms)}; exchange them")
    ticks = (end_ms - start_ms) // (chosen.step_s * 1000) + 1
    if ticks > MAX_TICKS:
        raise ScenarioInvalid(f"the run has {ticks} ticks, at most {MAX_TICKS}; take a longer step_s or less time")
    return [start_ms + index * chosen.step_s * 1000 for index in range(ticks)]
