from __future__ import annotations

from edge.modbus.bus import Bus
from hakari.registers.requests import ReadRequest
from tests.simulation.lines import Script, good, read, wanted


def _third_slow(body: bytes, number: int) -> list[tuple[float, bytes]]:
    return [(0.505 if number == 2 else 0.01, good(body))]


def test_each_request_after_a_slow_one_is_given_its_own_answer() -> None:
    script = Script("tcp", _third_slow)

    async def use(bus: Bus) -> None:
        found = [(await read(bus, ReadRequest(1, 3, 10 * at, 2))).answer for at in range(20)]
        assert found == [wanted(ReadRequest(1, 3, 10 * at, 2)) if at != 2 else b"" for at in range(20)]

    script.run(use)
    assert script.connections == 1
