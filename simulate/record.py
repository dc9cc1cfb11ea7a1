"""A recorded CSV as a plant's source: exact values from the file's own digits, no floats.

A value holds until the next row. The mapping file says which column gives which quantity and how.
"""

from __future__ import annotations

import bisect
import csv
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hakari.errors import BadConfiguration
from simulate.source import MS_PER_HOUR, Source, Span

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_ROWS = 2_000_000
MAX_CELL_CHARS = 40
MAX_EXPONENT = 30
UNIX = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

Kind = Literal["gauge", "integral", "register", "slope", "constant"]
Part = Literal["positive", "negative", "all"]
Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,20}(\.[0-9]{1,20})?(/[1-9][0-9]{0,19})?$")]


class RecordInvalid(BadConfiguration):
    """A recorded file or its mapping cannot be used."""


class QuantityMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one quantity comes from one column; every result is multiplied by `factor`.

    gauge: the column's value. integral: Σ value × hours, of the values above (`positive`) or below
    (`negative`, counted as a positive number) zero. register: the column is itself a counter. slope: what
    the register column gains an hour until the next row. constant: `factor` alone.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,40}$")]
    kind: Kind
    column: str = ""
    part: Part = "all"
    factor: Number = "1"


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file. `last_interval_s` is how long the last row's value holds."""

    quantities: Annotated[list[QuantityMap], msgspec.Meta(min_length=1, max_length=100)]
    last_interval_s: Annotated[int, msgspec.Meta(ge=1, le=31_622_400)]
    time_column: str = "time"
    origin: str = ""


class _Column:
    """One quantity's numbers: integers in units of 10^-places, and what they become."""

    def __init__(self, how: QuantityMap, times_ms: list[int], cells: list[Decimal]) -> None:
        places = max([0, *(-int(cell.as_tuple().exponent) for cell in cells)])
        whole = [int(Fraction(cell) * 10**places) for cell in cells]
        factor, _, divisor = how.factor.partition("/")
        self.unit: Fraction = Fraction(factor) / (int(divisor or 1) * 10**places)
        self.kind = how.kind
        steps = [b - a for a, b in pairwise(times_ms)]
        if how.kind == "integral":
            self.rates = [_part(value, how.part) for value in whole]
            self.sums = list(accumulate((r * ms for r, ms in zip(self.rates, steps, strict=True)), initial=0))
        elif how.kind == "slope":
            self.rates = [b - a for a, b in pairwise(whole)] + [0]
            self.sums = [*steps, 1]
        else:
            self.rates = whole

    def at(self, row: int, since_ms: int) -> Fraction:
        """The quantity `since_ms` after the beginning of `row`."""
        if self.kind == "constant":
            return self.unit
        if self.kind == "integral":
            return Fraction(self.sums[row] + self.rates[row] * since_ms, MS_PER_HOUR) * self.unit
        if self.kind == "slope":
            return Fraction(self.rates[row] * MS_PER_HOUR, self.sums[row]) * self.unit
        return self.rates[row] * self.unit


class Record(Source):
    """A recorded file read through a mapping; see `Source`."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        """Reads the whole file; RecordInvalid names the line and column that cannot be used."""
        self._times_ms, cells = _read(path, mapping)
        self.quantities = frozenset(how.name for how in mapping.quantities)
        if len(self.quantities) < len(mapping.quantities):
            raise RecordInvalid(f"the mapping of {path} names a quantity twice; keep one")
        end_ms = self._times_ms[-1] + mapping.last_interval_s * 1000
        self.span = Span(self._times_ms[0], end_ms)
        times_ms = [*self._times_ms, end_ms]
        self._columns = {
            how.name: _Column(how, times_ms if how.kind == "integral" else self._times_ms, cells.get(how.column, []))
            for how in mapping.quantities
        }

    def value(self, quantity: str, t_ms: int) -> Fraction:
        """See `Source.value`; before the first row the first row's, after the end the end's."""
        t_ms = min(max(t_ms, self.span.start_ms), self.span.end_ms)
        row = bisect.bisect_right(self._times_ms, t_ms) - 1
        return self._columns[quantity].at(row, t_ms - self._times_ms[row])


def _part(value: int, part: Part) -> int:
    if part == "all":
        return value
    return max(value, 0) if part == "positive" else max(-value, 0)


def _read(path: Path, mapping: Mapping) -> tuple[list[int], dict[str, list[Decimal]]]:
    """The rows' times in UTC milliseconds and the mapped columns' values."""
    columns = sorted({how.column for how in mapping.quantities if how.kind != "constant"})
    times_ms: list[int] = []
    cells: dict[str, list[Decimal]] = {column: [] for column in columns}
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecordInvalid(f"{path} is larger than {MAX_FILE_BYTES} bytes; record less of the plant")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_header(path, [mapping.time_column, *columns], reader.fieldnames or [])
            for row in reader:
                where = f"{path} line {reader.line_num}"
                times_ms.append(_time_ms(row[mapping.time_column] or "", times_ms, where))
                for column in columns:
                    cells[column].append(_number(row[column] or "", f"{where} column {column}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordInvalid(f"{path} cannot be read as CSV ({error}); check the path and that it is UTF-8") from error
    if not times_ms:
        raise RecordInvalid(f"{path} has no rows; give a recorded file")
    return times_ms, cells


def _check_header(path: Path, wanted: list[str], found: Sequence[str]) -> None:
    for column in wanted:
        if list(found).count(column) != 1:
            raise RecordInvalid(f"{path} must have column {column!r} once; its header is {', '.join(found)}")


def _time_ms(cell: str, before_ms: list[int], where: str) -> int:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError as error:
        raise RecordInvalid(f"{where}: {cell[:MAX_CELL_CHARS]!r} is no ISO 8601 time; mend the row") from error
    if moment.tzinfo is None:
        raise RecordInvalid(f"{where}: time {cell!r} has no zone; write its offset, such as +00:00")
    t_ms = (moment - UNIX) // timedelta(milliseconds=1)
    if before_ms and t_ms <= before_ms[-1]:
        raise RecordInvalid(f"{where}: time {cell!r} is not after the row before it; sort the file, one row a time")
    if len(before_ms) >= MAX_ROWS:
        raise RecordInvalid(f"{where}: more than {MAX_ROWS} rows; record less of the plant")
    return t_ms


def _number(cell: str, where: str) -> Decimal:
    try:
        number = Decimal(cell)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or len(cell) > MAX_CELL_CHARS or abs(number.adjusted()) > MAX_EXPONENT:
        raise RecordInvalid(f"{where}: {cell[:MAX_CELL_CHARS]!r} is no number; a gap must be removed or filled first")
    return number
