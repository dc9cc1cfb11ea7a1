"""Point lists on disk: sheets of cells out of .xlsx and .csv files, whatever the file is. Loads openpyxl when needed.

Guaranteed: a file is bounded before it is parsed; values only, never formulas; what cannot be read is a sentence.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge.tools.points_table import MAX_HEAD_ROW, Sheet
from edge.tools.points_words import COLUMN_OF, folded
from hakari.errors import BadConfiguration
from hakari.smallfile import TooLarge, read_bytes

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_UNPACKED_BYTES = 128 * 1024 * 1024
MAX_ENTRIES = 2000
MAX_ROWS = 5000
MAX_COLUMNS = 200
MAX_CELL_CHARS = 1000
MAX_SHEETS = 50
SEPARATORS = (",", ";", "\t")
UTF_8 = "utf-8-sig"
# Everything that openpyxl, zipfile and the XML parser raise for a file that is no workbook.
_NO_WORKBOOK = (
    zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, IndexError, SyntaxError, OSError,
    EOFError, NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip


class PointsUnusable(BadConfiguration):
    """A file is no point list that can be read."""


class PointsFile(NamedTuple):
    """What a file holds, and the hash by which it is cited."""

    sheets: list[Sheet]
    sha256: str


def read(path: Path, encoding: str = "") -> PointsFile:
    """The sheets of `path`, by its ending; `encoding` is that of a .csv, UTF-8 where it is not stated."""
    content = _content(path)
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        if encoding:
            raise PointsUnusable(f"{path}: --encoding is for .csv; a workbook knows its own, leave it out")
        return PointsFile(_workbook(path, content), digest)
    if path.suffix.lower() in (".csv", ".txt", ".tsv"):
        return PointsFile([_table(path, content, encoding)], digest)
    raise PointsUnusable(f"{path}: is neither .xlsx nor .csv; save the list as one of these")


def names(path: Path, encoding: str = "") -> dict[str, str]:
    """Identifiers by the names of a list, out of a .csv with these two columns; a header is left out."""
    rows = [row for row in _table(path, _content(path), encoding).rows if any(row)]
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if number == 1 and any(COLUMN_OF.get(folded(cell)) == "identifier" for cell in row):
            continue
        told = [cell for cell in row[:2] if cell]
        if len(told) != 2 or found.get(told[0], told[1]) != told[1]:
            raise PointsUnusable(
                f"--names {path} row {number}: {', '.join(row)[:60]!r} is not a name and its identifier, each name"
                " once; write lines such as 有効電力量,energy_import"
            )
        found[told[0]] = told[1]
    return found


def _content(path: Path) -> bytes:
    try:
        content = read_bytes(path, MAX_FILE_BYTES)
    except TooLarge as error:
        raise PointsUnusable(f"{path}: is larger than {MAX_FILE_BYTES} bytes; this is no point list") from error
    except OSError as error:
        raise PointsUnusable(f"{path}: cannot be read ({error.strerror}); check the path given") from error
    if not content:
        raise PointsUnusable(f"{path}: the file is empty; export the list again")
    return content


def _table(path: Path, content: bytes, encoding: str) -> Sheet:
    """A .csv file as one sheet, separated by whatever names the most columns that are known."""
    text = _text(path, content, encoding)
    if "\0" in text:
        raise PointsUnusable(f"{path}: is binary, not text; save the list as .csv or .xlsx")
    first = text.splitlines()[:MAX_HEAD_ROW]

    def known(separator: str) -> int:
        return sum(
            folded(cell) in COLUMN_OF for line in first for cell in next(csv.reader([line], delimiter=separator))
        )

    try:
        separator = max(SEPARATORS, key=known)
        rows: list[list[str]] = []
        for row in csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True):
            _check_size(str(path), len(rows) + 1, len(row))
            rows.append(row)
    except csv.Error as error:
        raise PointsUnusable(f"{path}: is no .csv: {error}; mend its quotes") from error
    return Sheet(path.name, [[_cut(cell) for cell in row] for row in rows], [])


def _text(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding or UTF_8)
    except LookupError as error:
        raise PointsUnusable(
            f"--encoding {encoding!r} is not known; usual are utf-8, cp932 (Shift-JIS), cp1252"
        ) from error
    except (UnicodeDecodeError, UnicodeError) as error:
        line = content[: getattr(error, "start", 0)].count(b"\n") + 1
        raise PointsUnusable(
            f"{path}: is not {encoding or 'UTF-8'} (line {line}); state what it is, for Japanese Excel often"
            " --encoding cp932"
        ) from error


def _workbook(path: Path, content: bytes) -> list[Sheet]:
    from openpyxl import load_workbook  # noqa: PLC0415 - an extra, for this command alone
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    try:
        _check_unpacked(path, content)
        values = load_workbook(BytesIO(content), data_only=True)
        formulas = load_workbook(BytesIO(content), data_only=False)
        pairs = list(zip(values.worksheets, formulas.worksheets, strict=True))
        if len(pairs) > MAX_SHEETS:
            raise PointsUnusable(f"{path}: has {len(pairs)} sheets, limit {MAX_SHEETS}; keep the point list alone")
        return [_sheet(path, shown, told) for shown, told in pairs]
    except (*_NO_WORKBOOK, InvalidFileException) as error:
        raise PointsUnusable(
            f"{path}: is no .xlsx workbook that can be read ({type(error).__name__}); open it and save it anew, without"
            " a password, or as .csv"
        ) from error


def _check_unpacked(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or size > MAX_UNPACKED_BYTES:
        raise PointsUnusable(
            f"{path}: unpacks to {size} bytes in {len(entries)} parts, limits {MAX_UNPACKED_BYTES} and {MAX_ENTRIES};"
            " this is no point list"
        )


def _sheet(path: Path, shown: Worksheet, told: Worksheet) -> Sheet:
    """One sheet; a formula without a stored value and merged cells below the first row are its faults."""
    _check_size(f"{path} sheet {shown.title!r}", shown.max_row, shown.max_column)
    rows = [[_cut(_cell_text(cell.value)) for cell in row] for row in shown.iter_rows()]
    return Sheet(shown.title, rows, [*_merged(shown), *_without_value(shown, told)])


def _merged(sheet: Worksheet) -> Iterator[str]:
    for merged in sorted(str(one) for one in sheet.merged_cells.ranges):
        first_row = sheet[merged][0][0].row
        alone = sum(cell.value is not None for cell in sheet[first_row]) <= 1
        if not alone:  # a title above the list, alone in its row, may be as wide as it likes
            yield f"sheet {sheet.title!r} cells {merged} are merged, so that rows share a value; unmerge them"


def _without_value(shown: Worksheet, told: Worksheet) -> Iterator[str]:
    for row in told.iter_rows():
        for cell in row:
            if cell.data_type == "f" and shown[cell.coordinate].value is None:
                yield (
                    f"sheet {told.title!r} cell {cell.coordinate}: {_cut(str(cell.value))[:60]!r} is a formula without"
                    " a stored value; open the file in a spreadsheet and save it, or paste the value"
                )


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _cut(text: str) -> str:
    return text.strip()[:MAX_CELL_CHARS]


def _check_size(where: str, rows: int, columns: int) -> None:
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise PointsUnusable(
            f"{where}: has {rows} rows and {columns} columns or more, limits {MAX_ROWS} and {MAX_COLUMNS}; keep the"
            " point list alone"
        )
