"""`hakari edge check` and `hakari edge read` as their user runs them, against a real Modbus server."""

from __future__ import annotations

import asyncio
import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hakari.cli.root import main
from hakari.log.note import SigningKey

CASE = Path(__file__).resolve().parent.parent / "cases" / "profiles" / "sunspec-inverter-103" / "case.toml"
OWNER = str(SigningKey("plant.example/owner", Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier)


def _words() -> list[int]:
    pdu = bytes.fromhex(" ".join(tomllib.loads(CASE.read_text())["answer"][0]["pdu"]))[2:]
    return [int.from_bytes(pdu[k : k + 2], "big") for k in range(0, len(pdu), 2)]


@pytest.fixture(scope="module")
def inverter() -> Iterator[int]:
    """The port of a server with the registers of the SunSpec case at unit 1."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> ModbusTcpServer:
        blocks = [[SimData(0, datatype=DataType.BITS)] for _ in range(2)]
        holding = [SimData(40000, values=_words(), datatype=DataType.REGISTERS)]
        inputs = [SimData(0, datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=(blocks[0], blocks[1], holding, inputs))
        server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(10)  # type: ignore[no-untyped-call]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def _settings(folder: Path, port: int, serial: str = "PV-000123") -> str:
    path = folder / "edge.toml"
    path.write_text(f"""
[edge]
namespace = "plant.example"
site = "sola"
name = "e1"
key_file = "edge.toml"
owner_key = "{OWNER}"
roster_file = "edge.toml"
spool = "spool.sqlite"
interval_s = 900
[broker]
host = "127.0.0.1"
[[bus]]
id = "pv"
host = "127.0.0.1"
port = {port}
timeout_s = 2
[[meter]]
id = "inverter"
bus = "pv"
unit = 1
profile = "sunspec-inverter-103"
serial = "{serial}"
""")
    return str(path)


def test_read_shows_a_live_sample(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, inverter), "--meter", "inverter"]) == 0
    shown = capsys.readouterr().out
    assert "serial: PV-000123" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("energy_export")] == [
        ["energy_export", "12345670", "Wh", "GOOD"]]  # fmt: skip


def test_read_as_json(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, inverter), "--meter", "inverter", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["errors"] == []
    assert {"point": "active_power", "value": "8370", "unit": "W", "quality": "GOOD", "reason": ""} in told["readings"]


def test_exchanged_meter_is_a_data_problem(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, inverter, "PV-000124"), "--meter", "inverter"]) == 5
    assert "identity mismatch: serial holds 'PV-000123', not 'PV-000124'" in capsys.readouterr().out


def test_unreachable_meter_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, 1), "--meter", "inverter"]) == 4
    assert capsys.readouterr().err.strip() == (
        "error: meter inverter at 127.0.0.1:1, unit 1 does not answer (connection); check address and cabling"
    )


def test_failed_request_ends_with_5(tmp_path: Path, inverter: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(_settings(tmp_path, inverter))
    path.write_text(path.read_text().replace("sunspec-inverter-103", "abb-b23"))
    assert main(["edge", "read", str(path), "--meter", "inverter"]) == 5
    assert "exception 2 (illegal data address)" in capsys.readouterr().out


def test_unknown_meter_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "read", _settings(tmp_path, 1), "--meter", "heat"]) == 3
    assert "known are inverter" in capsys.readouterr().err


def test_check_shows_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "check", _settings(tmp_path, 1)]) == 0
    shown = capsys.readouterr().out
    assert "sunspec-inverter-103  holding    40000    109" in shown
    assert "96 samples a day" in shown
    assert main(["edge", "check", _settings(tmp_path, 1), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["words_a_sample"] == 109


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("interval_s = 1", "[edge].interval_s = 1 (slots would be skipped); shorten"),
        ("interval_s = 900\nmax_lag_s = 1", "[edge].max_lag_s = 1 (values would be too late for a boundary); shorten"),
        ("interval_s = 1\nmax_lag_s = 1", "interval_s = 1 (slots would be skipped) and [edge].max_lag_s = 1 (values"),
        ("interval_s = 2\nmax_lag_s = 2", ""),
    ],
)
def test_check_warns_of_a_bus_that_may_take_too_long(
    tmp_path: Path, keys: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(_settings(tmp_path, 1))
    path.write_text(path.read_text().replace("interval_s = 900", keys))
    assert main(["edge", "check", str(path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert main(["edge", "check", str(path), "--json"]) == 0
    assert [f"warning: {sentence}" for sentence in json.loads(capsys.readouterr().out)["warnings"]] == lines
    assert len(lines) == bool(says)
    for line in lines:
        assert line.startswith(
            "warning: bus pv: its reads, one after the other, may take 2 s (1 × timeout_s = 2), more"
        )
        assert says in line


def test_check_refuses_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(_settings(tmp_path, 1))
    path.write_text(path.read_text().replace("interval_s = 900", "interval_s = 7"))
    assert main(["edge", "check", str(path)]) == 3
    assert capsys.readouterr().out.startswith("refused: [edge].interval_s = 7")
    assert main(["edge", "check", str(tmp_path / "none.toml")]) == 3
