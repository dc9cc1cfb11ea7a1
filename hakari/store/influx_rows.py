"""Rows as they come back from InfluxDB, parsed like any input: whoever holds a token may have written there. Pure.

Guaranteed: a line that hakari wrote gives its rows back bit for bit; one that it cannot have written, that lacks a
part, or whose number for people is not that of its bits, gives a BAD row with that reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from hakari.names import MAX_EPOCH
from hakari.quality import Quality
from hakari.registers.reading import WIDTH_BITS
from hakari.store.blocks import RAW_LIMIT
from hakari.store.lines import MAX_EXPONENT, NS_OF_MS, ReadingLines, flaw_in, form_in, shown
from hakari.store.view import Refusal
from hakari.wire.wide import Row

MAX_LEAF = 1 << 53
INCOMPLETE = "incomplete in InfluxDB"
FOREIGN = "foreign in InfluxDB"
ALTERED = "altered in InfluxDB"


class Refused(NamedTuple):
    """A row that InfluxDB does not take, and why in its own words."""

    row: Row
    message: str


def row_of(point: str, name: str, values: Sequence[Any]) -> Iterator[Row]:
    """The row as it was written, none where the line has nothing of the point.

    A BAD one where somebody else has written it, altered it, or left a part of it.
    """
    ns, raw, good, uncertain, flaw, shape, epoch, leaf, boot, mono_ms = values
    if raw is good is uncertain is flaw is None:
        return
    t_ms, number = ns // NS_OF_MS, epoch_of(epoch)
    if None in (raw, shape, leaf, boot, mono_ms):
        yield nobodys(point, t_ms, INCOMPLETE)
        return
    form, told = form_in(shape, name), flaw_in(flaw)
    if form is None or told is None or number < 0 or not 0 <= leaf < MAX_LEAF or mono_ms < 0:
        yield nobodys(point, t_ms, FOREIGN)
        return
    (type_, exponent), (quality, reason) = form, told
    if type_ not in WIDTH_BITS or abs(exponent) > MAX_EXPONENT:
        yield nobodys(point, t_ms, FOREIGN)
        return
    raw %= RAW_LIMIT
    number_shown = shown(type_, raw, exponent, quality)
    if (good, uncertain) != ((None, number_shown) if quality else (number_shown, None)):
        quality, reason = int(Quality.BAD), ALTERED
    yield Row(point, t_ms, type_, raw, exponent, quality, reason, number, leaf, boot, mono_ms)


def nobodys(point: str, t_ms: int, reason: str) -> Row:
    """What stands for a row that is none of ours: no leaf has an epoch of -1."""
    return Row(point, t_ms, "", 0, 0, int(Quality.BAD), reason, -1, 0, "", 0)


@lru_cache(maxsize=1024)
def epoch_of(text: str | None) -> int:
    """The epoch as it is written, -1 for anything else."""
    short = text is not None and text.isascii() and text.isdigit() and len(text) <= len(str(MAX_EPOCH))
    number = int(text) if short and text else -1
    return number if number <= MAX_EPOCH and str(number) == text else -1


def ordered(rows: list[Row]) -> list[Row]:
    """Rows that come by time, in the order of `read`: only where slots are shared is there anything to sort."""
    return rows if len({row.t_ms for row in rows}) == len(rows) else sorted(rows, key=_order)


def _order(row: Row) -> tuple[int, int, int, str, int]:
    return row.t_ms, row.epoch, row.leaf, row.boot, row.mono_ms


def refusals_of(edge_id: str, epoch: int, made: ReadingLines, refused: Iterable[Refused]) -> Iterator[Refusal]:
    """What is told of rows that have no line, and of those that the server did not take."""
    for row in made.unstorable:
        yield Refusal(
            edge_id, epoch, row.leaf, f"{row.point}: slot {row.t_ms} ms is outside the years 1677 to 2262 of InfluxDB"
        )
    for row, message in refused:
        yield Refusal(edge_id, epoch, row.leaf, f"{row.point}, slot {row.t_ms}: InfluxDB says: {message}")


def spans(times_ns: Sequence[int], gap_ns: int, limit: int) -> list[tuple[int, int]]:
    """At most `limit` spans, first and last included, that hold all times and leave out the largest gaps > `gap_ns`."""
    ordered = sorted(set(times_ns))
    gaps = [(after - before, k) for k, (before, after) in enumerate(pairwise(ordered))]
    wide = sorted((gap for gap in gaps if gap[0] > gap_ns), reverse=True)[: limit - 1]
    cuts = [-1, *sorted(k for _, k in wide), len(ordered) - 1]
    return [(ordered[a + 1], ordered[b]) for a, b in pairwise(cuts)] if ordered else []
