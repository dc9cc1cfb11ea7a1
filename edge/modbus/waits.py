"""What meters need between a connection, a request and the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from hakari.wire.configuration import Meter

NO_GAPS: Mapping[int, int] = MappingProxyType({})


class Waits(NamedTuple):
    """Milliseconds after connecting, and between an exchange with a unit and the next request to it."""

    connect_delay_ms: int = 0
    gap_ms_by_unit: Mapping[int, int] = NO_GAPS


NO_WAITS = Waits()


def waits_of(meters: Iterable[Meter]) -> Waits:
    """What the meters of one bus need together: the longest delay, each one's own gap."""
    held = list(meters)
    delay_ms = max((meter.profile.connect_delay_ms for meter in held), default=0)
    gaps = {meter.unit: meter.profile.request_gap_ms for meter in held if meter.profile.request_gap_ms}
    return Waits(delay_ms, gaps)


class Pace:
    """When each unit may be asked again, by the running loop's time."""

    def __init__(self, waits: Waits) -> None:
        self._gaps_s = {unit: gap_ms / 1000 for unit, gap_ms in waits.gap_ms_by_unit.items() if gap_ms}
        self._free_s: dict[int, float] = {}

    def free_s(self, unit: int) -> float:
        """From when on `unit` may be asked; 0 for at any time."""
        return self._free_s.get(unit, 0.0)

    async def wait(self, unit: int) -> None:
        """Returns when `unit` may be asked."""
        wait_s = self.free_s(unit) - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def ended(self, unit: int) -> None:
        """An exchange with `unit` ended now."""
        gap_s = self._gaps_s.get(unit)
        if gap_s:
            self._free_s[unit] = asyncio.get_running_loop().time() + gap_s
