"""Re-deriving a pack's total offline, from the owner's key and the raw words of signed leaves alone.

Guaranteed of a verdict without problems: the container is in its one form, every leaf is one that its edge
signed, none before the cut is missing, doubled or misplaced, and the methodology that the statement names,
applied to them, gives the stated result to the last digit.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from calc.compute import compute
from calc.cuts import cut_of
from calc.evidence import evidence_of
from calc.leaves import EdgeEvidence
from calc.logcheck import CheckedLog, check_log
from calc.methodologies.base import Methodology
from calc.methodologies.registry import by_sha256
from calc.project import Project, check_project, read_project
from calc.rules import RULES_VERSION, table_sha256
from calc.statement import Statement, open_statement, peek_statement, state_of
from hakari.errors import DATA_PROBLEM, BadConfiguration, DataProblem
from hakari.ledger.result import Cut, MethodologyUsed, PeriodResult, decode
from hakari.log.note import VerifierKey
from hakari.log.roster import Roster, open_roster
from hakari.pack.layout import PROJECT, README, RESULT, ROSTER, STATEMENT, readme
from hakari.pack.reader import Pack, load, read
from hakari.period import Period

MAX_PROBLEMS = 200
CREDITS_NOTHING = "provisional, credits nothing"


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, and a sentence."""

    entry: str
    text: str


class Verdict(msgspec.Struct, frozen=True):
    """What a pack is worth. `ok` without problems; figures are those recomputed, None where that failed.

    `meaning` says in words what the pack credits; `notes` are no problems but worth knowing.
    """

    ok: bool
    state: str
    meaning: str
    project: str
    label: str
    methodology: MethodologyUsed | None
    reference_tco2: str | None
    project_tco2: str | None
    reductions_tco2: str | None
    reductions_whole_tco2: int | None
    completeness: str | None
    leaves: int
    refusals: list[str]
    problems: list[Problem]
    notes: list[str]

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


def verify_pack(pack: bytes | Path, owner: VerifierKey) -> Verdict:
    """The verdict over `pack` (its bytes, or the path of its file); never raises for what is in it."""
    report = _Report()
    entry = "pack"
    try:
        opened = read(load(pack) if isinstance(pack, Path) else pack)
        entry = ROSTER
        roster = open_roster(opened.bytes_of(ROSTER), owner)
    except DataProblem as error:
        report(entry, str(error))
        return _verdict(report, None, None, 0)
    logs = [check_log(opened, place, roster, report) for place in opened.places]
    statement = _statement(opened, roster, report)
    stated = _stated_result(opened, report)
    result = _recomputed(opened, logs, statement, report)
    if result is not None:
        _compare(result, stated, report)
    if statement is not None:
        _compare_statement(statement, result or stated, opened, logs, report)
        _note_epochs(roster, statement, logs, report)
    _compare_readme(opened, stated, report)
    return _verdict(report, statement, result, sum(len(log.bodies) for log in logs))


def _statement(pack: Pack, roster: Roster, report: _Report) -> Statement | None:
    note = pack.bytes_of(STATEMENT)
    try:
        return open_statement(note, roster.statement_verifiers())
    except DataProblem as error:
        report(STATEMENT, str(error))
    try:
        return peek_statement(note)
    except DataProblem:
        return None


def _stated_result(pack: Pack, report: _Report) -> PeriodResult | None:
    try:
        return decode(pack.bytes_of(RESULT).decode())
    except (DataProblem, UnicodeDecodeError) as error:
        report(RESULT, str(error))
        return None


def _recomputed(
    pack: Pack, logs: list[CheckedLog], statement: Statement | None, report: _Report
) -> PeriodResult | None:
    """The result computed again, in the state that is stated; None where it cannot be."""
    if statement is None:
        report(RESULT, "the result cannot be computed again without a statement that names the period")
        return None
    try:
        project = read_project(pack.bytes_of(PROJECT), PROJECT)
        methodology = _methodology(project, statement, report)
        if methodology is None:
            return None
        check_project(project, methodology)
        period = Period.of(statement.start_ms, statement.end_ms)
        result = _compute(project, methodology, logs, statement.label, period)
    except (DataProblem, BadConfiguration) as error:
        report(PROJECT, str(error))
        return None
    if statement.state == "locked" and result.refusals:
        for refusal in result.refusals:
            report(STATEMENT, f"the period is locked although {refusal}")
    return msgspec.structs.replace(result, state=statement.state)


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


