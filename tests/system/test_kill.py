"""kill -9 of edge, ingest and broker in the middle of a run: nothing committed is lost, nothing doubled."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.system.chain import Chain, Kills, mosquitto, solar

START = "2016-07-01T00:00:00-07:00"
END = "2016-07-21T00:00:00-07:00"  # long enough that the last kill falls into the run
KILLS_A_RUN = 50
KILLS = {"solar-e1": 1000}
POINTS = {
    "solar-e1": ("edge.committed", "edge.publishing"),
    "ingest": ("ingest.committed", "ingest.acknowledged"),
    "broker": (),
}
BROKERS = ["amqtt", pytest.param("mosquitto", marks=pytest.mark.skipif(not mosquitto(), reason="no Mosquitto here"))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """The export register of an undisturbed run over three days."""
    with Chain(tmp_path_factory.mktemp("calm"), [solar()], START, END) as chain:
        chain.start_all()
        chain.finish()
        chain.assert_nothing_lost_or_doubled()
        return _export(chain)


@pytest.mark.system
@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("victim", POINTS)
def test_fault_01_three_kills(tmp_path: Path, victim: str, broker: str, undisturbed: dict[int, str]) -> None:
    assert _campaign(tmp_path, victim, broker, kills=3, end=END, seed=1) == undisturbed


@pytest.mark.prove
@pytest.mark.system
@pytest.mark.timeout(0)
@pytest.mark.parametrize("victim", POINTS)
def test_fault_01_kills_at_length(tmp_path: Path, victim: str) -> None:
    kills = KILLS.get(victim, 200)
    broker = "mosquitto" if mosquitto() else "amqtt"
    end = "2016-10-13T00:00:00-07:00"
    with Chain(tmp_path / "calm", [solar()], START, end, broker=broker) as chain:
        chain.start_all()
        chain.finish()
        calm = _export(chain)
    campaign = Kills(POINTS[victim])
    for seed in range(kills // KILLS_A_RUN):  # a run's readings are all stored after some hundred kills
        folder = tmp_path / f"killed{seed}"
        assert _campaign(folder, victim, broker, kills=KILLS_A_RUN, end=end, seed=seed, campaign=campaign) == calm
    print(victim, "outside", campaign.outside, "between", campaign.between)  # noqa: T201 - the proof's record
    assert campaign.outside + campaign.between == kills
    if POINTS[victim]:
        assert campaign.between > 20, "hardly any kill fell between two steps for certain"


def _campaign(
    folder: Path, victim: str, broker: str, *, kills: int, end: str, seed: int, campaign: Kills | None = None
) -> dict[int, str]:
    chance = random.Random(seed)
    campaign = campaign or Kills(POINTS[victim])
    with Chain(folder, [solar()], START, end, broker=broker, batch_samples=1) as chain:
        chain.start_all()
        for _ in range(kills):
            chain.killed(victim, chance, campaign)
            if victim == "broker":
                chain.processes.wait_listening("broker", "127.0.0.1", chain.layout.broker_port)
        chain.processes.kill(victim)
        chain.start(victim)
        assert chain.alive("plants"), "the run ended before the last kill: it proves too little"
        chain.finish()
        chain.assert_nothing_lost_or_doubled()
        return _export(chain)


def _export(chain: Chain) -> dict[int, str]:
    found = chain.registers("solar-e1/export/energy_export")
    assert found, "without a GOOD reading nothing is compared"
    return found
