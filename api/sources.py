"""What the routes read from: the ports and the clock, given once to `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from api.configurations import Configurations
from hakari.ledger.port import Ledger
from hakari.store.evidence import EvidenceLog
from hakari.store.view import ReadingsView


@dataclass(frozen=True)
class Sources:
    """The ports; `clock_ms` gives machine time in UTC milliseconds, `pack_dir` holds `{period id}.hakari`."""

    ledger: Ledger
    view: ReadingsView
    evidence: EvidenceLog
    clock_ms: Callable[[], int]
    pack_dir: Path | None = None
    configurations: Configurations = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "configurations", Configurations(self.evidence))


async def sources_of(request: Request) -> Sources:
    """The sources of the app that answers."""
    return cast("Sources", request.app.state.sources)


FromSources = Annotated[Sources, Depends(sources_of)]
