"""A month's local days add up to the month, are marked when it is locked, and never stop computing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from calc import run
from calc.compute import compute_prepared, prepare
from calc.daily import CHECK_S, MAX_RETRY_S, Daily
from calc.days import Days, days_of
from calc.methodologies.registry import find
from calc.project import read_project
from calc.source import ProjectSource
from calc.worker import Worker
from hakari.ledger.result import PeriodResult, decode
from hakari.period import Period, midnight_ms
from hakari.period import month as month_of
from hakari.store.operations import EmissionsDay, PointDay
from hakari.store.view import ViewUnavailable
from tests.unit import calc_world as w
from tests.unit.ingest_world import Minutes

JULY = Period(w.START_MS, w.END_MS)


def days_in(folder: Path, readings: Sequence[w.Reading], period: Period = JULY, zone: str = "Etc/UTC") -> Days:
    """The days of a period from readings of both meters, and the project's text in a zone."""
    world = w.World(folder)
    world.record(readings, world.configure())
    text = w.project_text(zone=zone).replace("commissioned = 2016-07-01", "commissioned = 2016-01-01")
    project = read_project(text.encode(), "test")
    source = ProjectSource(project, world.roster(), world.evidence)
    source.refresh()
    evidence = source.at(2**60).evidence
    world.evidence.close()
    with w.fixture_methodology():
        prepared = prepare(project, find("FIXTURE_PUBLISHED", "1.0"), evidence)
        days = days_of(prepared, period, locked=False)
        _check_sums(compute_prepared(prepared, "month", period), days)
        return days


def _check_sums(result: PeriodResult, days: Days) -> None:
    """Where every day of a point has its registers, they add up to the month's to the last digit; else to less."""
    for one in result.inputs:
        own = [day for day in days.points if (day.point, day.quantity) == (one.point, one.parameter)]
        if one.quantity is None:
            continue
        if sum(day.expected_slots for day in own) > one.expected_slots:
            # The month ends with a slower point, the days go on.
            assert any("period is not over at the cut" in reason for reason in result.refusals)
            continue
        total = sum((Decimal(day.amount_text) for day in own if day.amount_text), Decimal(0))
        if all(day.good_slots == day.expected_slots for day in own) or len({day.amount_text for day in own}) == 1:
            assert total == Decimal(one.quantity)
        assert total <= Decimal(one.quantity)


def of(days: Days, point: str = w.EXPORT) -> list[PointDay]:
    return [day for day in days.points if day.point == point]


def test_a_whole_month(tmp_path: Path) -> None:
    days = days_in(tmp_path, w.month())
    exported = of(days)
    assert len(exported) == 31
    assert {day.amount_text for day in exported} == {"0.24"}
    assert exported[0] == PointDay(w.START_MS, "plant", w.EXPORT, "EXP", "MWh", "0.24", 24, 24, 0)
    assert [day.t_ms for day in exported] == [w.START_MS + k * 24 * w.HOUR_MS for k in range(31)]
    first = days.emissions[0]
    assert (first.reference_tco2, first.project_tco2, first.reductions_tco2) == ("0.12", "0.012", "0.108")
    assert (first.site, first.methodology, first.standing, first.completeness) == (
        "site", "FIXTURE_PUBLISHED", "published", "1"
    )  # fmt: skip
    assert sum(Decimal(day.reductions_tco2 or "") for day in days.emissions) == Decimal("3.348")


def test_a_gap_over_midnight_refuses_only_the_days_that_it_touches(tmp_path: Path) -> None:
    gap = range(w.START_MS + 4 * 24 * w.HOUR_MS - 5 * w.HOUR_MS, w.START_MS + 4 * 24 * w.HOUR_MS + 7 * w.HOUR_MS)
    days = days_in(tmp_path, [one for one in w.month() if one[0] not in gap])
    exported, imported = of(days), of(days, w.IMPORT)
    assert [k for k, day in enumerate(imported) if not day.amount_text] == [3, 4]  # debited: no boundary register
    # Credited: counted between readings inside the day only.
    assert [exported[k].amount_text for k in (2, 3, 4, 5)] == ["0.24", "0.18", "0.17", "0.24"]
    assert [exported[k].good_slots for k in (3, 4)] == [19, 17]
    assert exported[3].incidents == 1
    assert [day.reductions_tco2 for day in days.emissions[3:5]] == [None, None]


