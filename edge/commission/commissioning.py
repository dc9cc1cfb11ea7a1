"""What a command does at the meters of a stopped edge: reads them, and signs into the edge's own log what came of it.

Guaranteed: the edge is stopped meanwhile, since the spool is held; nothing is logged unless all of it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge.commission.commission import (
    EXPORT,
    IMPORT,
    POWER,
    MeterResult,
    PointResult,
    Record,
    Single,
    compared,
    direction_of,
    events_of,
    meter_result,
    note_of,
    still_commissioned,
)
from edge.commission.examination import UNHEARD_TIMES, Fingerprint, examine, no_longer_told, tells_itself
from edge.commission.identity import (
    Known,
    Raw,
    commissioned_key,
    commissioned_of,
    differing,
    holds,
    identity_key,
    is_spoilt,
    judged,
    known_of,
    text_of_note,
)
from edge.log import EdgeLog
from edge.modbus.bus import Bus, Exchange, is_refusal, is_silent
from edge.modbus.buses import open_bus
from edge.reads.learned import Learned, parse, text_of
from edge.reads.once import waits_for
from edge.reads.plan import requests_of
from edge.reads.sampling import note_key
from edge.reload import configuration_in_force, keep_spoilt
from edge.settings import (
    Settings,
    SettingsInvalid,
    edge_id_of,
    load_settings,
    metering_configuration,
    place_of,
)
from edge.spool import Spool
from edge.timing import Timing
from edge.trust import trusted
from hakari import __version__
from hakari.clock import LOCKSTEP, PlantClock, SystemClock
from hakari.errors import DataProblem, NotReachable, Refused
from hakari.lockstep import Answer, Hello, LockstepClient, LockstepClock, Tick, host_and_port
from hakari.registers.decode import decode_sample
from hakari.registers.groups import groups_of
from hakari.registers.profile import MEASURED, Point
from hakari.registers.profile_hash import SERIAL
from hakari.registers.reading import Reading
from hakari.registers.requests import FUNCTION_OF, ReadRequest
from hakari.settings import within
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Event

DRIVER_WAIT_S = 60.0
LOOK_EVERY_S = 1.0
MAX_CLIENT_CHARS = 52

Ask = Callable[[Meter, Sequence[Point]], Mapping[str, str]]


class MeterSilent(NotReachable):
    """A meter does not answer what a command has to know of it."""


class DriverSilent(NotReachable):
    """The lockstep driver tells no time."""


class AnotherMeter(DataProblem):
    """The meter that answers is not the one that the settings expect."""


class NotAllowed(Refused):
    """A meter cannot be commissioned as it is."""


class Stopped(NamedTuple):
    """A stopped edge: its settings, the configuration in force, its spool and log, and plant time."""

    told: Settings
    folder: Path
    configuration: MeteringConfiguration
    spool: Spool
    log: EdgeLog
    clock: PlantClock

    def meters(self, wanted: Sequence[str]) -> list[Meter]:
        """The meters of these ids, or all; SettingsInvalid for one that is not there."""
        known = {meter.id: meter for meter in self.configuration.meters}
        if list(wanted) == ["all"]:
            return list(known.values())
        for meter_id in wanted:
            if meter_id not in known:
                raise SettingsInvalid(f"--meter {meter_id} is no [[meter]]; known are {', '.join(known)}")
        return [known[meter_id] for meter_id in wanted]

    def bus_of(self, meter: Meter) -> Bus:
        """A bus to read the meter on, of our own."""
        place = next(bus for bus in self.told.buses if bus.id == meter.bus)
        return open_bus(place, waits_for(meter.profile, meter.unit))

    def record(self, notes: Mapping[str, str], events: Sequence[Event]) -> None:
        """Keeps the notes and logs the events with the configuration that follows from them, all or nothing."""
        now = self.clock.now()
        with self.spool.transaction():
            for key, text in notes.items():
                self.spool.put_note(key, text)
            in_force = configuration_in_force(metering_configuration(self.told, self.folder), self.spool.note)
            self.log.record(in_force.text, now, events)


@asynccontextmanager
async def stopped_edge(config: Path, environ: Mapping[str, str]) -> AsyncIterator[Stopped]:
    """The edge of the settings file `config`, held for a command; SpoolTaken while it runs."""
    told, folder = load_settings(config, environ), config.parent
    key, roster = trusted(told, folder)
    spool = Spool(str(within(folder, told.edge.spool)))
    try:
        async with _plant_clock(told) as machine:
            timing = Timing(machine, spool, roster, edge_id_of(told))
            timing.settle()
            software = f"hakari {__version__}"
            log = EdgeLog(spool, key, told.edge.namespace, edge_id_of(told), timing.boot, software, timing.first_epoch)
            base = metering_configuration(told, folder)
            keep_spoilt(spool, [meter.id for meter in base.meters])
            yield Stopped(
                told, folder, configuration_in_force(base, spool.note).configuration, spool, log, timing.clock
            )
    finally:
        spool.close()


@asynccontextmanager
async def _plant_clock(told: Settings) -> AsyncIterator[PlantClock]:
    """The system's clock, or the present tick of the driver, which is not held up by it."""
    if told.clock.source != "lockstep":
        yield SystemClock()
        return
    clock = LockstepClock()
    host, port = host_and_port(told.clock.address)

    def follow(tick: Tick) -> None:
        clock.set(tick)
        client.answer(Answer(tick.tick))

    client = LockstepClient(host, port, Hello(f"{edge_id_of(told)[:MAX_CLIENT_CHARS]}-command", "watch"), follow)
    client.start()
    try:
        if not await asyncio.to_thread(client.told, DRIVER_WAIT_S):
            raise DriverSilent(
                f"the lockstep driver at {told.clock.address} told no time in {DRIVER_WAIT_S:g} s; start the plants"
            )
        yield clock
    finally:
        client.stop()


