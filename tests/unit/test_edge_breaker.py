"""When a silent unit is asked again: next slot, then ever later, at most 30 s, for ever."""

from __future__ import annotations

from edge.reads.breaker import Breaker


def _probes(interval_ms: int, slots: int) -> list[int]:
    """The slots after the first silence in which it is asked again, always in vain."""
    breaker = Breaker(interval_ms)
    breaker.silent(0, "timeout")
    asked = []
    for slot in range(1, slots):
        began_ms = slot * interval_ms + slot % 3  # slots begin a little late
        if breaker.due(began_ms):
            asked.append(slot)
            breaker.silent(began_ms, "timeout")
    return asked


def test_the_wait_doubles_in_slots_up_to_thirty_seconds() -> None:
    assert _probes(1000, 130) == [1, 3, 7, 15, 31, 61, 91, 121]
    assert _probes(10_000, 12) == [1, 3, 6, 9]
    assert _probes(900_000, 5) == [1, 2, 3, 4]


def test_recovers_from_any_length_of_outage() -> None:
    breaker = Breaker(1000)
    for k in range(10_000):
        breaker.silent(k * 30_000, "timeout")
    assert breaker.due(9_999 * 30_000 + 30_000)
    breaker.answered()
    assert breaker.error == ""
    breaker.silent(400_000_000, "timeout")
    assert breaker.due(400_001_000)


def test_overdue_after_a_minute_without_room() -> None:
    breaker = Breaker(1000)
    breaker.silent(0, "timeout")
    assert not breaker.overdue(59_999)
    assert breaker.overdue(60_000)
