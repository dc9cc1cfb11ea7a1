"""No broker, a wrong password, a full disk, a second agent: said once and clearly, nothing committed is lost."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hakari.wire.leaf import Event, encode
from simulate.layout import argv, call, free_ports
from tests.system.chain import PLANTS, Chain, solar
from tests.system.forge import Forge, Sender, eventually, on_the_clock

pytestmark = pytest.mark.system

START, END = "2016-07-01T00:00:00-07:00", "2016-07-02T00:00:00-07:00"
DISK_BYTES = 3 * 1024 * 1024


def two_edges(folder: Path) -> Chain:
    """Two edges a second a sample, whose meters are switched off: what they log is that nobody answers."""
    plants = [solar(), ("boiler", (PLANTS / "boiler.toml").read_text())]
    return on_the_clock(Chain(folder, plants, START, END, step_s=1, batch_samples=1))


def status(chain: Chain, edge_id: str) -> dict[str, Any]:
    """What `hakari edge status` prints."""
    told: dict[str, Any] = call("edge", "status", chain.folder / f"{edge_id}.toml")
    return told


def said(chain: Chain, name: str, part: str) -> int:
    """How many lines of a process's log hold `part`."""
    log = chain.folder / "logs" / f"{name}.log"
    return sum(part in line for line in log.read_text().splitlines()) if log.exists() else 0


def links(chain: Chain, edge_id: str, word: str) -> Callable[[], bool]:
    """Whether the edge stands so with its broker."""
    return lambda: status(chain, edge_id)["link"] == word


def stored(chain: Chain, edge_id: str) -> Callable[[], bool]:
    """Whether every leaf of the edge is known as stored."""
    return lambda: status(chain, edge_id)["not_stored_leaves"] == 0


def signed(chain: Chain, edge_id: str) -> int:
    """How many leaves the edge has signed, and samples it has committed: some are held where no time is known."""
    told = status(chain, edge_id)
    return int(sum(epoch["size"] for epoch in told["epochs"]) + told["waiting_samples"])


def listening(chain: Chain) -> None:
    """Starts the broker and waits for it."""
    chain.start("broker")
    chain.processes.wait_listening("broker", "127.0.0.1", chain.layout.broker_port)


def ended(chain: Chain, name: str, code: int) -> str:
    """Waits for a process to end by itself with `code`; its one sentence."""
    child = chain.processes._children.pop(name)
    assert child.process.wait(60) == code, child.log.read_text()
    text = child.log.read_text()
    assert "Traceback" not in text
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def test_a_broker_that_comes_late_with_a_wrong_password_and_goes_away(tmp_path: Path) -> None:
    with two_edges(tmp_path) as chain:
        for name in ("ingest", "solar-e1", "boiler-e1"):
            chain.start(name)
        eventually("the spool is there", (tmp_path / "solar-e1.spool").exists)
        second = subprocess.run(
            argv("edge", "run", tmp_path / "solar-e1.toml"), capture_output=True, text=True, check=False, timeout=60
        )
        assert second.returncode == 6
        assert second.stderr.endswith("belongs to a running edge; stop that one first or give this one its own spool\n")
        eventually("no broker", links(chain, "solar-e1", "broker not reachable"))
        users = (tmp_path / "users").read_text()
        (tmp_path / "users").write_text(users.replace("solar-e1:", "solar-e2:"))
        listening(chain)
        eventually("refused", links(chain, "solar-e1", "refused by the broker (user, password or certificate)"))
        eventually("the other works", links(chain, "boiler-e1", "connected"))
        size = signed(chain, "solar-e1")
        eventually("it goes on sampling", lambda: signed(chain, "solar-e1") > size)
        (tmp_path / "users").write_text(users)
        chain.processes.kill("broker")
        listening(chain)
        eventually("everything is stored", stored(chain, "solar-e1"), 60.0)
        for name, word in (("solar-e1", "refuses user solar-e1"), ("ingest", "connected to broker")):
            assert said(chain, name, word) >= 1
        assert said(chain, "solar-e1", "refuses user solar-e1") == 1
        assert said(chain, "solar-e1", "Traceback") == 0
        chain.processes.kill("broker")
        eventually("gone", links(chain, "boiler-e1", "broker not reachable"))
        for edge_id in ("solar-e1", "boiler-e1"):
            chain.processes._children[edge_id].process.terminate()
        for edge_id in ("solar-e1", "boiler-e1"):
            assert chain.processes.stop(edge_id, limit_s=15.0) == 0
            assert status(chain, edge_id)["link"] == "stopped"
        listening(chain)
        for edge_id in ("solar-e1", "boiler-e1"):
            chain.start(edge_id)
        chain.processes.check()
        for edge_id in ("solar-e1", "boiler-e1"):
            eventually("stored after the restart", stored(chain, edge_id), 60.0)
        for edge_id in ("solar-e1", "boiler-e1"):
            assert chain.processes.stop(edge_id) == 0
        chain._settle()
        assert chain.processes.stop("ingest") == 0
        chain.assert_nothing_lost_or_doubled()


