"""Makes a profile of a device's chain: absolute addresses, every value with its scale factor in one answer. Pure.

What is not in the profile is said in its notes, with the reason. Identity points hold the mark and every model's
ID and length to where the walk found them: when the layout changes, every value is BAD instead of another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from edge.sunspec.chain import MARK_WORDS, Chain, Found
from edge.sunspec.definitions import COMMON_MODEL, HEADER_WORDS, SUNSPEC_MARK, Definition, Item
from hakari.errors import DataProblem
from hakari.registers.check import check_profile
from hakari.registers.groups import Group, groups_of
from hakari.registers.profile import MAX_BLOCK_WORDS, MEASURED, Point, Profile, Span, Type

SOURCE = "sunspec/models at 7abdf89, "
IDENTITY_EVERY = 60  # a device's names take more registers than its values, and are compared once a day anyway
MAX_ID_CHARS = 60
MAX_TEXT_CHARS = 60

# Models that tell the same quantities stand in one line, the one that is preferred first: integers before floats.
# Where two lines have a point of the same name, that of the later line gets the line's name before its own; all
# points of a meter do that stands beside an inverter, because it measures another place.
FAMILIES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("inverter", (103, 102, 101, 701, 122, 113, 112, 111)),
    ("meter", (203, 204, 202, 201, 220, 213, 214, 212, 211)),
    ("panels", (160, 714, 404, 403, 402, 401, 502, 501)),
    ("battery", (802, 713, 124, 803, 804)),
    ("weather", (307, 308, 302, 303)),
)
TYPES: dict[str, tuple[Type, int | None]] = {
    "int16": ("i16", 0x8000),
    "int32": ("i32", 0x80000000),
    "int64": ("i64", 0x8000000000000000),
    "uint16": ("u16", 0xFFFF),
    "uint32": ("u32", 0xFFFFFFFF),
    "uint64": ("u64", 0xFFFFFFFFFFFFFFFF),
    "enum16": ("u16", 0xFFFF),
    "enum32": ("u32", 0xFFFFFFFF),
    "bitfield16": ("u16", 0xFFFF),
    "bitfield32": ("u32", 0xFFFFFFFF),
    "count": ("u16", 0xFFFF),
    "float32": ("f32", 0x7FC00000),
    "float64": ("f64", 0x7FF8000000000000),
    "acc32": ("acc32", None),  # 0 is its pattern; the type itself means it, as sunssf means its limits
    "acc64": ("acc64", None),
    "sunssf": ("sunssf", None),
    "string": ("string", None),
}
AS_FLOAT = "of model {}: it says in float32 what another model says in integers, which do not lose resolution"
TOO_FAR = "they and their scale factors do not fit into one request of {} registers"
NOT_NOW = "the device had no value for them when it was walked"


class NothingToRead(DataProblem):
    """A device's chain has no model from which anything can be read."""


class _Placed(NamedTuple):
    """A point of a model at its address, with the name of its family before names are settled."""

    family: str
    model: Definition
    point: Point


def profile_of(
    chain: Chain,
    known: Mapping[int, Definition],
    *,
    max_words: int = MAX_BLOCK_WORDS,
    without: frozenset[str] = frozenset(),
) -> Profile:
    """The checked profile of a device with this chain, requests of at most `max_words` registers, `without` points.

    Errors: NothingToRead; hakari.registers.check.ProfileInvalid would be a fault of ours.
    """
    read = [found for found in chain.models if not found.skipped]
    left: dict[str, list[str]] = {}
    points = _named(_placed(read, known), left)
    points = _fitting(points, max_words, left)
    left |= {NOT_NOW: [point.name for point in points if point.name in without]} if without else {}
    points = _with_used_scales([point for point in points if point.name not in without])
    if not any(point.kind in MEASURED for point in points):
        raise NothingToRead(
            f"the chain at {chain.base} has no model that hakari reads; it has {_listed(chain.models) or 'none at all'}"
        )
    maker, model = (chain.common.get(name, "")[:MAX_TEXT_CHARS] for name in ("maker_name", "model_name"))
    read = [found for found in read if found.id == COMMON_MODEL or any(_inside(point, found) for point in points)]
    ids = ", ".join(str(found.id) for found in read)
    profile = Profile(
        id=_slug(f"sunspec-{maker}-{model}"),
        maker=maker or "not told",
        model=f"{model or 'not told'}, models {ids} at base {chain.base}",
        source=SOURCE + ", ".join(f"json/model_{found.id}.json" for found in read),
        standing="two-sources",
        proof="constructed",
        notes=" ".join(_notes(chain, points, left)),
        max_words=max_words,
        spans=_spans(chain.base, read),
        points=sorted((*_guards(chain.base, read, known), *points), key=lambda point: point.address),
    )
    check_profile(profile)
    return profile


def _placed(read: Sequence[Found], known: Mapping[int, Definition]) -> Iterator[_Placed]:
    """The points of every model, those of the preferred models first."""
    by_id = {found.id: found for found in read}
    beside = False
    for family, ids in FAMILIES:
        there = [by_id[id_] for id_ in ids if id_ in by_id]
        prefix = "meter_" if family == "meter" and beside else ""
        beside = beside or bool(there)
        for found in there:
            for point in _points(found, known[found.id]):
                scale = point.scale_point and prefix + point.scale_point
                yield _Placed(family, known[found.id], replace(point, name=prefix + point.name, scale_point=scale))


