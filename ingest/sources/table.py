"""Tables of loggers and historians under a declared mapping: bytes in, readings and refusals out. Pure.

Guaranteed: no number passes through a float, no time is guessed; what is refused is named by line, column, value and
reason. A file that is not such a table at all gives one refusal and nothing else.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from hakari.errors import BadConfiguration
from hakari.units import convert
from ingest.sources.mapping import EPOCH_MS, EPOCH_S, IN_ORDER, Column, Mapping, MappingInvalid, zone_of_times
from ingest.sources.port import MAX_READINGS, GivenReading, Message, Parsed
from ingest.sources.table_lines import NoTable, table_rows

MAX_SHOWN_CHARS = 60
MAX_EPOCH_DIGITS = 15

_PLAIN = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,18})?")
_GROUPED = re.compile(r"-?[0-9]{1,3}(?:_[0-9]{3})*(?:\.[0-9]{1,18})?|-?[0-9]{1,40}(?:\.[0-9]{1,18})?")


class _Refused(Exception):
    """Why a file, a row or a cell cannot be taken."""


class _Columns(NamedTuple):
    """Where in a row the time, the values and, in the long form, the name and the value stand."""

    time: list[int]
    wide: list[tuple[int, Column]]
    long: tuple[int, int] | None
    width: int


class TableParser:
    """The parser of one mapping; MappingInvalid where it describes no table."""

    def __init__(self, mapping: Mapping) -> None:
        if mapping.file.table is None:
            raise MappingInvalid("the mapping has no [table], so it describes no file; add [table] and [[column]]")
        self._form = mapping.file.table
        self._points = mapping.declared.points
        self._by_name = {one.name: one for one in mapping.file.column}
        self._zone = zone_of_times(self._form.time)

    def parse(self, message: Message, now_ms: int) -> Parsed:  # noqa: ARG002 - the port's
        """The readings in the file; never raises for what can be in it."""
        readings: list[GivenReading] = []
        refused: list[str] = []
        try:
            for found in islice(self._rows(message.payload), MAX_READINGS + 1):
                if isinstance(found, GivenReading):
                    readings.append(found)
                else:
                    refused.append(found)
        except (NoTable, _Refused) as error:
            return Parsed([], [f"the file cannot be taken: {error}"])
        if len(readings) + len(refused) > MAX_READINGS:
            limit = f"it has more than {MAX_READINGS} values; give it in several files"
            return Parsed([], [f"the file cannot be taken: {limit}"])
        if not readings and not refused:
            refused.append("the file cannot be taken: it has no values; check skip_lines and the columns")
        return Parsed(readings, refused)

    def _rows(self, payload: bytes) -> Iterator[GivenReading | str]:
        rows = table_rows(payload, self._form)
        header = next(rows, None)
        if header is None:
            raise _Refused("it has no header")
        columns = self._columns(header.cells)
        second: dict[int, bool] = {}
        if self._form.time.twice == IN_ORDER:
            again = ((row.line, row.cells) for row in table_rows(payload, self._form) if not row.cut_off)
            next(again, None)
            second = self._second_hours(again, columns)
        for row in rows:
            if row.cut_off:
                yield f"line {row.line}: it has no line end, so it may be cut off"
            else:
                yield from self._row(row.line, row.cells, columns, second.get(row.line))

    def _columns(self, header: Sequence[str]) -> _Columns:
        names = [cell.strip() for cell in header]
        form = self._form

        def at(name: str) -> int:
            if names.count(name) != 1:
                raise _Refused(
                    f"its header has column {name!r} {names.count(name)} times, exactly once is needed; it has"
                    f" {', '.join(names)[:300]!r}"
                )
            return names.index(name)

        time = [at(name) for name in form.time.columns]
        if form.names:
            return _Columns(time, [], (at(form.names), at(form.values)), len(names))
        return _Columns(time, [(at(name), one) for name, one in self._by_name.items()], None, len(names))

    def _row(
        self, number: int, row: Sequence[str], columns: _Columns, second: bool | None
    ) -> Iterator[GivenReading | str]:
        if len(row) != columns.width:
            yield f"line {number}: it has {len(row)} cells, the header {columns.width}"
            return
        try:
            time = " ".join(row[k].strip() for k in columns.time)
            cells = self._cells(row, columns)
            t_ms = self._time(time, second) if cells else 0
        except _Refused as error:
            yield f"line {number}: {error}"
            return
        for cell, column in cells:
            where = f"line {number}, column {column.name}"
            try:
                yield GivenReading(column.meter, column.point, t_ms, self._value(cell, column), where)
            except _Refused as error:
                yield f"{where}: {error}"

    def _cells(self, row: Sequence[str], columns: _Columns) -> list[tuple[str, Column]]:
        if columns.long is None:
            found = [(row[k].strip(), column) for k, column in columns.wide]
        else:
            name_at, value_at = columns.long
            name = row[name_at].strip()
            if name not in self._by_name:
                raise _Refused(f"column {self._form.names}: {name[:MAX_SHOWN_CHARS]!r} is no [[column]] of the mapping")
            found = [(row[value_at].strip(), self._by_name[name])]
        return [(cell, column) for cell, column in found if cell not in self._form.empty]

    def _value(self, cell: str, column: Column) -> str:
        form = self._form
        text = cell.removeprefix("+")
        if form.thousands:
            text = text.replace("_", "?").replace(form.thousands, "_").replace("\N{NO-BREAK SPACE}", "_")
        if form.decimal == ",":
            text = text.replace(".", "?").replace(",", ".")
        if not (_GROUPED if form.thousands else _PLAIN).fullmatch(text):
            raise _Refused(
                f"value {cell[:MAX_SHOWN_CHARS]!r} is no plain number with decimal {form.decimal!r} and thousands"
                f" {form.thousands!r}"
            )
        text = text.replace("_", "")
        unit = self._points[column.meter, column.point].unit
        if column.unit in ("", unit):
            return text
        try:
            return format(convert(Decimal(text), column.unit, unit), "f")
        except BadConfiguration as error:
            raise _Refused(f"value {cell[:MAX_SHOWN_CHARS]!r}: {error}") from error

    def _time(self, text: str, second: bool | None) -> int:
        form = self._form.time
        shown = repr(text[:MAX_SHOWN_CHARS])
        if form.format in (EPOCH_S, EPOCH_MS):
            if not (text.isascii() and text.isdigit() and len(text) <= MAX_EPOCH_DIGITS):
                raise _Refused(f"time {shown} is no whole number for {form.format}")
            return int(text) * (1000 if form.format == EPOCH_S else 1)
        try:
            # The zone follows below, or stands in the text by %z.
            found = dt.datetime.strptime(text, form.format)  # noqa: DTZ007
        except ValueError as error:
            raise _Refused(f"time {shown} is not of the format {form.format!r}") from error
        if self._zone is not None:
            found = self._localised(found, shown, second)
        return (found - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)

    def _localised(self, naive: dt.datetime, shown: str, is_second: bool | None) -> dt.datetime:
        """The instant of a local time; refused where clocks skipped it, or it came twice and nobody says which."""
        first, second = (naive.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return first
        zone = self._form.time.zone
        if first.astimezone(dt.UTC).astimezone(self._zone).replace(tzinfo=None) != naive:
            raise _Refused(f"time {shown} does not exist in {zone}: clocks were put forward over it")
        twice = self._form.time.twice
        if twice == "refuse":
            raise _Refused(
                f"time {shown} comes twice in {zone}, when clocks go back; write UTC, or where a file is in order of"
                ' time and holds both hours, twice = "in-order"; "first" or "second" only where it holds that one alone'
            )
        if twice == IN_ORDER:
            if is_second is None:
                raise _Refused(
                    f"time {shown} comes twice in {zone}, and its rows do not say which it is: in-order needs both"
                    " hours in one file, each in order of time; write UTC"
                )
            return second if is_second else first
        return first if twice == "first" else second

    def _second_hours(self, rows: Iterable[tuple[int, Sequence[str]]], columns: _Columns) -> dict[int, bool]:
        """For rows whose local time comes twice, by line: whether they are of the second hour.

        Only where the rows of one name go back in time exactly once while such times last: what lies before that is
        the first hour. Anything else could be dated wrongly by an hour.
        """
        runs: dict[str, list[tuple[int, dt.datetime]]] = {}
        found: dict[int, bool] = {}
        for number, row in rows:
            name = "" if columns.long is None or len(row) != columns.width else row[columns.long[0]]
            naive = self._naive(row, columns)
            run = runs.setdefault(name, [])
            if naive is not None and self._comes_twice(naive):
                run.append((number, naive))
            elif naive is not None:
                found |= _second_of(runs.pop(name))
        for run in runs.values():
            found |= _second_of(run)
        return found

    def _naive(self, row: Sequence[str], columns: _Columns) -> dt.datetime | None:
        if len(row) != columns.width:
            return None
        try:
            text = " ".join(row[k].strip() for k in columns.time)
            return dt.datetime.strptime(text, self._form.time.format)  # noqa: DTZ007 - a local time
        except ValueError:
            return None

    def _comes_twice(self, naive: dt.datetime) -> bool:
        first, second = (naive.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        return first.utcoffset() != second.utcoffset()


def _second_of(run: Sequence[tuple[int, dt.datetime]]) -> dict[int, bool]:
    """For each line of a run whether it lies behind the one place at which times go back; nothing without one."""
    back = [k for k in range(1, len(run)) if run[k][1] <= run[k - 1][1]]
    return {number: k >= back[0] for k, (number, _) in enumerate(run)} if len(back) == 1 else {}
