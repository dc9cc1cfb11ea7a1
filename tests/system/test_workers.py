"""Ingest workers against a real Mosquitto: killed, doubled, added, removed, cut off, on a full disk: 0 lost."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hakari.alive import NotAlive, check
from hakari.errors import NOT_REACHABLE
from hakari.mqtt import BrokerSettings, Link
from ingest.receive.inbox import Inbox
from ingest.receive.shards import Shards
from tests.system.fleet import Bed, Fleet
from tests.system.forge import eventually
from tests.system.proxy import Proxy

pytestmark = pytest.mark.system

QUARTERS = {"w0": "00-3f", "w1": "40-7f", "w2": "80-bf", "w3": "c0-ff"}
KEEPALIVE_S = 5
EDGES = 24


@pytest.fixture
def bed(tmp_path: Path, mosquitto: Path) -> Iterator[Bed]:
    with Bed(tmp_path, mosquitto, EDGES) as made:
        yield made


def well(alive: Path) -> bool:
    """Whether `hakari ingest status` would say so."""
    try:
        return check(alive, 60.0, time.time()).trouble == ""
    except NotAlive:
        return False


def test_workers_are_killed_doubled_added_and_removed_under_load(bed: Bed) -> None:
    for name, shards in QUARTERS.items():
        bed.start(name, shards)
    with Fleet(bed.roster, EDGES, bed.port) as fleet:

        def load(seconds: float) -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                fleet.sample_all()
                fleet.run(0.1)

        load(1.5)
        bed.processes.kill("w1")
        bed.start("w1", QUARTERS["w1"])
        bed.start("double", QUARTERS["w2"])
        load(2.0)
        bed.processes.stop("w3")
        bed.start("w4", "c0-df,ff")
        bed.start("w5", "e0-fe")
        load(1.0)
        bed.processes.stop("double")
        fleet.settle()
    bed.assert_sound(fleet)
    for name in ("w0", "w1", "w2", "w4", "w5"):
        eventually(f"{name} is well", partial(well, bed.folder / f"{name}.alive"))
        assert bed.processes.stop(name) == 0
        assert bed.counts(name)["lost_swap"] == 0
        assert bed.counts(name)["quarantined"] == 0
        assert bed.counts(name)["appended"] > 0
    assert "64 sessions, one a shard" in bed.log("w0")


def test_two_workers_of_the_same_shards_do_not_fight_for_ever(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """Each time one is thrown out it waits longer, and says who may have thrown it out."""
    caplog.set_level(logging.WARNING, "hakari.ingest")
    settings = BrokerSettings(host="127.0.0.1", port=bed.port)
    inboxes = [Inbox(settings, bed.folder, Shards("00")) for _ in range(2)]
    for inbox in inboxes:
        inbox.start()
    eventually("it is said", lambda: "another client may use the id ingest-00" in caplog.text, 20.0)
    (first, second) = (inbox._sessions[0] for inbox in inboxes)
    assert max(first._delay_s, second._delay_s) >= 8.0
    inboxes[0].stop()
    eventually("the other has the shard", lambda: second.standing.link == Link.CONNECTED, 20.0)
    inboxes[1].stop()


def test_fault_18_the_broker_is_killed_again_and_again(bed: Bed) -> None:
    bed.start("ingest")
    with Fleet(bed.roster, EDGES, bed.port) as fleet:
        for _ in range(3):
            fleet.sample_all(10)
            fleet.run(0.4)
            bed.processes.kill("broker")
            bed.start_broker()
        fleet.settle()
    bed.assert_sound(fleet)


def test_fault_19_a_queue_limit_of_ten_loses_nothing_and_is_said(tmp_path: Path, mosquitto: Path) -> None:
    with Bed(tmp_path, mosquitto, 4, "max_queued_messages 10\nmax_inflight_messages 2") as bed:
        bed.start("ingest")
        with Fleet(bed.roster, 4, bed.port) as fleet:
            fleet.settle()
            fleet.sample_all(60)
            fleet.settle()
        bed.assert_sound(fleet)
        assert fleet.sends > 4 * 62, "nothing was dropped: it proves nothing"
        assert "look at the broker's queue limits" in bed.log("ingest")


def test_fault_20_every_message_comes_three_times(bed: Bed) -> None:
    bed.start("ingest")
    with Fleet(bed.roster, 4, bed.port, copies=3) as fleet:
        fleet.sample_all(50)
        fleet.settle()
    bed.assert_sound(fleet)
    assert bed.processes.stop("ingest") == 0
    assert bed.counts("ingest")["duplicate"] >= 2 * 4 * 50
    assert bed.counts("ingest")["appended"] == 4 * 52


def test_fault_21_reordered_across_a_reconnection(bed: Bed) -> None:
    bed.start("ingest")
    with Fleet(bed.roster, 4, bed.port, backwards=True) as fleet:
        fleet.sample_all(40)
        fleet.run(0.5)
        bed.processes.kill("broker")
        bed.start_broker()
        assert fleet.settle() <= 60.0
    bed.assert_sound(fleet)
    assert bed.processes.stop("ingest") == 0
    assert bed.counts("ingest")["pending"] > 0


def test_fault_22_a_half_open_connection_is_noticed(bed: Bed) -> None:
    with Proxy(bed.port) as proxy:
        inbox = Inbox(
            BrokerSettings(host="127.0.0.1", port=proxy.port, keepalive_s=KEEPALIVE_S), bed.folder, Shards("00-0f")
        )
        inbox.start()
        assert inbox.subscribed(10.0)
        proxy.swallow()
        began_s = time.monotonic()
        eventually("it is noticed", lambda: inbox.refusal.startswith("16 of 16"), 1.5 * KEEPALIVE_S + 1.0)
        assert time.monotonic() - began_s <= 1.5 * KEEPALIVE_S
        proxy.pass_on()
        eventually("it is connected again", lambda: inbox.connected)
        inbox.check()
        inbox.stop()


@pytest.mark.parametrize("point", ["ingest.committed", "ingest.acknowledged"])
def test_fault_24_killed_between_the_commit_and_the_acknowledgement(bed: Bed, point: str) -> None:
    with Fleet(bed.roster, 4, bed.port) as fleet:
        fleet.sample_all(30)
        for count in (1, 2, 3):
            bed.start("ingest", crash=f"{point}:{count}")
            fleet.sample_all(5)
            killed = bed.processes._children["ingest"].process
            while killed.poll() is None:
                fleet.run(0.02)
            assert killed.returncode == -signal.SIGKILL
        bed.start("ingest")
        fleet.settle()
    bed.assert_sound(fleet)


def test_fault_25_the_disk_of_the_evidence_log_is_full(bed: Bed) -> None:
    disk = bed.folder / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with Fleet(bed.roster, EDGES, bed.port) as fleet:
            bed.start("ingest", evidence="small/evidence.db")
            process = bed.processes._children["ingest"].process
            while process.poll() is None:
                fleet.sample_all(5)
                fleet.run(0.1)
            assert process.returncode == NOT_REACHABLE
            assert "free space on this disk and start again" in bed.log("ingest")
            with bed.evidence("small/evidence.db") as evidence:
                held = {origin.edge_id: evidence.head(origin).size for origin in evidence.origins()}
            for edge in fleet.edges:  # nothing was acknowledged with a mark that is not on the disk
                (state,) = edge.spool.epochs()
                assert state.mark <= held.get(edge.edge_id, 0)
            assert sum(edge.unstored for edge in fleet.edges) > 0
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            bed.start("ingest", evidence="small/evidence.db")
            fleet.settle()
        assert bed.processes.stop("ingest") == 0
        bed.assert_sound(fleet, "small/evidence.db")
    finally:
        bed.processes.stop_all()
        subprocess.run(["umount", str(disk)], check=True)
