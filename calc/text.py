"""How figures and instants are written, in results and in sentences alike."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal


def decimal_text(value: Decimal) -> str:
    """A decimal in full, without exponent or trailing zeros; zero is never negative."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def utc_text(t_ms: int) -> str:
    """An instant for people: `2016-07-01T07:00:00Z`, milliseconds only where there are any."""
    moment = datetime.fromtimestamp(t_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{t_ms % 1000:03}Z" if t_ms % 1000 else f"{moment}Z"
