"""Port of the ledger: projects, periods with their statements, and tokens.

Guaranteed by every adapter, and again by its database: what a locked period says never changes; a
correction is a further version beside it. Every method is one transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from hakari.errors import Refused
from hakari.ledger.types import PeriodRecord, ProjectRecord, State, TokenRecord

MAX_LIST = 1001
"""Rows that one listing returns at most: the largest page and one more, which says that there is a next page."""


class LedgerRefused(Refused):
    """The ledger's rules forbid this change; nothing was changed."""


class PeriodKey(NamedTuple):
    """Where a listing of periods goes on: after this start (UTC milliseconds) and period id."""

    start_ms: int
    period_id: str


class Ledger(Protocol):
    """Records that are never lost and, once locked, never altered."""

    def migrate(self) -> None:
        """Brings the database to the schema of this release; doing it again changes nothing."""
        ...

    def ping(self) -> None:
        """Nothing, if the ledger answers and has the schema; a HakariError says what is wrong otherwise."""
        ...

    def put_project(self, project: ProjectRecord) -> None:
        """Registers a project, or a new revision of it; the same document again changes nothing.

        Earlier revisions are kept (`revisions`). Errors: BadId.
        """
        ...

    def project(self, project_id: str) -> ProjectRecord | None:
        """The newest revision."""
        ...

    def revisions(self, project_id: str) -> list[ProjectRecord]:
        """Every revision, oldest first."""
        ...

    def projects(
        self, among: Collection[str] | None = None, after: str = "", limit: int = MAX_LIST
    ) -> list[ProjectRecord]:
        """Newest revisions ordered by project id, those after `after`; `among` None means every project."""
        ...

    def put_period(self, period: PeriodRecord) -> None:
        """Stores a period that is open, closed or submitted, or replaces what was computed for it.

        Errors: LedgerRefused when the stored one is locked or later, when its state would go backwards
        or be final, when its span or version differs from what is stored under this id, when the span has
        this version under another id, when the project is not registered, or when a new one is not
        version 1 (`supersede` makes the later ones); BadId.
        """
        ...

    def advance(self, period_id: str, state: State) -> PeriodRecord:
        """Moves a period one step forward (`hakari.ledger.types.NEXT`), except to `locked`, and returns it.

        Errors: LedgerRefused.
        """
        ...

    def lock(self, period: PeriodRecord) -> None:
        """Moves a submitted period to `locked`: stores the result that is locked and the statement with it.

        Errors: LedgerRefused unless the stored one is submitted, has the same span and version, and
        `period` has the state `locked` and a statement.
        """
        ...

    def supersede(self, period: PeriodRecord) -> None:
        """Stores `period` as the version after the one it `supersedes`, and marks that one superseded.

        Errors: LedgerRefused unless that one is locked, verified or issued, has the same project and
        span, and `period` is its version + 1 in a state before locked; BadId.
        """
        ...

    def period(self, period_id: str) -> PeriodRecord | None:
        """That period."""
        ...

    def periods(self, project_id: str, after: PeriodKey | None = None, limit: int = MAX_LIST) -> list[PeriodRecord]:
        """The project's periods in every version, ordered by start and id, those after `after`."""
        ...

    def put_token(self, token: TokenRecord) -> None:
        """Keeps a new token. Errors: LedgerRefused when its hash or name is taken."""
        ...

    def token(self, token_sha256: str) -> TokenRecord | None:
        """The token of that hash, whether valid or not."""
        ...

    def tokens(self) -> list[TokenRecord]:
        """Every token ordered by name."""
        ...

    def revoke_token(self, name: str) -> bool:
        """Revokes the token of that name for ever; False when there is none."""
        ...

    def close(self) -> None:
        """Releases what is held."""
        ...
