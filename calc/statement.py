"""The statement of a period: one signed note that names everything its total rests on.

Note text: `hakari statement v1`, one line of JSON, line feed; read only in the form that is written. Exactly
one signature line, by a statement key of the roster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from hakari.errors import DataProblem
from hakari.ledger.result import Cut, Decimals, PeriodResult, State, encode, sha256_of
from hakari.log.note import SigningKey, VerifierKey, open_note, sign, take_apart

HEADER = "hakari statement v1"
VERSION: Literal[1] = 1


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
    """What is stated of one period of one project; hashes are SHA-256 in hex, times UTC milliseconds."""

    v: Literal[1]
    state: State
    project: str
    project_sha256: str
    label: str
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


def state_of(result: PeriodResult, leaves: Mapping[str, str], cosigners: Mapping[str, str]) -> Statement:
    """The statement of `result`; `leaves` and `cosigners` give hash and cosigner by origin."""
    return Statement(
        v=VERSION,
        state=result.state,
        project=result.project,
        project_sha256=result.project_sha256,
        label=result.label,
        zone=result.zone,
        start_ms=result.start_ms,
        end_ms=result.end_ms,
        cuts=[_stated(cut, leaves, cosigners) for cut in result.cuts],
        configurations=result.configurations,
        methodology=StatedMethodology(
            code=result.methodology.code,
            version=result.methodology.version,
            sha256=result.methodology.sha256,
            standing=result.methodology.standing,
        ),
        parameters_sha256=parameters_sha256(result),
        rules_version=result.rules_version,
        rules_sha256=result.rules_sha256,
        lines=len(result.lines),
        reference_tco2=result.reference_tco2,
        project_tco2=result.project_tco2,
        reductions_tco2=result.reductions_tco2,
        reductions_whole_tco2=result.reductions_whole_tco2,
        result_sha256=sha256_of(encode(result)),
    )


def _stated(cut: Cut, leaves: Mapping[str, str], cosigners: Mapping[str, str]) -> StatedCut:
    return StatedCut(
        origin=cut.origin,
        size=cut.size,
        root=cut.root,
        leaves_sha256=leaves[cut.origin],
        cosigner=cosigners.get(cut.origin, ""),
    )


def parameters_sha256(result: PeriodResult) -> str:
    """The hash of the parameter set as the result shows it."""
    return hashlib.sha256(msgspec.json.encode(result.parameters)).hexdigest()


def text_of(statement: Statement) -> str:
    """The note text to sign."""
    return f"{HEADER}\n{msgspec.json.encode(statement).decode()}\n"


def sign_statement(statement: Statement, key: SigningKey) -> bytes:
    """The signed note of `statement`."""
    return sign(text_of(statement), key)


def open_statement(note: bytes, keys: Sequence[VerifierKey]) -> Statement:
    """The statement in `note`, signed by one of `keys` and by nobody else; a DataProblem says what is wrong."""
    statement = peek_statement(note)
    open_note(note, keys)
    return statement


def peek_statement(note: bytes) -> Statement:
    """The statement in `note`, nothing verified: to go on finding what else is wrong."""
    parts = take_apart(note)
    header, _, rest = parts.text.partition("\n")
    if header != HEADER or len(parts.signatures) != 1:
        raise StatementInvalid(f"statement does not begin with {HEADER!r}, or has not exactly one signature line")
    try:
        statement = msgspec.json.decode(rest.encode(), type=Statement)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StatementInvalid(f"statement cannot be read: {error}") from error
    if text_of(statement) != parts.text:
        raise StatementInvalid("statement is not in its one form")
    return statement
