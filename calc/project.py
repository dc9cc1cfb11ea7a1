"""A project and its monitoring plan: one TOML file, validated against the methodology that it names.

Guaranteed of a checked project: every declared parameter has a value in a unit that converts exactly, every
monitored quantity is bound to points, no point is bound twice, and the time zone is known.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from calc.methodologies.base import Methodology, Number
from hakari import settings, units
from hakari.errors import BadConfiguration
from hakari.ledger.types import check_id
from hakari.names import check_edge_id, check_local, check_namespace
from hakari.period import zone_of

MAX_PROJECT_BYTES = 256 * 1024
MAX_POINTS = 1000
MAX_NAME_CHARS = 200

Text = Annotated[str, msgspec.Meta(max_length=2000)]
Short = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


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
    """One metering point `{edge id}/{meter}/{point}` with its meter's identity."""

    point: Short
    serial: Short
    accuracy_class: Short
    calibration: Calibration
    capacity_kw: Number | None = None
    commissioned: dt.date | None = None

    @property
    def edge_id(self) -> str:
        """The edge that reads the point."""
        return self.point.split("/", 1)[0]


class Monitored(_Table, frozen=True):
    """One `[[monitored]]`: a declared quantity, its monitoring option and the points whose sum it is."""

    parameter: Short
    option: Literal["A", "B", "C"]
    points: Annotated[list[PlanPoint], msgspec.Meta(min_length=1, max_length=MAX_POINTS)]


class ProjectFile(_Table, frozen=True):
    """The whole file."""

    project: Identity
    plan: Plan
    monitored: list[Monitored]
    parameter: list[Given] = []


@dataclass(frozen=True)
class Project:
    """A project as registered: what its file says, the file itself, and its hash (hex)."""

    file: ProjectFile
    document: str
    sha256: str

    @property
    def id(self) -> str:
        """The project's id."""
        return self.file.project.id

    @property
    def zone(self) -> ZoneInfo:
        """The plant's time zone."""
        return zone_of(self.file.project.zone)

    @property
    def points(self) -> list[PlanPoint]:
        """Every bound point in the order of the file."""
        return [point for monitored in self.file.monitored for point in monitored.points]

    @property
    def edge_ids(self) -> list[str]:
        """The edges that read the project's points, sorted."""
        return sorted({point.edge_id for point in self.points})


def read_project(content: bytes, where: str) -> Project:
    """The project in the bytes of a file named `where`.

    Errors: ProjectRefused, hakari.settings.SettingsRefused; each names the key that is wrong.
    """
    if len(content) > MAX_PROJECT_BYTES:
        raise ProjectRefused(f"{where}: is larger than {MAX_PROJECT_BYTES} bytes; this is no project file")
    try:
        document = content.decode()
    except UnicodeDecodeError as error:
        raise ProjectRefused(f"{where}: is not UTF-8; save it as UTF-8") from error
    file = settings.convert(settings.parse(document, where), ProjectFile, where)
    _check_names(file, where)
    return Project(file, document, hashlib.sha256(content).hexdigest())


def check_project(project: Project, methodology: Methodology) -> None:
    """Nothing, if the project gives what `methodology` declares; ProjectRefused or a unit's error otherwise."""
    _check_same("parameter", [one.name for one in project.file.parameter], [p.name for p in methodology.data.parameter])
    _check_same("monitored", [m.parameter for m in project.file.monitored], [q.name for q in methodology.data.quantity])
    values_of(project, methodology)


def values_of(project: Project, methodology: Methodology) -> dict[str, Decimal]:
    """The parameters by name in the methodology's units; ProjectRefused where one is outside its limits."""
    declared = {one.name: one for one in methodology.data.parameter}
    values = {}
    for given in project.file.parameter:
        wanted = declared[given.name]
        try:
            value = units.convert(Decimal(given.value), given.unit, wanted.unit)
        except (units.UnitUnknown, units.UnitMismatch) as error:
            raise ProjectRefused(f"parameter {given.name}: {error}") from error
        low, high = wanted.minimum, wanted.maximum
        if (low is not None and value < Decimal(low)) or (high is not None and value > Decimal(high)):
            raise ProjectRefused(
                f"parameter {given.name} = {given.value} {given.unit} is outside {low} to {high} {wanted.unit}; mend it"
            )
        values[given.name] = value
    return values


def _check_names(file: ProjectFile, where: str) -> None:
    check_id(file.project.id, "project id")
    check_namespace(file.project.namespace)
    zone_of(file.project.zone)
    bound = [point.point for monitored in file.monitored for point in monitored.points]
    for name in bound:
        parts = name.split("/")
        if len(parts) != 3:
            raise ProjectRefused(f"{where}: point {name!r} is not edge id/meter/point; write it with two slashes")
        check_edge_id(parts[0])
        check_local(parts[1], "meter")
        check_local(parts[2], "point")
    twice = sorted({name for name in bound if bound.count(name) > 1})
    if twice:
        raise ProjectRefused(f"{where}: point {twice[0]} is bound twice, so it would count twice; keep one")
    for point in (point for monitored in file.monitored for point in monitored.points):
        if point.capacity_kw is not None and Decimal(point.capacity_kw) <= 0:
            raise ProjectRefused(f"{where}: capacity_kw of {point.point} is {point.capacity_kw}; it must be above 0")
        if point.calibration.valid_to < point.calibration.date:
            raise ProjectRefused(f"{where}: calibration of {point.point} ends before its date; mend valid_to")


def _check_same(table: str, given: list[str], declared: list[str]) -> None:
    """Refuses names that are missing, unknown or repeated, each by its name."""
    for name in declared:
        if name not in given:
            raise ProjectRefused(f"[[{table}]] {name} is missing; the methodology declares it, so add it")
    for name in given:
        if name not in declared:
            raise ProjectRefused(f"[[{table}]] {name[:60]!r} is not declared; the methodology knows {declared}")
        if given.count(name) > 1:
            raise ProjectRefused(f"[[{table}]] {name} is given twice; keep one")
