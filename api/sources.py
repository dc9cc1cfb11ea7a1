"""What the routes read from: the ports and the clock, given once to `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from api.configurations import Configurations
from api.packs import Packs
from api.places import Displaced
from api.plans import Plans
from api.statements import StatementKeys
from hakari.ledger.port import Ledger
from hakari.store.evidence import Decision, EvidenceLog
from hakari.store.view import ReadingsView


@dataclass(frozen=True)
class Sources:
    """The ports; `clock_ms` gives machine time in UTC milliseconds, `statement_keys` those that may sign.

    `decide` records what an operator asks for of the quarantine, None where this server takes no decisions.
    """

    ledger: Ledger
    view: ReadingsView
    evidence: EvidenceLog
    clock_ms: Callable[[], int]
    statement_keys: StatementKeys
    packs: Packs
    decide: Callable[[Decision], None] | None
    configurations: Configurations = field(init=False)
    displaced: Displaced = field(init=False)
    plans: Plans = field(init=False, default_factory=Plans)

    def __post_init__(self) -> None:
        object.__setattr__(self, "configurations", Configurations(self.evidence))
        object.__setattr__(self, "displaced", Displaced(self.view, self.evidence))


async def sources_of(request: Request) -> Sources:
    """The sources of the app that answers."""
    return cast("Sources", request.app.state.sources)


FromSources = Annotated[Sources, Depends(sources_of)]
