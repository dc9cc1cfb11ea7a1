"""A meter as a bus of its own: registers, what it refuses alone, what it tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.library import read
from edge.modbus.bus import Exchange
from hakari.clock import PlantClock, PlantTime
from hakari.registers.profile import Profile
from hakari.registers.requests import ReadRequest, refusal
from hakari.wire.configuration import Meter

PROFILE = """
id = "case-meter"
maker = "Case"
model = "Meter 1"
source = "worked by hand for this test"
standing = "one-source"
proof = "constructed"

[[spans]]
table = "holding"
start = 0
count = 40

[[points]]
name = "energy_import"
address = 0
type = "u32"
kind = "counter"
unit = "kWh"
exponent = -1
word_order = "high_first"

[[points]]
name = "energy_export"
address = 2
type = "u32"
kind = "counter"
unit = "kWh"
exponent = -1
word_order = "high_first"

[[points]]
name = "active_power"
address = 4
type = "i16"
kind = "gauge"
unit = "W"

[[points]]
name = "voltage_l1"
address = 5
type = "u16"
kind = "gauge"
unit = "V"
exponent = -1

[[points]]
name = "serial"
address = 20
type = "string"
words = 4
kind = "identity"

[[points]]
name = "ct_ratio"
address = 30
type = "u16"
kind = "identity"
"""
REGISTERS = {
    0: 1, 1: 7500, 2: 0, 3: 410, 4: 2300, 5: 2304,
    **{20 + k: int.from_bytes(b"A-100\0\0\0"[2 * k : 2 * k + 2], "big") for k in range(4)}, 30: 40,
}  # fmt: skip


def profile(**changes: str) -> Profile:
    """The test's profile; `changes` replaces texts of its TOML."""
    text = PROFILE
    for old, new in changes.items():
        text = text.replace(old, new)
    return read(text, "case profile")


def meter(text: str = PROFILE, **fields: str) -> Meter:
    """The meter m1, unit 7, with that profile."""
    return Meter(id="m1", bus="b1", unit=7, serial=fields.get("serial", ""), profile=read(text, "case profile"),
                 identity_proof=fields.get("identity_proof", ""))  # fmt: skip


class Clock:
    """Plant time that moves on by a second a look."""

    def __init__(self) -> None:
        self.wall_ms = 1_700_000_000_000

    def now(self) -> PlantTime:
        self.wall_ms += 1000
        return PlantTime(self.wall_ms, self.wall_ms - 1_699_999_999_000, "synchronised")


class DisplayBus:
    """A bus with one meter. `alone` are addresses that a read of just them refuses, though longer ones succeed."""

    protocol = "modbus-tcp"

    def __init__(self, registers: Mapping[int, int] = REGISTERS) -> None:
        self.registers = dict(registers)
        self.alone: set[int] = set()
        self.error = ""
        self.device: dict[int, str] = {}
        self.asked: list[ReadRequest] = []
        self.identified = 0

    async def read(self, request: ReadRequest, clock: PlantClock) -> Exchange:
        self.asked.append(request)
        now = clock.now()
        answer, error = self._answer(request)
        return Exchange(request.encode(), answer, error, now.wall_ms, now.mono_ms, 900)

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        self.identified += 1
        now = clock.now()
        told = [(n, t.encode()) for n, t in self.device.items() if n >= object_id]
        objects = b"".join(bytes((n, len(t))) + t for n, t in told)
        answer = bytes((0x2B, 0x0E, 1, 1, 0, 0, len(told))) + objects if self.device else b"\xab\x01"
        error = "" if self.device else "exception 1 (illegal function)"
        return Exchange(bytes((unit, 0x2B, 0x0E, 1, object_id)), answer, error, now.wall_ms, now.mono_ms, 900)

    def close(self) -> None:
        return

    def _answer(self, request: ReadRequest) -> tuple[bytes, str]:
        if self.error:
            return b"", self.error
        wanted = range(request.address, request.address + request.count)
        if set(wanted) <= self.alone:
            answer = bytes((request.function | 0x80, 2))
            return answer, refusal(request, answer)
        words = b"".join(self.registers.get(at, 0).to_bytes(2, "big") for at in wanted)
        return bytes((request.function, len(words))) + words, ""


def own_profile(folder: Path) -> str:
    """The test's profile as a user's file without proof in `folder`; its name."""
    (folder / "own.toml").write_text(PROFILE.replace('proof = "constructed"\n', ""))
    return "own.toml"
