"""Logs of ingest's own are in no order of time: what was given late counts, and every value names who gave it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from calc import run
from calc.registers import Metering, course_of
from calc.texts import verdict_text
from calc.verify import Verdict
from hakari.ledger.result import PeriodResult
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.leaf import GIVEN_BOOT
from hakari.wire.rows import Row
from ingest.sources.declared import DeclaredMeter, DeclaredPoint, declare
from ingest.sources.own_log import OwnLog, Taking
from ingest.sources.port import GivenReading, Message, Parsed
from ingest.view.feed import Feeder
from tests.unit import calc_world as w
from tests.unit.test_calc_origins import ALLOWED, JULY, LOG, PLAN, Plant

OTHER = f"{LOG}/other/energy"
LATER_MS = w.END_MS + 40 * 24 * w.HOUR_MS
BOTH = w.replaced(
    w.replaced(ALLOWED, w.EXPORT, OTHER), 'parameter = "EXP"', 'parameter = "EXP"\norigins = ["imported"]'
)
REGISTERS = [(w.START_MS, "0"), (w.END_MS, "7440000"), (w.END_MS + 2 * w.HOUR_MS, "7440000")]


class GivenPlant(Plant):
    """Beside the declared meter another one, of files that a folder takes."""

    def files(self, *files: Sequence[tuple[int, str]], way: str = "folder") -> None:
        """Takes files in this order."""
        meters = [DeclaredMeter(id="other", serial="S-export", point=[DeclaredPoint("energy", "Wh", "counter")])]
        declared = declare(LOG, meters, "imported", 31 * 86_400)
        world = self.world
        log = (world.evidence, LOG, self.folder / "import.pem", world.import_key)
        with closing(OwnLog(*log, type(world).roster(world), world.cosigner, "test")) as own:
            for k, registers in enumerate(files):
                readings = [GivenReading("other", "energy", t_ms, value) for t_ms, value in registers]
                told = {"way": way, "who": "logger", "why": "file in its folder", "mapping": "t"}
                message = Message("logger", f"{k}.csv", repr(registers).encode())
                (taken,) = own.take([Taking(declared, message, Parsed(readings, []), told)], LATER_MS)
                assert taken[:3] == (len(registers), 0, [])

    def feed(self) -> None:
        with closing(SqliteReadingsView(self.folder / "view.db")) as view:
            Feeder(self.world.evidence, view).catch_up()

    def locked(self) -> Verdict:
        run.lock_period(self.config, JULY)
        return self.verdict()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[GivenPlant]:
    with w.fixture_methodology():
        yield GivenPlant(tmp_path)


def figures(result: PeriodResult) -> tuple[str | None, str | None]:
    return result.reference_tco2, result.project_tco2


def test_two_meters_imported_one_after_the_other_count_whole(plant: GivenPlant) -> None:
    plant.register(BOTH)
    assert plant.result().reference_tco2 in {None, "0"}
    plant.files(REGISTERS)
    plant.feed()
    result = plant.result()
    assert (result.refusals, figures(result)) == ([], ("3.72", "0.372"))
    verdict = plant.locked()
    assert (verdict.ok, verdict.state, verdict.problems) == (True, "locked", [])


def test_two_files_of_one_scan_in_the_wrong_order_count_whole_and_a_locked_month_stays(plant: GivenPlant) -> None:
    plant.register(BOTH)
    plant.files(REGISTERS[1:], REGISTERS[:1])
    plant.feed()
    result = plant.result()
    assert (result.refusals, figures(result)) == ([], ("3.72", "0.372"))
    assert plant.locked().ok
    plant.files([(w.START_MS + w.HOUR_MS, "1")])
    plant.feed()
    assert figures(plant.result()) == ("3.72", "0.372")
    assert plant.verdict().ok


def test_a_verdict_names_who_gave_each_unmeasured_value(plant: GivenPlant) -> None:
    plant.register(BOTH)
    plant.files(REGISTERS[:1], REGISTERS[1:])
    plant.feed()
    given = plant.result().given
    assert [(one.point.split("/")[1], one.origin, one.way, one.who, one.name) for one in given] == [
        ("other", "imported", "folder", "logger", "0.csv"),
        ("other", "imported", "folder", "logger", "1.csv"),
        ("hand", "declared", "", "A", "typed"),
        ("hand", "declared", "", "A", "again"),
    ]
    assert all(len(one.sha256) == 64 and one.imported_ms for one in given)
    verdict = plant.verdict()
    assert verdict.result is not None
    assert verdict.result.given == given
    shown = verdict_text(verdict)
    assert f"given for {OTHER}: imported from folder logger, nobody handed it in: file 0.csv (sha256 " in shown
    assert "監視フォルダー logger から取込（担当者なし）" in shown
    assert "declared by A from typed (sha256 " in shown
    assert "because: read monthly" in shown


def test_a_point_of_an_origin_that_is_not_allowed_has_that_reason_alone(plant: GivenPlant) -> None:
    plant.register(PLAN)
    assert all("plan allows measured only" in one for one in plant.result().refusals), plant.result().refusals


def row(t_ms: int, text: str) -> Row:
    whole, _, decimals = text.partition(".")
    return Row(OTHER, t_ms, "i64", int(whole + decimals), -len(decimals), 0, "", 1, 0, GIVEN_BOOT, t_ms)


def test_a_left_out_value_is_named_and_decimals_are_no_change_of_scale() -> None:
    metering = Metering("credited", w.HOUR_MS, 24 * w.HOUR_MS, None, None)
    given = [row(0, "1"), row(w.HOUR_MS, "2.5"), row(2 * w.HOUR_MS, "99999"), row(2 * w.HOUR_MS + 1000, "3.25")]
    course = course_of(given, metering)
    assert [sample.value for sample in course.samples][-1] == 3.25
    assert "scale" not in {one.rule for one in course.incidents}
    assert any("99999 at 1970-01-01T02:00:00Z" in one.text for one in course.incidents), course.incidents
