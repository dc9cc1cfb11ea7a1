"""Walks the units of a bus and asks those that answer who they are. Nothing but reads is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge import library
from edge.modbus.bus import Bus, Exchange, is_lost, is_mismatch, is_silent
from edge.modbus.buses import open_bus
from edge.modbus.identification import identified
from edge.reads.once import ask
from edge.reads.plan import requests_of
from edge.settings import BusTable
from edge.sunspec.chain import BASES, Chain, DeviceSilent, NotSunSpec
from edge.sunspec.definitions import definitions
from edge.sunspec.device import chain_of
from edge.tools import scan
from edge.tools.cause import line_problem
from edge.tools.scan import Possible, ScanReport, Unit
from edge.tools.target import shown_target
from hakari.clock import PlantClock, SystemClock
from hakari.errors import NotReachable
from hakari.quality import Quality
from hakari.registers.decode import decode_sample, identities
from hakari.registers.profile import Profile, Table
from hakari.registers.requests import FUNCTION_OF, ReadRequest

ASKED_TIMEOUT_S = 1.0
# Device identification in its basic, regular and extended objects.
IDENTIFICATION_READS = 3

Progress = Callable[[int, int, str], None]


class LineUnusable(NotReachable):
    """The bus itself cannot be opened."""


class Question(NamedTuple):
    """What every unit is asked first."""

    table: Table
    address: int


def reads_a_unit(*, guesses: bool) -> int:
    """The most reads by which a unit that was found is asked who it is."""
    profiles = _profiles()
    telling = sum(len(scan.identity_requests(profile, 1)) for profile in profiles if scan.is_strong(profile))
    possible = sum(len(requests_of(profile, 1)) for profile in profiles) if guesses else 0
    return IDENTIFICATION_READS + len(BASES) + telling + possible


async def scanned(
    bus: BusTable, units: Sequence[int], first: Question, progress: Progress, *, guesses: bool
) -> ScanReport:
    """Everything found at `units` of `bus`; LineUnusable when the line cannot be opened.

    With `guesses` every profile is tried at a unit that does not say what it is.
    """
    began_s = time.monotonic()
    if problem := line_problem(bus):
        raise LineUnusable(problem)
    clock = SystemClock()
    answers, garbled = await _answers(bus, units, first, clock, progress)
    profiles = _profiles()
    patient = msgspec.structs.replace(bus, timeout_s=max(bus.timeout_s, ASKED_TIMEOUT_S))
    found = []
    line = open_bus(patient)
    try:
        for k, (unit, said) in enumerate(answers.items()):
            progress(k, len(answers), f"unit {unit} answers, asking who it is")
            found.append(await _known(line, Unit(unit=unit, said=said), profiles, clock, guesses=guesses))
    finally:
        line.close()
    return ScanReport(
        target=shown_target(bus),
        asked=f"{first.table} register {first.address}",
        timeout_s=bus.timeout_s,
        units_asked=len(units),
        took_s=round(time.monotonic() - began_s, 1),
        found=found,
        garbled=garbled,
    )


async def _answers(
    bus: BusTable, units: Sequence[int], first: Question, clock: PlantClock, progress: Progress
) -> tuple[dict[int, str], dict[int, str]]:
    """What each unit said that gave a word, and what came at others that is no answer."""
    said: dict[int, str] = {}
    garbled: dict[int, str] = {}
    line = open_bus(bus)
    try:
        for k, unit in enumerate(units):
            progress(k, len(units), f"unit {unit}, {len(said)} found")
            exchange = await line.read(scan.question(unit, *first), clock)
            if is_lost(exchange.error) and (problem := line_problem(bus)):
                raise LineUnusable(f"the line was lost at unit {unit}; {problem}")
            if is_mismatch(exchange.error):
                garbled[unit] = exchange.error
            elif not is_silent(exchange.error):
                said[unit] = scan.said_by(exchange, *first)
    finally:
        line.close()
    return said, garbled


def _profiles() -> list[Profile]:
    return [library.profile(name, Path()) for name in library.bundled()]


async def _known(line: Bus, unit: Unit, profiles: Sequence[Profile], clock: PlantClock, *, guesses: bool) -> Unit:
    """`unit` with what it says of itself; a profile only where exactly one fits what it says."""
    objects, _ = await identified(line, unit.unit, clock)
    chain = await _chain(line, unit.unit, clock)
    unit = _told(unit, objects, chain)
    fitting = await _fitting(line, unit.unit, profiles, clock)
    named = scan.named(objects, profiles)
    for candidates, by in ((fitting, "identity registers"), (named, "device identification (0x2B/14)")):
        if len(candidates) == 1:
            profile = candidates[0]
            serial = unit.serial or await _serial(line, unit.unit, profile, clock)
            model = unit.model or profile.model
            return msgspec.structs.replace(
                unit, profile=profile.id, by=by, maker=unit.maker or profile.maker, model=model, serial=serial
            )
    tried = profiles if guesses else []
    possible = [one for profile in tried if (one := await _possible(line, unit.unit, profile, clock))]
    return msgspec.structs.replace(unit, possible=scan.possible_first(possible), by=_by_chain(chain))


def _told(unit: Unit, objects: Mapping[int, str], chain: Chain | None) -> Unit:
    common = chain.common if chain is not None else {}
    return msgspec.structs.replace(
        unit,
        maker=common.get("maker_name") or objects.get(0, ""),
        model=common.get("model_name") or objects.get(5) or objects.get(4) or objects.get(1, ""),
        serial=common.get("serial", ""),
    )


def _by_chain(chain: Chain | None) -> str:
    if chain is None:
        return ""
    models = ", ".join(str(found.id) for found in chain.models)
    return f"SunSpec models {models}: hakari edge sunspec makes its profile"


async def _chain(line: Bus, unit: int, clock: PlantClock) -> Chain | None:
    try:
        return await chain_of(line, unit, clock, definitions(), BASES)
    except (NotSunSpec, DeviceSilent):
        return None


async def _fitting(line: Bus, unit: int, profiles: Sequence[Profile], clock: PlantClock) -> list[Profile]:
    """The profiles whose telling identity registers hold what they expect."""
    found = []
    for profile in profiles:
        if scan.is_strong(profile):
            exchanges = await ask(line, scan.identity_requests(profile, unit), clock)
            if not any(one.error for one in exchanges) and not _mismatch(profile, exchanges):
                found.append(profile)
    return found


def _mismatch(profile: Profile, exchanges: Sequence[Exchange]) -> bool:
    """Whether one identity point of `profile` holds something else than it has to."""
    held: dict[str, str] = {}
    for one in exchanges:
        held |= identities(profile, one.request, one.answer)
    return any(
        point.expect is not None and not _same(held.get(point.name), point.expect)
        for point in profile.points
        if point.kind == "identity"
    )


def _same(held: str | None, expected: str) -> bool:
    if held is None or held == expected:
        return held is not None
    try:
        return int(held, 0) == int(expected, 0)
    except ValueError:
        return False


async def _serial(line: Bus, unit: int, profile: Profile, clock: PlantClock) -> str:
    for point in profile.points:
        if point.kind == "identity" and point.name == "serial":
            request = ReadRequest(unit, FUNCTION_OF[point.table], point.address, point.length)
            exchange = await line.read(request, clock)
            if not exchange.error:
                return identities(profile, exchange.request, exchange.answer).get("serial", "")
    return ""


async def _possible(line: Bus, unit: int, profile: Profile, clock: PlantClock) -> Possible | None:
    """What `profile` would show here, None where one of its reads is refused or one value is none."""
    exchanges: list[Exchange] = []
    for request in requests_of(profile, unit):
        exchange = await line.read(request, clock)
        if exchange.error:
            return None
        exchanges.append(exchange)
    blocks = decode_sample(profile, "", [(one.request, one.answer, one.error) for one in exchanges])
    readings = [reading for block in blocks for reading in block]
    if not readings or any(reading.quality is Quality.BAD for reading in readings):
        return None
    units = {point.name: point.unit for point in profile.points}
    shows = [f"{one.point} {one.value:.9g} {units[one.point]}".strip() for one in readings[: scan.MAX_SHOWN_VALUES]]
    return Possible(profile.id, len(readings), shows)
