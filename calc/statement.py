"""What a statement says of a result, and its signature; its form is in `hakari.ledger.statement`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from hakari.ledger.result import Cut, PeriodResult, encode, sha256_of
from hakari.ledger.statement import (
    HEADER,
    VERSION,
    StatedCut,
    StatedMethodology,
    Statement,
    StatementInvalid,
    open_statement,
    peek_statement,
    text_of,
)
from hakari.log.note import SigningKey, sign

__all__ = [
    "HEADER",
    "VERSION",
    "StatedCut",
    "StatedMethodology",
    "Statement",
    "StatementInvalid",
    "open_statement",
    "parameters_sha256",
    "peek_statement",
    "sign_statement",
    "state_of",
    "text_of",
]


def state_of(
    result: PeriodResult, leaves: Mapping[str, str], cosigners: Mapping[str, str], roster_serial: int
) -> Statement:
    """The statement of `result`; `leaves` and `cosigners` give hash and cosigner by origin."""
    return Statement(
        v=VERSION,
        state=result.state,
        project=result.project,
        project_sha256=result.project_sha256,
        roster_serial=roster_serial,
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
    """The hash of the parameter set as the result shows it, with that of its equipment and classes where it has any."""
    constants = result.methodology.constants
    of_equipment = [(one.id, one.class_, one.units, one.parameters, one.class_values) for one in result.equipment]
    shown = [result.parameters, constants, of_equipment] if constants or of_equipment else result.parameters
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()


def sign_statement(statement: Statement, key: SigningKey) -> bytes:
    """The signed note of `statement`."""
    return sign(text_of(statement), key)
