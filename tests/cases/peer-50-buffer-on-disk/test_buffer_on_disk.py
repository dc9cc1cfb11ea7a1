from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from ingest.view.feed import Feeder
from tests.unit.ingest_world import EDGE, FIRST, Plant, configuration


def test_after_a_restart_feeding_goes_on_where_it_was(tmp_path: Path) -> None:
    with closing(SqliteEvidenceLog(tmp_path / "evidence.db")) as evidence:
        plant = Plant(evidence)
        cfg = plant.configure(FIRST, configuration(EDGE))
        plant.sample(FIRST, cfg, 300)
        with closing(SqliteReadingsView(tmp_path / "view.db")) as view:
            first = Feeder(evidence, view).catch_up(max_steps=2)
            assert not first.done
            assert first.leaves == view.cursor(EDGE, FIRST.epoch) > 0
        with closing(SqliteReadingsView(tmp_path / "view.db")) as view:
            second = Feeder(evidence, view).catch_up()
            assert second.done
            assert first.leaves + second.leaves == evidence.head(FIRST).size
            assert view.counts()[0] == 300
