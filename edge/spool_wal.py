"""Whether the log that SQLite left beside a spool is whole, looked at before SQLite reads it. Reads files only.

SQLite takes a log up to its first frame with a wrong checksum and leaves out the rest: right after a power cut, when
that was never committed, and silent after a bit turned over in what was. They differ: a commit is synced before the
next transaction is written, so that an intact commit that is followed by another intact frame was committed.
Format: sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import BinaryIO, NamedTuple

SUM_MASK = 0xFFFFFFFF
MAGIC = 0x377F0682
MAX_FRAMES = 1_000_000
_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_DATABASE = struct.Struct(">16xH")

Sum = tuple[int, int]


class Left(Enum):
    """WHOLE: all that is there was committed; UNFINISHED: the last write was cut off, or is damaged; DAMAGED."""

    WHOLE = "whole"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"


class Frame(NamedTuple):
    """A page in the log. `told` is its own checksum, `intact` that it follows from the frame before it."""

    page: int
    commit: bool
    current: bool
    intact: bool
    told: Sum
    content: bytes


def left_behind(spool: Path) -> Left:
    """The state of the log beside `spool`; one that is not there, empty or unreadable is left to SQLite to judge."""
    with contextlib.suppress(OSError), Path(f"{spool}-wal").open("rb") as log:
        raw = log.read(_HEADER.size)
        if len(raw) == _HEADER.size:
            return _judged(log, raw, spool)
    return Left.WHOLE


def _judged(log: BinaryIO, raw: bytes, spool: Path) -> Left:
    magic, _, page_bytes, _, salt_1, salt_2, *told = _HEADER.unpack(raw)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != MAGIC or summed(raw[:24], (0, 0), order) != tuple(told):
        return Left.WHOLE if _is_folded(log, spool) else Left.DAMAGED
    sound, missed, committed = True, False, False
    for frame in _frames(log, page_bytes, (salt_1, salt_2), (told[0], told[1]), order):
        sound = sound and frame.intact
        if sound:
            continue
        if committed and frame.intact:
            return Left.DAMAGED
        missed = missed or frame.current
        committed = frame.intact and frame.commit
    return Left.UNFINISHED if missed else Left.WHOLE


def _frames(log: BinaryIO, page_bytes: int, salts: Sum, before: Sum, order: str) -> Iterator[Frame]:
    for _ in range(MAX_FRAMES):
        raw = log.read(_FRAME.size + page_bytes)
        if len(raw) < _FRAME.size + page_bytes:
            return
        page, size, salt_1, salt_2, *told = _FRAME.unpack_from(raw)
        content, current = raw[_FRAME.size :], (salt_1, salt_2) == salts
        intact = current and summed(content, summed(raw[:8], before, order), order) == tuple(told)
        before = (told[0], told[1])
        yield Frame(page, bool(size), current, intact, before, content)


def summed(content: bytes, before: Sum, order: str) -> Sum:
    """SQLite's checksum of `content`, whose length is a multiple of 8, on top of `before`."""
    one, two = before
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & SUM_MASK
        two = (two + second + one) & SUM_MASK
    return one, two


def _is_folded(log: BinaryIO, spool: Path) -> bool:
    """Whether the database has every page of a log whose header is broken, so that nothing is lost with it."""
    with spool.open("rb") as database:
        head = database.read(_DATABASE.size)
        if len(head) < _DATABASE.size:
            return False
        (told,) = _DATABASE.unpack(head)
        page_bytes = 65536 if told == 1 else told
        newest = {frame.page: frame.content for frame in _frames(log, page_bytes, (0, 0), (0, 0), ">")}
        for page, content in newest.items():
            database.seek((page - 1) * page_bytes if page else 0)
            if database.read(page_bytes) != content:
                return False
    return True
