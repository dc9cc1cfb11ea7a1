"""A closed day of a point as bytes, and its summary: exact for every row that the view takes. Pure.

Block, version 1: version byte, BLAKE2b of 16 bytes over version, place and what follows, then deflated: the number of
rows and ten columns in the order of `Columns`. A column of text is its distinct texts and, of several, a column of
their numbers. A column of integers is the first of these that tells it, by a leading byte:

    0  first, step                      an even course, such as the slots of a whole day
    1  values, lengths                  runs, both columns again, none of them runs
    2  width, first, differences        at least as small as
    3  width, values

Numbers of the head are little-endian; first and step are signed integers of 9 bytes, so that differences between any
two 64-bit patterns fit; arrays are little-endian integers of `width` (an `array` type code).

Damage: the hash tells it, so that no row is ever read wrong; the block is good for nothing then, the view is rebuilt.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain, groupby, islice, repeat
from operator import ne, sub
from typing import NamedTuple

import msgspec

from hakari.quality import Quality
from hakari.store.days import DAY_MS, Columns, Course, Span, Summary
from hakari.store.view import ViewDay
from hakari.wire.rows import Row

VERSION = 1
MAX_ROWS = 200_000
RAW_LIMIT = 1 << 64
NEAR_LIMIT = 1 << 62
MAX_BODY_BYTES = 64 * 1024 * 1024
DEFLATE_LEVEL = 6
HASH_BYTES = 16
FIRST_BYTES = 9
# A run costs two numbers of its own.
RUN_WORTH = 4
SIGNED_WIDTHS = "bhiq"
WIDTHS = SIGNED_WIDTHS + "BHIQ"

_STEP, _RUNS, _DIFFERENCES, _VALUES = range(4)
_COUNT = struct.Struct("<I")
_TEXTS = frozenset({"type", "reason", "boot"})


class BlockDamaged(ValueError):
    """The bytes are not what was packed for that point and day; the text says in what."""


class _Kept(NamedTuple):
    """What is packed of a summary; point and day stand beside it."""

    rows: int
    good_slots: int
    first: Row | None
    last: Row | None
    falls: int
    spans: tuple[Span, ...]


_SUMMARY = msgspec.msgpack.Decoder(_Kept)


def pack(point: str, start_ms: int, columns: Columns) -> bytes:
    """The rows of `point` of the UTC day that starts at `start_ms`; at most MAX_ROWS of them."""
    count = len(columns.t_ms)
    if not 0 < count <= MAX_ROWS:
        raise ValueError(f"a block of {count} rows, limit {MAX_ROWS}")
    body = (
        _COUNT.pack(count), _integers(columns.t_ms), _texts(columns.type), _integers(columns.raw),
        _integers(columns.exponent), _integers(columns.quality), _texts(columns.reason), _integers(columns.epoch),
        _integers(columns.leaf), _texts(columns.boot), _integers(columns.mono_ms),
    )  # fmt: skip
    return _sealed(point, start_ms, zlib.compress(b"".join(body), DEFLATE_LEVEL))


def unpack(point: str, start_ms: int, block: bytes) -> Columns:
    """What `pack` was given for the same point and day; BlockDamaged for anything else."""
    try:
        return _unpack(_opened(point, start_ms, block))
    except BlockDamaged:
        raise
    except (struct.error, zlib.error, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise BlockDamaged(str(error)) from error


def pack_summary(summary: Summary) -> bytes:
    """The summary of a day."""
    day = summary.day
    kept = _Kept(day.rows, day.good_slots, day.first, day.last, day.falls, summary.spans)
    return _sealed(day.point, day.start_ms, msgspec.msgpack.encode(kept))


def unpack_summary(point: str, start_ms: int, packed: bytes) -> Summary:
    """What `pack_summary` was given for that point and day; BlockDamaged for anything else."""
    try:
        kept = _SUMMARY.decode(_opened(point, start_ms, packed))
    except msgspec.MsgspecError as error:
        raise BlockDamaged(str(error)) from error
    if not _holds_together(point, start_ms, kept):
        raise BlockDamaged("what it says of the day cannot be")
    return Summary(ViewDay(point, start_ms, *kept[:5]), kept.spans)


def _holds_together(point: str, start_ms: int, kept: _Kept) -> bool:
    """Whether a day can be such; its hash has no key, so that who writes the file can write any summary."""
    ends = [row for row in (kept.first, kept.last) if row is not None]
    return (
        len(ends) == (2 if kept.good_slots else 0)
        and 0 <= kept.good_slots <= kept.rows
        and 0 <= kept.falls < max(kept.rows, 1)
        and bool(kept.spans)
        and len({span.boot for span in kept.spans}) == len(kept.spans)
        and all(span.first_ms <= span.last_ms for span in kept.spans)
        and all(_is_end(point, start_ms, row) for row in ends)
    )


def _is_end(point: str, start_ms: int, row: Row) -> bool:
    in_day = start_ms <= row.t_ms < start_ms + DAY_MS
    return row.point == point and in_day and row.quality == Quality.GOOD and 0 <= row.raw < RAW_LIMIT


def _sealed(point: str, start_ms: int, content: bytes) -> bytes:
    return bytes([VERSION]) + _hash(point, start_ms, content) + content


def _opened(point: str, start_ms: int, packed: bytes) -> memoryview:
    if packed[:1] != bytes([VERSION]):
        raise BlockDamaged(f"version {packed[:1].hex() or 'absent'}, known is {VERSION:02x}")
    content = memoryview(packed)[1 + HASH_BYTES :]
    if packed[1 : 1 + HASH_BYTES] != _hash(point, start_ms, content):
        raise BlockDamaged("its hash is another one")
    return content


def _hash(point: str, start_ms: int, content: bytes | memoryview) -> bytes:
    digest = blake2b(f"{VERSION} {start_ms} {point}\n".encode(), digest_size=HASH_BYTES)
    digest.update(content)
    return digest.digest()


def _integers(column: Sequence[int], *, runs: bool = True) -> bytes:
    count, first = len(column), column[0]
    step = column[1] - first if count > 1 else 0
    if _is_even(column, step):
        return bytes([_STEP]) + _wide(first) + _wide(step)
    if runs and (1 + sum(map(ne, column, islice(column, 1, None)))) * RUN_WORTH <= count:
        values, lengths = zip(*((value, len(list(same))) for value, same in groupby(column)), strict=True)
        parts = (_COUNT.pack(len(values)), _integers(values, runs=False), _integers(lengths, runs=False))
        return bytes([_RUNS]) + b"".join(parts)
    differences = list(map(sub, islice(column, 1, None), column))
    narrow, wide = _width(differences, SIGNED_WIDTHS), _width(column, WIDTHS)
    if narrow and (not wide or array(narrow).itemsize <= array(wide).itemsize):
        return bytes([_DIFFERENCES]) + narrow.encode() + _wide(first) + _little(array(narrow, differences))
    return bytes([_VALUES]) + wide.encode() + _little(array(wide, column))


def _is_even(column: Sequence[int], step: int) -> bool:
    if isinstance(column, range):
        return True
    if step == 0:
        return column.count(column[0]) == len(column)
    end = column[0] + step * len(column)
    return column[-1] == end - step and list(column) == list(range(column[0], end, step))


def _width(values: Iterable[int], widths: str) -> str:
    """The narrowest type code that holds all `values`, "" if none does."""
    found = list(values)
    least, most = min(found), max(found)
    for code in widths:
        bits = 8 * array(code).itemsize
        low, high = (0, 1 << bits) if code.isupper() else (-1 << bits - 1, 1 << bits - 1)
        if low <= least and most < high:
            return code
    return ""


def _texts(column: Sequence[str]) -> bytes:
    numbers = {text: number for number, text in enumerate(dict.fromkeys(column))}
    encoded = [text.encode() for text in numbers]
    heads = chain.from_iterable((_COUNT.pack(len(text)), text) for text in encoded)
    told = _integers(list(map(numbers.__getitem__, column))) if len(encoded) > 1 else b""
    return _COUNT.pack(len(encoded)) + b"".join(heads) + told


def _wide(number: int) -> bytes:
    return number.to_bytes(FIRST_BYTES, "little", signed=True)


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _unpack(content: memoryview) -> Columns:
    inflater = zlib.decompressobj()
    body = inflater.decompress(content, MAX_BODY_BYTES)
    if not inflater.eof or inflater.unused_data:
        raise BlockDamaged(f"it does not end where it should, or holds more than {MAX_BODY_BYTES} bytes")
    reader = _Reader(body)
    count = reader.count(MAX_ROWS)
    if not count:
        raise BlockDamaged("it has no rows")
    integers, texts = reader.integers, reader.texts
    columns = Columns(
        integers(count), texts(count), integers(count), integers(count), integers(count),
        texts(count), integers(count), integers(count), texts(count), integers(count),
    )  # fmt: skip
    if reader.at != len(body):
        raise BlockDamaged(f"{len(body) - reader.at} bytes stand after its columns")
    if reader.far:
        _check_limits(columns)
    return columns


def _check_limits(columns: Columns) -> None:
    """Numbers of a block that add up to more than a row can have were never packed."""
    for name, column in columns._asdict().items():
        if name in _TEXTS:
            continue
        low, high = (0, RAW_LIMIT) if name == "raw" else (-RAW_LIMIT // 2, RAW_LIMIT // 2)
        # The ends of an even course are its least and its greatest.
        values = (column[0], column[-1]) if isinstance(column, range) else column
        if min(values) < low or max(values) >= high:
            raise BlockDamaged(f"a number of its {name} has more than 64 bits")


class _Reader:
    """Reads a body from its beginning to its end. `far`: whether a number may lie beyond what a row can have."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0
        self.far = False

    def count(self, most: int) -> int:
        (number,) = _COUNT.unpack_from(self._body, self.at)
        if number > most:
            raise BlockDamaged(f"it counts {number}, at most {most}")
        self.at += _COUNT.size
        return int(number)

    def texts(self, count: int) -> Sequence[str]:
        texts = [self._take(self.count(len(self._body))).decode() for _ in range(self.count(count))]
        if len(texts) == 1:
            return texts * count
        numbers = self.integers(count)
        if min(numbers) < 0:
            raise BlockDamaged("a text has a negative number")
        return list(map(texts.__getitem__, numbers))

    def integers(self, count: int, *, runs: bool = True) -> Sequence[int]:
        kind = self._take(1)[0]
        if kind == _STEP:
            return self._even(count)
        if kind == _RUNS and runs:
            found = self.count(count)
            values, lengths = self.integers(found, runs=False), self.integers(found, runs=False)
            if min(lengths) < 1 or sum(lengths) != count:
                raise BlockDamaged(f"its runs do not make {count} rows")
            return list(chain.from_iterable(map(repeat, values, lengths)))
        if kind == _DIFFERENCES:
            code = self._code()
            first = self._number()
            differences = self._array(code, count - 1)
            self._reaches(first, count << 8 * differences.itemsize)
            return Course(first, differences)
        if kind == _VALUES:
            values = self._array(self._code(), count)
            self._reaches(0, 1 << 8 * values.itemsize)
            return values.tolist()
        raise BlockDamaged(f"a column of kind {kind}")

    def _even(self, count: int) -> Sequence[int]:
        first, step = self._number(), self._number()
        self._reaches(first, abs(step) * count)
        return range(first, first + step * count, step) if step else [first] * count

    def _reaches(self, first: int, by: int) -> None:
        """Looking at each number is only worth its time where they can reach far."""
        self.far = self.far or abs(first) + by >= NEAR_LIMIT

    def _code(self) -> str:
        code = chr(self._take(1)[0])
        if code not in WIDTHS:
            raise BlockDamaged(f"an array of width {code!r}")
        return code

    def _number(self) -> int:
        return int.from_bytes(self._take(FIRST_BYTES), "little", signed=True)

    def _array(self, code: str, count: int) -> array[int]:
        values = array(code)
        values.frombytes(self._take(count * values.itemsize))
        if sys.byteorder == "big":
            values.byteswap()
        return values

    def _take(self, size: int) -> bytes:
        taken = self._body[self.at : self.at + size]
        if len(taken) != size:
            raise BlockDamaged("it ends in the middle of a column")
        self.at += size
        return taken
