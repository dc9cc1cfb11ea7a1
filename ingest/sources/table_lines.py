"""The bytes of a table as rows of cells, one after the other and never all at once. Pure.

Guaranteed: beside the file's own bytes a row at a time is held, and no line, row or number of them has more than its
limit, so that what anybody drops into a folder is refused before it fills the memory.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from ingest.sources.mapping import Form

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_LINES = 1_000_000
MAX_ROWS = 200_000
MAX_ROW_CHARS = 128 * 1024
MAX_CELLS = 10_000
CHUNK_BYTES = 64 * 1024

# The first bytes of .xlsx and .ods (a ZIP file) and of .xls.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Excel's own first line, which tells it the delimiter.
_SEPARATOR = re.compile(r"\ufeff?[\"]?sep=.[\"]?", re.IGNORECASE)
_ENDS = ("\n", "\r")


class NoTable(Exception):
    """Why a file cannot be taken."""


class Row(NamedTuple):
    """One row that is not empty: the line on which it ends, from 1, its cells, and whether it may have been cut off."""

    line: int
    cells: list[str]
    cut_off: bool


def table_rows(payload: bytes, form: Form) -> Iterator[Row]:
    """The rows of a file, the header first; NoTable where it is none or goes beyond a limit."""
    _check_text(payload, form)
    lines = _Lines(payload, form)
    count = 0
    try:
        for cells in csv.reader(lines, delimiter=form.delimiter, strict=True):
            cut_off = lines.row_ends()
            if not any(cell.strip() for cell in cells):
                continue
            count += 1
            if count > MAX_ROWS:
                raise NoTable(f"it has more than {MAX_ROWS} rows; give it in several files")
            if len(cells) > MAX_CELLS:
                raise NoTable(f"line {lines.number}: it has {len(cells)} cells, limit {MAX_CELLS}")
            yield Row(lines.number, cells, cut_off)
    except csv.Error as error:
        raise NoTable(f"line {lines.number}: {error}") from error


class _Lines:
    """The lines of a table without what stands before its header and without comments; `number` is the last one's."""

    def __init__(self, payload: bytes, form: Form) -> None:
        self._file = io.TextIOWrapper(io.BytesIO(payload), _encoding(form), newline="")
        self._form = form
        self._begun = False
        self._row_chars = 0
        self._last_ended = True
        self.number = 0

    def row_ends(self) -> bool:
        """A row is whole; whether its last line had no end."""
        self._row_chars = 0
        return self._form.last_line_ended and not self._last_ended

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        while True:
            line = self._file.readline(MAX_ROW_CHARS + 1)
            if not line:
                raise StopIteration
            self.number += 1
            if self.number > MAX_LINES:
                raise NoTable(f"it has more than {MAX_LINES} lines; give it in several files")
            if len(line) > MAX_ROW_CHARS:
                raise self._too_long()
            if self.number <= self._form.skip_lines or self._is_separator(line):
                continue
            if self._form.comment and line.startswith(self._form.comment):
                continue
            self._row_chars += len(line)
            if self._row_chars > MAX_ROW_CHARS:
                raise self._too_long()
            self._last_ended = line.endswith(_ENDS)
            return line

    def _is_separator(self, line: str) -> bool:
        begun, self._begun = self._begun, True
        return not begun and bool(_SEPARATOR.fullmatch(line.rstrip("\r\n")))

    def _too_long(self) -> NoTable:
        return NoTable(f"line {self.number}: its row has more than {MAX_ROW_CHARS} characters; is a quote not closed?")


def _check_text(payload: bytes, form: Form) -> None:
    if not payload:
        raise NoTable("it is empty")
    if len(payload) > MAX_FILE_BYTES:
        raise NoTable(f"it has {len(payload)} bytes, limit {MAX_FILE_BYTES}; give it in several files")
    if payload.startswith(_WORKBOOKS):
        raise NoTable("it is a workbook, not a table: open it and save it as CSV")
    decoder = codecs.getincrementaldecoder(_encoding(form))()
    view = memoryview(payload)
    for at in range(0, len(payload), CHUNK_BYTES):
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(view[at : at + CHUNK_BYTES], final=at + CHUNK_BYTES >= len(payload))
        except UnicodeError as error:
            place = at - waiting + (error.start if isinstance(error, UnicodeDecodeError) else 0)
            raise NoTable(f"byte {place} is not {form.encoding}; is it a table, and is encoding right?") from error
        if "\x00" in text:
            raise NoTable(f"it holds zero bytes, so it is no text of encoding {form.encoding}")


def _encoding(form: Form) -> str:
    return "utf-8-sig" if form.encoding == "utf-8" else form.encoding
