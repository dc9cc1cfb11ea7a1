"""scan, read and doctor as an integrator runs them: meters that answer, refuse, stay silent or talk nonsense."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import pty
import socketserver
import threading
import time
import tomllib
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hakari.cli.root import main
from hakari.log.keyfile import create, public_bytes
from simulate.modbus import PlantServer
from simulate.plant import load_plant

pytestmark = pytest.mark.system

PLANT = """
name = "house"
[source]
kind = "solar"
capacity_kw = 50.0
latitude_deg = 35.0
longitude_deg = 139.0
start = 2026-01-01T00:00:00Z
[[meters]]
model = "sunspec-103"
unit = 1
serial = "PV-000123"
[[meters]]
model = "schneider-iem3155"
unit = 2
serial = "IEM-1"
"""
Answers = Callable[[int, bytes], bytes | None]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The target of a served plant: a SunSpec inverter at unit 1 and another meter at unit 2."""
    path = tmp_path_factory.mktemp("plant") / "plant.toml"
    path.write_text(PLANT)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = PlantServer(load_plant(path, {}), lambda: time.time_ns() // 1_000_000)
    server.prepare()  # else the first request waits for it, longer than a scan does
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    yield f"tcp://127.0.0.1:{server.port}"
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


class _Handler(socketserver.BaseRequestHandler):
    """Modbus TCP as far as these tests need it: the server's `answers` gives the PDU, None for silence."""

    def handle(self) -> None:
        while head := self.request.recv(7):
            pdu = self.request.recv(int.from_bytes(head[4:6], "big") - 1)
            answer = self.server.answers(head[6], pdu)  # type: ignore[attr-defined]
            if answer is not None:
                self.request.sendall(head[:4] + (len(answer) + 1).to_bytes(2, "big") + head[6:7] + answer)


@pytest.fixture
def fake() -> Iterator[Callable[[Answers], str]]:
    """Starts a server that answers as told and gives its target."""
    servers = []

    def start(answers: Answers) -> str:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        server.answers = answers  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"tcp://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def words(*values: int) -> bytes:
    return bytes((3, 2 * len(values))) + b"".join(value.to_bytes(2, "big") for value in values)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["edge", *arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_scan_recognises_what_says_who_it_is(plant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "meters.toml"
    code, text, err = run(capsys, "scan", plant, "--units", "1-4", "--json", "--write", str(out))
    assert code == 0
    first, second = json.loads(text)["found"]
    assert (first["unit"], first["profile"], first["serial"]) == (1, "sunspec-inverter-103", "PV-000123")
    assert first["by"] == "identity registers"
    assert (second["unit"], second["profile"]) == (2, "")
    assert "schneider-iem3155" in [one["profile"] for one in second["possible"]]
    assert "asking 4 units" in err
    assert "holding register 0, 0.3 s each: at most 1 s" in err
    (meter,) = tomllib.loads(out.read_text())["meter"]
    assert (meter["unit"], meter["serial"]) == (1, "PV-000123")
    assert run(capsys, "scan", plant, "--units", "1", "--write", str(out))[0] == 6


def test_scan_knows_a_device_by_its_identification(
    fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]
) -> None:
    def answers(unit: int, pdu: bytes) -> bytes | None:
        if unit != 7:
            return None
        if pdu[0] == 0x2B:
            objects = {0: b"Schneider Electric", 1: b"METSEiEM3155", 2: b"v1"}
            body = b"".join(bytes((number, len(text))) + text for number, text in objects.items())
            return bytes((0x2B, 0x0E, 1, 1, 0, 0, len(objects))) + body
        return bytes((pdu[0] | 0x80, 2))

    code, text, _ = run(capsys, "scan", fake(answers), "--units", "6-8", "--timeout", "0.05", "--json")
    assert code == 0
    (found,) = json.loads(text)["found"]
    assert (found["unit"], found["profile"], found["maker"]) == (7, "schneider-iem3155", "Schneider Electric")
    assert found["by"] == "device identification (0x2B/14)"
    assert found["said"] == "exception 2 (illegal data address)"


def test_scan_names_nobody_whose_registers_are_all_zero(
    fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every profile's registers can be read there, and none is recognised."""
    target = fake(lambda _unit, pdu: bytes((pdu[0], 2 * pdu[4])) + bytes(2 * pdu[4]) if pdu[0] in (3, 4) else None)
    code, text, _ = run(capsys, "scan", target, "--units", "5", "--timeout", "0.05", "--json")
    (found,) = json.loads(text)["found"]
    assert (code, found["profile"], found["by"]) == (0, "", "")
    assert 1 <= len(found["possible"]) <= 3


def test_scan_that_finds_nobody_ends_with_5_and_a_dead_line_with_4(
    fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]
) -> None:
    silent = fake(lambda _unit, _pdu: None)
    code, text, _ = run(capsys, "scan", silent, "--units", "1-2", "--timeout", "0.05")
    assert (code, text.split(" at ")[0]) == (5, "no unit of 2 answers")
    gateway = fake(lambda _unit, pdu: bytes((pdu[0] | 0x80, 11)))
    assert run(capsys, "scan", gateway, "--units", "1-2", "--timeout", "0.05")[0] == 5
    code, _, err = run(capsys, "scan", "tcp://127.0.0.1:1", "--units", "1-2")
    assert code == 4
    assert "the host refuses the connection" in err
    assert run(capsys, "scan", "rtu:///dev/none", "--units", "1")[0] == 4
    assert run(capsys, "scan", silent, "--units", "1-999")[0] == 3


def test_scan_sends_nothing_but_reads(fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]) -> None:
    asked: set[int] = set()

    def answers(_unit: int, pdu: bytes) -> bytes:
        asked.add(pdu[0])
        return bytes((pdu[0] | 0x80, 2))

    assert run(capsys, "scan", fake(answers), "--units", "1-3", "--timeout", "0.05")[0] == 0
    assert asked <= {3, 4, 0x2B}


def test_read_shows_all_that_words_could_be(fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]) -> None:
    target = fake(lambda _unit, pdu: words(0x42F6, 0xE979, 0, 1)[: 2 + 2 * pdu[4]] if pdu[4] == 4 else None)
    code, text, _ = run(capsys, "read", target, "--unit", "1", "--address", "0x10", "--json")
    told = json.loads(text)
    assert (code, told["address"], told["words"]) == (0, 16, ["42f6", "e979", "0000", "0001"])
    values = {(one["type"], one["order"]): one["value"] for one in told["guesses"]}
    assert values["u16", "AB"] == "17142"
    assert values["f32", "ABCD"].startswith("123.45600128173828")
    assert values["i32", "CDAB"] == str(0xE97942F6 - (1 << 32))
    assert not any("nan" in value.casefold() or "inf" in value.casefold() for value in values.values())


