"""The reads of `hakari edge read`: a meter of a configuration, a profile, one value, or words of unknown meaning.

Each of the makers below gives a `Reader`: the line that it needs, and how it reads once on it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edge.commission.identity import with_notes
from edge.library import profile as profile_called
from edge.modbus.bus import Bus, is_refusal, is_silent
from edge.modbus.buses import open_bus
from edge.modbus.waits import Waits
from edge.reads.once import ask, waits_for
from edge.reads.plan import plan_of, requests_of
from edge.settings import BusTable, SettingsInvalid, load_settings, metering_configuration
from edge.spool_peek import SpoolUnread, peek
from edge.tools.cause import why_silent
from edge.tools.reading_report import (
    GUESSED_WORDS,
    Asked,
    Doubt,
    guesses_of,
    profile_of,
    report_of,
    shown,
    shown_guesses,
)
from edge.tools.target import parse_target
from edge.tools.wanted import Shown, Wanted
from hakari.clock import SystemClock
from hakari.errors import BadConfiguration, DataProblem, NotReachable
from hakari.registers.check import problems
from hakari.registers.profile import WORDS, Profile
from hakari.registers.requests import FUNCTION_OF, ReadRequest
from hakari.settings import beside
from hakari.wire.configuration import MeteringConfiguration

# Numbers of registers in 4xxxx/3xxxx notation, which count from 1.
MODICON_HOLDING, MODICON_INPUT, MODICON_SIZE = 40_001, 30_001, 9_999


class Reader(NamedTuple):
    """A line to open, and what reads once on it; the line stays open between two readings."""

    place: BusTable
    waits: Waits
    take: Callable[[Bus], Coroutine[Any, Any, Shown]]

    def open(self) -> Bus:
        """The line; it connects when it is first read."""
        return open_bus(self.place, self.waits)


class MeterUnreachable(NotReachable):
    """No request brought a word from the meter itself."""


class RegisterRefused(DataProblem):
    """The unit answers, and has no such register."""


class AskedInvalid(BadConfiguration):
    """What is to be read cannot be asked of a meter."""


def by_config(config: Path, meter_id: str, environ: Mapping[str, str], *, raw: bool) -> Reader:
    """Reads the meter `meter_id` of a settings file as the edge would, with the standing that the log would give it."""
    told = load_settings(config, environ)
    base = metering_configuration(told, config.parent)
    configuration = _noted(base, beside(config, told.edge.spool))
    planned = next((one for one in plan_of(configuration) if one.meter.id == meter_id), None)
    if planned is None:
        known = ", ".join(meter.id for meter in told.meters)
        raise SettingsInvalid(f"{config}: --meter {meter_id} is no [[meter]]; known are {known}")
    bus = next(bus for bus in told.buses if bus.id == planned.meter.bus)
    return _reader(bus, planned.meter.profile, planned.requests, meter_id, raw=raw, doubt=planned.meter.doubt)


def _noted(base: MeteringConfiguration, spool: Path) -> MeteringConfiguration:
    """With what the spool's notes say of the meters; before there is a spool nothing is commissioned."""
    try:
        return with_notes(base, peek(spool).note)
    except SpoolUnread:
        return base


def by_target(text: str, wanted: Wanted, timeout_s: float, *, raw: bool) -> Reader:
    """Reads what `wanted` says from the target in `text`; AskedInvalid where it leaves something open."""
    bus, unit = parse_target(text, timeout_s), wanted.unit or 0
    if wanted.profile is not None:
        profile = profile_called(wanted.profile, Path())
        return _reader(bus, profile, requests_of(profile, unit), f"unit {unit}", raw=raw)
    if wanted.type is None:
        return _guesser(bus, wanted, raw=raw)
    profile = _asked_profile(wanted)
    # A request a value: what follows the first may not be there, and one request would then tell nothing.
    requests = [ReadRequest(unit, FUNCTION_OF[one.table], one.address, one.length) for one in profile.points]
    return _reader(bus, profile, requests, f"unit {unit}", raw=raw, hint=_as_modicon(_address(wanted)))


