"""The container: a ZIP with one form, so that equal contents are equal bytes.

Guaranteed: `parse` accepts only what `local_header`, the contents and `directory` write: stored entries, sorted
by name with the manifest last, fixed date and attributes, no comment, no extra field, no gap. A changed bit
anywhere is either refused here or changes the content of an entry.
Source of the layout: PKWARE APPNOTE 6.3.9 sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from hakari.errors import DataProblem

MANIFEST = "manifest.json"
MAX_PACK_BYTES = 2**31 - 1
MAX_ENTRIES = 5000
MAX_NAME_CHARS = 160

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_MADE_BY = 3 << 8 | _VERSION
_DATE = 1 << 5 | 1  # 1 January 1980, the first day that the format knows
_ATTRIBUTES = 0o100644 << 16
_EDGE = r"[a-z0-9]+(?:-[a-z0-9]+)+"
_EPOCH = r"(?:0|[1-9][0-9]{0,12})"
_NAME = re.compile(
    rf"README\.txt|manifest\.json|project\.toml|result\.json|roster\.note|statement\.note"
    rf"|leaves/{_EDGE}/{_EPOCH}\.leaves|checkpoints/{_EDGE}/{_EPOCH}\.(?:note|mark)"
)


class PackMalformed(DataProblem):
    """Bytes are not a pack in its one form; the sentence names the entry."""


class Entry(NamedTuple):
    """One stored entry: its name, CRC-32, size and where its local header begins."""

    name: str
    crc: int
    size: int
    offset: int


def check_name(name: str) -> str:
    """`name` itself when it is one that a pack can hold; PackMalformed otherwise."""
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise PackMalformed(f"pack entry {name[:MAX_NAME_CHARS]!r} is not a name that a pack holds")
    return name


def order(name: str) -> tuple[bool, str]:
    """The key that entries are sorted by: the manifest last, the others by name."""
    return name == MANIFEST, name


def local_header(entry: Entry) -> bytes:
    """What stands before an entry's content."""
    name = entry.name.encode("ascii")
    fixed = (b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, entry.crc, entry.size, entry.size, len(name), 0)
    return _LOCAL.pack(*fixed) + name


def directory(entries: list[Entry], offset: int) -> bytes:
    """What stands after the last content: the central directory, which begins at `offset`, and its end."""
    central = b"".join(_central(entry) for entry in entries)
    count = len(entries)
    return central + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), offset, 0)


def _central(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    sizes = (entry.crc, entry.size, entry.size, len(name))
    fixed = (b"PK\x01\x02", _MADE_BY, _VERSION, 0, 0, 0, _DATE, *sizes, 0, 0, 0, 0, _ATTRIBUTES, entry.offset)
    return _CENTRAL.pack(*fixed) + name


def parse(data: bytes) -> dict[str, memoryview]:
    """The contents by name; PackMalformed unless writing them again gives exactly `data`."""
    if len(data) > MAX_PACK_BYTES:
        raise PackMalformed(f"pack has {len(data)} bytes, limit {MAX_PACK_BYTES}")
    view = memoryview(data)
    entries: list[Entry] = []
    contents: dict[str, memoryview] = {}
    offset = 0
    while bytes(view[offset : offset + 4]) == b"PK\x03\x04":
        entry, content = _entry(view, offset)
        if len(entries) == MAX_ENTRIES:
            raise PackMalformed(f"pack has more than {MAX_ENTRIES} entries")
        if entries and order(entries[-1].name) >= order(entry.name):
            raise PackMalformed(f"pack entry {entry.name} stands twice or out of order")
        entries.append(entry)
        contents[entry.name] = content
        offset += len(local_header(entry)) + entry.size
    expected = directory(entries, offset)
    if not entries or view[offset:] != expected:
        last = entries[-1].name if entries else "the beginning"
        raise PackMalformed(f"pack is cut off or altered after {last}: its directory is not that of its entries")
    return contents


def _entry(view: memoryview, offset: int) -> tuple[Entry, memoryview]:
    header = bytes(view[offset : offset + _LOCAL.size])
    if len(header) < _LOCAL.size:
        raise PackMalformed(f"pack is cut off inside a header at byte {offset}")
    fields = _LOCAL.unpack(header)
    size, name_length = fields[8], fields[9]
    start = offset + _LOCAL.size + name_length
    try:
        name = check_name(bytes(view[offset + _LOCAL.size : start]).decode("ascii"))
    except UnicodeDecodeError as error:
        raise PackMalformed(f"pack has an entry at byte {offset} whose name is not ASCII") from error
    content = view[start : start + size]
    if len(content) != size:
        raise PackMalformed(f"pack is cut off inside {name}: {len(content)} of {size} bytes")
    entry = Entry(name, zlib.crc32(content), size, offset)
    if view[offset:start] != local_header(entry):
        raise PackMalformed(f"pack entry {name} is damaged: its header or checksum does not fit its content")
    return entry, content
