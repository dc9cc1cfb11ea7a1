"""A value that a sender gave as a decimal number becomes a reading: pure, exact, within the point's limits.

Guaranteed: the reading's value is the number that was given, to the last digit; what is no plain decimal number of at
most 64 bits is BAD with its reason, never rounded.
"""

from __future__ import annotations

import re
from decimal import Decimal

from hakari.quality import Quality
from hakari.registers.decode import OUT_OF_RANGE
from hakari.registers.profile import Point
from hakari.registers.reading import Reading, exact_value

GIVEN_TYPE = "i64"
MAX_DECIMALS = 18
NOT_A_NUMBER = "not a decimal number"
TOO_LARGE = "more digits than 64 bits hold"

_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,18})?")


def reading_of(meter: str, point: Point, text: str) -> Reading:
    """The reading that `text` gives for `point`, whose type is i64: raw × 10^−decimals."""
    if not _DECIMAL.fullmatch(text):
        return _bad(meter, point, f"{NOT_A_NUMBER}: {text!r}")
    whole, _, decimals = text.partition(".")
    number = int(whole + decimals)
    if not -(2**63) <= number < 2**63:
        return _bad(meter, point, TOO_LARGE)
    raw, exponent = number % 2**64, -len(decimals)
    outside = _outside(point, exact_value(GIVEN_TYPE, raw, exponent))
    quality = Quality.UNCERTAIN if outside else Quality.GOOD
    return Reading(meter, point.name, GIVEN_TYPE, raw, exponent, quality, OUT_OF_RANGE if outside else "")


def _bad(meter: str, point: Point, reason: str) -> Reading:
    return Reading(meter, point.name, GIVEN_TYPE, 0, 0, Quality.BAD, reason)


def _outside(point: Point, value: Decimal) -> bool:
    low = point.minimum is not None and value < Decimal(point.minimum)
    return low or (point.maximum is not None and value > Decimal(point.maximum))
