"""Every minute's health of every rostered point: true also after silence, restarts and wrong clocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest
from msgspec.structs import replace

from hakari.log.roster import EdgeKey, Roster
from hakari.names import Origin
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.operations import EdgeHealth, PointHealth
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import parse, text_of
from hakari.wire.leaf import encode
from hakari.wire.rows import Row
from ingest.view.feed import Feeder
from ingest.watch.health import MINUTE_MS, expected_edges, shown_value
from ingest.watch.minutes import Health
from ingest.watch.seen import DAY_MS
from ingest.watch.standing import Standings
from tests.unit.ingest_world import EDGE, FIRST, OTHER, SECOND, SLOT, STEP_MS, Minutes, Plant, configuration, roster_of

MAIN, SPARE = f"{EDGE}/main/energy", f"{EDGE}/spare/energy"
LIMIT_S = 5 * STEP_MS / 1000
DAY_SLOTS = DAY_MS // STEP_MS


class Room:
    """Ingest's stores and the part of it that writes health; `restart` leaves nothing but the stores."""

    def __init__(self, folder: Path, roster: Roster) -> None:
        self.evidence = SqliteEvidenceLog(folder / "evidence.db")
        self.view = SqliteReadingsView(folder / "view.db")
        self.plant = Plant(self.evidence)
        self.roster = roster
        self.began_ms = SLOT
        self.minutes = Minutes()
        self.restart()

    def restart(self) -> Self:
        self.health = Health(self.minutes, self.roster)
        self.feeder = Feeder(self.evidence, self.view, self.health.watch)
        return self

    def at(self, now_ms: int) -> tuple[dict[str, PointHealth], dict[str, EdgeHealth]]:
        """The health at a time, by point and by edge, after everything stored was fed."""
        self.feeder.catch_up()
        while not self.health.write(self.evidence, self.view, self.feeder, now_ms, self.began_ms):
            pass
        minute = now_ms // MINUTE_MS * MINUTE_MS
        points, edges = self.minutes.points[minute], self.minutes.edges[minute]
        assert len({(one.edge_id, one.point) for one in points}) == len(points)
        return {one.point: one for one in points}, {one.edge_id: one for one in edges}

    def point(self, now_ms: int, name: str = MAIN) -> PointHealth:
        return self.at(now_ms)[0][name]

    def edge(self, now_ms: int, edge_id: str = EDGE) -> EdgeHealth:
        return self.at(now_ms)[1][edge_id]

    def close(self) -> None:
        self.evidence.close()
        self.view.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, roster_of(EDGE, epochs=[FIRST]))
    yield made
    made.close()


def running(room: Room, slots: int, *, meters: tuple[str, ...] = ("main", "spare"), first: int = 0) -> str:
    """Readings of `slots` slots from SLOT on, each register one count further; the configuration's hash."""
    cfg = room.plant.configure(FIRST, configuration(EDGE, meters=meters))
    for k in range(first, first + slots):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, dict.fromkeys(meters, 100 + k))
    return cfg


def test_a_living_point(room: Room) -> None:
    running(room, DAY_SLOTS)
    last_ms = SLOT + (DAY_SLOTS - 1) * STEP_MS
    found = room.point(last_ms + 61_000)
    assert found == PointHealth(
        EDGE, "main", MAIN, "counter", 61.0, 61.0, LIMIT_S, 0.0, 0, 1.0, 100.0 + DAY_SLOTS - 1, "ok"
    )
    edge = room.edge(last_ms + 61_000)
    assert edge == EdgeHealth(EDGE, 61.0, LIMIT_S, 0.0, DAY_SLOTS + 1, 0, 0, 0, "ok", 0.0, 0)


def test_a_silent_meter_beside_a_living_one_grows_older_every_minute(room: Room) -> None:
    cfg = running(room, DAY_SLOTS)
    for k in range(DAY_SLOTS, DAY_SLOTS + 6):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": 100 + k, "spare": None})
    last_good_ms = SLOT + (DAY_SLOTS - 1) * STEP_MS
    now_ms = SLOT + (DAY_SLOTS + 5) * STEP_MS
    for minute in range(3):
        spare = room.point(now_ms + minute * MINUTE_MS, SPARE)
        assert spare.age_s == spare.age_alarm_s == (now_ms - last_good_ms) / 1000 + 60 * minute
        assert (spare.state, spare.quality) == ("stale", 2)
        assert spare.age_alarm_s > spare.limit_s
        assert spare.completeness_24h == (DAY_SLOTS - 6) / DAY_SLOTS
    assert room.point(now_ms).state == "ok"


