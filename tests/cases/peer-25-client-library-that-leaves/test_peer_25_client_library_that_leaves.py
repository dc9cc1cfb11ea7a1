"""The edge and its readers load, and a meter is read, where pymodbus cannot be imported."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

READ = """
import asyncio, sys
sys.modules["pymodbus"] = None
import edge.run
from edge.modbus.buses import open_bus
from edge.settings import BusTable
from hakari.clock import SystemClock
from hakari.registers.requests import ReadRequest


async def read():
    bus = open_bus(BusTable(id="b", host="127.0.0.1", port=int(sys.argv[1]), timeout_s=20.0))
    exchange = await bus.read(ReadRequest(1, 3, 0x10, 2), SystemClock())
    bus.close()
    print(exchange.error, exchange.answer.hex())


asyncio.run(read())
"""


def answer(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        request = connection.recv(64)
        connection.sendall(request[:4] + bytes.fromhex("0007 01 03 04 12345678"))
        connection.recv(64)


def test_a_meter_is_read_without_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        words = [sys.executable, "-c", READ, str(listener.getsockname()[1])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "030412345678"), done.stderr
