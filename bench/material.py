"""What the benchmarks feed: the demo's solar plant as samples, leaves and messages, made by the edge's own code.

Nothing here is measured. Answers are the registers of the simulated meters at the record's times.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge import library
from edge.log import EdgeLog
from edge.reads.plan import Plan, plan_of
from edge.spool import Spool, SpooledLeaf
from hakari.clock import PlantTime
from hakari.log.mark import Cosigner
from hakari.log.roster import EdgeKey, NamedKey, Roster
from hakari.names import batch_topic
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration, text_of
from hakari.wire.envelope import seal
from hakari.wire.leaf import Block, Sample
from simulate.plant import Plant, load_plant

NAMESPACE = "bench.example"
EDGE_ID = "solar-e1"
INTERVAL_MS = 900_000
DELAY_MS = 40
ROUND_TRIP_US = 1800
DATA = Path(str(resources.files("simulate"))) / "data"
PROFILES = ("sunspec-inverter-103", "schneider-iem3155")
TOPIC = batch_topic(EDGE_ID)


class Keys(NamedTuple):
    """An edge's key, ingest's, and the roster that names both."""

    edge: Ed25519PrivateKey
    cosigner: Cosigner
    roster: Roster


@lru_cache(maxsize=1)
def keys() -> Keys:
    """Fixed keys: the same bytes in every run."""
    edge = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    cosigner = Cosigner(f"{NAMESPACE}/ingest", Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32))
    public = base64.b64encode(edge.public_key().public_bytes_raw()).decode()
    roster = Roster(
        namespace=NAMESPACE,
        serial=1,
        edges=[EdgeKey(edge=EDGE_ID, key=public, from_epoch=0, from_size=0)],
        epochs=[],
        cosigners=[NamedKey(name=cosigner.name, key=str(cosigner.verifier))],
        statement_keys=[],
    )
    return Keys(edge, cosigner, roster)


@lru_cache(maxsize=1)
def configuration() -> MeteringConfiguration:
    """The inverter and the export meter with their bundled profiles, commissioned."""
    meters = [
        Meter(id=name, bus="bus1", unit=unit, serial=f"{name}-1", profile=library.profile(profile, DATA))
        for unit, (name, profile) in enumerate(zip(("inverter", "export"), PROFILES, strict=True), 1)
    ]
    told = MeteringConfiguration(v=1, edge=EDGE_ID, interval_ms=INTERVAL_MS, max_lag_ms=60_000, meters=meters)
    return commissioned(told)


def commissioned(told: MeteringConfiguration) -> MeteringConfiguration:
    """`told` as if every point had matched its meter's display."""
    meters = [
        msgspec.structs.replace(meter, commissioned=[point.name for point in meter.profile.points])
        for meter in told.meters
    ]
    return msgspec.structs.replace(told, meters=meters)


@lru_cache(maxsize=1)
def points_a_sample() -> int:
    """Readings that one sample gives."""
    return sum(p.kind in ("counter", "gauge") for meter in configuration().meters for p in meter.profile.points)


@lru_cache(maxsize=4)
def samples(count: int) -> Sequence[Sample]:
    """The first `count` quarter hours of the record."""
    plant, plan = load_plant(DATA / "solar.toml", {}), plan_of(configuration())
    start_ms = plant.source.span.start_ms
    return [sample_of(plant, plan, start_ms + k * INTERVAL_MS, k) for k in range(count)]


def sample_of(plant: Plant, plan: Plan, slot_ms: int, k: int) -> Sample:
    """What an edge would take from the plant's meters at `slot_ms`; `k` counts the samples."""
    blocks = []
    for meter in plan:
        served = next(one for one in plant.meters if one.unit == meter.meter.unit)
        registers = {a + k: word for a, words in served.registers(slot_ms).items() for k, word in enumerate(words)}
        for request in meter.requests:
            answer = _answer(request, registers)
            block = Block(
                meter=meter.meter.id,
                protocol="modbus-tcp",
                request=request.encode().hex(),
                wall_ms=slot_ms + DELAY_MS,
                round_trip_us=ROUND_TRIP_US + k % 7,
                answer=answer.hex(),
            )
            blocks.append(block)
    return Sample(slot_ms=slot_ms, mono_ms=1 + k * INTERVAL_MS, blocks=blocks)


def _answer(request: ReadRequest, registers: dict[int, int]) -> bytes:
    words = [registers[address] for address in range(request.address, request.address + request.count)]
    return bytes([request.function, 2 * request.count]) + b"".join(word.to_bytes(2, "big") for word in words)


@lru_cache(maxsize=4)
def leaves(count: int, batch_samples: int) -> Sequence[SpooledLeaf]:
    """The log of an edge over `count` samples: start, configuration, and a leaf every `batch_samples`."""
    spool = Spool(":memory:")
    log = EdgeLog(spool, keys().edge, NAMESPACE, EDGE_ID, "00" * 8, "hakari bench")
    taken = samples(count)
    log.start(text_of(configuration()), PlantTime(taken[0].slot_ms, 1, "lockstep"))
    for sample in taken:
        log.add_sample(sample, PlantTime(sample.slot_ms + DELAY_MS, sample.mono_ms, "lockstep"), batch_samples)
    (epoch,) = spool.epochs()
    found = [spool.leaf(epoch.epoch, i) for i in range(epoch.size)]
    spool.close()
    return [leaf for leaf in found if leaf is not None]


def messages(count: int, batch_samples: int) -> list[bytes]:
    """The same log as it goes over MQTT."""
    return [seal(leaf.checkpoint, leaf.deflated) for leaf in leaves(count, batch_samples)]
