"""Samples that wait until the time is known: which may be cut into leaves now, and by how much they are re-dated.

Pure. A sample that was taken while the clock was "unsynchronised" is held. Once the time is known, those of this boot
of the machine are shifted by what the clock was wrong; the monotonic clock of an earlier boot is gone, so that its
samples go out as they are, in leaves that say "unsynchronised".
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import msgspec

from edge.spool import SpooledSample
from hakari.clock import UNSYNCHRONISED, PlantTime
from hakari.wire.leaf import Event, Sample

BOOT_DIGITS = 8


class Group(NamedTuple):
    """Samples of one boot and configuration, in order, each `shift_ms` too early; `sync` and `offset_ms` of a leaf."""

    boot: str
    cfg: str
    sync: str
    offset_ms: int
    shift_ms: int
    samples: list[SpooledSample]


def is_held(sample: SpooledSample, boot: str, now: PlantTime) -> bool:
    """Whether `sample` still waits for the time to become known in this boot of the machine."""
    return sample.sync == UNSYNCHRONISED == now.sync and _same_machine_boot(sample, boot)


def groups(waiting: Iterable[SpooledSample], boot: str, now: PlantTime) -> list[Group]:
    """What may be cut at `now`, parted so that each group fits into leaves of one state."""
    offset_ms = now.wall_ms - now.mono_ms

    def key(sample: SpooledSample) -> tuple[str, str, str, int]:
        redated = sample.sync == UNSYNCHRONISED and _same_machine_boot(sample, boot)
        shift_ms = offset_ms - sample.offset_ms if redated else 0
        return sample.boot, sample.cfg, now.sync if redated else sample.sync, shift_ms

    free = [sample for sample in waiting if not is_held(sample, boot, now)]
    return [
        Group(boot_, cfg, sync, now.offset_ms if sync == now.sync else 0, shift_ms, list(group))
        for (boot_, cfg, sync, shift_ms), group in groupby(free, key)
    ]


def redated(sample: Sample, shift_ms: int) -> Sample:
    """`sample` with its slot and the time of every block `shift_ms` later."""
    if not shift_ms:
        return sample
    blocks = [msgspec.structs.replace(one, wall_ms=max(0, one.wall_ms + shift_ms)) for one in sample.blocks]
    return msgspec.structs.replace(sample, slot_ms=max(0, sample.slot_ms + shift_ms), blocks=blocks)


def corrected(samples: list[Sample], shift_ms: int, wall_ms: int) -> Event:
    """That `samples` were held and are now dated by the known time."""
    first, last = samples[0].mono_ms, samples[-1].mono_ms
    told = {"shift_ms": shift_ms, "samples": len(samples), "first_mono_ms": first, "last_mono_ms": last}
    return Event("clock-corrected", wall_ms, {key: str(value) for key, value in told.items()})


def _same_machine_boot(sample: SpooledSample, boot: str) -> bool:
    return sample.boot[:BOOT_DIGITS] == boot[:BOOT_DIGITS]
