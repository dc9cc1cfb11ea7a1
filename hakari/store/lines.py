"""Line protocol: readings, cursors and refusals as InfluxDB keeps them, and any other measurement. Pure.

Guaranteed: raw words go as signed 64-bit integers (two's complement) and come back bit for bit; `value` is a float for
people and is left out where it is none. Rows of one slot never share a place in InfluxDB: the nanoseconds of a slot
tell its leaves apart, and the tag `more` whatever these cannot.
Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from hakari.errors import HakariError
from hakari.measurements import CURSOR, READING, REFUSED
from hakari.registers.reading import BCD, FLOATS, M10K, SIGNED, WIDTH_BITS, digits_of
from hakari.store.blocks import RAW_LIMIT
from hakari.store.view import Refusal
from hakari.wire.rows import Row

MIN_NS, MAX_NS = -(2**63) + 2, 2**63 - 2
NS_OF_MS = 1_000_000
LEAVES_A_SLOT = NS_OF_MS
INT_LIMIT = 1 << 63
MAX_EXPONENT = 200
MAX_REASON_CHARS = 1000
MAX_CACHED = 100_000
REFUSALS_OF_LEAF_BITS = 24
MORE = "more"
BAD = 2

_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f]")
_SPECIAL = re.compile(r"([ ,=])")

Field = int | float | str | None


class LineInvalid(HakariError):
    """A name or number that line protocol cannot carry: our own fault, nothing was sent."""


class ReadingLines(NamedTuple):
    """Lines of rows, the row of each line, the time of each line, and rows whose slot InfluxDB cannot hold."""

    lines: list[str]
    rows: list[Row]
    times_ns: list[int]
    unstorable: list[Row]


class Serializer:
    """Makes lines of rows; remembers the escaped keys that rows share."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, str, int], str] = {}
        self._middles: dict[tuple[int, int, str, str], tuple[str, str]] = {}

    def readings(self, rows: Sequence[Row]) -> ReadingLines:
        """A line for each of `rows`, which are of one edge and epoch and hold each of their leaves whole."""
        if len(self._heads) + len(self._middles) > MAX_CACHED:
            self._heads.clear()
            self._middles.clear()
        return self._lines(rows, None) or self._lines(rows, _mores(rows)) or ReadingLines([], [], [], [])

    def _lines(self, rows: Sequence[Row], mores: Mapping[Row, str] | None) -> ReadingLines | None:
        """None where, without `mores`, a leaf has a slot twice, so that rows may share a place."""
        heads, middles = self._heads, self._middles
        lines: list[str] = []
        kept: list[Row] = []
        times: list[int] = []
        unstorable: list[Row] = []
        of_sample: tuple[int, int, int, str] = (-1, 0, 0, "")
        tail, ns, more = "", 0, ""
        slots: set[tuple[int, int]] = set()
        for row in rows:
            point, t_ms, type_, raw, exponent, quality, reason, epoch, leaf, boot, mono_ms = row
            if (leaf, t_ms, mono_ms, boot) != of_sample:
                if mores is None and (leaf, t_ms) in slots:
                    return None
                slots.add((leaf, t_ms))
                of_sample = (leaf, t_ms, mono_ms, boot)
                ns = t_ms * NS_OF_MS + leaf % LEAVES_A_SLOT
                tail = f',leaf={leaf}i,mono_ms={mono_ms}i,boot="{_field_text(boot)}" {ns}'
                more = "" if leaf < LEAVES_A_SLOT else f",{MORE}={leaf // LEAVES_A_SLOT}-0"
            if not MIN_NS <= ns <= MAX_NS:
                unstorable.append(row)
                continue
            head = heads.get((point, type_, epoch)) or self._head(point, type_, epoch)
            middle = middles.get((exponent, quality, reason, type_)) or self._middle(exponent, quality, reason, type_)
            extra = f",{MORE}={mores[row]}" if mores and row in mores else more
            if raw >> 63:
                raw -= RAW_LIMIT
                value = "" if quality == BAD else _value(type_, raw + RAW_LIMIT, exponent)
            elif middle[0]:
                value = f",value={raw}{middle[0]}"
            else:
                value = "" if quality == BAD else _value(type_, raw, exponent)
            lines.append(f"{head}{extra} raw={raw}i{value}{middle[1]}{tail}")
            kept.append(row)
            times.append(ns)
        return ReadingLines(lines, kept, times, unstorable)

    def _head(self, point: str, type_: str, epoch: int) -> str:
        edge_id, meter, _ = point.split("/", 2)
        tags = (("edge", edge_id), ("epoch", str(epoch)), ("meter", meter), ("point", point))
        more = (("site", site_of(edge_id)), ("type", type_))
        head = self._heads[point, type_, epoch] = READING + _tags((*tags, *more))
        return head

    def _middle(self, exponent: int, quality: int, reason: str, type_: str) -> tuple[str, str]:
        """How an unsigned pattern's value goes on after its digits, "" where it takes thought; and its fixed fields."""
        plain = type_ in _UNSIGNED and quality != BAD and abs(exponent) <= MAX_EXPONENT
        fixed = f",exponent={exponent}i,quality={quality}i"
        if reason:
            fixed += f',reason="{_field_text(reason[:MAX_REASON_CHARS])}"'
        middle = self._middles[exponent, quality, reason, type_] = (f"e{exponent}" if plain else "", fixed)
        return middle


_UNSIGNED = frozenset(WIDTH_BITS) - SIGNED - FLOATS - BCD - M10K


