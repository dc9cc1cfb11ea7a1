"""What `hakari edge check` tells: the plan of reads, its traffic, and what would be refused. No I/O but files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from edge import settings
from edge.plan import plan_of
from edge.sampler import PROTOCOL
from edge.settings import Settings
from hakari.errors import BadConfiguration
from hakari.registers.groups import asked_points
from hakari.registers.requests import ReadRequest
from hakari.settings import load
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.envelope import deflate
from hakari.wire.leaf import Block, Sample

DAY_S = 86_400
# Signed checkpoint, envelope and the fields of a leaf that every message carries once.
MESSAGE_OVERHEAD_BYTES = 700


class RequestReport(msgspec.Struct, frozen=True):
    """One read: table, first register, number of registers and the points inside."""

    table: str
    address: int
    words: int
    points: list[str]


class MeterReport(msgspec.Struct, frozen=True):
    """The reads of one meter, in order."""

    meter: str
    bus: str
    unit: int
    profile: str
    standing: str
    requests: list[RequestReport]


class CheckReport(msgspec.Struct, frozen=True):
    """`refused` is empty when the edge would start; bytes a day are an upper estimate of what is published.

    `warnings` are sentences on what would start and may lose readings.
    """

    edge: str
    refused: list[str]
    meters: list[MeterReport] = []
    samples_a_day: int = 0
    words_a_sample: int = 0
    bytes_a_day: int = 0
    warnings: list[str] = []


def check(path: Path, environ: Mapping[str, str]) -> CheckReport:
    """The report on the settings in `path`; BadConfiguration when the file itself cannot be understood."""
    told = load(path, Settings, "edge", environ)
    edge_id = settings.edge_id_of(told)
    refused = list(_refusals(told, path.parent))
    if refused:
        return CheckReport(edge=edge_id, refused=refused)
    configuration = settings.metering_configuration(told, path.parent)
    meters = [_meter(configuration, index) for index in range(len(configuration.meters))]
    return CheckReport(
        edge=edge_id,
        refused=[],
        meters=meters,
        samples_a_day=DAY_S // told.edge.interval_s,
        words_a_sample=sum(request.words for meter in meters for request in meter.requests),
        bytes_a_day=bytes_a_day(configuration, told.edge.batch_samples),
        warnings=list(_slow_buses(told, meters)),
    )


def _refusals(told: Settings, folder: Path) -> Iterator[str]:
    yield from settings.problems(told)
    for check_one in (settings.check_files, settings.metering_configuration):
        try:
            check_one(told, folder)
        except BadConfiguration as error:
            yield str(error)


def _slow_buses(told: Settings, meters: Iterable[MeterReport]) -> Iterator[str]:
    """Which buses, whose requests wait for each other, a slow answer to each would hold up beyond a limit."""
    requests = Counter(meter.bus for meter in meters for _ in meter.requests)
    limits = (
        ("interval_s", told.edge.interval_s, "slots would be skipped"),
        ("max_lag_s", told.edge.max_lag_s, "values would be too late for a boundary"),
    )
    for bus in told.buses:
        longest_s = requests[bus.id] * bus.timeout_s
        beyond = [f"[edge].{key} = {limit_s} ({what})" for key, limit_s, what in limits if longest_s > limit_s]
        if beyond:
            yield (
                f"bus {bus.id}: its reads, one after the other, may take {longest_s:g} s"
                f" ({requests[bus.id]} × timeout_s = {bus.timeout_s:g}), more than {' and '.join(beyond)};"
                " shorten timeout_s, divide the meters among buses or raise the limit"
            )


def _meter(configuration: MeteringConfiguration, index: int) -> MeterReport:
    meter, requests = plan_of(configuration)[index]
    return MeterReport(
        meter=meter.id,
        bus=meter.bus,
        unit=meter.unit,
        profile=meter.profile.id,
        standing=meter.profile.standing,
        requests=[
            RequestReport(
                table=request.table,
                address=request.address,
                words=request.count,
                points=[
                    point.name for point in asked_points(meter.profile, request.table, request.address, request.count)
                ],
            )
            for request in requests
        ],
    )


def bytes_a_day(configuration: MeteringConfiguration, batch_samples: int) -> int:
    """What a day's leaves take on the wire if no register ever repeats itself (the worst case for deflate)."""
    blocks = [_block(meter.id, request) for meter, requests in plan_of(configuration) for request in requests]
    samples = [Sample(slot_ms=k * configuration.interval_ms, mono_ms=k, blocks=blocks) for k in range(2)]
    one, two = (len(deflate(msgspec.json.encode(samples[:count]))) for count in (1, 2))
    per_batch = one + (two - one) * (batch_samples - 1) + MESSAGE_OVERHEAD_BYTES
    samples_a_day = DAY_S * 1000 // configuration.interval_ms
    return -(-samples_a_day * per_batch // batch_samples)


def _block(meter: str, request: ReadRequest) -> Block:
    asked = request.encode()
    noise = hashlib.shake_256(asked).digest(2 * request.count)
    answer = (bytes((request.function, 2 * request.count)) + noise).hex()
    return Block(
        meter=meter, protocol=PROTOCOL, request=asked.hex(), wall_ms=10**12, round_trip_us=10**4, answer=answer
    )
