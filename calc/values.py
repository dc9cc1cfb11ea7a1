"""What one reading of a register says: its value, one count at its scale, and what it counts before it wraps."""

from __future__ import annotations

from decimal import Decimal, Inexact, InvalidOperation, Overflow

from hakari.quality import Quality
from hakari.registers.reading import WIDTH_BITS, exact_value, modulus
from hakari.units import EXACT
from hakari.wire.rows import Row

MAX_DIGITS_BEFORE = 40
MAX_DIGITS_AFTER = 150  # ten digits below EXACT's 200 with those before the point, so that sums stay exact


def count_of(row: Row) -> Decimal:
    """One count of the register at the scale of this reading: what quantisation alone can add to a step."""
    return Decimal(1).scaleb(row.exponent)


def usable_value(row: Row) -> Decimal | None:
    """The value of a GOOD reading; None also for a number so large or fine that exact sums would not hold it."""
    if row.quality != Quality.GOOD or row.type not in WIDTH_BITS:
        return None
    try:
        value = exact_value(row.type, row.raw, row.exponent)
    except (Inexact, InvalidOperation, Overflow):
        return None
    exponent = value.as_tuple().exponent
    fits = isinstance(exponent, int) and -exponent <= MAX_DIGITS_AFTER and value.adjusted() < MAX_DIGITS_BEFORE
    return value if fits else None


def span_of(row: Row) -> Decimal | None:
    """What an unsigned register counts before it starts again at zero; None for another type."""
    count = modulus(row.type)
    return None if count is None else EXACT.scaleb(Decimal(count), row.exponent)
