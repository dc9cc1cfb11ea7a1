"""Backup and restore of the evidence log: one file that anyone with the roster can check, whatever holds the log.

Guaranteed: a backup is called good only after every root in it was derived again, and has a note beside it that
ingest's cosigning key signed; a restore puts a checked backup in the log's place whole, or changes nothing, and stays
on record.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from hakari.errors import DataProblem, Refused
from hakari.log.keyfile import load
from hakari.log.mark import Cosigner
from hakari.log.roster import Roster
from hakari.settings import beside
from hakari.store.evidence import RESTORED, Decision
from hakari.store.evidence_copy import (
    Copied,
    PlaceTaken,
    Progress,
    digest,
    fill,
    put_new,
    source_file,
    swap_in,
    unfinished,
)
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.opened import evidence_tables, restore_to_server
from ingest.evidence.backup_note import (
    BackupKeyUnknown,
    BackupNoteInvalid,
    BackupNoteMissing,
    differing,
    held_in,
    note_of,
    read_note,
    write_note,
)
from ingest.evidence.fsck import Problem, Report, fsck
from ingest.settings import Settings

SUBJECT = "evidence log"


class BackupDamaged(DataProblem):
    """A copy of the evidence log is not what its edges signed."""


class Restoring(NamedTuple):
    """Who restores, why, when (UTC milliseconds), and whether a log that is there is moved away.

    `sha256` (hex) is that of the one file that is wanted, "" for any; `without_note` says why a backup without a note
    is taken, "" to take none.
    """

    who: str
    why: str
    at_ms: int
    replace: bool
    sha256: str = ""
    without_note: str = ""


class Restored(NamedTuple):
    """The file that was restored, its leaves, and where the log that was there is now, "" where there was none.

    `vouched` says whose note vouches for it and of when, "" where it was taken without one.
    """

    copied: Copied
    leaves: int
    moved_to: str
    vouched: str


def cosigner_of(config: Path, given: Settings, roster: Roster) -> Cosigner:
    """The key that signs notes of backups; BackupKeyUnknown where whoever restores would not believe it."""
    key = load(beside(config, given.ingest.cosigner_key_file))
    cosigner = Cosigner(given.ingest.cosigner_name, key)
    if cosigner.verifier not in roster.cosigner_keys():
        raise BackupKeyUnknown(
            f"[ingest].cosigner_name and cosigner_key_file are {cosigner.verifier}, which the roster does not have: no"
            " restore would believe the backup's note; let the owner add it: hakari keys roster add-cosigner"
        )
    return cosigner


def backup(
    config: Path, given: Settings, roster: Roster, file: Path, time_s: int, progress: Progress
) -> tuple[Copied, Report]:
    """Writes the evidence log that `given` names into the new file `file`, as of one moment, and checks it there.

    Its note, of `time_s` (UTC seconds), is written before it. Errors: PlaceTaken, EvidenceStoreFailed, BackupDamaged,
    BackupKeyUnknown; then `file` is not there.
    """
    cosigner = cosigner_of(config, given, roster)
    for place in (file, note_of(file)):
        if place.exists():
            raise PlaceTaken(f"file {place} exists and is not overwritten; choose another name or move it")
    with unfinished(file) as made:
        with evidence_tables(config, given.ingest.evidence, given.postgresql) as source:
            fill(made, source, progress)
        report = checked(made, roster)
        write_note(file, held_in(made, digest(made)), cosigner, time_s)
        put_new(made, file)
    return digest(file), report


def checked(file: Path, roster: Roster, progress: Callable[[int], None] = lambda _: None) -> Report:
    """The report over a backup without a problem; BackupDamaged where it has one."""
    with closing(SqliteEvidenceLog(file, read_only=True)) as log:
        report = fsck(log, roster, progress)
    if report.problem_count:
        first = report.problems[0]
        raise BackupDamaged(
            f"{file}: {report.problem_count} problems, the first: {first.origin}, leaf {first.leaf}: {first.text};"
            " take another backup, or see: hakari log fsck"
        )
    return report


def noted(file: Path, roster: Roster, report: Report) -> Report:
    """The report over the evidence log in `file` with what its note says, where it is a backup and has one."""
    try:
        vouched = read_note(file, roster.cosigner_keys())
        told = [] if vouched is None else differing(file, vouched)
    except BackupNoteInvalid as error:
        vouched, told = None, [str(error)]
    name = note_of(file).name
    ending = "" if vouched is None else f" (is it a backup? if the log has gone on since, move {name} away)"
    problems = [Problem(name, None, text + ending) for text in told]
    return msgspec.structs.replace(
        report,
        problem_count=report.problem_count + len(problems),
        problems=[*problems, *report.problems],
        vouched="" if vouched is None or told else str(vouched),
    )


def vouched_for(file: Path, roster: Roster, without_note: str) -> str:
    """Who vouches for the backup `file` and when; "" where it has no note and `without_note` says why it is taken.

    Errors: BackupNoteMissing, BackupNoteInvalid, BackupDamaged with what is other than the note says.
    """
    note = note_of(file)
    vouched = read_note(file, roster.cosigner_keys())
    if vouched is None and not without_note:
        raise BackupNoteMissing(
            f"{file}: there is no {note.name} beside it, so leaves, decisions and times may be missing or altered in it"
            " unseen; find the note, or say why it is taken all the same: --without-note REASON"
        )
    if vouched is None:
        return ""
    if without_note:
        raise Refused(f"{note} is there; leave --without-note out, or move the note away if it is not of this backup")
    if told := differing(file, vouched):
        raise BackupDamaged(f"{file} is not the backup that {vouched} signed for: {'; '.join(told)}; take another one")
    return str(vouched)


def restore(
    config: Path, given: Settings, roster: Roster, file: Path, wanted: Restoring, progress: Progress
) -> Restored:
    """Puts the backup `file` where `given` says that the evidence log is, and records it as a decision.

    Errors: BackupDamaged, BackupNoteMissing, BackupNoteInvalid, PlaceTaken, EvidenceStoreFailed; then nothing has
    changed.
    """
    copied = digest(file)
    if wanted.sha256 and wanted.sha256 != copied.sha256:
        raise BackupDamaged(
            f"{file}: its SHA-256 is {copied.sha256}, --sha256 says {wanted.sha256}; find the right file"
        )
    vouched = vouched_for(file, roster, wanted.without_note)
    report = checked(file, roster)
    note = {"note": vouched} if vouched else {"without_note": wanted.without_note}
    told = {"file": file.name, "sha256": copied.sha256, "leaves": report.leaves, **note}
    detail = msgspec.json.encode(told).decode()
    decision = Decision(wanted.at_ms, RESTORED, SUBJECT, wanted.who, wanted.why, detail)
    moved_to = f"replaced_{wanted.at_ms}"
    with closing(source_file(file)) as source:
        if given.postgresql is not None:
            away = moved_to if wanted.replace else ""
            moved = restore_to_server(config, given.postgresql, source, decision, away, progress)
            return Restored(copied, report.leaves, moved, vouched)
        place = beside(config, given.ingest.evidence)
        there = place.exists()
        kept = place.with_name(f"{place.name}.{moved_to}") if wanted.replace else None
        with unfinished(place.with_name(f"{place.name}.restored")) as made:
            fill(made, source, progress, decision)
            swap_in(made, place, kept)
    return Restored(copied, report.leaves, str(kept) if there and kept is not None else "", vouched)
