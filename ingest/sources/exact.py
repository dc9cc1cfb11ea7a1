"""Numbers and times of other senders as exact text: pure, and never a float on the way.

Guaranteed: a number keeps its value to the last digit or is refused with a sentence; a factor is a power of ten, so
that applying it only moves the point; a time is refused unless it names one instant.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Literal

MAX_NUMBER_CHARS = 60
MAX_DECIMALS = 18
MAX_WHOLE_DIGITS = 19
MAX_POWER = 18
MAX_T_MS = 2**53
MAX_SHOWN_CHARS = 60
MIN_RAW, MAX_RAW = -(2**63), 2**63 - 1

TimeUnit = Literal["s", "ms", "us", "ns"]

_NUMBER = re.compile(r"(-?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,4}))?")
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
# Moving the point by so many places gives milliseconds.
_TO_MS = {"s": 3, "ms": 0, "us": -3, "ns": -6}


class NotExact(ValueError):
    """A number or a time cannot be taken as it is; the text says why in one sentence."""


class NumberText(str):
    """A JSON number: its characters as they came."""

    __slots__ = ()


def decimal_text(text: str, power_of_ten: int = 0) -> str:
    """`text` × 10^`power_of_ten` as a plain decimal of at most 64 bits and 18 decimals, to the last digit.

    Without an exponent and a factor the digits stay as they were given. NotExact where that is not possible.
    """
    found = _NUMBER.fullmatch(text) if len(text) <= MAX_NUMBER_CHARS else None
    if found is None or not (found[2] or found[3]):
        raise NotExact(f"{shown(text)} is not a decimal number of at most {MAX_NUMBER_CHARS} characters")
    sign, whole, part = found[1], found[2] or "", found[3] or ""
    places = len(part) - int(found[4] or 0) - power_of_ten
    digits = (whole + part).lstrip("0") or "0"
    if digits == "0":
        places = min(max(places, 0), MAX_DECIMALS)
    if places < 0:
        digits, places = digits + "0" * min(-places, MAX_NUMBER_CHARS), 0
    while places > 0 and digits[-1] == "0" and (places > MAX_DECIMALS or not _fits(sign, digits)):
        digits, places = digits[:-1] or "0", places - 1
    if places > MAX_DECIMALS:
        raise NotExact(f"{shown(text)} has more than {MAX_DECIMALS} decimals; it is never rounded, so send fewer")
    if not _fits(sign, digits):
        raise NotExact(f"{shown(text)} has more digits than 64 bits hold")
    padded = digits.rjust(places + 1, "0")
    return sign + (f"{padded[:-places]}.{padded[-places:]}" if places else padded)


def epoch_ms(text: str, unit: TimeUnit) -> int:
    """Milliseconds since 1970 of a count in `unit`; what is finer than a millisecond is cut off. NotExact otherwise."""
    try:
        whole = decimal_text(text, _TO_MS[unit]).partition(".")[0]
    except NotExact as error:
        raise NotExact(f"time {shown(text)} is no count of {unit}") from error
    return _checked_ms(int(whole), text)


def iso_ms(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time with its offset; what is finer is cut off. NotExact otherwise."""
    if not _ISO.fullmatch(text):
        raise NotExact(
            f"time {shown(text)} is no ISO 8601 time with seconds and an offset, such as 2026-05-01T00:15:00+07:00"
        )
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise NotExact(f"time {shown(text)} does not exist: {error}") from error
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return _checked_ms(since // dt.timedelta(milliseconds=1), text)


def strict_json(payload: bytes) -> object:
    """What `payload` holds, each number as NumberText: no key twice, no NaN or Infinity, UTF-8 only.

    NotExact names what is wrong. Nesting is bounded by what the interpreter reads, about 1,000 levels.
    """
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotExact(f"not UTF-8 at byte {error.start}") from error
    try:
        return json.loads(
            text, parse_float=NumberText, parse_int=NumberText, parse_constant=_no_number, object_pairs_hook=_once
        )
    except NotExact:
        raise
    except RecursionError as error:
        raise NotExact("the JSON is nested too deeply") from error
    except ValueError as error:
        raise NotExact(f"not JSON: {str(error)[:MAX_SHOWN_CHARS]}") from error


def number_of(value: object) -> str:
    """The text of a JSON number, or of a string that is one; NotExact for anything else."""
    if isinstance(value, str):
        return value
    raise NotExact(f"{_kind(value)} is not a number")


def shown(text: str) -> str:
    """`text` for a sentence, quoted and cut."""
    return repr(str(text) if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…")


def _fits(sign: str, digits: str) -> bool:
    return len(digits) <= MAX_WHOLE_DIGITS and MIN_RAW <= int(sign + digits) <= MAX_RAW


def _checked_ms(t_ms: int, text: str) -> int:
    if not 0 <= t_ms <= MAX_T_MS:
        raise NotExact(f"time {shown(text)} is before 1970 or beyond any calendar; check the unit of time")
    return t_ms


def _no_number(text: str) -> object:
    raise NotExact(f"{text} is not a number")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in pairs:
        if key in made:
            raise NotExact(f"key {shown(key)} stands twice in one object")
        made[key] = value
    return made


def _kind(value: object) -> str:
    names = {bool: "a boolean", dict: "an object", list: "an array", type(None): "null"}
    return names.get(type(value), type(value).__name__)