def _asked_profile(wanted: Wanted) -> Profile:
    """One value without a profile, as a profile."""
    type_, count = wanted.type or "u16", wanted.how_many or 1
    if WORDS.get(type_, 0) > 1 and wanted.word_order is None:
        raise AskedInvalid(
            f"--type {type_} takes {WORDS[type_]} registers; state --word-order high_first or low_first, meters differ,"
            " or leave --type out to see both"
        )
    asked = Asked(
        unit=wanted.unit or 0,
        table=wanted.table,
        address=_address(wanted),
        type=type_,
        word_order=wanted.word_order or "high_first",
        byte_order=wanted.byte_order,
        exponent=wanted.exponent,
        values=1 if type_ == "string" else count,
    )
    words = count if type_ == "string" else WORDS[type_]
    if asked.address + asked.values * words > 65536:
        raise AskedInvalid(f"--address {asked.address} and --count {count} end beyond register 65535; ask for less")
    profile = profile_of(asked, words if type_ == "string" else 0)
    for problem in problems(profile):
        raise AskedInvalid(problem)
    return profile


def _address(wanted: Wanted) -> int:
    address = wanted.address or 0
    if not 0 <= address <= 65535:
        raise AskedInvalid(f"--address {address} is outside 0..65535; registers count from 0 as on the wire")
    return address


def _as_modicon(address: int) -> str:
    """What an address is if it was taken from a list in 4xxxx/3xxxx notation, "" where it cannot be."""
    for first, table in ((MODICON_HOLDING, "holding"), (MODICON_INPUT, "input")):
        if first <= address < first + MODICON_SIZE:
            return (
                f"; in Modicon notation {address} is {table} register {address - first}: --table {table} --address"
                f" {address - first}"
            )
    return ""


def _reader(
    bus: BusTable,
    profile: Profile,
    requests: Sequence[ReadRequest],
    meter: str,
    *,
    raw: bool,
    doubt: Doubt = lambda _: "",
    hint: str = "",
) -> Reader:
    clock = SystemClock()

    async def take(line: Bus) -> Shown:
        exchanges = await ask(line, requests, clock)
        if all(is_silent(one.error) for one in exchanges):
            name = meter if meter.startswith("unit ") else f"meter {meter}"
            raise MeterUnreachable(f"{name} gives no answer; {why_silent(exchanges[0].error, bus, requests[0].unit)}")
        report = report_of(meter, profile, exchanges, clock.now().wall_ms, doubt)
        if hint:
            report = msgspec.structs.replace(report, errors=[error + hint for error in report.errors])
        return Shown(report, shown(report, raw=raw), report.has_problem)

    return Reader(bus, waits_for(profile, requests[0].unit), take)


def _guesser(bus: BusTable, wanted: Wanted, *, raw: bool) -> Reader:
    clock = SystemClock()
    unit, address = wanted.unit or 0, _address(wanted)
    most = min(GUESSED_WORDS, 65536 - address)
    counts = [wanted.how_many] if wanted.how_many else sorted({most, min(2, most), 1}, reverse=True)

    async def take(line: Bus) -> Shown:
        for count in counts:
            exchange = await line.read(ReadRequest(unit, FUNCTION_OF[wanted.table], address, count), clock)
            if not is_refusal(exchange.error):
                break
        if is_silent(exchange.error):
            raise MeterUnreachable(f"unit {unit} gives no answer; {why_silent(exchange.error, bus, unit)}")
        if exchange.error:
            other = "input" if wanted.table == "holding" else "holding"
            raise RegisterRefused(
                f"unit {unit} answers and gives no {wanted.table} register {address}: {exchange.error};"
                f" try --table {other}, another --address or --count{_as_modicon(address)}"
            )
        report = guesses_of(unit, wanted.table, address, exchange, clock.now().wall_ms)
        return Shown(report, shown_guesses(report, raw=raw), has_problem=False)

    return Reader(bus, Waits(), take)
