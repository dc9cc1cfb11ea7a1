"""Meters that answer the same words over and over: their registers stand still, whatever the plant does. Pure.

A mains voltage or frequency never stands still to its last digit, so that a meter that shows one and repeats every
word for an hour is frozen. Of one that shows none (a steam meter whose plant is off) nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hakari.names import point_id
from hakari.wire.configuration import Meter
from hakari.wire.leaf import Block, Sample

FROZEN_MS = 3_600_000
FROZEN_SAMPLES = 4
LIVE_UNITS = frozenset({"V", "kV", "Hz"})


class Stretch(NamedTuple):
    """Samples of one meter, from `since_ms` to `last_ms`, in which no request has another answer than before.

    `answers` by request, both as bytes; `samples` are those that the meter answered.
    """

    answers: Mapping[bytes, bytes]
    since_ms: int
    last_ms: int
    samples: int

    @property
    def frozen(self) -> bool:
        """Whether it is long enough."""
        return self.samples >= FROZEN_SAMPLES and self.last_ms - self.since_ms >= FROZEN_MS


def follow(before: Stretch | None, t_ms: int, blocks: Sequence[Block]) -> Stretch | None:
    """The stretch that a meter's sample at `t_ms` continues or begins, None before the first answer.

    A missing answer neither ends nor lengthens it, nor does a slot that was sampled before; one other answer ends it.
    A request that is asked no more is forgotten: what another profile reads is nothing that stood still.
    """
    asked = {_bytes(block.request) for block in blocks}
    found = [(request, answer) for block in blocks if (request := _bytes(block.request)) and (answer := _answer(block))]
    if not found:
        return before
    known = {} if before is None else {key: answer for key, answer in before.answers.items() if key in asked}
    answers = {**dict(found), **known}
    if any(answers[request] != answer for request, answer in found):
        return Stretch(dict(found), t_ms, t_ms, 1)
    if before is None or not known:
        return Stretch(answers, t_ms, t_ms, 1)
    if t_ms <= before.last_ms or not any(request in known for request, _ in found):
        return before._replace(answers=answers)
    return Stretch(answers, before.since_ms, t_ms, before.samples + 1)


def _answer(block: Block) -> bytes:
    return b"" if block.error else _bytes(block.answer)


def _bytes(text: str) -> bytes:
    """What hexadecimal text says, nothing where it is not hexadecimal."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


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