def test_read_asks_for_less_where_there_is_no_more(
    fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]
) -> None:
    target = fake(lambda _unit, pdu: words(7) if pdu[4] == 1 else bytes((0x83, 2)))
    code, text, _ = run(capsys, "read", target, "--unit", "1", "--address", "65535", "--raw")
    assert code == 0
    assert "> unit 1: 03 ff ff 00 01\n< 03 02 00 07" in text
    code, _, err = run(capsys, "read", target, "--unit", "1", "--address", "0", "--count", "3")
    assert code == 5
    assert "answers and gives no holding register 0: exception 2 (illegal data address)" in err


@pytest.mark.parametrize(
    ("more", "answer", "code", "part"),
    [
        (("--type", "i16", "--exponent", "-1"), words(0xFFFE), 0, "-0.2"),
        (("--type", "u16"), bytes((0x83, 2)), 5, "failed: holding register 72: exception 2 (illegal data address)"),
        (("--type", "f32", "--word-order", "high_first"), words(0x7FC0, 0), 5, "not a number"),
        (("--type", "string", "--count", "2"), bytes((3, 4)) + b"AB\x1b1", 0, "at_72"),
    ],
)
def test_read_one_value(
    fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str], more: tuple[str, ...], answer: bytes,
    code: int, part: str,
) -> None:  # fmt: skip
    ended, text, err = run(capsys, "read", fake(lambda _u, _p: answer), "--unit", "1", "--address", "72", *more)
    assert ended == code, text + err
    assert part in text
    assert "\x1b" not in text


