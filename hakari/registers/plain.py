"""The quick way through answers in which every reading is plainly GOOD; whatever is not goes the full way.

Guaranteed: what `Plain.take` gives is what `hakari.registers.decode` gives for the same answer (a property test holds
them together), and None wherever there is the least doubt: an error, another identity, a sentinel, no number, a value
outside its range, digits, single bits. Nothing here decides that a reading is bad.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from operator import ge, itemgetter, le
from typing import Any, NamedTuple

from hakari.registers.decode import F64_LARGEST, F64_SMALLEST, Field, Window
from hakari.registers.reading import BCD, FLOATS, M10K, SIGNED, WIDTH_BITS

MAX_FORMS = 64
F64_BIAS = 1023
F32_LEAST = 2.0**-126
F32_LEAST_PATTERN, F32_MOST_PATTERN = 0x0080_0000, 0x7F7F_FFFF
F64_LEAST, F64_MOST = 2.0 ** (F64_SMALLEST - F64_BIAS), 2.0 ** (F64_LARGEST - F64_BIAS + 1)
UNSIGNED_CODES = {16: "H", 32: "I", 64: "Q"}
SIGNED_CODES = {16: "h", 32: "i", 64: "q"}
FLOAT_CODES = {"f32": "f", "f64": "d"}
DIGITS = BCD | M10K

Pick = Callable[[Sequence[Any]], Iterable[Any]]


class Form(NamedTuple):
    """What one answer's readings have in common: names, types and exponents, in the profile's order.

    `identities` are the identity points that the answer holds as they must be.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    exponents: tuple[int, ...]
    identities: frozenset[str]


class Taken(NamedTuple):
    """Readings that are all GOOD: their form, always the same object for the same one, and their bit patterns."""

    form: Form
    raws: tuple[int, ...]


class _Limits(NamedTuple):
    """A form, and the least and greatest number in each register that is within its point's range."""

    form: Form
    lows: tuple[float, ...]
    highs: tuple[float, ...]


class Plain:
    """One window, compiled."""

    def __init__(self, window: Window) -> None:
        """`window` is one of which `possible` holds."""
        fields, request = window.fields, window.request
        types = [field.point.type for field in fields]
        self._window = window
        self._fields = fields
        self._head = bytes((request.function, 2 * request.count))
        self._size = 2 + 2 * request.count
        self.names = tuple(field.point.name for field in fields)
        self._types = tuple(types)
        self._reorder = _reordering(fields)
        codes = [UNSIGNED_CODES[WIDTH_BITS[type_]] for type_ in types]
        self._raws = struct.Struct(self._layout(codes))
        self._values = struct.Struct(self._layout([_value_code(type_) for type_ in types]))
        self._sentinels = frozenset(sentinel for field in fields for sentinel in field.sentinels)
        self._with_sentinel = _pick([k for k, field in enumerate(fields) if field.sentinels])
        self._counting = _pick([k for k, type_ in enumerate(types) if type_ in ("acc32", "acc64")])
        self._singles = _pick([k for k, type_ in enumerate(types) if type_ == "f32"])
        self._doubles = _pick([k for k, type_ in enumerate(types) if type_ == "f64"])
        self._limited = any(field.minimum is not None or field.maximum is not None for field in fields)
        self._scales = list({field.scale.start: field.scale for field in fields if field.scale is not None}.values())
        self._forms: dict[tuple[int, ...], _Limits] = {}
        self._proven: tuple[bytes, ...] = ()

    def take(self, answer: bytes) -> Taken | None:
        """Every reading of an answer, None unless all of them are GOOD by themselves."""
        if len(answer) != self._size or answer[:2] != self._head:
            return None
        if self._window.expecting and not self._is_ours(answer):
            return None
        data = answer if self._reorder is None else bytes(self._reorder(answer))
        raws = self._raws.unpack(data)
        limits = self._limits(answer)
        if limits is None or not self._marked_good(raws) or not self._within(raws, data, limits):
            return None
        return Taken(limits.form, raws)

    def _marked_good(self, raws: tuple[int, ...]) -> bool:
        """Whether no pattern says of itself that it is none."""
        if self._with_sentinel and not self._sentinels.isdisjoint(self._with_sentinel(raws)):
            return False
        return self._counting is None or 0 not in self._counting(raws)

    def _within(self, raws: tuple[int, ...], data: bytes, limits: _Limits) -> bool:
        """Whether all are numbers and within their ranges."""
        singles = self._singles is not None and not _positive(self._singles(raws))
        if not (singles or self._doubles or self._limited):
            return True
        values = self._values.unpack(data)
        if singles and self._singles and not _numbers(self._singles(values), F32_LEAST, math.inf):
            return False
        if self._doubles and not _numbers(self._doubles(values), F64_LEAST, F64_MOST):
            return False
        return not self._limited or (all(map(le, limits.lows, values)) and all(map(ge, limits.highs, values)))

    def _is_ours(self, answer: bytes) -> bool:
        """Whether the identity points hold what they must; bytes that did once are known."""
        held = tuple([answer[field.start : field.end] for field in self._window.expecting])
        if held == self._proven:
            return True
        if self._window.mismatch(answer):
            return False
        self._proven = held
        return True

    def _limits(self, answer: bytes) -> _Limits | None:
        """The form under the scale factors of this answer, None where one of them is none."""
        key: tuple[int, ...] = ()
        if self._scales:
            key = tuple([int.from_bytes(answer[scale.start : scale.end]) for scale in self._scales])
        known = self._forms.get(key)
        if known is None:
            known = self._form(answer)
            if known is None:
                return None
            if len(self._forms) >= MAX_FORMS:
                self._forms.clear()
            self._forms[key] = known
        return known

    def _form(self, answer: bytes) -> _Limits | None:
        exponents = []
        for field in self._fields:
            exponent = field.point.exponent
            if field.scale is not None:
                exponent, problem = field.scale.scale_exponent(answer)
                if problem:
                    return None
            exponents.append(exponent)
        bounds = [_bounds(field, exponent) for field, exponent in zip(self._fields, exponents, strict=True)]
        form = Form(self.names, self._types, tuple(exponents), self._window.identity_names)
        return _Limits(form, tuple(low for low, _ in bounds), tuple(high for _, high in bounds))

    def _layout(self, codes: Sequence[str]) -> str:
        """The format that takes every field from its place in an answer, or one after the other where reordered."""
        if self._reorder is not None:
            return ">" + "".join(codes)
        text, at = ">", 0
        for field, code in zip(self._fields, codes, strict=True):
            text += f"{field.start - at}x{code}"
            at = field.end
        return f"{text}{self._size - at}x"