def _compute(
    project: Project, methodology: Methodology, logs: list[CheckedLog], label: str, period: Period
) -> PeriodResult:
    edges = [EdgeEvidence(edge, [p.point for p in project.points if p.edge_id == edge]) for edge in project.edge_ids]
    sizes: dict[str, dict[int, int]] = {}
    cuts: list[Cut] = []
    for log in logs:
        sizes.setdefault(log.origin.edge_id, {})[log.origin.epoch] = len(log.bodies)
        cuts.append(cut_of(log.origin, len(log.bodies), log.root))
        for edge in edges:
            if edge.edge_id == log.origin.edge_id:
                for body in log.bodies:
                    edge.add(log.origin.epoch, body)
    return compute(project, methodology, evidence_of(edges, sizes, cuts), label, period)


def _compare(result: PeriodResult, stated: PeriodResult | None, report: _Report) -> None:
    if stated is None:
        return
    for field in PeriodResult.__struct_fields__:
        computed, said = getattr(result, field), getattr(stated, field)
        if computed != said:
            report(
                RESULT, f"{field} is stated as {_short(said)}, but computed from the leaves it is {_short(computed)}"
            )


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:120]}…"


def _compare_statement(
    statement: Statement, result: PeriodResult | None, pack: Pack, logs: list[CheckedLog], report: _Report
) -> None:
    """Every field of the statement against what the pack gives."""
    if hashlib.sha256(pack.contents[RESULT]).hexdigest() != statement.result_sha256:
        report(RESULT, "it is not the result that the statement names")
    if hashlib.sha256(pack.contents[PROJECT]).hexdigest() != statement.project_sha256:
        report(PROJECT, "it is not the project file that the statement names")
    if result is None:
        return
    result = msgspec.structs.replace(result, cuts=[cut_of(log.origin, len(log.bodies), log.root) for log in logs])
    leaves = {str(log.origin): log.leaves_sha256 for log in logs}
    cosigners = {str(log.origin): log.cosigner for log in logs}
    wanted = state_of(result, leaves, cosigners)
    for field in Statement.__struct_fields__:
        said, found = getattr(statement, field), getattr(wanted, field)
        if said != found:
            report(STATEMENT, f"{field} is stated as {_short(said)}, but the pack gives {_short(found)}")
    if statement.state == "locked" and not all(cut.cosigner for cut in statement.cuts):
        report(STATEMENT, "the period is locked although a cut has no cosignature")


def _note_epochs(roster: Roster, statement: Statement, logs: list[CheckedLog], report: _Report) -> None:
    """Notes approved epochs that the pack leaves out between those that it holds."""
    held = {(log.origin.edge_id, log.origin.epoch) for log in logs}
    edges = {edge_id for edge_id, _ in held}
    for approved in roster.epochs:
        last = max((epoch for edge_id, epoch in held if edge_id == approved.edge), default=0)
        if approved.edge in edges and tuple(approved) not in held and approved.epoch < last:
            report.notes.append(f"approved epoch {approved.epoch} of {approved.edge} has no leaves in the pack")
    report.notes.extend(f"{cut.origin} has no cosignature at the cut" for cut in statement.cuts if not cut.cosigner)


def _compare_readme(pack: Pack, stated: PeriodResult | None, report: _Report) -> None:
    if stated is not None and pack.bytes_of(README) != readme(stated.project, stated.label).encode():
        report(README, "it is not the page that packs of this project and period carry")


def _verdict(report: _Report, statement: Statement | None, result: PeriodResult | None, leaves: int) -> Verdict:
    ok = not report.problems
    state = statement.state if statement is not None else "unknown"
    locked = "locked by a signed statement" if state == "locked" else CREDITS_NOTHING
    return Verdict(
        ok=ok,
        state=state,
        meaning=locked if ok else "not verified, credits nothing",
        project=statement.project if statement is not None else "",
        label=statement.label if statement is not None else "",
        methodology=result.methodology if result is not None else None,
        reference_tco2=result.reference_tco2 if result is not None else None,
        project_tco2=result.project_tco2 if result is not None else None,
        reductions_tco2=result.reductions_tco2 if result is not None else None,
        reductions_whole_tco2=result.reductions_whole_tco2 if result is not None else None,
        completeness=result.completeness if result is not None else None,
        leaves=leaves,
        refusals=result.refusals if result is not None else [],
        problems=report.problems,
        notes=report.notes,
    )
