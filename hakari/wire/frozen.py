"""Meters that answer the same words over and over: their registers stand still, whatever the plant does. Pure.

A mains voltage or frequency never stands still to its last digit, so that a meter that shows one and repeats every
word for an hour is frozen. Of one that shows none (a steam meter whose plant is off) nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hakari.names import point_id
from hakari.wire.configuration import Meter
from hakari.wire.leaf import Block, Sample

FROZEN_MS = 3_600_000
FROZEN_SAMPLES = 4
LIVE_UNITS = frozenset({"V", "kV", "Hz"})


class Stretch(NamedTuple):
    """Neighbouring samples of one meter, from `since_ms` to `last_ms`, whose every answer is the same."""

    words: str
    since_ms: int
    last_ms: int
    samples: int

    @property
    def frozen(self) -> bool:
        """Whether it is long enough."""
        return self.samples >= FROZEN_SAMPLES and self.last_ms - self.since_ms >= FROZEN_MS


def follow(before: Stretch | None, t_ms: int, blocks: Sequence[Block]) -> Stretch | None:
    """The stretch that a meter's sample at `t_ms` continues or begins; None where an answer is missing."""
    parts = [(block.request, block.answer) for block in blocks if not block.error and block.answer]
    if len(parts) < len(blocks):
        return None
    words = " ".join(f"{request}:{answer}" for request, answer in parts)
    if before is None or before.words != words or t_ms <= before.last_ms:
        return Stretch(words, t_ms, t_ms, 1)
    return before._replace(last_ms=t_ms, samples=before.samples + 1)


def by_meter(sample: Sample) -> dict[str, list[Block]]:
    """The sample's blocks, those of one meter together."""
    found: dict[str, list[Block]] = {}
    for block in sample.blocks:
        found.setdefault(block.meter, []).append(block)
    return found


def live_points(edge_id: str, meter: Meter) -> Iterator[str]:
    """The meter's points that never stand still while there is mains."""
    for point in meter.profile.points:
        if point.kind == "gauge" and point.unit in LIVE_UNITS:
            yield point_id(edge_id, meter.id, point.name)
