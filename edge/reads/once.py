"""Reading a meter once, outside a running edge: what the commands for setting up share."""

from __future__ import annotations

from collections.abc import Iterable

from edge.modbus.bus import NOT_TRIED, Bus, Exchange, is_silent
from edge.modbus.waits import Waits
from hakari.clock import PlantClock
from hakari.registers.profile import Profile
from hakari.registers.requests import ReadRequest


def waits_for(profile: Profile, unit: int) -> Waits:
    """What one meter with `profile` at `unit` needs between requests."""
    gaps = {unit: profile.request_gap_ms} if profile.request_gap_ms else {}
    return Waits(profile.connect_delay_ms, gaps)


async def ask(bus: Bus, requests: Iterable[ReadRequest], clock: PlantClock) -> list[Exchange]:
    """One exchange a request, in order; after a silence the others are not tried and say so."""
    exchanges: list[Exchange] = []
    silence = ""
    for request in requests:
        if silence:
            now = clock.now()
            exchanges.append(Exchange(request.encode(), b"", NOT_TRIED + silence, now.wall_ms, now.mono_ms, 0))
            continue
        exchange = await bus.read(request, clock)
        silence = exchange.error if is_silent(exchange.error) else ""
        exchanges.append(exchange)
    return exchanges