@pytest.fixture
def small_disks(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two mounted disks of a few megabytes."""
    with ExitStack() as stack:
        disks = []
        for name in ("evidence", "spool"):
            disk = tmp_path / name
            disk.mkdir()
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)],
                capture_output=True, text=True, check=False,
            ) if os.geteuid() == 0 else None  # fmt: skip
            if done is None or done.returncode:
                pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip() if done else 'not root'}")
            stack.callback(subprocess.run, ["umount", str(disk)], check=False)
            disks.append(disk)
        yield disks[0], disks[1]


def fill(disk: Path) -> Path:
    """Takes all space that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


def test_full_disks(tmp_path: Path, small_disks: tuple[Path, Path]) -> None:
    evidence, spool = small_disks
    with two_edges(tmp_path / "chain") as chain:
        for config, old, new in (
            (chain.layout.ingest_config, '"evidence.db"', f'"{evidence / "evidence.db"}"'),
            (chain.folder / "solar-e1.toml", '"solar-e1.spool"', f'"{spool / "spool"}"\nmin_free_mb = 0'),
        ):
            config.write_text(config.read_text().replace(old, new))
        listening(chain)
        for name in ("ingest", "solar-e1", "boiler-e1"):
            chain.start(name)
        eventually("solar runs", (spool / "spool").exists)
        eventually("boiler runs", (chain.folder / "boiler-e1.spool").exists)
        for edge_id in ("solar-e1", "boiler-e1"):
            eventually("it stores", stored(chain, edge_id))
        _fill_the_edge(chain, spool)
        _fill_ingest(chain, evidence)
        eventually("it has started", links(chain, "solar-e1", "connected"))
        for edge_id in ("solar-e1", "boiler-e1"):
            eventually("everything is stored", stored(chain, edge_id), 60.0)
            assert chain.processes.stop(edge_id) == 0
        shutil.copy(spool / "spool", chain.folder / "solar-e1.spool")
        chain.processes.check()
        assert chain.processes.stop("ingest") == 0
        shutil.copy(evidence / "evidence.db", chain.folder)
        for edge_id in ("solar-e1", "boiler-e1"):
            assert chain.stored(edge_id) == chain.committed(edge_id)


def _fill_the_edge(chain: Chain, disk: Path) -> None:
    ballast = fill(disk)
    sentence = ended(chain, "solar-e1", 4)
    assert f"the disk under spool {disk / 'spool'} failed: database or disk is full" in sentence
    leaves = signed(chain, "solar-e1")
    ballast.unlink()
    chain.start("solar-e1")
    eventually("it goes on", lambda: signed(chain, "solar-e1") > leaves)


def _fill_ingest(chain: Chain, disk: Path) -> None:
    """Leaves of our own fill it up; every mark that was heard holds after the end."""
    forge = Forge(chain.folder, "solar-e1", 5)
    noise = random.Random(7)
    sent = []
    for _ in range(150):
        texts = {f"k{k}": noise.randbytes(1000).hex()[:2000] for k in range(14)}
        sent.append(forge.next(encode(msgspec.structs.replace(forge.leaf(), events=[Event("noise", 1, texts)]))))
    assert chain.processes.stop("solar-e1") == 0
    with Sender(chain.layout, "solar-e1") as sender:
        for message in sent:
            sender.send(message)
        sentence = ended(chain, "ingest", 4)
        assert "evidence.db" in sentence
        assert "free space on this disk and start again" in sentence
        mark = sender.marks[5]
        assert 0 < mark < len(sent)
        left = status(chain, "boiler-e1")["not_stored_leaves"]
        subprocess.run(["mount", "-o", f"remount,size={20 * DISK_BYTES}", str(disk)], check=True)
        eventually("the edge keeps what is not stored", lambda: status(chain, "boiler-e1")["not_stored_leaves"] != left)
        chain.start("ingest")
        for size in range(mark, len(sent) + 1, 20):
            end = min(size + 20, len(sent))
            for message in sent[size:end]:
                sender.send(message)
            sender.settle(sent[end - 1], 5, end)
    chain.start("solar-e1")


def test_a_meter_that_falls_silent_is_said_once_in_the_edges_log(tmp_path: Path) -> None:
    with Chain(tmp_path, [solar()], "2016-07-01T00:00:00-07:00", "2016-07-01T06:00:00-07:00") as chain:
        config = chain.layout.edge_config(chain.layout.plants[0])
        text = config.read_text()
        gone = free_ports(1)[0]
        dead = text.replace("[[bus]]", f'[[bus]]\nid = "gone"\nhost = "127.0.0.1"\nport = {gone}\n\n[[bus]]', 1)
        config.write_text(dead.replace('id = "export"\nbus = "bus1"', 'id = "export"\nbus = "gone"'))
        chain.start_all(commissioned=False)
        chain.finish()
        log = (tmp_path / "logs" / "solar-e1.log").read_text()
    assert log.count("bus gone: connection") == 1
    assert "meter export answers" not in log
    assert "meter inverter" not in log
