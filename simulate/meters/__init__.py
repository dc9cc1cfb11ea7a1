"""The register maps of real meters, written from their makers' tables and never from the edge's profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from simulate.meters import b23, carrier23xrv, em340, iem3155, sunspec103, tva, umg96rme
from simulate.readout import Readout
from simulate.words import Words

READ_HOLDING, READ_INPUT = 3, 4
NO_INPUTS = 65536


class Model(NamedTuple):
    """One meter model: the quantities it measures, those it counts, and its registers as {first address: words}.

    `optional` quantities are measured where the source has them. Registers from `input_from` on are input registers
    (function code 4), those before it holding registers (3). `overlap` says that each address answers with a value
    of its own, so that entries may overlap and a read across two of them does not exist.
    """

    needs: tuple[str, ...]
    counters: tuple[str, ...]
    registers: Callable[[Readout], dict[int, Words]]
    optional: tuple[str, ...] = ()
    input_from: int = NO_INPUTS
    overlap: bool = False

    @property
    def functions(self) -> frozenset[int]:
        """The function codes that the meter knows."""
        return frozenset({self.function(0), self.function(NO_INPUTS - 1)})

    def function(self, address: int) -> int:
        """The function code that reads the register at `address`."""
        return READ_INPUT if address >= self.input_from else READ_HOLDING


MODELS = {
    "sunspec-103": Model(sunspec103.NEEDS, sunspec103.COUNTERS, sunspec103.registers),
    "schneider-iem3155": Model(iem3155.NEEDS, iem3155.COUNTERS, iem3155.registers),
    "spirax-sarco-tva": Model(tva.NEEDS, tva.COUNTERS, tva.registers),
    "abb-b23": Model(b23.NEEDS, b23.COUNTERS, b23.registers, b23.OPTIONAL),
    "carlo-gavazzi-em340": Model(
        em340.NEEDS, em340.COUNTERS, em340.registers, em340.OPTIONAL, input_from=em340.INPUT_FROM
    ),
    "carrier-23xrv": Model(
        carrier23xrv.NEEDS, (), carrier23xrv.registers, input_from=carrier23xrv.INPUT_FROM, overlap=True
    ),
    "janitza-umg-96rm-e": Model(umg96rme.NEEDS, umg96rme.COUNTERS, umg96rme.registers, umg96rme.OPTIONAL),
}