def site_of(edge_id: str) -> str:
    """The site of an edge: everything before the last hyphen of its id."""
    return edge_id.rsplit("-", 1)[0]


def line(measurement: str, tags: Iterable[tuple[str, str]], fields: Iterable[tuple[str, Field]], ns: int) -> str:
    """One point; empty tags and fields that are None or not finite are left out, and "" when no field remains.

    Errors: LineInvalid for what line protocol has no form for.
    """
    if not MIN_NS <= ns <= MAX_NS:
        raise LineInvalid(f"time {ns} ns of {measurement} is outside what InfluxDB can hold ({MIN_NS} to {MAX_NS})")
    texts = [f"{_name(name)}={text}" for name, value in fields if (text := _field(name, value))]
    return f"{_name(measurement)}{_tags(tags)} {','.join(texts)} {ns}" if texts else ""


def cursor_line(edge_id: str, epoch: int, generation: str, upto: int) -> str:
    """That the view holds (edge, epoch) below `upto`: later ones lie later in time, so that none goes back."""
    tags = (("edge", edge_id), ("epoch", str(epoch)), ("generation", generation))
    return line(CURSOR, tags, (("next", upto),), upto)


def generation_line(ns: int) -> str:
    """That what was there before `ns` was cleared, and what is written from here on is of that generation."""
    return line(CURSOR, (), (("cleared", ns),), ns)


def refusal_lines(refusals: Iterable[Refusal]) -> list[str]:
    """A line for each refusal, at a time made of its leaf and reason, so that the same one is written once."""
    lines: dict[tuple[str, int, int], str] = {}
    for refusal in sorted(set(refusals)):
        reason = refusal.reason[:MAX_REASON_CHARS]
        tags = (("edge", refusal.edge_id), ("epoch", str(refusal.epoch)))
        ns = (refusal.leaf << REFUSALS_OF_LEAF_BITS) + _digest(reason)
        while (refusal.edge_id, refusal.epoch, ns) in lines:
            ns += 1
        fields = (("leaf", refusal.leaf), ("reason", reason))
        lines[refusal.edge_id, refusal.epoch, ns] = line(REFUSED, tags, fields, ns)
    return list(lines.values())


def spans(times_ns: Sequence[int], gap_ns: int, limit: int) -> list[tuple[int, int]]:
    """At most `limit` spans, first and last included, that hold all times and leave out the largest gaps > `gap_ns`."""
    ordered = sorted(set(times_ns))
    gaps = [(after - before, k) for k, (before, after) in enumerate(pairwise(ordered))]
    wide = sorted((gap for gap in gaps if gap[0] > gap_ns), reverse=True)[: limit - 1]
    cuts = [-1, *sorted(k for _, k in wide), len(ordered) - 1]
    return [(ordered[a + 1], ordered[b]) for a, b in pairwise(cuts)] if ordered else []


def _mores(rows: Iterable[Row]) -> dict[Row, str]:
    """The tag `more` of rows that share a place with another one, by their identity within the leaf."""
    places: dict[tuple[str, int, int], list[Row]] = {}
    for row in rows:
        places.setdefault((row.point, row.t_ms, row.leaf), []).append(row)
    return {
        row: f"{row.leaf // LEAVES_A_SLOT}-{k}"
        for shared in places.values()
        for k, row in enumerate(sorted(shared, key=lambda row: (row.boot, row.mono_ms)))
        if k
    }


def _value(type_: str, raw: int, exponent: int) -> str:
    """The field `value` with its comma, "" where there is no finite number."""
    if type_ not in WIDTH_BITS or abs(exponent) > MAX_EXPONENT:
        return ""
    width = WIDTH_BITS[type_]
    if type_ in FLOATS:
        packed = (raw & ((1 << width) - 1)).to_bytes(width // 8, "big")
        number = float(struct.unpack(">f" if type_ == "f32" else ">d", packed)[0])
        scaled = number * 10.0**exponent if exponent else number
        return f",value={scaled!r}" if math.isfinite(scaled) else ""
    if type_ in SIGNED and raw >> (width - 1):
        raw -= 1 << width
    if type_ in BCD or type_ in M10K:
        digits = digits_of(type_, raw)
        return "" if digits is None else f",value={digits}e{exponent}"
    return f",value={raw}e{exponent}"


def shown(type_: str, raw: int, exponent: int, quality: int) -> float | None:
    """What InfluxDB has as the field `value` of a reading, None where there is none."""
    text = "" if quality == BAD else _value(type_, raw, exponent)
    return float(text.partition("=")[2]) if text else None


def _tags(tags: Iterable[tuple[str, str]]) -> str:
    return "".join(f",{_name(name)}={_name(value)}" for name, value in tags if value)


def _name(text: str) -> str:
    """A measurement, tag or field name, or a tag's value."""
    if _UNSAFE.search(text):
        raise LineInvalid(f"{text[:80]!r} has a backslash or a control character, which no tag in InfluxDB can hold")
    return _SPECIAL.sub(r"\\\1", text)


def _field(name: str, value: Field) -> str:
    """A field's value as text, "" where there is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f'"{_field_text(value)}"'
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    if not -INT_LIMIT <= value < INT_LIMIT:
        raise LineInvalid(f"{name} = {value} is no integer of 64 bits, which is all that InfluxDB holds")
    return f"{int(value)}i"


def _field_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"') if "\\" in text or '"' in text else text


def _digest(reason: str) -> int:
    return int.from_bytes(hashlib.sha256(reason.encode("utf-8", "replace")).digest()[: REFUSALS_OF_LEAF_BITS // 8])
