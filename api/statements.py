"""What of a period may be shown: a locked one only as a statement key of the roster signed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hakari.errors import DataProblem
from hakari.ledger import result as results
from hakari.ledger.statement import open_statement
from hakari.ledger.types import FINAL, PeriodRecord
from hakari.log.note import VerifierKey
from hakari.log.rosterfile import Watched

StatementKeys = Callable[[], Sequence[VerifierKey]]


class ResultMismatch(DataProblem):
    """A stored result does not give the hash stored with it."""


class StatementMismatch(DataProblem):
    """A period that the ledger calls locked has no statement of ours over the result stored with it."""


class RosterKeys:
    """The statement keys of the roster that is in force when they are asked for."""

    def __init__(self, watched: Watched) -> None:
        """Errors: RosterFileInvalid."""
        self._watched = watched
        self._roster = watched.read()

    def __call__(self) -> Sequence[VerifierKey]:
        """The keys."""
        self._roster = self._watched.again(self._roster)
        return self._roster.statement_verifiers()


def result_of(period: PeriodRecord, keys: StatementKeys) -> results.PeriodResult:
    """The period's result; a DataProblem when it is not the one that its hash and its statement name.

    The ledger alone is no proof: whoever can write its file can write any state, figure and hash into it.
    """
    if results.sha256_of(period.result_json) != period.result_sha256:
        raise ResultMismatch(f"the stored result of period {period.period_id} does not give its hash; it is not shown")
    result = results.decode(period.result_json)
    if period.state in FINAL or period.statement:
        _check_stated(period, result, keys())
    return result


def _check_stated(period: PeriodRecord, result: results.PeriodResult, keys: Sequence[VerifierKey]) -> None:
    here = f"period {period.period_id} is stored as {period.state}"
    try:
        stated = open_statement(period.statement.encode(), keys)
    except DataProblem as error:
        raise StatementMismatch(
            f"{here} without a statement that a statement key of the roster signed; it is not shown"
        ) from error
    stored: dict[str, object] = {
        "state": "locked",
        "project": period.project_id,
        "label": result.label,
        "zone": period.zone,
        "start_ms": period.start_ms,
        "end_ms": period.end_ms,
        "result_sha256": period.result_sha256,
    }
    other = [name for name, value in stored.items() if getattr(stated, name) != value]
    if other:
        raise StatementMismatch(f"{here} but its statement names another {', '.join(other)}; it is not shown")
