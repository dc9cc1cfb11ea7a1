"""Modbus TCP servers: every meter of a plant behind one address, its registers as they are at the plant's time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hakari.errors import NotReachable
from simulate.plant import Meter, Plant

READ_HOLDING = 3
ALL_ADDRESSES = 65536
ANY_OTHER_UNIT = 0

TimeMs = Callable[[], int]


class PortTaken(NotReachable):
    """A plant's address cannot be listened on."""


class PlantServer:
    """Serves one plant; `time_ms` tells the plant's time at each request.

    An address that the meter has not, and a request across such a hole, is answered by exception 2; any
    function but 3 by exception 1; a unit that nobody has by exception 11, as a gateway does.
    """

    def __init__(self, plant: Plant, time_ms: TimeMs) -> None:
        """Nothing listens before `start`."""
        logging.getLogger("pymodbus_internal").setLevel(logging.CRITICAL)
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._plant = plant
        self._time_ms = time_ms
        self._server: ModbusTcpServer | None = None
        self.port = plant.port

    async def start(self) -> None:
        """Listens; `port` is then the port in use. PortTaken when it is not free."""
        devices = [_device(meter, self._time_ms) for meter in self._plant.meters]
        server = ModbusTcpServer([*devices, _nobody()], address=(self._plant.host, self._plant.port))
        if not await server.listen():
            raise PortTaken(
                f"plant {self._plant.name} cannot listen on {self._plant.host}:{self._plant.port};"
                " free the port or give another one in its file"
            )
        self._server = server
        self.port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None


def _device(meter: Meter, time_ms: TimeMs) -> SimDevice:
    filled_ms = time_ms()

    async def action(
        function: int, first: int, _address: int, _count: int, held: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Computes the registers once for each time that the plant shows."""
        nonlocal filled_ms
        if function != READ_HOLDING or values is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        t_ms = time_ms()
        if t_ms != filled_ms:
            for start, words in meter.registers(t_ms).items():
                held[start - first : start - first + len(words)] = words
            filled_ms = t_ms
        return None

    blocks = [
        SimData(start, values=list(words), datatype=DataType.REGISTERS)
        for start, words in meter.registers(filled_ms).items()
    ]
    return SimDevice(meter.unit, simdata=blocks, action=action)


def _nobody() -> SimDevice:
    async def action(*_: object) -> ExcCodes | None:
        return ExcCodes.GATEWAY_NO_RESPONSE

    everything = SimData(0, count=ALL_ADDRESSES, values=0, datatype=DataType.REGISTERS)
    return SimDevice(ANY_OTHER_UNIT, simdata=[everything], action=action)
