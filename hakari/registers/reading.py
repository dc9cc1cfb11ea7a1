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


def _number(type_: str, raw: int) -> Decimal:
    width = WIDTH_BITS[type_]
    if type_ == "f32":
        return Decimal(struct.unpack(">f", raw.to_bytes(4, "big"))[0])
    if type_ == "f64":
        return Decimal(struct.unpack(">d", raw.to_bytes(8, "big"))[0])
    if type_ in SIGNED and raw >> (width - 1):
        return Decimal(raw - (1 << width))
    return Decimal(raw)
