"""Line protocol: readings, cursors and refusals as InfluxDB keeps them, and any other measurement. Pure.

Guaranteed: a line has what one meter gave in one sample. Raw words go as signed 64-bit integers (two's complement) and
come back bit for bit; a float for people stands beside each, and is left out where it is none. Samples of one slot
never share a place in InfluxDB: the nanoseconds of a slot tell its leaves apart, and the tag `more` what these cannot.
Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import mul
from typing import NamedTuple

from hakari.errors import HakariError
from hakari.measurements import CURSOR, FLAW, QUALITIES, READING, REFUSED, SHAPE, VALUES
from hakari.registers.reading import BCD, FLOATS, M10K, SIGNED, WIDTH_BITS, digits_of
from hakari.store.blocks import RAW_LIMIT
from hakari.store.view import Refusal
from hakari.wire.wide import Row, Rows, Shape, Wide

MIN_NS, MAX_NS = -(2**63) + 2, 2**63 - 2
NS_OF_MS = 1_000_000
LEAVES_A_SLOT = NS_OF_MS
INT_LIMIT = 1 << 63
MAX_EXPONENT = 200
MAX_REASON_CHARS = 1000
MAX_FORMS = 2_000
LAYOUT = 2
REFUSALS_OF_LEAF_BITS = 24
MORE = "more"
BAD = 2

_LOCAL = re.compile(r"[a-z0-9_]{1,40}")
_FORM = re.compile(r"([a-z0-9]{1,20})e(-?[0-9]{1,3})")
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f]")
_SPECIAL = re.compile(r"([ ,=])")
_ENDING = re.compile(r"([ ,])")  # a measurement's = stands for itself

Field = int | float | str | None
# The tag `more` of a sample by meter, slot, leaf, boot and clock.
Mores = Mapping[tuple[str, int, int, str, int], str]


class LineInvalid(HakariError):
    """A name or number that line protocol cannot carry: our own fault, nothing was sent."""


class ReadingLines(NamedTuple):
    """Rows as lines: each line, the rows that it holds and its time in order; and the rows that have no line.

    Unstorable are those whose slot InfluxDB cannot hold.
    """

    lines: list[str]
    held: list[Wide]
    times_ns: list[int]
    unstorable: list[Row]
    mores: Mores

    @property
    def rows(self) -> Rows:
        """Every row that has a line."""
        return Rows(self.held)


class Serializer:
    """Makes lines of rows; remembers what the lines of a meter have in common."""

    def __init__(self) -> None:
        self._forms: dict[tuple[Shape, int], _Form] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}

    def readings(self, rows: Sequence[Row]) -> ReadingLines:
        """A line for each meter and sample of `rows`, which are of one edge and epoch and hold each leaf whole."""
        if len(self._forms) + len(self._shapes) > MAX_FORMS:
            self._forms.clear()
            self._shapes.clear()
        samples = [one for part in _samples(rows) for one in self._wides(part)]
        return self.lines(samples, _mores(samples))

    def lines(self, samples: Iterable[Wide], mores: Mores) -> ReadingLines:
        """A line for each of `samples`, at the places that `mores` tells apart."""
        made = ReadingLines([], [], [], [], mores)
        of_sample: tuple[int, int, int, str] = (-1, 0, 0, "")
        tail, ns = "", 0
        for wide in samples:
            shape, t_ms, epoch, leaf, boot, mono_ms, raws = wide
            if (leaf, t_ms, mono_ms, boot) != of_sample:
                of_sample = (leaf, t_ms, mono_ms, boot)
                ns = t_ms * NS_OF_MS + leaf % LEAVES_A_SLOT
                tail = f',leaf={leaf}i,mono_ms={mono_ms}i,boot="{_field_text(boot)}" {ns}'
            if not MIN_NS <= ns <= MAX_NS:
                made.unstorable.extend(wide.rows())
                continue
            more = mores.get((shape.meter, t_ms, leaf, boot, mono_ms), "") if mores else ""
            if leaf >= LEAVES_A_SLOT and not more:
                more = f",{MORE}={leaf // LEAVES_A_SLOT}-0"
            form = self._forms.get((shape, epoch))
            if form is None:
                form = self._forms[shape, epoch] = _Form(shape, epoch)
            made.lines.append(form.line(raws, more, tail))
            made.held.append(wide)
            made.times_ns.append(ns)
        return made

    def single(self, wide: Wide) -> list[Wide]:
        """The rows of a line as lines of their own, at the place of that line."""
        return [self._wide([row]) for row in wide.rows()]

    def joined(self, wides: Sequence[Wide]) -> Wide:
        """Rows of one meter and sample as one line again."""
        return self._wide([row for wide in wides for row in wide.rows()])

    def _wides(self, parts: Sequence[Wide | Row]) -> Iterator[Wide]:
        """The parts of one meter's sample as one line; as more of them where a point is there twice."""
        if len(parts) == 1 and isinstance(parts[0], Wide):
            yield parts[0]
            return
        layers: list[dict[str, Row]] = []
        for row in chain.from_iterable(map(_rows_of, parts)):
            layer = next((one for one in layers if row.point not in one), None)
            if layer is None:
                layers.append(layer := {})
            layer[row.point] = row
        for layer in layers:
            yield self._wide(list(layer.values()))

    def _wide(self, rows: Sequence[Row]) -> Wide:
        points, slots, types, raws, exponents, qualities, reasons, epochs, leaves, boots, clocks = zip(
            *rows, strict=True
        )
        key = (points, types, exponents, qualities, reasons)
        shape = self._shapes.get(key)
        if shape is None:
            edge_id, meter, _ = points[0].split("/", 2)
            names = [point.split("/", 2)[2] for point in points]
            shape = self._shapes[key] = Shape(edge_id, meter, names, types, exponents, qualities, reasons)
        return Wide(shape, slots[0], epochs[0], leaves[0], boots[0], clocks[0], raws)


