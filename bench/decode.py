"""Decoding answers into exact readings, against `struct.unpack` of the same words, which checks and names nothing."""

from __future__ import annotations

import struct

from bench import material
from bench.meter import best
from bench.result import Result
from hakari.registers.decode import decode_block
from hakari.registers.profile import Profile

SAMPLES = 1000
ALLOWED = 0.05


def run() -> list[Result]:
    """Readings a CPU second: bit pattern, scale exponent, quality and checks of the answer, identity included."""
    profiles = {meter.id: meter.profile for meter in material.configuration().meters}
    blocks = [
        (profiles[block.meter], block.meter, bytes.fromhex(block.request), bytes.fromhex(block.answer))
        for sample in material.samples(SAMPLES)
        for block in sample.blocks
    ]
    layouts = [(struct.Struct(f">{len(answer) // 2 - 1}H"), answer) for *_, answer in blocks]
    readings = SAMPLES * material.points_a_sample()
    ours, bare = best(lambda: _decode(blocks)), best(lambda: [layout.unpack_from(a, 2) for layout, a in layouts])
    rates = readings / ours.cpu_s, readings / bare.cpu_s
    return [Result("decode", rates[0], "readings/CPU s", "struct.unpack", rates[1], "higher", ALLOWED)]


def _decode(blocks: list[tuple[Profile, str, bytes, bytes]]) -> int:
    return sum(len(decode_block(*block)) for block in blocks)
