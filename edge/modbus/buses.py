"""The transports of the edge: which adapter a `[[bus]]` stands for. Names the adapters."""

from __future__ import annotations

from edge.modbus.bus import Bus
from edge.modbus.rtu import RtuBus
from edge.modbus.serial_line import SerialLine
from edge.modbus.socket_line import SocketLine
from edge.modbus.tcp import TcpBus
from edge.modbus.waits import NO_WAITS, Waits
from edge.settings import BusTable


def open_bus(place: BusTable, waits: Waits = NO_WAITS) -> Bus:
    """The bus at `place`. Nothing is connected before the first request; call it where a loop is running."""
    if place.kind == "rtu":
        return RtuBus(place, waits, SerialLine(place))
    if place.kind == "rtu-over-tcp":
        return RtuBus(place, waits, SocketLine(place))
    if place.adapter == "pymodbus":
        from edge.modbus.by_pymodbus import PymodbusBus  # noqa: PLC0415 - loaded where it was chosen

        return PymodbusBus(place, waits)
    return TcpBus(place, waits)
