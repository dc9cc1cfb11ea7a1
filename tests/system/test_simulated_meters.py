"""The simulated plants, driver and broker as their users meet them: real processes, sockets and clients."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

from hakari import names
from simulate.driver import Driver, NoAnswer
from simulate.modbus import PlantServer
from simulate.plant import load_plant
from simulate.processes import ChildDied, Processes
from simulate.users import create

pytestmark = pytest.mark.system

DATA = Path(__file__).resolve().parents[2] / "simulate" / "data"
HAKARI = [sys.executable, "-c", "import sys; from hakari.cli.root import main; sys.exit(main())"]
WAIT_S = 20.0
START_MS = 1_467_356_400_000  # 2016-07-01T00:00:00-07:00
P = ParamSpec("P")
T = TypeVar("T")


def in_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Runs an asynchronous test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@in_loop
async def test_modbus_answers_as_the_meters_do(tmp_path: Path) -> None:
    now_ms = [START_MS]
    plant = load_plant(_with_port_zero(tmp_path, "solar"), {})
    server = PlantServer(plant, lambda: now_ms[0])
    await server.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port)
    assert await client.connect()

    async def exception(address: int, count: int, unit: int) -> int:
        answer = await client.read_holding_registers(address, count=count, device_id=unit)
        return getattr(answer, "exception_code", 0)

    try:
        assert (await client.read_holding_registers(40000, count=2, device_id=1)).registers == [0x5375, 0x6E53]
        assert await exception(40000, 124, 1) == 0
        assert await exception(40000, 125, 1) == 2
        assert await exception(3203, 8, 2) == 0
        assert await exception(3203, 9, 2) == 2
        assert await exception(3000, 12, 2) == 2
        assert await exception(40000, 2, 9) == 11
        assert getattr(await client.read_input_registers(3203, count=8, device_id=2), "exception_code", 0) == 1
        assert getattr(await client.write_register(3203, 0, device_id=2), "exception_code", 0) == 1
        now_ms[0] += 31 * 86_400_000
        words = (await client.read_holding_registers(3207, count=4, device_id=2)).registers
        assert int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big") == 3_475_912 + 858_896
    finally:
        client.close()
        await server.stop()


@in_loop
async def test_input_registers_and_values_that_overlap(tmp_path: Path) -> None:
    plant = load_plant(_with_port_zero(tmp_path, "chiller"), {})
    at_noon_ms = START_MS + 12 * 3_600_000  # the chiller runs
    server = PlantServer(plant, lambda: at_noon_ms)
    await server.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port)
    assert await client.connect()

    async def answer(function: int, address: int, count: int, unit: int) -> list[int] | int:
        read = client.read_holding_registers if function == 3 else client.read_input_registers
        got = await read(address, count=count, device_id=unit)
        return got.exception_code if got.isError() else list(got.registers)

    try:
        assert await answer(4, 0x33, 3, 1) == [500, *plant.meters[0].registers(at_noon_ms)[0x34]]
        assert await answer(4, 0x31, 2, 1) == 2
        assert await answer(3, 0x34, 2, 1) == 1
        controller = plant.meters[1].registers(at_noon_ms)
        assert await answer(3, 0x28, 1, 2) == [7]
        for address in (0x3B, 0x3C, 0x3D, 0x3E):
            assert await answer(4, address, 2, 2) == list(controller[address])
            assert await answer(3, address, 2, 2) == 2
            assert await answer(4, address, 4, 2) == 2
        assert await answer(4, 0x3A, 2, 2) == 2
        assert await answer(4, 0x28, 1, 2) == 2
    finally:
        client.close()
        await server.stop()


def _with_port_zero(folder: Path, name: str) -> Path:
    text = (DATA / f"{name}.toml").read_text().replace("port = 150", "port = 0 # ")
    for part in ("solar.csv", "solar.map.toml"):
        text = text.replace(f'"{part}"', f'"{DATA / part}"')
    (folder / f"{name}.toml").write_text(text)
    return folder / f"{name}.toml"


class Peer:
    """A raw lockstep client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def join(cls, port: int, client: str, role: str) -> Peer:
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        peer.say({"client": client, "role": role})
        return peer

    def say(self, message: object) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, object]:
        async with asyncio.timeout(WAIT_S):
            line = await self._reader.readline()
        heard: dict[str, object] = json.loads(line)
        return heard

    async def follow(self, until_tick: int = 10**9) -> int:
        """Answers everything at once until the driver goes, or leaves without an answer at `until_tick`."""
        answered = 0
        while line := await self._reader.readline():
            tick = json.loads(line)
            if tick["tick"] >= until_tick:
                break
            answered += 1
            self.say({"tick": tick["tick"], "size": answered, "mark": answered})
        self._writer.close()
        return answered


