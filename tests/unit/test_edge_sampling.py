"""Sampling of a whole configuration: lines side by side, what stays and what is forgotten with a new configuration."""

from __future__ import annotations

import asyncio

import msgspec

from edge.reads.sampling import Sampling, timeouts_of
from edge.settings import BusTable
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import MAX_LEAF_BYTES, Event
from tests.unit.edge_lines import (
    INTERVAL_MS,
    SLOT_MS,
    Device,
    FakeLine,
    Hands,
    Plant,
    counter,
    errors,
    gauge,
    profile_of,
)

ONE = profile_of([gauge(0), counter(50)])


def test_lines_are_read_side_by_side_and_blocks_stand_in_the_configurations_order() -> None:
    hands = Hands()
    lines = {name: FakeLine(hands, {1: Device(), 2: Device()}) for name in ("x", "y")}
    order: list[str] = []
    for name, line in lines.items():
        line.asked = _Log(order, name)  # type: ignore[assignment]
    meters = [Meter(f"{bus}{unit}", bus, unit, "", ONE) for unit in (1, 2) for bus in ("y", "x")]
    configuration = MeteringConfiguration(1, "sola-e1", INTERVAL_MS, 60_000, meters)
    sample = asyncio.run(Sampling(configuration, lines, hands).sample(SLOT_MS))
    assert [block.meter for block in sample.blocks] == ["y1", "y1", "x1", "x1", "y2", "y2", "x2", "x2"]
    assert order[:4] == ["y", "x", "y", "x"]


class _Log(list[object]):
    """Notes which line was asked."""

    def __init__(self, order: list[str], name: str) -> None:
        self._order, self._name = order, name

    def append(self, item: object) -> None:
        super().append(item)
        self._order.append(self._name)


def test_a_silent_line_does_not_touch_another() -> None:
    hands = Hands()
    lines = {"x": FakeLine(hands, {1: Device()}), "y": FakeLine(hands, {1: Device()})}
    lines["x"].closed = "connection: refused; see what listens there"
    meters = [Meter(bus, bus, 1, "", ONE) for bus in lines]
    sampling = Sampling(MeteringConfiguration(1, "sola-e1", INTERVAL_MS, 60_000, meters), lines, hands)
    told = errors(asyncio.run(sampling.sample(SLOT_MS)))
    assert [error for meter, error in told if meter == "y"] == ["", ""]
    assert [bool(error) for meter, error in told if meter == "x"] == [True, True]


def test_a_new_configuration_keeps_what_is_known_of_a_meter_that_stays() -> None:
    plant = Plant({1: Device(most=1), 2: Device(silent=True)}, profile_of([gauge(0), gauge(1)]))
    plant.slot()
    assert [lesson.meter for lesson in plant.sampling.lessons()] == ["m1"]
    meters = [msgspec.structs.replace(meter, commissioned=["g0"]) for meter in plant.configuration.meters]
    plant.sampling.reconfigure(msgspec.structs.replace(plant.configuration, meters=meters))
    plant.line.taken()
    plant.slot()
    assert plant.line.taken() == [(1, 0, 1), (1, 1, 1), (2, 0, 2)]
    assert plant.sampling.lessons() == []


def test_a_replaced_meter_is_known_no_more() -> None:
    plant = Plant({1: Device(most=1)}, profile_of([gauge(0), gauge(1)]))
    plant.slot()
    meters = [msgspec.structs.replace(meter, serial="NEW-1") for meter in plant.configuration.meters]
    plant.sampling.reconfigure(msgspec.structs.replace(plant.configuration, meters=meters))
    assert plant.sampling.lessons() == []
    plant.line.taken()
    plant.slot()
    assert plant.line.taken()[0] == (1, 0, 2)


def test_a_lesson_fits_the_log() -> None:
    holes = frozenset(range(0, 60, 2))
    plant = Plant({1: Device(holes=holes)}, profile_of([gauge(address) for address in range(60)]))
    for _ in range(10):
        plant.slot()
    (lesson,) = plant.sampling.lessons()
    event = lesson.event(SLOT_MS)
    assert event.kind == "learned"
    assert (event.data["meter"], len(event.data["what"])) == ("m1", 2000)
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
    assert len(lesson.text) < MAX_LEAF_BYTES


def test_timeouts_by_bus() -> None:
    assert timeouts_of([BusTable(id="x", timeout_s=0.3), BusTable(id="y")]) == {"x": 0.3, "y": 1.0}
