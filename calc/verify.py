"""Re-deriving a pack's total offline, from the owner's key and the raw words of signed leaves alone.

Guaranteed of a verdict without problems: the container is in its one form, every leaf is one that its edge
signed, none before the cut is missing, doubled or misplaced, and the methodology that the statement names,
applied to them, gives the stated result to the last digit. Nothing is parsed or computed on before the signature
or the signed hash that vouches for it; every sentence may hold foreign text (`hakari.cli.output.printable`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from calc.compute import compute
from calc.cuts import cut_of
from calc.differences import differences
from calc.evidence import evidence_of
from calc.leaves import EdgeEvidence
from calc.logcheck import CheckedLog, Log, check_logs, left_out
from calc.methodologies.base import Methodology
from calc.methodologies.registry import by_sha256
from calc.project import Project, check_project, read_project
from calc.rules import RULES_VERSION, table_sha256
from calc.statement import Statement, open_statement, state_of
from hakari.errors import DATA_PROBLEM, BadConfiguration, DataProblem
from hakari.ledger.result import EquipmentUsed, MethodologyUsed, ParameterUsed, PeriodResult, decode
from hakari.log.note import VerifierKey
from hakari.log.roster import Roster, open_roster
from hakari.names import Origin
from hakari.pack.layout import PROJECT, README, RESULT, ROSTER, STATEMENT, HashOnly, names_of, readme, records
from hakari.pack.reader import Pack, Place, load, read
from hakari.period import Period

MAX_PROBLEMS = 200
CREDITS_NOTHING = "provisional, credits nothing"
UNKNOWN = "unknown"


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, and a sentence."""

    entry: str
    text: str


class Expected(NamedTuple):
    """What a verifier knows from elsewhere: the SHA-256 (hex) of the project file, the serial of a recent roster."""

    project_sha256: str | None = None
    min_roster_serial: int | None = None


NOTHING_EXPECTED = Expected()


class Verdict(msgspec.Struct, frozen=True):
    """What a pack is worth. `ok` without problems; figures are those recomputed, None where that failed.

    `meaning` says in words what the pack credits; `notes` are no problems but worth knowing. State, project and
    label are "unknown" without a signed statement. `project_sha256`, `roster_serial`, `parameters` and `equipment` say
    what the total rests on beside measurement: they are to be compared with what the verifier knows from elsewhere.
    Of `leaves`, `bodiless` are without a body (I11): of these there is only the hash.
    `result` is the whole result as computed from the leaves: period, inputs with their registers, lines.
    """

    ok: bool
    state: str
    meaning: str
    project: str
    label: str
    project_sha256: str
    roster_serial: int | None
    methodology: MethodologyUsed | None
    parameters: list[ParameterUsed]
    equipment: list[EquipmentUsed]
    reference_tco2: str | None
    project_tco2: str | None
    reductions_tco2: str | None
    reductions_whole_tco2: int | None
    completeness: str | None
    leaves: int
    bodiless: int
    refusals: list[str]
    problems: list[Problem]
    notes: list[str]
    result: PeriodResult | None

    @property
    def exit_code(self) -> int:
        """0 for a pack without problems, else that of a data problem."""
        return 0 if self.ok else DATA_PROBLEM


