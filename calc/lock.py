"""Locking a period: only when the view has reached the cut and says, bit for bit, what the leaves say.

Guaranteed: what is refused changes nothing; what is locked carries a statement over the very result that was
compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from calc.compute import compute
from calc.evidence import Evidence
from calc.logcheck import UNKNOWN_FORK, Log, check_logs, fork_is_known, left_out
from calc.methodologies.base import Methodology
from calc.project import Project
from hakari.errors import Refused
from hakari.ledger.result import PeriodResult
from hakari.ledger.statement import peek_statement
from hakari.ledger.types import PeriodRecord
from hakari.log.checkpoint import Checkpoint
from hakari.log.roster import Roster
from hakari.pack.layout import Names
from hakari.pack.writer import leaves_below
from hakari.period import Period, local_date
from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView
from hakari.wire.rows import Row, once

MAX_DIFFERENCES = 10
END_OF_TIME_MS = 2**62

Compared = tuple[int, str, int, int, int]


class LockRefused(Refused):
    """The period cannot be locked; the sentence says why and, where it helps, at which point and day."""


def check_logs_at(
    cuts: Sequence[Checkpoint], log: EvidenceLog, roster: Roster, edge_ids: Collection[str], end_ms: int
) -> None:
    """Nothing, if verifying a pack of these cuts would find its logs and the roster right; LockRefused otherwise."""
    found: list[str] = []
    logs = [_log_at(cut, log) for cut in cuts]
    check_logs(logs, roster, lambda part, text: found.append(f"{part}: {text}"), locked=True)
    held = [cut.origin for cut in cuts]
    found += [
        f"{origin} is frozen because of a conflict {UNKNOWN_FORK}"
        for origin in held
        if log.head(origin).frozen and not fork_is_known(roster, origin)
    ]
    found += [
        f"approved epoch {origin} began before the period's end and is not in its cut"
        for origin in left_out(roster, edge_ids, end_ms, held)
    ]
    if found:
        more = f" and {len(found) - MAX_DIFFERENCES} more" if len(found) > MAX_DIFFERENCES else ""
        raise LockRefused(f"evidence cannot be locked: {'; '.join(found[:MAX_DIFFERENCES])}{more}; ask the owner")


def _log_at(cut: Checkpoint, log: EvidenceLog) -> Log:
    origin, size = cut.origin, cut.size
    last = log.leaf(origin, size - 1)
    names = Names(f"leaves of {origin}", f"checkpoint of {origin}", f"mark of {origin}")
    return Log(
        origin,
        names,
        b"" if last is None else last.checkpoint,
        log.mark(origin, size),
        lambda: leaves_below(cut, log),
    )


def check_serial(roster: Roster, periods: Iterable[PeriodRecord]) -> None:
    """Nothing, if no period was locked under a later roster than this one; LockRefused otherwise."""
    for period in periods:
        named = peek_statement(period.statement.encode()).roster_serial if period.statement else 0
        if named > roster.serial:
            raise LockRefused(
                f"roster has serial {roster.serial}, period {period.period_id} was locked under {named};"
                " fetch the newest roster from the owner"
            )


def check_lock(
    project: Project,
    methodology: Methodology,
    evidence: Evidence,
    cuts: Sequence[Checkpoint],
    view: ReadingsView,
    result: PeriodResult,
) -> None:
    """Nothing, if the view agrees with the leaves that `result` was computed from; LockRefused otherwise."""
    for cut in cuts:
        reached = view.cursor(cut.origin.edge_id, cut.origin.epoch)
        if reached < cut.size:
            raise LockRefused(
                f"view of {cut.origin} has reached leaf {reached}, the cut is {cut.size}; wait for ingest, then lock"
            )
    viewed = _viewed(evidence, cuts, view)
    different = list(differences(evidence, viewed, project.zone))
    if different:
        shown = ", ".join(f"{point} on {day}" for point, day in different[:MAX_DIFFERENCES])
        raise LockRefused(
            f"view and leaves differ at {shown} ({len(different)} days in all); run: hakari view rebuild, then lock"
        )
    again = compute(project, methodology, viewed, result.label, Period(result.start_ms, result.end_ms))
    if again != result:
        raise LockRefused(
            f"total from the view is {again.reductions_tco2} tCO2, from the leaves {result.reductions_tco2};"
            " run: hakari view rebuild, then lock"
        )


def differences(evidence: Evidence, viewed: Evidence, zone: ZoneInfo) -> Iterator[tuple[str, date]]:
    """Each point and local day on which raw bits, scale or quality differ between leaves and view."""
    for point, rows in evidence.rows.items():
        leaves, view = _counted(rows), _counted(viewed.rows[point])
        different = (leaves - view) + (view - leaves)
        for day in sorted({local_date(key[0], zone) for key in different}):
            yield point, day


def _counted(rows: Iterable[Row]) -> Counter[Compared]:
    return Counter((row.t_ms, row.type, row.raw, row.exponent, row.quality) for row in once(rows))


def _viewed(evidence: Evidence, cuts: Sequence[Checkpoint], view: ReadingsView) -> Evidence:
    """The same evidence with the view's rows; those after the cut are left out."""
    sizes = {(cut.origin.edge_id, cut.origin.epoch): cut.size for cut in cuts}
    rows = {
        point: [
            row
            for row in view.read(point, 0, END_OF_TIME_MS)
            if row.leaf < sizes.get((point.split("/", 1)[0], row.epoch), 0)
        ]
        for point in evidence.rows
    }
    return evidence._replace(rows=rows)
