"""InfluxDB away, full, or closed to us while it is fed from a real evidence log: nothing is dropped, all comes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view import ReadingsView
from hakari.store.view_influx import InfluxReadingsView
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from ingest.run import FeedingThread
from ingest.view.feed import Feeder
from tests.system.forge import eventually
from tests.system.influx import TOKEN, InfluxServer
from tests.unit.ingest_world import EDGE, FIRST, SLOT, STEP_MS, Plant, configuration

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

FOREVER = (-(2**62), 2**62)
BUCKET = "faults"
BACK_LIMIT_S = 120.0
FOUND_LIMIT_S = 300.0
DISK_BYTES = 40 * 1024 * 1024
METERS = tuple(f"m{k}" for k in range(20))


class World:
    """An evidence log that grows, and a bucket that is fed from it."""

    def __init__(self, folder: Path, server: InfluxServer) -> None:
        self.folder = folder
        self.server = server
        self.evidence = SqliteEvidenceLog(folder / "evidence.db")
        self.plant = Plant(self.evidence)
        self.cfg = self.plant.configure(FIRST, configuration(EDGE, meters=METERS))
        server.make_bucket(BUCKET)
        self.feeding: FeedingThread | None = None

    def view(self, token: str = TOKEN) -> InfluxReadingsView:
        return InfluxReadingsView(self.server.settings(BUCKET, self.folder), token)

    def feed(self, token: str = TOKEN) -> FeedingThread:
        self.feeding = FeedingThread(
            lambda: closing(SqliteEvidenceLog(self.folder / "evidence.db", read_only=True)), self.view(token)
        )
        self.feeding.start()
        return self.feeding

    def sample(self, count: int) -> None:
        for _ in range(count):
            slot_ms = SLOT + self.evidence.head(FIRST).size * STEP_MS
            self.plant.read(FIRST, self.cfg, slot_ms, dict.fromkeys(METERS, self.plant.counter))

    def level(self) -> bool:
        with closing(self.view()) as view:
            return view.cursor(EDGE, FIRST.epoch) == self.evidence.head(FIRST).size

    def assert_whole(self) -> None:
        """The bucket holds, row for row, what an embedded view of the same evidence does."""
        with closing(self.view()) as view, closing(SqliteReadingsView(":memory:")) as embedded:
            assert Feeder(self.evidence, embedded).catch_up().done
            assert everything(view) == everything(embedded)

    def close(self) -> None:
        if self.feeding is not None:
            self.feeding.stop()
        self.evidence.close()


def everything(view: ReadingsView) -> list[Row]:
    return [row for point in view.points() for row in view.read(point, *FOREVER)]


@contextmanager
def world(program: Path, data: Path, folder: Path) -> Iterator[World]:
    with InfluxServer(program, data) as server:
        made = World(folder, server)
        try:
            yield made
        finally:
            made.close()


def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("influxd", "ingest"):
        (tmp_path / name).mkdir()
    return tmp_path / "influxd", tmp_path / "ingest"


def test_fault_26_influxdb_is_down_while_leaves_go_on_and_the_view_catches_up(
    influxd_program: Path, tmp_path: Path
) -> None:
    with world(influxd_program, *folders(tmp_path)) as plant:
        feeding = plant.feed()
        plant.sample(50)
        eventually("the view is level", plant.level, BACK_LIMIT_S)
        plant.server.kill()
        plant.sample(96)
        feeding.grew([FIRST])
        eventually("the outage is told", lambda: "gives no answer" in feeding.trouble, BACK_LIMIT_S)
        assert plant.evidence.head(FIRST).size > 140
        plant.server.start()
        eventually("the view is level", plant.level, BACK_LIMIT_S)
        eventually("and says so", lambda: feeding.trouble == "", BACK_LIMIT_S)
        feeding.check()
        plant.assert_whole()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; skips where this user may not make one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(filler: Path) -> None:
    """Takes all that is free on the file system of `filler`."""
    file = os.open(filler, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, bytes(4096))
    os.close(file)


def test_fault_27_a_full_disk_of_influxdb_is_found_and_the_view_is_whole_after_it(
    influxd_program: Path, tmp_path: Path, small_disk: Path
) -> None:
    folder = tmp_path / "ingest"
    folder.mkdir()
    with world(influxd_program, small_disk, folder) as plant:
        feeding = plant.feed()
        plant.sample(20)
        eventually("the view is level", plant.level, BACK_LIMIT_S)
        filler = small_disk / "filler"
        fill(filler)
        assert shutil.disk_usage(small_disk).free == 0
        plant.sample(200)
        feeding.grew([FIRST])
        eventually("the full disk is told", lambda: bool(feeding.trouble), FOUND_LIMIT_S)
        assert not plant.level()
        filler.unlink()
        plant.server.kill()
        plant.server.start()
        eventually("the view is level", plant.level, FOUND_LIMIT_S)
        feeding.check()
        plant.assert_whole()


def test_a_revoked_token_pauses_the_view_and_a_new_one_goes_on(influxd_program: Path, tmp_path: Path) -> None:
    with world(influxd_program, *folders(tmp_path)) as plant:
        bucket_id = str(plant.server.ask("GET", f"/api/v2/buckets?org=hakari&name={BUCKET}")["buckets"][0]["id"])
        token = plant.server.make_token(("read", "buckets"), ("write", "buckets"), bucket_id=bucket_id)
        feeding = plant.feed(token)
        plant.sample(10)
        eventually("the view is level", plant.level, BACK_LIMIT_S)
        for known in plant.server.ask("GET", "/api/v2/authorizations")["authorizations"]:
            if known["token"] == token:
                plant.server.ask("PATCH", f"/api/v2/authorizations/{known['id']}", {"status": "inactive"})
        plant.sample(10)
        feeding.grew([FIRST])
        eventually("the refusal is told", lambda: "401" in feeding.trouble, BACK_LIMIT_S)
        assert "nothing was dropped" in feeding.trouble
        assert feeding.stop()
        plant.feed()
        eventually("the view is level", plant.level, BACK_LIMIT_S)
        plant.assert_whole()
