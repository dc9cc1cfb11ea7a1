"""`hakari api run` and `hakari user token …`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from api.auth import hash_of, new_token
from api.settings import read
from hakari.cli.output import json_text, show, table
from hakari.errors import BadConfiguration, Refused
from hakari.ledger.port import LedgerRefused
from hakari.ledger.types import ALL_PROJECTS, Role, TokenRecord, check_id
from hakari.period import time_text
from hakari.store.ledger_sql import SqlLedger

DAY_MS = 86_400_000
MAX_DAYS = 3660
MAX_NAME_CHARS = 100

_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("api.toml"),
    show_default=True,
    help="The API's settings file.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class TokenUnknown(Refused):
    """There is no token of that name."""


class BadTokenName(BadConfiguration):
    """A token's name cannot be used."""


@click.group()
def api() -> None:
    """Serve the HTTP API."""


@api.command("run")
@_config
@_json
def run(config: Path, as_json: bool) -> None:
    """Serve until SIGTERM; prints the address first."""
    from api.run import serve  # noqa: PLC0415 - the other commands need no web server

    def announce(address: str) -> None:
        click.echo(json_text({"address": address}) if as_json else f"API at {address} (addresses: {address}/docs)")
        sys.stdout.flush()

    serve(config, announce)


@click.group()
def user() -> None:
    """Create and revoke the API's users."""


@user.group()
def token() -> None:
    """Tokens with which verifiers read the API."""


@token.command("create")
@_config
@click.option("--role", type=click.Choice(["verifier", "operator"]), default="verifier", show_default=True)
@click.option("--project", "projects", multiple=True, required=True, help="A project id, or * for all; repeatable.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=90, show_default=True, help="Valid for so long.")
@click.option("--name", default=None, help="To revoke it by; made up where it is not given.")
@_json
def create(config: Path, role: Role, projects: tuple[str, ...], days: int, name: str | None, as_json: bool) -> None:
    """Make a token and print it, this once."""
    secret = new_token()
    digest = hash_of(secret)
    now = _now_ms()
    record = TokenRecord(
        token_sha256=digest,
        name=_checked_name(f"{role}-{digest[:8]}" if name is None else name),
        role=role,
        projects=tuple(one if one == ALL_PROJECTS else check_id(one, "project id") for one in projects),
        created_ms=now,
        expires_ms=now + days * DAY_MS,
    )
    ledger = _ledger(config)
    try:
        for project in record.projects:
            if project != ALL_PROJECTS and ledger.project(project) is None:
                raise LedgerRefused(f"project {project!r} is not registered; register it first, or use * for all")
        ledger.put_token(record)
    finally:
        ledger.close()
    text = f"{secret}\nname {record.name}, reads {', '.join(record.projects)}, expires {time_text(record.expires_ms)}"
    show({"token": secret, **_shown(record)}, f"{text}\nKeep it now: it is not stored and never shown again.", as_json)


@token.command("list")
@_config
@_json
def list_(config: Path, as_json: bool) -> None:
    """Show tokens, never their secret."""
    ledger = _ledger(config)
    try:
        records = ledger.tokens()
    finally:
        ledger.close()
    now = _now_ms()
    rows = [
        (one.name, one.role, ", ".join(one.projects), time_text(one.expires_ms), _state(one, now)) for one in records
    ]
    show(
        [{**_shown(one), "state": _state(one, now)} for one in records],
        table(("name", "role", "projects", "expires", "state"), rows),
        as_json,
    )


@token.command("revoke")
@_config
@click.argument("name")
@_json
def revoke(config: Path, name: str, as_json: bool) -> None:
    """Revoke the token NAME at once and for ever."""
    ledger = _ledger(config)
    try:
        if not ledger.revoke_token(name):
            raise TokenUnknown(f"there is no token named {name[:MAX_NAME_CHARS]!r}; see: hakari user token list")
    finally:
        ledger.close()
    show({"name": name, "state": "revoked"}, f"{name} is revoked", as_json)


def _ledger(config: Path) -> SqlLedger:
    ledger = SqlLedger(read(config, os.environ).api.ledger)
    ledger.migrate()
    return ledger


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _checked_name(name: str) -> str:
    if not name.isprintable() or not 1 <= len(name) <= MAX_NAME_CHARS:
        raise BadTokenName(f"token name {name[:MAX_NAME_CHARS]!r} must be 1 to {MAX_NAME_CHARS} printable characters")
    return name


def _state(record: TokenRecord, now_ms: int) -> str:
    return "revoked" if record.revoked else "valid" if now_ms < record.expires_ms else "expired"


def _shown(record: TokenRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "role": record.role,
        "projects": list(record.projects),
        "created_at": time_text(record.created_ms),
        "expires_at": time_text(record.expires_ms),
    }
