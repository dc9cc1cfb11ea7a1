"""The ledger's records, frozen. Times are UTC milliseconds, hashes SHA-256 in hex, periods `[start, end)`."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from hakari.errors import BadConfiguration

MAX_ID_CHARS = 100
ALL_PROJECTS = "*"

Kind = Literal["month", "year", "custom"]
State = Literal["open", "closed", "submitted", "locked", "verified", "issued", "superseded"]
Role = Literal["verifier", "operator"]

FINAL: frozenset[State] = frozenset({"locked", "verified", "issued", "superseded"})
"""States in which nothing but the state may change any more."""

NEXT: dict[State, State] = {
    "open": "closed",
    "closed": "submitted",
    "submitted": "locked",
    "locked": "verified",
    "verified": "issued",
}
"""One step forward each; `superseded` is reached only through `Ledger.supersede`."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BadId(BadConfiguration):
    """A project or period id cannot stand in an address, a file name and a database alike."""


class ProjectRecord(msgspec.Struct, frozen=True):
    """One registration of a project.

    `document` is the exact project TOML, `zone` the IANA time zone of the plant, `namespace` that of its
    edges' origins.
    """

    project_id: str
    name: str
    country: str
    zone: str
    namespace: str
    methodology_code: str
    methodology_version: str
    methodology_sha256: str
    document: str
    document_sha256: str
    registered_ms: int


class PeriodRecord(msgspec.Struct, frozen=True):
    """One version of a monitoring period `[start_ms, end_ms)`.

    `result_json` is the JSON of `hakari.ledger.result.PeriodResult`; `statement` the signed note of a
    locked period, "" before; `supersedes` the period id of the version before, None for version 1.
    """

    period_id: str
    project_id: str
    kind: Kind
    start_ms: int
    end_ms: int
    zone: str
    version: int
    state: State
    result_json: str
    result_sha256: str
    statement: str
    supersedes: str | None
    computed_ms: int


class TokenRecord(msgspec.Struct, frozen=True):
    """A bearer token, known by its hash only; `projects` are ids, or `*` for every project."""

    token_sha256: str
    name: str
    role: Role
    projects: tuple[str, ...]
    created_ms: int
    expires_ms: int
    revoked: bool = False


def check_id(text: str, what: str) -> str:
    """`text` itself when it can be a project or period id; BadId otherwise."""
    if len(text) > MAX_ID_CHARS or not _ID.fullmatch(text):
        raise BadId(
            f"{what} {text[:MAX_ID_CHARS]!r} must begin with a letter or digit and be of letters, digits, . _ and -,"
            f" at most {MAX_ID_CHARS} characters"
        )
    return text
