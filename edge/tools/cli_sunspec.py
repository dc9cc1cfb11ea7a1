"""`hakari edge sunspec`: what models a SunSpec device has, what they say now, and a profile made of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from hakari.cli.output import printable, show, table
from hakari.errors import DATA_PROBLEM

MAX_ADDRESS = 65_535
TIMEOUT_S = 1.0


class ModelReport(msgspec.Struct, frozen=True):
    """One model of the chain; `address` is that of its ID, `skipped` why nothing of it is read, "" when it is."""

    model: int
    name: str
    address: int
    length: int
    repeats: int
    skipped: str


class PointReport(msgspec.Struct, frozen=True):
    """One point and what it says now; `value` is an exact decimal, null when there is none."""

    point: str
    address: int
    value: str | None
    unit: str
    quality: str
    reason: str
    manual: str


class SunSpecReport(msgspec.Struct, frozen=True):
    """A device: where its chain begins and breaks off ("" where it ends), and the profile made of it as TOML."""

    base: int
    identity: dict[str, str]
    models: list[ModelReport]
    broken: str
    points: list[PointReport]
    errors: list[str]
    notes: str
    profile: str
    file: str = ""


@click.command()
@click.argument("target")
@click.option("--unit", type=click.IntRange(0, 255), default=1, show_default=True, help="The unit to ask.")
@click.option(
    "--base",
    "bases",
    type=click.IntRange(0, MAX_ADDRESS),
    multiple=True,
    help="Where the mark stands, if neither at 40000, 50000 nor 0.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the profile to this new file.")
@click.option(
    "--only-available",
    is_flag=True,
    help="Leave out of the profile what the device says it has not, now; counters that have not begun stay.",
)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.05, 60), default=TIMEOUT_S, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sunspec(
    *,
    target: str,
    unit: int,
    bases: tuple[int, ...],
    out: Path | None,
    only_available: bool,
    timeout_s: float,
    as_json: bool,
) -> int:
    """Find a device's SunSpec models, show what they say now, and make a profile of them. Changes nothing.

    \b
    hakari edge sunspec tcp://10.0.0.7 --out inverter.toml
    hakari edge sunspec rtu:///dev/ttyUSB0?baud=9600 --unit 3

    Ends with 4 when the device does not answer, with 5 when it has no SunSpec map or a request fails.
    """  # noqa: D301 - \b is click's
    from edge.tools.output_file import check_free, write_free  # noqa: PLC0415 - loaded with its command

    check_free(out)
    report = asyncio.run(_report(target, unit, bases, timeout_s, only_available=only_available))
    if out is not None:
        write_free(out, report.profile)
        report = msgspec.structs.replace(report, file=str(out))
    show(report, _shown(report), as_json)
    changed = any(one.reason.startswith("identity") for one in report.points)
    return DATA_PROBLEM if report.errors or changed else 0


async def _report(
    target: str, unit: int, bases: tuple[int, ...], timeout_s: float, *, only_available: bool
) -> SunSpecReport:
    from edge.modbus.buses import open_bus  # noqa: PLC0415 - loaded with its command
    from edge.reads.once import ask  # noqa: PLC0415 - loaded with its command
    from edge.reads.plan import requests_of  # noqa: PLC0415
    from edge.sunspec.chain import BASES  # noqa: PLC0415
    from edge.sunspec.definitions import definitions  # noqa: PLC0415
    from edge.sunspec.device import chain_of  # noqa: PLC0415
    from edge.sunspec.profile import profile_of  # noqa: PLC0415
    from edge.sunspec.text import toml_of  # noqa: PLC0415
    from edge.tools.reading_report import report_of  # noqa: PLC0415
    from edge.tools.target import parse_target  # noqa: PLC0415
    from hakari.clock import SystemClock  # noqa: PLC0415
    from hakari.registers.decode import BAD_SCALE, NOT_AVAILABLE  # noqa: PLC0415

    bus, clock, known = open_bus(parse_target(target, timeout_s)), SystemClock(), definitions()
    try:
        chain = await chain_of(bus, unit, clock, known, bases or BASES)
        profile = profile_of(chain, known)
        exchanges = await ask(bus, requests_of(profile, unit), clock)
    finally:
        bus.close()
    read = report_of("", profile, exchanges, clock.now().wall_ms)
    if only_available:
        absent = (one.point for one in read.readings if one.reason.startswith((NOT_AVAILABLE, BAD_SCALE)))
        profile = profile_of(chain, known, without=frozenset(absent))
    places = {point.name: point for point in profile.points}
    return SunSpecReport(
        base=chain.base,
        identity=chain.common,
        models=[
            ModelReport(
                model=found.id,
                name=known[found.id].name if found.id in known else "",
                address=found.address,
                length=found.length,
                repeats=found.repeats,
                skipped=found.skipped,
            )
            for found in chain.models
        ],
        broken=chain.broken,
        points=[
            PointReport(one.point, place.address, one.value, one.unit, one.quality, one.reason, place.manual)
            for one in read.readings
            if (place := places.get(one.point)) is not None
        ],
        errors=read.errors,
        notes=profile.notes,
        profile=toml_of(profile),
    )


def _shown(report: SunSpecReport) -> str:
    models = [
        (one.address, one.model, one.length, one.name + (f", {one.repeats} times" if one.repeats else ""), one.skipped)
        for one in report.models
    ]
    points = [
        (one.point, one.address, one.value, one.unit, one.quality, one.reason, one.manual) for one in report.points
    ]
    parts = [
        "\n".join(f"{name}: {printable(held)}" for name, held in report.identity.items()),
        table(("address", "model", "length", "name", "not read"), models, right=(0, 1, 2)),
        table(("point", "address", "value", "unit", "quality", "reason", "manual"), points, right=(1, 2)),
        "\n".join(f"request failed: {printable(error)}" for error in report.errors),
        report.notes,
        f"profile written to {report.file}; its values count once `hakari edge commission` matched them to the display"
        if report.file
        else "--out FILE.toml writes the profile",
    ]
    return "\n\n".join(part for part in parts if part)
