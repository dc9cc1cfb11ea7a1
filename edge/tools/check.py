"""What `hakari edge check` tells: the plan, its time, traffic and room, and what would be refused. No I/O but files."""

from __future__ import annotations

import contextlib
import hashlib
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from edge import settings
from edge.reads import cycle
from edge.reads.plan import Planned, planned_of
from edge.reload import configuration_in_force
from edge.settings import Settings
from edge.spool_peek import SpoolUnread, peek
from edge.trust import trusted
from hakari.cli.output import table
from hakari.errors import BadConfiguration, HakariError
from hakari.registers.groups import asked_points
from hakari.registers.profile import MEASURED
from hakari.settings import within
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.envelope import deflate
from hakari.wire.leaf import Block, Sample

DAY_S = 86_400
MB = 1_000_000
# As long as any protocol's name.
PROTOCOL = "modbus-rtu-tcp"
# Signed checkpoint, envelope and the fields of a leaf that every message carries once.
MESSAGE_OVERHEAD_BYTES = 700


class RequestReport(msgspec.Struct, frozen=True):
    """One read: table, first register, number of registers and the points inside; `every` n-th slots it is due."""

    table: str
    address: int
    words: int
    points: list[str]
    every: list[int]


class BusReport(msgspec.Struct, frozen=True):
    """The fullest slot of a bus: how many requests and how many seconds they take as a rule, and at most."""

    bus: str
    requests: int
    cycle_s: float
    slowest_s: float


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

    `words_a_sample` is of the fullest slot. `ring_bytes` is what [edge].ring_days of leaves take, `free_bytes` what the
    spool's disk has beyond its reserve, `spool_days` how long that lasts with nothing deleted. `warnings` are sentences
    on what would start and may lose readings, or make some that do not count.
    """

    edge: str
    refused: list[str]
    meters: list[MeterReport] = []
    samples_a_day: int = 0
    words_a_sample: int = 0
    bytes_a_day: int = 0
    buses: list[BusReport] = []
    interval_s: int = 0
    ring_bytes: int = 0
    free_bytes: int = 0
    spool_days: float = 0.0
    warnings: list[str] = []


def check(path: Path, environ: Mapping[str, str]) -> CheckReport:
    """The report on the settings in `path`; BadConfiguration when the file itself cannot be understood."""
    told = settings.read_settings(path, environ)
    edge_id = settings.edge_id_of(told)
    refused = list(_refusals(told, path.parent))
    if refused:
        return CheckReport(edge=edge_id, refused=refused)
    spool = within(path.parent, told.edge.spool)
    configuration = in_force(told, path.parent)
    meters = [_meter(meter) for meter in configuration.meters]
    a_day, free = bytes_a_day(configuration, told.edge.batch_samples), _free_bytes(spool, told.edge.min_free_mb)
    return CheckReport(
        edge=edge_id,
        refused=[],
        meters=meters,
        samples_a_day=DAY_S // told.edge.interval_s,
        words_a_sample=sum(request.words for meter in meters for request in meter.requests),
        bytes_a_day=a_day,
        buses=[
            BusReport(one.bus, one.requests, round(one.ms / 1000, 3), round(one.slowest_ms / 1000, 3))
            for one in cycle.cycles_of(told.buses, configuration)
        ],
        interval_s=told.edge.interval_s,
        ring_bytes=a_day * told.edge.ring_days,
        free_bytes=free,
        spool_days=round(free / a_day, 1),
        warnings=[
            *cycle.warnings(told, configuration),
            *_late(told),
            *_doubts(configuration),
            *_room(told, a_day, free),
        ],
    )


def in_force(told: Settings, folder: Path) -> MeteringConfiguration:
    """The settings' meters with what the spool, which may be in use, says of them."""
    base = settings.metering_configuration(told, folder)
    return configuration_in_force(base, _notes(within(folder, told.edge.spool))).configuration


def _refusals(told: Settings, folder: Path) -> Iterator[str]:
    yield from settings.problems(told)
    try:
        settings.check_files(told, folder)
    except BadConfiguration as error:
        yield str(error)
    else:
        yield from _distrust(told, folder)
    try:
        configuration = settings.metering_configuration(told, folder)
    except BadConfiguration as error:
        yield str(error)
    else:
        if configuration.interval_ms > 0:
            yield from cycle.problems(told, configuration)
        yield from _too_long(told, folder, configuration)


def _too_long(told: Settings, folder: Path, base: MeteringConfiguration) -> Iterator[str]:
    """Why what `edge run` would log at its start cannot be logged."""
    try:
        configuration_in_force(base, _notes(within(folder, told.edge.spool)))
    except HakariError as error:
        yield str(error)


def _distrust(told: Settings, folder: Path) -> Iterator[str]:
    """Why `edge run` would not start with this key and this roster."""
    try:
        trusted(told, folder)
    except HakariError as error:
        yield str(error)


def _late(told: Settings) -> Iterator[str]:
    """On which lines listening for late answers lets slots pass."""
    for bus in told.buses:
        if bus.kind != "tcp" and bus.late_s >= told.edge.interval_s:
            yield (
                f"bus {bus.id}: a serial line is listened to for late_s = {bus.late_s:g} before its first request, when"
                " the edge starts or its settings open the line anew, which costs slots of [edge].interval_s ="
                f" {told.edge.interval_s}; shorten late_s or lengthen interval_s"
            )


