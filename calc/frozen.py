"""Readings of a frozen meter: none of them is used, and every stretch of them is shown."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal

from calc.evidence import Span
from calc.registers import Incident
from hakari.wire.rows import Row


def moving(rows: Iterable[Row], frozen: Sequence[Span]) -> list[Row]:
    """The readings at times at which the meter was not frozen; `frozen` are times (after, until], in order."""
    ends = [until_ms for _, until_ms in frozen]
    return [row for row in rows if not _within(row.t_ms, frozen, bisect_left(ends, row.t_ms))]


def standstills(frozen: Iterable[Span]) -> list[Incident]:
    """What a verifier sees of them."""
    text = "the meter answered the same words, a mains voltage or frequency among them; these readings are not used"
    return [Incident("frozen", after_ms, until_ms, Decimal(0), text) for after_ms, until_ms in frozen]


def _within(t_ms: int, frozen: Sequence[Span], at: int) -> bool:
    return at < len(frozen) and frozen[at][0] < t_ms
