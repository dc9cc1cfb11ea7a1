"""`hakari edge import-points`: an integrator's point list becomes a meter profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from hakari.cli.output import printable, show
from hakari.errors import BAD_CONFIGURATION
from hakari.registers.profile import Order, Table

ADDRESSING = ("zero-based", "one-based", "modicon")


@click.command("import-points")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "id_", required=True, help="Id of the profile, [a-z0-9-]; its file name too.")
@click.option("--maker", required=True, help="The meter's maker.")
@click.option("--model", required=True, help="The meter's model, as on its nameplate.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the profile there (.toml); never overwritten.")
@click.option("--addressing", type=click.Choice(ADDRESSING), help="How the list counts registers.")
@click.option("--word-order", type=click.Choice(get_args(Order)), help="Where the list has no column for it.")
@click.option("--table", "table_", type=click.Choice(get_args(Table)), default="holding", show_default=True)
@click.option("--counter", "counters", multiple=True, metavar="NAME", help="A point that counts on. Repeatable.")
@click.option("--rename", "renames", multiple=True, metavar="OLD=NEW", help="Another name for a point. Repeatable.")
@click.option(
    "--names", type=click.Path(path_type=Path), help="A .csv of two columns, name as in the list and identifier."
)
@click.option("--sheet", default="", help="Which sheet, where several hold point lists.")
@click.option("--encoding", default="", help="Of a .csv that is not UTF-8, such as cp932 for Shift-JIS.")
@click.option(
    "--max-words", type=click.IntRange(1, 125), default=125, help="Most registers that the meter gives at once."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_points(*, file: Path, out: Path | None, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - as named above
    """Turn a point list FILE (.xlsx or .csv) into a profile, and show the [[meter]] table that uses it.

    The list needs columns for name (点名), address (アドレス, レジスタ番号) and type (データ型); identifier
    (識別子, ID), unit, gain, function, word order, length, counter and description are read where they are there, by
    their usual names in English and Japanese; a header that lacks one is refused with the words that are accepted. A
    point is called by its identifier, which is of a-z, 0-9 and _: from that column, from --names or from --rename, else
    from its name. Nothing is guessed: what the list leaves open is refused, all of it at once, with exit code 3, and
    nothing is written. Rows that are spare (予備) and have no address or no type are skipped and said.
    """
    from edge.tools.importing import imported  # noqa: PLC0415 - loaded with its command

    done = imported(file, out, options)
    for row in done.skipped:
        click.echo(f"skipped, spare: {printable(row)}", err=True)
    for header in done.ignored:
        click.echo(f"ignored column: {printable(header)}", err=True)
    if done.refused:
        show(done, "\n".join(f"refused: {printable(sentence)}" for sentence in done.refused), as_json)
        return BAD_CONFIGURATION
    if not as_json:
        click.echo(f"{done.points} points; check them with `hakari edge read`, then commission the meter", err=True)
        if out is None:
            click.echo(done.meter_toml, err=True)
    show(done, done.meter_toml if out is not None else done.profile_toml, as_json)
    return 0
