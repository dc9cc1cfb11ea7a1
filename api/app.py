"""The application: routes over the ports that it is given. It computes nothing; it writes what an operator asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI

import hakari
from api import leaves, meta, pages, periods, problems, projects, quarantine, readings
from api.documented import DocumentedApi
from api.headers import AnswerHeaders, ContentTags
from api.packs import Packs
from api.sources import Sources
from api.statements import StatementKeys
from hakari.ledger.port import Ledger
from hakari.store.evidence import Decision, EvidenceLog
from hakari.store.view import ReadingsView

DESCRIPTION = (
    "From a tonne of reduced emissions back to the register that says so: project, period, boundary register, "
    "reading, signed leaf. Everything is read with GET and a verifier's token. Decimals are strings, times are "
    "RFC 3339 with offset, periods are [start, end), units stand in names or beside the value. Every result "
    "carries the standing of its methodology and a notice to be shown with it."
)
TAGS = [
    {"name": "projects", "description": "What was registered, and by which methodology it is computed."},
    {"name": "periods", "description": "Totals of a month or year, and the origin of every input."},
    {"name": "readings", "description": "Readings of a metering point, exact, with their quality."},
    {"name": "leaves", "description": "Signed evidence, byte for byte."},
    {"name": "quarantine", "description": "What could not be taken, with its reason, and what was decided about it."},
    {"name": "server", "description": "Version and health; no token needed."},
]


def create_app(
    ledger: Ledger,
    view: ReadingsView,
    evidence: EvidenceLog,
    clock_ms: Callable[[], int],
    statement_keys: StatementKeys,
    pack_dir: Path | None = None,
    decide: Callable[[Decision], None] | None = None,
) -> FastAPI:
    """The API over these ports.

    `clock_ms` gives machine time in UTC milliseconds, `statement_keys` the keys whose statements are believed;
    `pack_dir` holds the evidence packs; `decide` records what an operator asks for of the quarantine, None where
    this server takes no decisions.

    Every route runs on the event loop, so that a store is used by one thread at a time.
    """
    app = DocumentedApi(
        title="hakari",
        summary="Monitored emission reductions with their evidence",
        description=DESCRIPTION,
        version=hakari.__version__,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        license_info={"name": "Apache-2.0"},
    )
    app.state.sources = Sources(ledger, view, evidence, clock_ms, statement_keys, Packs(pack_dir), decide)
    problems.install(app)
    for module in (projects, periods, readings, leaves, quarantine, meta, pages):
        app.include_router(module.router)
    app.add_middleware(ContentTags)
    app.add_middleware(problems.BodyLimit)
    app.add_middleware(AnswerHeaders)
    return app
