"""Periods `[start, end)` in UTC milliseconds; local midnights come in only here, with the plant's time zone.

Guaranteed: the months of a year, the years of a period and the days of both tile without gap or overlap,
across every change to and from summer time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hakari.errors import BadConfiguration

FIRST_YEAR = 1990
LAST_YEAR = 2200
MAX_ZONE_CHARS = 60
_OF_MACHINE = frozenset({"localtime", "posixrules", "factory", "posix", "right"})
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_ONE_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PeriodInvalid(BadConfiguration):
    """A period, month or year is not one."""


class ZoneUnknown(BadConfiguration):
    """A time zone is missing or not in the database of time zones."""


class Period(NamedTuple):
    """From `start_ms` until just before `end_ms`, UTC milliseconds."""

    start_ms: int
    end_ms: int

    @classmethod
    def of(cls, start_ms: int, end_ms: int) -> Period:
        """The period between two instants; PeriodInvalid unless it starts before it ends."""
        if start_ms >= end_ms:
            raise PeriodInvalid(f"period starts at {start_ms} and ends at {end_ms} ms; it must end after its start")
        return cls(start_ms, end_ms)

    @property
    def length_ms(self) -> int:
        """Milliseconds in it; 23 or 25 hours on a day when the clocks change."""
        return self.end_ms - self.start_ms

    def intersection(self, other: Period) -> Period | None:
        """What both cover, None where they only touch or lie apart."""
        start, end = max(self.start_ms, other.start_ms), min(self.end_ms, other.end_ms)
        return Period(start, end) if start < end else None


class Vintage(NamedTuple):
    """The part of a period that lies in one calendar year."""

    year: int
    period: Period


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as `Asia/Tokyo`; ZoneUnknown otherwise."""
    if not name:
        raise ZoneUnknown("the time zone is missing; give the plant's as an IANA name such as Asia/Tokyo")
    if name.partition("/")[0].casefold() in _OF_MACHINE:
        raise ZoneUnknown(
            f"time zone {name[:MAX_ZONE_CHARS]!r} is no place's and depends on the machine; use the plant's IANA name"
            " such as Asia/Tokyo"
        )
    if len(name) <= MAX_ZONE_CHARS and _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise ZoneUnknown(
        f"time zone {name[:MAX_ZONE_CHARS]!r} is not known; use an IANA name such as Asia/Tokyo,"
        " and install the package tzdata where the system has no time zones"
    )


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """The first instant of local day `day`; where clocks skip midnight, the first instant after the gap."""
    naive = datetime(day.year, day.month, day.day, tzinfo=zone)
    first = naive.astimezone(UTC)
    if first.astimezone(zone).date() < day:
        first += _gap(naive)
    return (first - _EPOCH) // _ONE_MS


def _gap(naive: datetime) -> timedelta:
    before, after = naive.utcoffset(), naive.replace(fold=1).utcoffset()
    if before is None or after is None:
        raise PeriodInvalid(f"{naive} has no offset from UTC in its time zone")
    return abs(after - before)


def month(year: int, month_: int, zone: ZoneInfo) -> Period:
    """A calendar month at the plant."""
    if not 1 <= month_ <= 12:
        raise PeriodInvalid(f"month {month_} does not exist; use 1 to 12")
    _check_year(year)
    following = date(year + month_ // 12, month_ % 12 + 1, 1)
    return Period(midnight_ms(date(year, month_, 1), zone), midnight_ms(following, zone))


def calendar_year(year: int, zone: ZoneInfo) -> Period:
    """A calendar year at the plant."""
    _check_year(year)
    return Period(midnight_ms(date(year, 1, 1), zone), midnight_ms(date(year + 1, 1, 1), zone))


def day(day_: date, zone: ZoneInfo) -> Period:
    """A calendar day at the plant."""
    _check_year(day_.year)
    return Period(midnight_ms(day_, zone), midnight_ms(day_ + timedelta(days=1), zone))


def split_by_calendar_year(period: Period, zone: ZoneInfo) -> list[Vintage]:
    """The vintages of `period` in order; together they are it."""
    first, last = local_date(period.start_ms, zone).year, local_date(period.end_ms - 1, zone).year
    parts = ((year, calendar_year(year, zone).intersection(period)) for year in range(first, last + 1))
    return [Vintage(year, part) for year, part in parts if part is not None]


def local_date(t_ms: int, zone: ZoneInfo) -> date:
    """The date on the plant's wall at an instant."""
    try:
        return (_EPOCH + timedelta(milliseconds=t_ms)).astimezone(zone).date()
    except OverflowError as error:
        raise PeriodInvalid(f"instant {t_ms} ms lies outside the years that dates have") from error


def time_text(t_ms: int, zone: ZoneInfo | None = None) -> str:
    """An instant for people, RFC 3339: with the offset of `zone`, or in UTC as `Z`; milliseconds only if it has any."""
    try:
        moment = (_EPOCH + timedelta(milliseconds=t_ms)).astimezone(zone or UTC)
    except OverflowError as error:
        raise PeriodInvalid(f"instant {t_ms} ms lies outside the years that dates have") from error
    text = moment.isoformat(timespec="milliseconds" if t_ms % 1000 else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise PeriodInvalid(f"year {year} is outside {FIRST_YEAR} to {LAST_YEAR}")
