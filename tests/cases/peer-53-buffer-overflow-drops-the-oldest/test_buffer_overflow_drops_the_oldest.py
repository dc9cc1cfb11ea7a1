from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view import Refusal, ViewUnavailable
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.rows import Row
from ingest.view.feed import Feeder
from tests.unit.ingest_world import EDGE, FIRST, Plant, configuration

LEAVES = 1500


class Away(SqliteReadingsView):
    """A view that cannot be written while it is `away`."""

    away = True

    def write(
        self, edge_id: str, epoch: int, upto: int, rows: Sequence[Row], refused: Sequence[Refusal], start: int = 0
    ) -> None:
        if self.away:
            raise ViewUnavailable("the view is away")
        super().write(edge_id, epoch, upto, rows, refused, start)


def test_what_piles_up_while_the_view_is_away_is_all_there_when_it_is_back(tmp_path: Path) -> None:
    with closing(SqliteEvidenceLog(tmp_path / "evidence.db")) as evidence, closing(Away(":memory:")) as view:
        plant = Plant(evidence)
        cfg = plant.configure(FIRST, configuration(EDGE))
        feeder = Feeder(evidence, view)
        for _ in range(5):
            plant.sample(FIRST, cfg, LEAVES // 5)
            with pytest.raises(ViewUnavailable):
                feeder.catch_up()
        view.away = False
        assert feeder.catch_up().done
        assert view.counts() == (LEAVES, 0)