class _Report:
    """Collects problems, at most the limit."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def __call__(self, entry: str, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(entry, text))


def verify_pack(pack: bytes | Path, owner: VerifierKey, expected: Expected = NOTHING_EXPECTED) -> Verdict:
    """The verdict over `pack` (its bytes, or the path of its file); never raises for what is in it."""
    report = _Report()
    entry = "pack"
    try:
        opened = read(load(pack) if isinstance(pack, Path) else pack)
        entry = ROSTER
        roster = open_roster(opened.bytes_of(ROSTER), owner)
    except DataProblem as error:
        report(entry, str(error))
        return _verdict(report, _Found())
    _check_expected(opened, roster, expected, report)
    statement = _statement(opened, roster, report)
    locked = statement is not None and statement.state == "locked"
    logs = check_logs([_log(opened, place, roster) for place in opened.places], roster, report, locked=locked)
    result = None
    if statement is not None:
        result = _restated(opened, roster, statement, logs, report)
        _note(roster, statement, logs, report)
    return _verdict(report, _Found(opened, roster, statement, logs, result))


class _Found(NamedTuple):
    """What a verdict is made of, as far as it was found."""

    pack: Pack | None = None
    roster: Roster | None = None
    statement: Statement | None = None
    logs: Sequence[CheckedLog] = ()
    result: PeriodResult | None = None


def _log(pack: Pack, place: Place, roster: Roster) -> Log:
    names = names_of(*place)
    mark = pack.bytes_of(names.mark) if names.mark in pack.contents else None
    origin = Origin(roster.namespace, *place)
    return Log(
        origin, names, pack.bytes_of(names.checkpoint), mark, lambda: records(names.leaves, pack.contents[names.leaves])
    )


def _check_expected(pack: Pack, roster: Roster, expected: Expected, report: _Report) -> None:
    found = _sha256(pack, PROJECT)
    if expected.project_sha256 is not None and found != expected.project_sha256:
        report(PROJECT, f"its SHA-256 is {found}, expected is {expected.project_sha256}: another plan or parameters")
    if expected.min_roster_serial is not None and roster.serial < expected.min_roster_serial:
        report(ROSTER, f"its serial is {roster.serial}, expected is {expected.min_roster_serial} or a later one")


def _statement(pack: Pack, roster: Roster, report: _Report) -> Statement | None:
    try:
        return open_statement(pack.bytes_of(STATEMENT), roster.statement_verifiers())
    except DataProblem as error:
        report(STATEMENT, f"{error}; nothing is computed again without a signed statement")
        return None


def _restated(
    pack: Pack, roster: Roster, statement: Statement, logs: Sequence[CheckedLog], report: _Report
) -> PeriodResult | None:
    """The result computed again; everything that the signed statement vouches for is compared with it."""
    stated = _stated_result(pack, statement, report)
    result = _recomputed(pack, roster, logs, statement, report)
    if result is not None and stated is not None:
        _compare(result, stated, report)
    shown = result or stated
    if shown is not None:
        _compare_statement(statement, shown, pack, logs, report)
    if statement.roster_serial > roster.serial:
        report(ROSTER, f"its serial is {roster.serial}, the statement was signed under {statement.roster_serial}")
    if pack.bytes_of(README) != readme(statement.project, statement.label).encode():
        report(README, "it is not the page that packs of this project and period carry")
    return result


def _sha256(pack: Pack, name: str) -> str:
    return hashlib.sha256(pack.contents[name]).hexdigest()


def _stated_result(pack: Pack, statement: Statement, report: _Report) -> PeriodResult | None:
    if _sha256(pack, RESULT) != statement.result_sha256:
        report(RESULT, "it is not the result that the statement names")
        return None
    try:
        return decode(pack.bytes_of(RESULT).decode())
    except (DataProblem, UnicodeDecodeError) as error:
        report(RESULT, str(error))
        return None


def _recomputed(
    pack: Pack, roster: Roster, logs: Sequence[CheckedLog], statement: Statement, report: _Report
) -> PeriodResult | None:
    """The result computed again, in the state that is stated; None where it cannot be."""
    if _sha256(pack, PROJECT) != statement.project_sha256:
        report(PROJECT, "it is not the project file that the statement names")
        return None
    if not all(log.signed for log in logs):
        report(RESULT, "it is not computed again, since a log is not the one that its edge signed")
        return None
    try:
        project = read_project(pack.bytes_of(PROJECT), PROJECT)
        methodology = _methodology(project, statement, report)
        if methodology is None:
            return None
        check_project(project, methodology)
        period = Period.of(statement.start_ms, statement.end_ms)
        edges = _evidence(project, logs, roster)
        cuts = [cut_of(log.origin, log.size, log.root) for log in logs]
        result = compute(project, methodology, evidence_of(edges, _sizes(logs), cuts), statement.label, period)
    except (DataProblem, BadConfiguration) as error:
        report(PROJECT, str(error))
        return None
    for one in result.evidence:
        if one.unrecorded:
            report(RESULT, f"evidence does not hold: {one.unrecorded}")
    report.notes.extend(str(fork) for fork in chain.from_iterable(edge.forks for edge in edges))
    report.notes.extend(str(one) for one in chain.from_iterable(edge.forgone for edge in edges))
    if statement.state == "locked":
        _check_locked(roster, edges, logs, result, report)
    return msgspec.structs.replace(result, state=statement.state)


def _check_locked(
    roster: Roster, edges: Sequence[EdgeEvidence], logs: Sequence[CheckedLog], result: PeriodResult, report: _Report
) -> None:
    """What must not be said of a period that is locked."""
    for refusal in result.refusals:
        report(STATEMENT, f"the period is locked although {refusal}")
    edge_ids = [edge.edge_id for edge in edges]
    for origin in left_out(roster, edge_ids, result.end_ms, [log.origin for log in logs]):
        report(ROSTER, f"the period is locked although approved epoch {origin.epoch} of {origin.edge_id} is left out")
    for edge in edges:
        if not any(slots and slots[-1] >= result.end_ms for slots in edge.slots.values()):
            report(STATEMENT, f"the period is locked although no leaf of {edge.edge_id} reaches beyond its end")


def _methodology(project: Project, statement: Statement, report: _Report) -> Methodology | None:
    named = statement.methodology
    found = by_sha256(named.sha256)
    if found is None:
        report(
            STATEMENT,
            f"methodology {named.code} {named.version} with content {named.sha256} is not installed;"
            " install it and verify again",
        )
        return None
    wanted = (project.file.project.methodology, project.file.project.version)
    if wanted != (found.data.code, found.data.version):
        report(PROJECT, f"the project names methodology {' '.join(wanted)}, the statement {named.code} {named.version}")
    if (statement.rules_version, statement.rules_sha256) != (RULES_VERSION, table_sha256()):
        report(
            STATEMENT,
            f"the statement rests on rule table {statement.rules_version}, this hakari has {RULES_VERSION};"
            " verify with the release that made the pack",
        )
        return None
    return found


def _evidence(project: Project, logs: Sequence[CheckedLog], roster: Roster) -> list[EdgeEvidence]:
    """What the leaves say of the project's points; a leaf is gone from memory when the next one is read."""
    edges = [
        EdgeEvidence(edge, [p.point for p in project.points if p.edge_id == edge], is_source=edge in roster.sources)
        for edge in project.edge_ids
    ]
    by_id = {edge.edge_id: edge for edge in edges}
    for log in logs:
        if log.origin.edge_id in by_id:
            for body in log.bodies():
                if isinstance(body, HashOnly):
                    by_id[log.origin.edge_id].skip(log.origin.epoch, body.leaf_hash, body.forgone)
                else:
                    by_id[log.origin.edge_id].add(log.origin.epoch, body)
    return edges


