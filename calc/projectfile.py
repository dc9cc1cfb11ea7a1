"""The form of a project file: its tables and keys, and what is wrong with them whatever the methodology.

Guaranteed of a checked file: names are well formed, no point is bound twice, every equipment that a point names is in
the register, and every day lies within the years that periods have.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from calc.methodologies.declared import Number
from hakari.errors import BadConfiguration
from hakari.ledger.types import check_id
from hakari.names import check_edge_id, check_local, check_namespace
from hakari.period import FIRST_YEAR, LAST_YEAR, zone_of

MAX_POINTS = 1000
MAX_EQUIPMENT = 1000
MAX_UNITS = 1_000_000
MAX_NAME_CHARS = 200

Text = Annotated[str, msgspec.Meta(max_length=2000)]
Short = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
EquipmentId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]


Origin = Literal["measured", "received", "imported", "declared"]
MEASURED: Origin = "measured"


class ProjectRefused(BadConfiguration):
    """A project file cannot be used."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every table of the file: frozen, unknown keys refused."""


class Identity(_Table, frozen=True):
    """The table `[project]`. `zone` is the plant's IANA time zone, `version` the methodology's."""

    id: Short
    name: Short
    country: Short
    namespace: Short
    methodology: Short
    version: Short
    zone: Short = ""


class Given(_Table, frozen=True):
    """One `[[parameter]]`: an ex-ante value with its unit, standing and source."""

    name: Short
    value: Number
    unit: Short
    standing: Literal["published", "second-hand", "recalled", "demo"]
    source: Text
    document_sha256: Sha256 = ""
    approver: Short = ""


class Plan(_Table, frozen=True):
    """The table `[plan]`: how far before midnight a boundary register may lie, and the expected interval."""

    boundary_limit_h: Annotated[int, msgspec.Meta(ge=0, le=72)]
    interval_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class Calibration(_Table, frozen=True):
    """A meter's certificate; `date` and `valid_to` are local days, the last one included."""

    certificate: Short
    lab: Short
    date: dt.date
    valid_to: dt.date


class PlanPoint(_Table, frozen=True):
    """One metering point `{edge id}/{meter}/{point}` with its meter's identity.

    `equipment` is what it measures, "" for all of a shared quantity; `energised_above` the threshold of a voltage in
    the point's unit, above which energised hours count.
    """

    point: Short
    serial: Short
    accuracy_class: Short
    calibration: Calibration
    capacity_kw: Number | None = None
    commissioned: dt.date | None = None
    equipment: str = ""
    energised_above: Number | None = None

    @property
    def edge_id(self) -> str:
        """The edge that reads the point."""
        return self.point.split("/", 1)[0]


class Monitored(_Table, frozen=True):
    """One `[[monitored]]`: a declared quantity, its monitoring option and the points whose sum it is.

    `origins` are how readings of its points may have come: "measured" by an edge, "received" from another sender,
    "imported" from a file, "declared" by a person. Points of another origin give nothing.
    """

    parameter: Short
    option: Literal["A", "B", "C"]
    points: Annotated[list[PlanPoint], msgspec.Meta(min_length=1, max_length=MAX_POINTS)]
    origins: Annotated[list[Origin], msgspec.Meta(min_length=1, max_length=4)] = msgspec.field(
        default_factory=lambda: [MEASURED]
    )


class Equipment(_Table, frozen=True):
    """One `[[equipment]]`: `units` alike of a class.

    `in_service` is the first local day that counts, `out_of_service` the first that no longer does.
    """

    id: EquipmentId
    in_service: dt.date
    out_of_service: dt.date | None = None
    class_: Short = msgspec.field(default="", name="class")
    units: Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)] = 1
    parameter: list[Given] = []


class ProjectFile(_Table, frozen=True):
    """The whole file."""

    project: Identity
    plan: Plan
    monitored: list[Monitored]
    parameter: list[Given] = []
    equipment: Annotated[list[Equipment], msgspec.Meta(max_length=MAX_EQUIPMENT)] = []

    @property
    def points(self) -> list[PlanPoint]:
        """Every bound point in the order of the file."""
        return [point for monitored in self.monitored for point in monitored.points]


def check_names(file: ProjectFile, where: str) -> None:
    """Nothing, if the file named `where` can be used; ProjectRefused or a name's error otherwise."""
    check_id(file.project.id, "project id")
    check_namespace(file.project.namespace)
    zone_of(file.project.zone)
    names = [point.point for point in file.points]
    for name in names:
        parts = name.split("/")
        if len(parts) != 3:
            raise ProjectRefused(f"{where}: point {name!r} is not edge id/meter/point; write it with two slashes")
        check_edge_id(parts[0])
        check_local(parts[1], "meter")
        check_local(parts[2], "point")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProjectRefused(f"{where}: point {twice[0]} is bound twice, so it would count twice; keep one")
    _check_equipment(file, where)
    known = {one.id for one in file.equipment}
    for point in file.points:
        _check_point(point, known, where)
    for what, day in _days(file):
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ProjectRefused(f"{where}: {what} is {day}; give a day from {FIRST_YEAR} to {LAST_YEAR}")


def _check_equipment(file: ProjectFile, where: str) -> None:
    ids = [one.id for one in file.equipment]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise ProjectRefused(f"{where}: [[equipment]] {twice[0]} is given twice, so it would count twice; keep one")
    for one in file.equipment:
        if one.out_of_service is not None and one.out_of_service <= one.in_service:
            raise ProjectRefused(
                f"{where}: [[equipment]] {one.id} is out_of_service {one.out_of_service}, not after in_service"
                f" {one.in_service}; give the first day that no longer counts"
            )


def _check_point(point: PlanPoint, known: set[str], where: str) -> None:
    if point.capacity_kw is not None and Decimal(point.capacity_kw) <= 0:
        raise ProjectRefused(f"{where}: capacity_kw of {point.point} is {point.capacity_kw}; it must be above 0")
    if point.energised_above is not None and Decimal(point.energised_above) <= 0:
        raise ProjectRefused(
            f"{where}: energised_above of {point.point} is {point.energised_above}; it must be above 0"
        )
    if point.calibration.valid_to < point.calibration.date:
        raise ProjectRefused(f"{where}: calibration of {point.point} ends before its date; mend valid_to")
    if point.equipment and point.equipment not in known:
        raise ProjectRefused(
            f"{where}: point {point.point} measures equipment {point.equipment[:60]!r}, which no [[equipment]] is;"
            f" known are {', '.join(sorted(known)) or 'none'}"
        )


def _days(file: ProjectFile) -> Iterator[tuple[str, dt.date]]:
    """The days that become instants, each with what it is."""
    for point in file.points:
        if point.commissioned is not None:
            yield f"commissioned of {point.point}", point.commissioned
    for one in file.equipment:
        yield f"in_service of [[equipment]] {one.id}", one.in_service
        if one.out_of_service is not None:
            yield f"out_of_service of [[equipment]] {one.id}", one.out_of_service
