"""Making statements and packs of a result: hashes of leaves, cosignatures, signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from calc.statement import Statement, sign_statement, state_of
from hakari.ledger.result import PeriodResult, encode
from hakari.log.checkpoint import Checkpoint
from hakari.log.mark import Cosigner, cosign
from hakari.log.note import SigningKey
from hakari.names import Origin
from hakari.pack.layout import PROJECT, README, RESULT, ROSTER, STATEMENT, readme, record
from hakari.pack.writer import PackParts, write_pack
from hakari.store.evidence import EvidenceLog


class Keys(NamedTuple):
    """What a room that states needs: its signing key, the roster as signed, ingest's cosigner where it has one."""

    statement: SigningKey
    roster_note: bytes
    cosigner: Cosigner | None


def statement_of(result: PeriodResult, cuts: Sequence[Checkpoint], log: EvidenceLog, keys: Keys) -> Statement:
    """The statement of `result`, not signed yet."""
    leaves = {str(cut.origin): leaves_sha256(cut, log) for cut in cuts}
    cosigners = {str(cut.origin): keys.cosigner.name for cut in cuts} if keys.cosigner else {}
    return state_of(result, leaves, cosigners)


def leaves_sha256(cut: Checkpoint, log: EvidenceLog) -> str:
    """The hash (hex) of the leaves below a cut as a pack holds them."""
    digest = hashlib.sha256()
    for leaf in log.leaves(cut.origin, 0, cut.size):
        digest.update(record(leaf.deflated))
    return digest.hexdigest()


def signed(result: PeriodResult, cuts: Sequence[Checkpoint], log: EvidenceLog, keys: Keys) -> bytes:
    """The signed statement of `result`."""
    return sign_statement(statement_of(result, cuts, log, keys), keys.statement)


class Packed(NamedTuple):
    """What goes into a pack beside leaves."""

    result: PeriodResult
    project_document: str
    statement: bytes
    cuts: Sequence[Checkpoint]


def pack_to(path: Path, packed: Packed, log: EvidenceLog, keys: Keys, now_s: int) -> str:
    """Writes the evidence pack to `path`; returns its SHA-256 (hex). `now_s` is the time of the marks, UTC seconds."""
    marks: dict[Origin, bytes] = {}
    if keys.cosigner is not None:
        marks = {cut.origin: cosign(cut, keys.cosigner, now_s) for cut in packed.cuts}
    single = {
        README: readme(packed.result.project, packed.result.label).encode(),
        PROJECT: packed.project_document.encode(),
        RESULT: encode(packed.result).encode(),
        ROSTER: keys.roster_note,
        STATEMENT: packed.statement,
    }
    return write_pack(path, PackParts(single, packed.cuts, marks), log)