def test_a_gap_within_a_day_is_counted_and_shown(tmp_path: Path) -> None:
    gap = range(w.START_MS + 30 * w.HOUR_MS, w.START_MS + 40 * w.HOUR_MS)
    days = of(days_in(tmp_path, [one for one in w.month() if one[0] not in gap]))
    assert {day.amount_text for day in days} == {"0.24"}
    assert [(day.good_slots, day.incidents) for day in days[:3]] == [(24, 0), (14, 1), (24, 0)]


def test_a_reset_refuses_its_day(tmp_path: Path) -> None:
    at_ms = w.START_MS + 100 * w.HOUR_MS
    readings = [(t, e if t < at_ms else e - 5_000_000, i) for t, e, i in w.month() if e is not None]
    days = of(days_in(tmp_path, readings))
    assert [k for k, day in enumerate(days) if not day.amount_text] == [4]
    assert days[4].incidents == 1


def test_a_step_beyond_capacity_is_taken_off_its_day_alone(tmp_path: Path) -> None:
    at_ms = w.START_MS + 100 * w.HOUR_MS
    readings = [(t, e + (900_000 if t >= at_ms else 0), i) for t, e, i in w.month() if e is not None]
    days = of(days_in(tmp_path, readings))
    assert [k for k, day in enumerate(days) if day.amount_text != "0.24"] == [4]
    assert Decimal("0.23") <= Decimal(days[4].amount_text) <= Decimal("0.35")  # the rest of the day, at most its cap
    assert [k for k, day in enumerate(days) if day.incidents] == [4]


@pytest.mark.parametrize(
    ("zone", "year", "month", "odd", "hours"),
    [
        ("Europe/Chisinau", 2016, 3, date(2016, 3, 27), 23),
        ("Europe/Chisinau", 2016, 10, date(2016, 10, 30), 25),
        ("America/Santiago", 2016, 8, date(2016, 8, 14), 23),
        ("America/Santiago", 2016, 5, date(2016, 5, 14), 25),
    ],
)
def test_days_when_the_clocks_change(tmp_path: Path, zone: str, year: int, month: int, odd: date, hours: int) -> None:
    period = month_of(year, month, ZoneInfo(zone))
    slots = range(period.start_ms, period.end_ms + w.HOUR_MS + 1, w.HOUR_MS)
    readings = [(t, 5_000_000 + 10_000 * k, 70_000 + k) for k, t in enumerate(slots)]
    days = days_in(tmp_path, readings, period, zone)
    at = next(day for day in of(days) if day.t_ms == midnight_ms(odd, ZoneInfo(zone)))
    assert (at.amount_text, at.expected_slots) == (str(Decimal(hours) / 100), hours)
    assert sum(Decimal(day.amount_text) for day in of(days)) == Decimal(len(slots) - 2) / 100


def test_a_day_that_is_not_over_is_counted_as_far_as_it_goes(tmp_path: Path) -> None:
    readings = [one for one in w.month() if one[0] <= w.START_MS + 58 * w.HOUR_MS]
    days = days_in(tmp_path, readings)
    assert [day.amount_text for day in of(days)] == ["0.24", "0.24", "0.1"]
    assert [day.completeness for day in days.emissions] == ["1", "1", "1"]


def test_a_register_that_died_leaves_its_day_incomplete_and_without_emissions(tmp_path: Path) -> None:
    """The other point was read until 16:00: what both had until 02:00 is no figure of that day."""
    until_ms, died_ms = w.START_MS + 40 * w.HOUR_MS, w.START_MS + 26 * w.HOUR_MS
    readings = [(t, e, i if t <= died_ms else None) for t, e, i in w.month() if t <= until_ms]
    days = days_in(tmp_path, readings)
    exported, imported = of(days), of(days, w.IMPORT)
    assert (exported[1].good_slots, exported[1].expected_slots) == (16, 16)
    assert (imported[1].amount_text, imported[1].good_slots, imported[1].expected_slots) == ("", 3, 16)
    assert [day.completeness for day in days.emissions] == ["1", "0.59375"]
    second = days.emissions[1]
    assert (second.reference_tco2, second.project_tco2, second.reductions_tco2) == (None, None, None)
    assert days.emissions[0].reductions_tco2 == "0.108"


