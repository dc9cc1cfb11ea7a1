"""`hakari edge commission`: holds every register against the meter's display and signs what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edge.commission.commission import DisplayUnreadable, MeterResult, Record, number, typed
from hakari.cli.output import printable, show, table
from hakari.errors import DATA_PROBLEM, DataProblem, HakariError, NotReachable, Refused
from hakari.smallfile import TooLarge, read_bytes

if TYPE_CHECKING:
    from edge.commission.commissioning import Ask, Commissioning
    from hakari.registers.profile import Point
    from hakari.wire.configuration import Meter

MAX_DISPLAYS_BYTES = 1024 * 1024
MAX_TEXT_CHARS = 1000
WATCH_S = 10.0
BACK = "back"

Displays = dict[str, dict[str, str]]


class MeterFailed(msgspec.Struct, frozen=True):
    """A meter of which nothing was recorded, why, and the exit code of that."""

    meter: str
    error: str
    exit_code: int


class CommissionReport(msgspec.Struct, frozen=True):
    """What `hakari edge commission` prints: the meters that were recorded, and those that failed."""

    by: str
    witness: str
    meters: list[MeterResult]
    failed: list[MeterFailed] = []


def _short(_: click.Context, parameter: click.Parameter, value: str) -> str:
    if len(value) > MAX_TEXT_CHARS:
        raise click.BadParameter(f"has {len(value)} characters, limit {MAX_TEXT_CHARS}", param=parameter)
    return value


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--meter", "meters", multiple=True, required=True, help="A meter's id, several times for several, or all."
)
@click.option(
    "--display",
    "display",
    multiple=True,
    metavar="POINT=VALUE",
    help="What the display shows, in the point's unit or with its own: energy_import='971.4 kWh'.",
)
@click.option(
    "--displays", type=click.Path(path_type=Path), help="A JSON file {meter: {point: display}}; only these meters."
)
@click.option("--tolerance", multiple=True, metavar="POINT=VALUE", help="Instead of one digit as typed, in its unit.")
@click.option("--by", required=True, callback=_short, help="Who commissions.")
@click.option("--witness", default="", callback=_short, help="Who watched.")
@click.option("--ct", default="", callback=_short, help="Current and voltage transformers as found, such as 200/5.")
@click.option("--note", default="", callback=_short, help="Anything else that belongs to the record.")
@click.option("--watch", "watch_s", default=WATCH_S, show_default=True, type=click.FloatRange(0, 3600),
              help="Seconds to look which way energy is counted.")  # fmt: skip
@click.option("--accept-coarse", is_flag=True, help="Take displays near zero, which prove no scale, as matching.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def commission(  # noqa: PLR0913, PLR0917 - one argument an option
    config: Path,
    meters: tuple[str, ...],
    display: tuple[str, ...],
    displays: Path | None,
    tolerance: tuple[str, ...],
    by: str,
    witness: str,
    ct: str,
    note: str,
    watch_s: float,
    accept_coarse: bool,
    as_json: bool,
) -> int:
    """Compare meters with their displays, and sign the result into the log of the stopped edge of CONFIG.

    Every register is read by itself, then all of them as the edge reads them, with the meter's fingerprint. What
    matched is credited from now on, as long as meter and profile stay the same. Without --display or --displays it
    asks for each point, energies first; "back" takes the last entry back. Each meter is recorded as soon as it is done.
    Ends with 4 when a meter does not answer, with 5 when a point does not match, with 6 while the edge runs; of several
    meters with the highest of these.
    """
    from edge.commission.commissioning import Commissioning  # noqa: PLC0415 - loaded with its command

    given = _given(meters, display, displays)
    if not given and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at: give --display POINT=VALUE or --displays FILE")
    tolerances = {point: number(text, f"--tolerance {point}") for point, text in _pairs("--tolerance", tolerance)}
    how = Commissioning(Record(by, witness, ct, note), tolerances, watch_s, accept_coarse)
    done = asyncio.run(_commission(config, meters, given, how, only_given=displays is not None))
    results = [one for one in done if isinstance(one, MeterResult)]
    failed = [one for one in done if isinstance(one, MeterFailed)]
    show(CommissionReport(by, witness, results, failed), "\n\n".join(map(_shown, done)), as_json)
    codes = [one.exit_code for one in failed] + [DATA_PROBLEM for one in results if not one.ok]
    return max(codes, default=0)


async def _commission(
    config: Path, meters: Sequence[str], given: Displays, how: Commissioning, *, only_given: bool
) -> list[MeterResult | MeterFailed]:
    from edge.commission.commissioning import commission as commission_one  # noqa: PLC0415
    from edge.commission.commissioning import stopped_edge  # noqa: PLC0415

    async with stopped_edge(config, os.environ) as edge:
        found = edge.meters(meters)
        _check_known(found, given)
        chosen = [meter for meter in found if meter.id in given] if only_given else found
        for meter in found:
            if meter not in chosen:
                click.echo(f"meter {printable(meter.id)} is not in --displays: left as it is", err=True)
        done: list[MeterResult | MeterFailed] = []
        for meter in chosen:
            try:
                one = await commission_one(edge, meter, _asking(given), how)
            except (NotReachable, DataProblem, Refused) as error:
                if len(found) == 1:
                    raise
                done.append(_failed(meter, error))
                continue
            edge.record(one.notes, one.events)
            done.append(one.result)
        return done


def _failed(meter: Meter, error: HakariError) -> MeterFailed:
    click.echo(f"error: {printable(error)}", err=True)
    return MeterFailed(meter.id, str(error), error.exit_code)


def _given(meters: Sequence[str], display: Sequence[str], file: Path | None) -> Displays:
    found: Displays = {}
    if file is not None:
        found = _from_file(file)
    if display:
        if len(meters) != 1 or meters[0] == "all":
            raise click.UsageError("--display is for one --meter; give --displays FILE for several")
        found.setdefault(meters[0], {}).update(_pairs("--display", display))
    return found


def _from_file(path: Path) -> Displays:
    try:
        return msgspec.json.decode(read_bytes(path, MAX_DISPLAYS_BYTES), type=Displays)
    except TooLarge as error:
        raise DisplayUnreadable(
            f"--displays {path} is larger than {MAX_DISPLAYS_BYTES} bytes; give fewer meters"
        ) from error
    except OSError as error:
        raise DisplayUnreadable(f"--displays {path} cannot be read: {error.strerror}; check its path") from error
    except (msgspec.DecodeError, RecursionError) as error:
        example = json.dumps({"export": {"energy_export": "1234.5"}})
        raise DisplayUnreadable(f"--displays {path}: {error}; write values as texts, such as {example}") from error


def _pairs(key: str, words: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(point, value) for point, _, value in (word.partition("=") for word in words)]
    for point, value in pairs:
        if not point or not value:
            raise DisplayUnreadable(f"{key} {point or '…'}: write POINT=VALUE, such as energy_import=1234.5")
    return pairs


def _check_known(meters: Sequence[Meter], given: Displays) -> None:
    known = {meter.id: {point.name: point.unit for point in meter.profile.points} for meter in meters}
    for meter, values in given.items():
        if meter not in known:
            raise DisplayUnreadable(f"--displays: {meter!r} is none of the meters asked for ({', '.join(known)})")
        for point, text in values.items():
            if point not in known[meter]:
                raise DisplayUnreadable(
                    f"meter {meter}: display of {point!r}: its profile has no such point; it has"
                    f" {', '.join(sorted(known[meter]))}"
                )
            typed(text, known[meter][point], f"meter {meter}: display of {point}")


def _asking(given: Displays) -> Ask:
    """What is given, or what a person types, who has not been shown the register yet."""

    def ask(meter: Meter, points: Sequence[Point]) -> Mapping[str, str]:
        if given:
            return given.get(meter.id, {})
        click.echo(
            f"meter {printable(meter.id)}: type what its display shows, with its unit where that is another one; Enter"
            f" where it shows none, {BACK} to correct the entry before",
            err=True,
        )
        return _entered(sorted(points, key=lambda point: point.kind != "counter"))

    return ask


def _entered(points: Sequence[Point]) -> dict[str, str]:
    """One entry a point that its display shows, in this order."""
    entries: list[str] = []
    while len(entries) < len(points):
        text = _typed(points[len(entries)])
        if text != BACK:
            entries.append(text)
        elif entries:
            entries.pop()
    return {point.name: text for point, text in zip(points, entries, strict=True) if text}


def _typed(point: Point) -> str:
    unit = f" [{point.unit}]" if point.unit else ""
    while True:
        text = str(click.prompt(f"  {point.name}{unit}", default="", show_default=False, err=True)).strip()
        try:
            if text and text != BACK:
                typed(text, point.unit, point.name)
        except DisplayUnreadable as error:
            click.echo(f"  {printable(error)}", err=True)
        else:
            return text


def _shown(result: MeterResult | MeterFailed) -> str:
    if isinstance(result, MeterFailed):
        return f"meter {result.meter} failed, nothing of it is recorded: {printable(result.error)}"
    rows = [
        (one.point, one.register, one.display, one.difference, one.unit,
         one.verdict + (f": {one.reason}" if one.reason else ""))
        for one in result.points
    ]  # fmt: skip
    head = ("point", "register", "display", "difference", "unit", "verdict")
    identity = ", ".join(f"{name} {value}" for name, value in result.fingerprint.items()) or "none told"
    lines = [
        f"meter {result.meter} (bus {result.bus}, unit {result.unit}, profile {result.profile})",
        f"identity: {identity}{', proof ' + result.identity_proof if result.identity_proof else ''}",
        f"energy direction: {result.direction} ({result.direction_reason})",
        table(head, rows, right=(1, 2, 3)),
        f"{len(result.matched) + len(result.kept)} points count from now on"
        + (f", {len(result.kept)} of them matched earlier" if result.kept else "")
        + ("" if result.ok else "; what contradicts does not"),
    ]
    return "\n".join(lines)
