"""Local days of a point with a register at every midnight add up to the month, whatever the register did."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from calc.compute import compute_prepared, prepare
from calc.days import days_of
from calc.evidence import Evidence
from calc.inputs import Metered
from calc.leaves import Facts
from calc.methodologies.registry import find
from calc.project import read_project
from hakari.period import day, local_date, month
from hakari.wire.rows import Row
from tests.unit import calc_world as w

ZONES = ("Etc/UTC", "Asia/Tokyo", "Europe/Chisinau", "America/Santiago", "Asia/Kathmandu")
# What a register does from one hour to the next: runs, runs beyond its capacity, falls, or gives no reading.
steps = st.one_of(
    st.integers(0, 100_000), st.integers(100_001, 2_000_000), st.integers(-3_000_000, -1), st.none(), st.just("gap")
)


@given(
    zone=st.sampled_from(ZONES),
    number=st.integers(1, 12),
    odd=st.dictionaries(st.integers(1, 740), steps, max_size=25),
    gap_hours=st.integers(1, 60),
)
def test_days_add_up_to_the_month(zone: str, number: int, odd: dict[int, int | str | None], gap_hours: int) -> None:
    period = month(2016, number, ZoneInfo(zone))
    text = w.project_text(zone=zone).replace("commissioned = 2016-07-01", "commissioned = 2015-01-01")
    project = read_project(text.encode(), "test")
    rows = {point: _rows(point, period.start_ms, period.end_ms, odd, gap_hours, zone) for point in (w.EXPORT, w.IMPORT)}
    facts = {point: [Facts("Wh", "counter", "S")] for point in rows}
    with w.fixture_methodology():
        prepared = prepare(project, find("FIXTURE_PUBLISHED", "1.0"), Evidence(rows, facts, [], [], []))
        result = compute_prepared(prepared, "month", period)
        days = days_of(prepared, period, locked=False)
    local = {day(local_date(t_ms, ZoneInfo(zone)), ZoneInfo(zone)).start_ms for t_ms in (d.t_ms for d in days.points)}
    assert {d.t_ms for d in days.points} == local
    for one, point in zip(result.inputs, prepared.points, strict=True):
        own = [d for d in days.points if d.point == one.point]
        assert sum(d.expected_slots for d in own) >= one.expected_slots
        held = all(_has_register(point, t_ms) for t_ms in [*(d.t_ms for d in own), period.end_ms])
        if held and one.quantity is not None and all(d.amount_text for d in own):
            assert sum((Decimal(d.amount_text) for d in own), Decimal(0)) == Decimal(one.quantity)


def _has_register(point: Metered, t_ms: int) -> bool:
    at = point.course.at(t_ms)
    return at >= 0 and t_ms - point.course.times[at] <= point.metering.boundary_limit_ms


def _rows(
    point: str, start_ms: int, end_ms: int, odd: dict[int, int | str | None], gap_hours: int, zone: str
) -> list[Row]:
    """Hourly readings with a register at every local midnight."""
    rows, value, silent_until = [], 5_000_000, 0
    for k, t_ms in enumerate(range(start_ms, end_ms + 1, w.HOUR_MS)):
        step = odd.get(k, 10_000)
        if step == "gap":
            silent_until = k + gap_hours
        value = max(0, value + (step if isinstance(step, int) else 10_000))
        local = day(local_date(t_ms, ZoneInfo(zone)), ZoneInfo(zone))
        if t_ms == local.start_ms or (k >= silent_until and step is not None):
            rows.append(Row(point, t_ms, "u32", value, 0, 0, "", 1, k, "b", t_ms))
    return rows