def plain_of(window: Window) -> Plain | None:
    """`window` compiled, None where some of its readings need a closer look each time."""
    return Plain(window) if _possible(window) else None


def _possible(window: Window) -> bool:
    return all(
        field.point.type not in DIGITS
        and not field.point.bit_count
        and (field.point.scale_point is None or field.scale is not None)
        for field in window.fields
    )


def _reordering(fields: Sequence[Field]) -> Pick | None:
    """What puts the bytes of all fields highest first, None where they lie so and one after the other."""
    plain = all(field.point.byte_order == field.point.word_order == "high_first" for field in fields)
    starts = [field.start for field in fields]
    if plain and all(field.end <= after for field, after in zip(fields, starts[1:], strict=False)):
        return None
    places: list[int] = []
    for field in fields:
        words = [(at, at + 1) for at in range(field.start, field.end, 2)]
        if field.point.byte_order == "low_first":
            words = [(b, a) for a, b in words]
        if field.point.word_order == "low_first":
            words.reverse()
        places += [at for word in words for at in word]
    return _pick(places)


def _value_code(type_: str) -> str:
    width = WIDTH_BITS[type_]
    return FLOAT_CODES.get(type_) or (SIGNED_CODES if type_ in SIGNED else UNSIGNED_CODES)[width]


def _pick(places: Sequence[int]) -> Pick | None:
    """What takes `places` of a sequence, None where there is none to take."""
    if not places:
        return None
    # With the first place twice it gives a tuple also for one place; nobody who asks minds the repetition.
    return itemgetter(*places) if len(places) > 1 else itemgetter(places[0], places[0])


def _positive(patterns: Iterable[int]) -> bool:
    """Whether all patterns of single floats are normal numbers above 0, as most are; these are ordered as theirs."""
    kept = tuple(patterns)
    return min(kept) >= F32_LEAST_PATTERN and max(kept) <= F32_MOST_PATTERN


def _numbers(values: Iterable[float], least: float, most: float) -> bool:
    """Whether all are 0 or finite numbers of a size between `least` and below `most`."""
    sizes = [abs(value) for value in values]
    if not math.isfinite(sum(sizes)) or max(sizes) >= most:
        return False
    return min(sizes) >= least or all(size == 0.0 or size >= least for size in sizes)


def _bounds(field: Field, exponent: int) -> tuple[float, float]:
    """The least and greatest number n in the register for which n × 10^exponent is within the point's range."""
    scale = Fraction(10) ** exponent
    low = -math.inf if field.minimum is None else _at_least(field.point.type, _fraction(field.minimum) / scale)
    high = math.inf if field.maximum is None else -_at_least(field.point.type, -_fraction(field.maximum) / scale)
    return low, high


def _fraction(number: Decimal) -> Fraction:
    return Fraction(number)


def _at_least(type_: str, bound: Fraction) -> float:
    """The least number of `type_` that is not below `bound`: a whole one, or a double."""
    if type_ not in FLOATS:
        return math.ceil(bound)
    try:
        near = float(bound)
    except OverflowError:
        return math.inf if bound > 0 else -math.inf
    return near if Fraction(near) >= bound else math.nextafter(near, math.inf)
