"""Examining meters: who answers, what a refusal and a silence mean, and when it is done."""

from __future__ import annotations

import asyncio

import msgspec

from edge.commission.examination import DAY_MS, PATIENCE_MS, Identities, Rounds, asks_device, examine, told_in
from edge.commission.identity import NOT_EXAMINED, Known, identity_key, text_of_note, with_notes
from edge.modbus.bus import Exchange
from hakari.clock import PlantClock
from hakari.wire.configuration import Meter, MeteringConfiguration
from hakari.wire.leaf import Block, Sample
from tests.unit.edge_display import PROFILE, REGISTERS, Clock, DisplayBus, meter

SLOT_MS = 19_000 * DAY_MS
FIELDS = {"serial": "A-100", "ct_ratio": "40"}


def sample(slot_ms: int, serial: str = "A-100", error: str = "") -> Sample:
    words = serial.encode().ljust(8, b"\0").hex()
    block = Block("m1", "modbus-tcp", "070300140004", slot_ms, 900, "" if error else f"0308{words}", error)
    return Sample(slot_ms, 1, [block])


def identities(known: Known | None = None) -> Identities:
    notes = {} if known is None else {identity_key("m1"): text_of_note(known)}
    found = Identities(lambda key: notes.get(key, ""))
    found.configure(MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=500, meters=[meter()]))
    return found


def test_a_fingerprint_is_every_identity_register_and_the_device_identification() -> None:
    bus = DisplayBus()
    bus.device = {0: "Case", 2: "V1.04"}
    found = asyncio.run(examine(bus, meter(), Clock()))
    assert found is not None
    assert found.fields == {**FIELDS, "device.vendor": "Case", "device.revision": "V1.04"}
    assert [(one.address, one.count) for one in bus.asked] == [(20, 4), (30, 1)]
    assert found.raw[0] == ("070300140004", "0308412d313030000000")
    assert len(found.raw) == 3


def test_what_the_meter_does_not_have_is_part_of_it_and_silence_is_none() -> None:
    bus = DisplayBus()
    bus.alone = {30}
    found = asyncio.run(examine(bus, meter(), Clock()))
    assert found is not None
    assert found.fields["ct_ratio"].startswith("refused: exception 2")
    assert "device.vendor" not in found.fields
    for error in ("timeout", "exception 6 (server device busy)", "exception 11 (gateway target device failed)"):
        bus.error = error
        assert asyncio.run(examine(bus, meter(), Clock())) is None


def test_a_running_edge_asks_for_device_identification_only_where_a_silence_costs_nothing() -> None:
    assert not asks_device(None, 1)
    assert asks_device(None, 900)
    assert not asks_device(Known(FIELDS), 900)
    assert asks_device(Known({**FIELDS, "device.vendor": "Case"}), 1)


def test_meters_are_due_at_the_start_and_at_the_first_slot_of_a_day_once_they_answer() -> None:
    rounds = Rounds()
    due: list[int] = []
    for slot_ms, error in ((SLOT_MS + 5, "timeout"), (SLOT_MS + 6, ""), (SLOT_MS + 7, ""), (SLOT_MS + DAY_MS, "")):
        rounds.begin(slot_ms, ["m1"])
        due += [slot_ms for _ in rounds.due(sample(slot_ms, error=error), lambda: True)]
    assert due == [SLOT_MS + 6, SLOT_MS + DAY_MS]


def test_without_room_in_the_interval_a_meter_waits_an_hour_at_most() -> None:
    rounds = Rounds()
    rounds.begin(SLOT_MS, ["m1"])
    assert list(rounds.due(sample(SLOT_MS), lambda: False)) == []
    late_ms = SLOT_MS + PATIENCE_MS + 1
    assert list(rounds.due(sample(late_ms), lambda: False)) == ["m1"]


def test_a_round_remembers_the_meter_and_finds_it_changed_a_day_later() -> None:
    bus, found = DisplayBus(), identities()
    (first,) = asyncio.run(found.after_sample(sample(SLOT_MS), {"b1": bus}, Clock(), 900, 0.0))
    assert first.known is not None
    assert first.known.accepted == FIELDS
    bus.registers[30] = 60
    assert asyncio.run(found.after_sample(sample(SLOT_MS + 1), {"b1": bus}, Clock(), 900, 0.0)) == []
    (changed,) = asyncio.run(found.after_sample(sample(SLOT_MS + DAY_MS), {"b1": bus}, Clock(), 900, 0.0))
    assert changed.events[0].kind == "identity-changed"