def _sizes(logs: Sequence[CheckedLog]) -> Mapping[str, Mapping[int, int]]:
    sizes: dict[str, dict[int, int]] = {}
    for log in logs:
        sizes.setdefault(log.origin.edge_id, {})[log.origin.epoch] = log.size
    return sizes


def _compare(result: PeriodResult, stated: PeriodResult, report: _Report) -> None:
    for field in PeriodResult.__struct_fields__:
        computed, said = getattr(result, field), getattr(stated, field)
        if computed != said:
            report(RESULT, differences(field, said, computed) or f"{field} is not the one computed from the leaves")


def _compare_statement(
    statement: Statement, result: PeriodResult, pack: Pack, logs: Sequence[CheckedLog], report: _Report
) -> None:
    """Every field of the statement against what the pack gives."""
    result = msgspec.structs.replace(result, cuts=[cut_of(log.origin, log.size, log.root) for log in logs])
    leaves = {str(log.origin): _sha256(pack, log.log.names.leaves) for log in logs}
    cosigners = {str(log.origin): log.cosigner for log in logs}
    wanted = state_of(result, leaves, cosigners, statement.roster_serial)
    for field in Statement.__struct_fields__:
        said, found = getattr(statement, field), getattr(wanted, field)
        if said != found:
            report(STATEMENT, differences(field, said, found, "the pack gives") or f"{field} is not the pack's")


def _note(roster: Roster, statement: Statement, logs: Sequence[CheckedLog], report: _Report) -> None:
    """Notes what would stand in the way of locking a provisional period."""
    if statement.state == "locked":
        return
    held = [log.origin for log in logs]
    for origin in left_out(roster, {origin.edge_id for origin in held}, statement.end_ms, held):
        report.notes.append(f"approved epoch {origin.epoch} of {origin.edge_id} has no leaves in the pack")
    report.notes.extend(f"{log.origin} has no cosignature at the cut" for log in logs if not log.cosigner)
    report.notes.extend(f"{log.origin} is frozen because of a conflict" for log in logs if log.frozen)


def _verdict(report: _Report, found: _Found) -> Verdict:
    ok = not report.problems
    statement, result = found.statement, found.result
    state = statement.state if statement is not None else UNKNOWN
    locked = "locked by a signed statement" if state == "locked" else CREDITS_NOTHING
    return Verdict(
        ok=ok,
        state=state,
        meaning=locked if ok else "not verified, credits nothing",
        project=statement.project if statement is not None else UNKNOWN,
        label=statement.label if statement is not None else UNKNOWN,
        project_sha256=_sha256(found.pack, PROJECT) if found.pack is not None else UNKNOWN,
        roster_serial=found.roster.serial if found.roster is not None else None,
        methodology=result.methodology if result is not None else None,
        parameters=result.parameters if result is not None else [],
        equipment=result.equipment if result is not None else [],
        reference_tco2=result.reference_tco2 if result is not None else None,
        project_tco2=result.project_tco2 if result is not None else None,
        reductions_tco2=result.reductions_tco2 if result is not None else None,
        reductions_whole_tco2=result.reductions_whole_tco2 if result is not None else None,
        completeness=result.completeness if result is not None else None,
        leaves=sum(log.size for log in found.logs if log.signed),
        bodiless=sum(log.bodiless for log in found.logs if log.signed),
        refusals=result.refusals if result is not None else [],
        problems=report.problems,
        notes=report.notes,
        result=result,
    )
