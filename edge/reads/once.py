"""Reading a meter once, outside a running edge: what the commands for setting up share."""

from __future__ import annotations

from collections.abc import Iterable

from edge.modbus.bus import Bus, Exchange
from edge.modbus.buses import open_bus
from edge.modbus.waits import Waits
from edge.settings import BusTable
from hakari.clock import PlantClock
from hakari.registers.profile import Profile
from hakari.registers.requests import ReadRequest

NOT_TRIED = "not tried: "
GATEWAY_SILENT = ("exception 10 ", "exception 11 ")


def opened(place: BusTable, waits: Waits = Waits()) -> Bus:  # noqa: B008 - it is frozen
    """The bus at `place`, with what its meters need between requests; it connects when it is first read."""
    return open_bus(place, waits)


def waits_for(profile: Profile, unit: int) -> Waits:
    """What one meter with `profile` at `unit` needs between requests."""
    gaps = {unit: profile.request_gap_ms} if profile.request_gap_ms else {}
    return Waits(profile.connect_delay_ms, gaps)


def is_silent(exchange: Exchange) -> bool:
    """Whether an exchange brought no word from the meter itself."""
    return bool(exchange.error) and (not exchange.answer or exchange.error.startswith(GATEWAY_SILENT))


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
        silence = exchange.error if is_silent(exchange) else ""
        exchanges.append(exchange)
    return exchanges
