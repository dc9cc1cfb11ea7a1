from __future__ import annotations

import pytest

from edge.modbus.bus import Bus
from edge.modbus.rtu import RtuBus
from edge.modbus.waits import Waits
from edge.settings import BusTable
from hakari.registers.requests import ReadRequest
from tests.simulation.lines import Script, good, read, wanted

ANSWER_S = 0.01
GAPS_S = {1200: 3.5 * 10 / 1200, 9600: 3.5 * 10 / 9600, 115200: 0.00175}
REQUESTS = [ReadRequest(unit, 3, 10, 2) for unit in (1, 2, 1)]


class Paced(Script):
    baud: object = 9600

    def bus(self, waits: Waits | None = None) -> Bus:
        place = BusTable(id="b", kind="rtu", device="memory", baud_rate=self.baud)  # type: ignore[arg-type]
        return RtuBus(place, waits or Waits(), self.line)


@pytest.mark.parametrize("baud", GAPS_S)
def test_line_is_silent_before_every_request_and_longer_where_a_meter_needs_it(baud: int) -> None:
    script = Paced("rtu", lambda body, _: [(ANSWER_S + 8 * 10 / baud, good(body))])
    script.baud = baud

    async def use(bus: Bus) -> None:
        for request in REQUESTS:
            assert (await read(bus, request)).answer == wanted(request)

    script.run(use, Waits(gap_ms_by_unit={1: 500}))
    first, second, third = (at for at, _ in script.heard)
    assert second - first - ANSWER_S - 8 * 10 / baud == pytest.approx(GAPS_S[baud], abs=1e-6)
    assert third - first - ANSWER_S - 8 * 10 / baud == pytest.approx(0.5, abs=0.001)