def test_a_meter_that_has_just_failed_is_suspect_before_it_is_stale(room: Room) -> None:
    cfg = running(room, 3)
    room.plant.read(FIRST, cfg, SLOT + 3 * STEP_MS, {"main": None, "spare": 103})
    found = room.point(SLOT + 3 * STEP_MS)
    assert (found.state, found.quality, found.value) == ("suspect", 2, 102.0)


def test_a_row_of_the_view_that_is_none_of_ours_ends_nothing(room: Room) -> None:
    """Whoever may write into the view can put any type, epoch and leaf there."""
    running(room, 3)
    room.feeder.catch_up()
    strange = Row(MAIN, SLOT + 3 * STEP_MS, "bogus", 7, 0, 0, "", 1, 3, "b", 7)
    assert shown_value(strange) is None
    standings = Standings(room.evidence, room.feeder.known)
    for epoch, leaf in ((10**30, 0), (-1, 0), (1, -1), (1, 10**30)):
        assert standings.received_ms(strange._replace(epoch=epoch, leaf=leaf), "a", EDGE) == strange.t_ms


def test_a_dead_uplink_is_one_alarm(room: Room) -> None:
    running(room, 4)
    now_ms = SLOT + 3 * STEP_MS + int(LIMIT_S * 1000)
    points, edges = room.at(now_ms - 1)
    assert {one.state for one in points.values()} | {one.state for one in edges.values()} == {"ok"}
    points, edges = room.at(now_ms)
    assert edges[EDGE].state == "silent"
    assert edges[EDGE].age_s == LIMIT_S
    assert {(one.state, one.age_alarm_s, one.age_s) for one in points.values()} == {("edge silent", 0.0, LIMIT_S)}
    assert room.point(now_ms + DAY_MS).completeness_24h == 0.0


def test_a_rostered_edge_that_never_sent_anything_is_there(room: Room) -> None:
    room.roster = roster_of(EDGE, "boil-e1", epochs=[FIRST])
    room.restart()
    running(room, 2)
    points, edges = room.at(SLOT + 10 * MINUTE_MS)
    assert [one for one in points.values() if one.edge_id == "boil-e1"] == [
        PointHealth("boil-e1", "-", "-", "-", 600.0, 600.0, 900.0, None, 3, 0.0, None, "never")
    ]
    assert edges["boil-e1"] == EdgeHealth("boil-e1", 600.0, 900.0, None, 0, 0, 0, 0, "never")
    # Ingest is started again: it began when it stored its first leaf, not now.
    room.began_ms = SLOT + 90 * MINUTE_MS
    points, edges = room.restart().at(SLOT + 100 * MINUTE_MS)
    assert edges["boil-e1"].age_s == 6000.0
    assert points["-"].age_alarm_s == 0.0


def test_a_point_that_never_had_a_good_reading_is_as_old_as_its_edge(room: Room) -> None:
    cfg = room.plant.configure(FIRST, configuration(EDGE, meters=("main", "spare")))
    for k in range(3):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": k, "spare": None})
    for now_ms in (SLOT + 3 * STEP_MS, SLOT + 9 * DAY_MS):
        spare = room.restart().point(now_ms, SPARE)
        assert (spare.quality, spare.frozen_s, spare.value, spare.age_s) == (2, None, None, (now_ms - SLOT) / 1000)
    assert room.point(SLOT + 3 * STEP_MS, SPARE).state == "never"


def test_a_frozen_counter(room: Room) -> None:
    cfg = running(room, 4)
    for k in range(4, 12):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": 103, "spare": 100 + k})
    now_ms = SLOT + 11 * STEP_MS
    points, _ = room.at(now_ms)
    assert points[MAIN].frozen_s == 8 * STEP_MS / 1000
    assert points[SPARE].frozen_s == 0.0
    # It is the register that stood still, not the silence after it.
    assert room.restart().point(now_ms + DAY_MS).frozen_s == 8 * STEP_MS / 1000
    room.plant.read(FIRST, cfg, SLOT + 12 * STEP_MS, {"main": 104, "spare": 112})
    assert room.point(SLOT + 12 * STEP_MS).frozen_s == 0.0