class _Form:
    """The line of one shape as a text with places for its numbers."""

    def __init__(self, shape: Shape, epoch: int) -> None:
        """Errors: LineInvalid for a name that no field can have."""
        for name in shape.names:
            if not _LOCAL.fullmatch(name):
                raise LineInvalid(f"point {name[:80]!r} is not of a-z, 0-9 and _, as fields of a reading begin")
        tags = (("edge", shape.edge_id), ("epoch", str(epoch)), ("meter", shape.meter))
        self._head = READING + _tags((*tags, ("site", site_of(shape.edge_id))))
        counts = [(name, shape.qualities.count(k)) for k, name in enumerate(QUALITIES)]
        self._rest = "".join(f",{name}={count}i" for name, count in counts if count)
        self._rest += f',{SHAPE}="{shape_text(shape.names, shape.types, shape.exponents)}"'
        self._shape = shape
        self._plain = _Plain(shape, self._head, self._rest) if _Plain.fits(shape) else None

    def line(self, raws: tuple[int, ...], more: str, tail: str) -> str:
        """The line of these patterns."""
        text = self._plain.text(raws, more, tail) if self._plain else ""
        return text or self._slowly(raws, more, tail)

    def _slowly(self, raws: tuple[int, ...], more: str, tail: str) -> str:
        shape, fields = self._shape, []
        for name, type_, raw, exponent, quality, reason in zip(
            shape.names, shape.types, raws, shape.exponents, shape.qualities, shape.reasons, strict=True
        ):
            fields.append(f"{name}.raw={raw - RAW_LIMIT if raw >> 63 else raw}i")
            value = "" if quality == BAD else _value(type_, raw, exponent)
            if value:
                fields.append(f"{name}.{VALUES[quality]}={value}")
            if quality or reason:
                fields.append(f'{name}.{FLAW}="{_flaw(quality, reason)}"')
        return f"{self._head}{more} {','.join(fields)}{self._rest}{tail}"


