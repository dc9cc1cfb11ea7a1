from __future__ import annotations

import pytest

from edge.modbus.bus import Bus
from edge.modbus.rtu import RtuBus
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import crc
from tests.simulation.lines import Script, good, read, wanted

REQUEST = ReadRequest(1, 3, 10, 2)
BROADCAST = bytes.fromhex("00 06 0001 0002")
UNASKED = {
    "a broadcast": BROADCAST + crc(BROADCAST),
    "a neighbour's answer": good(bytes.fromhex("09 03 0000 0004")) + crc(good(bytes.fromhex("09 03 0000 0004"))),
    "noise": bytes.fromhex("ff 00 01 03 c8 7f"),
}


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp"])
@pytest.mark.parametrize("what", UNASKED)
def test_it_is_counted_and_our_own_answer_is_waited_for(what: str, kind: str) -> None:
    def answers(body: bytes, _: int) -> list[tuple[float, bytes]]:
        script.say(0.01, UNASKED[what])
        return [(0.02, good(body))]

    script = Script(kind, answers)

    async def use(bus: Bus) -> None:
        for number in range(1, 4):
            assert (await read(bus, REQUEST)).answer == wanted(REQUEST)
            assert isinstance(bus, RtuBus)
            assert bus.noise == number * len(UNASKED[what])

    script.run(use)
    assert script.connections == (1 if kind == "rtu-over-tcp" else 0)
