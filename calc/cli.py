"""Commands of the room calc: `hakari calc`, `project`, `period`, `methodology`, `pack` and `verify`.

What needs a store is imported when it is called, so that `hakari verify` needs neither.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from calc.methodologies.base import Methodology
from calc.methodologies.registry import find, installed
from calc.supervised_cli import status
from calc.texts import methodology_text, period_text, periods_table, verdict_text
from calc.verify import Expected, verify_pack
from hakari.cli.output import show, table
from hakari.ledger.result import decode
from hakari.ledger.types import PeriodRecord, ProjectRecord
from hakari.log.publicfile import verifier_of

F = TypeVar("F", bound=Callable[..., object])


def _json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _options(command: F) -> F:
    path = click.Path(path_type=Path)
    command = click.option("--config", default="calc.toml", show_default=True, type=path, help="Settings.")(command)
    return _json(command)


def _run() -> Any:  # noqa: ANN401 - a module, loaded only when a store is needed
    return importlib.import_module("calc.run")


@click.group()
def calc() -> None:
    """Compute periods."""


calc.add_command(status)


@calc.command("run")
@click.option("--once", is_flag=True, help="Compute every project once, print the periods and end.")
@_options
def calc_run(config: Path, *, once: bool, as_json: bool) -> None:
    """Compute months and calendar years of every registered project into the ledger."""
    if not once:
        _run().run(config)
        return
    _show_periods(_run().compute_once(config), as_json)


@click.group()
def project() -> None:
    """Register and show projects."""


@project.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@_options
def project_add(file: Path, config: Path, *, as_json: bool) -> None:
    """Register the project in FILE (TOML), or a new revision of it."""
    record: ProjectRecord = _run().add_project(config, file)
    show(_project_object(record), f"registered {record.project_id} ({record.document_sha256})", as_json)


@project.command("list")
@_options
def project_list(config: Path, *, as_json: bool) -> None:
    """List the registered projects."""
    with _run().room(config) as room:
        records: list[ProjectRecord] = room.ledger.projects()
    rows = [
        (one.project_id, one.name, one.country, one.zone, f"{one.methodology_code} {one.methodology_version}")
        for one in records
    ]
    text = table(("project", "name", "country", "zone", "methodology"), rows)
    show({"projects": [_project_object(one) for one in records]}, text, as_json)


@project.command("show")
@click.argument("project_id")
@_options
def project_show(project_id: str, config: Path, *, as_json: bool) -> None:
    """Show a project's file as registered."""
    run = _run()
    with run.room(config) as room:
        record = _registered(run, room.ledger.project(project_id), project_id)
    show({**_project_object(record), "document": record.document}, record.document, as_json)


def _registered(run: Any, record: ProjectRecord | None, project_id: str) -> ProjectRecord:  # noqa: ANN401
    if record is None:
        raise run.NotRegistered(f"project {project_id!r} is not registered; see: hakari project list")
    return record


def _project_object(record: ProjectRecord) -> dict[str, object]:
    return {key: value for key, value in msgspec.structs.asdict(record).items() if key != "document"}


@click.group()
def period() -> None:
    """Show and lock monitoring periods."""


@period.command("list")
@click.argument("project_id", required=False)
@_options
def period_list(project_id: str | None, config: Path, *, as_json: bool) -> None:
    """List computed periods, of PROJECT_ID or of all projects."""
    run = _run()
    with run.room(config) as room:
        if project_id is not None:
            _registered(run, room.ledger.project(project_id), project_id)
        records = run.all_periods(room, project_id)
    _show_periods(records, as_json)


@period.command("show")
@click.argument("period_id")
@_options
def period_show(period_id: str, config: Path, *, as_json: bool) -> None:
    """Show one period: totals, inputs with their registers and leaves, lines, refusals."""
    with _run().room(config) as room:
        record: PeriodRecord = room.period(period_id)
    result = decode(record.result_json)
    value = {"period_id": record.period_id, "state": record.state, "result": result, "statement": record.statement}
    show(value, period_text(record, result), as_json)


