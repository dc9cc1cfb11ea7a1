"""Every query of every panel, variable and alert against a real InfluxDB that a run of the whole chain has filled.

In the run one meter falls silent for good and one edge loses its uplink for a while; the figures that the queries
give are held against the registers, calc's results and the ledger.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grafana import alert_queries, build, flux, queries
from grafana.alerts import ALERTS, RANGE_S
from hakari.ledger.result import PeriodResult, decode
from hakari.store.ledger_sql import SqlLedger
from hakari.store.operations import AlarmPoint, EdgeHealth, EmissionsDay, PointDay, PointHealth
from hakari.store.operations_influx import InfluxOperations
from tests.system.chain import PLANTS, Chain, solar
from tests.system.influx import TOKEN, InfluxServer
from tests.system.uplink import Uplink

pytestmark = pytest.mark.system

MONTH, STEP_S = "2016-07", 900
START, END = "2016-07-01T00:00:00-07:00", "2016-07-03T06:00:00-07:00"
SILENT_FROM = "2016-07-03T02:00:00-07:00"
CUT_FROM = "2016-07-02T12:00:00-07:00"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
WAIT_S = 240.0
BROKEN = "boiler"
SITES = (BROKEN, "chiller", "solar", "transformer")
# What a healthy run may leave empty.
MAY_BE_EMPTY = {
    "hakari-plant: Registers B",
    "hakari-quality: Refused leaves A",
    "hakari-quality: Readings by quality B",
}
CHOSEN = {"meter": ".*", "gauge": "active_power"}


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def rfc(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


START_MS, END_MS = ms(START), ms(END)
# The last but one tick: after the end the uplink is mended, and the last minute written again.
NOW_MS = END_MS - STEP_S * 1000
SPAN = (START_MS, NOW_MS + 1000)


class Series(NamedTuple):
    """What a query gives for one value of its tags."""

    tags: dict[str, str]
    rows: list[dict[str, Any]]


class Asked:
    """A bucket, asked as Grafana asks: macros and variables are put in as text."""

    def __init__(self, server: InfluxServer, bucket: str) -> None:
        self.server = server
        self.bucket = bucket

    def run(self, query: queries.Query, span: tuple[int, int] = SPAN, every: str = "1h", **chosen: str) -> list[Series]:
        """The answer to a query over `span` in milliseconds; a fault of InfluxDB is raised."""
        text, site = query.text, chosen.get("site", ".*")
        if "${register:regex}" in text and "register" not in chosen:
            given = variable("hakari-plant", "register").get("allValue")
            chosen["register"] = given or all_of(self.values("hakari-plant", "register", site))
        for name, value in {"site": ".*", **CHOSEN, **chosen}.items():
            text = text.replace(f"${{{name}:regex}}", value)
        return self._flux(text, span, every) if query.source == queries.FLUX else self._influxql(text, span, every)

    def values(self, uid: str, name: str, site: str) -> list[str]:
        """What a dashboard's variable can be for the chosen plants."""
        asked = variable(uid, name)
        found = self.run(queries.Query(queries.INFLUXQL, asked["query"]), site=site)
        values = [row["value"] for series in found for row in series.rows]
        if not asked["regex"]:
            return values
        # As Grafana does it: what the expression matches, each once.
        part = re.compile(asked["regex"].strip("/"))
        return list(dict.fromkeys(match[0] for value in values if (match := part.search(value))))

    def number(self, query: queries.Query, span: tuple[int, int] = SPAN, **chosen: str) -> float:
        """The one number that a query gives."""
        [[row]] = [series.rows for series in self.run(query, span, **chosen)]
        return float(row["_value"])

    def alarm(self, query: queries.Query, now_ms: int = NOW_MS) -> dict[str, float]:
        """Edge or edge/meter → the number that the alert compares, at `now_ms`."""
        found = {}
        for series in self.run(query, (now_ms - RANGE_S * 1000, now_ms + 1000)):
            [row] = series.rows
            found["/".join(row[tag] for tag in ("edge", "meter") if tag in row)] = float(row["_value"])
        return found

    def _flux(self, text: str, span: tuple[int, int], every: str) -> list[Series]:
        # As Grafana's back end does it: pkg/tsdb/influxdb/flux/macros.go.
        macros = {"v.timeRangeStart": rfc(span[0]), "v.timeRangeStop": rfc(span[1]), "v.windowPeriod": every}
        for name, value in {**macros, "v.defaultBucket": f'"{self.bucket}"', "$__interval": every}.items():
            text = text.replace(name, value)
        tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.server.flux(text):
            tables[row["table"]].append(row)
        return [Series({}, rows) for rows in tables.values()]

    def _influxql(self, text: str, span: tuple[int, int], every: str) -> list[Series]:
        # As Grafana's back end does it: pkg/tsdb/influxdb/models/query.go.
        text = text.replace("$timeFilter", f"time >= {span[0]}ms and time <= {span[1]}ms").replace("$__interval", every)
        return [
            Series(one.get("tags", {}), [dict(zip(one["columns"], values, strict=True)) for values in one["values"]])
            for one in self.server.influxql(self.bucket, text)
        ]