@in_loop
async def test_a_run_survives_a_killed_edge_and_a_watcher_that_goes() -> None:
    set_times: list[int] = []
    async with Driver(["a-e1", "b-e1"], wait_limit_s=WAIT_S) as driver:
        run = asyncio.create_task(driver.run(list(range(100, 120)), set_times.append))
        watcher = asyncio.create_task((await Peer.join(driver.port, "ingest", "watch")).follow(until_tick=5))
        steady = asyncio.create_task((await Peer.join(driver.port, "b-e1", "edge")).follow())
        await (await Peer.join(driver.port, "a-e1", "edge")).follow(until_tick=9)
        again = asyncio.create_task((await Peer.join(driver.port, "a-e1", "edge")).follow())
        await run
        await watcher
    assert set_times == list(range(100, 120))
    assert await steady >= 21
    assert await again == 20 - 8 + 1  # ticks 9 to 20 and one flush


@in_loop
async def test_one_that_does_not_answer_is_named() -> None:
    async with Driver(["a-e1", "b-e1"], wait_limit_s=0.3) as driver:
        follower = asyncio.create_task((await Peer.join(driver.port, "b-e1", "edge")).follow())
        with pytest.raises(NoAnswer, match=r"edge a-e1 \(not connected\) did not answer tick 1 \(1970-01-01T00:00:09"):
            await driver.run([9000], lambda _: None)
    await follower


@in_loop
async def test_leaves_that_are_never_stored_end_the_flush() -> None:
    async with Driver(["a-e1"], wait_limit_s=0.5) as driver:
        run = asyncio.create_task(driver.run([9000], lambda _: None))
        peer = await Peer.join(driver.port, "a-e1", "edge")
        assert await peer.hear() == {"tick": 1, "t_ms": 9000, "flush": False}
        peer.say({"tick": 1, "size": 0, "mark": 0})
        for _ in range(3):
            assert await peer.hear() == {"tick": 1, "t_ms": 9000, "flush": True}
            peer.say({"tick": 1, "size": 2, "mark": 1})
        with pytest.raises(NoAnswer, match=r"1 of 2 leaves known as stored\) did not know all its leaves as stored"):
            await run


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"\xff\n", b'{"client":"x","role":"king"}\n', b"x" * 10_000 + b"\n"])
@in_loop
async def test_garbage_is_answered_by_one_sentence_and_the_driver_lives(line: bytes) -> None:
    async with Driver(["a-e1"], wait_limit_s=WAIT_S) as driver:
        reader, writer = await asyncio.open_connection("127.0.0.1", driver.port)
        writer.write(line)
        assert "error" in json.loads(await reader.readline())
        writer.close()
        follower = asyncio.create_task((await Peer.join(driver.port, "a-e1", "edge")).follow())
        await driver.run([9000], lambda _: None)
    assert await follower == 2


@in_loop
async def test_the_lockstep_command_drives_plants_and_ends(tmp_path: Path) -> None:
    plants = [_with_port_zero(tmp_path, "solar"), _with_port_zero(tmp_path, "boiler")]
    port = free_port()
    (tmp_path / "s.toml").write_text(
        f"""plants = ["{plants[0].name}", "{plants[1].name}"]
start = 2016-07-01T00:00:00-07:00
end = 2016-07-01T02:00:00-07:00
[lockstep]
port = {port}
edges = ["sola-e1"]
wait_limit_s = {WAIT_S}
"""
    )
    with Processes(tmp_path) as processes:
        processes.start("lockstep", [*HAKARI, "simulate", "lockstep", str(tmp_path / "s.toml"), "--json"])
        processes.wait_listening("lockstep", "127.0.0.1", port)
        assert await (await Peer.join(port, "sola-e1", "edge")).follow() == 9 + 1
        processes.wait("lockstep", WAIT_S)
    addresses = json.loads((tmp_path / "lockstep.log").read_text().splitlines()[0])
    assert sorted(addresses) == ["boiler", "lockstep", "solar"]


