"""The API process: opens the stores for reading only, serves until SIGTERM. Names the adapters."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn

from api.app import create_app
from api.settings import ApiSettings, ApiTable, read
from api.statements import RosterKeys
from hakari import logs
from hakari.errors import BadConfiguration
from hakari.log.publicfile import verifier_of
from hakari.log.rosterfile import Watched
from hakari.store.evidence import Decision
from hakari.store.ledger_sql import LedgerUnavailable, SqlLedger
from hakari.store.opened import open_evidence, open_view

MAX_CONNECTIONS = 200
KEEP_ALIVE_S = 5
GRACE_S = 10
BACKLOG = 128


class CannotListen(BadConfiguration):
    """The address in the settings cannot be listened on."""


class LedgerNotReady(BadConfiguration):
    """The ledger in the settings is not there or has not the schema of this release."""


def now_ms() -> int:
    """Machine time, UTC milliseconds."""
    return time.time_ns() // 1_000_000


def serve(config: Path, announce: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; `announce` gets the address as soon as it can be reached."""
    logs.set_up(os.environ)
    given = read(config, os.environ)
    settings = given.api
    pack_dir = None if settings.pack_dir is None else Path(settings.pack_dir)
    statement_keys = RosterKeys(Watched(settings.roster_file, verifier_of(settings.owner_key)))
    ledger = SqlLedger(settings.ledger, read_only=True)
    listening = listen(settings)
    try:
        check_ready(ledger)
        evidence = open_evidence(config, settings.evidence, given.postgresql, read_only=True)
        view = open_view(config, settings.view, given.influxdb, read_only=True)
        decide = _decider(config, given) if settings.quarantine_decisions else None
        app = create_app(ledger, view, evidence, now_ms, statement_keys, pack_dir, decide)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        # uvicorn raises the signal again after its clean end; this makes that end the process's own.
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: None)
        host, port = listening.getsockname()[:2]
        announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[listening])
        view.close()
        evidence.close()
    finally:
        listening.close()
        ledger.close()


def _decider(config: Path, given: ApiSettings) -> Callable[[Decision], None]:
    """Records what an operator asks for, durably; the one thing that the API writes, and never evidence."""

    def decide(decision: Decision) -> None:
        with closing(open_evidence(config, given.api.evidence, given.postgresql)) as evidence, evidence.transaction():
            evidence.decide(decision)

    return decide


def check_ready(ledger: SqlLedger) -> None:
    """Nothing, if the ledger has the schema of this release; LedgerNotReady otherwise, since only calc makes it."""
    try:
        ledger.ping()
    except LedgerUnavailable as error:
        raise LedgerNotReady(f"{error}; run hakari project add or hakari calc run first, then the API") from error


def listen(settings: ApiTable) -> socket.socket:
    """A listening socket at the address in the settings; CannotListen says why there is none."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        made = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); choose another host or port"
        ) from error
    made.setblocking(False)
    return made