async def fingerprint_of(
    bus: Bus, meter: Meter, clock: PlantClock, where: str, known: Known | None = None
) -> Fingerprint:
    """What the meter tells of itself, and what of the `known` it tells no more; MeterSilent when it does not answer."""
    found = await examine(bus, meter, clock, known=known)
    for _ in range(UNHEARD_TIMES - 1):
        if found is None or not found.unheard:
            break
        found = await examine(bus, meter, clock, known=known)
    if found is None:
        raise MeterSilent(
            f"meter {meter.id} at {where}, unit {meter.unit}, gives no answer when asked who it is; {_ask_why(meter)}"
        )
    return found


def _ask_why(meter: Meter) -> str:
    return f"hakari edge read CONFIG --meter {meter.id} tells what to look at"


def where(told: Settings, meter: Meter) -> str:
    """The meter's bus for people."""
    return place_of(next(bus for bus in told.buses if bus.id == meter.bus))


class Commissioning(NamedTuple):
    """How to commission: who, the tolerances as stated by point, how long to watch the energy's direction."""

    record: Record
    tolerances: Mapping[str, Decimal]
    watch_s: float
    accept_coarse: bool


class Inspected(NamedTuple):
    """One commissioned meter: its result, and what is to be kept and logged."""

    result: MeterResult
    notes: dict[str, str]
    events: list[Event]


async def commission(edge: Stopped, meter: Meter, ask: Ask, how: Commissioning) -> Inspected:
    """Reads the meter in every way that matters, asks for its display, and says what matched."""
    bus = edge.bus_of(meter)
    try:
        known = known_of(meter.id, edge.spool.note)
        found = await fingerprint_of(bus, meter, edge.clock, where(edge.told, meter), known)
        if found.unheard and known is not None:
            found = no_longer_told(found, known)
        check_identity(meter, known, found)
        singles = {point.name: await _alone(bus, meter, point, edge.clock) for point in _mapped(meter)}
        before, _ = await read_all(bus, meter, edge.clock)
        displays = ask(meter, measured(meter))
        after, blocks = await read_all(bus, meter, edge.clock)
        seen = await _direction(bus, meter, edge, after, how.watch_s)
    finally:
        bus.close()
    points = [_compared(point, singles, (before, after), displays, how) for point in measured(meter)]
    result = meter_result(meter, found.fields, seen, points)
    before_it = commissioned_of(meter.id, edge.spool.note)
    holding = before_it.points if before_it is not None and holds(before_it, meter, known) else []
    result = msgspec.structs.replace(
        result, kept=[name for name in still_commissioned(result, holding) if name not in result.matched]
    )
    kept = _kept(meter, known, found, result, holding, blocks, how.record, edge.clock.now().wall_ms)
    lessons = not_backed(meter, singles, parse(edge.spool.note(note_key(meter.id)), meter))
    return kept._replace(notes=kept.notes | ({note_key(meter.id): text_of(lessons)} if lessons is not None else {}))


def not_backed(meter: Meter, singles: Mapping[str, Single], learned: Learned) -> Learned | None:
    """What the running edge learns of registers that are refused alone: not to read them; None where nothing is new."""
    told = learned
    for group in groups_of(meter.profile):
        errors = [singles[point.name].error for point in group.points if point.name in singles]
        error = next((one for one in errors if is_refusal(one)), "")
        if error:
            told = told.with_refused(group, error, lasting=True)
        elif told.lasts(group):
            told = told.without(group)
    return None if told == learned else told


