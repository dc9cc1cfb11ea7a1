"""A point counts as commissioned by a signed record alone: listing it in the configuration is a finding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from calc import run
from calc.lock import LockRefused
from calc.texts import verdict_text
from calc.verify import Verdict, verify_pack
from edge.commission.commission import MATCHED, MATCHED_COARSELY, PointResult, Record, events_of, meter_result
from hakari.ledger.result import PeriodResult, decode
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.configuration import UNPROVEN, Meter, MeteringConfiguration, parts_of, sha256_of, text_of
from hakari.wire.leaf import Event
from ingest.view.feed import Feeder
from tests.unit import calc_world as w

JULY = "plant-2016-07"
BEFORE_MS = w.START_MS - w.HOUR_MS


@pytest.fixture(autouse=True)
def _methodology() -> Iterator[None]:
    with w.fixture_methodology():
        yield


def configuration(commissioned: list[str], suspended: str = "") -> MeteringConfiguration:
    """Both meters under a profile that nobody saw on a device."""
    plain = w.configuration()
    meters = [
        msgspec.structs.replace(
            one, profile=msgspec.structs.replace(one.profile, proof="constructed"), commissioned=commissioned,
            suspended=suspended,
        )
        for one in plain.meters
    ]  # fmt: skip
    return msgspec.structs.replace(plain, meters=meters)


def record(meter: Meter, verdict: str = MATCHED) -> list[Event]:
    """What the edge logs of a commissioning of its one point."""
    point = PointResult("energy", "Wh", "5000000", "5000000", "0", "1", verdict, "", "010300000002", "0304004c4b40")
    result = meter_result(meter, {}, ("not seen", "no power"), [point])
    return events_of(result, Record("A. Miller", "B. Sato"), [], BEFORE_MS)


class Plant:
    """A world whose log has the events given, then a month under a configuration that lists its points."""

    def __init__(self, folder: Path) -> None:
        self.world, self.folder, self.config = w.World(folder), folder, folder / "calc.toml"

    def log(self, told: MeteringConfiguration) -> str:
        text = text_of(told)
        for part in parts_of(text):
            self.world.leaf(1, part=part)
        return sha256_of(text)

    def month(self, events: list[Event], late: list[Event] | None = None) -> PeriodResult:
        for event in events:
            self.world.leaf(1, events=[event])
        self.world.record(w.month(), self.log(configuration(["energy"])))
        for event in late or []:
            self.world.leaf(1, events=[event])
        return self.computed()

    def computed(self) -> PeriodResult:
        self.world.write_settings()
        (self.folder / "project.toml").write_text(w.project_text())
        run.add_project(self.config, self.folder / "project.toml")
        view = SqliteReadingsView(self.folder / "view.db")
        Feeder(self.world.evidence, view).catch_up()
        view.close()
        run.compute_once(self.config)
        with run.room(self.config) as room:
            return decode(room.period(JULY).result_json)

    def verdict(self) -> Verdict:
        path = run.write_pack_of(self.config, JULY, self.folder / "pack.hakari")[0]
        return verify_pack(path, self.world.owner.verifier)


def both(verdict: str = MATCHED) -> list[Event]:
    return [event for meter in configuration(["energy"]).meters for event in record(meter, verdict)]


def test_a_commissioned_point_is_locked_and_shown_with_its_record(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    result = plant.month(both(MATCHED_COARSELY))
    assert result.refusals == []
    run.lock_period(plant.config, JULY)
    verdict = plant.verdict()
    assert (verdict.problems, verdict.state) == ([], "locked")
    shown = [line for line in verdict_text(verdict).splitlines() if line.startswith("evidence of")]
    assert len(shown) == 2
    assert shown[0].startswith(
        "evidence of site-e1/export/energy: profile test-counter, proof constructed; commissioned 2016-06-30T23:00:00Z"
        " by A. Miller, witness B. Sato, 0 off the display 5000000, scale not proven (accepted coarse); leaf 1/0;"
        " clock lockstep in "
    )


def _elsewhere() -> list[Event]:
    return [event for meter in configuration([]).meters for event in record(msgspec.structs.replace(meter, unit=9))]


def _otherwise() -> list[Event]:
    plain = w.configuration().meters[0].profile
    point = msgspec.structs.replace(plain.points[0], exponent=1)
    other = msgspec.structs.replace(plain, points=[point])
    return [event for meter in configuration([]).meters
            for event in record(msgspec.structs.replace(meter, profile=other))]  # fmt: skip


def _replaced() -> list[Event]:
    return [*both(), *(Event("meter-replaced", BEFORE_MS, {"meter": name}) for name in ("export", "import"))]


@pytest.mark.parametrize(
    "events",
    [[], both("differs"), _elsewhere(), _otherwise(), _replaced(), [*both(), *both("differs")]],
    ids=["none", "differs", "another unit", "another profile", "replaced since", "contradicted since"],
)
def test_a_point_that_is_listed_without_a_record_is_a_finding(tmp_path: Path, events: list[Event]) -> None:
    plant = Plant(tmp_path)
    result = plant.month(events, late=both())
    wanted = "export/energy is listed as commissioned from leaf"
    assert sum(wanted in refusal for refusal in result.refusals) == 1
    with pytest.raises(LockRefused, match=wanted):
        run.lock_period(plant.config, JULY)
    verdict = plant.verdict()
    assert [problem.entry for problem in verdict.problems] == ["result.json", "result.json"]
    assert verdict.exit_code == 5
    assert wanted in verdict.problems[0].text
    assert "COMMISSIONED WITHOUT A RECORD" in verdict_text(verdict)


def test_why_readings_did_not_count_is_said(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.world.record(w.month(), plant.log(configuration([])))
    result = plant.computed()
    assert any("readings there do not count, " in one and UNPROVEN in one for one in result.refusals), result.refusals
    assert [(one.commissioned_ms, one.unrecorded) for one in result.evidence] == [(None, ""), (None, "")]


def test_a_suspension_is_shown_with_its_times(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    readings = w.month()
    for events in both():
        plant.world.leaf(1, events=[events])
    good, other = plant.log(configuration(["energy"])), plant.log(configuration(["energy"], "serial was 1 and is 2"))
    for span, cfg in ((slice(0, 100), good), (slice(100, 124), other), (slice(124, None), good)):
        plant.world.record(readings[span], cfg, batch=4)
    (export, _) = plant.computed().evidence
    told = [(one.start_ms, one.end_ms, one.text) for one in export.suspended]
    assert told == [(readings[100][0], readings[124][0], "serial was 1 and is 2")]
    assert plant.verdict().problems == []
