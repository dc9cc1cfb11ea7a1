"""The lockstep driver's state: who is told what, and when a tick is done."""

from __future__ import annotations

import pytest

from hakari.lockstep import Answer, Hello, Tick
from simulate.lockstep import ClientRefused, Lockstep, Phase, Send


def state(*edges: str) -> Lockstep:
    return Lockstep(edges or ("a-e1",))


def test_watchers_first_then_edges() -> None:
    lock = state()
    assert lock.hello(1, Hello("a-e1", "edge")) == ([], [])
    assert lock.hello(2, Hello("ingest", "watch")) == ([], [])
    tick = Tick(1, 900, flush=False)
    assert lock.begin(1, 900) == [Send(2, tick)]
    assert lock.waiting() == ["ingest"]
    lock.answer(2, Answer(1))
    assert lock.waiting() == []
    assert lock.tell_edges() == [Send(1, tick)]
    assert lock.waiting() == ["a-e1"]
    lock.answer(1, Answer(1, 3, 2))
    assert lock.waiting() == []


def test_a_killed_edge_gets_the_same_tick_again_and_is_waited_for() -> None:
    lock = state()
    lock.hello(1, Hello("a-e1", "edge"))
    lock.begin(1, 900)
    lock.tell_edges()
    lock.gone(1)
    assert lock.waiting() == ["a-e1"]
    assert lock.described("a-e1") == "a-e1 (not connected)"
    assert lock.hello(2, Hello("a-e1", "edge")) == ([Send(2, Tick(1, 900, flush=False))], [])
    lock.answer(2, Answer(1))
    assert lock.waiting() == []


def test_an_edge_that_connects_while_watchers_are_set_waits_for_its_turn() -> None:
    lock = state()
    lock.hello(1, Hello("ingest", "watch"))
    lock.begin(1, 900)
    assert lock.hello(2, Hello("a-e1", "edge")) == ([], [])
    assert [send.connection for send in lock.tell_edges()] == [2]


def test_a_watcher_that_vanishes_is_not_waited_for_and_a_late_one_is_told_at_once() -> None:
    lock = state()
    lock.hello(1, Hello("ingest", "watch"))
    lock.begin(1, 900)
    lock.gone(1)
    assert lock.waiting() == []
    lock.tell_edges()
    sends, _ = lock.hello(2, Hello("api", "watch"))
    assert sends == [Send(2, Tick(1, 900, flush=False))]
    assert lock.waiting() == ["a-e1"]


def test_the_newer_connection_of_a_client_replaces_the_older() -> None:
    lock = state()
    lock.hello(1, Hello("a-e1", "edge"))
    assert lock.hello(2, Hello("a-e1", "edge")) == ([], [1])
    lock.begin(1, 900)
    assert lock.tell_edges() == [Send(2, Tick(1, 900, flush=False))]
    with pytest.raises(ClientRefused):
        lock.answer(1, Answer(1))


def test_a_late_answer_to_an_older_tick_changes_nothing() -> None:
    lock = state("a-e1", "b-e1")
    lock.hello(1, Hello("a-e1", "edge"))
    lock.hello(2, Hello("b-e1", "edge"))
    lock.begin(1, 900)
    lock.tell_edges()
    lock.answer(1, Answer(1))
    lock.answer(2, Answer(1))
    lock.begin(2, 1800)
    lock.tell_edges()
    lock.answer(1, Answer(1))
    assert lock.waiting() == ["a-e1", "b-e1"]


def test_flush_polls_until_everything_is_known_as_stored() -> None:
    lock = state()
    lock.hello(1, Hello("a-e1", "edge"))
    lock.begin(1, 900)
    lock.tell_edges()
    lock.answer(1, Answer(1, 4, 4))
    poll = [Send(1, Tick(1, 900, flush=True))]
    assert lock.begin_flush() == poll
    assert lock.poll_flush() == []  # it has not answered the first yet
    lock.answer(1, Answer(1, 5, 4))
    assert lock.described("a-e1") == "a-e1 (4 of 5 leaves known as stored)"
    assert lock.poll_flush() == poll
    lock.answer(1, Answer(1, 5, 5))
    assert lock.waiting() == []
    assert lock.poll_flush() == []


def test_an_answer_from_before_the_flush_does_not_end_it() -> None:
    lock = state()
    lock.hello(1, Hello("a-e1", "edge"))
    lock.begin(1, 900)
    lock.tell_edges()
    lock.answer(1, Answer(1, 4, 4))
    lock.gone(1)
    lock.hello(2, Hello("a-e1", "edge"))  # told tick 1 again, has not answered it when the flush begins
    lock.begin_flush()
    lock.answer(2, Answer(1, 4, 4))  # to the tick, not to the flush: its batch is still open
    assert lock.waiting() == ["a-e1"]
    assert len(lock.poll_flush()) == 1
    lock.answer(2, Answer(1, 5, 5))
    assert lock.waiting() == []


def test_an_edge_killed_while_flushing_is_asked_to_flush_again() -> None:
    lock = state()
    lock.hello(1, Hello("a-e1", "edge"))
    lock.begin(1, 900)
    lock.tell_edges()
    lock.answer(1, Answer(1))
    lock.begin_flush()
    lock.gone(1)
    assert lock.hello(2, Hello("a-e1", "edge"))[0] == [Send(2, Tick(1, 900, flush=True))]
    lock.answer(2, Answer(1, 2, 2))
    assert lock.waiting() == []


def test_what_is_refused() -> None:
    lock = state()
    with pytest.raises(ClientRefused, match="edge 'z-e9' is not expected; expected are a-e1"):
        lock.hello(1, Hello("z-e9", "edge"))
    with pytest.raises(ClientRefused, match="came before it was told"):
        lock.answer(1, Answer(1))
    lock.hello(1, Hello("a-e1", "edge"))
    with pytest.raises(ClientRefused, match="hello twice"):
        lock.hello(1, Hello("a-e1", "edge"))
    lock.begin(1, 900)
    lock.tell_edges()
    with pytest.raises(ClientRefused, match="answered tick 7, told was 1"):
        lock.answer(1, Answer(7))
    assert lock.phase is Phase.EDGES
