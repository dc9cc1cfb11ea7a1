"""A reading: type, bit pattern and scale exponent; its value is the Decimal built exactly from these."""

from __future__ import annotations

import struct
from decimal import Decimal, InvalidOperation

import msgspec

from hakari.quality import Quality
from hakari.registers.profile import WORDS
from hakari.units import EXACT

WIDTH_BITS = {type_: 16 * words for type_, words in WORDS.items()}
SIGNED = frozenset({"i16", "i32", "i64", "sunssf"})
FLOATS = frozenset({"f32", "f64"})
BCD = frozenset({"bcd16", "bcd32", "bcd48", "bcd64"})
M10K = frozenset({"m10k32", "m10k48", "m10k64"})


class Reading(msgspec.Struct, frozen=True):
    """One point of one block.

    `raw` is the register's bit pattern as a non-negative integer of the type's width; `exponent` the power
    of ten of this very reading; `reason` is empty for GOOD. A BAD reading has raw 0 and no value.
    """

    meter: str
    point: str
    type: str
    raw: int
    exponent: int
    quality: Quality
    reason: str = ""

    @property
    def value(self) -> Decimal | None:
        """The exact value in the point's unit, None when the quality is BAD."""
        if self.quality is Quality.BAD:
            return None
        return exact_value(self.type, self.raw, self.exponent)


def exact_value(type_: str, raw: int, exponent: int) -> Decimal:
    """The number that bit pattern `raw` of type `type_` means, times 10^exponent, without rounding.

    Errors: decimal.InvalidOperation for the patterns of NaN and infinity, which decoding marks BAD.
    """
    number = _number(type_, raw)
    if not number.is_finite():
        raise InvalidOperation(f"{type_} pattern {raw:#x} is not a number")
    return EXACT.scaleb(number, exponent)


def modulus(type_: str) -> int | None:
    """The count at which an unsigned counter of type `type_` starts again from 0, None for other types."""
    if type_ in SIGNED or type_ in FLOATS or type_ not in WIDTH_BITS:
        return None
    digits = WIDTH_BITS[type_] // 4
    return 10**digits if type_ in BCD or type_ in M10K else 1 << WIDTH_BITS[type_]


def _number(type_: str, raw: int) -> Decimal:
    width = WIDTH_BITS[type_]
    if type_ in BCD or type_ in M10K:
        number = digits_of(type_, raw)
        return Decimal("nan") if number is None else Decimal(number)
    if type_ == "f32":
        return Decimal(struct.unpack(">f", raw.to_bytes(4, "big"))[0])
    if type_ == "f64":
        return Decimal(struct.unpack(">d", raw.to_bytes(8, "big"))[0])
    if type_ in SIGNED and raw >> (width - 1):
        return Decimal(raw - (1 << width))
    return Decimal(raw)


def digits_of(type_: str, raw: int) -> int | None:
    """The whole number in the decimal digits of a BCD or M10K pattern, None where one of them is no digit."""
    step, base = (4, 10) if type_ in BCD else (16, 10_000)
    number = 0
    for shift in range(WIDTH_BITS[type_] - step, -1, -step):
        digit = raw >> shift & (1 << step) - 1
        if digit >= base:
            return None
        number = number * base + digit
    return number


def pattern_of_digits(type_: str, number: int) -> int | None:
    """The BCD or M10K pattern of a whole number, None where it has more digits than the type or is negative."""
    step, base = (4, 10) if type_ in BCD else (16, 10_000)
    if number < 0:
        return None
    pattern = 0
    for shift in range(0, WIDTH_BITS[type_], step):
        number, digit = divmod(number, base)
        pattern |= digit << shift
    return None if number else pattern
