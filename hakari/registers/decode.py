"""From the bytes of an answer to readings: pure, exact, and never a number where there is none.

Guaranteed: an answer that is not whole and fitting gives BAD readings only; no value is rounded or altered;
a value is only ever joined with the scale factor of the same answer. Identity points are compared, scale
points applied; readings are made of counters and gauges, in the profile's order.
SunSpec rules: SunSpec Information Model Specification (acc32 of 0 = not accumulated, sunssf −10..10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec

from hakari.quality import Quality
from hakari.registers.check import expected_raw
from hakari.registers.groups import asked_points
from hakari.registers.profile import MEASURED, Point, Profile
from hakari.registers.reading import BCD, FLOATS, M10K, Reading, digits_of, exact_value
from hakari.registers.requests import ReadRequest, refusal

NOT_AVAILABLE = "not available"
NOT_ACCUMULATED = "not accumulated"
NO_SCALE = "scale factor not in the block"
BAD_SCALE = "scale factor invalid"
NOT_A_NUMBER = "not a number"
DENORMAL = "denormal"
NOT_EXACT = "too large or too small to be exact"
OUT_OF_RANGE = "out of range"
IDENTITY_MISMATCH = "identity mismatch"
IDENTITY_NOT_READ = "identity not read"

SUNSSF_LIMIT = 10
SCALE_LIMIT = 18
MAX_DECODERS = 4096
MAX_WINDOWS = 256
MAX_REASON_CHARS = 160
# A double between these powers of two has at most 200 decimal digits, which is what readings carry.
F64_SMALLEST, F64_LARGEST = 1023 - 200, 1023 + 600

Block = tuple[bytes, bytes | None, str]


def decode_block(profile: Profile, meter: str, request: bytes, answer: bytes) -> list[Reading]:
    """The readings of one answer, looking at the identity points of this block only.

    RequestMalformed when `request` is not six bytes of a legal read. Shapes: see hakari.registers.requests.
    """
    decoder = decoder_of(profile)
    window = decoder.window(request)
    failure = refusal(window.request, answer)
    if failure:
        return window.failed(meter, failure)
    mismatch = window.mismatch(answer)
    return window.failed(meter, mismatch) if mismatch else window.read(meter, answer)


def decode_sample(
    profile: Profile, meter: str, blocks: Sequence[Block], names: frozenset[str] | None = None
) -> list[list[Reading]]:
    """The readings of all blocks (request, answer or None, error) of one sample of one meter, a list a block.

    With `names` only readings of these points are made; what they say of identity and errors is the same.
    A block without a usable answer gives BAD readings with its error. One identity point that does not hold
    what the profile expects makes every reading of the sample BAD; one that no answer held leaves whose
    registers these are unproven, so that GOOD becomes UNCERTAIN. RequestMalformed as in `decode_block`.
    """
    decoder = decoder_of(profile, names)
    windows = [decoder.window(request) for request, _, _ in blocks]
    failures = [
        error or refusal(window.request, answer or b"")
        for window, (_, answer, error) in zip(windows, blocks, strict=True)
    ]
    proven: set[str] = set()
    mismatch = ""
    for window, failure, (_, answer, _) in zip(windows, failures, blocks, strict=True):
        if not failure and answer is not None:
            proven |= window.identity_names
            mismatch = mismatch or window.mismatch(answer)
    readings = [
        window.failed(meter, failure or mismatch) if failure or mismatch else window.read(meter, answer or b"")
        for window, failure, (_, answer, _) in zip(windows, failures, blocks, strict=True)
    ]
    if decoder.identity_names <= proven:
        return readings
    return [[_unproven(reading) for reading in block] for block in readings]


def identities(profile: Profile, request: bytes, answer: bytes) -> dict[str, str]:
    """What the identity points of one answer hold, as text; empty when the answer is not usable."""
    window = decoder_of(profile).window(request)
    if refusal(window.request, answer):
        return {}
    return {identity.point.name: identity.text(answer) for identity in window.identities}


def _unproven(reading: Reading) -> Reading:
    if reading.quality is not Quality.GOOD:
        return reading
    return msgspec.structs.replace(reading, quality=Quality.UNCERTAIN, reason=IDENTITY_NOT_READ)


@dataclass(frozen=True, slots=True)
class Field:
    """A point at its place in an answer of one request: bytes [start, end) of the PDU."""

    point: Point
    start: int
    end: int
    sentinels: frozenset[int]
    minimum: Decimal | None
    maximum: Decimal | None
    scale: Field | None

    def raw(self, answer: bytes) -> int:
        """The bit pattern in a usable answer."""
        raw = int.from_bytes(_ordered(answer[self.start : self.end], self.point), "big")
        return raw >> self.point.bit & (1 << self.point.bit_count) - 1 if self.point.bit_count else raw

    def text(self, answer: bytes) -> str:
        """What an identity point holds."""
        if self.point.type == "string":
            held = _ordered(answer[self.start : self.end], self.point).rstrip(b"\0 ")
            return held.decode("ascii", "backslashreplace")
        raw = self.raw(answer)
        type_, as_pattern = self.point.type, (self.point.expect or "").lower().startswith("0x")
        if as_pattern or type_ in FLOATS or (type_ in BCD | M10K and digits_of(type_, raw) is None):
            return f"{raw:#x}"
        return str(exact_value(type_, raw, 0))

    def fits(self, answer: bytes) -> bool:
        """Whether an identity point holds what it must."""
        if self.point.type == "string":
            return self.text(answer) == self.point.expect
        return self.raw(answer) == expected_raw(self.point)

    def read(self, meter: str, answer: bytes) -> Reading:
        """The reading in a usable answer."""
        point, raw, exponent = self.point, self.raw(answer), self.point.exponent
        reason = NOT_AVAILABLE if raw in self.sentinels else _pattern_problem(point.type, raw)
        if not reason and point.scale_point is not None:
            exponent, reason = (0, NO_SCALE) if self.scale is None else self.scale.scale_exponent(answer)
        if reason:
            return Reading(meter, point.name, point.type, 0, 0, Quality.BAD, reason)
        if (self.minimum is not None or self.maximum is not None) and self._outside(raw, exponent):
            return Reading(meter, point.name, point.type, raw, exponent, Quality.UNCERTAIN, OUT_OF_RANGE)
        return Reading(meter, point.name, point.type, raw, exponent, Quality.GOOD)

    def scale_exponent(self, answer: bytes) -> tuple[int, str]:
        """The exponent that a scale point holds, and why it is none, "" where it is one."""
        raw = self.raw(answer)
        exponent = raw - 0x10000 if raw & 0x8000 and self.point.type != "u16" else raw
        limit = SUNSSF_LIMIT if self.point.type == "sunssf" else SCALE_LIMIT
        if raw in self.sentinels or not -limit <= exponent <= limit:
            return 0, f"{BAD_SCALE}: {exponent} is outside {-limit}..{limit}"
        return exponent, ""

    def _outside(self, raw: int, exponent: int) -> bool:
        value = exact_value(self.point.type, raw, exponent)
        low = self.minimum is not None and value < self.minimum
        return low or (self.maximum is not None and value > self.maximum)


def _ordered(data: bytes, point: Point) -> bytes:
    """The bytes of one value, highest first."""
    if point.byte_order == "low_first":
        data = b"".join(data[k + 1 : k + 2] + data[k : k + 1] for k in range(0, len(data), 2))
    if point.word_order == "low_first" and len(data) > 2:
        data = b"".join(data[k : k + 2] for k in range(len(data) - 2, -1, -2))
    return data


def _pattern_problem(type_: str, raw: int) -> str:
    """Why a bit pattern is no number that may be used, "" when it is one."""
    if type_ in ("acc32", "acc64"):
        return "" if raw else NOT_ACCUMULATED
    if type_ in BCD or type_ in M10K:
        return _digits_problem(type_, raw)
    if type_ == "f32":
        exponent, fraction, top = raw >> 23 & 0xFF, raw & 0x7FFFFF, 0xFF
    elif type_ == "f64":
        exponent, fraction, top = raw >> 52 & 0x7FF, raw & 0xFFFFFFFFFFFFF, 0x7FF
    else:
        return ""
    if exponent == top:
        return NOT_A_NUMBER
    if exponent == 0:
        return DENORMAL if fraction else ""
    return NOT_EXACT if type_ == "f64" and not F64_SMALLEST <= exponent <= F64_LARGEST else ""


def _digits_problem(type_: str, raw: int) -> str:
    try:
        exact_value(type_, raw, 0)
    except InvalidOperation:
        return NOT_A_NUMBER
    return ""


class Window:
    """What one request asks of a profile, prepared once; readings are made of `names`, None meaning all."""

    def __init__(self, profile: Profile, request: ReadRequest, names: frozenset[str] | None) -> None:
        self.request = request
        asked = asked_points(profile, request.table, request.address, request.count)
        inside = {point.name: point for point in asked}
        self.fields = [
            self._field(p, inside) for p in inside.values() if p.kind in MEASURED and (names is None or p.name in names)
        ]
        self.identities = [self._field(p, inside) for p in inside.values() if p.kind == "identity"]
        self.expecting = [field for field in self.identities if field.point.expect is not None]
        self.identity_names = frozenset(field.point.name for field in self.expecting)

    def _field(self, point: Point, inside: dict[str, Point]) -> Field:
        start = 2 + 2 * (point.address - self.request.address)
        scale = inside.get(point.scale_point) if point.scale_point else None
        return Field(
            point=point, start=start, end=start + 2 * point.length, sentinels=frozenset(point.sentinels),
            minimum=Decimal(point.minimum) if point.minimum is not None else None,
            maximum=Decimal(point.maximum) if point.maximum is not None else None,
            scale=self._field(scale, {}) if scale is not None else None,
        )  # fmt: skip

    def failed(self, meter: str, reason: str) -> list[Reading]:
        """Every point that was asked for, BAD."""
        reason = reason[:MAX_REASON_CHARS]
        return [Reading(meter, f.point.name, f.point.type, 0, 0, Quality.BAD, reason) for f in self.fields]

    def mismatch(self, answer: bytes) -> str:
        """Which identity point of a usable answer holds something else than it must, "" when none does."""
        for field in self.expecting:
            if not field.fits(answer):
                name, expected = field.point.name, field.point.expect
                return f"{IDENTITY_MISMATCH}: {name} holds {field.text(answer)!r}, not {expected!r}"
        return ""

    def read(self, meter: str, answer: bytes) -> list[Reading]:
        """The readings of a usable answer."""
        return [field.read(meter, answer) for field in self.fields]


class Decoder:
    """A profile prepared for decoding: one window a request, kept for the next answer."""

    def __init__(self, profile: Profile, names: frozenset[str] | None = None) -> None:
        self.profile = profile
        self.names = names
        self.identity_names = frozenset(
            point.name for point in profile.points if point.kind == "identity" and point.expect is not None
        )
        self._windows: dict[bytes, Window] = {}

    def window(self, request: bytes) -> Window:
        """What `request` asks for; RequestMalformed when it is not a read."""
        window = self._windows.get(request)
        if window is None:
            if len(self._windows) >= MAX_WINDOWS:
                self._windows.clear()
            window = self._windows[request] = Window(self.profile, ReadRequest.parse(request), self.names)
        return window


_decoders: dict[tuple[int, frozenset[str] | None], Decoder] = {}


def decoder_of(profile: Profile, names: frozenset[str] | None = None) -> Decoder:
    """The decoder of this very profile object, made once; it keeps the object, so that its id stays its own."""
    key = (id(profile), names)
    decoder = _decoders.get(key)
    if decoder is None:
        if len(_decoders) >= MAX_DECODERS:
            _decoders.clear()
        decoder = _decoders[key] = Decoder(profile, names)
    return decoder
