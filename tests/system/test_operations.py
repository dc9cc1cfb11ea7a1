"""What operators look at, in a real InfluxDB: health every minute through silence and kills, days that are calc's."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from calc import run
from hakari.ledger.result import decode
from hakari.names import Origin
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from simulate.driver import Driver
from simulate.layout import NAMESPACE, PlantPlace, argv, prepare
from simulate.processes import Processes
from tests.system.forge import eventually
from tests.system.influx import InfluxServer
from tests.unit import calc_world as w
from tests.unit.ingest_world import SLOT, STEP_MS, Plant, configuration

pytestmark = pytest.mark.system

MINUTE_MS = 60_000
EDGE, OTHER = "solar-e1", "boiler-e1"
ORIGIN = Origin(NAMESPACE, EDGE, 1700)
MAIN, SPARE = f"{EDGE}/main/energy", f"{EDGE}/spare/energy"


class Clock:
    """A lockstep driver in a thread of its own: plant time is what the test says."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._driver = Driver([], watchers=["ingest"], port=port)
        self._tick = 0
        self._do(self._driver.__aenter__())

    def tick(self, t_ms: int) -> None:
        """Plant time is `t_ms` and ingest knows it."""
        self._tick += 1
        self._do(self._driver.step(self._tick, t_ms, lambda _: None))

    def stop(self) -> None:
        self._do(self._driver.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    def _do(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(60.0)


class Room:
    """Ingest as a process beside a broker, InfluxDB and a clock; what edges sent lies in its evidence log."""

    def __init__(self, folder: Path, influxd: InfluxServer) -> None:
        self.influxd, self.bucket = influxd, f"operations-{secrets.token_hex(8)}"
        folder.mkdir(parents=True, exist_ok=True)
        influxd.make_bucket(self.bucket)
        places = [
            PlantPlace(one.split("-")[0], folder / "x", one.split("-")[0], "e1", (), None, 1) for one in (EDGE, OTHER)
        ]
        table = influxd.table(self.bucket, folder)
        self.layout = prepare(folder, places, interval_s=900, batch_samples=1, influxdb=table)
        self.processes = Processes(folder / "logs")
        self.clock = Clock(self.layout.driver_port)
        self.processes.start("broker", argv("simulate", "broker", "--config", self.layout.broker_config))
        self.processes.wait_listening("broker", "127.0.0.1", self.layout.broker_port)

    def start(self) -> None:
        self.processes.start("ingest", argv("ingest", "run", "--config", self.layout.ingest_config))

    def health(self, measurement: str = "health_minute") -> dict[tuple[str, int], dict[str, Any]]:
        """Fields by (point or edge, minute)."""
        tag = "point" if measurement == "health_minute" else "edge"
        found = self.influxd.influxql(self.bucket, f"SELECT * FROM {measurement} GROUP BY edge, point")
        rows = [
            (series["tags"]["edge"], dict(zip(series["columns"], values, strict=True)) | series["tags"])
            for series in found
            for values in series["values"]
        ]
        return {(edge if row.get(tag, "-") == "-" else row[tag], row["time"] // 1_000_000): row for edge, row in rows}

    def written(self, minute: int) -> bool:
        """Whether the health of that minute is there."""
        return (MAIN, minute) in self.health()

    def stop(self) -> None:
        self.processes.stop_all()
        self.clock.stop()


@contextmanager
def room_of(folder: Path, influxd: InfluxServer) -> Iterator[Room]:
    room = Room(folder, influxd)
    try:
        yield room
    finally:
        room.stop()


def test_health_goes_on_every_minute_through_silence_and_a_kill(tmp_path: Path, influxd: InfluxServer) -> None:
    with room_of(tmp_path / "room", influxd) as room:
        with closing(SqliteEvidenceLog(tmp_path / "room" / "evidence.db")) as evidence:
            plant = Plant(evidence)
            cfg = plant.configure(ORIGIN, configuration(EDGE, meters=("main", "spare")))
            for k in range(10):
                plant.read(ORIGIN, cfg, SLOT + k * STEP_MS, {"main": 10 * k, "spare": 20 * k if k < 4 else None})
        begin_ms = SLOT + 9 * STEP_MS + MINUTE_MS
        for first, last in ((0, 4), (6, 89)):  # the driver does not wait for an ingest that is not there yet
            room.start()
            for k in range(first, last + 1):
                room.clock.tick(begin_ms + k * MINUTE_MS)
                if k in (first, last):
                    minute = begin_ms + k * MINUTE_MS
                    eventually(f"minute {k} is written", partial(room.written, minute))
            if first == 0:
                room.processes.kill("ingest")
        assert room.processes.stop("ingest") == 0
        found, edges = room.health(), room.health("edge_minute")
    minutes = [begin_ms + k * MINUTE_MS for k in range(90) if k != 5]
    points = (MAIN, SPARE, OTHER)
    assert {minute for point, minute in found if point in points} >= set(minutes)
    for k, minute in enumerate(minutes):
        main, spare, other = (found[point, minute] for point in points)
        assert main["age_s"] == (minute - SLOT - 9 * STEP_MS) / 1000
        assert spare["age_s"] == (minute - SLOT - 3 * STEP_MS) / 1000
        silent = main["age_s"] >= main["limit_s"] == 4500
        assert (main["state"], spare["state"]) == (("edge silent",) * 2 if silent else ("ok", "stale")), k
        assert (main["age_alarm_s"] == 0) == (spare["age_alarm_s"] == 0) == silent
        assert spare["quality"] == 2
        assert other["state"] == edges[OTHER, minute]["state"] == "never"
        assert edges[EDGE, minute]["state"] == ("silent" if silent else "ok")
        assert edges[EDGE, minute]["view_behind"] == 0
        assert edges[EDGE, minute]["epochs_unapproved"] == 1


def test_a_bucket_made_again_is_filled_without_a_restart(tmp_path: Path, influxd: InfluxServer) -> None:
    with room_of(tmp_path / "room", influxd) as room:
        with closing(SqliteEvidenceLog(tmp_path / "room" / "evidence.db")) as evidence:
            plant = Plant(evidence)
            cfg = plant.configure(ORIGIN, configuration(EDGE))
            for k in range(300):
                plant.read(ORIGIN, cfg, SLOT + k * STEP_MS, {"main": k})
        room.start()
        begin_ms = SLOT + 300 * STEP_MS
        room.clock.tick(begin_ms)

        def rows() -> int:
            found = influxd.influxql(room.bucket, "SELECT count(leaf) FROM reading")
            return int(found[0]["values"][0][1]) if found else 0

        eventually("the view is whole", lambda: rows() == 300)
        eventually("health is written", partial(room.written, begin_ms))
        influxd.delete_bucket(room.bucket)
        room.clock.tick(begin_ms + MINUTE_MS)
        log = tmp_path / "room" / "logs" / "ingest.log"
        eventually("it is said", lambda: "must wait" in log.read_text())
        influxd.make_bucket(room.bucket)
        eventually("the view is whole again", lambda: rows() == 300, 120.0)
        eventually("health goes on", partial(room.written, begin_ms + MINUTE_MS))
        assert room.processes.stop("ingest") == 0


def test_local_days_in_influxdb_are_those_of_calc(tmp_path: Path, influxd: InfluxServer) -> None:
    bucket = f"days-{secrets.token_hex(8)}"
    influxd.make_bucket(bucket)
    world = w.World(tmp_path)
    world.record(w.month(), world.configure())
    config = world.write_settings()
    config.write_text(w.replaced(config.read_text(), 'view = "view.db"\n', "") + influxd.table(bucket, tmp_path))
    text = w.replaced(w.project_text(standing="demo"), "FIXTURE_PUBLISHED", "PV_CONSERVATIVE")
    text = text.replace('name = "EF"', 'name = "EF_RE"').replace('"EXP"', '"EG"')
    (tmp_path / "project.toml").write_text(text[: text.index('[[monitored]]\nparameter = "IMP"')])
    run.add_project(config, tmp_path / "project.toml")
    periods = {one.period_id: decode(one.result_json) for one in run.compute_once(config)}
    world.evidence.close()
    july = periods["plant-2016-07"]
    points = influxd.influxql(bucket, "SELECT amount_text, completeness, refused FROM period_day GROUP BY point")
    assert [series["tags"]["point"] for series in points] == [w.EXPORT]
    days = {t // 1_000_000: rest for t, *rest in points[0]["values"]}
    own = {t_ms: rest for t_ms, rest in days.items() if t_ms < w.END_MS}
    assert sorted(own) == [w.START_MS + k * 24 * w.HOUR_MS for k in range(31)]
    assert sum(Decimal(text) for text, _, _ in own.values()) == Decimal(july.inputs[0].quantity or "")
    assert {(completeness, refused) for _, completeness, refused in own.values()} == {(1, 0)}
    (emissions,) = influxd.influxql(bucket, "SELECT reductions_text, locked FROM emissions_day GROUP BY project")
    total = sum(Decimal(text) for t, text, _ in emissions["values"] if t // 1_000_000 < w.END_MS)
    assert total == Decimal(july.reductions_tco2 or "")
    assert {locked for _, _, locked in emissions["values"]} == {0}
