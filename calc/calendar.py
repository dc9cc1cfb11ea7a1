"""Which periods a project has: the months and calendar years that its readings touch."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from hakari.errors import DataProblem
from hakari.ledger.types import Kind
from hakari.period import Period, calendar_year, local_date, month

MAX_PERIODS = 2000


class PeriodsRefused(DataProblem):
    """Readings touch more periods than a project can have."""


class Named(NamedTuple):
    """A period with its label, `2016-07` or `2016`."""

    label: str
    kind: Kind
    period: Period


def periods_of(first_ms: int, last_ms: int, zone: ZoneInfo) -> list[Named]:
    """Months, then years, that overlap `[first_ms, last_ms)` at the plant, oldest first.

    PeriodsRefused where there are more than 2000: no clock that is right gives as many.
    """
    first, last = local_date(first_ms, zone), local_date(max(first_ms, last_ms - 1), zone)
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    count = len(months) + last.year - first.year + 1
    if count > MAX_PERIODS:
        raise PeriodsRefused(
            f"readings from {first} to {last} touch {count} months and years, limit {MAX_PERIODS};"
            " correct the clock of the edge that dates them"
        )
    named = [Named(f"{k // 12:04}-{k % 12 + 1:02}", "month", month(k // 12, k % 12 + 1, zone)) for k in months]
    named += [Named(f"{year:04}", "year", calendar_year(year, zone)) for year in range(first.year, last.year + 1)]
    return named


def period_id(project_id: str, label: str) -> str:
    """The id of a period's first version in the ledger."""
    return f"{project_id}-{label}"