def test_read_says_why_nobody_answers(fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]) -> None:
    silent = fake(lambda _unit, _pdu: None)
    asked = ("--unit", "3", "--address", "0", "--timeout", "0.05")
    for target, part in (
        (silent, "the connection opens and unit 3 stays silent"),
        (fake(lambda _unit, pdu: bytes((pdu[0] | 0x80, 11))), "the gateway answers and says that unit 3 does not"),
        ("tcp://127.0.0.1:1", "the host refuses the connection"),
        ("rtu:///dev/none", "there is no such device"),
    ):
        code, _, err = run(capsys, "read", target, *asked)
        assert code == 4
        assert part in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("tcp://h", "--address", "0"), 2),
        (("tcp://h", "--unit", "1"), 2),
        (("tcp://h", "--unit", "1", "--address", "0", "--profile", "abb-b23"), 2),
        (("tcp://h", "--unit", "1", "--address", "x"), 2),
        (("tcp://h", "--unit", "1", "--address", "0", "--watch", "0s"), 2),
        (("tcp://h", "--unit", "1", "--address", "0", "--times", "2"), 2),
        (("edge.toml",), 2),
        (("edge.toml", "--meter", "m", "--unit", "1"), 2),
        (("tcp://h", "--unit", "1", "--address", "0", "--type", "u32"), 3),
        (("tcp://h", "--unit", "1", "--address", "65535", "--type", "u32", "--word-order", "low_first"), 3),
        (("tcp://h", "--unit", "1", "--address", "65536"), 3),
        (("tcp://h", "--unit", "1", "--address", "-1"), 3),
        (("tpc://h", "--unit", "1", "--address", "0"), 3),
        (("tcp://h", "--unit", "1", "--profile", "none"), 3),
    ],
)
def test_read_refuses_what_cannot_be_asked(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int
) -> None:
    assert run(capsys, "read", *arguments)[0] == code