def test_a_taken_port_is_one_sentence_and_exit_code_4(tmp_path: Path) -> None:
    with socket.socket() as other, Processes(tmp_path) as processes:
        other.bind(("127.0.0.1", 0))
        other.listen()
        plant = _with_port_zero(tmp_path, "boiler")
        plant.write_text(plant.read_text().replace("port = 0 # ", f"port = {other.getsockname()[1]} # "))
        processes.start("plants", [*HAKARI, "simulate", "plants", str(plant)])
        with pytest.raises(ChildDied, match="plant boiler cannot listen on") as caught:
            processes.wait("plants", WAIT_S)
        assert caught.value.exit_code == 4
    assert "Traceback" not in (tmp_path / "plants.log").read_text()


class Bus(NamedTuple):
    """A running broker and its users' passwords."""

    port: int
    folder: Path
    processes: Processes

    def password(self, user: str) -> str:
        return (self.folder / f"{user}.password").read_text().strip()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    create(tmp_path, [names.INGEST_CLIENT_ID, "sola-e1", "boil-e1"])
    port = free_port()
    (tmp_path / "broker.toml").write_text(f'users_file = "users"\nport = {port}\n')
    with Processes(tmp_path) as processes:
        processes.start("broker", [*HAKARI, "simulate", "broker", "--config", str(tmp_path / "broker.toml")])
        processes.wait_listening("broker", "127.0.0.1", port)
        yield Bus(port, tmp_path, processes)


class User:
    """A paho client whose id is its user name."""

    def __init__(self, bus: Bus, name: str, *, password: str | None = None, clean: bool = True, will: str = "") -> None:
        self.received: list[tuple[str, bytes]] = []
        self.refused: list[bool] = []
        self.subscribed: list[bool] = []
        self._event = threading.Condition()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
        self.client.username_pw_set(name, bus.password(name) if password is None else password)
        if will:
            self.client.will_set(will, b"gone", qos=1)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self._note(self.refused, bool(reason.is_failure))
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self._note(self.subscribed, codes[0].value < 128)
        self.client.on_message = lambda _c, _u, message: self._hear(message.topic, message.payload)
        self.client.connect("127.0.0.1", bus.port)
        self.client.loop_start()
        self.wait(lambda: bool(self.refused))

    def _hear(self, topic: str, payload: bytes | bytearray) -> None:
        self._note(self.received, (topic, bytes(payload)))

    def _note(self, notes: list[T], value: T) -> None:
        with self._event:
            notes.append(value)
            self._event.notify_all()

    def wait(self, done: Callable[[], bool]) -> None:
        with self._event:
            assert self._event.wait_for(done, WAIT_S)

    def subscribe(self, topic: str) -> bool:
        before = len(self.subscribed)
        self.client.subscribe(topic, qos=1)
        self.wait(lambda: len(self.subscribed) > before)
        return self.subscribed[-1]

    def publish(self, topic: str, payload: bytes) -> None:
        self.client.publish(topic, payload, qos=1).wait_for_publish(WAIT_S)

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_batches_reach_ingest_and_marks_reach_the_edge(bus: Bus) -> None:
    ingest, edge = User(bus, names.INGEST_CLIENT_ID, clean=False), User(bus, "sola-e1")
    assert ingest.subscribe(names.ALL_BATCHES)
    assert edge.subscribe(names.mark_topic("sola-e1"))
    payloads = [bytes([k]) * 90_000 for k in range(20)]
    for payload in payloads:
        edge.publish(names.batch_topic("sola-e1"), payload)
    ingest.wait(lambda: len(ingest.received) == 20)
    assert ingest.received == [(names.batch_topic("sola-e1"), payload) for payload in payloads]
    ingest.client.publish(names.mark_topic("sola-e1"), b"mark", qos=0)
    edge.wait(lambda: edge.received == [(names.mark_topic("sola-e1"), b"mark")])
    edge.leave()
    ingest.leave()


def test_a_named_session_is_kept_while_its_client_is_away(bus: Bus) -> None:
    first = User(bus, names.INGEST_CLIENT_ID, clean=False)
    assert first.subscribe("hakari/v1/batch/#")
    first.leave()
    edge = User(bus, "sola-e1")
    for k in range(50):
        edge.publish(names.batch_topic("sola-e1"), b"%d" % k)
    again = User(bus, names.INGEST_CLIENT_ID, clean=False)
    again.wait(lambda: len(set(again.received)) == 50)
    # QoS 1 promises each at least once, in no order that anything here rests on.
    assert {payload for _, payload in again.received} == {b"%d" % k for k in range(50)}
    edge.leave()
    again.leave()


