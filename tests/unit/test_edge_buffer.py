"""Room on the spool's disk: sampling stops at the reserve, said in a signed leaf, and nothing unsent goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.buffer import Buffer, free_bytes
from edge.run import Edge
from hakari.wire.leaf import Leaf
from tests.unit.test_edge_log import leaves
from tests.unit.test_edge_pace import edge_in

RESERVE = 64_000_000


def test_it_is_told_once_and_goes_on_with_twice_the_room() -> None:
    free = [RESERVE]
    buffer = Buffer(RESERVE, lambda: free[0])
    kinds: list[str] = []
    for free[0] in (RESERVE, RESERVE - 1, RESERVE, 2 * RESERVE - 1, 0, 2 * RESERVE, RESERVE):
        event = buffer.look(5)
        kinds.append(event.kind if event else "full" if buffer.full else "free")
    assert kinds == ["free", "buffer-full", "full", "full", "full", "buffer-free", "free"]


def test_without_a_reserve_the_disk_is_not_asked() -> None:
    assert Buffer(0, lambda: 1 // 0).look(5) is None


def test_a_disk_tells_its_room(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0


def test_fault_04_a_full_disk_stops_the_polling_after_a_signed_event_and_deletes_nothing(tmp_path: Path) -> None:
    asyncio.run(_run_full(tmp_path))


async def _run_full(folder: Path) -> None:
    edge, free = edge_in(folder), [10 * RESERVE]
    edge.buffer = Buffer(RESERVE, lambda: free[0])
    edge.log.start(edge.text, edge.clock.now())
    slot_ms = 10_000
    counted = []
    for free[0] in (10 * RESERVE, 1000, 1000, 10 * RESERVE):
        slot_ms += 10_000
        await edge.take(slot_ms)
        counted.append(edge.spool.sample_count() + sum(len(one.samples) for one in _leaves(edge)))
    assert counted == [1, 1, 1, 2], "nothing is read while the disk is full, and all that was read is there"
    events = [event.kind for leaf in _leaves(edge) for event in leaf.events]
    assert [kind for kind in events if kind.startswith("buffer")] == ["buffer-full", "buffer-free"]
    edge.close()


def _leaves(edge: Edge) -> list[Leaf]:
    (state,) = edge.spool.epochs()
    return leaves(edge.spool, state.epoch)


def test_a_process_that_starts_on_a_full_disk_goes_on_with_twice_the_room_as_the_one_before() -> None:
    free = [RESERVE + 1]
    buffer = Buffer(RESERVE, lambda: free[0], full=True)
    assert buffer.look(5) is None
    assert buffer.full
    free[0] = 2 * RESERVE
    event = buffer.look(6)
    assert event is not None
    assert event.kind == "buffer-free"
    assert not Buffer(0, lambda: 0, full=True).full


def test_that_it_stopped_outlives_the_process(tmp_path: Path) -> None:
    async def fill() -> None:
        edge = edge_in(tmp_path)
        edge.buffer = Buffer(RESERVE, lambda: 1000)
        edge.log.start(edge.text, edge.clock.now())
        await edge.take(10_000)
        edge.close()
        again = Edge(edge.settings, tmp_path)
        assert again.buffer.full
        again.close()

    asyncio.run(fill())
