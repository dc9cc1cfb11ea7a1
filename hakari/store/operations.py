"""Port of what operators look at: a minute's health of every rostered point, a day's figures of every project.

Nothing here credits; it is derived, may be written again at any time, and only the adapter for InfluxDB keeps it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class PointHealth(NamedTuple):
    """One point at one minute; fields as `hakari.measurements.HEALTH_FIELDS` says, None where there is none."""

    edge_id: str
    meter: str
    point: str
    kind: str
    age_s: float
    age_alarm_s: float
    limit_s: float
    frozen_s: float | None
    quality: int
    completeness_24h: float
    value: float | None
    state: str


class EdgeHealth(NamedTuple):
    """One edge at one minute; fields as `hakari.measurements.EDGE_FIELDS` says."""

    edge_id: str
    age_s: float
    limit_s: float
    late_s: float | None
    leaves: int
    epochs_unapproved: int
    view_behind: int
    frozen: int
    state: str
    outbox_age_s: float | None = None
    clock_offset_ms: int | None = None
    certificate_days: float | None = None
    flags: str | None = None


class MeterHealth(NamedTuple):
    """One meter at one minute; fields as `hakari.measurements.METER_FIELDS` says, meter "-" where none is known."""

    edge_id: str
    meter: str
    age_s: float
    age_alarm_s: float
    limit_s: float
    completeness_24h: float
    frozen: int
    points: int
    points_ok: int
    state: str
    flags: str | None = None


class AlarmPoint(NamedTuple):
    """One alarm at one minute; fields as `hakari.measurements.ALARM_FIELDS` says, `edge_id` "" for ingest itself."""

    kind: str
    severity: str
    edge_id: str
    meter: str
    subject: str
    active: int
    number: int
    raised_ms: int
    detail: str
    english: str
    japanese: str


class PointDay(NamedTuple):
    """One point's local day that begins at `t_ms`; fields as `hakari.measurements.DAY_FIELDS` says.

    `amount_text` is in full precision, "" where the quantity was refused.
    """

    t_ms: int
    project: str
    point: str
    quantity: str
    unit: str
    amount_text: str
    good_slots: int
    expected_slots: int
    incidents: int


class EmissionsDay(NamedTuple):
    """One project's local day that begins at `t_ms`; decimals in full precision, None where refused."""

    t_ms: int
    project: str
    site: str
    methodology: str
    standing: str
    reference_tco2: str | None
    project_tco2: str | None
    reductions_tco2: str | None
    completeness: str
    locked: bool


class OperationsView(Protocol):
    """Where operators' measurements go. Writing the same again changes nothing."""

    def put_health(
        self,
        t_ms: int,
        points: Sequence[PointHealth],
        edges: Sequence[EdgeHealth],
        meters: Sequence[MeterHealth] = (),
        alarms: Sequence[AlarmPoint] = (),
    ) -> None:
        """Writes one minute, which begins at `t_ms`."""
        ...

    def put_days(self, points: Sequence[PointDay], projects: Sequence[EmissionsDay]) -> None:
        """Writes local days, replacing what stood for the same day and point or project."""
        ...

    def days_held(self, project: str) -> Collection[int]:
        """The beginnings, in ms, of the project's days whose emissions are there, with a figure or refused."""
        ...

    def close(self) -> None:
        """Releases what is held."""
        ...