def test_denied_topics_reach_nobody(bus: Bus) -> None:
    ingest, edge = User(bus, names.INGEST_CLIENT_ID), User(bus, "sola-e1")
    assert ingest.subscribe("hakari/v1/batch/#")
    for topic in ("#", "hakari/v1/mark/+", names.mark_topic("boil-e1"), names.batch_topic("sola-e1")):
        assert not edge.subscribe(topic), topic
    edge.publish(names.batch_topic("boil-e1"), b"forged")
    edge.publish(names.mark_topic("sola-e1"), b"forged")
    edge.publish(names.batch_topic("sola-e1"), b"own")
    ingest.wait(lambda: bool(ingest.received))
    assert ingest.received == [(names.batch_topic("sola-e1"), b"own")]
    assert "denied 'sola-e1' to publish" in (bus.folder / "broker.log").read_text()
    edge.leave()
    ingest.leave()


def test_wrong_password_foreign_client_id_and_a_will_are_refused(bus: Bus) -> None:
    good = User(bus, "sola-e1")
    assert good.subscribe(names.mark_topic("sola-e1"))
    for bad in (User(bus, "boil-e1", password="guess"), User(bus, "boil-e1", will=names.batch_topic("sola-e1"))):
        assert bad.refused[0]
        bad.leave()
    right = User(bus, "boil-e1")
    assert right.refused[-1] is False
    right.leave()
    good.leave()


def test_a_stranger_with_a_wrong_password_does_not_end_a_session(bus: Bus) -> None:
    ingest, edge = User(bus, names.INGEST_CLIENT_ID, clean=False), User(bus, "sola-e1")
    assert ingest.subscribe("hakari/v1/batch/#")
    stranger = User(bus, names.INGEST_CLIENT_ID, password="guess", clean=True)
    assert stranger.refused[0]
    stranger.leave()
    edge.publish(names.batch_topic("sola-e1"), b"still there")
    ingest.wait(lambda: len(ingest.received) == 1)
    assert ingest.refused == [False]
    edge.leave()
    ingest.leave()


def test_a_huge_packet_ends_its_connection_only(bus: Bus) -> None:
    ingest, edge = User(bus, names.INGEST_CLIENT_ID), User(bus, "sola-e1")
    assert ingest.subscribe("hakari/v1/batch/#")
    edge.client.publish(names.batch_topic("sola-e1"), bytes(1_000_000), qos=0)
    edge.wait(lambda: len(edge.refused) == 2)  # it was cut off and came back
    edge.publish(names.batch_topic("sola-e1"), b"small")
    ingest.wait(lambda: bool(ingest.received))
    assert ingest.received == [(names.batch_topic("sola-e1"), b"small")]
    assert "over the limit of 262144" in (bus.folder / "broker.log").read_text()
    edge.leave()
    ingest.leave()


def test_the_broker_stops_cleanly_on_sigterm(bus: Bus) -> None:
    edge = User(bus, "sola-e1")
    assert bus.processes.stop("broker") == 0
    edge.leave()
    assert (bus.folder / "broker.log").read_text() == ""


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\x7f", b"\x10\x02\x00\x00", b"\x00" * 40]
)
def test_what_is_no_connect_ends_its_connection_only(bus: Bus, first: bytes) -> None:
    with socket.create_connection(("127.0.0.1", bus.port), WAIT_S) as stranger:
        stranger.sendall(first)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(100) == b""
    edge = User(bus, "sola-e1")
    assert edge.refused == [False]
    edge.leave()
    assert "Traceback" not in (bus.folder / "broker.log").read_text()


def test_mqtt_5_is_answered_as_unsupported(bus: Bus) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="sola-e1", protocol=mqtt.MQTTv5)
    heard: list[str] = []
    client.on_connect = lambda _c, _u, _f, reason, _p: heard.append(str(reason))
    client.username_pw_set("sola-e1", bus.password("sola-e1"))
    client.connect("127.0.0.1", bus.port)
    while not heard and client.loop(1) == 0:
        pass
    assert heard == ["Unsupported protocol version"]
    edge = User(bus, "sola-e1")
    assert edge.refused == [False]
    edge.leave()