def variable(uid: str, name: str) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = [one for one in build.dashboards()[uid]["templating"]["list"] if one["name"] == name]
    return found


def all_of(values: list[str]) -> str:
    """All of a variable without `allValue`, as Grafana's format `regex` writes it into a query."""
    escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


class World(NamedTuple):
    """What came out of the run."""

    asked: Asked
    results: Mapping[str, PeriodResult]
    chain: Chain


@pytest.fixture(scope="module")
def world(influxd: InfluxServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("grafana")
    plants = [solar() if name == "solar" else (name, _absolute(name)) for name in SITES]
    projects = {name: (PLANTS / f"{name}.project.toml").read_text() for name in SITES}
    chain = Chain(folder, plants, START, END, projects=projects, influxd=influxd, step_s=STEP_S, batch_samples=1)
    _silence(chain)
    with Uplink(chain.layout.broker_port) as uplink, chain:
        _through(chain, "chiller", uplink.port)
        chain.start_all()
        _await_health(chain, influxd, ms(CUT_FROM))
        uplink.cut()
        _await_health(chain, influxd, END_MS)
        uplink.mend()
        chain.finish()
        chain.compute()
    ledger = SqlLedger(f"sqlite:///{folder / 'ledger.db'}")
    try:
        results = {name: _result(ledger, f"demo-{name}-{MONTH}") for name in SITES}
    finally:
        ledger.close()
    return World(Asked(influxd, chain.bucket), results, chain)


def _absolute(name: str) -> str:
    return re.sub(
        r'"([a-z.-]+\.(?:csv|map\.toml))"', lambda f: f'"{PLANTS / f[1]}"', (PLANTS / f"{name}.toml").read_text()
    )


def _silence(chain: Chain) -> None:
    """The boiler's auxiliary meter answers nothing from SILENT_FROM on; its edge waits half a second for it."""
    (chain.folder / "faults.toml").write_text(
        f'[[fault]]\nplant = "boiler"\nunit = 2\nkind = "silence"\nfrom = {SILENT_FROM}\n'
    )
    scenario = chain.folder / "scenario.toml"
    scenario.write_text(f'faults = "faults.toml"\n{scenario.read_text()}')
    config = chain.folder / "boiler-e1.toml"
    config.write_text(config.read_text().replace("timeout_s = 2.0", "timeout_s = 0.5"))


def _through(chain: Chain, plant: str, port: int) -> None:
    config = chain.folder / f"{plant}-e1.toml"
    before = config.read_text()
    config.write_text(before.replace(f"port = {chain.layout.broker_port}\n", f"port = {port}\n"))
    assert config.read_text() != before


def _await_health(chain: Chain, server: InfluxServer, t_ms: int) -> None:
    """Waits until the health of a minute is written."""
    until_s = time.monotonic() + WAIT_S
    query = 'SELECT "leaves" FROM "edge_minute" ORDER BY time DESC LIMIT 1'
    while True:
        found = server.influxql(chain.bucket, query)
        if found and found[0]["values"][0][0] >= t_ms * 1_000_000:
            return
        assert chain.alive("ingest"), (chain.folder / "logs" / "ingest.log").read_text()
        assert chain.alive("plants"), (chain.folder / "logs" / "plants.log").read_text()
        assert time.monotonic() < until_s, f"no health of {rfc(t_ms)} was written"
        time.sleep(0.1)


def _result(ledger: SqlLedger, period_id: str) -> PeriodResult:
    period = ledger.period(period_id)
    assert period is not None, period_id
    return decode(period.result_json)


def targets() -> Iterator[tuple[str, queries.Query]]:
    for uid, board in build.dashboards().items():
        for panel in board["panels"] if not uid.endswith("-ja") else []:
            for target in panel.get("targets", []):
                name = f"{uid}: {panel['title']} {target['refId']}"
                yield name, queries.Query(target["datasource"]["uid"], target["query"])


@pytest.mark.parametrize(("name", "query"), [pytest.param(*one, id=one[0]) for one in targets()])
def test_every_query_of_every_panel_is_answered(world: World, name: str, query: queries.Query) -> None:
    found = world.asked.run(query)
    assert all(series.rows for series in found)
    assert found or name in MAY_BE_EMPTY


def test_every_variable_has_its_values(world: World) -> None:
    values: dict[str, set[str]] = defaultdict(set)
    for uid, board in build.dashboards().items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                values[f"{uid} {variable['name']}"] = set(world.asked.values(uid, variable["name"], "solar"))
    assert values["hakari-fleet site"] == values["hakari-plant-ja site"] == set(SITES)
    assert values["hakari-quality meter"] == {"inverter", "export"}
    assert values["hakari-plant register"] == {"energy_import", "energy_export"}
    assert "active_power" in values["hakari-plant gauge"]
    assert not values["hakari-plant gauge"] & values["hakari-plant register"]


def points(found: list[Series]) -> set[str]:
    """The points that a query of readings tells of, a series each."""
    named = [{row["point"] for row in series.rows} for series in found]
    assert all(len(one) == 1 for one in named)
    return set().union(*named)


def test_all_registers_are_counters_and_no_gauge(world: World) -> None:
    asked = world.asked
    for site in (".*", "solar"):
        kind = queries.tag_values(queries.HEALTH, "point", queries.OF_SITE, "\"kind\" = 'counter'")
        found = asked.run(queries.Query(queries.INFLUXQL, kind), site=site)
        counters = {row["value"] for series in found for row in series.rows}
        assert counters
        for query in (flux.good(flux.REGISTERS, "last"), flux.energy()):
            assert points(asked.run(query, site=site)) == counters
    assert asked.run(flux.falls()) == [], "no register fell: voltages and powers do all the time"


def test_the_fleet_tells_who_is_there(world: World) -> None:
    asked = world.asked
    assert (asked.number(flux.plants("sum")), asked.number(flux.plants("count"))) == (3, 4)
    assert asked.number(flux.meters("reporting", "count")) == 8
    assert asked.number(flux.meters("reporting", "sum")) == 5  # without the chiller's two and the silent one
    assert asked.number(flux.silent_meters()) == 3
    assert asked.number(flux.silent_meters(), site="(solar|transformer)") == 0
    assert asked.number(flux.meters("age", "max")) >= (NOW_MS - ms(SILENT_FROM)) / 1000
    [table] = asked.run(flux.plant_lines())
    shown = {row["site"]: (row["state"], row["reporting"], row["rostered"]) for row in table.rows}
    silent = next(rank for rank, state in flux.RANKS.items() if state == "silent")
    assert shown["chiller"] == (str(silent), "0", "2")
    assert shown["boiler"] == ("1", "1", "2")
    assert shown["solar"] == ("1", "2", "2")


def test_states_over_time_show_when_it_began(world: World) -> None:
    def rank(edge: str, meter: str, t_ms: int) -> str:
        found = world.asked.run(flux.states(queries.HEALTH, "edge", "meter"), every="15m", site="(boiler|chiller)")
        rows = [row for series in found for row in series.rows if (row["edge"], row["meter"]) == (edge, meter)]
        return flux.RANKS[int(float(next(row["_value"] for row in rows if row["_time"] == rfc(t_ms))))]

    # A run is faster than the minutes of its health are written, so that these may know a quality of hours later.
    assert rank("boiler-e1", "aux", START_MS + DAY_MS // 2) in ("ok", "suspect")
    assert rank("boiler-e1", "aux", NOW_MS) == "stale"
    assert rank("boiler-e1", "heat", NOW_MS) == "ok"
    assert rank("chiller-e1", "power", NOW_MS) == "silent"


def test_a_silent_meter_alarms_and_stays_so_while_nothing_arrives(world: World) -> None:
    query = alert_queries.silent_meter_excess_s()
    ticks = range(ms(SILENT_FROM), END_MS, STEP_S * 1000)
    excess = [world.asked.alarm(query, t_ms)["boiler-e1/aux"] for t_ms in ticks]
    assert excess[0] < 0 < excess[-1]
    first = next(k for k, value in enumerate(excess) if value > 0)
    assert all(later - earlier == STEP_S for earlier, later in zip(excess[first:], excess[first + 1 :], strict=False))
    assert [name for name, value in world.asked.alarm(query).items() if value > 0] == ["boiler-e1/aux"]
    assert all(value <= 0 for value in world.asked.alarm(alert_queries.silent_register_excess_s()).values())


def test_one_dead_uplink_is_one_alarm(world: World) -> None:
    edges = world.asked.alarm(alert_queries.silent_edge_excess_s())
    assert [edge for edge, value in edges.items() if value > 0] == ["chiller-e1"]
    meters = world.asked.alarm(alert_queries.silent_meter_excess_s())
    assert {name for name in meters if name.startswith("chiller-e1/")} == {"chiller-e1/power", "chiller-e1/controller"}
    assert all(value <= 0 for name, value in meters.items() if name.startswith("chiller-e1/"))


def test_a_dead_pipeline_leaves_no_row_which_is_what_alarms(world: World) -> None:
    later_ms = END_MS + 2 * HOUR_MS
    for alert in ALERTS:
        assert world.asked.alarm(alert.query, later_ms) == {}, alert.title
        assert world.asked.alarm(alert.query), alert.title
    assert world.asked.alarm(alert_queries.health_rows())[""] == len(SITES)


def test_epochs_alarm_until_the_owner_has_approved_them(world: World) -> None:
    assert set(world.asked.alarm(alert_queries.edge_number("epochs_unapproved")).values()) == {1.0}


def test_the_days_of_a_point_add_up_to_the_month_in_the_ledger(world: World) -> None:
    compared = 0
    found = world.asked.run(queries.days(queries.DAY, "amount", "project", "point", "quantity", "unit"))
    amounts = {
        (series.tags["project"], series.tags["point"], series.tags["quantity"]): sum(
            row["amount"] for row in series.rows
        )
        for series in found
    }
    for site, result in world.results.items():
        for used in result.inputs:
            if used.quantity is not None and site != BROKEN:  # its month ends with the silent meter's last reading
                days = amounts[f"demo-{site}", used.point, used.parameter]
                assert days == pytest.approx(float(used.quantity), rel=1e-9), used.point
                compared += 1
    assert compared >= len(SITES) - 1


def test_the_emissions_of_the_days_add_up_to_the_draft_in_the_ledger(world: World) -> None:
    for site in SITES:
        total = world.results[site].reductions_tco2
        assert total is not None
        if site == BROKEN:  # its last day is refused, while the month ends with the silent meter's last reading
            assert world.asked.number(flux.draft("reductions_tco2"), site=site) < float(total)
            continue
        assert world.asked.number(flux.draft("reductions_tco2"), site=site) == pytest.approx(float(total), rel=1e-6), (
            site
        )


def test_a_day_is_the_difference_of_the_registers_that_the_chain_holds(world: World) -> None:
    """Three ways to the same energy: the panel of the rises, calc's day, and the raw registers themselves."""
    point = "solar-e1/export/energy_export"
    registers = world.chain.registers(point)
    day = (START_MS, START_MS + DAY_MS)
    raw = Decimal(registers[day[1]]) - Decimal(registers[day[0]])
    rises = {
        row["_time"]: float(row["_value"])
        for series in world.asked.run(flux.energy(), day, site="solar", meter="export", register="energy_export")
        for row in series.rows
    }
    assert sum(rises.values()) == pytest.approx(float(raw), rel=1e-9)
    noon_ms = START_MS + DAY_MS // 2
    bar = rises[f"{rfc(noon_ms).removesuffix('Z')}.001Z"]
    assert bar == pytest.approx(float(Decimal(registers[noon_ms + HOUR_MS]) - Decimal(registers[noon_ms])), rel=1e-9)
    assert max(rises) < rfc(day[1]), "midnight's step is of the day before"
    [(shown, unit)] = [
        (row["amount"], series.tags["unit"])
        for series in world.asked.run(queries.days(queries.DAY, "amount", "point", "unit"), day, site="solar")
        for row in series.rows
        if series.tags["point"] == point and row["time"] == START_MS * 1_000_000
    ]
    assert unit == "MWh"
    assert shown * 1e6 == pytest.approx(float(raw)), "the meter counts Wh"


def test_a_point_that_was_chosen_by_name_is_the_only_one_shown(world: World) -> None:
    for query in (flux.good(flux.REGISTERS, "last"), flux.energy()):
        found = world.asked.run(query, site="solar", meter="export", register="energy_export")
        assert points(found) == {"solar-e1/export/energy_export"}
    found = world.asked.run(flux.good(flux.GAUGES, "mean"), site="solar", meter="export", gauge="(active_power)")
    assert points(found) == {"solar-e1/export/active_power"}


def test_a_gap_in_the_readings_is_a_gap_in_the_panel(world: World) -> None:
    """The silent meter's last hours are windows without a value, not a line to the next one."""
    found = world.asked.run(flux.good(flux.REGISTERS, "last"), site="boiler", meter="aux", register="energy_import")
    values = {row["_time"]: row["_value"] for series in found for row in series.rows}
    assert values[rfc(START_MS + DAY_MS)] != ""
    assert values[rfc(NOW_MS // HOUR_MS * HOUR_MS)] == ""


def test_completeness_is_that_of_the_slots(world: World) -> None:
    found = world.asked.run(queries.days(queries.DAY, "completeness", "site", "point"))
    shares = {(series.tags["point"], row["time"]): row["completeness"] for series in found for row in series.rows}
    midnight = [(START_MS + k * DAY_MS) * 1_000_000 for k in range(3)]
    assert {value for (_, t_ns), value in shares.items() if t_ns in midnight[:2]} == {1.0}
    aux = "boiler-e1/aux/energy_import"
    assert shares[aux, midnight[2]] < 1.0
    assert shares["boiler-e1/heat/heat_energy", midnight[2]] == 1.0


def newest_days(asked: Asked, site: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the fleet's two tables of the newest day: emissions, and quantities."""
    emissions, days = (
        queries.Query(target["datasource"]["uid"], target["query"])
        for panel in build.dashboards()["hakari-fleet"]["panels"]
        for target in panel.get("targets", [])
        if "newest day" in panel["title"]
    )
    of_emissions, of_days = (
        [row for series in asked.run(query, site=site) for row in series.rows] for query in (emissions, days)
    )
    return of_emissions, of_days


def test_a_day_with_a_dead_register_is_not_whole(world: World) -> None:
    newest = rfc(START_MS + 2 * DAY_MS)
    [broken], days = newest_days(world.asked, BROKEN)
    assert (broken["_time"], broken["refused"], broken.get("reductions_tco2", "")) == (newest, "1", "")
    assert 0.0 < float(broken["completeness"]) < 1.0
    assert {row["_time"] for row in days} == {newest}
    refused = {row["point"]: (row["refused"], row["amount"] != "") for row in days}
    assert refused["boiler-e1/aux/energy_import"] == ("1", False)
    assert refused["boiler-e1/heat/heat_energy"] == ("0", True)
    [whole], _ = newest_days(world.asked, "solar")
    assert (whole["_time"], whole["refused"], whole["completeness"]) == (newest, "0", "1")


def test_readings_by_quality_count_every_row(world: World) -> None:
    good = world.asked.run(queries.of_quality(0), site="boiler")
    bad = world.asked.run(queries.of_quality(2), site="boiler")
    counted = sum(row["sum"] for series in good + bad for row in series.rows)
    [[whole]] = [one.rows for one in world.asked.run(queries.Query(
        queries.INFLUXQL, 'SELECT count(/[.]raw$/) FROM "reading" WHERE $timeFilter AND "site" = \'boiler\''
    ))]  # fmt: skip
    assert counted == sum(count or 0 for name, count in whole.items() if name != "time")
    silent = [row["time"] for series in bad for row in series.rows if row["sum"]]
    assert silent
    assert min(silent) >= ms(SILENT_FROM) * 1_000_000


# ── rules that no healthy run breaks: rows as ingest would write them ──


class Written:
    """A bucket of its own, with one minute or some days in it."""

    def __init__(self, server: InfluxServer, folder: Path, bucket: str) -> None:
        server.make_bucket(bucket)
        self.asked = Asked(server, bucket)
        self._operations = InfluxOperations(server.settings(bucket, folder), TOKEN)

    def minute(self, points: list[PointHealth], edges: list[EdgeHealth]) -> None:
        self._operations.put_health(NOW_MS, points, edges)
        self._operations.close()

    def alarms(self, *minutes: list[AlarmPoint]) -> None:
        for k, alarms in enumerate(reversed(minutes)):
            self._operations.put_health(NOW_MS - 60_000 * k, [], [], [], alarms)
        self._operations.close()

    def days(self, points: list[PointDay], projects: list[EmissionsDay]) -> None:
        self._operations.put_days(points, projects)
        self._operations.close()


def test_a_refused_day_is_shown_as_refused_and_takes_no_figure_of_the_day_before(
    influxd: InfluxServer, tmp_path: Path
) -> None:
    written = Written(influxd, tmp_path, "refused-day")
    before_ms, newest_ms = START_MS + DAY_MS, START_MS + 2 * DAY_MS
    points = [PointDay(before_ms, "p", f"a-b-e1/{name}/e", "EG", "MWh", "1.5", 24, 24, 0) for name in ("dead", "well")]
    points += [one._replace(t_ms=newest_ms, good_slots=8) for one in points]
    points[2] = points[2]._replace(amount_text="")
    whole = EmissionsDay(before_ms, "p", "a-b", "PV", "recalled", "2", "1", "1", "1", locked=False)
    well = whole._replace(project="q", site="c", t_ms=newest_ms)
    dead = EmissionsDay(newest_ms, "p", "a-b", "PV", "recalled", None, None, None, "0.333333", locked=False)
    written.days(points, [whole, dead, well])
    emissions, days = newest_days(written.asked, ".*")
    assert [(row["_time"], row["project"], row["refused"], row["reductions_tco2"]) for row in emissions] == [
        (rfc(newest_ms), "p", "1", ""),
        (rfc(newest_ms), "q", "0", "1"),
    ]
    assert sorted((row["_time"], row["meter"], row["refused"], row["amount"]) for row in days) == [
        (rfc(newest_ms), "dead", "1", ""),
        (rfc(newest_ms), "well", "0", "1.5"),
    ]
    [alone], _ = newest_days(written.asked, "a-b")
    assert (alone["refused"], alone["completeness"]) == ("1", "0.333333")


def point(meter: str, name: str, kind: str, age_s: float, quality: int = 0) -> PointHealth:
    state = "never" if quality == 3 else "stale" if age_s > 4500 else "ok"
    return PointHealth("a-b-e1", meter, name, kind, age_s, age_s, 4500.0, None, quality, 1.0, None, state)


def test_a_register_that_fell_silent_while_its_meter_answers(influxd: InfluxServer, tmp_path: Path) -> None:
    written = Written(influxd, tmp_path, "register-silent")
    written.minute(
        [
            point("broken", "energy_import", "counter", 9000.0),
            point("broken", "active_power", "gauge", 60.0),
            point("unmapped", "energy_import", "counter", 9000.0, quality=3),
            point("unmapped", "active_power", "gauge", 60.0),
            point("gauge_only", "voltage_l1", "gauge", 9000.0),
            point("gauge_only", "active_power", "gauge", 60.0),
            point("dead", "energy_import", "counter", 9000.0),
            point("dead", "active_power", "gauge", 9000.0),
        ],
        [],
    )
    registers = written.asked.alarm(alert_queries.silent_register_excess_s())
    assert {name for name, value in registers.items() if value > 0} == {"a-b-e1/broken"}
    assert registers["a-b-e1/broken"] == 4500.0
    meters = written.asked.alarm(alert_queries.silent_meter_excess_s())
    assert {name for name, value in meters.items() if value > 0} == {"a-b-e1/dead"}


def test_a_view_that_lags_and_an_edge_with_two_histories(influxd: InfluxServer, tmp_path: Path) -> None:
    written = Written(influxd, tmp_path, "edges-wrong")
    edges = [
        EdgeHealth("a-b-e1", 10.0, 900.0, 1.0, 5, 0, 400, 0, "ok"),
        EdgeHealth("c-e2", 10.0, 900.0, None, 5, 2, 0, 1, "frozen"),
    ]
    written.minute([], edges)
    asked = written.asked
    assert asked.alarm(alert_queries.edge_number("view_behind")) == {"a-b-e1": 400.0, "c-e2": 0.0}
    assert asked.alarm(alert_queries.edge_number("frozen")) == {"a-b-e1": 0.0, "c-e2": 1.0}
    assert asked.alarm(alert_queries.edge_number("epochs_unapproved"))["c-e2"] == 2.0
    assert asked.number(flux.edges("behind", "sum")) == 400
    assert flux.RANKS[int(asked.number(flux.edges("state", "max"), site="c"))] == "frozen"


def test_the_alarms_that_stand_are_listed_and_cleared_ones_are_not(influxd: InfluxServer, tmp_path: Path) -> None:
    written = Written(influxd, tmp_path, "alarms")
    disk = AlarmPoint("disk", "critical", "", "", "", 1, 7, 1_000, "5 %", "nearly full", "残量不足")
    clock = AlarmPoint("clock", "warning", "a-b-e1", "", "a-b-e1", 1, 8, 2_000, "", "clock", "時計")
    gone = clock._replace(kind="pair", number=9)
    written.alarms([disk, clock, gone], [disk, clock, gone._replace(active=0)])
    [table] = written.asked.run(flux.alarm_lines(), (NOW_MS - 3_600_000, NOW_MS + 1000))
    assert [(row["number"], row["kind"], row["english"], row["japanese"]) for row in table.rows] == [
        ("8", "clock", "clock", "時計"),
        ("7", "disk", "nearly full", "残量不足"),
    ]


def test_a_fault_in_a_query_is_seen_here(influxd: InfluxServer) -> None:
    influxd.make_bucket("faulty")
    asked = Asked(influxd, "faulty")
    with pytest.raises(OSError, match="400"):
        asked.run(queries.Query(queries.FLUX, "from(bucket: v.defaultBucket) |> nonsense()"))
    with pytest.raises((OSError, KeyError)):
        asked.run(queries.Query(queries.INFLUXQL, "SELECT FROM WHERE"))
    assert json.dumps(asked.run(flux.edge_lines())) == "[]"
