"""What the ingest benchmarks feed: leaves of twenty meters with fifteen values each, and the same readings as lines.

Nothing here is measured. The leaves are made by the edge's own code; values move in every reading.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.log import EdgeLog
from edge.spool import Spool
from hakari.clock import PlantTime
from hakari.registers.profile import Point, Profile
from hakari.registers.requests import ReadRequest
from hakari.wire.configuration import Meter, MeteringConfiguration, text_of
from hakari.wire.envelope import seal
from hakari.wire.leaf import Block, Sample

METERS, VALUES, SAMPLES_A_LEAF = 20, 15, 7
READINGS_A_LEAF = METERS * VALUES * SAMPLES_A_LEAF
INTERVAL_MS = 1000
EDGE_ID = "bench-e1"
START_MS = 1_467_356_400_000
FIRST_LEAVES = 2  # start and configuration


def configuration() -> MeteringConfiguration:
    """Twenty meters of one profile of fifteen single floats."""
    points = [
        Point(name=f"v{k}", address=2 * k, type="f32", kind="gauge", unit="V", word_order="high_first")
        for k in range(VALUES)
    ]
    profile = Profile(
        id="fifteen", maker="bench", model="fifteen floats", source="bench", standing="one-source", points=points
    )
    meters = [
        Meter(id=f"m{unit}", bus="bus1", unit=unit, serial=f"m{unit}-1", profile=profile)
        for unit in range(1, METERS + 1)
    ]
    return MeteringConfiguration(v=1, edge=EDGE_ID, interval_ms=INTERVAL_MS, max_lag_ms=60_000, meters=meters)


def value(meter: int, k: int, slot: int) -> float:
    """The value of a point at a slot, as a single float holds it."""
    exact = 230 + meter + 0.1 * k + (slot * 7919 + meter * 104_729 + k * 1_299_709) % 100_003 / 10_000
    return float(struct.unpack(">f", struct.pack(">f", exact))[0])


def sample(slot: int) -> Sample:
    """All meters at a slot."""
    t_ms = START_MS + slot * INTERVAL_MS
    blocks = [
        Block(
            meter=f"m{meter}",
            protocol="modbus-tcp",
            request=ReadRequest(meter, 3, 0, 2 * VALUES).encode().hex(),
            wall_ms=t_ms + 20 + meter,
            round_trip_us=1800 + (slot * meter) % 97,
            answer=(
                bytes((3, 4 * VALUES)) + struct.pack(f">{VALUES}f", *(value(meter, k, slot) for k in range(VALUES)))
            ).hex(),
        )
        for meter in range(1, METERS + 1)
    ]
    return Sample(slot_ms=t_ms, mono_ms=1 + slot * INTERVAL_MS, blocks=blocks)


def messages(leaves: int, key: Ed25519PrivateKey, namespace: str) -> list[bytes]:
    """The log of an edge as it goes over MQTT: start, configuration, and `leaves` of seven samples."""
    spool = Spool(":memory:")
    log = EdgeLog(spool, key, namespace, EDGE_ID, "00" * 8, "hakari bench")
    log.start(text_of(configuration()), PlantTime(START_MS, 1, "lockstep"))
    for slot in range(leaves * SAMPLES_A_LEAF):
        t_ms = START_MS + slot * INTERVAL_MS
        log.add_sample(sample(slot), PlantTime(t_ms + 100, 1 + slot * INTERVAL_MS, "lockstep"), SAMPLES_A_LEAF)
    (epoch,) = spool.epochs()
    found = [spool.leaf(epoch.epoch, i) for i in range(epoch.size)]
    spool.close()
    return [seal(leaf.checkpoint, leaf.deflated) for leaf in found if leaf is not None]


def lines(leaves: int) -> Iterator[bytes]:
    """The same readings as Telegraf sends them by itself: a line of fifteen values a message.

    Its mqtt output has the layout "non-batch" unless told otherwise, its modbus input gives these tags. The values are
    shorter than it would write them, since it makes doubles of single floats first: that is in its favour.
    """
    for slot in range(leaves * SAMPLES_A_LEAF):
        ns = (START_MS + slot * INTERVAL_MS) * 1_000_000
        for meter in range(1, METERS + 1):
            fields = ",".join(f"v{k}={value(meter, k, slot):.9g}" for k in range(VALUES))
            tags = f"host={EDGE_ID},name=m{meter},slave_id={meter},type=holding_register"
            yield f"modbus,{tags} {fields} {ns}\n".encode()


def line_batches(leaves: int) -> Iterator[bytes]:
    """The same lines, those of as many samples as a leaf has in one message: Telegraf's layout "batch"."""
    made = lines(leaves)
    while batch := list(islice(made, METERS * SAMPLES_A_LEAF)):
        yield b"".join(batch)
