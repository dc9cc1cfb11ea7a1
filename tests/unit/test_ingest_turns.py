"""Live data and backlogs are fed in turn: neither waits for the end of the other."""

from __future__ import annotations

import pytest

from hakari.names import Origin
from ingest.view.turns import LIVE_TURNS, Turns

BACKLOGS = [Origin("n.example", f"old{k:03d}-e1", 1) for k in range(100)]
LIVE = [Origin("n.example", f"live{k:02d}-e1", 1) for k in range(20)]


def test_a_live_leaf_is_fed_within_a_few_steps_of_a_hundred_backlogs() -> None:
    turns = Turns()
    for origin in BACKLOGS:
        turns.remains(origin)
    steps: list[Origin] = []
    for _ in range(50):
        turns.grew([LIVE[0]])
        while True:
            steps.append(turns.next())
            if steps[-1] == LIVE[0]:
                break
            turns.remains(steps[-1])
            assert len(steps) < 1000
    assert steps.count(LIVE[0]) == 50
    assert len(steps) <= 50 + 50 // LIVE_TURNS + 1


def test_live_leaves_without_end_do_not_starve_a_backlog() -> None:
    turns = Turns()
    for origin in BACKLOGS:
        turns.remains(origin)
    fed: list[Origin] = []
    while len(set(fed) & set(BACKLOGS)) < len(BACKLOGS):
        turns.grew(LIVE)
        fed.append(turns.next())
        if fed[-1] in BACKLOGS:
            turns.remains(fed[-1])
        assert len(fed) <= (LIVE_TURNS + 1) * len(BACKLOGS)
    assert [one for one in fed if one in BACKLOGS] == BACKLOGS


def test_an_origin_stands_in_one_row_and_an_empty_one_says_so() -> None:
    turns = Turns()
    turns.remains(LIVE[0])
    turns.grew([LIVE[0]])
    assert turns.next() == LIVE[0]
    assert not turns
    with pytest.raises(KeyError):
        turns.next()