def _points(found: Found, model: Definition) -> Iterator[Point]:
    """The points of one model, those of its repeating part with _1 and on after their names."""
    for item in model.points:
        yield _point(item, found, found.address)
    if model.repeat is None:
        return
    for number in range(1, found.repeats + 1):
        first = found.address + model.repeat.at + (number - 1) * model.repeat.words
        for item in model.repeat.points:
            point = _point(item, found, first)
            yield replace(point, name=f"{item.name}_{number}", manual=f"{point.manual} of {number}")


def _point(item: Item, found: Found, first: int) -> Point:
    type_, sentinel = TYPES[item.type]
    return Point(
        name=item.name,
        address=first + item.at,
        type=type_,
        kind="scale" if type_ == "sunssf" else "counter" if item.counter else "gauge",
        unit=item.unit,
        exponent=item.exponent,
        scale_point=item.scale,
        sentinels=[] if sentinel is None else [sentinel],
        manual=f"model {found.id}, {item.manual}",
    )


def _named(placed: Iterable[_Placed], left: dict[str, list[str]]) -> list[Point]:
    """Points of one name each; what a float model only says again goes to `left`."""
    holders: dict[str, _Placed] = {}
    final: dict[tuple[int, str], str] = {}
    kept: list[tuple[int, Point]] = []
    for one in placed:
        name, holder = one.point.name, holders.get(one.point.name)
        if holder is not None and holder.family == one.family and one.model.floats and not holder.model.floats:
            left.setdefault(AS_FLOAT.format(one.model.id), []).append(one.point.manual.partition(", ")[2])
            continue
        if holder is not None and holder.family != one.family:
            name = f"{one.family}_{name}"
        if name in holders:
            name = f"{name}_m{one.model.id}"
        holders[name] = one
        final[one.model.id, one.point.name] = name
        kept.append((one.model.id, replace(one.point, name=name)))
    return [
        point if point.scale_point is None else replace(point, scale_point=final[id_, point.scale_point])
        for id_, point in kept
    ]


def _fitting(points: list[Point], max_words: int, left: dict[str, list[str]]) -> list[Point]:
    """The points whose requests are short enough, giving up those furthest from their scale points."""
    while True:
        by_name = {point.name: point for point in points}
        long = [group for group in _groups(points) if group.end - group.start > max_words]
        if not long:
            return points
        furthest = max(
            (point for point in long[0].points if point.scale_point is not None),
            key=lambda point: abs(point.address - by_name[point.scale_point or ""].address),
        )
        left.setdefault(TOO_FAR.format(max_words), []).append(furthest.name)
        points = _with_used_scales([point for point in points if point is not furthest])


def _groups(points: list[Point]) -> list[Group]:
    return groups_of(Profile(id="x", maker="", model="", source="", standing="excerpt", points=points))


def _with_used_scales(points: list[Point]) -> list[Point]:
    used = {point.scale_point for point in points}
    return [point for point in points if point.kind != "scale" or point.name in used]


def _guards(base: int, read: Sequence[Found], known: Mapping[int, Definition]) -> Iterator[Point]:
    """The identity points: mark, ID and length of every model that is read, and what names this very device."""
    yield Point("sunspec_mark", base, "u32", "identity", expect=f"{SUNSPEC_MARK:#010x}", manual="SunS")
    for found in read:
        name, manual = f"model_{found.id}", f"model {found.id}"
        yield Point(name, found.address, "u16", "identity", expect=str(found.id), manual=f"{manual}, ID")
        length = str(found.length)
        yield Point(f"{name}_length", found.address + 1, "u16", "identity", expect=length, manual=f"{manual}, L")
        if found.id == COMMON_MODEL:
            for item in known[COMMON_MODEL].points:
                yield Point(
                    item.name, found.address + item.at, "string", "identity", words=item.words, every=IDENTITY_EVERY,
                    manual=f"{manual}, {item.manual}",
                )  # fmt: skip


def _inside(point: Point, found: Found) -> bool:
    return found.address <= point.address < found.end


def _spans(base: int, read: Sequence[Found]) -> list[Span]:
    """Every model that is read, from its ID to its end: SunSpec leaves no hole in one. The mark goes with the first."""
    first = base + MARK_WORDS
    return [
        Span("holding", base, MARK_WORDS + HEADER_WORDS + found.length)
        if found.address == first
        else Span("holding", found.address, HEADER_WORDS + found.length)
        for found in read
    ]


def _notes(chain: Chain, points: Sequence[Point], left: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if chain.broken:
        yield f"The chain has no end model: {chain.broken}. What stands after that is not known."
    for found in chain.models:
        if found.skipped:
            yield f"Model {found.id} at {found.address} is not read: it {_predicate(found.skipped)}."
    for reason, names in left.items():
        if names:
            yield f"Left out ({reason}): {', '.join(names)}."
    if any(point.type == "f32" and point.kind == "counter" for point in points):
        yield "Counters in float32 step by 2 Wh at 16.8 MWh and by 64 Wh at 1 GWh."
    if any(point.type == "acc32" for point in points):
        yield "A counter of type acc32 starts again from 0 at 4294967296 times its scale."


def _predicate(skipped: str) -> str:
    return f"is {skipped}" if skipped.startswith("not ") else skipped


def _listed(models: Sequence[Found]) -> str:
    told = (f"{one.id} at {one.address}" + (f" ({one.skipped})" if one.skipped else "") for one in models)
    return ", ".join(told)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_ID_CHARS].rstrip("-")
