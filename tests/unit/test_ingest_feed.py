"""The view follows the evidence log: every leaf once, after any interruption, and rebuilt it is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view import CursorMoved, Refusal
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import parts_of, sha256_of
from hakari.wire.leaf import Carried, encode
from hakari.wire.rows import MAX_FUTURE_MS, Row
from ingest.view.compare import compare
from ingest.view.feed import STEP_LEAVES, EvidenceIncomplete, Fed, Feeder
from tests.unit.ingest_world import EDGE, FIRST, FOREVER, OTHER, SECOND, SLOT, STEP_MS, Plant, configuration


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[SqliteEvidenceLog]:
    log = SqliteEvidenceLog(tmp_path / "evidence.db")
    yield log
    log.close()


@pytest.fixture
def view(tmp_path: Path) -> Iterator[SqliteReadingsView]:
    opened = SqliteReadingsView(tmp_path / "view.db")
    yield opened
    opened.close()


def dump(view: SqliteReadingsView) -> tuple[list[Row], list[Refusal], list[tuple[str, int, int]]]:
    rows = [row for point in view.points() for row in view.read(point, *FOREVER)]
    cursors = view._db.all("SELECT edge, epoch, next FROM cursor ORDER BY 1, 2")
    return rows, view.refused(10**6), cursors


def busy_log(evidence: SqliteEvidenceLog) -> None:
    """Two edges, two epochs, carried leaves, garbage, an unknown meter and the future."""
    plant = Plant(evidence)
    old = plant.configure(FIRST, configuration(EDGE))
    plant.sample(FIRST, old, 200)
    plant.store(FIRST, b"signed, and yet no leaf")
    plant.store(FIRST, encode(plant.sampled(FIRST, old, SLOT, meter="ghost")))
    plant.store(FIRST, encode(plant.sampled(FIRST, old, SLOT + MAX_FUTURE_MS + 1)), received_ms=SLOT)
    plant.store(FIRST, encode(plant.sampled(FIRST, old, SLOT + MAX_FUTURE_MS)), received_ms=SLOT)
    plant.store(FIRST, encode(plant.sampled(FIRST, "e" * 64, SLOT)))
    unsent = plant.sampled(FIRST, old, SLOT + 300 * STEP_MS)
    new = plant.configure(SECOND, configuration(EDGE, notes="x" * 20_000))
    stored = plant.sampled(FIRST, old, SLOT + 301 * STEP_MS)
    plant.store(FIRST, encode(stored))
    for carried in (msgspec.structs.replace(unsent, i=stored.i + 1), stored):
        body = encode(carried)
        inner = Carried.of(carried.epoch, carried.i, body)
        plant.store(SECOND, encode(msgspec.structs.replace(plant.leaf(SECOND, new), carried=inner)))
    plant.sample(SECOND, new, 150, SLOT + 400 * STEP_MS)
    boiler = plant.configure(OTHER, configuration("boil-e1"))
    plant.sample(OTHER, boiler, 5)


def test_catching_up_gives_every_reading(evidence: SqliteEvidenceLog, view: SqliteReadingsView) -> None:
    busy_log(evidence)
    fed = Feeder(evidence, view).catch_up()
    rows, refused, cursors = dump(view)
    assert fed == Fed(
        leaves=sum(evidence.head(origin).size for origin in evidence.origins()), rows=len(rows), refused=4,
        ahead=(), done=True,
    )  # fmt: skip
    assert len(rows) == 200 + 2 + 1 + 2 + 150 + 5
    assert cursors == [(o.edge_id, o.epoch, evidence.head(o).size) for o in evidence.origins()]
    reasons = [(r.epoch, r.leaf, r.reason) for r in reversed(refused)]
    assert [leaf for _, leaf, _ in reasons] == [201, 202, 203, 205]
    assert "leaf body is not a leaf" in reasons[0][2]
    assert "meter 'ghost'" in reasons[1][2]
    assert "lay 300 s in the future when it was received" in reasons[2][2]
    assert f"configuration {'e' * 64} was not logged before" in reasons[3][2]
    carried = list(view.read(f"{EDGE}/main/energy", SLOT + 300 * STEP_MS, SLOT + 302 * STEP_MS))
    assert [(row.epoch, row.t_ms) for row in carried] == [
        (1800, SLOT + 300 * STEP_MS), (1700, SLOT + 301 * STEP_MS), (1800, SLOT + 301 * STEP_MS)
    ]  # fmt: skip


def test_a_slot_in_its_leafs_future_gives_no_row(evidence: SqliteEvidenceLog, view: SqliteReadingsView) -> None:
    plant = Plant(evidence)
    cfg = plant.configure(FIRST, configuration(EDGE))
    ahead = plant.sampled(FIRST, cfg, SLOT + MAX_FUTURE_MS + 1)
    plant.store(FIRST, encode(msgspec.structs.replace(ahead, wall_ms=SLOT)))
    assert Feeder(evidence, view).catch_up() == Fed(2, 0, 1, (), done=True)
    assert "in the future of leaf 1700/1" in view.refused()[0].reason


def test_rebuilt_and_interrupted_views_are_the_same(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView, tmp_path: Path
) -> None:
    busy_log(evidence)
    Feeder(evidence, view).catch_up()
    expected = dump(view)
    view.clear()
    assert dump(view) == ([], [], [])
    Feeder(evidence, view).catch_up()
    assert dump(view) == expected
    # A process that is killed after every step begins again with nothing but the two stores.
    other = SqliteReadingsView(tmp_path / "other.db")
    restarts = 0
    while not Feeder(evidence, other).catch_up(max_steps=1).done:
        restarts += 1
    assert restarts >= 4
    assert dump(other) == expected
    other.close()


def test_feeding_goes_on_where_it_was(evidence: SqliteEvidenceLog, view: SqliteReadingsView) -> None:
    plant, feeder = Plant(evidence), Feeder(evidence, view)
    cfg = plant.configure(FIRST, configuration(EDGE))
    plant.sample(FIRST, cfg, 3)
    assert feeder.catch_up().rows == 3
    assert feeder.catch_up() == Fed(0, 0, 0, (), done=True)
    plant.sample(FIRST, cfg, 2, SLOT + 3 * STEP_MS)
    assert feeder.catch_up(origins=[OTHER]).rows == 0
    assert feeder.catch_up(origins=[FIRST]) == Fed(2, 2, 0, (), done=True)


def test_configuration_of_an_earlier_epoch_is_found_for_a_carried_leaf_after_a_restart(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView
) -> None:
    plant = Plant(evidence)
    old = plant.configure(FIRST, configuration(EDGE))
    plant.configure(SECOND, configuration(EDGE, "newer"))
    Feeder(evidence, view).catch_up()
    lost = plant.sampled(FIRST, old, SLOT)
    carrier = msgspec.structs.replace(plant.leaf(SECOND), carried=Carried.of(FIRST.epoch, lost.i, encode(lost)))
    plant.store(SECOND, encode(carrier))
    assert Feeder(evidence, view).catch_up() == Fed(1, 1, 0, (), done=True)


def test_second_configuration_of_an_earlier_epoch_is_found_where_looking_for_the_first_one_stopped(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView
) -> None:
    plant = Plant(evidence)
    used = [plant.configure(FIRST, configuration(EDGE, notes)) for notes in ("one", "two", "three")]
    plant.configure(SECOND, configuration(EDGE, "newer"))
    Feeder(evidence, view).catch_up()
    feeder = Feeder(evidence, view)
    for cfg in used:
        lost = plant.sampled(FIRST, cfg, SLOT)
        carrier = msgspec.structs.replace(plant.leaf(SECOND), carried=Carried.of(FIRST.epoch, lost.i, encode(lost)))
        plant.store(SECOND, encode(carrier))
        assert feeder.catch_up() == Fed(1, 1, 0, (), done=True)


def test_long_configuration_that_was_half_fed_before_the_restart(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView
) -> None:
    plant = Plant(evidence)
    text = configuration(EDGE, "x" * 20_000)
    parts = parts_of(text)
    assert len(parts) == 3
    for part in parts[:2]:
        plant.store(FIRST, encode(msgspec.structs.replace(plant.leaf(FIRST), configuration=part)))
    Feeder(evidence, view).catch_up()
    plant.store(FIRST, encode(msgspec.structs.replace(plant.leaf(FIRST), configuration=parts[2])))
    plant.sample(FIRST, sha256_of(text), 2)
    assert Feeder(evidence, view).catch_up() == Fed(3, 2, 0, (), done=True)


def test_forged_configuration_is_refused_and_gives_no_rows(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView
) -> None:
    plant = Plant(evidence)
    part = msgspec.structs.replace(parts_of(configuration(EDGE))[0], sha256="a" * 64)
    plant.store(FIRST, encode(msgspec.structs.replace(plant.leaf(FIRST), configuration=part)))
    plant.sample(FIRST, "a" * 64, 1)
    assert Feeder(evidence, view).catch_up() == Fed(2, 0, 2, (), done=True)
    later, first = view.refused()
    assert first.reason == f"configuration parts do not give their hash {'a' * 64}"
    assert later.reason == f"configuration {'a' * 64} was not logged before leaf 1700/1"


def test_evidence_restored_from_a_backup_is_reported_and_waited_for(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView
) -> None:
    plant = Plant(evidence)
    cfg = plant.configure(FIRST, configuration(EDGE))
    plant.sample(FIRST, cfg, 3)
    view.write(EDGE, 1700, 9, [], [])
    assert Feeder(evidence, view).catch_up() == Fed(0, 0, 0, (FIRST,), done=True)


@pytest.mark.parametrize("otherwise", [False, True], ids=["as they were", "otherwise, by a second device"])
def test_leaves_that_come_back_after_a_restore_need_no_rebuild_unless_they_are_others(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView, tmp_path: Path, *, otherwise: bool
) -> None:
    before = Plant(evidence)
    before.sample(FIRST, before.configure(FIRST, configuration(EDGE)), 10)
    Feeder(evidence, view).catch_up()
    with closing(SqliteEvidenceLog(tmp_path / "restored.db")) as restored:
        plant, feeder = Plant(restored), Feeder(restored, view)
        cfg = plant.configure(FIRST, configuration(EDGE))
        plant.sample(FIRST, cfg, 4)
        assert feeder.catch_up().ahead == (FIRST,)
        plant.counter += 1000 * otherwise
        plant.sample(FIRST, cfg, 8, SLOT + 4 * STEP_MS)
        assert feeder.catch_up() == Fed(2, 2, 0, (), done=True)
        found = compare(restored, view, lambda _: None)
        assert bool(found.day_count) is otherwise


def test_hole_in_the_evidence_stops(evidence: SqliteEvidenceLog, view: SqliteReadingsView) -> None:
    plant = Plant(evidence)
    cfg = plant.configure(FIRST, configuration(EDGE))
    plant.sample(FIRST, cfg, 3)
    with evidence.transaction():
        evidence._db.run("DROP TRIGGER leaf_stays")
        evidence._db.run("DELETE FROM leaf WHERE i = 2")
    with pytest.raises(EvidenceIncomplete, match=r"has no leaf 2 of plant.example/sola/e1/1700"):
        Feeder(evidence, view).catch_up()
    assert view.cursor(EDGE, 1700) == 0


class ClearedMeanwhile(SqliteReadingsView):
    """Somebody rebuilds the view while we feed it."""

    writes = 0

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        self.writes += 1
        if self.writes == 3:
            self.clear()
        super().write(edge_id, epoch, upto, rows, refused, start)


def test_view_cleared_under_the_feeder_is_fed_from_its_start(
    evidence: SqliteEvidenceLog, view: SqliteReadingsView, tmp_path: Path
) -> None:
    plant = Plant(evidence)
    cfg = plant.configure(FIRST, configuration(EDGE))
    plant.sample(FIRST, cfg, 3 * STEP_LEAVES)
    Feeder(evidence, view).catch_up()
    cleared = ClearedMeanwhile(tmp_path / "cleared.db")
    Feeder(evidence, cleared).catch_up()
    assert cleared.writes > 4
    assert dump(cleared) == dump(view)
    with pytest.raises(CursorMoved):
        cleared.write(EDGE, 1700, 10**6 + 1, [], [], 10**6)
    cleared.close()
