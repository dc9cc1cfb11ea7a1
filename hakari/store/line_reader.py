"""Reading line protocol that others wrote: pure, exact, every line either a point or a sentence.

Guaranteed: a number keeps its text and never goes through a float; signed, unsigned and float are told apart; a bad
line is named with its number and the lines after it are read. A string may hold line feeds, so that a point may end on
a later line than it begins. Syntax and recovery after an error are those of the public corpus:
https://github.com/influxdata/line-protocol-corpus
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_DATA_BYTES = 64 * 1024 * 1024
MAX_NAME_BYTES = 65_535
MAX_STRING_BYTES = 64 * 1024
MAX_NUMBER_CHARS = 400
MAX_TAGS = 256
MAX_FIELDS = 10_000
MAX_SHOWN_CHARS = 60
MIN_NS, MAX_NS = -(1 << 63), (1 << 63) - 1
NS_OF = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class Unsigned(int):
    """A field that its sender wrote as an unsigned integer (`12u`)."""


class FloatText(NamedTuple):
    """A field that its sender wrote as a float: its decimal number as text, exactly as it came."""

    text: str


Value = int | Unsigned | FloatText | str | bool


class Point(NamedTuple):
    """One line: nanoseconds since 1970, None where the sender gave no time; `line` is where it begins, from 1."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time_ns: int | None
    line: int = 0


class LineProblem(NamedTuple):
    """A line that is no point: its number, from 1, and why in one sentence."""

    line: int
    reason: str


class _Bad(Exception):
    """Why a line cannot be read, and the place up to which it was."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at


# An escape is a backslash before one of the characters that end a name; any other backslash stands for itself.
_MEASUREMENT = re.compile(rb"(?:[^\\, \x00-\x1f\x7f]+|\\[ ,]|\\)*+")
_KEY = re.compile(rb"(?:[^\\,= \x00-\x1f\x7f]+|\\[ ,=]|\\)*+")
_TAG_VALUE = re.compile(rb"(?:[^\\,= \r\n]+|\\[ ,=]|\\)*+")
_STRING = re.compile(rb'(?:[^\\"]+|\\["\\]|\\)*+')
_SCALAR = re.compile(rb"[^, \r\n]*")
_TIME = re.compile(rb"[-0-9]*")
_SPACES = re.compile(rb" *")
_END = re.compile(rb"\r?\n|\r?\Z")
# Spaces, empty lines and comments between points.
_BETWEEN = re.compile(rb"(?: |\r?\n|\r\Z|#[^\x00-\x1f\x7f]*(?:\r?\n|\r?\Z))*")
_INTEGER = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAME_ESCAPES = re.compile(r"\\([ ,=])")
_MEASUREMENT_ESCAPES = re.compile(r"\\([ ,])")
_STRING_ESCAPES = re.compile(r'\\(["\\])')
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}


def read_lines(data: bytes, precision: str = "ns") -> Iterator[Point | LineProblem]:
    """Every point and every problem of `data`, in order; times are in `precision` (ns, us, ms or s).

    More than 64 MiB is one problem and nothing else. ValueError for another precision: our own fault.
    """
    if precision not in NS_OF:
        raise ValueError(f"precision {precision!r} is not known, known are {', '.join(NS_OF)}")
    if len(data) > MAX_DATA_BYTES:
        yield LineProblem(1, f"{len(data)} bytes of line protocol, limit {MAX_DATA_BYTES}: send it in parts")
        return
    factor, end, at, line, counted = NS_OF[precision], len(data), 0, 1, 0
    while True:
        at = _after(_BETWEEN, data, at)
        if at >= end:
            return
        line, counted = line + data.count(b"\n", counted, at), at
        try:
            point, at = _point(data, at, factor)
        except _Bad as bad:
            yield LineProblem(line, str(bad))
            at = data.find(b"\n", bad.at) + 1 or end
        else:
            yield point._replace(line=line)


def _point(data: bytes, at: int, factor: int) -> tuple[Point, int]:
    begin, at = at, _after(_MEASUREMENT, data, at)
    if at == begin:
        raise _Bad(at, f"a measurement cannot begin with {_shown(data[at : at + 1])}")
    if data[begin : begin + 1] == b"#":
        raise _Bad(at, "a comment holds a control character")
    measurement = _text(data, begin, at, _MEASUREMENT_ESCAPES)
    tags, at = _tags(data, at)
    fields, at = _fields(data, at)
    time_ns, at = _time(data, at, factor)
    return Point(measurement, tags, fields, time_ns), at


def _tags(data: bytes, at: int) -> tuple[dict[str, str], int]:
    tags: dict[str, str] = {}
    while data[at : at + 1] == b",":
        key, at = _key(data, at + 1, "tag")
        begin, at = at, _after(_TAG_VALUE, data, at)
        if at == begin:
            raise _Bad(at, f"tag {_quoted(key)} has no value")
        if key in tags:
            raise _Bad(at, f"tag {_quoted(key)} is there twice")
        if len(tags) >= MAX_TAGS:
            raise _Bad(at, f"more than {MAX_TAGS} tags")
        tags[key] = _text(data, begin, at, _NAME_ESCAPES)
    if data[at : at + 1] != b" ":
        raise _Bad(at, f"after measurement and tags comes a space, not {_shown(data[at : at + 1])}")
    return tags, _after(_SPACES, data, at)


def _fields(data: bytes, at: int) -> tuple[dict[str, Value], int]:
    fields: dict[str, Value] = {}
    while True:
        key, at = _key(data, at, "field")
        value, at = _value(data, at, key)
        if key in fields and fields[key] != value:
            raise _Bad(at, f"field {_quoted(key)} is there twice with different values")
        if len(fields) >= MAX_FIELDS:
            raise _Bad(at, f"more than {MAX_FIELDS} fields")
        fields[key] = value
        if data[at : at + 1] != b",":
            break
        at += 1
    if data[at : at + 1] not in (b" ", b"\r", b"\n", b""):
        raise _Bad(at, f"after field {_quoted(key)} stands {_shown(data[at : at + 1])}")
    return fields, _after(_SPACES, data, at)


def _key(data: bytes, at: int, kind: str) -> tuple[str, int]:
    begin, at = at, _after(_KEY, data, at)
    if at == begin:
        raise _Bad(at, f"a {kind} has no name")
    key = _text(data, begin, at, _NAME_ESCAPES)
    if data[at : at + 1] != b"=":
        raise _Bad(at, f"after {kind} {_quoted(key)} comes '=', not {_shown(data[at : at + 1])}")
    return key, at + 1


def _value(data: bytes, at: int, key: str) -> tuple[Value, int]:
    if data[at : at + 1] == b'"':
        begin, at = at + 1, _after(_STRING, data, at + 1)
        if data[at : at + 1] != b'"':
            # Nobody knows where it was to end: what follows the line that it begins on is read on its own.
            raise _Bad(begin, f"the string of field {_quoted(key)} is not closed")
        if at - begin > MAX_STRING_BYTES:
            raise _Bad(at, f"the string of field {_quoted(key)} has {at - begin} bytes, limit {MAX_STRING_BYTES}")
        return _text(data, begin, at, _STRING_ESCAPES), at + 1
    begin, at = at, _after(_SCALAR, data, at)
    text = data[begin : min(at, begin + MAX_NUMBER_CHARS + 1)].decode("latin-1")
    try:
        return _scalar(text), at
    except ValueError as error:
        raise _Bad(at, f"field {_quoted(key)}: {error}") from error


def _scalar(text: str) -> Value:
    """A number or boolean; ValueError with the sentence that says why it is neither."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError(f"a number of more than {MAX_NUMBER_CHARS} characters")
    if text[-1:] in ("i", "u"):
        signed, digits = text[-1] == "i", text[:-1]
        if _INTEGER.fullmatch(digits) is None or not (signed or digits[0] != "-"):
            raise ValueError(f"{_quoted(text)} is no {'' if signed else 'unsigned '}integer")
        number = int(digits)
        if not (-(1 << 63) <= number < 1 << 63 if signed else number < 1 << 64):
            raise ValueError(f"{_quoted(text)} is beyond 64 bits")
        return number if signed else Unsigned(number)
    if _FLOAT.fullmatch(text) is None:
        raise ValueError(f"{_quoted(text)} is no number, string or boolean")
    if not math.isfinite(float(text)):
        raise ValueError(f"{_quoted(text)} is beyond what a float can hold")
    return FloatText(text)


