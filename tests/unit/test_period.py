"""Periods tile, whatever a country does to its clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakari.period import (
    Period,
    PeriodInvalid,
    ZoneUnknown,
    calendar_year,
    day,
    local_date,
    midnight_ms,
    month,
    split_by_calendar_year,
    time_text,
    zone_of,
)

HOUR_MS = 3_600_000
# Half hours, gaps at midnight (Beirut, Sao_Paulo, Havana), a skipped day (Apia), no change (Tokyo).
ZONES = ["Asia/Tokyo", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "America/Havana", "Pacific/Apia",
         "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]  # fmt: skip
DATES = st.dates(min_value=date(1990, 1, 1), max_value=date(2036, 12, 30))


def utc_ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type, misc]


def test_a_month_begins_at_the_plants_midnight() -> None:
    july = month(2016, 7, zone_of("Asia/Tokyo"))
    assert july == Period(utc_ms(2016, 6, 30, 15), utc_ms(2016, 7, 31, 15))
    assert july.length_ms == 31 * 24 * HOUR_MS


def test_months_with_a_change_of_clocks() -> None:
    berlin = zone_of("Europe/Berlin")
    assert month(2024, 3, berlin).length_ms == (31 * 24 - 1) * HOUR_MS
    assert month(2024, 10, berlin).length_ms == (31 * 24 + 1) * HOUR_MS


def test_a_midnight_that_is_skipped() -> None:
    beirut = zone_of("Asia/Beirut")
    assert midnight_ms(date(2022, 3, 27), beirut) == utc_ms(2022, 3, 26, 22)
    assert day(date(2022, 3, 27), beirut).length_ms == 23 * HOUR_MS


@given(DATES, st.sampled_from(ZONES))
def test_midnight_is_the_first_instant_of_its_day(when: date, name: str) -> None:
    zone = zone_of(name)
    start = midnight_ms(when, zone)
    assert local_date(start - 1, zone) < when
    if (name, when) != ("Pacific/Apia", date(2011, 12, 30)):  # a day that never was
        assert local_date(start, zone) == when


@given(st.integers(1990, 2036), st.sampled_from(ZONES))
def test_months_tile_their_year(year: int, name: str) -> None:
    zone = zone_of(name)
    months = [month(year, number, zone) for number in range(1, 13)]
    assert all(first.end_ms == second.start_ms for first, second in pairwise(months))
    assert Period(months[0].start_ms, months[-1].end_ms) == calendar_year(year, zone)


@given(DATES, st.integers(1, 1500), st.sampled_from(ZONES))
def test_vintages_tile_their_period(start: date, days: int, name: str) -> None:
    zone = zone_of(name)
    period = Period.of(
        midnight_ms(start, zone) + 1, midnight_ms(min(start + timedelta(days=days), date(2036, 12, 31)), zone)
    )
    parts = split_by_calendar_year(period, zone)
    assert (parts[0].period.start_ms, parts[-1].period.end_ms) == period
    assert all(first.period.end_ms == second.period.start_ms for first, second in pairwise(parts))
    assert all(local_date(part.period.end_ms - 1, zone).year == part.year for part in parts)
    assert all(local_date(part.period.start_ms, zone).year == part.year for part in parts)


def test_the_end_is_outside() -> None:
    period = Period.of(10, 20)
    assert period.intersection(Period(20, 30)) is None
    assert period.intersection(Period(15, 30)) == Period(15, 20)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5)])
def test_a_period_must_end_after_it_starts(start: int, end: int) -> None:
    with pytest.raises(PeriodInvalid, match="must end after its start"):
        Period.of(start, end)


@pytest.mark.parametrize(
    ("t_ms", "zone", "text"),
    [
        (1_467_356_400_000, None, "2016-07-01T07:00:00Z"),
        (1_467_356_400_001, None, "2016-07-01T07:00:00.001Z"),
        (1_467_356_400_000, "UTC", "2016-07-01T07:00:00Z"),
        (1_467_356_400_000, "Asia/Tokyo", "2016-07-01T16:00:00+09:00"),
        (-1, None, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_for_people(t_ms: int, zone: str | None, text: str) -> None:
    assert time_text(t_ms, None if zone is None else zone_of(zone)) == text


def test_a_missing_zone() -> None:
    with pytest.raises(ZoneUnknown, match="is missing"):
        zone_of("")


@pytest.mark.parametrize(
    "name", ["Asia/Tokio", "../etc/passwd", "/etc/localtime", "Asia", "A" * 500, "posixrules\0", "Asia//Tokyo"]
)
def test_an_unknown_zone(name: str) -> None:
    with pytest.raises(ZoneUnknown, match="is not known"):
        zone_of(name)


@pytest.mark.parametrize(
    "name", ["localtime", "LocalTime", "posixrules", "Factory", "right/Asia/Tokyo", "posix/Asia/Tokyo"]
)
def test_a_zone_that_is_the_machines_own(name: str) -> None:
    with pytest.raises(ZoneUnknown, match="depends on the machine"):
        zone_of(name)


def test_an_instant_outside_the_calendar() -> None:
    with pytest.raises(PeriodInvalid):
        local_date(10**18, zone_of("UTC"))
    with pytest.raises(PeriodInvalid):
        time_text(10**18)