def test_a_meter_that_stops_to_answer_changes_nothing_and_is_due_again() -> None:
    bus, found = DisplayBus(), identities(Known(FIELDS))
    bus.error = "timeout"
    assert asyncio.run(found.after_sample(sample(SLOT_MS), {"b1": bus}, Clock(), 900, 0.0)) == []
    bus.error, bus.registers = "", {**REGISTERS, 30: 60}
    (changed,) = asyncio.run(found.after_sample(sample(SLOT_MS + 900_000), {"b1": bus}, Clock(), 900, 0.0))
    assert changed.known is not None
    assert changed.known.suspended


def test_fault_17_another_serial_in_a_sample_is_seen_before_that_sample_counts() -> None:
    found = identities(Known(FIELDS))
    assert found.in_sample(sample(SLOT_MS)) == []
    (changed,) = found.in_sample(sample(SLOT_MS + 1, serial="B-200"))
    assert changed.known is not None
    assert "serial was 'A-100' and is 'B-200'" in changed.known.suspended
    assert found.in_sample(sample(SLOT_MS + 2, serial="B-200")) == []


def test_a_register_refused_alone_is_not_believed_inside_a_longer_read() -> None:
    known = Known({"serial": "refused: exception 2 (illegal data address)"})
    assert told_in(meter(), known, sample(SLOT_MS).blocks) == {}


DEVICE = Known({"device.vendor": "Case", "device.revision": "V1.04"})


class SilentBus(DisplayBus):
    """A meter that leaves device identification unanswered."""

    async def identify(self, unit: int, clock: PlantClock, object_id: int = 0) -> Exchange:
        found = await super().identify(unit, clock, object_id)
        return found._replace(answer=b"", error="timeout")


def unnamed() -> Meter:
    return meter(PROFILE[: PROFILE.index('[[points]]\nname = "serial"')])


def by_device(one: Meter) -> MeteringConfiguration:
    return MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=500, meters=[one])


def known_by_device() -> Identities:
    found = Identities(lambda key: text_of_note(DEVICE) if key == identity_key("m1") else "")
    found.configure(by_device(unnamed()))
    return found


def examined(found: Identities, bus: DisplayBus, slot_ms: int) -> list[str]:
    told = asyncio.run(found.after_sample(sample(slot_ms), {"b1": bus}, Clock(), 900, 0.0))
    return [one.known.suspended for one in told if one.known is not None]


def test_a_meter_that_refuses_the_device_identification_it_gave_once_is_suspended() -> None:
    (told,) = examined(known_by_device(), DisplayBus(), SLOT_MS)
    assert "device.revision was 'V1.04' and is 'no longer told'" in told


def test_a_meter_that_leaves_it_unanswered_three_times_is_suspended_and_a_dead_one_is_not() -> None:
    found, bus = known_by_device(), SilentBus()
    assert asyncio.run(found.before_first({"b1": bus}, Clock(), 900)) == []
    assert [examined(found, bus, SLOT_MS + k) for k in range(2)] == [[], []]
    assert found.unexamined == {"m1"}
    assert "no longer told" in examined(found, bus, SLOT_MS + 2)[0]
    assert found.unexamined == frozenset()


def test_a_meter_known_by_device_identification_alone_is_unexamined_until_it_was_asked() -> None:
    found, bus = known_by_device(), DisplayBus()
    note = {identity_key("m1"): text_of_note(DEVICE)}
    bus.device = {0: "Case", 2: "V1.04"}
    assert with_notes(by_device(unnamed()), lambda key: note.get(key, ""),
                      found.unexamined).meters[0].suspended == NOT_EXAMINED  # fmt: skip
    assert asyncio.run(found.before_first({"b1": bus}, Clock(), 900)) == []
    assert found.unexamined == frozenset()
    assert identities(Known(FIELDS)).unexamined == frozenset()


def test_a_meter_that_is_moved_at_run_time_is_examined_anew_at_once() -> None:
    found, bus = known_by_device(), DisplayBus()
    bus.device = {0: "Case", 2: "V1.04"}
    assert examined(found, bus, SLOT_MS) == []
    bus.device = {0: "Other", 2: "V1.04"}
    assert examined(found, bus, SLOT_MS + 1) == []
    found.configure(by_device(msgspec.structs.replace(unnamed(), place="192.0.2.9:502")))
    assert found.unexamined == {"m1"}
    assert "'Case' and is 'Other'" in examined(found, bus, SLOT_MS + 2)[0]
