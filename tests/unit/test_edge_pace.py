"""A sample that takes longer than the interval: the edge says that slots are skipped, and at the end how many were."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from edge.bus import Exchange
from edge.run import Edge
from edge.sampler import next_slot, slots_within
from edge.settings import load_settings
from hakari.cli.root import main
from hakari.clock import PlantClock, PlantTime
from hakari.registers.requests import ReadRequest

SLOT_MS = 1_700_000_010_000
OWNER_NAME = "plant.example/owner"
SETTINGS = """
[edge]
namespace = "plant.example"
site = "sola"
name = "e1"
key_file = "edge.pem"
owner_key = "{owner}"
roster_file = "roster.note"
spool = "edge.spool"
interval_s = 10
[broker]
host = "127.0.0.1"
[[bus]]
id = "main"
host = "127.0.0.1"
[[meter]]
id = "heat"
bus = "main"
unit = 1
profile = "spirax-sarco-tva"
"""


class Hands:
    """A clock that stands still until a meter makes it wait; `step_ms` is what somebody turns it by meanwhile."""

    def __init__(self) -> None:
        self.wall_ms = SLOT_MS
        self.mono_ms = 5_000

    def now(self) -> PlantTime:
        return PlantTime(self.wall_ms, self.mono_ms, "test")

    def wait(self, took_ms: int, step_ms: int = 0) -> None:
        self.mono_ms += took_ms
        self.wall_ms += took_ms + step_ms


class SlowBus:
    """A meter each of whose requests takes `each_ms`, on a clock that may be turned at the first one."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.each_ms = 0
        self.step_ms = 0

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        self.hands.wait(self.each_ms, self.step_ms)
        self.step_ms = 0
        now = clock.now()
        answer = bytes((request.function, 2 * request.count)) + bytes(2 * request.count)
        return Exchange(request.encode(), answer, "", now.wall_ms, now.mono_ms, 1000 * self.each_ms)

    def close(self) -> None:
        """Nothing is open."""


def edge_in(folder: Path) -> Edge:
    for argv in (
        ["owner", "--out", "owner.pem", "--name", OWNER_NAME],
        ["edge", "--out", "edge.pem"],
        ["cosigner", "--out", "ingest.pem", "--name", "plant.example/ingest"],
    ):
        assert main(["keys", *(str(folder / one) if one.endswith(".pem") else one for one in argv)]) == 0
    assert main([
        "keys", "roster", "new", str(folder / "roster.note"), "--owner", str(folder / "owner.pem"),
        "--namespace", "plant.example", "--edge", f"sola-e1={folder / 'edge.pem.pub'}",
        "--cosigner", str(folder / "ingest.pem.pub"),
    ]) == 0  # fmt: skip
    config = folder / "edge.toml"
    config.write_text(SETTINGS.format(owner=(folder / "owner.pem.pub").read_text().strip()))
    return Edge(load_settings(config, {}), folder)


async def _take(folder: Path, samples: list[tuple[int, int]], *, stop: bool = False) -> None:
    """Follows the slots as `edge run` does, with these milliseconds (all requests, clock's step) for each sample."""
    edge, hands = edge_in(folder), Hands()
    bus = SlowBus(hands)
    edge.clock = hands
    edge.buses = {"main": bus}  # type: ignore[dict-item]
    edge.log.start(edge.text, hands.now())
    requests = len(edge.plan[0].requests)
    for total_ms, step_ms in samples:
        bus.each_ms, bus.step_ms = total_ms // requests, step_ms
        await edge.take(hands.wall_ms)
        hands.wait(next_slot(hands.wall_ms, 10_000) - hands.wall_ms)
    if stop:
        await edge.stop()
    edge.close()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "slot" in one.getMessage()]


def test_skipped_slots_are_told_once_and_counted_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hakari.edge"):
        asyncio.run(_take(tmp_path, [(4_000, 0), (12_000, 0), (36_000, 0), (4_000, 0), (4_000, 0)]))
    began = "a sample took 12.0 s, longer than the interval of 10 s: slots are skipped;"
    assert told(caplog) == [
        f"{began} see which meter answers slowly, or lengthen interval_s",
        "samples keep the interval of 10 s again; 4 slots were skipped",
    ]


def test_an_edge_that_stops_tells_what_it_had_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hakari.edge"):
        asyncio.run(_take(tmp_path, [(24_000, 0), (12_000, 0)], stop=True))
    assert told(caplog)[1:] == ["3 slots were skipped up to the end because samples took too long"]


def test_a_clock_that_is_turned_forward_is_no_slow_meter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hakari.edge"):
        asyncio.run(_take(tmp_path, [(4_000, 3_600_000), (4_000, 0)]))
    assert told(caplog) == []


@pytest.mark.parametrize(
    ("late_ms", "took_ms", "skipped"), [(0, 9999, 0), (1, 9999, 1), (0, 10_000, 1), (5, 30_001, 3)]
)
def test_slots_within(late_ms: int, took_ms: int, skipped: int) -> None:
    assert slots_within(SLOT_MS + late_ms, took_ms, 10_000) == skipped
    assert next_slot(SLOT_MS + late_ms + took_ms, 10_000) == SLOT_MS + (skipped + 1) * 10_000
