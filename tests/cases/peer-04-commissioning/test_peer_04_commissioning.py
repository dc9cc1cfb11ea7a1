"""A register that is refused alone is not commissioned, though a longer read gives it a value that fits the display."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.commission.commission import NOT_BACKED, Record
from edge.commission.commissioning import Commissioning, Inspected, Stopped, commission
from edge.commission.identity import identity_key
from edge.log import EdgeLog
from edge.reads.learned import parse
from edge.reads.plan import planned_of
from edge.reads.sampling import note_key
from edge.settings import BusTable, EdgeTable, Settings
from edge.spool import Spool
from hakari.mqtt import BrokerSettings
from hakari.wire.configuration import MeteringConfiguration
from tests.unit.edge_display import Clock, DisplayBus, meter
from tests.unit.test_edge_log import KEY

HOW = Commissioning(Record("Ann"), {}, 0.0, accept_coarse=True)
SHOWN = {"energy_import": "7303.6", "energy_export": "41.0", "active_power": "2300", "voltage_l1": "230.4"}
VOLTAGE = 5
SETTINGS = Settings(
    EdgeTable("plant.example", "sola", "e1", "edge.pem", "owner", "roster.note", "edge.spool", 900),
    BrokerSettings(host="broker.example"),
    [BusTable("b1", host="192.0.2.1")],
    [],
)


class Edge(Stopped):
    """A stopped edge whose meter is on a bus of the test's."""

    bus: DisplayBus

    def bus_of(self, _: object) -> DisplayBus:
        return self.bus


def inspected(bus: DisplayBus) -> Inspected:
    spool = Spool(":memory:")
    one = MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=500, meters=[meter()])
    log = EdgeLog(spool, KEY, "plant.example", "sola-e1", "00000000000000aa", "hakari test")
    edge = Edge(SETTINGS, Path(), one, spool, log, Clock())
    Edge.bus = bus
    return asyncio.run(commission(edge, meter(), lambda *_: SHOWN, HOW))


def test_a_register_refused_alone_is_not_backed_and_is_read_across_no_more() -> None:
    bus = DisplayBus()
    bus.alone = {VOLTAGE}
    done = inspected(bus)
    (voltage,) = [one for one in done.result.points if one.verdict == NOT_BACKED]
    assert (voltage.point, voltage.register, voltage.display) == ("voltage_l1", "230.4", "230.4")
    assert (done.result.matched, done.result.ok) == (["energy_import", "energy_export", "active_power"], False)
    learned = parse(done.notes[note_key("m1")], meter())
    asked = [(one.request.address, one.request.count) for one in planned_of(meter().profile, 7, learned)]
    assert (VOLTAGE, 1) in asked
    assert not [one for one in asked if one[0] < VOLTAGE < sum(one)]


def test_a_register_that_is_there_alone_matches() -> None:
    done = inspected(DisplayBus())
    assert (done.result.matched, done.result.ok) == (list(SHOWN), True)
    assert note_key("m1") not in done.notes
    assert identity_key("m1") in done.notes