def check_identity(meter: Meter, known: Known | None, found: Fingerprint) -> None:
    """Returns when the meter may be commissioned.

    NotAllowed for one that nothing proves to be itself, or that is suspended or has another fingerprint than the
    one accepted; AnotherMeter where it does not tell what the profile and the settings expect.
    """
    for point in meter.profile.points:
        told = found.fields.get(point.name)
        if point.name == SERIAL and point.expect is not None and told is not None and told != point.expect:
            raise AnotherMeter(
                f"meter {meter.id} tells serial {told!r}, its [[meter]] says {point.expect!r}; look which meter stands"
                " there: correct bus, unit or serial of its [[meter]], and where the meter was exchanged explain it:"
                " hakari edge replace-meter"
            )
    if not tells_itself(meter, known) and not any(SERIAL in name for name in found.fields) and not meter.identity_proof:
        raise NotAllowed(
            f"meter {meter.id} tells no serial: nothing would show that it was exchanged; write identity_proof = '…'"
            " (the number of its seal, a photograph's file) into its [[meter]]"
        )
    suspended = known is not None and known.suspended and not is_spoilt(known)
    if known is not None and (suspended or differing(known.accepted, found.fields)):
        why = known.suspended or f"{', '.join(differing(known.accepted, found.fields))} changed since it was accepted"
        raise NotAllowed(f"meter {meter.id} is another one ({why}); explain it first: hakari edge replace-meter")


def measured(meter: Meter) -> list[Point]:
    """The points that become readings."""
    return [point for point in meter.profile.points if point.kind in MEASURED]


def _mapped(meter: Meter) -> list[Point]:
    return [point for point in meter.profile.points if point.kind != "identity"]


async def _alone(bus: Bus, meter: Meter, point: Point, clock: PlantClock) -> Single:
    """The point's own registers: a longer read may succeed across registers that do not exist."""
    request = ReadRequest(meter.unit, FUNCTION_OF[point.table], point.address, point.length)
    exchange = await bus.read(request, clock)
    _check_there(meter, exchange)
    return Single(exchange.request.hex(), exchange.answer.hex(), exchange.error)


def _check_there(meter: Meter, exchange: Exchange) -> None:
    if is_silent(exchange.error):
        raise MeterSilent(f"meter {meter.id}, unit {meter.unit}, gives no answer ({exchange.error}); {_ask_why(meter)}")


async def read_all(bus: Bus, meter: Meter, clock: PlantClock) -> tuple[dict[str, Reading], list[Raw]]:
    """The meter's readings by point, read as the running edge reads them, and the words (hex) they came from."""
    exchanges = [await bus.read(request, clock) for request in requests_of(meter.profile, meter.unit)]
    for exchange in exchanges:
        _check_there(meter, exchange)
    blocks = [(one.request, one.answer, one.error) for one in exchanges]
    readings = decode_sample(meter.profile, meter.id, blocks)
    return {r.point: r for block in readings for r in block}, [
        (one.request.hex(), one.answer.hex()) for one in exchanges
    ]


async def _direction(
    bus: Bus, meter: Meter, edge: Stopped, first: Mapping[str, Reading], watch_s: float
) -> tuple[str, str]:
    """Looks until a counter rose or the time is over; where plant time stands still there is nothing to wait for."""
    before = {name: reading.value for name, reading in first.items() if reading.value is not None}
    seen = direction_of(before, before)
    if not {POWER, IMPORT, EXPORT} <= before.keys() or not before[POWER] or edge.clock.now().sync == LOCKSTEP:
        return seen
    loop = asyncio.get_running_loop()
    until_s = loop.time() + watch_s
    while seen[0] == direction_of(before, before)[0] and loop.time() < until_s:
        await asyncio.sleep(min(LOOK_EVERY_S, max(0.0, until_s - loop.time())))
        now, _ = await read_all(bus, meter, edge.clock)
        seen = direction_of(before, {name: one.value for name, one in now.items() if one.value is not None})
    return seen


def _compared(
    point: Point,
    singles: Mapping[str, Single],
    reads: Sequence[Mapping[str, Reading]],
    displays: Mapping[str, str],
    how: Commissioning,
) -> PointResult:
    """The point with its scale: either register that is not there by itself takes the point with it."""
    single = singles[point.name]
    if point.scale_point is not None and not single.error:
        scale = singles[point.scale_point]
        single = Single(
            f"{single.request} {scale.request}", f"{single.answer} {scale.answer}",
            f"scale register {point.scale_point}: {scale.error}" if scale.error else "",
        )  # fmt: skip
    return compared(
        point,
        single,
        [read[point.name] for read in reads if point.name in read],
        displays.get(point.name, ""),
        how.tolerances.get(point.name),
        accept_coarse=how.accept_coarse,
    )


def _kept(
    meter: Meter,
    known: Known | None,
    found: Fingerprint,
    result: MeterResult,
    before: Sequence[str],
    blocks: Sequence[Raw],
    record: Record,
    wall_ms: int,
) -> Inspected:
    # What was known of it is lost: whoever compares it with its display accepts it as it is.
    identified = judged(meter, None if is_spoilt(known) else known, found.fields, found.raw, wall_ms)
    notes = {
        commissioned_key(meter.id): text_of_note(note_of(result, record, wall_ms, still_commissioned(result, before)))
    }
    if identified.known is not None:
        notes[identity_key(meter.id)] = text_of_note(identified.known)
    return Inspected(result, notes, [*identified.events, *events_of(result, record, blocks, wall_ms)])
