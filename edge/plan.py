"""Which requests a sample of a meter takes: pure, the same for the same profile.

Guaranteed: requests read only registers that the profile backs; none splits a value, or a value from its
scale point; every point is read once a sample, each by a request of its own where the profile says
`separate`; the requests with counters come first.
"""

from __future__ import annotations

from typing import NamedTuple

from hakari.registers.groups import Group, groups_of, in_one_span
from hakari.registers.profile import Profile
from hakari.registers.requests import FUNCTION_OF, ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration


class MeterPlan(NamedTuple):
    """One meter and what is asked of it every sample, in order."""

    meter: Meter
    requests: tuple[ReadRequest, ...]


Plan = tuple[MeterPlan, ...]


def plan_of(configuration: MeteringConfiguration) -> Plan:
    """The plan of every meter, in the configuration's order."""
    return tuple(MeterPlan(meter, requests_of(meter.profile, meter.unit)) for meter in configuration.meters)


def requests_of(profile: Profile, unit: int) -> tuple[ReadRequest, ...]:
    """The requests that read every point of a checked profile from the meter at `unit`."""
    blocks: list[Group] = []
    for group in groups_of(profile):
        if blocks and _joins(profile, blocks[-1], group):
            last = blocks[-1]
            blocks[-1] = Group(group.table, last.start, max(last.end, group.end), (*last.points, *group.points))
        else:
            blocks.append(group)
    blocks.sort(key=lambda block: not any(point.kind == "counter" for point in block.points))
    return tuple(ReadRequest(unit, FUNCTION_OF[b.table], b.start, b.end - b.start) for b in blocks)


def _joins(profile: Profile, last: Group, group: Group) -> bool:
    """Whether one request may read both: no register between them is unknown, and it is not too long."""
    if profile.separate or group.table != last.table or group.end - last.start > profile.max_words:
        return False
    return group.start <= last.end or in_one_span(profile, group.table, last.end, group.start)
