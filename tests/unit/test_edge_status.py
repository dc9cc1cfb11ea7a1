"""`hakari edge status --check`: whether an edge samples, as a supervisor asks."""

from __future__ import annotations

import msgspec
import pytest

from edge.buffer import stopped_text
from edge.status import MIN_SILENCE_S, MISSED_SLOTS, NotSampling, Status, check_sampling, shown
from hakari.errors import NOT_REACHABLE

NOW_MS = 1_467_356_400_000


def told(last_slot_ms: int) -> Status:
    return Status("sola-e1", "broker not reachable", 0, last_slot_ms, [], 7, 0)


@pytest.mark.parametrize(("interval_s", "ago_s"), [(900, 0), (900, MISSED_SLOTS * 900), (1, MIN_SILENCE_S), (60, 180)])
def test_an_edge_that_samples_is_well_though_its_broker_is_away(interval_s: int, ago_s: int) -> None:
    check_sampling(told(NOW_MS - ago_s * 1000), interval_s, NOW_MS)


@pytest.mark.parametrize(("interval_s", "ago_s"), [(900, MISSED_SLOTS * 900 + 1), (1, MIN_SILENCE_S + 1), (60, -181)])
def test_an_edge_that_does_not_is_not(interval_s: int, ago_s: int) -> None:
    with pytest.raises(NotSampling, match="sola-e1 sampled last at 2016-0") as caught:
        check_sampling(told(NOW_MS - ago_s * 1000), interval_s, NOW_MS)
    assert caught.value.exit_code == NOT_REACHABLE


def test_an_edge_that_never_did_says_so() -> None:
    with pytest.raises(NotSampling, match=r"^sola-e1 sampled nothing yet: it has just started, does not run, or hangs"):
        check_sampling(told(0), 900, NOW_MS)
    assert "sampled nothing yet" in shown(told(0))


def test_the_clock_s_state_and_held_samples_are_shown() -> None:
    assert "clock unsynchronised, 3 samples are held until the time is known" in shown(_held())


def _held() -> Status:
    return Status("sola-e1", "connected", 0, NOW_MS, [], 0, 3, "unsynchronised", 3, 5.0)


def test_where_no_clock_is_known_the_monotonic_one_tells_whether_it_samples() -> None:
    check_sampling(_held(), 900, 17_000)
    with pytest.raises(NotSampling):
        check_sampling(msgspec.structs.replace(_held(), sampled_ago_s=MISSED_SLOTS * 900 + 1.0), 900, NOW_MS)


def test_samples_that_are_held_are_samples() -> None:
    held = msgspec.structs.replace(_held(), last_slot_ms=0, sampled_ago_s=1.2)
    assert "sampled 1 s ago, held until the time is known" in shown(held)
    assert "sampled nothing" not in shown(held)
    check_sampling(held, 900, NOW_MS)


def test_a_full_disk_is_told_in_place_of_silence() -> None:
    full = msgspec.structs.replace(told(NOW_MS), stopped=stopped_text(64_000_000, 12_000_000))
    assert "\nsampling stopped: 12 MB free, reserve 64 MB" in shown(full)
    with pytest.raises(NotSampling, match=r"^sola-e1: sampling stopped: 12 MB free, reserve 64 MB"):
        check_sampling(full, 900, NOW_MS)
