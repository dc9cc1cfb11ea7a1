"""Writing a pack: leaves are streamed from the evidence log, the file appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hakari.errors import BadConfiguration, DataProblem
from hakari.log.checkpoint import Checkpoint
from hakari.log.gone import WORD_BYTES
from hakari.names import Origin
from hakari.pack.container import (
    MANIFEST,
    MAX_PACK_BYTES,
    Entry,
    PackMalformed,
    check_name,
    directory,
    local_header,
    order,
)
from hakari.pack.layout import HashOnly, Listed, hash_record, manifest_text, names_of_origin, record
from hakari.store.evidence import EvidenceLog
from hakari.store.forgone import forgone_of
from hakari.wire.forgone import covering

MAX_OVERHEAD_BYTES = 2**20


class PackNotWritten(BadConfiguration):
    """The pack's file cannot be written there."""


class EvidenceMissing(DataProblem):
    """The evidence log lacks a leaf or checkpoint below the cut."""


class PackParts(NamedTuple):
    """What a pack holds beside leaves: single entries by name, the cut of each origin, marks by origin."""

    single: Mapping[str, bytes]
    cuts: Sequence[Checkpoint]
    marks: Mapping[Origin, bytes]


def write_pack(path: Path, parts: PackParts, log: EvidenceLog) -> str:
    """Writes the pack to `path`, replacing a file that is there; returns its SHA-256 (hex).

    Errors: PackNotWritten, EvidenceMissing, PackMalformed when it grows beyond its limit.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("w+b") as file:
            write_into(file, _entries(parts, log))
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(path)
    except OSError as error:
        raise PackNotWritten(f"pack {path} cannot be written: {error.strerror}; choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def write_into(file: BinaryIO, contents: Mapping[str, Iterable[bytes]]) -> None:
    """Writes the container of `contents` (chunks by name) and its manifest into an empty seekable file."""
    entries: list[Entry] = []
    listed: list[Listed] = []
    for name in sorted(contents, key=order):
        entry, sha256 = _write_entry(file, check_name(name), contents[name])
        entries.append(entry)
        listed.append(Listed(name, entry.size, sha256))
    entries.append(_write_entry(file, MANIFEST, [manifest_text(listed).encode()])[0])
    file.write(directory(entries, file.tell()))


def _write_entry(file: BinaryIO, name: str, chunks: Iterable[bytes]) -> tuple[Entry, str]:
    """Content first, then the header in front of it, since size and checksum are known only then."""
    offset = file.tell()
    file.seek(len(local_header(Entry(name, 0, 0, offset))), os.SEEK_CUR)
    size = crc = 0
    digest = hashlib.sha256()
    for chunk in chunks:
        file.write(chunk)
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        digest.update(chunk)
        if offset + size > MAX_PACK_BYTES - MAX_OVERHEAD_BYTES:
            raise PackMalformed(f"pack grows beyond {MAX_PACK_BYTES} bytes at {name}; choose a shorter period")
    entry = Entry(name, crc, size, offset)
    end = file.tell()
    file.seek(offset)
    file.write(local_header(entry))
    file.seek(end)
    return entry, digest.hexdigest()


def _entries(parts: PackParts, log: EvidenceLog) -> dict[str, Iterable[bytes]]:
    contents: dict[str, Iterable[bytes]] = {name: [content] for name, content in parts.single.items()}
    for cut in parts.cuts:
        names = names_of_origin(cut.origin)
        last = log.leaf(cut.origin, cut.size - 1)
        if last is None:
            raise EvidenceMissing(f"evidence log has no leaf {cut.size - 1} of {cut.origin}; run: hakari log fsck")
        contents[names.leaves] = leaf_records(cut, log)
        contents[names.checkpoint] = [last.checkpoint]
        if cut.origin in parts.marks:
            contents[names.mark] = [parts.marks[cut.origin]]
    return contents


def leaf_records(cut: Checkpoint, log: EvidenceLog) -> Iterator[bytes]:
    """The leaves below `cut` as they stand in a pack; EvidenceMissing where one lacks."""
    count = 0
    for one in leaves_below(cut, log):
        yield hash_record(one) if isinstance(one, HashOnly) else record(one)
        count += 1
    if count != cut.size:
        raise EvidenceMissing(f"evidence log has no leaf {count} of {cut.origin}; run: hakari log fsck")


def leaves_below(cut: Checkpoint, log: EvidenceLog) -> Iterator[bytes | HashOnly]:
    """The deflated leaves below `cut` up to the first that is not there; of a lost body its hash and decision.

    EvidenceMissing where a body is not there and no decision or no word of its edge says so.
    """
    decisions = None
    for count, leaf in enumerate(log.leaves(cut.origin, 0, cut.size)):
        if leaf.i != count:
            return
        if leaf.deflated:
            yield leaf.deflated
            continue
        decisions = forgone_of(log, cut.origin) if decisions is None else decisions
        forgone = covering(decisions, leaf.i)
        if forgone is None:
            raise EvidenceMissing(
                f"leaf {leaf.i} of {cut.origin} has no body, and no decision says so: hakari log fsck"
            )
        if len(leaf.gone) != WORD_BYTES:
            raise EvidenceMissing(
                f"leaf {leaf.i} of {cut.origin} has no body, and its edge has not signed so: hakari log fsck"
            )
        yield HashOnly(leaf.leaf_hash, forgone, leaf.gone)
