"""`hakari edge sunspec` against a real Modbus server, then the profile that it wrote against the same one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.conformance.bus_world import World
from tests.unit.sunspec_device import Device, common, inputs, model

pytestmark = pytest.mark.system

HAKARI = [sys.executable, "-c", "import sys; from hakari.cli.root import main; sys.exit(main())"]
VENDOR = (64061, 3, 0xDEAD, 0xBEEF, 1)
MINUS_2 = 0xFFFE
INVERTER = {"W": 837, "W_SF": 1, "WH": 1_234_567, "WH_SF": 1, "Hz": 5001, "Hz_SF": MINUS_2, "DCW": 0x8000}
MODULE = {"DCA": 150, "DCV": 6000, "DCW": 900, "DCWH": 123_456, "Tmp": 41, "DCSt": 4}
UNIT = 3


@contextlib.asynccontextmanager
async def serving(device: Device, framer: FramerType = FramerType.SOCKET) -> AsyncIterator[int]:
    """A pymodbus server with the holding registers of `device` at unit 3; yields its port."""
    start = min(device.words)
    values = [device.words[address] for address in sorted(device.words)]
    blocks = ([SimData(0, datatype=DataType.BITS)], [SimData(0, datatype=DataType.BITS)])
    holding = [SimData(start, values=values, datatype=DataType.REGISTERS)]
    unused = [SimData(0, values=[0], datatype=DataType.REGISTERS)]
    context = SimDevice(UNIT, simdata=(*blocks, holding, unused))
    server = ModbusTcpServer(context, framer=framer, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def hakari(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *HAKARI, "edge", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def run(device: Device, *arguments: str) -> tuple[int, str, str]:
    """`hakari edge sunspec` at a server of `device`."""

    async def both() -> tuple[int, str, str]:
        async with serving(device) as port:
            return await hakari("sunspec", f"tcp://127.0.0.1:{port}", "--unit", str(UNIT), *arguments)

    return asyncio.run(both())


def points(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["point"]: one for one in report["points"]}


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_device_is_walked_and_its_profile_reads_it(base: int, tmp_path: Path) -> None:
    device = Device(
        base, common(65), VENDOR, model(103, INVERTER), inputs({"DCWH_SF": 0, "DCA_SF": MINUS_2}, [MODULE] * 2)
    )
    path = tmp_path / "made.toml"

    async def both() -> tuple[tuple[int, str, str], tuple[int, str, str]]:
        async with serving(device) as port:
            target = (f"tcp://127.0.0.1:{port}", "--unit", str(UNIT))
            made = await hakari("sunspec", *target, "--out", str(path), "--only-available", "--json")
            return made, await hakari("read", *target, "--profile", str(path), "--json")

    (code, out, err), (read_code, read_out, read_err) = asyncio.run(both())
    assert code == 0, err
    report = json.loads(out)
    assert report["base"] == base
    assert report["identity"]["serial"] == "S-1"
    assert [(one["model"], one["address"], bool(one["skipped"])) for one in report["models"]] == [
        (1, base + 2, False), (64061, base + 69, True), (103, base + 74, False), (160, base + 126, False),
    ]  # fmt: skip
    assert points(report)["energy_export"]["value"] == "12345670"
    assert points(report)["energy_export"]["address"] == base + 74 + 24
    assert points(report)["dc_current_2"]["value"] == "1.50"
    assert "dc_power" not in points(report)
    assert report["file"] == str(path)
    assert path.read_text() == report["profile"]
    assert read_code == 0, read_err
    again = points({"points": json.loads(read_out)["readings"]})
    assert {name: one["value"] for name, one in again.items()} == {
        name: one["value"] for name, one in points(report).items()
    }


def test_people_see_models_values_and_what_is_not_read() -> None:
    code, out, err = run(Device(40000, common(), VENDOR, model(103, INVERTER)))
    assert code == 0, err
    lines = out.splitlines()
    assert "maker_name: Maker" in lines
    assert any(line.split()[:3] == ["40070", "64061", "3"] and "not a model" in line for line in lines)
    assert any(line.split()[:5] == ["energy_export", "40099", "12345670", "Wh", "GOOD"] for line in lines)
    assert any(line.startswith("dc_power ") and "BAD" in line and "not available" in line for line in lines)
    assert lines[-1] == "--out FILE.toml writes the profile"


def test_a_model_of_another_length_is_refused_and_the_others_are_read() -> None:
    device = Device(40000, common(), model(103, INVERTER, 48), model(203, {"TotWhImp": 7, "TotWh_SF": 0}))
    code, out, err = run(device, "--json")
    assert code == 0, err
    report = json.loads(out)
    skipped = {one["model"]: one["skipped"] for one in report["models"] if one["skipped"]}
    assert skipped == {103: "has length 48 where its definition has 50; its layout is not guessed"}
    assert points(report)["energy_import"]["value"] == "7"
    assert "Model 103 at 40070 is not read: it has length 48" in report["notes"]
    assert not any("model 103" in one["manual"] for one in report["points"])


@pytest.mark.parametrize("kind", ["rtu-over-tcp", "rtu"])
def test_a_device_on_a_serial_line_is_walked(kind: str, tmp_path: Path) -> None:
    device = Device(50000, common(), VENDOR, model(203, {"TotWhImp": 7, "TotWh_SF": 0}))
    world = World(kind, tmp_path)

    async def both() -> tuple[int, str, str]:
        async with serving(device, FramerType.RTU) as port, world.line(port):
            target = f"rtu://{world.device}?baud=115200" if kind == "rtu" else f"rtu-over-tcp://127.0.0.1:{port}"
            return await hakari("sunspec", target, "--unit", str(UNIT), "--json")

    code, out, err = asyncio.run(both())
    assert code == 0, err
    assert points(json.loads(out))["energy_import"]["value"] == "7"


def test_a_counter_that_has_not_begun_stays_in_the_profile() -> None:
    raws = {"TotWhImp": 7, "TotWhExp": 0, "TotWh_SF": 0, "W": 0x8000, "W_SF": 0}
    code, out, err = run(Device(40000, common(), model(203, raws)), "--only-available", "--json")
    assert code == 0, err
    told = points(json.loads(out))
    assert told["energy_export"]["reason"] == "not accumulated"
    assert "active_power" not in told


def test_nothing_known_in_the_chain_ends_with_5() -> None:
    code, _, err = run(Device(40000, common(), VENDOR))
    assert code == 5
    assert "has no model that hakari reads; it has 1 at 40002, 64061 at 40070" in err


def test_a_device_without_the_mark_ends_with_5(tmp_path: Path) -> None:
    device = Device(40000, common())
    device.words[40001] = 0
    path = tmp_path / "made.toml"
    code, _, err = run(device, "--out", str(path))
    assert code == 5
    assert "no SunSpec mark 0x53756e53 at 40000: 0x53750000; 50000, 0: exception 2" in err
    assert not path.exists()


def test_nobody_there_ends_with_4() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        code, _, err = asyncio.run(hakari("sunspec", f"tcp://127.0.0.1:{taken.getsockname()[1]}"))
    assert code == 4
    assert "does not answer" in err


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "made.toml"
    path.write_text("mine")
    code, _, err = run(Device(40000, common(), model(103, INVERTER)), "--out", str(path))
    assert code == 6
    assert "exists and is not overwritten" in err
    assert path.read_text() == "mine"