def test_read_watches_over_a_silence(fake: Callable[[Answers], str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = iter([words(1), None, words(3)])
    target = fake(lambda _unit, _pdu: next(asked))
    code, text, err = run(
        capsys, "read", target, "--unit", "1", "--address", "0", "--type", "u16", "--watch", "10ms", "--times", "3",
        "--timeout", "0.2", "--json",
    )  # fmt: skip
    assert [json.loads(line)["readings"][0]["value"] for line in text.splitlines()] == ["1", "3"]
    assert json.loads(err)["exit_code"] == 4
    assert code == 4


def crc(frame: bytes) -> bytes:
    """CRC-16 of MODBUS over serial line V1.02, 6.2.2, low byte first."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


@pytest.fixture
def serial() -> Iterator[str]:
    """A serial line with one meter, unit 3, which has register 0 alone and knows no other function than 3."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)

    def answer() -> None:
        held = b""
        while True:
            try:
                held += os.read(ours, 256)
            except OSError:
                return
            while len(held) >= 5:
                length = next((n for n in range(5, len(held) + 1) if crc(held[: n - 2]) == held[n - 2 : n]), None)
                if length is None:
                    break
                request, held = held[:length], held[length:]
                if request[0] != 3:
                    continue
                good = request[1:6] == b"\x03\0\0\0\x01"
                body = request[:2] + b"\x02\x00\x2a" if good else bytes((3, request[1] | 0x80, 2))
                os.write(ours, body + crc(body))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield os.ttyname(theirs)
    os.close(theirs)
    os.close(ours)


def test_scan_and_read_on_a_serial_line(serial: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"rtu://{serial}?baud=115200"
    code, text, err = run(capsys, "scan", target, "--units", "2-4", "--timeout", "0.1", "--json")
    assert code == 0, err
    (found,) = json.loads(text)["found"]
    assert (found["unit"], found["said"], found["profile"]) == (3, "holding 0 = 0x002a", "")
    code, text, _ = run(capsys, "read", target, "--unit", "3", "--address", "0", "--type", "u16")
    assert (code, text.splitlines()[2].split()[:2]) == (0, ["at_0", "42"])
    code, _, err = run(capsys, "read", target, "--unit", "5", "--address", "0", "--timeout", "0.1")
    assert code == 4
    assert "the line opens and unit 5 stays silent" in err


# doctor


def settings(folder: Path, target: str, profile: str = "sunspec-inverter-103", *, broker_port: int = 1) -> Path:
    """An edge's files, enrolled, with the inverter at `target`."""
    assert main(["keys", "owner", "--out", str(folder / "owner.pem"), "--name", "plant.example/owner"]) == 0
    private = create(folder / "edge.pem")
    public = base64.b64encode(public_bytes(private)).decode()
    (folder / "edge.pub").write_text(public)
    roster = [str(folder / "roster.note"), "--owner", str(folder / "owner.pem"), "--namespace", "plant.example"]
    assert main(["keys", "roster", "new", *roster, "--edge", f"sola-e1={folder / 'edge.pub'}"]) == 0
    port = target.rsplit(":", 1)[1]
    path = folder / "edge.toml"
    path.write_text(f"""
[edge]
namespace = "plant.example"
site = "sola"
name = "e1"
key_file = "edge.pem"
owner_key = "{(folder / "owner.pem.pub").read_text().strip()}"
roster_file = "roster.note"
spool = "spool.sqlite"
interval_s = 900
[broker]
host = "127.0.0.1"
port = {broker_port}
[[bus]]
id = "pv"
host = "127.0.0.1"
port = {port}
timeout_s = 0.2
[[meter]]
id = "inverter"
bus = "pv"
unit = 1
profile = "{profile}"
serial = "PV-000123"
""")
    return path


def states(text: str) -> dict[str, str]:
    return {f"{one['group']} {one['name']}": one["state"] for one in json.loads(text)["checks"]}


def test_doctor_tells_what_is_fine_and_what_is_not(
    plant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, plant)
    before = sorted(path.name for path in tmp_path.iterdir())
    code, text, _ = run(capsys, "doctor", str(config), "--json")
    found = states(text)
    assert code == 5  # nothing listens where the broker should be
    assert found["broker connection"] == "fail"
    good = ("config settings", "config key and roster", "bus pv", "bus pv/inverter", "spool folder", "spool fsync")
    assert {name: found[name] for name in good} == dict.fromkeys(good, "ok")
    assert found["versions software"] == "ok"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert run(capsys, "doctor", str(config), "--only", "bus", "--only", "versions")[0] == 0


def test_doctor_sees_another_meter_and_a_silent_one(
    plant: str, fake: Callable[[Answers], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, plant)
    config.write_text(config.read_text().replace("PV-000123", "PV-000124"))
    code, text, _ = run(capsys, "doctor", str(config), "--only", "bus")
    assert code == 5
    assert "✗ bus pv/inverter: another meter answers: identity mismatch: serial" in text
    port = fake(lambda _unit, _pdu: None).rsplit(":", 1)[1]
    config.write_text(config.read_text().replace(plant.rsplit(":", 1)[1], port))
    assert "stays silent (timeout)" in run(capsys, "doctor", str(config), "--only", "bus")[1]
    config.write_text(config.read_text().replace(f"port = {port}", "port = 1"))
    assert "✗ bus pv: does not open; tcp://127.0.0.1:1" in run(capsys, "doctor", str(config), "--only", "bus")[1]


def test_doctor_leaves_alone_what_a_running_edge_owns(
    plant: str, serial: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, plant)
    port = plant.rsplit(":", 1)[1]
    config.write_text(
        config.read_text().replace(f'host = "127.0.0.1"\nport = {port}', f'kind = "rtu"\ndevice = "{serial}"')
    )
    with (tmp_path / "spool.sqlite.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, text, _ = run(capsys, "doctor", str(config), "--only", "bus")
    assert (code, text.startswith("! bus pv: not asked: the running edge owns the serial line")) == (0, True)
    assert "stays silent" in run(capsys, "doctor", str(config), "--only", "bus")[1]


def test_doctor_names_keys_that_others_can_read(plant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings(tmp_path, plant)
    (tmp_path / "edge.pem").chmod(0o644)
    code, text, _ = run(capsys, "doctor", str(config), "--only", "config")
    assert code == 5
    assert "run: chmod 600" in text


def test_doctor_of_settings_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("[edge]\nsite = 1\n")
    code, text, _ = run(capsys, "doctor", str(path))
    assert code == 5
    assert text.startswith("✗ config settings: ")


def test_the_report_for_support_is_written_once_and_private(
    plant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, plant)
    out = tmp_path / "support.txt"
    assert run(capsys, "doctor", str(config), "--only", "versions", "--report", str(out))[0] == 0
    assert out.stat().st_mode & 0o077 == 0
    assert 'profile = "sunspec-inverter-103"' in out.read_text()
    assert run(capsys, "doctor", str(config), "--only", "versions", "--report", str(out))[0] == 6
