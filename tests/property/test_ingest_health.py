"""Health never misses a rostered point, and a restart of ingest changes nothing of it, whatever arrived before."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hakari.names import Origin
from ingest.watch.health import MINUTE_MS
from tests.unit.ingest_world import EDGE, SLOT, STEP_MS, configuration, roster_of
from tests.unit.test_ingest_health import Room

EDGES = (EDGE, "boil-e1", "cool-e1")
METERS = ("main", "spare", "third")

# An edge reads its meters at the next slot: for each a step of the register, None for no answer; or all is silent.
Reads = tuple[str, tuple[int | None, ...]]
reads: st.SearchStrategy[Reads] = st.tuples(
    st.sampled_from(EDGES), st.tuples(*[st.none() | st.integers(0, 3) for _ in METERS])
)
configures = st.tuples(st.sampled_from(EDGES), st.integers(1, len(METERS)))
quiet = st.integers(1, 200)
events = st.lists(reads | configures | quiet, max_size=40)


@settings(max_examples=60)
@given(happened=events, restart_after=st.integers(0, 40))
def test_health_is_whole_and_survives_restarts(
    happened: list[Reads | tuple[str, int] | int], restart_after: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder), roster_of(*EDGES))
        try:
            _play(room, happened, restart_after)
        finally:
            room.close()


def _play(room: Room, happened: list[Reads | tuple[str, int] | int], restart_after: int) -> None:
    meters: dict[str, tuple[str, tuple[str, ...]]] = {}
    registers: dict[tuple[str, str], int] = {}
    now_ms, epoch = SLOT, 1000
    for k, event in enumerate(happened):
        now_ms += STEP_MS
        if isinstance(event, int):
            now_ms += event * STEP_MS
        elif isinstance(event[1], int):
            edge_id, epoch = event[0], epoch + 1
            names = METERS[: event[1]]
            text = configuration(edge_id, str(epoch), meters=names)
            meters[edge_id] = (room.plant.configure(Origin("plant.example", edge_id, epoch), text), names)
        elif event[0] in meters:
            edge_id = event[0]
            cfg, names = meters[edge_id]
            newest = max(origin for origin in room.evidence.origins() if origin.edge_id == edge_id)
            read: dict[str, int | None] = {}
            for name, step in zip(names, event[1], strict=False):
                registers[edge_id, name] = registers.get((edge_id, name), 0) + (step or 0)
                read[name] = None if step is None else registers[edge_id, name]
            room.plant.read(newest, cfg, now_ms, read)
        found, edges = room.at(now_ms + 7 * MINUTE_MS)
        wanted = {f"{edge_id}/{name}/energy" for edge_id, (_, names) in meters.items() for name in names}
        assert set(found) - {"-"} == wanted
        assert set(edges) == set(EDGES)
        assert {one.edge_id for one in room.minutes.points[max(room.minutes.points)]} == set(EDGES)
        if k == restart_after:
            room.restart()
    now_ms += 8 * MINUTE_MS
    before = room.at(now_ms)
    assert room.restart().at(now_ms) == before
