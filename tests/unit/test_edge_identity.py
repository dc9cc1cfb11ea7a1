"""A meter's identity: first seen, changed, explained; and what of it reaches the configuration."""

from __future__ import annotations

import msgspec
import pytest

from edge.commission.commissioning import check_identity
from edge.commission.examination import Fingerprint
from edge.commission.identity import (
    NOTE_SPOILT,
    Commissioned,
    Known,
    NoteUnreadable,
    commissioned_key,
    identity_key,
    judged,
    known_of,
    text_of_note,
    with_notes,
)
from edge.reload import configuration_in_force, keep_spoilt
from edge.spool import Spool
from hakari.registers.profile_hash import profile_sha256
from hakari.wire.configuration import Meter, MeteringConfiguration
from tests.unit.edge_display import PROFILE, meter

RAW = [("0703001400040a", "0308")]
FIELDS = {"serial": "A-100", "ct_ratio": "40"}


def configuration(*meters: Meter) -> MeteringConfiguration:
    return MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=500, meters=list(meters))


def commissioned(one: Meter, **changes: object) -> Commissioned:
    done = Commissioned(
        profile=profile_sha256(one.profile), bus=one.bus, unit=one.unit, serial=one.serial, fingerprint=FIELDS,
        points=["energy_import"], by="Ann", at_ms=1,
    )  # fmt: skip
    return msgspec.structs.replace(done, **changes)


def noted(one: Meter, done: Commissioned, known: Known | None = None) -> Meter:
    notes = {commissioned_key(one.id): text_of_note(done)}
    if known is not None:
        notes[identity_key(one.id)] = text_of_note(known)
    return with_notes(configuration(one), lambda key: notes.get(key, "")).meters[0]


def test_the_first_fingerprint_is_remembered_and_logged_with_its_words() -> None:
    found = judged(meter(serial="A-100"), None, FIELDS, RAW, 5)
    assert found.known == Known(FIELDS, serial="A-100")
    (event,) = found.events
    assert (event.kind, event.data["field.serial"], event.data["field.ct_ratio"]) == ("identity", "A-100", "40")
    assert event.data["raw.0"] == "0703001400040a 0308"
    assert judged(meter(), found.known, FIELDS, RAW, 6) == ("m1", None, [])


def test_a_change_suspends_is_logged_once_and_does_not_heal_by_itself() -> None:
    first = judged(meter(), None, FIELDS, RAW, 5).known
    changed = judged(meter(), first, {**FIELDS, "ct_ratio": "60"}, RAW, 6)
    assert changed.known is not None
    assert "ct_ratio was '40' and is '60'" in changed.known.suspended
    (event,) = changed.events
    assert (event.kind, event.data["before.ct_ratio"], event.data["after.ct_ratio"]) == ("identity-changed", "40", "60")
    assert changed.known.accepted == FIELDS
    for later in ({**FIELDS, "ct_ratio": "60"}, FIELDS):
        assert judged(meter(), changed.known, later, RAW, 7) == ("m1", None, [])
    third = judged(meter(), changed.known, {**FIELDS, "ct_ratio": "80"}, RAW, 8)
    assert third.events[0].data["after.ct_ratio"] == "80"
    assert third.known is not None
    assert third.known.suspended == changed.known.suspended


def test_a_field_that_was_not_told_changes_nothing_and_a_new_one_is_added() -> None:
    known = Known({"serial": "A-100"})
    assert judged(meter(), known, {}, [], 5).known is None
    grown = judged(meter(), known, FIELDS, RAW, 5)
    assert grown.known == Known(FIELDS)
    assert grown.events[0].data["field.ct_ratio"] == "40"


def test_a_meter_that_tells_nothing_is_logged_with_its_proof_once() -> None:
    found = judged(meter(identity_proof="seal 4711"), None, {}, [], 5)
    assert found.events[0].data["identity_proof"] == "seal 4711"
    assert judged(meter(), found.known, {}, [], 6).events == []


def test_notes_reach_the_configuration() -> None:
    one = meter()
    told = noted(one, commissioned(one), Known(FIELDS, suspended="ct_ratio was 1"))
    assert (told.commissioned, told.suspended) == (["energy_import"], "ct_ratio was 1")
    assert told.doubt("energy_import") == "suspended: ct_ratio was 1"


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "0" * 64},
        {"bus": "b2"},
        {"unit": 8},
        {"serial": "A-101"},
        {"fingerprint": {"serial": "B"}},
        {"place": "192.0.2.9:502"},
        {"identity_proof": "seal 9999"},
        {"fingerprint": {**FIELDS, "device.vendor": "C"}},
    ],
)
def test_another_profile_place_serial_or_fingerprint_voids_a_commissioning(change: dict[str, object]) -> None:
    one = meter()
    assert noted(one, commissioned(one), Known(FIELDS)).commissioned == ["energy_import"]
    told = noted(one, commissioned(one, **change), Known(FIELDS))
    assert told.commissioned == []
    assert "not commissioned" in told.doubt("energy_import")


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("exponent = -1", "exponent = -2", False),
        ("address = 0\n", "address = 6\n", False),
        ('word_order = "high_first"', 'word_order = "low_first"', False),
        ('source = "worked', 'notes = "page 7"\nsource = "re-worked', True),
        ('unit = "W"\n', 'unit = "W"\nevery = 15\nmanual = "page 9"\n', True),
    ],
)
def test_only_what_decides_a_value_is_part_of_a_profiles_hash(old: str, new: str, same: bool) -> None:
    assert old in PROFILE
    changed = meter(PROFILE.replace(old, new)).profile
    assert (profile_sha256(changed) == profile_sha256(meter().profile)) is same


def test_a_note_that_cannot_be_read_is_refused_by_name() -> None:
    with pytest.raises(NoteUnreadable, match="identity/m1"):
        with_notes(configuration(meter()), lambda key: "{" if key.startswith("identity/") else "")


def test_a_commissioning_does_not_hold_where_nothing_is_known_of_the_meter() -> None:
    assert noted(meter(), commissioned(meter())).commissioned == []


def test_a_spoilt_identity_note_suspends_until_a_person_settles_it() -> None:
    spool = Spool(":memory:")
    one = configuration(meter())
    known = Known(FIELDS, "ct_ratio was '40' and is '60'", {"ct_ratio": "60"})
    spool.put_note(identity_key("m1"), text_of_note(known))
    assert keep_spoilt(spool, ["m1"]) == []
    spool._db.execute("UPDATE note SET value=replace(value, 'ct_ratio', 'cu_ratio') WHERE key='identity/m1'")
    assert not spool.note(identity_key("m1"))
    assert keep_spoilt(spool, ["m1", "m2"]) == ["m1"]
    found = judged(meter(), known_of("m1", spool.note), FIELDS, RAW, 6)
    assert found.known is not None
    spool.put_note(identity_key("m1"), text_of_note(found.known))
    assert configuration_in_force(one, spool.note).configuration.meters[0].suspended == NOTE_SPOILT
    check_identity(meter(), found.known, Fingerprint(FIELDS, []))
