"""How figures are written, in results and in sentences alike."""

from __future__ import annotations

from decimal import Decimal


def decimal_text(value: Decimal) -> str:
    """A decimal in full, without exponent or trailing zeros; zero is never negative."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def text_or_none(value: Decimal | None) -> str | None:
    """The same, and None for a figure that there is not."""
    return None if value is None else decimal_text(value)
