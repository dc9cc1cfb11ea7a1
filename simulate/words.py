"""Numbers as Modbus words, written from the meters' manuals and independent of any decoder in `hakari/`.

A word is a register: 16 bits, 0 to 65535. High word first unless the name says otherwise.
"""

from __future__ import annotations

import struct

Words = tuple[int, ...]

NOT_IMPLEMENTED_U16 = 0xFFFF
NOT_IMPLEMENTED_I16 = 0x8000
NOT_IMPLEMENTED_BITS32 = (0xFFFF, 0xFFFF)


def u16(value: int) -> Words:
    """One unsigned word; struct.error outside 0 to 65535."""
    return struct.unpack(">H", struct.pack(">H", value))


def i16(value: int) -> Words:
    """One word in two's complement; struct.error outside its range."""
    return struct.unpack(">H", struct.pack(">h", value))


def u32(value: int) -> Words:
    """Two words, unsigned; struct.error outside its range."""
    return struct.unpack(">2H", struct.pack(">I", value))


def u32_low_first(value: int) -> Words:
    """Two words, unsigned, low word first; struct.error outside its range."""
    high, low = u32(value)
    return (low, high)


def i32(value: int) -> Words:
    """Two words in two's complement; struct.error outside its range."""
    return struct.unpack(">2H", struct.pack(">i", value))


def i32_low_first(value: int) -> Words:
    """Two words in two's complement, low word first; struct.error outside its range."""
    high, low = i32(value)
    return (low, high)


def u64(value: int) -> Words:
    """Four words, unsigned; struct.error outside its range."""
    return struct.unpack(">4H", struct.pack(">Q", value))


def i64(value: int) -> Words:
    """Four words in two's complement; struct.error outside its range."""
    return struct.unpack(">4H", struct.pack(">q", value))


def f32(value: float) -> Words:
    """Two words, IEEE 754 single; OverflowError outside its range."""
    return struct.unpack(">2H", struct.pack(">f", value))


def floats(*values: float) -> Words:
    """Two words a value, IEEE 754 single; OverflowError outside its range."""
    return tuple(word for value in values for word in f32(value))


def text(value: str, length: int) -> Words:
    """`length` words of ASCII, two characters a word, filled with NUL; struct.error when it does not fit."""
    content = value.encode("ascii")
    if len(content) > 2 * length:
        raise struct.error(f"text {value!r} does not fit into {length} words")
    return struct.unpack(f">{length}H", content.ljust(2 * length, b"\0"))
