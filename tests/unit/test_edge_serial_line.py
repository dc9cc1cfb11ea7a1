"""A serial device: one owner, its speed and parity set, opened again when it is back."""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge.modbus.serial_line import SerialLine
from edge.settings import BusTable
from tests.conformance.bus_world import pseudo_terminal


def _place(device: Path) -> BusTable:
    return BusTable(id="b", kind="rtu", device=str(device))


def _ignore(_: bytes) -> None:
    return


def _nothing() -> None:
    return


async def _opened(device: Path, place: BusTable | None = None) -> tuple[SerialLine, str]:
    line = SerialLine(place or _place(device))
    return line, await line.open(_ignore, _nothing)


def test_second_owner_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    async def run() -> None:
        with pseudo_terminal(tmp_path / "line"):
            first, error = await _opened(tmp_path / "line")
            assert error == ""
            second, error = await _opened(tmp_path / "line")
            assert error.startswith(f"connection: {tmp_path / 'line'} is in use by another program; ")
            assert not second.is_open
            first.close()
            assert await second.open(_ignore, _nothing) == ""
            second.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"baud_rate": 19200, "parity": "even"}, termios.PARENB),
        ({"baud_rate": 9600, "parity": "odd"}, termios.PARENB | termios.PARODD),
        ({"baud_rate": 115200, "stop_bits": 2}, termios.CSTOPB),
        ({"baud_rate": 1200}, 0),
    ],
)
def test_speed_parity_and_stop_bits_are_set(tmp_path: Path, changed: dict[str, object], flags: int) -> None:
    place = msgspec.structs.replace(_place(tmp_path / "line"), **changed)

    async def run() -> None:
        with pseudo_terminal(tmp_path / "line"):
            line, error = await _opened(tmp_path / "line", place)
            assert error == ""
            held = os.open(tmp_path / "line", os.O_RDWR | os.O_NOCTTY) if os.geteuid() == 0 else line._fd
            _, output, control, local, speed_in, speed_out, _ = termios.tcgetattr(held)
            speed = getattr(termios, f"B{changed['baud_rate']}")
            mask = termios.PARENB | termios.PARODD | termios.CSTOPB
            # A pseudo-terminal has no parity of its own and may drop those bits; what is left must be asked for.
            assert control & mask & ~flags == 0
            assert (output, local, speed_in, speed_out) == (0, 0, speed, speed)
            line.close()

    asyncio.run(run())


def _regular(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_regular, "is no serial device; correct the bus's device"),
        (lambda _: None, "cannot be opened (No such file or directory)"),
        (lambda path: path.mkdir(), "cannot be opened (Is a directory)"),
    ],
)
def test_what_is_no_device_is_told(tmp_path: Path, make: Callable[[Path], None], told: str) -> None:
    make(tmp_path / "line")
    _, error = asyncio.run(_opened(tmp_path / "line"))
    assert error == f"connection: {tmp_path / 'line'} {told}"


def test_device_that_vanished_is_told_once_and_opened_again_when_it_is_back(tmp_path: Path) -> None:
    async def run() -> None:
        got, lost = asyncio.Queue[bytes](), asyncio.Event()
        line = SerialLine(_place(tmp_path / "line"))

        def gone() -> None:
            line.close()
            lost.set()

        for round_trip in range(2):
            with pseudo_terminal(tmp_path / "line") as other_end:
                assert await line.open(got.put_nowait, gone) == ""
                os.write(other_end, b"hello")
                assert await got.get() == b"hello"
                assert line.write(bytes((round_trip, 10, 13, 17, 19, 255)))
                assert os.read(other_end, 100) == bytes((round_trip, 10, 13, 17, 19, 255))
            await lost.wait()
            lost.clear()
            assert not line.is_open
            assert (await line.open(got.put_nowait, gone)).startswith("connection: ")

    asyncio.run(run())