@period.command("lock")
@click.argument("period_id")
@_options
def period_lock(period_id: str, config: Path, *, as_json: bool) -> None:
    """Lock a period with a signed statement, or say what stands in the way (exit code 6)."""
    record: PeriodRecord = _run().lock_period(config, period_id)
    value = {"period_id": record.period_id, "state": record.state, "statement": record.statement}
    show(value, f"locked {record.period_id}\n\n{record.statement}", as_json)


@click.group()
def methodology() -> None:
    """Show methodologies and their standing."""


@methodology.command("list")
@_json
def methodology_list(*, as_json: bool) -> None:
    """List the installed methodologies."""
    rows = [(m.data.code, m.data.version, m.data.standing, m.data.title, m.notice) for m in installed()]
    text = table(("code", "version", "standing", "title", "notice"), rows)
    show({"methodologies": [_methodology_object(one) for one in installed()]}, text, as_json)


@methodology.command("show")
@click.argument("code")
@click.argument("version")
@_json
def methodology_show(code: str, version: str, *, as_json: bool) -> None:
    """Show formula, parameters, monitored quantities and standing."""
    one = find(code, version)
    show(_methodology_object(one), methodology_text(one), as_json)


def _methodology_object(one: Methodology) -> dict[str, object]:
    return {
        **msgspec.to_builtins(one.data),
        "sha256": one.sha256,
        "notice": one.notice,
        "notice_ja": one.notice_ja,
    }


@click.group()
def pack() -> None:
    """Write evidence packs."""


@pack.command("write")
@click.option("--period", "period_id", required=True, help="The period's id; see: hakari period list.")
@click.option("--out", type=click.Path(path_type=Path), help="The pack's file; PERIOD.hakari here by default.")
@_options
def pack_write(period_id: str, out: Path | None, config: Path, *, as_json: bool) -> None:
    """Write the evidence pack of a period: everything that its total rests on."""
    path, sha256, result = _run().write_pack_of(config, period_id, out)
    value = {"path": str(path), "sha256": sha256, "period_id": period_id, "state": result.state}
    show(value, f"{path}  {sha256}  {result.state}, {result.methodology.standing}", as_json)


def _sha256(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The hash in lower case; a usage error for anything else."""
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise click.BadParameter(f"{value[:80]!r} is not 64 hex digits", ctx, option)
    return None if value is None else value.lower()


@click.command()
@click.argument("pack_file", metavar="PACK", type=click.Path(path_type=Path))
@click.option("--owner-key", required=True, help="The owner's public key: its text or its .pub file.")
@click.option(
    "--project-sha256", callback=_sha256, help="SHA-256 of the registered project file; another is a problem."
)
@click.option(
    "--min-roster-serial", type=click.IntRange(min=1), help="Serial of a roster that you know; an older is a problem."
)
@_json
def verify(
    pack_file: Path, owner_key: str, project_sha256: str | None, min_roster_serial: int | None, *, as_json: bool
) -> int:
    """Re-derive a pack's total offline and say everything that is wrong (exit code 5 if anything is)."""
    expected = Expected(project_sha256, min_roster_serial)
    verdict = verify_pack(pack_file, verifier_of(owner_key), expected)
    show(verdict, verdict_text(verdict), as_json)
    return verdict.exit_code


def _show_periods(records: Sequence[PeriodRecord], as_json: bool) -> None:
    results = [(record, decode(record.result_json)) for record in records]
    value = [
        {
            "period_id": record.period_id,
            "project_id": record.project_id,
            "state": record.state,
            "label": result.label,
            "methodology": result.methodology,
            "measured_end_ms": result.measured_end_ms,
            "completeness": result.completeness,
            "quantities": [vintage.quantities for vintage in result.vintages],
            "reference_tco2": result.reference_tco2,
            "project_tco2": result.project_tco2,
            "reductions_tco2": result.reductions_tco2,
            "reductions_whole_tco2": result.reductions_whole_tco2,
            "refusals": result.refusals,
        }
        for record, result in results
    ]
    notices = sorted(
        {f"* {r.methodology.notice} / {r.methodology.notice_ja}" for _, r in results if r.methodology.notice}
    )
    show({"periods": value}, "\n".join([periods_table(results), *notices]), as_json)
