"""Making statements and packs of a result: hashes of leaves, cosignatures, signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from calc.statement import Statement, sign_statement, state_of
from hakari.ledger.result import PeriodResult, encode
from hakari.log.checkpoint import Checkpoint
from hakari.log.mark import open_mark
from hakari.log.note import SigningKey
from hakari.log.roster import Roster
from hakari.names import Origin
from hakari.pack.layout import PROJECT, README, RESULT, ROSTER, STATEMENT, readme
from hakari.pack.writer import PackParts, leaf_records, write_pack
from hakari.store.evidence import EvidenceLog


class Keys(NamedTuple):
    """What a room that states needs: its signing key and the roster, as signed and as read."""

    statement: SigningKey
    roster_note: bytes
    roster: Roster


def statement_of(result: PeriodResult, cuts: Sequence[Checkpoint], log: EvidenceLog, keys: Keys) -> Statement:
    """The statement of `result`, not signed yet."""
    leaves = {str(cut.origin): leaves_sha256(cut, log) for cut in cuts}
    marks = marks_of(cuts, log)
    known = keys.roster.cosigner_keys()
    cosigners = {str(origin): open_mark(mark, known).signer for origin, mark in marks.items()}
    return state_of(result, leaves, cosigners, keys.roster.serial)


def marks_of(cuts: Sequence[Checkpoint], log: EvidenceLog) -> dict[Origin, bytes]:
    """Ingest's marks at the cuts, of those that have one."""
    found = {cut.origin: log.mark(cut.origin, cut.size) for cut in cuts}
    return {origin: mark for origin, mark in found.items() if mark is not None}


def leaves_sha256(cut: Checkpoint, log: EvidenceLog) -> str:
    """The hash (hex) of the leaves below a cut as a pack holds them."""
    digest = hashlib.sha256()
    for one in leaf_records(cut, log):
        digest.update(one)
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


def pack_to(path: Path, packed: Packed, log: EvidenceLog, keys: Keys) -> str:
    """Writes the evidence pack to `path`; returns its SHA-256 (hex)."""
    single = {
        README: readme(packed.result.project, packed.result.label).encode(),
        PROJECT: packed.project_document.encode(),
        RESULT: encode(packed.result).encode(),
        ROSTER: keys.roster_note,
        STATEMENT: packed.statement,
    }
    return write_pack(path, PackParts(single, packed.cuts, marks_of(packed.cuts, log)), log)
