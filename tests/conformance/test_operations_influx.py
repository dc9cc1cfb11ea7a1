"""Operators' measurements as Grafana finds them: every field as it was put, and nothing of what was replaced."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hakari import measurements
from hakari.store.opened import open_operations
from hakari.store.operations import (
    AlarmPoint,
    EdgeHealth,
    EmissionsDay,
    MeterHealth,
    OperationsView,
    PointDay,
    PointHealth,
)
from hakari.store.operations_influx import InfluxOperations
from hakari.store.view import ViewUnavailable
from tests.system.influx import InfluxServer

MINUTE_MS = 1_467_356_400_000
DAYS_MS = [MINUTE_MS + k * 86_400_000 for k in range(3)]
POINT = "plant-north-e1/meter/energy"


@pytest.fixture
def bucket(influxd: InfluxServer) -> Iterator[str]:
    name = f"operations-{secrets.token_hex(8)}"
    influxd.make_bucket(name)
    yield name
    influxd.delete_bucket(name)


@pytest.fixture
def operations(influxd: InfluxServer, bucket: str, tmp_path: Path) -> Iterator[OperationsView]:
    opened = open_operations(tmp_path / "ingest.toml", influxd.settings(bucket, tmp_path))
    assert isinstance(opened, InfluxOperations)
    with closing(opened):
        yield opened


def point_day(t_ms: int, amount_text: str, unit: str = "kWh", good: int = 90) -> PointDay:
    return PointDay(t_ms, "my project", POINT, "EG, net", unit, amount_text, good, 96, 2)


def emissions_day(t_ms: int, reductions: str | None, standing: str = "recalled") -> EmissionsDay:
    return EmissionsDay(t_ms, "my project", "plant-north", "PV 1.0", standing, "1.25", "0", reductions, "0.9375", True)


def points(influxd: InfluxServer, bucket: str, measurement: str, tags: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every point with its tags and the fields that it has, by time."""
    series = influxd.influxql(bucket, f"SELECT * FROM {measurement} GROUP BY {', '.join(tags)}")
    found = [
        {**one["tags"], **{name: v for name, v in zip(one["columns"], values, strict=True) if v is not None}}
        for one in series
        for values in one["values"]
    ]
    return sorted(found, key=lambda point: (point["time"], str(point)))


def test_a_minute_of_health(influxd: InfluxServer, operations: OperationsView, bucket: str) -> None:
    whole = PointHealth("plant-north-e1", "meter", POINT, "counter", 60, 0.5, 900, 30.0, 0, 1, 12.5, "ok")
    empty = whole._replace(point="plant-north-e1/meter/power", frozen_s=None, value=None, quality=3, state="never")
    edge = EdgeHealth("plant-north-e1", 1, 600.0, None, 7, 1, 0, 0, 'edge silent, "really"')
    for _ in range(2):
        operations.put_health(MINUTE_MS, [whole, empty], [edge])
    ns = MINUTE_MS * 10**6
    tags = {"time": ns, "site": "plant-north", "edge": "plant-north-e1"}
    found = points(influxd, bucket, measurements.HEALTH_MINUTE, measurements.HEALTH_TAGS)
    fields = {
        "age_s": 60,
        "age_alarm_s": 0.5,
        "limit_s": 900,
        "completeness_24h": 1,
        "meter": "meter",
        "kind": "counter",
    }
    assert found == [
        {**tags, **fields, "point": POINT, "frozen_s": 30, "value": 12.5, "quality": 0, "state": "ok"},
        {**tags, **fields, "point": empty.point, "quality": 3, "state": "never"},
    ]
    assert points(influxd, bucket, measurements.EDGE_MINUTE, measurements.EDGE_TAGS) == [
        {
            **tags, "age_s": 1, "limit_s": 600, "leaves": 7, "epochs_unapproved": 1, "view_behind": 0, "frozen": 0,
            "state": 'edge silent, "really"',
        }
    ]  # fmt: skip
    assert {*measurements.HEALTH_FIELDS} == {*found[0]} - {"time", *measurements.HEALTH_TAGS}


def test_a_minute_of_meters_and_alarms(influxd: InfluxServer, operations: OperationsView, bucket: str) -> None:
    meter = MeterHealth("plant-north-e1", "meter", 60, 0, 900, 1, 0, 4, 3, "ok", "clock pair")
    alarm = AlarmPoint("disk", "critical", "", "", "", 1, 7, MINUTE_MS, "5 %", "nearly full (5 %)", "残量不足 (5 %)")
    edge = EdgeHealth("plant-north-e1", 1, 600.0, None, 7, 1, 0, 0, "ok", 12, -3, 80, "clock")
    operations.put_health(MINUTE_MS, [], [edge], [meter], [alarm])
    operations.put_health(
        MINUTE_MS + 60_000, [], [], [meter._replace(flags=None, age_s=0.5)], [alarm._replace(active=0)]
    )
    ns = MINUTE_MS * 10**6
    first, second = points(influxd, bucket, measurements.METER_MINUTE, measurements.METER_TAGS)
    tags = {"time": ns, "site": "plant-north", "edge": "plant-north-e1", "meter": "meter"}
    assert first == {
        **tags, "age_s": 60, "age_alarm_s": 0, "limit_s": 900, "completeness_24h": 1, "frozen": 0, "points": 4,
        "points_ok": 3, "state": "ok", "flags": "clock pair",
    }  # fmt: skip
    assert ("flags" in second, second["age_s"]) == (False, 0.5)
    standing, cleared = points(influxd, bucket, measurements.ALARM, measurements.ALARM_TAGS)
    assert standing == {
        "time": ns, "kind": "disk", "severity": "critical", "site": "-", "edge": "-", "meter": "-", "subject": "-",
        "active": 1, "number": 7, "raised_ms": MINUTE_MS, "detail": "5 %", "english": "nearly full (5 %)",
        "japanese": "残量不足 (5 %)",
    }  # fmt: skip
    assert cleared["active"] == 0
    told = points(influxd, bucket, measurements.EDGE_MINUTE, measurements.EDGE_TAGS)[0]
    assert (told["outbox_age_s"], told["clock_offset_ms"], told["certificate_days"], told["flags"]) == (
        12,
        -3,
        80,
        "clock",
    )


