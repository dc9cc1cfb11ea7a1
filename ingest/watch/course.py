"""The GOOD readings of one point over a day, in the order of their slots, in a few bytes each."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left

from hakari.checks import At
from hakari.registers.reading import BCD, FLOATS, M10K, SIGNED, WIDTH_BITS, digits_of, modulus
from hakari.wire.rows import Row

DAY_MS = 24 * 3_600_000
MAX_READINGS = 300
LEAST_READINGS = 16
TRIM_READINGS = 32
LEAST_APART_MS = 10_000
SINGLE_SHARE = 2.0**-23  # one count of a single float, as a share of its value
DOUBLE_SHARE = 2.0**-52


class Course:
    """At most 300 readings of one day; of slots shorter than 10 s, one each 10 s.

    Values are in the unit that `factor` leads to; `count` is the coarsest resolution seen, `modulus` where an unsigned
    register starts again; both in that unit. `most_an_hour` is what it can count in an hour, None where nobody knows.
    `meter` and `since_ms`, before which no reading lies, are for its owner to set.
    """

    def __init__(
        self, type_: str, factor: float, dimension: str, interval_ms: int, most_an_hour: float | None, *, counter: bool
    ) -> None:
        self.shape = (type_, factor, dimension, interval_ms, most_an_hour, counter)
        self.dimension = dimension
        self.most_an_hour = most_an_hour
        self.count = 0.0
        self.modulus = 0.0
        self._factor = factor
        self._size = max(LEAST_READINGS, min(MAX_READINGS, DAY_MS // max(interval_ms, 1) + 2))
        self._apart_ms = LEAST_APART_MS if interval_ms < LEAST_APART_MS else 1
        self._times = array("q")
        self._values = array("d")
        self._exponent: int | None = None
        self._scale = 1.0
        # Below this raw word the number is the word itself, and it can be told without looking at its type.
        whole = type_ in WIDTH_BITS and type_ not in FLOATS and type_ not in BCD and type_ not in M10K
        self._plain_below = (1 << WIDTH_BITS[type_] - (type_ in SIGNED)) if whole else 0
        self._type = type_
        self.meter = ""
        self.since_ms = 0

    def add(self, row: Row) -> bool:
        """Puts a GOOD reading into its place; whether that told anything new."""
        times, values, t_ms = self._times, self._values, row.t_ms
        if (
            times
            and t_ms > times[-1]
            and self._apart_ms == 1
            and row.exponent == self._exponent
            and row.raw < self._plain_below
            and row.type == self._type
        ):
            times.append(t_ms)
            values.append(row.raw * self._scale)
            if len(times) >= self._size + TRIM_READINGS:
                self._trim()
            return True
        if times and t_ms > times[-1]:
            if t_ms // self._apart_ms == times[-1] // self._apart_ms:
                return False
            at = len(times)
        else:
            at = bisect_left(times, t_ms)
            if at < len(times) and times[at] == t_ms:
                return False
            if times and t_ms < times[-1] - DAY_MS:
                return False
        value = self._value(row)
        if value is None:
            return False
        times.insert(at, t_ms)
        values.insert(at, value)
        if len(times) >= self._size + TRIM_READINGS:
            self._trim()
        return True

    def _trim(self) -> None:
        del self._times[: len(self._times) - self._size], self._values[: len(self._values) - self._size]

    def readings(self) -> list[At]:
        """Those of the day before the newest, at most 300."""
        if not self._times:
            return []
        first = max(bisect_left(self._times, self._times[-1] - DAY_MS), len(self._times) - self._size)
        return [At(t_ms, value) for t_ms, value in zip(self._times[first:], self._values[first:], strict=True)]

    def _value(self, row: Row) -> float | None:
        if row.exponent != self._exponent:
            self._exponent = row.exponent
            self._scale = self._factor * 10.0**row.exponent
            if row.type not in FLOATS:
                self.count = max(self.count, self._scale)
            whole = modulus(row.type)
            self.modulus = 0.0 if whole is None else whole * self._scale
        number = number_of(row.type, row.raw)
        if number is None:
            return None
        if row.type in FLOATS:
            share = SINGLE_SHARE if row.type == "f32" else DOUBLE_SHARE
            self.count = max(self.count, abs(number) * share * self._scale)
        return number * self._scale


def number_of(type_: str, raw: int) -> float | None:
    """The number of a bit pattern as a float, None where it is none."""
    if type_ in FLOATS:
        width = WIDTH_BITS[type_]
        number = float(struct.unpack(">f" if width == 32 else ">d", raw.to_bytes(width // 8, "big"))[0])
        return number if number - number == 0.0 else None
    if type_ in BCD or type_ in M10K:
        digits = digits_of(type_, raw)
        return None if digits is None else float(digits)
    if type_ in SIGNED:
        width = WIDTH_BITS[type_]
        return float(raw - (1 << width) if raw >> (width - 1) else raw)
    return float(raw) if type_ in WIDTH_BITS else None
