from __future__ import annotations

import asyncio

import pytest

from edge.modbus.bus import Bus
from hakari.registers.requests import ReadRequest
from tests.simulation.hostile import LATE_S
from tests.simulation.lines import Script, good, read, wanted

TEN, NINE_HUNDRED = ReadRequest(1, 3, 10, 1), ReadRequest(1, 3, 999, 1)


def _late_first(body: bytes, number: int) -> list[tuple[float, bytes]]:
    return [(0.6 if number == 0 else 0.3, good(body))]


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp"])
def test_address_999_is_never_given_the_value_of_address_10(kind: str) -> None:
    async def use(bus: Bus) -> None:
        assert (await read(bus, TEN)).error == "timeout"
        answers = []
        for _ in range(30):
            answers.append((await read(bus, NINE_HUNDRED)).answer)
            await asyncio.sleep(LATE_S / 20)
        assert set(answers) == {b"", wanted(NINE_HUNDRED)}
        assert answers[-1] == wanted(NINE_HUNDRED)

    Script(kind, _late_first).run(use)
