"""What calc credits of readings that no edge measured: what the plan allows, from logs that the owner lists."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from calc import run
from calc.leaves import EdgeEvidence
from calc.projectfile import ProjectFile
from calc.texts import verdict_text
from calc.verify import Verdict, verify_pack
from hakari import settings
from hakari.errors import Refused
from hakari.ledger.result import PeriodResult, decode
from hakari.log import keyfile
from hakari.log.roster import ApprovedEpoch, EdgeKey, Roster
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.leaf import GIVEN_BOOT, Given, Sample
from ingest.sources.declared import DeclaredMeter, DeclaredPoint, declare
from ingest.sources.own_log import OwnLog, Taking
from ingest.sources.port import GivenReading, Message, Parsed
from ingest.view.feed import Feeder
from tests.unit import calc_world as w

JULY = "plant-2016-07"
LOG = "site-import"
OPENED_S = w.START_MS // 1000
DECLARED_POINT = f"{LOG}/hand/energy"
METERS = [DeclaredMeter(id="hand", serial="S-import", point=[DeclaredPoint("energy", "Wh", "counter")])]
PLAN = w.replaced(w.project_text(), w.IMPORT, DECLARED_POINT)
ALLOWED = w.replaced(PLAN, 'parameter = "IMP"', 'parameter = "IMP"\norigins = ["declared"]')


class _World(w.World):
    """The edge, and beside it a log of ingest's own that the roster lists among the sources while `listed`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.import_key = keyfile.create(folder / "import.pem")
        self.listed = True

    def roster(self, epochs: Sequence[int] = (1,)) -> Roster:
        public = base64.b64encode(keyfile.public_bytes(self.import_key)).decode()
        first = super().roster(epochs)
        return first.following(
            edges=[*first.edges, EdgeKey(LOG, public)],
            epochs=[*first.epochs, ApprovedEpoch(LOG, OPENED_S)],
            sources=[LOG] if self.listed else [],
        )

    def declare(self, registers: Sequence[tuple[int, str]]) -> None:
        """What a person read, signed by ingest in its own log."""
        declared = declare(LOG, METERS, "declared", 31 * 86_400)
        readings = [GivenReading("hand", "energy", t_ms, value) for t_ms, value in registers]
        told = {"who": "A", "why": "read monthly", "mapping": "m"}
        taking = Taking(declared, Message("import", "typed", b"x"), Parsed(readings, []), told)
        key_file = self.folder / "import.pem"
        with closing(
            OwnLog(self.evidence, LOG, key_file, self.import_key, _World.roster(self), self.cosigner, "test")
        ) as own:
            own.take([taking], w.START_MS)
            (taken,) = own.take([taking._replace(message=Message("import", "again", b"y"))], w.END_MS + 3 * w.HOUR_MS)
            assert not taken.refused


class Plant:
    """A project with one measured and one declared point."""

    def __init__(self, folder: Path) -> None:
        self.world = _World(folder)
        self.folder = folder
        self.config = folder / "calc.toml"
        self.world.record(w.month(), self.world.configure())
        self.world.declare([(w.START_MS, "70000"), (w.END_MS, "814000"), (w.END_MS + 2 * w.HOUR_MS, "814100")])

    def register(self, text: str) -> None:
        self.world.write_settings()
        (self.folder / "project.toml").write_text(text)
        run.add_project(self.config, self.folder / "project.toml")
        with closing(SqliteReadingsView(self.folder / "view.db")) as view:
            Feeder(self.world.evidence, view).catch_up()

    def result(self) -> PeriodResult:
        return decode({one.period_id: one for one in run.compute_once(self.config)}[JULY].result_json)

    def verdict(self) -> Verdict:
        pack = run.write_pack_of(self.config, JULY, self.folder / "a.hakari")[0]
        return verify_pack(pack, self.world.owner.verifier)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with w.fixture_methodology():
        yield Plant(tmp_path)


