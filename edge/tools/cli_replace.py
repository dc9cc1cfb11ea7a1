"""`hakari edge replace-meter`: explains an exchanged meter in the edge's own log."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from edge.commission.replacement import MAX_CERTIFICATES, MAX_NAME_CHARS, MAX_WHY_CHARS, Certificate, ReplacementInvalid
from hakari.cli.output import printable, show
from hakari.smallfile import TooLarge, read_bytes

MAX_CERTIFICATE_BYTES = 64 * 1024 * 1024


class ReplaceReport(msgspec.Struct, frozen=True):
    """What `hakari edge replace-meter` prints: the event as it was logged."""

    meter: str
    event: dict[str, str]


@click.command("replace-meter")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--meter", "meter_id", required=True, help="The id of the exchanged meter.")
@click.option("--old-final", multiple=True, metavar="COUNTER=VALUE", help="The old meter's last register.")
@click.option("--new-start", multiple=True, metavar="COUNTER=VALUE", help="The new meter's first register.")
@click.option("--new-serial", default="", help="The new meter's serial, as its [[meter]] has it by now.")
@click.option("--why", required=True, help="Why it was exchanged.")
@click.option("--by", required=True, help="Who exchanged it.")
@click.option("--certificate", "files", multiple=True, type=click.Path(path_type=Path), help="A calibration's file.")
@click.option("--again", is_flag=True, help="Explain a meter once more that was explained with this serial already.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replace_meter(  # noqa: PLR0913, PLR0917 - one argument an option
    config: Path,
    meter_id: str,
    old_final: tuple[str, ...],
    new_start: tuple[str, ...],
    new_serial: str,
    why: str,
    by: str,
    files: tuple[Path, ...],
    again: bool,
    as_json: bool,
) -> None:
    """Explain that another meter stands at a place, in the log of the stopped edge of CONFIG.

    Lifts the suspension, accepts what the new meter tells of itself, and ends the old one's commissioning.
    """
    for key, text, limit in (("why", why, MAX_WHY_CHARS), ("by", by, MAX_NAME_CHARS), ("new-serial", new_serial, 64)):
        if len(text) > limit:
            raise ReplacementInvalid(f"--{key} has {len(text)} characters, limit {limit}; shorten it")
    certificates = _certificates(files)
    event = asyncio.run(
        _replace(config, meter_id, old_final, new_start, new_serial, why, by, certificates, again=again)
    )
    lines = [f"{name}: {printable(text)}" for name, text in event.items() if not name.startswith("raw.")]
    lines.append(f"logged; commission the new meter: hakari edge commission {config} --meter {meter_id}")
    show(ReplaceReport(meter_id, event), "\n".join(lines), as_json)


async def _replace(  # noqa: PLR0913 - one argument an option
    config: Path,
    meter_id: str,
    old_final: Sequence[str],
    new_start: Sequence[str],
    new_serial: str,
    why: str,
    by: str,
    certificates: list[Certificate],
    *,
    again: bool,
) -> dict[str, str]:
    from edge.commission.commissioning import fingerprint_of, stopped_edge, where  # noqa: PLC0415 - loaded with its command
    from edge.commission.identity import commissioned_key, identity_key, known_of, text_of_note  # noqa: PLC0415
    from edge.commission.replacement import Replacement, check_new, check_serial, checked, explained  # noqa: PLC0415

    async with stopped_edge(config, os.environ) as edge:
        (meter,) = edge.meters([meter_id])
        final, start = checked(meter, old_final, new_start)
        bus = edge.bus_of(meter)
        try:
            told = await fingerprint_of(bus, meter, edge.clock, where(edge.told, meter))
        finally:
            bus.close()
        check_serial(meter, new_serial, told.fields)
        said = Replacement(final, start, new_serial, why, by, certificates)
        known = known_of(meter.id, edge.spool.note)
        if not again:
            check_new(meter, known, told.fields)
        accepted, event = explained(meter, known, told.fields, told.raw, said, edge.clock.now().wall_ms)
        edge.record({identity_key(meter.id): text_of_note(accepted), commissioned_key(meter.id): ""}, [event])
        return event.data


def _certificates(files: Sequence[Path]) -> list[Certificate]:
    if len(files) > MAX_CERTIFICATES:
        raise ReplacementInvalid(f"there are {len(files)} certificates, limit {MAX_CERTIFICATES}; join some")
    return [Certificate(path.name, _sha256(path)) for path in files]


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(path, MAX_CERTIFICATE_BYTES)).hexdigest()
    except TooLarge as error:
        raise ReplacementInvalid(
            f"--certificate {path} is larger than {MAX_CERTIFICATE_BYTES} bytes; give its extract"
        ) from error
    except OSError as error:
        raise ReplacementInvalid(f"--certificate {path} cannot be read: {error.strerror}; check its path") from error
