"""Which periods readings touch."""

from __future__ import annotations

from datetime import date

import pytest

from calc.calendar import MAX_PERIODS, PeriodsRefused, periods_of
from hakari.period import midnight_ms, zone_of

TOKYO = zone_of("Asia/Tokyo")


def test_months_then_years_at_the_plants_midnight() -> None:
    first, last = midnight_ms(date(2016, 11, 30), TOKYO), midnight_ms(date(2017, 1, 1), TOKYO)
    assert [one.label for one in periods_of(first, last, TOKYO)] == ["2016-11", "2016-12", "2016"]
    assert [one.label for one in periods_of(first, last + 1, TOKYO)][:3] == ["2016-11", "2016-12", "2017-01"]
    assert [one.label for one in periods_of(first, first, TOKYO)] == ["2016-11", "2016"]


def test_more_periods_than_a_project_can_have_are_refused_and_none_is_left_out() -> None:
    first, last = midnight_ms(date(2000, 1, 1), TOKYO), midnight_ms(date(2153, 11, 1), TOKYO)
    assert len(periods_of(first, last, TOKYO)) == MAX_PERIODS
    with pytest.raises(PeriodsRefused, match=r"from 2000-01-01 to 2153-11-01 touch 2001 .*, limit 2000; correct"):
        periods_of(first, last + 1, TOKYO)