def test_a_declared_point_computes_locks_and_verifies_where_the_plan_allows_it(plant: Plant) -> None:
    plant.register(ALLOWED)
    result = plant.result()
    assert result.refusals == []
    assert (result.reference_tco2, result.project_tco2) == ("3.72", "0.372")
    assert [one.origin for one in result.inputs] == ["", "declared"]
    run.lock_period(plant.config, JULY)
    verdict = plant.verdict()
    assert (verdict.ok, verdict.state, verdict.problems) == (True, "locked", [])
    assert "NOT MEASURED BY AN EDGE: declared / エッジによる計測値ではない: 人による申告値" in verdict_text(verdict)


def test_without_origins_a_declared_point_gives_nothing_and_nothing_is_locked(plant: Plant) -> None:
    plant.register(PLAN)
    result = plant.result()
    assert (result.project_tco2, result.reductions_tco2) == (None, None)
    assert any("its readings are declared, and the plan allows measured only" in one for one in result.refusals)
    with pytest.raises(Refused, match="plan allows measured only"):
        run.lock_period(plant.config, JULY)
    assert "plan allows measured only" in "".join(plant.verdict().refusals)


def test_a_log_that_the_owner_does_not_list_gives_no_declared_values(plant: Plant) -> None:
    plant.world.listed = False
    plant.register(ALLOWED)
    result = plant.result()
    assert result.reductions_tco2 == "0"
    assert any(f"{LOG} is no source of the roster: nothing of it counts" in one for one in result.refusals)
    with pytest.raises(Refused):
        run.lock_period(plant.config, JULY)
    assert plant.verdict().refusals


def test_a_locked_pack_whose_roster_no_longer_lists_the_source_is_not_verified(plant: Plant) -> None:
    plant.register(ALLOWED)
    plant.result()
    run.lock_period(plant.config, JULY)
    plant.world.listed = False
    plant.world.write_settings()
    assert not plant.verdict().ok


def test_a_source_cannot_pass_for_measured(plant: Plant) -> None:
    edge = EdgeEvidence(w.EDGE, [w.EXPORT, w.IMPORT], is_source=True)
    origin = next(one for one in plant.world.evidence.origins() if one.edge_id == w.EDGE)
    for stored in plant.world.evidence.leaves(origin, 0, 10**6):
        edge.add(1, w.body_of(stored))
    assert [len(rows) for rows in edge.rows.values()] == [0, 0]
    assert [one.text.split(":")[0] for one in edge.problems] == [
        f"meter {name!r} passes for measured, and {w.EDGE} is a source of the roster" for name in ("export", "import")
    ]


def test_given_values_among_an_edges_samples_give_nothing(plant: Plant) -> None:
    cfg = plant.world.configure(2)
    given = Sample(w.START_MS, w.START_MS, [], [Given("export", "energy", "1")])
    body = plant.world.leaf(2, samples=[given], cfg=cfg, boot=GIVEN_BOOT)
    edge = EdgeEvidence(w.EDGE, [w.EXPORT])
    for stored in plant.world.evidence.leaves(plant.world.evidence.origins()[-2], 0, 1):
        edge.add(2, w.body_of(stored))
    edge.add(2, body)
    assert edge.rows == {w.EXPORT: []}
    assert "a given value stands among measured ones" in edge.problems[0].text


@pytest.mark.parametrize("origins", ["[]", '["guessed"]', '"declared"'])
def test_origins_of_a_plan_are_known_words(origins: str) -> None:
    text = w.replaced(w.project_text(), 'parameter = "IMP"', f'parameter = "IMP"\norigins = {origins}')
    with pytest.raises(settings.SettingsRefused, match="origins"):
        settings.convert(settings.parse(text, "p.toml"), ProjectFile, "p.toml")


def test_a_plan_without_origins_means_measured() -> None:
    file = settings.convert(settings.parse(w.project_text(), "p.toml"), ProjectFile, "p.toml")
    assert [one.origins for one in file.monitored] == [["measured"], ["measured"]]
    assert msgspec.to_builtins(file)["monitored"][0]["origins"] == ["measured"]