@pytest.mark.parametrize("silent_days", [0, 1, 5, 30])
def test_after_a_restart_everything_is_as_if_there_had_been_none(room: Room, silent_days: int) -> None:
    cfg = running(room, DAY_SLOTS + 7)
    for k in range(DAY_SLOTS + 7, DAY_SLOTS + 30):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": 500, "spare": 100 + k})
    now_ms = SLOT + (DAY_SLOTS + 29) * STEP_MS + silent_days * DAY_MS
    before = room.at(now_ms)
    assert room.restart().at(now_ms) == before
    assert before[0][MAIN].age_s == silent_days * DAY_MS / 1000
    assert before[0][MAIN].frozen_s == 22 * STEP_MS / 1000


def test_a_silent_meters_age_is_true_after_a_restart_long_after(room: Room) -> None:
    cfg = running(room, 4)
    for k in range(4, 40 * DAY_SLOTS, 8):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": None, "spare": 100 + k})
    now_ms = SLOT + (40 * DAY_SLOTS - 8) * STEP_MS
    before = room.point(now_ms)
    assert room.restart().point(now_ms) == before
    assert before.state == "stale"
    assert before.age_s == (now_ms - SLOT - 3 * STEP_MS) / 1000


def test_an_edge_whose_clock_is_ahead_makes_nobody_younger(room: Room) -> None:
    cfg = running(room, 4)
    received_ms = SLOT + 4 * STEP_MS
    room.plant.read(FIRST, cfg, SLOT + 400 * DAY_MS, {"main": 900, "spare": 900}, received_ms)
    now_ms = SLOT + 20 * STEP_MS
    before = room.point(now_ms)
    assert (before.age_s, before.value) == ((now_ms - SLOT - 3 * STEP_MS) / 1000, 103.0)
    assert room.edge(now_ms).late_s == (received_ms - SLOT - 400 * DAY_MS) / 1000
    assert room.restart().point(now_ms) == before


def test_a_new_epoch_goes_on_under_the_same_points(room: Room) -> None:
    running(room, 4)
    cfg = room.plant.configure(SECOND, configuration(EDGE, "newer", meters=("main",)))
    room.plant.read(SECOND, cfg, SLOT + 4 * STEP_MS, {"main": 104})
    for _ in range(2):
        points, edges = room.at(SLOT + 4 * STEP_MS)
        assert list(points) == [MAIN]
        assert (points[MAIN].value, points[MAIN].frozen_s) == (104.0, 0.0)
        assert (edges[EDGE].epochs_unapproved, edges[EDGE].leaves, edges[EDGE].state) == (1, 7, "ok")
        room.restart()


def test_a_frozen_epoch_says_so(room: Room) -> None:
    running(room, 2)
    with room.evidence.transaction():
        room.evidence.freeze(FIRST)
    assert (room.edge(SLOT + STEP_MS).state, room.edge(SLOT + STEP_MS).frozen) == ("frozen", 1)


def test_what_is_not_in_the_view_yet_is_counted(room: Room) -> None:
    running(room, 5)
    room.feeder.catch_up(max_steps=0)
    standing = Standings(room.evidence, room.feeder.known).of(room.roster, room.feeder.cursors)
    assert standing[EDGE].view_behind == 6


def test_long_leaves_make_nobody_silent(room: Room) -> None:
    """Sixty samples of a minute in one leaf come once an hour: five intervals are less than that."""
    cfg = room.plant.configure(FIRST, configuration(EDGE, interval_ms=MINUTE_MS))
    samples = [sample for k in range(60) for sample in room.plant.sampled(FIRST, cfg, SLOT + k * MINUTE_MS).samples]
    leaf = msgspec.structs.replace(room.plant.leaf(FIRST, cfg, SLOT + 59 * MINUTE_MS), samples=samples)
    room.plant.store(FIRST, encode(leaf), SLOT + 59 * MINUTE_MS)
    for _ in range(2):
        points, edges = room.at(SLOT + 118 * MINUTE_MS)
        assert (edges[EDGE].state, points[MAIN].state, points[MAIN].limit_s) == ("ok", "ok", 61 * 60.0)
        room.restart()
    assert room.point(SLOT + 121 * MINUTE_MS).state == "edge silent"


