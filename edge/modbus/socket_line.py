"""Sockets: one attempt to connect, and a TCP connection to a transparent serial server as a line of bytes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from errno import ECONNREFUSED
from typing import cast

from edge.modbus.bus import CONNECTION, TIMEOUT
from edge.settings import BusTable

MAX_HOST_CHARS = 60


async def dial(factory: Callable[[], asyncio.Protocol], place: BusTable) -> str:
    """Connects to `place` within its timeout; "", "connection: …" (refused) or "connection timeout" (silent)."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(place.timeout_s):
            await loop.create_connection(factory, place.host, place.port)
    except TimeoutError:
        return f"{CONNECTION} {TIMEOUT}"
    except OSError as error:
        return refused(place, error)
    return ""


def refused(place: BusTable, error: OSError) -> str:
    """Why a line cannot be opened. It begins with "connection:", which blames no single meter."""
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such host"
    advice = "nothing listens there, or the device takes one client and has one"
    where = f"{place.host[:MAX_HOST_CHARS]}:{place.port}"
    return f"{CONNECTION}: {where} cannot be opened ({reason}); {advice if error.errno == ECONNREFUSED else 'see why'}"


def without_delay(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """`transport`, sending each request at once."""
    held = transport.get_extra_info("socket")
    if held is not None:
        held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return cast(asyncio.Transport, transport)


class SocketLine:
    """A connection to a serial server that passes RTU frames through as they are.

    It ends with each timeout: what the server still holds for it cannot come to the next one.
    """

    protocol = "modbus-rtu-tcp"
    closes_on_timeout = True

    def __init__(self, place: BusTable) -> None:
        self._place = place
        self._stream: _Stream | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return self._stream is not None and self._stream.transport is not None

    async def open(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> str:
        """Connects; "" or "connection…", why not."""
        self.close()
        stream = _Stream(received, lost)
        error = await dial(lambda: stream, self._place)
        if not error:
            self._stream = stream
        return error

    def write(self, frame: bytes) -> bool:
        """Sends; False when the connection is gone."""
        if self._stream is None or self._stream.transport is None:
            return False
        self._stream.transport.write(frame)
        return True

    def close(self) -> None:
        """Ends the connection; nothing that still arrives is looked at."""
        if self._stream is not None:
            self._stream.end()
        self._stream = None


class _Stream(asyncio.Protocol):
    def __init__(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._ended = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = without_delay(transport)

    def data_received(self, data: bytes) -> None:
        if not self._ended:
            self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        self.transport = None
        if not self._ended:
            self._lost()

    def end(self) -> None:
        self._ended = True
        if self.transport is not None:
            self.transport.abort()
        self.transport = None
