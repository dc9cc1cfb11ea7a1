"""A refused register is BAD with its reason in every slot, whether it was asked in that slot or not."""

from __future__ import annotations

from decimal import Decimal

from hakari.quality import Quality
from hakari.registers.decode import decode_sample
from hakari.registers.profile import Span
from hakari.registers.reading import Reading
from tests.unit.edge_lines import Device, Plant, counter, gauge, profile_of

PROFILE = profile_of([counter(0), gauge(4), counter(6)], [Span("holding", 0, 8)])


def _readings(plant: Plant) -> dict[str, list[Reading]]:
    blocks = [(bytes.fromhex(b.request), bytes.fromhex(b.answer), b.error) for b in plant.slot().blocks]
    found: dict[str, list[Reading]] = {}
    for reading in (one for block in decode_sample(PROFILE, "m1", blocks) for one in block):
        found.setdefault(reading.point, []).append(reading)
    return found


def test_a_register_that_is_refused_alone_is_bad_in_every_slot() -> None:
    plant = Plant({1: Device(holes=frozenset({6, 7}))}, PROFILE)
    for _ in range(4):
        found = _readings(plant)
        assert {reading.quality for reading in found["c6"]} == {Quality.BAD}
        assert {reading.value for reading in found["c6"]} == {None}
        assert all("exception 2 (illegal data address)" in reading.reason for reading in found["c6"])
        assert [one.value for one in found["c0"] if one.quality is Quality.GOOD] == [Decimal(0x00010203)]
        assert [one.quality for one in found["g4"] if one.quality is Quality.GOOD] == [Quality.GOOD]