class _Plain:
    """The quick way to the line of a shape all of whose readings have a number."""

    @staticmethod
    def fits(shape: Shape) -> bool:
        """Whether all numbers are those of a pattern as it stands."""
        return all(
            type_ in _UNSIGNED | SIGNED | FLOATS and quality != BAD and abs(exponent) <= MAX_EXPONENT
            for type_, exponent, quality in zip(shape.types, shape.exponents, shape.qualities, strict=True)
        )

    def __init__(self, shape: Shape, head: str, rest: str) -> None:
        fields = []
        for name, type_, exponent, quality, reason in zip(
            shape.names, shape.types, shape.exponents, shape.qualities, shape.reasons, strict=True
        ):
            fields.append(f"{name}.raw=%di,{name}.{VALUES[quality]}={_SHOWN.get(type_, f'%de{exponent}')}")
            if quality or reason:
                fields.append(f'{name}.{FLAW}="{_flaw(quality, reason)}"'.replace("%", "%%"))
        self._text = f"{head.replace('%', '%%')}%s {','.join(fields)}{rest}%s"
        widths = [WIDTH_BITS[type_] for type_ in shape.types]
        self._floats = any(type_ in FLOATS for type_ in shape.types)
        self._scale = [
            10.0**exponent if type_ in FLOATS else 1
            for type_, exponent in zip(shape.types, shape.exponents, strict=True)
        ]
        self._scaled = any(factor != 1 for factor in self._scale)
        self._patterns = struct.Struct(">" + "".join(_CODES[width][0] for width in widths))
        self._signed = struct.Struct(">" + "".join("q" if width == 64 else _CODES[width][0] for width in widths))
        self._values = struct.Struct(">" + "".join(map(_value_code, shape.types)))
        self._as_they_are = all(type_ in _UNSIGNED and WIDTH_BITS[type_] < 64 for type_ in shape.types)

    def text(self, raws: tuple[int, ...], more: str, tail: str) -> str:
        """The line; "" where a value has no number to show, or a pattern is wider than its type."""
        signed = values = raws
        if not self._as_they_are:
            try:
                packed = self._patterns.pack(*raws)
            except struct.error:
                return ""
            signed, values = self._signed.unpack(packed), self._values.unpack(packed)
            if self._scaled:
                values = tuple(map(mul, values, self._scale))
            if self._floats and not math.isfinite(sum(values)):
                return ""
        elif max(raws) >> 63:
            return ""
        return self._text % (more, *chain.from_iterable(zip(signed, values, strict=True)), tail)


def shape_text(names: Iterable[str], types: Iterable[str], exponents: Iterable[int]) -> str:
    """Type and exponent of each point, such as `u32e-3 energy;f32e0 v1 v2`."""
    groups: dict[str, list[str]] = {}
    for name, type_, exponent in zip(names, types, exponents, strict=True):
        groups.setdefault(f"{type_}e{exponent}", []).append(name)
    return ";".join(" ".join((form, *those)) for form, those in groups.items())


@lru_cache(maxsize=1024)
def form_in(shape: str, name: str) -> tuple[str, int] | None:
    """Type and exponent of the point `name` in a shape's text, None where it tells none or two."""
    found = [form for group in shape.split(";") for form, *names in [group.split(" ")] if name in names]
    told = _FORM.fullmatch(found[0]) if len(found) == 1 else None
    return (told[1], int(told[2])) if told else None


def flaw_in(text: str | None) -> tuple[int, str] | None:
    """Quality and reason of a reading's flaw, GOOD where it has none; None where that says nothing."""
    if text is None:
        return 0, ""
    quality, _, reason = text.partition(" ")
    return (int(quality), reason) if quality in ("0", "1", "2") else None


def _flaw(quality: int, reason: str) -> str:
    return _field_text(f"{quality} {reason[:MAX_REASON_CHARS]}")


