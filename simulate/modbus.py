"""Modbus TCP servers: every meter of a plant behind one address, its registers as they are at the plant's time.

pymodbus listens, frames and decodes. Its own store is not used: it keeps flat registers and can neither stay silent
nor answer later, and a store that awaits answers with the transaction of whatever request came meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from hakari.errors import NotReachable
from simulate.faults import Fault, disturbed, manner_of
from simulate.meters import READ_HOLDING, READ_INPUT
from simulate.plant import Meter, Plant
from simulate.schedule import NO_FAULTS, Faults
from simulate.words import Words

RESPONSES = {READ_HOLDING: ReadHoldingRegistersResponse, READ_INPUT: ReadInputRegistersResponse}

TimeMs = Callable[[], int]


class PortTaken(NotReachable):
    """A plant's address cannot be listened on."""


class PlantServer:
    """Serves one plant; `time_ms` tells the plant's time at each request, `faults` what goes wrong when.

    An address that the meter has not, and a request across such a hole, is answered by exception 2; any
    function but the meter's own by exception 1; a unit that nobody has by exception 11, as a gateway does.
    A unit that is silent, slow or late holds up no other, not even on its own connection.
    """

    def __init__(self, plant: Plant, time_ms: TimeMs, faults: Faults = NO_FAULTS) -> None:
        """Nothing listens before `start`."""
        logging.getLogger("pymodbus_internal").setLevel(logging.CRITICAL)
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._plant = plant
        self._units = {meter.unit: _Unit(meter, faults.of(plant, meter), time_ms) for meter in plant.meters}
        self._server: ModbusTcpServer | None = None
        self.port = plant.port

    def prepare(self) -> None:
        """Counts every meter up to now, which may take seconds: afterwards no first request holds up the others."""
        for unit in self._units.values():
            unit.prepare()

    async def start(self) -> None:
        """Listens; `port` is then the port in use. PortTaken when it is not free."""
        server = _Server(self._units, (self._plant.host, self._plant.port))
        if not await server.listen():
            raise PortTaken(
                f"plant {self._plant.name} cannot listen on {self._plant.host}:{self._plant.port};"
                " free the port or give another one in its file"
            )
        self._server = server
        self.port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the listener and every connection; what was still to be answered is not."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None


class _Unit:
    """One meter on the wire: its words are computed once for each time that the plant shows."""

    def __init__(self, meter: Meter, faults: Sequence[Fault], time_ms: TimeMs) -> None:
        self._meter = meter
        self._faults = faults
        self._time_ms = time_ms
        self._filled_ms: int | None = None
        self._values: dict[int, Words] = {}

    def answer(self, function: int, address: int, count: int) -> tuple[Words | ExcCodes | int, float] | None:
        """The words or the exception, and how many seconds later it is sent; None for silence."""
        t_ms = self._time_ms()
        manner = manner_of(self._faults, t_ms)
        if manner.silent:
            return None
        if function not in self._meter.model.functions:
            return ExcCodes.ILLEGAL_FUNCTION, manner.delay_s
        if manner.exception:
            return manner.exception, manner.delay_s
        if function != self._meter.model.function(address):
            return ExcCodes.ILLEGAL_ADDRESS, manner.delay_s
        if any(address < hole.stop and hole.start < address + count for hole in manner.holes):
            return ExcCodes.ILLEGAL_ADDRESS, manner.delay_s
        return self._words(t_ms, address, count), manner.delay_s

    def prepare(self) -> None:
        """Computes the registers of now, as the first request would."""
        self._fill(self._time_ms())

    def _words(self, t_ms: int, address: int, count: int) -> Words | ExcCodes:
        self._fill(t_ms)
        if self._meter.model.overlap:
            words = self._values.get(address, ())
            return words[:count] if len(words) >= count else ExcCodes.ILLEGAL_ADDRESS
        try:
            return tuple(self._values[at][0] for at in range(address, address + count))
        except KeyError:
            return ExcCodes.ILLEGAL_ADDRESS

    def _fill(self, t_ms: int) -> None:
        if t_ms != self._filled_ms:
            self._values = self._filled(t_ms)
            self._filled_ms = t_ms

    def _filled(self, t_ms: int) -> dict[int, Words]:
        """Whole values by address where they overlap, else each word by its own."""
        registers = self._meter.model.registers(disturbed(self._meter, self._faults, t_ms))
        if self._meter.model.overlap:
            return registers
        return {start + k: (word,) for start, words in registers.items() for k, word in enumerate(words)}


class _Server(ModbusTcpServer):
    """pymodbus's server with `_Handler` for each connection."""

    def __init__(self, units: Mapping[int, _Unit], address: tuple[str, int]) -> None:
        unused = SimDevice(0, simdata=[SimData(0, datatype=DataType.REGISTERS)])
        super().__init__(unused, address=address)
        self.units = units

    def callback_new_connection(self) -> _Handler:
        return _Handler(self)


class _Handler(ServerRequestHandler):
    """One connection: each request is answered at once, later or never, whatever the ones before it wait for."""

    def __init__(self, server: _Server) -> None:
        super().__init__(server, None, None, None)  # type: ignore[no-untyped-call]
        self._units = server.units

    def handle_later(self) -> None:
        """Called by pymodbus with each whole request in `last_pdu`."""
        request = self.last_pdu
        if request is None:
            return
        unit = self._units.get(request.dev_id)
        told = (ExcCodes.GATEWAY_NO_RESPONSE, 0.0) if unit is None else unit.answer(*_asked(request))
        if told is None:
            return
        answer, delay_s = told
        response = _response(request, answer)
        if delay_s:
            self.loop.call_later(delay_s, self._send_if_open, response)
        else:
            self._send_if_open(response)

    def _send_if_open(self, response: ModbusPDU) -> None:
        if self.transport is not None:
            self.pdu_send(response)


def _asked(request: ModbusPDU) -> tuple[int, int, int]:
    return request.function_code, request.address, request.count


def _response(request: ModbusPDU, answer: Words | ExcCodes | int) -> ModbusPDU:
    response: ModbusPDU
    if isinstance(answer, tuple):
        response = RESPONSES[request.function_code](registers=list(answer))
    else:
        response = ExceptionResponse(request.function_code, answer)
    response.transaction_id, response.dev_id = request.transaction_id, request.dev_id
    return response
