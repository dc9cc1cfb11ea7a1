"""Another configuration at run time, in the log: what was read under the old one stays under the old one."""

from __future__ import annotations

import msgspec
import pytest

from edge.log import event_batches
from edge.reload import changed
from edge.spool import Spool
from hakari.wire.configuration import (
    MAX_TEXT_CHARS,
    ConfigurationMalformed,
    MeteringConfiguration,
    sha256_of,
    text_of,
)
from hakari.wire.leaf import MAX_LEAF_BYTES, Event
from tests.unit.edge_display import meter
from tests.unit.test_edge_log import CONFIGURATION, PUBLIC, assert_sound, at, leaves, log_on, sample

START_MS = 1_700_000_000_000
BEFORE = MeteringConfiguration(v=1, edge="sola-e1", interval_ms=1000, max_lag_ms=500, meters=[])
AFTER = msgspec.structs.replace(BEFORE, interval_ms=2000, meters=[meter()])


def test_fault_11_open_samples_are_cut_under_the_old_hash_and_the_next_are_read_under_the_new() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(START_MS))
    log.add_sample(sample(START_MS + 1000), at(START_MS + 1000), 10)
    log.reconfigure(text_of(AFTER), at(START_MS + 2000), [Event("configuration", START_MS + 2000)])
    log.add_sample(sample(START_MS + 2000), at(START_MS + 2000), 1)
    told = [
        (leaf.cfg, "samples" if leaf.samples else "part" if leaf.configuration else leaf.events[0].kind)
        for leaf in leaves(spool, START_MS // 1000)
    ]
    old, new = sha256_of(CONFIGURATION), sha256_of(text_of(AFTER))
    assert told == [
        (old, "start"), (old, "part"), (old, "samples"), (new, "configuration"), (new, "part"), (new, "samples"),
    ]  # fmt: skip
    assert_sound(spool, PUBLIC)
    second = log.fork("mark", at(START_MS + 3000))
    assert {leaf.cfg for leaf in leaves(spool, second)} == {new}


def test_the_same_configuration_again_only_logs_the_events() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(START_MS))
    log.add_sample(sample(START_MS + 1000), at(START_MS + 1000), 10)
    log.reconfigure(CONFIGURATION, at(START_MS + 2000), [Event("identity", START_MS + 2000)])
    log.reconfigure(CONFIGURATION, at(START_MS + 2000))
    assert len(leaves(spool, START_MS // 1000)) == 3
    assert spool.sample_count() == 1


def test_a_configuration_too_long_to_log_changes_nothing() -> None:
    spool = Spool(":memory:")
    log = log_on(spool)
    log.start(CONFIGURATION, at(START_MS))
    with pytest.raises(ConfigurationMalformed, match="read less"):
        log.reconfigure("x" * (MAX_TEXT_CHARS + 1), at(START_MS + 1000), [Event("configuration", START_MS)])
    assert len(leaves(spool, START_MS // 1000)) == 2
    log.add_sample(sample(START_MS + 2000), at(START_MS + 2000), 1)
    assert leaves(spool, START_MS // 1000)[-1].cfg == sha256_of(CONFIGURATION)


def test_many_events_are_parted_among_leaves() -> None:
    events = [Event("identity", START_MS, {"raw": "x" * 2000, "meter": str(number)}) for number in range(60)]
    batches = event_batches(events)
    assert [event for batch in batches for event in batch] == events
    assert len(batches) > 1
    assert all(len(msgspec.json.encode(batch)) < MAX_LEAF_BYTES for batch in batches)
    assert event_batches([]) == []


def test_the_event_tells_what_a_new_configuration_changes() -> None:
    moved = msgspec.structs.replace(AFTER, meters=[msgspec.structs.replace(meter(), unit=9)])
    assert changed(BEFORE, AFTER, 9).data == {
        "before": sha256_of(text_of(BEFORE)), "after": sha256_of(text_of(AFTER)), "added": "m1",
        "interval_ms": "1000 2000",
    }  # fmt: skip
    assert changed(AFTER, moved, 9).data["changed"] == "m1"
    assert changed(AFTER, BEFORE, 9).data["removed"] == "m1"
