"""A real Mosquitto with readings sent to it, and the process that takes them: what the ingest benchmarks share.

Nothing here is measured. Mosquitto is HAKARI_TEST_MOSQUITTO, InfluxDB HAKARI_TEST_INFLUXD.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.meter import cpu_s_of
from bench.result import Skipped
from simulate.layout import free_ports
from simulate.processes import Processes

RUN_LIMIT_S = 120.0
POLL_S = 0.05
PUBLISH_QOS1 = 0x32
PUBACK_BYTES = 4
CONNECT = b"\x10\x18\x00\x04MQTT\x04\x02\x00\x00\x00\x0cbench-sender"
CONNECTED = b"\x20\x02\x00\x00"
CONF = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_queued_bytes 1073741824
"""


class Took(NamedTuple):
    """What the measured process took for all readings: seconds of wall and CPU, the most memory it ever held."""

    wall_s: float
    cpu_s: float
    rss_bytes: int


def broker(processes: Processes, folder: Path) -> int:
    """Starts Mosquitto and gives its port; Skipped where it is not here."""
    program = os.environ.get("HAKARI_TEST_MOSQUITTO") or shutil.which(
        "mosquitto", path=f"{os.environ['PATH']}:/usr/sbin"
    )
    if not program:
        raise Skipped("HAKARI_TEST_MOSQUITTO is not set; it names the mosquitto to send through")
    port = free_ports(1)[0]
    file = folder / "mosquitto.conf"
    file.write_text(CONF.format(port=port), encoding="utf-8")
    processes.start("broker", [program, "-c", str(file)])
    processes.wait_listening("broker", "127.0.0.1", port)
    return port


def influxd() -> Path:
    """The server to write to; Skipped where it is not here."""
    program = os.environ.get("HAKARI_TEST_INFLUXD")
    if not program:
        raise Skipped("HAKARI_TEST_INFLUXD is not set; it names the influxd to write to")
    return Path(program)


def taken(port: int, topic: str, messages: Sequence[bytes], pid: int, done: Callable[[], bool]) -> Took:
    """Sends all messages with QoS 1 and waits until `done`: what process `pid` took meanwhile."""
    sent = _packets(topic, messages)
    with socket.create_connection(("127.0.0.1", port), timeout=RUN_LIMIT_S) as sender:
        sender.sendall(CONNECT)
        if sender.recv(len(CONNECTED)) != CONNECTED:
            raise RuntimeError("the broker takes no sender")
        answers = threading.Thread(target=_drain, args=(sender, len(messages) * PUBACK_BYTES), daemon=True)
        answers.start()
        began_s, cpu_s = time.monotonic(), cpu_s_of(pid)
        sender.sendall(sent)
        wait_for(done)
        took = Took(time.monotonic() - began_s, cpu_s_of(pid) - cpu_s, _most_rss_bytes(pid))
        answers.join(RUN_LIMIT_S)
    return took


def _packets(topic: str, messages: Sequence[bytes]) -> bytearray:
    """All messages as MQTT 3.1.1 has them; made before, since a slow sender would be what is measured."""
    name = len(topic).to_bytes(2) + topic.encode("ascii")
    packets = bytearray()
    for k, message in enumerate(messages):
        packets.append(PUBLISH_QOS1)
        left = len(name) + 2 + len(message)
        while left > 127:
            packets.append(left & 127 | 128)
            left >>= 7
        packets.append(left)
        packets += name + (k % 65_535 + 1).to_bytes(2) + message
    return packets


def _drain(sender: socket.socket, size: int) -> None:
    """Takes the acknowledgements, so that the broker goes on."""
    while size > 0:
        size -= len(sender.recv(65_536)) or size


def now_s() -> float:
    """Seconds of the machine."""
    return time.monotonic()


def wait_for(done: Callable[[], bool]) -> None:
    """Until `done`, at most two minutes."""
    deadline_s = time.monotonic() + RUN_LIMIT_S
    while not done():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"what was sent was not stored in {RUN_LIMIT_S:.0f} s")
        time.sleep(POLL_S)


def _most_rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
