"""The mapping file of tables (CSV, TSV): what the columns are, declared once, without any code in it.

Guaranteed of a checked mapping: every column goes to a declared point, in a unit that converts, and its times can be
told from one another.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from hakari import settings
from hakari.errors import BadConfiguration
from hakari.period import zone_of
from hakari.smallfile import TooLarge, read_bytes
from hakari.units import UNITS, convert
from ingest.sources.declared import Declared, DeclaredMeter, declare

MAX_MAPPING_BYTES = 1024 * 1024
MAX_COLUMNS = 1000
MAX_INTERVAL_S = 366 * 86_400
EPOCH_S, EPOCH_MS = "epoch-s", "epoch-ms"
IN_ORDER = "in-order"

_UNIT_IN_NAME = re.compile(r"[\[(]([A-Za-z]{1,20})[\])]")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Encoding = Literal["utf-8", "utf-16", "cp1252", "cp932", "cp1258"]


class MappingInvalid(BadConfiguration):
    """A mapping file cannot be used."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every table of the file: frozen, unknown keys refused."""


class Time(_Table, frozen=True):
    """`[table.time]`: `columns` are joined by a space and read by `format` (strptime's letters, epoch-s or epoch-ms).

    Without `%z` in the format `zone` is the IANA zone or UTC in which times are written. A local time that comes
    twice, when clocks go back, is refused, unless `twice` says which one is meant: "first" or "second" where a file
    holds that one alone, "in-order" where its rows are in order of time and hold both hours.
    """

    columns: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=4)]
    format: Name
    zone: Annotated[str, msgspec.Meta(max_length=64)] = ""
    twice: Literal["refuse", "first", "second", "in-order"] = "refuse"


class Form(_Table, frozen=True):
    """`[table]`: how the file is written.

    `skip_lines` stand before the header; a line that begins with `comment` is left out ("" for none). `empty` are cells
    without a value. A file of the long form has one value a row: the name of its point in the column `names`, the value
    in `values`; with both "" each `[[column]]` is one of the file. `last_line_ended` false takes a last line without a
    line end, which may have been cut off.
    """

    time: Time
    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    encoding: Encoding = "utf-8"
    skip_lines: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    comment: Annotated[str, msgspec.Meta(max_length=4)] = ""
    empty: list[str] = msgspec.field(default_factory=lambda: [""])
    names: Annotated[str, msgspec.Meta(max_length=200)] = ""
    values: Annotated[str, msgspec.Meta(max_length=200)] = ""
    last_line_ended: bool = True


class Column(_Table, frozen=True):
    """`[[column]]`: the column, or in the long form the point, `name` of the file is our `meter` and `point`.

    `unit` is the one in the file, "" for the point's own.
    """

    name: Name
    meter: Name
    point: Name
    unit: Annotated[str, msgspec.Meta(max_length=20)] = ""


class TableMapping(_Table, frozen=True):
    """The mapping file of tables and of manual readings.

    `origin` is "imported" for files of a device, "declared" for what people wrote down; a value is expected every
    `interval_s` seconds. `[table]` and `[[column]]` may be left out where values are only typed.
    """

    interval_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTERVAL_S)]
    meter: list[DeclaredMeter]
    origin: Literal["imported", "declared"] = "imported"
    table: Form | None = None
    column: Annotated[list[Column], msgspec.Meta(max_length=MAX_COLUMNS)] = []


class Mapping(NamedTuple):
    """A checked mapping with its file's SHA-256 (hex) and what it declares in its log."""

    file: TableMapping
    sha256: str
    declared: Declared


def read_mapping(path: Path, log_id: str) -> Mapping:
    """The mapping in the file `path`, for the own log `log_id`. Errors: BadConfiguration, each names the key."""
    try:
        content = read_bytes(path, MAX_MAPPING_BYTES)
        text = content.decode("utf-8-sig")
    except (OSError, TooLarge) as error:
        raise MappingInvalid(f"mapping {path} cannot be read: {error}; check the path") from error
    except UnicodeDecodeError as error:
        raise MappingInvalid(f"mapping {path} is not UTF-8; save it as UTF-8") from error
    file = settings.convert(settings.parse(text, str(path)), TableMapping, str(path))
    try:
        declared = declare(log_id, file.meter, file.origin, file.interval_s)
        _check(file, declared)
    except BadConfiguration as error:
        raise MappingInvalid(f"mapping {path}: {error}") from error
    return Mapping(file, hashlib.sha256(content).hexdigest(), declared)


def unit_notes(mapping: Mapping) -> list[str]:
    """A sentence for each column whose name tells another unit, as in "Counter [Wh]", than the mapping takes it in."""
    notes = []
    for one in mapping.file.column:
        told = _UNIT_IN_NAME.search(one.name)
        taken = one.unit or mapping.declared.points[one.meter, one.point].unit
        if told is not None and told[1] in UNITS and told[1] != taken:
            notes.append(f"column {one.name!r} tells {told[1]}, and the mapping takes its values as {taken}")
    return notes


def zone_of_times(time: Time) -> ZoneInfo | None:
    """The zone of local times, None where they tell their offset themselves."""
    return zone_of(time.zone) if time.zone else None


def _check(file: TableMapping, declared: Declared) -> None:
    if (file.table is None) != (not file.column):
        raise MappingInvalid("only one of [table] and [[column]] is given; a file needs both, typed values need none")
    names = [one.name for one in file.column]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise MappingInvalid(f"[[column]] {twice[0]!r} is given twice; keep one")
    to = [(one.meter, one.point) for one in file.column]
    if twice_to := sorted({one for one in to if to.count(one) > 1}):
        raise MappingInvalid(f"two [[column]] go to {'/'.join(twice_to[0])}; one value a point and time counts")
    for one in file.column:
        point = declared.points.get((one.meter, one.point))
        if point is None:
            raise MappingInvalid(
                f"[[column]] {one.name!r} goes to {one.meter}/{one.point}, which no [[meter]] declares"
            )
        if one.unit:
            convert(Decimal(1000), one.unit, point.unit)
    if file.table is not None:
        _check_form(file.table)


def _check_form(form: Form) -> None:
    if bool(form.names) != bool(form.values):
        raise MappingInvalid("[table] gives only one of names and values; the long form needs both, the wide one none")
    if form.decimal == form.thousands:
        raise MappingInvalid(f"[table].decimal and thousands are both {form.decimal!r}; they must differ")
    time = form.time
    tells_offset = "%z" in time.format or time.format in (EPOCH_S, EPOCH_MS)
    if tells_offset == bool(time.zone):
        raise MappingInvalid(
            f"[table.time].format {time.format!r} with zone {time.zone!r}: give the zone where the format has no %z and"
            " is no epoch, and only there"
        )
    zone_of_times(time)