def test_an_edge_whose_last_key_has_ended_is_expected_no_more() -> None:
    first = roster_of(EDGE).edges[0]
    ended = EdgeKey(EDGE, first.key, until_epoch=1700, until_size=11)
    roster = Roster("plant.example", 1, [ended])
    assert expected_edges(roster, {EDGE: (1700, 9)}) == [EDGE]
    assert expected_edges(roster, {EDGE: (1700, 10)}) == []
    assert expected_edges(roster, {}) == [EDGE]
    assert expected_edges(roster_of(EDGE, OTHER.edge_id), {EDGE: (10**9, 1)}) == [OTHER.edge_id, EDGE]


def test_edges_of_another_namespace_are_nobodys(room: Room) -> None:
    running(room, 2)
    foreign = Origin("other.example", EDGE, 1900)
    room.plant.configure(foreign, configuration(EDGE, meters=("ghost",)))
    assert set(room.at(SLOT + STEP_MS)[0]) == {MAIN, SPARE}


def test_a_point_that_is_read_seldom_is_measured_by_its_own_slots(room: Room) -> None:
    every = 12
    cfg = room.plant.configure(FIRST, configuration(EDGE, meters=("main",), every=every))
    first = -(-SLOT // (every * STEP_MS)) * every * STEP_MS
    for k in range(DAY_SLOTS // every + 1):
        room.plant.read(FIRST, cfg, first + k * every * STEP_MS, {"main": 100 + k})
    last_ms = first + DAY_SLOTS // every * every * STEP_MS
    for restarted in (False, True):
        if restarted:
            room.restart()
        found = room.point(last_ms + STEP_MS)
        assert (found.completeness_24h, found.state) == (1.0, "ok")
        assert found.limit_s == 3 * every * STEP_MS / 1000


def test_a_seldom_point_is_stale_after_three_of_its_own_slots_while_the_edge_lives(room: Room) -> None:
    every = 12
    text = configuration(EDGE, meters=("main", "spare"), every=every)
    cfg = room.plant.configure(FIRST, text)
    slots = -(-SLOT // (every * STEP_MS)) * every
    for k in range(3):
        spare = None if k else 100
        room.plant.read(FIRST, cfg, (slots + k * every) * STEP_MS, {"main": 100 + k, "spare": spare})
    first_ms, own_ms = slots * STEP_MS, every * STEP_MS
    assert room.point(first_ms + 2 * own_ms + 60_000, f"{EDGE}/spare/energy").state == "suspect"
    for k in range(3, 5):
        room.plant.read(FIRST, cfg, first_ms + k * own_ms, {"main": 100 + k, "spare": None})
    assert room.point(first_ms + 4 * own_ms, f"{EDGE}/spare/energy").state == "stale"
    assert room.point(first_ms + 4 * own_ms).state == "ok"


def test_a_point_that_is_read_but_does_not_count_says_why(room: Room) -> None:
    plain = parse(configuration(EDGE, meters=("main", "spare")))
    main, spare = plain.meters
    main = replace(main, profile=replace(main.profile, proof="constructed"))
    told = replace(plain, meters=[main, replace(spare, suspended="serial was 1 and is 2")])
    cfg = room.plant.configure(FIRST, text_of(told))
    for k in range(3):
        room.plant.read(FIRST, cfg, SLOT + k * STEP_MS, {"main": 100 + k, "spare": 100 + k})
    now_ms = SLOT + 2 * STEP_MS + MINUTE_MS
    assert [(room.point(now_ms, name).state, room.point(now_ms, name).quality) for name in (MAIN, SPARE)] == [
        ("unproven", 1),
        ("suspended", 1),
    ]
    room.plant.read(FIRST, cfg, SLOT + 3 * STEP_MS, {"main": None, "spare": 103})
    now_ms += STEP_MS
    assert [room.point(now_ms, name).state for name in (MAIN, SPARE)] == ["never", "suspended"]
    assert room.point(now_ms + 30 * STEP_MS, SPARE).state == "edge silent"
