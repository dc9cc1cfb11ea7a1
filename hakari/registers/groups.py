"""Which points must travel in one answer: a value with its scale point, and whatever lies between them.

Of a profile whose points are `separate` none travels with another.
"""

from __future__ import annotations

from typing import NamedTuple

from hakari.registers.profile import Point, Profile, Table


class Group(NamedTuple):
    """Registers [start, end) of one table that are read in one request; `points` lie inside."""

    table: Table
    start: int
    end: int
    points: tuple[Point, ...]


def groups_of(profile: Profile) -> list[Group]:
    """The smallest groups that split neither a value nor a value from its scale point, by table and address."""
    if profile.separate:
        return sorted((_span(point.table, [point]) for point in profile.points), key=lambda group: group[:3])
    families: dict[tuple[Table, str], list[Point]] = {}
    for point in profile.points:
        families.setdefault((point.table, point.scale_point or point.name), []).append(point)
    groups = sorted((_span(table, points) for (table, _), points in families.items()), key=lambda group: group[:3])
    merged: list[Group] = []
    for group in groups:
        if merged and merged[-1].table == group.table and group.start < merged[-1].end:
            merged[-1] = _span(group.table, [*merged[-1].points, *group.points])
        else:
            merged.append(group)
    return merged


def _span(table: Table, points: list[Point]) -> Group:
    ordered = sorted(points, key=lambda point: (point.address, point.name))
    return Group(table, ordered[0].address, max(p.address + p.length for p in ordered), tuple(ordered))


def asked_points(profile: Profile, table: Table, address: int, count: int) -> list[Point]:
    """The points that a read of `count` registers from `address` tells, in the profile's order.

    All that lie inside it; of a profile whose points are separate only the one with these very registers.
    """
    return [
        point for point in profile.points
        if point.table == table and address <= point.address and point.address + point.length <= address + count
        and not (profile.separate and (point.address, point.length) != (address, count))
    ]  # fmt: skip


def backed(profile: Profile, table: Table, start: int, end: int) -> bool:
    """Whether every register of [start, end) is known to exist: it is part of a point or of a span."""
    known = sorted(
        [(p.address, p.address + p.length) for p in profile.points if p.table == table]
        + [(s.start, s.start + s.count) for s in profile.spans if s.table == table]
    )
    reached = start
    for first, after in known:
        if first <= reached < after:
            reached = after
    return reached >= end


def in_one_span(profile: Profile, table: Table, start: int, end: int) -> bool:
    """Whether one span of the profile holds all of [start, end)."""
    return any(s.table == table and s.start <= start and end <= s.start + s.count for s in profile.spans)
