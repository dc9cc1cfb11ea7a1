"""The outbox and the inbox on real sockets: thousands of publishes end, strange brokers kill no thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.outbox import IN_FLIGHT, Outbox
from hakari.mqtt import BrokerSettings, Link
from hakari.names import batch_topic, mark_topic
from simulate.layout import argv, free_ports
from simulate.processes import Processes
from simulate.users import create
from tests.system.forge import SUBACK, SUBACK_REFUSED, StrangeBroker, eventually, publish_packet

pytestmark = pytest.mark.system

EDGE = "solar-e1"
PUBLISHES = 6000
STUCK_S = 60.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerSettings]:
    """amqtt with its users."""
    create(tmp_path, [EDGE, "ingest-all"])
    (port,) = free_ports(1)
    (tmp_path / "broker.toml").write_text(f'users_file = "users"\nport = {port}\n')
    with Processes(tmp_path / "logs") as processes:
        processes.start("broker", argv("simulate", "broker", "--config", tmp_path / "broker.toml"))
        processes.wait_listening("broker", "127.0.0.1", port)
        yield BrokerSettings(host="127.0.0.1", port=port, password_file=f"{EDGE}.password")


def test_thousands_of_publishes_end(broker: BrokerSettings, tmp_path: Path) -> None:
    """Our lock and paho's, taken in two orders, once stopped both threads for ever after some hundred publishes."""
    came: list[bool] = []
    outbox = Outbox(broker, tmp_path, EDGE, came.append, lambda _: None)
    outbox.start()
    eventually("the edge is connected", lambda: True in came)
    done: list[int] = []

    def publish() -> None:
        left = PUBLISHES
        while left:
            for _ in range(min(outbox.slots, left)):
                outbox.publish(b"x" * 200)
                left -= 1
            time.sleep(0)
        done.append(PUBLISHES)

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    thread.join(STUCK_S)
    assert done == [PUBLISHES], "publishing got stuck"
    eventually("all are answered", lambda: outbox.slots == IN_FLIGHT)
    outbox.check()
    outbox.stop()


@pytest.fixture
def password(tmp_path: Path) -> Callable[[int], BrokerSettings]:
    """Settings for a strange broker's port."""
    (tmp_path / "secret").write_text("x\n")
    return lambda port: BrokerSettings(host="127.0.0.1", port=port, password_file="secret")


@pytest.mark.parametrize(
    "noise",
    [
        publish_packet(b"\xff\xfe", b"x"),
        publish_packet(mark_topic(EDGE).encode(), b"no mark"),
        publish_packet(batch_topic(EDGE).encode(), b""),
        b"\x00\x00",
        b"\xff\xff\xff\xff\xff\xff\xff",
        b"\x32\x01\x00",
        b"\x32\x00",
        b"\x40\x00",
        b"\x40\x02\x00\x63",
        b"\x62\x02\x00\x63",
        b"\x90\x01\x00",
        b"\x20\x02\x00\x05",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_noise_from_a_broker_kills_no_thread(
    tmp_path: Path, password: Callable[[int], BrokerSettings], noise: bytes
) -> None:
    strange = StrangeBroker(SUBACK, noise)
    marks: list[bytes] = []
    outbox = Outbox(password(strange.port), tmp_path, EDGE, lambda _: None, marks.append)
    outbox.start()
    eventually("it has heard the noise", lambda: len(strange.heard) >= 2)
    time.sleep(0.2)
    outbox.check()
    assert marks in ([], [b"no mark"])
    outbox.stop()


def test_a_subscription_that_is_refused_is_said(
    tmp_path: Path, password: Callable[[int], BrokerSettings], caplog: pytest.LogCaptureFixture
) -> None:
    strange = StrangeBroker(SUBACK_REFUSED, b"")
    outbox = Outbox(password(strange.port), tmp_path, EDGE, lambda _: None, lambda _: None)
    outbox.start()
    eventually("it is said", lambda: outbox.standing.link is Link.UNHEARD)
    assert "does not let solar-e1 subscribe to hakari/v1/mark/solar-e1; correct the broker's access list" in caplog.text
    outbox.stop()
