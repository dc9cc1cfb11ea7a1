"""The note beside a backup: what ingest says, under its cosigning key, that the file held when it was written.

Guaranteed: a file that a note vouches for is that file, byte for byte; of another one the differences are named.
Signatures of edges find an altered leaf; only the note finds leaves cut off at the end of an origin, whole origins,
decisions, times and quarantined messages. It proves nothing against whoever holds the cosigning key.
Text: `hakari backup v1`, one line of JSON, line feed, with a C2SP cosignature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from hakari.errors import BadConfiguration, DataProblem, Refused
from hakari.log.keyfile import write_new
from hakari.log.mark import Cosigner, cosign_text, open_cosigned
from hakari.log.note import MAX_NOTE_BYTES, NoteInvalid, VerifierKey
from hakari.period import time_text
from hakari.smallfile import TooLarge, read_bytes
from hakari.store.evidence_copy import TABLES, Copied, digest, rows_of, source_file
from hakari.store.evidence_sqlite import SqliteEvidenceLog

HEADER = "hakari backup v1"
ENDING = ".note"
MAX_DIFFERENCES = 20
_NOTE_MODE = 0o644


class BackupNoteInvalid(DataProblem):
    """A backup's note cannot be read, is by no cosigner of the roster, or is of another file."""


class BackupNoteMissing(Refused):
    """A backup has no note beside it."""


class BackupKeyUnknown(BadConfiguration):
    """The cosigning key is not one that the roster has."""


class OriginHeld(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One origin in the backup; `root` in hex."""

    size: int
    root: str
    frozen: bool


class TableHeld(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table in the backup: its rows, and the SHA-256 (hex) over all of them in their order."""

    rows: int
    sha256: str


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup's file is: its SHA-256 and size in bytes, every origin by its text, every table by its name."""

    sha256: str
    bytes: int
    origins: dict[str, OriginHeld]
    tables: dict[str, TableHeld]


class Vouched(NamedTuple):
    """What a note says, which cosigner says it, and when (UTC seconds)."""

    held: Held
    signer: str
    time_s: int

    def __str__(self) -> str:
        return f"{self.signer} at {time_text(self.time_s * 1000)}"


def note_of(file: Path) -> Path:
    """Where the note of the backup `file` stands."""
    return file.with_name(file.name + ENDING)


def held_in(file: Path, copied: Copied) -> Held:
    """Everything that a note says of the backup `file`; errors: EvidenceStoreFailed, StoreUnknown."""
    with closing(SqliteEvidenceLog(file, read_only=True)) as log:
        heads = {str(origin): log.head(origin) for origin in log.origins()}
    origins = {name: OriginHeld(head.size, head.root.hex(), head.frozen) for name, head in heads.items()}
    with closing(source_file(file)) as source, source.snapshot():
        tables = {name: _table(rows_of(source, name, lambda _: None)) for name in TABLES}
    return Held(copied.sha256, copied.bytes, origins, tables)


def write_note(file: Path, held: Held, cosigner: Cosigner, time_s: int) -> None:
    """Writes the note of what will be the backup `file`; errors: KeyFileExists, KeyFileInvalid, NoteInvalid."""
    text = f"{HEADER}\n{msgspec.json.encode(held).decode()}\n"
    write_new(note_of(file), cosign_text(text, cosigner, time_s), _NOTE_MODE)


def read_note(file: Path, cosigners: Sequence[VerifierKey]) -> Vouched | None:
    """What the note of `file` says, signed by one of `cosigners`; None where there is none.

    Errors: BackupNoteInvalid.
    """
    place = note_of(file)
    try:
        said = open_cosigned(read_bytes(place, MAX_NOTE_BYTES), cosigners)
        header, _, line = said.text.partition("\n")
        held = msgspec.json.decode(line, type=Held)
    except FileNotFoundError:
        return None
    except (NoteInvalid, TooLarge, msgspec.DecodeError, RecursionError) as error:
        raise BackupNoteInvalid(
            f"note {place} cannot be believed: {str(error)[:300]}; the roster's cosigners sign notes of backups"
        ) from error
    except OSError as error:
        raise BackupNoteInvalid(f"note {place} cannot be read ({error.strerror}); check who may read it") from error
    if header != HEADER or f"{HEADER}\n{msgspec.json.encode(held).decode()}\n" != said.text:
        raise BackupNoteInvalid(f"note {place} is not one of a backup in its one form; take the backup's own note")
    return Vouched(held, said.signer, said.time_s)


def differing(file: Path, vouched: Vouched) -> list[str]:
    """What is other in `file` than its note says, at most 20 sentences; none where it is that file."""
    copied = digest(file)
    if (copied.sha256, copied.bytes) == (vouched.held.sha256, vouched.held.bytes):
        return []
    found = held_in(file, copied)
    told = [*_origins(found.origins, vouched.held.origins), *_tables(found.tables, vouched.held.tables)]
    if not told:
        told = [f"its bytes are others (SHA-256 {copied.sha256}), though it holds the same rows"]
    more = len(told) - MAX_DIFFERENCES
    return [*told[:MAX_DIFFERENCES], f"{more} more differences"] if more > 0 else told


def _table(rows: Iterator[tuple[object, ...]]) -> TableHeld:
    count, found = 0, hashlib.sha256()
    for row in rows:
        found.update(msgspec.msgpack.encode(row))
        count += 1
    return TableHeld(count, found.hexdigest())


def _origins(found: Mapping[str, OriginHeld], noted: Mapping[str, OriginHeld]) -> Iterator[str]:
    for name in sorted(found.keys() | noted.keys()):
        now, then = found.get(name), noted.get(name)
        if now is None or then is None:
            yield f"origin {name} is {'missing' if now is None else 'not in the note'}"
        elif now.size != then.size:
            yield f"origin {name} has {now.size} leaves, the note says {then.size}"
        elif now != then:
            yield f"origin {name} has another root or state than the note says"


def _tables(found: Mapping[str, TableHeld], noted: Mapping[str, TableHeld]) -> Iterator[str]:
    for name in TABLES:
        now, then = found[name], noted.get(name)
        if then is None or now.rows != then.rows:
            yield f"table {name} has {now.rows} rows, the note says {then.rows if then else 'nothing of it'}"
        elif now != then:
            yield f"table {name} has {now.rows} rows as the note says, and not all of them are the same"