def _samples(rows: Sequence[Row]) -> Iterable[list[Wide | Row]]:
    """What there is of each meter in each sample, in the order of its first part."""
    found: dict[tuple[str, int, int, str, int], list[Wide | Row]] = {}
    for part in rows.parts if isinstance(rows, Rows) else rows:
        meter = part.shape.meter if isinstance(part, Wide) else part.point.split("/", 2)[1]
        found.setdefault((meter, part.t_ms, part.leaf, part.boot, part.mono_ms), []).append(part)
    return found.values()


def _value_code(type_: str) -> str:
    """How `struct` reads the number in a pattern of `type_`."""
    return _FLOAT_CODES.get(type_) or _CODES[WIDTH_BITS[type_]][type_ in SIGNED]


_CODES = {16: "Hh", 32: "Ii", 64: "Qq"}
_FLOAT_CODES = {"f32": "f", "f64": "d"}
# Nine digits tell every single float from its neighbours; `repr` does the same for a double.
_SHOWN = {"f32": "%.9g", "f64": "%r"}
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
    return f"{_name(measurement, _ENDING)}{_tags(tags)} {','.join(texts)} {ns}" if texts else ""


def cursor_line(edge_id: str, epoch: int, generation: str, upto: int) -> str:
    """That the view holds (edge, epoch) below `upto`: later ones lie later in time, so that none goes back."""
    tags = (("edge", edge_id), ("epoch", str(epoch)), ("generation", generation))
    return line(CURSOR, tags, (("next", upto),), upto)


def generation_line(ns: int) -> str:
    """That what was there before `ns` was cleared, and what is written from here on is of that generation."""
    return line(CURSOR, (), (("cleared", ns), ("layout", LAYOUT)), ns)


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


def _rows_of(part: Wide | Row) -> Iterable[Row]:
    return part.rows() if isinstance(part, Wide) else (part,)


def _mores(samples: Iterable[Wide]) -> Mores:
    """The tag `more` of samples that share a place with another one, by their identity within the leaf."""
    places: dict[tuple[str, int, int], set[tuple[str, int]]] = {}
    for shape, t_ms, _, leaf, boot, mono_ms, _ in samples:
        places.setdefault((shape.meter, t_ms, leaf), set()).add((boot, mono_ms))
    return {
        (meter, t_ms, leaf, *sample): f",{MORE}={leaf // LEAVES_A_SLOT}-{k}"
        for (meter, t_ms, leaf), shared in places.items()
        if len(shared) > 1
        for k, sample in enumerate(sorted(shared))
        if k
    }


def _value(type_: str, raw: int, exponent: int) -> str:
    """The number for people, "" where there is no finite one."""
    if type_ not in WIDTH_BITS or abs(exponent) > MAX_EXPONENT:
        return ""
    width = WIDTH_BITS[type_]
    if type_ in FLOATS:
        packed = (raw & ((1 << width) - 1)).to_bytes(width // 8, "big")
        number = float(struct.unpack(">f" if type_ == "f32" else ">d", packed)[0])
        scaled = number * 10.0**exponent if exponent else number
        return _SHOWN[type_] % scaled if math.isfinite(scaled) else ""
    if type_ in SIGNED and raw >> (width - 1):
        raw -= 1 << width
    if type_ in BCD or type_ in M10K:
        digits = digits_of(type_, raw)
        return "" if digits is None else f"{digits}e{exponent}"
    return f"{raw}e{exponent}"


def shown(type_: str, raw: int, exponent: int, quality: int) -> float | None:
    """What InfluxDB has as the number for people of a reading, None where there is none."""
    text = "" if quality == BAD else _value(type_, raw, exponent)
    return float(text) if text else None


def _tags(tags: Iterable[tuple[str, str]]) -> str:
    return "".join(f",{_name(name)}={_name(value)}" for name, value in tags if value)


def _name(text: str, special: re.Pattern[str] = _SPECIAL) -> str:
    """A measurement, tag or field name, or a tag's value."""
    if _UNSAFE.search(text):
        raise LineInvalid(f"{text[:80]!r} has a backslash or a control character, which no tag in InfluxDB can hold")
    return special.sub(r"\\\1", text)


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
