"""A project and its monitoring plan: one TOML file, validated against the methodology that it names.

Guaranteed of a checked project: every declared parameter has a value in a unit that converts exactly, every
monitored quantity is bound to points for all equipment, no point is bound twice, and the time zone is known.
"""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from calc.equipment import check_equipment, check_points, check_same, values_within
from calc.methodologies.base import Methodology
from calc.projectfile import PlanPoint, ProjectFile, ProjectRefused, check_names
from hakari import settings
from hakari.period import zone_of

MAX_PROJECT_BYTES = 256 * 1024


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
        return self.file.points

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
    if content.startswith(BOM_UTF8):
        raise ProjectRefused(f"{where}: begins with a byte order mark; save it as UTF-8 without a byte order mark")
    try:
        document = content.decode()
    except UnicodeDecodeError as error:
        raise ProjectRefused(f"{where}: is not UTF-8; save it as UTF-8") from error
    file = settings.convert(settings.parse(document, where), ProjectFile, where)
    check_names(file, where)
    return Project(file, document, hashlib.sha256(content).hexdigest())


def check_project(project: Project, methodology: Methodology) -> None:
    """Nothing, if the project gives what `methodology` declares; ProjectRefused or a unit's error otherwise."""
    check_same(
        "[[parameter]]", [one.name for one in project.file.parameter], [p.name for p in methodology.data.parameter]
    )
    check_same(
        "[[monitored]]", [m.parameter for m in project.file.monitored], [q.name for q in methodology.data.quantity]
    )
    values_of(project, methodology)
    check_equipment(project.file, methodology.data)
    check_points(project.file, methodology.data)


def values_of(project: Project, methodology: Methodology) -> dict[str, Decimal]:
    """The parameters by name in the methodology's units; ProjectRefused where one is outside its limits."""
    return values_within(project.file.parameter, methodology.data.parameter, "parameter")
