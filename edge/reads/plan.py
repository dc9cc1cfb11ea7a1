"""Which requests a sample of a meter takes: pure, the same for the same profile and what was learnt of the meter.

Guaranteed: requests read only registers that the profile backs; none splits a value, or a value from its
scale point; every point is read by one request, each by a request of its own where the profile says
`separate`; the requests with counters come first. Points of different rates never share a request, so that every
slot asks in the same words and a meter that stands still is seen to (`hakari.wire.frozen`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from edge.reads.learned import NOTHING, Learned
from hakari.registers.groups import Group, groups_of, in_one_span
from hakari.registers.profile import MEASURED, Point, Profile
from hakari.registers.requests import FUNCTION_OF, ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration


class MeterPlan(NamedTuple):
    """One meter and what is asked of it in the fullest slot, in order."""

    meter: Meter
    requests: tuple[ReadRequest, ...]


class Planned(NamedTuple):
    """One request: `text` as blocks keep it, `rates` of which one has to be due, `refusal` where it is not answered.

    `groups` may be read apart from each other; `counter` is whether one of them has a counter.
    """

    request: ReadRequest
    text: str
    groups: tuple[Group, ...]
    rates: frozenset[int]
    counter: bool
    refusal: str = ""


Plan = tuple[MeterPlan, ...]


def plan_of(configuration: MeteringConfiguration) -> Plan:
    """The plan of every meter, in the configuration's order, before anything was learnt."""
    return tuple(MeterPlan(meter, requests_of(meter.profile, meter.unit)) for meter in configuration.meters)


def requests_of(profile: Profile, unit: int) -> tuple[ReadRequest, ...]:
    """The requests that read every point of a checked profile from the meter at `unit`."""
    return tuple(planned.request for planned in planned_of(profile, unit))


def planned_of(profile: Profile, unit: int, learned: Learned = NOTHING) -> tuple[Planned, ...]:
    """The requests that read every point of a checked profile, counters first, then by rate, table and address.

    A group that the meter refuses is a request of its own, which tells why; none is read across it.
    """
    found = [_planned(unit, groups, rates, why) for groups, rates, why in _requests(profile, learned)]
    return tuple(sorted(found, key=lambda one: not one.counter))


def is_due(rates: Iterable[int], slot: int) -> bool:
    """Whether slot number `slot` (since 1970) is one of those of a rate."""
    return any(slot % rate == 0 for rate in rates)


def planned_for(unit: int, groups: tuple[Group, ...], rates: frozenset[int]) -> Planned:
    """One request for just these neighbouring groups."""
    return _planned(unit, groups, rates, "")


def _requests(profile: Profile, learned: Learned) -> Iterator[tuple[tuple[Group, ...], frozenset[int], str]]:
    rated: dict[tuple[int, ...], list[Group]] = {}
    measured = frozenset(point.every for point in profile.points if point.kind in MEASURED) or frozenset((1,))
    every = groups_of(profile)
    for group in every:
        rated.setdefault(tuple(sorted(_rates(group.points, measured))), []).append(group)
    for rates, groups in sorted(rated.items()):
        others = [] if len(rated) == 1 else [group for group in every if group not in groups]
        joined: list[Group] = []
        for group in groups:
            why = learned.refusal(group)
            if joined and (why or not _joins(profile, learned, joined, group) or _reaches(joined, group, others)):
                yield tuple(joined), frozenset(rates), ""
                joined = []
            if why:
                yield (group,), frozenset(rates), why
            else:
                joined.append(group)
        if joined:
            yield tuple(joined), frozenset(rates), ""


def _rates(points: tuple[Point, ...], measured: frozenset[int]) -> frozenset[int]:
    """The rates of a group; a point that proves whose registers these are is read with whatever else is."""
    own = {point.every for point in points if point.kind in MEASURED}
    if any(point.kind == "identity" and point.expect is not None for point in points):
        own |= measured
    rates = own or {point.every for point in points}
    return frozenset(rate for rate in rates if not any(rate % other == 0 for other in rates - {rate}))


def _joins(profile: Profile, learned: Learned, joined: list[Group], group: Group) -> bool:
    """Whether one request may read both: no register between them is unknown, and it is not too long."""
    start, end = joined[0].start, max(one.end for one in joined)
    if profile.separate or group.table != joined[0].table or learned.cuts_before(group):
        return False
    if max(end, group.end) - start > min(profile.max_words, learned.max_words or profile.max_words):
        return False
    return group.start <= end or in_one_span(profile, group.table, end, group.start)


def _reaches(joined: list[Group], group: Group, others: list[Group]) -> bool:
    """Whether a request of both would bring points of another rate, which nobody expects in that slot."""
    start, end = joined[0].start, max(group.end, *(one.end for one in joined))
    return any(one.table == group.table and one.start < end and start < one.end for one in others)


def _planned(unit: int, groups: tuple[Group, ...], rates: frozenset[int], refusal: str) -> Planned:
    start, end = groups[0].start, max(group.end for group in groups)
    request = ReadRequest(unit, FUNCTION_OF[groups[0].table], start, end - start)
    counter = any(point.kind == "counter" for group in groups for point in group.points)
    return Planned(request, request.encode().hex(), groups, rates, counter, refusal)
