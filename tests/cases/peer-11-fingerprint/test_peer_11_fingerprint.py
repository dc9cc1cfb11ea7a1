"""A firmware that changed overnight suspends the meter, though every register still gives a likely value."""

from __future__ import annotations

import asyncio

from edge.commission.examination import DAY_MS, Identities
from edge.commission.identity import identity_key, text_of_note, with_notes
from hakari.wire.configuration import MeteringConfiguration
from hakari.wire.leaf import Block, Sample
from tests.unit.edge_display import Clock, DisplayBus, meter

SLOT_MS = 19_000 * DAY_MS
CONFIGURATION = MeteringConfiguration(v=1, edge="sola-e1", interval_ms=900_000, max_lag_ms=500, meters=[meter()])


def slot(slot_ms: int) -> Sample:
    return Sample(slot_ms, 1, [Block("m1", "modbus-tcp", "070300000002", slot_ms, 900, "030400011d4c")])


def test_another_firmware_at_the_first_slot_of_a_day_suspends_the_meter() -> None:
    bus, notes = DisplayBus(), dict[str, str]()
    bus.device = {0: "Case", 2: "V1.04"}
    identities = Identities(lambda key: notes.get(key, ""))
    identities.configure(CONFIGURATION)

    def examined(slot_ms: int) -> str:
        for found in asyncio.run(identities.after_sample(slot(slot_ms), {"b1": bus}, Clock(), 900, 0.0)):
            assert found.known is not None
            notes[identity_key(found.meter)] = text_of_note(found.known)
        return with_notes(CONFIGURATION, lambda key: notes.get(key, "")).meters[0].suspended

    assert examined(SLOT_MS) == ""
    bus.device = {0: "Case", 2: "V2.00"}
    assert examined(SLOT_MS + 900_000) == ""
    assert "device.revision was 'V1.04' and is 'V2.00'" in examined(SLOT_MS + DAY_MS)
    bus.device = {0: "Case", 2: "V1.04"}
    assert "device.revision was 'V1.04'" in examined(SLOT_MS + 2 * DAY_MS)
