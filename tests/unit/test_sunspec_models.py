"""What the edge knows of SunSpec's models agrees with tables written down by hand, and with itself."""

from __future__ import annotations

import re

import pytest

from edge.library import read
from edge.reads.plan import requests_of
from edge.sunspec.chain import MAX_REPEATS, Chain, Found
from edge.sunspec.definitions import Definition, Item, definitions
from edge.sunspec.profile import FAMILIES, TYPES, profile_of
from edge.sunspec.text import toml_of
from hakari.units import UNITS
from tests.unit.sunspec_device import COUNT_AT, LENGTHS, MODULE, MODULE_WORDS, MODULES_AT, TABLES, Row, rows

KNOWN = definitions()
MEASURED = sorted(KNOWN.keys() - {1})
UNUSED = {"Opt", "TmpRes"}


def of_manual(items: list[Item]) -> dict[str, Item]:
    return {item.manual: item for item in items}


def agree(row: Row, items: dict[str, Item]) -> None:
    item = items[row.name]
    assert (item.at, item.type) == (row.offset, row.type), row.name
    if row.scale:
        assert item.scale is not None
        assert items_scale(items, item.scale) == row.scale
    if row.unit:
        assert (item.unit, item.exponent) == (row.unit, 0), row.name


def items_scale(items: dict[str, Item], name: str) -> str:
    return next(item.manual for item in items.values() if item.name == name)


@pytest.mark.parametrize("id_", sorted(TABLES))
def test_offsets_types_units_and_scales_are_those_of_the_tables(id_: int) -> None:
    items = of_manual(KNOWN[id_].points)
    for row in rows(TABLES[id_]):
        if row.name not in UNUSED:
            agree(row, items)
    if id_ in LENGTHS:
        assert LENGTHS[id_] in KNOWN[id_].lengths


def test_the_modules_of_160_are_those_of_the_table() -> None:
    repeat = KNOWN[160].repeat
    assert repeat is not None
    assert (repeat.at, repeat.words, repeat.count_at) == (MODULES_AT, MODULE_WORDS, COUNT_AT)
    items = of_manual([*KNOWN[160].points, *repeat.points])
    for row in rows(MODULE):
        agree(row, items)


@pytest.mark.parametrize(("one", "other"), [(101, 103), (102, 103), (111, 113), (112, 113), (201, 203), (202, 203)])
def test_models_of_other_phases_have_the_same_offsets(one: int, other: int) -> None:
    assert [(item.at, item.name, item.type) for item in KNOWN[one].points] == [
        (item.at, item.name, item.type) for item in KNOWN[other].points
    ]


def test_the_common_model_may_leave_out_its_pad() -> None:
    assert KNOWN[1].lengths == [66, 65]


@pytest.mark.parametrize("id_", MEASURED)
def test_a_model_is_free_of_contradictions(id_: int) -> None:
    model = KNOWN[id_]
    repeated = model.repeat.points if model.repeat else []
    every = [*model.points, *repeated]
    scales = {item.name for item in model.points if item.type == "sunssf"}
    assert {item.scale for item in every if item.scale} == scales
    for item in every:
        assert re.fullmatch("[a-z][a-z0-9_]{1,33}", item.name)
        assert item.type in TYPES
        assert item.unit in UNITS or not item.unit
        assert item.counter == (item.unit in ("Wh", "varh") and item.name != "energy_available")
        assert not (item.scale and item.exponent)
    inside = model.repeat.at if model.repeat else model.lengths[0] + 2
    assert all(2 <= item.at < inside for item in model.points)
    assert all(model.repeat and item.at < model.repeat.words for item in repeated)


@pytest.mark.parametrize("id_", MEASURED)
def test_a_device_of_one_model_has_a_readable_profile(id_: int) -> None:
    profile = profile_of(chain_of(KNOWN[id_]), KNOWN)
    assert read(toml_of(profile), "made") == profile
    told = {point.manual for point in profile.points}
    assert {f"model {id_}, {item.manual}" for item in KNOWN[id_].points} <= told
    assert "Left out" not in profile.notes
    assert requests_of(profile, 1)


def test_every_measured_model_belongs_to_one_family() -> None:
    told = [id_ for _, ids in FAMILIES for id_ in ids]
    assert sorted(told) == MEASURED
    assert MAX_REPEATS >= 20


def chain_of(model: Definition) -> Chain:
    repeats = 2 if model.repeat else 0
    length = model.lengths[0] + (model.repeat.words * repeats if model.repeat else 0)
    return Chain(40000, (Found(1, 40002, 66), Found(model.id, 40070, length, repeats)), {"maker_name": "Maker"})
