"""An integrator's point list as a meter profile. Pure: from cells to a profile, or to everything that is wrong.

Guaranteed: no address, order, factor or counter is guessed; every cell that leaves a choice is refused, with where it
stands, what it holds and what is allowed; a profile comes out only of a list without a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from edge.tools import points_cells as cells
from edge.tools.points_cells import Addressing, CellRefused, Place
from edge.tools.points_words import COLUMN_OF, COLUMNS, SPARE, folded
from hakari.registers.check import problems
from hakari.registers.profile import Kind, Order, Point, Profile, Table, Type

MAX_POINTS = 2000
MAX_HEAD_ROW = 30
MAX_SHOWN_CHARS = 60
MAX_SHOWN_TITLES = 10
MAX_MANUAL_CHARS = 200
NEEDED = ("name", "address", "type")
# Where a list says that a row is spare.
SPEAKING = ("name", "identifier", "description")

# Stands for a type that was refused: whatever else the row says fits it.
UNTYPED: Type = "string"
PLAIN: tuple[Order, Order] = ("high_first", "high_first")

T = TypeVar("T")


class Sheet(NamedTuple):
    """Cells of one sheet as text, "" where empty; the first row is row 1. `faults` are cells that cannot be used."""

    name: str
    rows: list[list[str]]
    faults: list[str]


class Choices(NamedTuple):
    """What the person states beside the list; `counters` and the keys of `names` are written as in the list.

    `dictionary` names points as `names` does, but may hold more than the list.
    """

    id: str
    maker: str
    model: str
    source: str
    addressing: Addressing | None = None
    word_order: Order | None = None
    table: Table = "holding"
    counters: tuple[str, ...] = ()
    names: Mapping[str, str] = {}
    max_words: int = 125
    dictionary: Mapping[str, str] = {}


class Imported(msgspec.Struct, frozen=True):
    """What became of a list: there is a profile exactly where `refused` is empty.

    `ignored` are headers unknown, `skipped` rows that are spare.
    """

    sheet: str
    refused: list[str]
    ignored: list[str]
    profile: Profile | None = None
    skipped: list[str] = []


class _Head(NamedTuple):
    """The header: its row number, columns by meaning, and what is not known of it."""

    number: int
    columns: Mapping[str, int]
    titles: Mapping[str, str]
    ignored: list[str]


class _Row(NamedTuple):
    """One line of the list: its number, and its cells by meaning."""

    number: int
    cells: Mapping[str, str]


def import_points(sheets: Sequence[Sheet], choices: Choices, wanted: str = "") -> Imported:
    """The profile in the one sheet of `sheets` that holds a point list, or in the one called `wanted`."""
    chosen = [sheet for sheet in sheets if not wanted or sheet.name == wanted]
    listed = [(sheet, head) for sheet in chosen if (head := _head(sheet))]
    if len(listed) != 1:
        return Imported(wanted, [_no_sheet(sheets, [sheet for sheet, _ in listed], wanted)], [])
    ((sheet, head),) = listed
    return _List(sheet, head, choices).imported()


def _no_sheet(sheets: Sequence[Sheet], listed: Sequence[Sheet], wanted: str) -> str:
    if listed:
        names = ", ".join(repr(sheet.name) for sheet in listed[:10])
        return f"point lists stand in {len(listed)} sheets: {names}; say which with --sheet"
    known = ", ".join(repr(sheet.name) for sheet in sheets[:10])
    if wanted and wanted not in {sheet.name for sheet in sheets}:
        return f"there is no sheet {wanted!r}; there are {known or 'none'}"
    looked_at = [sheet for sheet in sheets if not wanted or sheet.name == wanted]
    return (
        f"no row among the first {MAX_HEAD_ROW} of {known or 'the file'} has the headers name, address and type"
        f" (点名, アドレス, データ型); {_nearest(looked_at)}"
    )


def _nearest(sheets: Sequence[Sheet]) -> str:
    """The row that comes nearest to a header: what it has, what it lacks, and the words for that."""
    heads = [(sheet, head) for sheet in sheets for head in _heads(sheet)]
    sheet, head = max(heads, key=lambda one: len(one[1].columns), default=(None, None))
    if sheet is None or head is None or not head.columns:
        return f"name these columns; accepted are: {accepted(NEEDED)}"
    has = ", ".join(f"{name} ({title!r})" for name, title in head.titles.items())
    others = ", ".join(repr(title[:MAX_SHOWN_CHARS]) for title in head.ignored[:MAX_SHOWN_TITLES])
    lacking = [name for name in NEEDED if name not in head.columns]
    return (
        f"nearest is row {head.number} of {sheet.name!r}: it has {has} and lacks {', '.join(lacking)}"
        f"{f'; not known are {others}' if others else ''}; accepted are: {accepted(lacking)}"
    )


def accepted(columns: Iterable[str]) -> str:
    """The headers by which a list may name these columns."""
    return "; ".join(f"for {column}: {', '.join(COLUMNS[column])}" for column in columns)


def _head(sheet: Sheet) -> _Head | None:
    """The first row that names the columns that a list needs, None where no row does."""
    return next((head for head in _heads(sheet) if all(column in head.columns for column in NEEDED)), None)


def _heads(sheet: Sheet) -> Iterator[_Head]:
    """Each of the first rows as if it were the header; an identifier alone is the name."""
    for number, row in enumerate(sheet.rows[:MAX_HEAD_ROW], 1):
        columns: dict[str, int] = {}
        ignored = []
        for k, cell in enumerate(row):
            meaning = COLUMN_OF.get(folded(cell))
            if meaning is not None and meaning not in columns:
                columns[meaning] = k
            elif cell:
                ignored.append(cell)
        if "name" not in columns and "identifier" in columns:
            columns["name"] = columns.pop("identifier")
        yield _Head(number, columns, {name: row[k] for name, k in columns.items()}, ignored)


class _List:
    """One list on its way to a profile; refusals are gathered, so that all are told at once."""

    def __init__(self, sheet: Sheet, head: _Head, choices: Choices) -> None:
        self._sheet = sheet
        self._head = head
        self._choices = choices
        self._refused = list(sheet.faults)
        self._met: set[str] = set()
        self._skipped: list[str] = []

    def imported(self) -> Imported:
        """The whole list."""
        rows = [row for row in self._rows() if not self._is_spare(row)]
        name = repr(self._sheet.name)
        if not rows:
            self._refused.append(f"sheet {name} has no row below its header; write the points there")
        if len(rows) > MAX_POINTS:
            self._refused.append(f"sheet {name} has {len(rows)} points, limit {MAX_POINTS}; divide it")
        found = [(row, point) for row in rows[:MAX_POINTS] if (point := self._point(row)) is not None]
        self._refuse_doubles(found)
        self._refuse_unmet()
        choices = self._choices
        profile = Profile(
            id=choices.id, maker=choices.maker, model=choices.model, source=choices.source, standing="one-source",
            points=[point for _, point in found], proof="constructed", max_words=choices.max_words,
        )  # fmt: skip
        if not self._refused:
            self._refused += problems(profile)
        whole = None if self._refused else profile
        return Imported(self._sheet.name, self._refused, self._head.ignored, whole, self._skipped)

    def _is_spare(self, row: _Row) -> bool:
        """Whether the row says that nothing is there and tells no place or no type; it is said."""
        told = next((text for column in SPEAKING if folded(text := row.cells.get(column, "")) in SPARE), "")
        spare = bool(told) and not (row.cells["address"] and row.cells["type"])
        if spare:
            self._skipped.append(f"sheet {self._sheet.name!r} row {row.number}: {told!r}")
        return spare

    def _named(self, row: _Row) -> str:
        """The column that names the point: the identifier where it has letters, which a mere number has not."""
        identifier = row.cells.get("identifier", "")
        return "identifier" if any(char.isascii() and char.isalpha() for char in identifier) else "name"

    def _rows(self) -> Iterator[_Row]:
        for number, row in enumerate(self._sheet.rows[self._head.number :], self._head.number + 1):
            told = {name: row[k].strip() if k < len(row) else "" for name, k in self._head.columns.items()}
            if any(told.values()):
                yield _Row(number, told)

    def _point(self, row: _Row) -> Point | None:
        """The point of one row, None where a cell of it is refused; all of its cells are looked at."""
        before, choices = len(self._refused), self._choices
        names = {**choices.dictionary, **choices.names}
        written = row.cells["name"]
        column = "name" if written in names else self._named(row)
        name = self._cell(row, column, lambda text: cells.name_of(text, names), "")
        self._met |= {written, row.cells[column], name}
        type_: Type = self._cell(row, "type", cells.type_of, UNTYPED)
        place = self._cell(row, "address", lambda text: cells.place_of(text, choices.addressing), Place(0, None))
        table = self._cell(row, "table", lambda text: cells.table_of(text, place, choices.table), choices.table)
        order = self._cell(row, "order", lambda text: cells.order_of(text, type_, choices.word_order), PLAIN)
        unit = self._cell(row, "unit", cells.unit_of, "?")
        words = self._cell(row, "words", lambda text: cells.words_of(text, type_), 1)
        self._cell(row, "offset", cells.no_offset, None)
        exponent = self._exponent(row)
        counts = self._cell(row, "counter", cells.is_counter, default=False)
        kind: Kind = "gauge"
        if type_ == "string":
            kind = "identity"
        elif counts or {written, name} & set(choices.counters):
            kind = "counter"
        if kind == "counter" and not unit:
            self._refuse(row, "unit", "is empty, and a counter needs the unit in which it counts, such as kWh")
        if type_ == "string" and row.cells["type"] and not words:
            self._refuse(row, "words", "is empty, and a string needs its length in registers")
        if len(self._refused) > before:
            return None
        return Point(
            name=name, address=place.address, type=type_, kind=kind, unit=unit, table=table, word_order=order[0],
            byte_order=order[1], exponent=exponent, words=words if type_ == "string" else 0, manual=_manual(row),
        )  # fmt: skip

    def _exponent(self, row: _Row) -> int:
        gain = self._cell(row, "gain", lambda text: cells.exponent_of(text, divides=False), 0)
        return gain + self._cell(row, "divisor", lambda text: cells.exponent_of(text, divides=True), 0)

    def _cell(self, row: _Row, column: str, meaning: Callable[[str], T], default: T) -> T:
        """What the cell means; `default` once it was refused."""
        try:
            return meaning(row.cells.get(column, ""))
        except CellRefused as refusal:
            self._refuse(row, column, str(refusal))
            return default

    def _refuse(self, row: _Row, column: str, why: str) -> None:
        held = row.cells.get(column, "")
        shown = held if len(held) <= MAX_SHOWN_CHARS else held[:MAX_SHOWN_CHARS] + "…"
        title = self._head.titles.get(column)
        where = f"column {title!r}" if title else f"no column {column!r}"
        self._refused.append(f"sheet {self._sheet.name!r} row {row.number}, {where}: {shown!r} {why}")

    def _refuse_doubles(self, found: Sequence[tuple[_Row, Point]]) -> None:
        """Names used twice, and registers that two points share."""
        names: dict[str, _Row] = {}
        for row, point in found:
            first = names.setdefault(point.name, row)
            if first is not row:
                self._refuse(row, "name", f"is the name {point.name} of row {first.number} too; rename one")
        last: tuple[_Row, Point] | None = None
        for row, point in sorted(found, key=lambda one: (one[1].table, one[1].address, one[0].number)):
            if last is not None and last[1].table == point.table and point.address < last[1].address + last[1].length:
                self._refuse(
                    row,
                    "address",
                    f"is {point.table} register {point.address} on the wire, which {last[1].name} of row"
                    f" {last[0].number} takes too (from {last[1].address}, {last[1].length} registers); mend one",
                )
            if last is None or last[1].table != point.table or _end(point) > _end(last[1]):
                last = row, point

    def _refuse_unmet(self) -> None:
        for option, given in (("--counter", self._choices.counters), ("--rename", tuple(self._choices.names))):
            for name in given:
                if name not in self._met:
                    self._refused.append(f"{option} {name!r} is the name of no row; write it as the list does")


def _end(point: Point) -> int:
    return point.address + point.length


def _manual(row: _Row) -> str:
    """What the list says of a point, for people."""
    said = (row.cells["name"], row.cells.get("description", ""), f"address {row.cells['address']}")
    text = ", ".join(one for one in said if one)
    return "".join(char if char.isprintable() else " " for char in text)[:MAX_MANUAL_CHARS]