def test_a_whole_number_does_not_settle_the_type_of_a_field(operations: OperationsView) -> None:
    """In InfluxDB a field has the type of its first value: a later one of another type would be refused."""
    whole = PointHealth("plant-e1", "meter", POINT, "counter", 60, 0, 900, 30, 0, 1, 12, "ok")
    operations.put_health(MINUTE_MS, [whole], [])
    half = whole._replace(age_s=0.5, age_alarm_s=0.5, limit_s=0.5, frozen_s=0.5, completeness_24h=0.5, value=0.5)
    operations.put_health(MINUTE_MS + 60_000, [half], [])


def test_local_days(influxd: InfluxServer, operations: OperationsView, bucket: str) -> None:
    operations.put_days([point_day(t, "12.50") for t in DAYS_MS], [emissions_day(t, "1.2500") for t in DAYS_MS])
    day = {
        "project": "my project", "site": "plant-north", "edge": "plant-north-e1", "meter": "meter", "point": POINT,
        "quantity": "EG, net", "unit": "kWh", "amount": 12.5, "amount_text": "12.50", "good_slots": 90,
        "expected_slots": 96, "completeness": 0.9375, "incidents": 2, "refused": 0,
    }  # fmt: skip
    assert points(influxd, bucket, measurements.PERIOD_DAY, measurements.DAY_TAGS) == [
        {**day, "time": t * 10**6} for t in DAYS_MS
    ]
    emissions = {
        "project": "my project", "site": "plant-north", "methodology": "PV 1.0", "standing": "recalled",
        "reference_tco2": 1.25, "project_tco2": 0, "reductions_tco2": 1.25, "reductions_text": "1.2500",
        "completeness": 0.9375, "locked": 1,
    }  # fmt: skip
    assert points(influxd, bucket, measurements.EMISSIONS_DAY, measurements.EMISSIONS_TAGS) == [
        {**emissions, "time": t * 10**6} for t in DAYS_MS
    ]
    operations.put_days([], [])


def test_a_day_replaces_what_stood_there_and_nothing_else(
    influxd: InfluxServer, operations: OperationsView, bucket: str
) -> None:
    other = point_day(DAYS_MS[1], "7")._replace(point="plant-north-e1/meter/heat")
    operations.put_days([*(point_day(t, "12.50") for t in DAYS_MS), other], [emissions_day(t, "1.25") for t in DAYS_MS])
    operations.put_days(
        [point_day(DAYS_MS[1], "", good=0), point_day(DAYS_MS[2], "0.0125", unit="MWh")],
        [emissions_day(DAYS_MS[1], None), emissions_day(DAYS_MS[2], "1.25", standing="published")],
    )
    found = points(influxd, bucket, measurements.PERIOD_DAY, measurements.DAY_TAGS)
    assert [(one["time"] // 10**6, one["point"], one["unit"], one.get("amount"), one["refused"]) for one in found] == [
        (DAYS_MS[0], POINT, "kWh", 12.5, 0),
        (DAYS_MS[1], POINT, "kWh", None, 1),
        (DAYS_MS[1], other.point, "kWh", 7, 0),
        (DAYS_MS[2], POINT, "MWh", 0.0125, 0),
    ]
    assert "amount_text" not in found[1]
    emissions = points(influxd, bucket, measurements.EMISSIONS_DAY, measurements.EMISSIONS_TAGS)
    assert [(one["time"] // 10**6, one["standing"], one.get("reductions_tco2")) for one in emissions] == [
        (DAYS_MS[0], "recalled", 1.25),
        (DAYS_MS[1], "recalled", None),
        (DAYS_MS[2], "published", 1.25),
    ]


def test_the_days_of_a_project_that_are_held_until_the_bucket_is_deleted(
    influxd: InfluxServer, operations: OperationsView, bucket: str
) -> None:
    assert not operations.days_held("my project")
    other = emissions_day(DAYS_MS[2], "1")._replace(project="other")
    operations.put_days([], [emissions_day(DAYS_MS[0], "1.25"), emissions_day(DAYS_MS[1], None), other])
    assert set(operations.days_held("my project")) == set(DAYS_MS[:2])
    influxd.delete_bucket(bucket)
    influxd.make_bucket(bucket)
    assert not operations.days_held("my project")


def test_a_bucket_that_is_gone_is_said(influxd: InfluxServer, tmp_path: Path) -> None:
    opened = open_operations(tmp_path / "ingest.toml", influxd.settings("nowhere", tmp_path))
    with pytest.raises(ViewUnavailable, match=r"404 .*hakari view init"):
        opened.put_health(MINUTE_MS, [], [EdgeHealth("plant-e1", 1, 2, 3, 4, 5, 6, 0, "ok")])
    with pytest.raises(ViewUnavailable, match=r"404 .*hakari view init"):
        opened.put_days([point_day(DAYS_MS[0], "1")], [])
