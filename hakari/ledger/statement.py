"""The statement of a period: one signed note that names everything its total rests on.

Note text: `hakari statement v1`, one line of JSON, line feed; read only in the form that is written. Exactly
one signature line, by a statement key of the roster. Who may make one is decided in calc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from hakari.errors import DataProblem
from hakari.ledger.result import Decimals, State
from hakari.ledger.types import MAX_ID_CHARS
from hakari.log.note import VerifierKey, open_note, take_apart

HEADER = "hakari statement v1"
VERSION: Literal[1] = 1

ProjectId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=MAX_ID_CHARS)]
Label = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{4}(-[0-9]{2})?\Z|^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
]


class StatementInvalid(DataProblem):
    """Bytes are not a statement in its one form, or not signed by a statement key of the roster."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every part of a statement: frozen, no unknown field."""


class StatedCut(_Part, frozen=True):
    """A cut, the hash of its leaves as the pack holds them, and who cosigned it ("" for nobody)."""

    origin: str
    size: int
    root: str
    leaves_sha256: str
    cosigner: str


class StatedMethodology(_Part, frozen=True):
    """The methodology by its content hash."""

    code: str
    version: str
    sha256: str
    standing: str


class Statement(_Part, frozen=True):
    """What is stated of one period of one project; hashes are SHA-256 in hex, times UTC milliseconds.

    `roster_serial` is that of the roster in force when it was signed; a pack never holds an older one.
    """

    v: Literal[1]
    state: State
    project: ProjectId
    project_sha256: str
    roster_serial: int
    label: Label
    zone: str
    start_ms: int
    end_ms: int
    cuts: list[StatedCut]
    configurations: list[str]
    methodology: StatedMethodology
    parameters_sha256: str
    rules_version: str
    rules_sha256: str
    lines: int
    reference_tco2: Decimals | None
    project_tco2: Decimals | None
    reductions_tco2: Decimals | None
    reductions_whole_tco2: int | None
    result_sha256: str


def text_of(statement: Statement) -> str:
    """The note text to sign."""
    return f"{HEADER}\n{msgspec.json.encode(statement).decode()}\n"


def open_statement(note: bytes, keys: Sequence[VerifierKey]) -> Statement:
    """The statement in `note`, signed by one of `keys` and by nobody else; a DataProblem says what is wrong."""
    text = _text(note)
    open_note(note, keys)
    return _parse(text)


def peek_statement(note: bytes) -> Statement:
    """The statement in `note`, nothing verified: for one that was signed and stored here."""
    return _parse(_text(note))


def _text(note: bytes) -> str:
    parts = take_apart(note)
    if not parts.text.startswith(f"{HEADER}\n") or len(parts.signatures) != 1:
        raise StatementInvalid(f"statement does not begin with {HEADER!r}, or has not exactly one signature line")
    return parts.text


def _parse(text: str) -> Statement:
    try:
        statement = msgspec.json.decode(text.partition("\n")[2].encode(), type=Statement)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StatementInvalid(f"statement cannot be read: {error}") from error
    if text_of(statement) != text:
        raise StatementInvalid("statement is not in its one form")
    return statement
