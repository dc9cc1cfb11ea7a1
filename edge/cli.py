"""`hakari edge …`: check a configuration, read a meter once, run the edge, ask how it is."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import click
import msgspec

from hakari.cli.output import show, table
from hakari.errors import BAD_CONFIGURATION, DATA_PROBLEM, NotReachable
from hakari.registers.reading import Reading

CONFIG = click.argument("config", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class MeterUnreachable(NotReachable):
    """No request brought a word from the meter itself."""


class ReadingReport(msgspec.Struct, frozen=True):
    """One decoded point; `value` is an exact decimal, null when there is none."""

    point: str
    value: str | None
    unit: str
    quality: str
    reason: str


class ReadReport(msgspec.Struct, frozen=True):
    """One live sample of a meter. `errors` are those of its requests."""

    meter: str
    identity: dict[str, str]
    readings: list[ReadingReport]
    errors: list[str]


@click.group()
def edge() -> None:
    """Read meters, sign what they say and publish it."""


@edge.command()
@CONFIG
@AS_JSON
def check(config: Path, as_json: bool) -> int:
    """Show what CONFIG would read and send, and what would be refused. Touches no meter."""
    from edge.check import check as report_on  # noqa: PLC0415 - loaded with its command

    report = report_on(config, os.environ)
    if report.refused:
        show(report, "\n".join(f"refused: {sentence}" for sentence in report.refused), as_json)
        return BAD_CONFIGURATION
    rows = [
        (meter.meter, meter.bus, meter.unit, meter.profile, request.table, request.address, request.words,
         len(request.points))
        for meter in report.meters for request in meter.requests
    ]  # fmt: skip
    head = ("meter", "bus", "unit", "profile", "table", "address", "words", "points")
    traffic = (
        f"edge {report.edge}: {report.samples_a_day} samples a day, {report.words_a_sample} words each,"
        f" at most {report.bytes_a_day / 1e6:.2f} MB a day on the wire; nothing would be refused"
    )
    warnings = "".join(f"\nwarning: {sentence}" for sentence in report.warnings)
    show(report, f"{table(head, rows, right=(2, 5, 6, 7))}\n\n{traffic}{warnings}", as_json)
    return 0


@edge.command()
@CONFIG
@click.option("--meter", "meter_id", required=True, help="The id of the meter.")
@AS_JSON
def read(config: Path, meter_id: str, as_json: bool) -> int:
    """Read one meter once, now, and show it decoded. Nothing is stored or sent.

    Ends with 4 when the meter does not answer, with 5 when a request fails or another meter answers.
    """
    report = asyncio.run(_read(config, meter_id))
    rows = [(one.point, one.value, one.unit, one.quality, one.reason) for one in report.readings]
    lines = [f"{name}: {held}" for name, held in report.identity.items()]
    lines += [table(("point", "value", "unit", "quality", "reason"), rows, right=(1,))]
    show(report, "\n".join(lines), as_json)
    another = any(one.reason.startswith("identity") for one in report.readings)
    return DATA_PROBLEM if another or report.errors else 0


async def _read(config: Path, meter_id: str) -> ReadReport:
    from edge.modbus import Bus  # noqa: PLC0415 - loaded with its command
    from edge.plan import plan_of  # noqa: PLC0415
    from edge.sampler import is_silent, sample_slot  # noqa: PLC0415
    from edge.settings import SettingsInvalid, load_settings, metering_configuration  # noqa: PLC0415
    from hakari.clock import SystemClock  # noqa: PLC0415
    from hakari.registers.decode import decode_sample, identities  # noqa: PLC0415

    told = load_settings(config, os.environ)
    planned = next(
        (one for one in plan_of(metering_configuration(told, config.parent)) if one.meter.id == meter_id), None
    )
    if planned is None:
        known = ", ".join(meter.id for meter in told.meters)
        raise SettingsInvalid(f"{config}: --meter {meter_id} is no [[meter]]; known are {known}")
    place = next(bus for bus in told.buses if bus.id == planned.meter.bus)
    clock = SystemClock()
    bus = Bus(place)
    taken = await sample_slot({place.id: bus}, (planned,), clock.now().wall_ms, clock)
    bus.close()
    blocks = [(bytes.fromhex(b.request), bytes.fromhex(b.answer), b.error) for b in taken.blocks]
    if all(is_silent(answer, error) for _, answer, error in blocks):
        where = f"{place.host}:{place.port}, unit {planned.meter.unit}"
        raise MeterUnreachable(
            f"meter {meter_id} at {where} does not answer ({blocks[0][2]}); check address and cabling"
        )
    profile = planned.meter.profile
    units = {point.name: point.unit for point in profile.points}
    decoded = [reading for block in decode_sample(profile, meter_id, blocks) for reading in block]
    held = [identities(profile, request, answer) for request, answer, _ in blocks]
    return ReadReport(
        meter=meter_id,
        identity={name: text for one in held for name, text in one.items()},
        readings=[_reported(reading, units[reading.point]) for reading in decoded],
        errors=[error for _, _, error in blocks if error],
    )


def _reported(reading: Reading, unit: str) -> ReadingReport:
    value = None if reading.value is None else format(reading.value, "f")
    return ReadingReport(reading.point, value, unit, reading.quality.name, reading.reason)


@edge.command()
@CONFIG
def run(config: Path) -> None:
    """Read, sign and publish until stopped (SIGTERM ends cleanly)."""
    from edge import run as runner  # noqa: PLC0415 - loaded with its command
    from edge.settings import check_files, load_settings  # noqa: PLC0415

    check_files(load_settings(config, os.environ), config.parent)
    runner.run(config)


@edge.command()
@CONFIG
@click.option("--check", is_flag=True, help="End with 4 unless a slot was sampled lately, for supervisors.")
@AS_JSON
def status(config: Path, check: bool, as_json: bool) -> None:
    """Show what is spooled, sent and known to be stored."""
    from edge.settings import load_settings  # noqa: PLC0415 - loaded with its command
    from edge.status import check_sampling, shown  # noqa: PLC0415
    from edge.status import status as status_of  # noqa: PLC0415

    told = status_of(config)
    if check:
        check_sampling(told, load_settings(config, os.environ).edge.interval_s, time.time_ns() // 1_000_000)
    show(told, shown(told), as_json)