class Deaf(Minutes):
    """A store that is away until it is not."""

    away = True

    def put_days(self, points: Sequence[PointDay], projects: Sequence[EmissionsDay]) -> None:
        if self.away:
            raise ViewUnavailable("no answer")
        super().put_days(points, projects)


def test_months_wait_until_they_can_be_written(caplog: pytest.LogCaptureFixture) -> None:
    deaf, now_s = Deaf(), [0.0]
    daily = Daily(deaf, lambda: now_s[0])
    waiting = {"a-2016-07": Days([], []), "a-2016-08": Days([], [])}
    for _ in range(5):
        assert daily.write(waiting) == 0
        now_s[0] += MAX_RETRY_S
    assert len(waiting) == 2
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    deaf.away = False
    assert daily.write(waiting) == 2
    assert waiting == {}
    assert len(deaf.days) == 2
    assert caplog.records[-1].message == "operators' days are written again"


def test_the_worker_gives_each_month_once_and_again_when_it_is_locked(tmp_path: Path) -> None:
    with w.fixture_methodology():
        world = w.World(tmp_path)
        world.record(w.month(), world.configure())
        config = world.write_settings()
        (tmp_path / "project.toml").write_text(w.project_text())
        run.add_project(config, tmp_path / "project.toml")
        with run.room(config) as room:
            worker = Worker(room.evidence, room.ledger, room.signed.roster, 1, with_days=True)
            worker.compute_all(1)
            assert sorted(worker.days) == ["plant-2016-07", "plant-2016-08"]
            july = decode(room.period("plant-2016-07").result_json)
            _check_sums(july, worker.days["plant-2016-07"])
            assert not any(day.locked for day in worker.days["plant-2016-07"].emissions)
            worker.days.clear()
            assert worker.compute_all(2) == []
            assert worker.days == {}
            for state in ("closed", "submitted")[room.period("plant-2016-07").state == "closed" :]:
                room.ledger.advance("plant-2016-07", state)  # type: ignore[arg-type]
            _lock(room)
            assert worker.compute_all(3) == []
            assert sorted(worker.days) == ["plant-2016-07"]
            assert all(day.locked for day in worker.days["plant-2016-07"].emissions)
            assert room.worker().compute_all(4) == []
        world.evidence.close()


def test_days_that_a_deleted_bucket_lost_are_written_again_open_and_locked(tmp_path: Path) -> None:
    with w.fixture_methodology():
        world = w.World(tmp_path)
        world.record(w.month(), world.configure())
        config = world.write_settings()
        (tmp_path / "project.toml").write_text(w.project_text())
        run.add_project(config, tmp_path / "project.toml")
        held, now_s = Minutes(), [0.0]
        daily = Daily(held, lambda: now_s[0])

        def round_() -> int:
            worker.forget(daily.lost())
            worker.compute_all(1)
            return daily.write(worker.days)

        with run.room(config) as room:
            worker = Worker(room.evidence, room.ledger, room.signed.roster, 1, with_days=True)
            worker.compute_all(1)
            for state in ("closed", "submitted")[room.period("plant-2016-07").state == "closed" :]:
                room.ledger.advance("plant-2016-07", state)  # type: ignore[arg-type]
            _lock(room)
            assert round_() == 2
            before = held.days.copy()
            now_s[0] += CHECK_S
            assert round_() == 0
            held.days.clear()
            assert round_() == 0, "the look is seldom"
            now_s[0] += CHECK_S
            assert round_() == 2
            assert sorted(held.days, key=repr) == sorted(before, key=repr)
            assert any(day.locked for _, projects in held.days for day in projects)
        world.evidence.close()


def _lock(room: run.Room) -> None:
    period = room.period("plant-2016-07")
    room.ledger.lock(msgspec.structs.replace(period, state="locked", statement="signed"))
