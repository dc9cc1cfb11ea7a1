"""Whose messages leave a full quarantine."""

from __future__ import annotations

import pytest

from hakari.store.quarantine_room import Entry, sender_of, to_drop


@pytest.mark.parametrize(
    ("source", "sender"),
    [
        ("logger: a: b.csv", "logger"),
        ("hakari/v1/batch/00/sola-e1", "sola-e1"),
        ("plant.example/sola/e1/1700000000", "sola-e1"),
        ("somewhere", "somewhere"),
    ],
)
def test_whose_message_it_is(source: str, sender: str) -> None:
    assert sender_of(source) == sender


def test_nothing_goes_while_there_is_room() -> None:
    assert to_drop([Entry(1, "a", 9), Entry(2, "a", 9)], 2, 18) == []


def test_who_takes_most_gives_up_its_oldest_in_messages_and_in_bytes() -> None:
    small = [Entry(1, "quiet: x", 10), Entry(2, "hakari/v1/batch/00/sola-e1", 10)]
    many = [Entry(k, f"loud: {k}", 1) for k in range(3, 10)]
    assert to_drop([*small, *many], 5, 1000) == [3, 4, 5, 6]
    large = [Entry(k, f"loud: {k}", 100) for k in range(3, 6)]
    assert to_drop([*small, *large], 100, 150) == [3, 4]


def test_a_hundredth_is_freed_at_once() -> None:
    entries = [Entry(k, f"loud: {k}", 0) for k in range(10_001)]
    assert to_drop(entries, 10_000, 1) == list(range(101))
