"""`hakari edge read`: one meter of a configuration, or any register of any unit, decoded or as what it could be."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from edge.tools.wanted import Shown, Wanted
from hakari.cli.output import error_object, printable, show
from hakari.errors import DATA_PROBLEM, NotReachable
from hakari.registers.profile import Order, Table, Type

if TYPE_CHECKING:
    from edge.tools.reading import Reader

MAX_VALUES = 125
MAX_TIMES = 1_000_000
MAX_WATCH_S = 3600.0
TIMEOUT_S = 1.0
ORDERS = click.Choice(get_args(Order))
_DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)(ms|s|m|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}


def whole_number(text: str) -> int:
    """A whole number, decimal or 0x hexadecimal; click's refusal otherwise."""
    try:
        return int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a whole number such as 72 or 0x0048.") from None


def seconds(text: str) -> float:
    """Seconds from 1s, 500ms, 2m or 1; click's refusal otherwise."""
    found = _DURATION.fullmatch(text)
    told = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < told <= MAX_WATCH_S:
        raise click.BadParameter(f"{text!r} is not a time such as 1s, 500ms or 2m, at most 60m.")
    return told


@click.command()
@click.argument("place", metavar="CONFIG|TARGET")
@click.option("--meter", "meter_id", help="With CONFIG: the id of the meter.")
@click.option("--unit", type=click.IntRange(0, 255), help="With TARGET: the unit to ask.")
@click.option(
    "--address", type=whole_number, metavar="NUMBER", help="First register, from 0 as on the wire; 0x… is hexadecimal."
)
@click.option("--table", "table_", type=click.Choice(get_args(Table)), default="holding", show_default=True)
@click.option(
    "--type", "type_", type=click.Choice(get_args(Type)), help="What the words are; without: all they can be."
)
@click.option("--word-order", type=ORDERS, help="Order of the registers of one value; needed for more than one.")
@click.option("--byte-order", type=ORDERS, default="high_first", show_default=True)
@click.option("--exponent", type=click.IntRange(-18, 18), default=0, help="Power of ten of the value.")
@click.option("--count", type=click.IntRange(1, MAX_VALUES), help="Values of --type (registers of a string).")
@click.option("--profile", help="Read by a bundled profile, or a .toml file, instead of --address.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.05, 60), default=TIMEOUT_S, show_default=True)
@click.option("--raw", is_flag=True, help="Show requests and answers in hex too.")
@click.option(
    "--watch", "watch_s", type=seconds, metavar="TIME", help="Read again and again, so far apart: 1s, 500ms, 2m."
)
@click.option("--times", type=click.IntRange(1, MAX_TIMES), help="End after so many readings; with --watch.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch one document a line.")
def read(  # noqa: PLR0913 - one argument an option
    *,
    place: str,
    meter_id: str | None,
    unit: int | None,
    address: int | None,
    table_: Table,
    type_: Type | None,
    word_order: Order | None,
    byte_order: Order,
    exponent: int,
    count: int | None,
    profile: str | None,
    timeout_s: float,
    raw: bool,
    watch_s: float | None,
    times: int | None,
    as_json: bool,
) -> int:
    """Read one meter now and show it decoded. Nothing is stored, sent or changed.

    \b
    hakari edge read edge.toml --meter export
    hakari edge read tcp://10.0.0.7 --unit 1 --address 0x0048
    hakari edge read rtu:///dev/ttyUSB0?baud=9600 --unit 1 --address 72 --type f32 --word-order high_first
    hakari edge read tcp://10.0.0.7 --unit 1 --profile eastron-sdm630

    Without --type the words are shown as every number that they could be. Ends with 4 when the meter does not
    answer, with 5 when a request fails, a value is BAD or out of range, or another meter answers.
    """  # noqa: D301 - \b is click's
    from edge.tools.reading import by_config, by_target  # noqa: PLC0415 - loaded with its command
    from edge.tools.target import is_target  # noqa: PLC0415

    if times is not None and watch_s is None:
        raise click.UsageError("--times needs --watch, the distance between the readings.")
    wanted = Wanted(unit, address, table_, type_, word_order, byte_order, exponent, count, profile)
    _check(wanted, meter_id, by_a_target=is_target(place))
    if is_target(place):
        reader = by_target(place, wanted, timeout_s, raw=raw)
    else:
        reader = by_config(Path(place), meter_id or "", os.environ, raw=raw)
    if reader.place.kind != "tcp":
        click.echo(f"listening on the line for {reader.place.late_s:g} s first", err=True)
    return asyncio.run(_read(reader, watch_s, times, as_json=as_json))


async def _read(reader: Reader, watch_s: float | None, times: int | None, *, as_json: bool) -> int:
    line = reader.open()
    try:
        if watch_s is not None:
            return await _watch(partial(reader.take, line), watch_s, times, as_json=as_json)
        done = await reader.take(line)
        show(done.report, done.text, as_json)
        return DATA_PROBLEM if done.has_problem else 0
    finally:
        line.close()


async def _watch(
    once: Callable[[], Coroutine[Any, Any, Shown]], every_s: float, times: int | None, *, as_json: bool
) -> int:
    """Reads until `times` or Ctrl-C; a silence is said and watched on. The code is that of the worst reading."""
    code = taken = 0
    while times is None or taken < times:
        if taken:
            await asyncio.sleep(every_s)
        taken += 1
        try:
            done = await once()
        except NotReachable as error:
            sentence = str(error)
            click.echo(
                error_object(sentence, error.exit_code) if as_json else f"error: {printable(sentence)}", err=True
            )
            code = code or error.exit_code
            continue
        click.echo(msgspec.json.encode(done.report).decode()) if as_json else show(done.report, done.text, as_json)
        code = DATA_PROBLEM if done.has_problem else code
    return code


def _check(wanted: Wanted, meter_id: str | None, *, by_a_target: bool) -> None:
    """Refuses options that do not go together, as a usage error."""
    if not by_a_target:
        told = (wanted.unit, wanted.address, wanted.type, wanted.profile)
        if meter_id is None or any(one is not None for one in told):
            raise click.UsageError("With CONFIG name the meter by --meter alone; --unit and the others need a TARGET.")
    elif meter_id is not None or wanted.unit is None:
        raise click.UsageError("With a TARGET say --unit; --meter goes with CONFIG.")
    elif (wanted.address is None) == (wanted.profile is None):
        raise click.UsageError("With a TARGET say either --address or --profile.")
