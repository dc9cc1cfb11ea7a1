"""What a scan makes of the answers of a bus: who is there, and what each one may be. Pure.

Guaranteed: any answer of the unit itself proves a device, an exception too; a profile is recognised only by what the
device says of itself (device identification, a SunSpec chain, identity registers that nothing else would hold), and
never because its registers happen to be readable: such profiles are only called possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from edge.modbus.bus import Exchange
from edge.settings import BusTable
from edge.tools.meter_text import bus_text, meter_text
from hakari.cli.output import printable, table
from hakari.errors import BadConfiguration
from hakari.registers.check import expected_raw
from hakari.registers.profile import Point, Profile, Table
from hakari.registers.requests import FUNCTION_OF, ReadRequest

LAST_UNIT = 247
MAX_POSSIBLE = 3
MAX_SHOWN_VALUES = 3
MAX_TEXT_CHARS = 60
# Identity registers that hold a few small numbers fit too many devices to name one.
STRONG_BITS = 16
BITS_A_CHARACTER = 8
REVIEW = """# Written by `hakari edge scan`: review every line, then move it into the edge's settings.
# Recognised is what the device says of itself; commissioning proves it (hakari edge commission).
"""
SERIAL_ADVICE = (
    "see on a serial line: speed, parity and stop bits as the meters have them (?baud=… and parity=…), the"
    " wires A and B (exchanged?), their termination, and a slower meter: --timeout 1"
)
_WORD = re.compile(r"[a-z0-9]+")
_RANGE = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")


class UnitsInvalid(BadConfiguration):
    """The units to scan are not units."""


class Possible(msgspec.Struct, frozen=True):
    """A profile whose registers can all be read here, and a few values that it would show."""

    profile: str
    points: int
    shows: list[str]


class Unit(msgspec.Struct, frozen=True):
    """One device found. `said` is its first answer, `by` how `profile` was recognised, "" where it was not."""

    unit: int
    said: str
    maker: str = ""
    model: str = ""
    serial: str = ""
    profile: str = ""
    by: str = ""
    possible: list[Possible] = []


class ScanReport(msgspec.Struct, frozen=True):
    """A whole scan. `garbled` are units where something came back that is no answer."""

    target: str
    asked: str
    timeout_s: float
    units_asked: int
    took_s: float
    found: list[Unit]
    garbled: dict[int, str]
    written: str = ""


def units_of(text: str) -> list[int]:
    """The units in `text`: numbers and ranges, such as 1-10,17."""
    units: set[int] = set()
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (-1, -1)
        if not 0 <= first <= last <= 255:
            raise UnitsInvalid(f"--units {text[:60]!r} is not such as 1-247 or 1,2,17; units are 0 to 255")
        units.update(range(first, last + 1))
    return sorted(units)


def question(unit: int, table_: Table, address: int) -> ReadRequest:
    """The one harmless read by which a unit is found."""
    return ReadRequest(unit, FUNCTION_OF[table_], address, 1)


def said_by(exchange: Exchange, table_: Table, address: int) -> str:
    """What the unit's first answer was, for people."""
    if exchange.error:
        return exchange.error
    return f"{table_} {address} = 0x{exchange.answer[2:4].hex()}"


def is_strong(profile: Profile) -> bool:
    """Whether the identity registers of `profile` together hold what hardly another device would."""
    return sum(map(_bits, profile.points)) >= STRONG_BITS


def _bits(point: Point) -> int:
    if point.kind != "identity" or point.expect is None:
        return 0
    if point.type == "string":
        return BITS_A_CHARACTER * len(point.expect)
    return (expected_raw(point) or 0).bit_length()


def identity_requests(profile: Profile, unit: int) -> list[ReadRequest]:
    """The reads of the identity registers of `profile` that have to hold something, each alone."""
    points = [point for point in profile.points if point.kind == "identity" and point.expect is not None]
    return [ReadRequest(unit, FUNCTION_OF[point.table], point.address, point.length) for point in points]


def named(objects: Mapping[int, str], profiles: Iterable[Profile]) -> list[Profile]:
    """The profiles whose maker and model the device itself names in its device identification."""
    vendor = set(_WORD.findall(objects.get(0, "").casefold()))
    told = [squeezed for k in (1, 4, 5) if (squeezed := _squeezed(objects.get(k, "")))]
    return [
        profile
        for profile in profiles
        if vendor & set(_WORD.findall(profile.maker.casefold()))
        and any(model in text for model in _models(profile) for text in told)
    ]


def _models(profile: Profile) -> set[str]:
    """The parts of a profile's model that name it: those with a digit, three characters and more."""
    parts = (_squeezed(part) for part in re.split(r"[\s,/()]+", profile.model))
    return {part for part in parts if len(part) >= 3 and any(char.isdigit() for char in part)}


def _squeezed(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))


def possible_first(found: Sequence[Possible]) -> list[Possible]:
    """The few that explain most, best first."""
    return sorted(found, key=lambda one: (-one.points, one.profile))[:MAX_POSSIBLE]


def settings_text(bus: BusTable, found: Sequence[Unit]) -> str:
    """`[[bus]]` and `[[meter]]` tables of what was found, to be reviewed; what is not recognised is a comment."""
    parts = [
        REVIEW,
        bus_text(bus),
    ]
    for one in found:
        if one.profile:
            comment = f"# {printable(one.by)}\n"
            parts.append(comment + meter_text(bus.id, one.unit, one.profile, f"unit_{one.unit}", one.serial))
            continue
        maybe = ", ".join(each.profile for each in one.possible)
        text = meter_text(bus.id, one.unit, "…", f"unit_{one.unit}", one.serial)
        head = f"unit {one.unit} answers, type not known" + (f"; possible: {maybe}" if maybe else "")
        parts.append("".join(f"# {line}\n" for line in (printable(head), *text.splitlines())))
    return "\n".join(parts)


def shown(report: ScanReport) -> str:
    """`report` for a person."""
    if not report.found:
        lines = [f"no unit of {report.units_asked} answers at {report.target} within {report.timeout_s:g} s each"]
        lines += [] if report.target.startswith("tcp:") else [SERIAL_ADVICE]
    else:
        rows = [(one.unit, one.said, _model(one), one.serial, one.profile or "answers, type not known", one.by)
                for one in report.found]  # fmt: skip
        lines = [table(("unit", "said", "model", "serial", "profile", "recognised by"), rows, right=(0,))]
    for one in report.found:
        lines += [
            f"unit {one.unit} possibly {each.profile} ({each.points} points): {printable(', '.join(each.shows))}"
            for each in one.possible
        ]
    lines += [f"unit {unit}: {printable(why)}; more than one device, or noise" for unit, why in report.garbled.items()]
    return "\n".join(lines)


def _model(one: Unit) -> str:
    return " ".join(part for part in (one.maker, one.model) if part)[:MAX_TEXT_CHARS]
