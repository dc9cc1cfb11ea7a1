"""A serial device as a line of bytes, on the standard library's termios: raw, non-blocking, one owner.

Guaranteed: the device is opened only where nobody else holds it (flock and TIOCEXCL), with the baud rate, parity and
stop bits that were asked for; a device that vanished is told once and opened again when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import termios
from collections.abc import Callable

from edge.modbus.bus import CONNECTION
from edge.settings import BusTable

READ_BYTES = 4096
BAUD = {rate: getattr(termios, f"B{rate}") for rate in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}
PARITY = {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}
IN_USE = frozenset((errno.EBUSY, errno.EWOULDBLOCK, errno.EAGAIN))


class SerialLine:
    """One device, opened by `open` and after each loss again."""

    protocol = "modbus-rtu"
    closes_on_timeout = False

    def __init__(self, place: BusTable) -> None:
        self._place = place
        self._fd = -1
        self._received: Callable[[bytes], None] | None = None
        self._lost: Callable[[], None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the device is held."""
        return self._fd >= 0

    async def open(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> str:
        """Takes the device for this process; "" or a sentence that begins with "connection"."""
        self.close()
        try:
            fd = os.open(self._place.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return self._sentence(error)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.ioctl(fd, termios.TIOCEXCL)
            _set_up(fd, self._place)
        except (OSError, termios.error) as error:
            os.close(fd)
            return self._sentence(error)
        self._fd, self._received, self._lost = fd, received, lost
        asyncio.get_running_loop().add_reader(fd, self._on_readable)
        return ""

    def write(self, frame: bytes) -> bool:
        """Sends; a request always fits an empty output buffer, so that less is a failing line."""
        try:
            return os.write(self._fd, frame) == len(frame)
        except OSError:
            return False

    def close(self) -> None:
        """Lets go of the device."""
        if self._fd < 0:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended before the bus
            asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _on_readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data and self._received is not None:
            self._received(data)
        elif self._lost is not None:
            self._lost()

    def _sentence(self, error: OSError | termios.error) -> str:
        device, number = self._place.device, error.args[0]
        if number in IN_USE:
            return f"{CONNECTION}: {device} is in use by another program; a line has one owner, stop the other"
        if number in (errno.EACCES, errno.EPERM):
            return f"{CONNECTION}: {device} may not be opened; give this user the device's group"
        if number == errno.ENOTTY:
            return f"{CONNECTION}: {device} is no serial device; correct the bus's device"
        return f"{CONNECTION}: {device} cannot be opened ({os.strerror(number)})"


def _set_up(fd: int, place: BusTable) -> None:
    """Eight data bits, nothing translated, no flow control; a byte with wrong parity is read as 0."""
    speed = BAUD[place.baud_rate]
    checks = termios.INPCK if place.parity != "none" else 0
    stops = termios.CSTOPB if place.stop_bits == 2 else 0
    flags = termios.CS8 | termios.CREAD | termios.CLOCAL | PARITY[place.parity] | stops
    control = termios.tcgetattr(fd)[6]
    control[termios.VMIN], control[termios.VTIME] = 1, 0  # a non-blocking read of nothing then differs from a hang-up
    termios.tcsetattr(fd, termios.TCSANOW, [checks, 0, flags, 0, speed, speed, control])
    termios.tcflush(fd, termios.TCIOFLUSH)