def _doubts(configuration: MeteringConfiguration) -> Iterator[str]:
    """Which readings would not count, and which meters could be exchanged unseen."""
    for meter in configuration.meters:
        measured = [point.name for point in meter.profile.points if point.kind in MEASURED]
        doubted = [name for name in measured if meter.doubt(name)]
        if meter.suspended:
            yield f"meter {meter.id} is {meter.doubt(measured[0])}; none of its readings counts until that is settled"
        elif doubted:
            few = "all points" if len(doubted) == len(measured) else f"the points {', '.join(doubted)}"
            yield (
                f"meter {meter.id}: readings of {few} count only after `hakari edge commission`, since profile"
                f" {meter.profile.id} was never proven on a meter"
            )
        if not meter.identity_proof and not any(point.kind == "identity" for point in meter.profile.points):
            yield (
                f"meter {meter.id}: profile {meter.profile.id} has no register that tells which meter it is;"
                " give identity_proof, such as the number of its seal"
            )


def _room(told: Settings, a_day: int, free: int) -> Iterator[str]:
    needed = a_day * told.edge.ring_days
    if not free and told.edge.min_free_mb:
        yield (
            f"[edge].min_free_mb = {told.edge.min_free_mb} leaves no room on the spool's disk: nothing would be"
            " sampled; free space, lower min_free_mb or take a larger disk"
        )
    if needed > free:
        yield (
            f"the ring of [edge].ring_days = {told.edge.ring_days} takes up to {needed / MB:.0f} MB, the spool's disk"
            f" has {free / MB:.0f} MB to give; shorten ring_days or take a larger disk"
        )


def _free_bytes(spool: Path, reserve_mb: int) -> int:
    folder = next(one for one in (spool.parent, *spool.parent.parents) if one.is_dir())
    return max(0, shutil.disk_usage(folder).free - reserve_mb * MB)


def _notes(spool: Path) -> Callable[[str], str]:
    """The notes of a spool that may be in use; "" for each where there is none yet, or one that is not whole."""
    with contextlib.suppress(SpoolUnread):
        return peek(spool).note
    return lambda _: ""


def _meter(meter: Meter) -> MeterReport:
    profile = meter.profile
    return MeterReport(
        meter=meter.id,
        bus=meter.bus,
        unit=meter.unit,
        profile=profile.id,
        standing=profile.standing,
        requests=[
            RequestReport(
                table=one.request.table,
                address=one.request.address,
                words=one.request.count,
                points=[
                    point.name
                    for point in asked_points(profile, one.request.table, one.request.address, one.request.count)
                ],
                every=sorted(one.rates),
            )
            for one in planned_of(profile, meter.unit)
        ],
    )


def bytes_a_day(configuration: MeteringConfiguration, batch_samples: int) -> int:
    """What a day's leaves take on the wire if no register ever repeats itself (the worst case for deflate)."""
    planned = [(m.id, one) for m in configuration.meters for one in planned_of(m.profile, m.unit)]
    blocks = [_block(meter, one) for meter, one in planned]
    sizes = [len(msgspec.json.encode(block)) for block in blocks]
    due = sum(size * _share(one.rates) for size, (_, one) in zip(sizes, planned, strict=True)) / sum(sizes)
    samples = [Sample(slot_ms=k * configuration.interval_ms, mono_ms=k, blocks=blocks) for k in range(2)]
    one, two = (due * len(deflate(msgspec.json.encode(samples[:count]))) for count in (1, 2))
    per_batch = one + (two - one) * (batch_samples - 1) + MESSAGE_OVERHEAD_BYTES
    samples_a_day = DAY_S * 1000 // configuration.interval_ms
    return math.ceil(samples_a_day * per_batch / batch_samples)


def _share(rates: Iterable[int]) -> float:
    """In which part of all slots one of these rates is due, at most."""
    return min(1.0, sum(1 / rate for rate in rates))


def _block(meter: str, planned: Planned) -> Block:
    request = planned.request
    noise = hashlib.shake_256(request.encode()).digest(2 * request.count)
    answer = (bytes((request.function, 2 * request.count)) + noise).hex()
    return Block(
        meter=meter, protocol=PROTOCOL, request=planned.text, wall_ms=10**12, round_trip_us=10**4, answer=answer
    )


def shown(report: CheckReport) -> str:
    """`report` for people."""
    if report.refused:
        return "\n".join(f"refused: {sentence}" for sentence in report.refused)
    rows = [
        (meter.meter, meter.bus, meter.unit, meter.profile, request.table, request.address, request.words,
         len(request.points), "/".join(map(str, request.every)))
        for meter in report.meters for request in meter.requests
    ]  # fmt: skip
    head = ("meter", "bus", "unit", "profile", "table", "address", "words", "points", "every")
    buses = [
        f"bus {one.bus}: the fullest slot takes about {one.cycle_s:.2f} s of {report.interval_s} s"
        f" ({one.requests} requests)"
        for one in report.buses
    ]
    traffic = (
        f"edge {report.edge}: {report.samples_a_day} samples a day, {report.words_a_sample} words each,"
        f" at most {report.bytes_a_day / MB:.2f} MB a day on the wire; nothing would be refused"
    )
    room = (
        f"spool: the ring takes at most {report.ring_bytes / MB:.0f} MB, the disk has {report.free_bytes / MB:.0f} MB"
        f" to give, enough for {report.spool_days:.0f} days"
    )
    warnings = [f"warning: {sentence}" for sentence in report.warnings]
    return "\n".join([table(head, rows, right=(2, 5, 6, 7, 8)), "", *buses, traffic, room, *warnings])
