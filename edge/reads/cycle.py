"""How long the fullest slot takes on each bus: pure, from the plan, the line's physics and stated assumptions.

On RTU request and answer take their characters on the line, with a silence before each: `edge.modbus.frame_rtu`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from edge.modbus.frame_rtu import REQUEST_BYTES, answer_bytes, char_s, gap_s
from edge.reads.plan import requests_of
from edge.settings import BusTable, Settings
from hakari.errors import BadConfiguration
from hakari.registers.profile import Profile
from hakari.wire.configuration import Meter, MeteringConfiguration

# What a meter takes as a rule, and a network that nobody measured. A profile's `answer_ms` is the longest.
TURNAROUND_MS = 30.0
ROUND_TRIP_MS = 10.0


class CycleTooLong(BadConfiguration):
    """A bus cannot be read within the interval."""


class Cycle(NamedTuple):
    """The fullest slot of one bus: its requests and the milliseconds that they take, one after the other.

    `ms` is as a rule, `slowest_ms` where every answer takes as long as its profile says that it may.
    """

    bus: str
    requests: int
    ms: float
    slowest_ms: float


def cycles_of(buses: Iterable[BusTable], configuration: MeteringConfiguration) -> list[Cycle]:
    """The cycle of every bus that has meters, in order."""
    found: list[Cycle] = []
    for bus in buses:
        meters = [meter for meter in configuration.meters if meter.bus == bus.id]
        if meters:
            found.append(_cycle(bus, meters))
    return found


def problems(told: Settings, configuration: MeteringConfiguration) -> Iterator[str]:
    """Which buses cannot be read within the interval, a sentence each."""
    for cycle in cycles_of(told.buses, configuration):
        if cycle.ms > configuration.interval_ms:
            yield (
                f"bus {cycle.bus}: its {cycle.requests} requests take about {cycle.ms / 1000:.1f} s, longer than"
                f" [edge].interval_s = {told.edge.interval_s}; lengthen interval_s, read points less often (every),"
                " raise the baud rate or divide the meters among buses"
            )


def check_cycles(told: Settings, configuration: MeteringConfiguration) -> None:
    """Returns when every bus can be read within the interval, else CycleTooLong names the first that cannot."""
    for problem in problems(told, configuration):
        raise CycleTooLong(problem)


def warnings(told: Settings, configuration: MeteringConfiguration) -> Iterator[str]:
    """What a silent or a slow meter would hold up beyond the slot, or beyond what a boundary allows."""
    yield from _impatient(told, configuration)
    limits = (
        ("interval_s", told.edge.interval_s, "slots may be skipped"),
        ("max_lag_s", told.edge.max_lag_s, "values may be too late for a boundary"),
    )
    timeouts = {bus.id: bus.timeout_s for bus in told.buses}
    for cycle in cycles_of(told.buses, configuration):
        longest_s = cycle.ms / 1000 + timeouts[cycle.bus]
        beyond = [f"[edge].{key} = {limit_s} ({what})" for key, limit_s, what in limits if longest_s > limit_s]
        if beyond and cycle.ms <= configuration.interval_ms:
            yield (
                f"bus {cycle.bus}: with one silent meter its reads take about {longest_s:.1f} s"
                f" ({cycle.ms / 1000:.1f} and timeout_s = {timeouts[cycle.bus]:g}), more than {' and '.join(beyond)};"
                " shorten timeout_s, divide the meters among buses or raise the limit"
            )
        if cycle.slowest_ms > configuration.interval_ms >= cycle.ms:
            yield (
                f"bus {cycle.bus}: its reads may take {cycle.slowest_ms / 1000:.1f} s where its meters answer as late"
                f" as their profiles say that they may, more than [edge].interval_s = {told.edge.interval_s};"
                " what does not fit into a slot is not read, counters are read first"
            )


def _impatient(told: Settings, configuration: MeteringConfiguration) -> Iterator[str]:
    buses = {bus.id: bus for bus in told.buses}
    for meter in configuration.meters:
        bus, answer_s = buses[meter.bus], meter.profile.answer_ms / 1000
        if answer_s > bus.timeout_s:
            yield (
                f"meter {meter.id}: by its profile {meter.profile.id} an answer may take {answer_s:g} s, bus {bus.id}"
                f" waits timeout_s = {bus.timeout_s:g}; lengthen timeout_s where it often does not answer"
            )


def request_ms(bus: BusTable, profile: Profile, words: int, *, slowest: bool = False) -> float:
    """Milliseconds from one request for `words` registers to the next one on the same bus."""
    usual_ms = ROUND_TRIP_MS if bus.kind == "tcp" else TURNAROUND_MS
    turnaround_ms = max(usual_ms, profile.answer_ms) if slowest else min(usual_ms, profile.answer_ms or usual_ms)
    if bus.kind == "tcp":
        return turnaround_ms + profile.request_gap_ms
    physics = bus.baud_rate, bus.parity, bus.stop_bits
    wire_ms = 1000 * ((REQUEST_BYTES + answer_bytes(words)) * char_s(*physics) + 2 * gap_s(*physics))
    network_ms = ROUND_TRIP_MS if bus.kind == "rtu-over-tcp" else 0.0
    return wire_ms + turnaround_ms + profile.request_gap_ms + network_ms


def _cycle(bus: BusTable, meters: list[Meter]) -> Cycle:
    asked = [(meter.profile, one.count) for meter in meters for one in requests_of(meter.profile, meter.unit)]
    usual, slowest = (
        sum(request_ms(bus, profile, words, slowest=most) for profile, words in asked) for most in (False, True)
    )
    return Cycle(bus.id, len(asked), usual, slowest)
