"""Bytes a reading on the wire, signature and raw words included, against the same readings as plain JSON.

The plain JSON is what a gateway commonly sends: one MQTT message a sample, `{"time": …, "values": {"meter/point":
number, …}}` without white space, numbers as short as they are exact enough for their type, uncompressed,
unsigned, without raw words, on the same topic.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from bench import material
from bench.result import Result
from hakari.registers.decode import decode_sample
from hakari.registers.reading import Reading
from hakari.wire.leaf import Sample

SAMPLES = 960
BATCHES = (1, 4, 24)
QOS1_BYTES = 2 + 2  # length of the topic, packet identifier (MQTT 3.1.1, 3.3)


def run() -> list[Result]:
    """A line for each number of samples in a leaf; start and configuration leaves are counted too."""
    readings = SAMPLES * material.points_a_sample()
    plain = sum(map(_publish_bytes, _plain(material.samples(SAMPLES)))) / readings
    results = []
    for batch in BATCHES:
        signed = sum(map(_publish_bytes, material.messages(SAMPLES, batch))) / readings
        name = f"wire, {batch} samples a leaf"
        results.append(Result(name, signed, "bytes/reading", "plain JSON a sample", plain, allowed=_allowed(batch)))
    return results


def _allowed(batch: int) -> float:
    """One sample a leaf pays a whole checkpoint and its own header; from four on raw and signed is the smaller."""
    return 2.0 if batch == 1 else 1.0


def _publish_bytes(payload: bytes) -> int:
    rest = QOS1_BYTES + len(material.TOPIC) + len(payload)
    length_bytes = 1 + sum(rest >= limit for limit in (128, 16_384, 2_097_152))
    return 1 + length_bytes + rest


def _plain(samples: Sequence[Sample]) -> list[bytes]:
    return [json.dumps(_values(sample), separators=(",", ":")).encode() for sample in samples]


def _values(sample: Sample) -> dict[str, object]:
    values: dict[str, object] = {}
    for meter in material.configuration().meters:
        blocks = [
            (bytes.fromhex(b.request), bytes.fromhex(b.answer), b.error) for b in sample.blocks if b.meter == meter.id
        ]
        for reading in (one for block in decode_sample(meter.profile, meter.id, blocks) for one in block):
            values[f"{meter.id}/{reading.point}"] = _number(reading)
    return {"time": datetime.fromtimestamp(sample.slot_ms / 1000, UTC).isoformat(), "values": values}


def _number(reading: Reading) -> float | None:
    """As a gateway prints it: seven digits of a 32-bit float, every digit of an integer register."""
    if reading.value is None:
        return None
    return float(f"{reading.value:.7g}") if reading.type == "f32" else float(reading.value)
