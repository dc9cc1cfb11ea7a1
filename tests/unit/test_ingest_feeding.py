"""The thread that feeds the view: nothing is dropped while the view is away, and no failure passes unseen."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from hakari.influxdb import InfluxSettings
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.operations import AlarmPoint, EdgeHealth, MeterHealth, PointHealth
from hakari.store.view import Refusal, ViewUnavailable
from hakari.store.view_influx import InfluxReadingsView
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from ingest import run
from ingest.run import FeedingThread
from ingest.view import feeding as module
from ingest.view.feed import EvidenceIncomplete
from ingest.view.feeding import FIRST_RETRY_S, MAX_ASKED_RETRY_S, MAX_RETRY_S, Outage
from ingest.watch.health import MINUTE_MS
from ingest.watch.minutes import Health
from tests.unit.ingest_world import EDGE, FIRST, OTHER, SLOT, STEP_MS, Minutes, Plant, configuration, roster_of

WAIT_S = 30.0


class World:
    """An evidence log with a plant, and the feeding of a view from it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "evidence.db"
        self.view_file = folder / "view.db"
        self.evidence = SqliteEvidenceLog(self.file)
        self.plant = Plant(self.evidence)
        self.cfg = self.plant.configure(FIRST, configuration(EDGE))
        self.started: list[FeedingThread] = []

    def feeding(self, view: SqliteReadingsView | InfluxReadingsView, health: Health | None = None) -> FeedingThread:
        made = FeedingThread(lambda: closing(SqliteEvidenceLog(self.file, read_only=True)), view, health)
        self.started.append(made)
        made.start()
        return made

    def sample(self, count: int) -> None:
        size = self.evidence.head(FIRST).size
        self.plant.sample(FIRST, self.cfg, count, SLOT + size * STEP_MS)

    def level(self) -> bool:
        with closing(SqliteReadingsView(self.view_file, read_only=True)) as view:
            return all(view.cursor(o.edge_id, o.epoch) == self.evidence.head(o).size for o in self.evidence.origins())

    def rows(self) -> int:
        with closing(SqliteReadingsView(self.view_file, read_only=True)) as view:
            return view.counts()[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for one in made.started:
        one.stop()
    made.evidence.close()


@pytest.fixture
def view(world: World) -> Iterator[SqliteReadingsView]:
    opened = SqliteReadingsView(world.view_file)
    yield opened
    for one in world.started:
        one.stop()
    opened.close()


def eventually(ready: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not ready():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_what_is_stored_and_what_comes_is_fed(world: World, view: SqliteReadingsView) -> None:
    world.sample(300)
    feeding = world.feeding(view)
    eventually(world.level)
    world.sample(3)
    feeding.grew({FIRST})
    eventually(world.level)
    assert world.rows() == 303
    feeding.check()
    assert feeding.stop()


def test_at_the_end_what_is_stored_is_fed_first(world: World, view: SqliteReadingsView) -> None:
    feeding = world.feeding(view)
    eventually(world.level)
    world.sample(2000)
    assert feeding.stop()
    assert world.level()


def test_another_error_ends_the_process(world: World, view: SqliteReadingsView) -> None:
    world.sample(3)
    with world.evidence.transaction():
        world.evidence._db.run("DROP TRIGGER leaf_stays")
        world.evidence._db.run("DELETE FROM leaf WHERE i = 2")
    feeding = world.feeding(view)
    eventually(lambda: feeding._error is not None)
    with pytest.raises(EvidenceIncomplete, match="has no leaf 2"):
        feeding.check()
    assert feeding.stop()


def test_an_evidence_log_that_is_not_there_ends_the_process(tmp_path: Path, view: SqliteReadingsView) -> None:
    feeding = FeedingThread(lambda: closing(SqliteEvidenceLog(tmp_path / "none" / "e.db", read_only=True)), view)
    feeding.start()
    eventually(lambda: feeding._error is not None)
    with pytest.raises(Exception, match=r"none/e\.db"):
        feeding.check()


def influx(folder: Path, port: int) -> InfluxReadingsView:
    settings = InfluxSettings(url=f"http://127.0.0.1:{port}", token_file=str(folder / "token"), timeout_s=600)
    return InfluxReadingsView(settings, "token")


def test_a_port_that_nobody_listens_on_is_said_once(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(module, "MAX_RETRY_S", 0.02)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = influx(tmp_path, free.getsockname()[1])
    tries: list[float] = []
    asked = away.cursor

    def counted(edge_id: str, epoch: int) -> int:
        tries.append(time.monotonic())
        return asked(edge_id, epoch)

    monkeypatch.setattr(away, "cursor", counted)
    feeding = world.feeding(away, Health(Minutes(), roster_of(EDGE)))
    feeding.told(SLOT)
    eventually(lambda: len(tries) >= 3)
    assert "gives no answer" in feeding.trouble
    feeding.check()
    assert feeding.stop()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "the readings view must wait" in caplog.text
    away.close()


def test_a_view_that_hangs_does_not_keep_the_process(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "STOP_LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        feeding = world.feeding(influx(tmp_path, silent.getsockname()[1]))
        connection, _ = silent.accept()
        world.sample(1)
        feeding.grew({FIRST})
        feeding.check()
        assert not feeding.stop()
        assert "does not answer: what it lacks is fed after the next start" in caplog.text
        connection.close()
        silent.close()
        monkeypatch.setattr(run, "STOP_LIMIT_S", WAIT_S)
        assert feeding.stop()


class Away(SqliteReadingsView):
    """A view that can be taken away."""

    reason = ""

    def cursor(self, edge_id: str, epoch: int) -> int:
        self._reach()
        return super().cursor(edge_id, epoch)

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        self._reach()
        super().write(edge_id, epoch, upto, rows, refused, start)

    def _reach(self) -> None:
        if self.reason:
            raise ViewUnavailable(self.reason)


def test_after_an_outage_everything_is_there_and_it_is_said(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(module, "MAX_RETRY_S", 0.01)
    with closing(Away(world.view_file)) as view:
        view.reason = "no such bucket"
        feeding = world.feeding(view)
        eventually(lambda: feeding.trouble == "no such bucket")
        world.sample(200)
        feeding.grew({FIRST})
        view.reason = "the token is refused"
        eventually(lambda: feeding.trouble == "the token is refused")
        view.reason = ""
        eventually(world.level)
        eventually(lambda: not feeding.trouble)
        assert feeding.stop()
    assert world.rows() == 200
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]
    assert "the readings view goes on" in caplog.records[-1].message


def test_a_view_that_was_cleared_is_complete_again_without_a_restart(world: World, view: SqliteReadingsView) -> None:
    other = world.plant.configure(OTHER, configuration(OTHER.edge_id))
    world.plant.sample(OTHER, other, 5)
    world.sample(300)
    feeding = world.feeding(view)
    eventually(world.level)
    with closing(SqliteReadingsView(world.view_file)) as somebody:
        somebody.clear()
    world.sample(1)
    feeding.grew({FIRST})  # the other edge has nothing new, and is fed again all the same
    eventually(world.level)
    assert world.rows() == 306


def test_a_cleared_view_is_noticed_while_nothing_arrives(
    world: World, view: SqliteReadingsView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    world.sample(10)
    world.feeding(view)
    eventually(world.level)
    with closing(SqliteReadingsView(world.view_file)) as somebody:
        somebody.clear()
    eventually(lambda: world.level() and world.rows() == 10)


def test_every_minute_is_written_while_nothing_arrives(world: World, view: SqliteReadingsView) -> None:
    for k in range(4):
        world.plant.read(FIRST, world.cfg, SLOT + k * STEP_MS, {"main": k})
    minutes = Minutes()
    feeding = world.feeding(view, Health(minutes, roster_of(EDGE, OTHER.edge_id)))
    eventually(world.level)
    begin_ms = SLOT + 4 * STEP_MS
    for k in range(10 * 60):
        feeding.told(begin_ms + k * 1000)
    eventually(lambda: len(minutes.points) == 10)
    assert sorted(minutes.points) == [begin_ms + k * MINUTE_MS for k in range(10)]
    ages = [{one.point: one.age_s for one in minutes.points[t_ms]} for t_ms in sorted(minutes.points)]
    assert [one[f"{EDGE}/main/energy"] for one in ages] == [900.0 + 60 * k for k in range(10)]
    assert all(set(one) == {f"{EDGE}/main/energy", "-"} for one in ages)
    feeding.put_roster(roster_of(EDGE))
    feeding.told(begin_ms + 10 * MINUTE_MS)
    eventually(lambda: len(minutes.points) == 11)
    assert [one.edge_id for one in minutes.edges[max(minutes.edges)]] == [EDGE]


class Deaf(Minutes):
    """Operators' measurements that cannot be reached."""

    reason = "no answer"

    def put_health(
        self,
        t_ms: int,
        points: Sequence[PointHealth],
        edges: Sequence[EdgeHealth],
        meters: Sequence[MeterHealth] = (),
        alarms: Sequence[AlarmPoint] = (),
    ) -> None:
        if self.reason:
            raise ViewUnavailable(self.reason)
        super().put_health(t_ms, points, edges, meters, alarms)


def test_health_that_cannot_be_written_keeps_nothing_else_waiting(
    world: World, view: SqliteReadingsView, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(module, "MAX_RETRY_S", 0.05)
    deaf = Deaf()
    feeding = world.feeding(view, Health(deaf, roster_of(EDGE)))
    feeding.told(SLOT)
    eventually(lambda: feeding.trouble == "no answer")
    for k in range(1, 6):
        feeding.told(SLOT + k * MINUTE_MS)
        world.sample(1)
        feeding.grew({FIRST})
        eventually(world.level)
    deaf.reason = ""
    eventually(lambda: SLOT + 5 * MINUTE_MS in deaf.points)
    # Every minute says what was known at its time: what was stored since would make it look better than it was.
    assert sorted(deaf.points) == [SLOT + k * MINUTE_MS for k in range(6)]
    assert [deaf.edges[SLOT + k * MINUTE_MS][0].leaves for k in range(6)] == sorted(
        deaf.edges[SLOT + k * MINUTE_MS][0].leaves for k in range(6)
    )
    assert deaf.edges[SLOT][0].leaves < deaf.edges[SLOT + 5 * MINUTE_MS][0].leaves
    assert feeding.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_old_days_are_closed_at_a_slow_rhythm(
    world: World, view: SqliteReadingsView, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(view, "close_days", closed.append)
    feeding = world.feeding(view)
    eventually(world.level)
    for hour in range(13):
        feeding.told(SLOT + hour * 3_600_000)
        eventually(lambda told=hour: len(closed) == told // 6 + 1)  # type: ignore[misc]
    assert closed == [SLOT + hours * 3_600_000 - 48 * 3_600_000 for hours in (0, 6, 12)]


def test_waiting_grows_to_a_limit_and_does_as_it_is_asked() -> None:
    outage = Outage("it")
    waits = []
    for _ in range(10):
        outage.failed(ViewUnavailable("away"), 100.0)
        waits.append(outage.wait_s(100.0))
    assert waits[:3] == [FIRST_RETRY_S, 2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S]
    assert waits[-1] == MAX_RETRY_S
    outage.failed(ViewUnavailable("away", 7.5), 100.0)
    assert outage.wait_s(101.5) == 6.0
    outage.failed(ViewUnavailable("away", 10.0**9), 100.0)
    assert outage.wait_s(100.0) == MAX_ASKED_RETRY_S
    assert outage.worked()
    assert not outage.worked()
    assert outage.wait_s(0.0) == 0.0