def _time(data: bytes, at: int, factor: int) -> tuple[int | None, int]:
    """The time in nanoseconds and where the next line begins."""
    begin, at = at, _after(_TIME, data, at)
    time_ns = None
    if at > begin:
        text = data[begin : min(at, begin + MAX_NUMBER_CHARS)].decode("ascii")
        if _INTEGER.fullmatch(text) is None:
            raise _Bad(at, f"time {_quoted(text)} is no integer")
        time_ns = int(text) * factor
        if not MIN_NS <= time_ns <= MAX_NS:
            raise _Bad(at, f"time {_quoted(text)} is outside the years 1677 to 2262")
    end = _END.match(data, _after(_SPACES, data, at))
    if end is None:
        rest = _shown(data[at : at + MAX_SHOWN_CHARS])
        raise _Bad(at, f"after the fields comes the time as an integer and nothing else, not {rest}")
    return time_ns, end.end()


def _after(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    """Where the longest match from `at` ends; every pattern here matches the empty text too."""
    found = pattern.match(data, at)
    return found.end() if found else at


def _text(data: bytes, begin: int, end: int, escapes: re.Pattern[str]) -> str:
    if end - begin > max(MAX_NAME_BYTES, MAX_STRING_BYTES):
        raise _Bad(end, f"a name of {end - begin} bytes, limit {MAX_NAME_BYTES}")
    try:
        text = data[begin:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Bad(end, f"{_shown(data[begin : min(end, begin + MAX_SHOWN_CHARS)])} is not UTF-8") from error
    return escapes.sub(r"\1", text) if "\\" in text else text


def _quoted(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…")


def _shown(data: bytes) -> str:
    return _quoted(data.decode("utf-8", "backslashreplace")) if data else "the end"
