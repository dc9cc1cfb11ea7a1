"""The register maps of real meters, written from their makers' tables and never from the edge's profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from simulate.meters import b23, iem3155, sunspec103, tva
from simulate.readout import Readout
from simulate.words import Words


class Model(NamedTuple):
    """One meter model: the quantities it measures, those it counts, and its registers as {first address: words}."""

    needs: tuple[str, ...]
    counters: tuple[str, ...]
    registers: Callable[[Readout], dict[int, Words]]


MODELS = {
    "sunspec-103": Model(sunspec103.NEEDS, sunspec103.COUNTERS, sunspec103.registers),
    "schneider-iem3155": Model(iem3155.NEEDS, iem3155.COUNTERS, iem3155.registers),
    "spirax-sarco-tva": Model(tva.NEEDS, tva.COUNTERS, tva.registers),
    "abb-b23": Model(b23.NEEDS, b23.COUNTERS, b23.registers),
}
