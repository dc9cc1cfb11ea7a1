"""`hakari ingest alarms` and `meters`: what a person sees, from the stores alone, with the embedded view."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from hakari.log.roster import Roster
from hakari.wire.leaf import Sync, encode
from ingest.cli import ingest
from ingest.watch import alarms_cli, day
from simulate.faults import Silence
from tests.unit.alarm_world import Site
from tests.unit.ingest_world import EDGE, FIRST, SETTINGS, SLOT, STEP_MS, roster_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    roster: Roster = roster_of(EDGE, epochs=[FIRST])
    monkeypatch.setattr(alarms_cli, "load_roster", lambda *_: roster)
    (tmp_path / "ingest.toml").write_text(SETTINGS)
    return tmp_path


def call(folder: Path, *words: str) -> Any:
    done = CliRunner().invoke(ingest, [*words, "--config", str(folder / "ingest.toml"), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_before_anything_happened(folder: Path) -> None:
    assert call(folder, "alarms") == {"alarms": [], "history": [], "owed": 0, "given_up": 0}


def test_a_silent_meter_in_both(folder: Path) -> None:
    silent = Silence(starts=datetime.fromtimestamp((SLOT + 110 * STEP_MS) / 1000, UTC))
    with closing(Site(folder, roster_of(EDGE, epochs=[FIRST]), ("main", "spare"))) as site:
        site.run(0, 119, {"spare": [silent]})
        site.meters = ("main", "spare", "stranger")
        site.slot(120, {"spare": [silent]}, received_ms=SLOT + 130 * STEP_MS)
        site.minute(SLOT + 130 * STEP_MS)
    found = call(folder, "alarms", "--history", "10", "--language", "ja")
    assert [(one["kind"], one["subject"], one["severity"]) for one in found["alarms"]] == [
        ("meter-silent", f"{EDGE}/spare", "warning"),
        ("refused", EDGE, "warning"),
        ("outbox-old", EDGE, "warning"),
    ][: len(found["alarms"])]
    assert "計器から" in found["alarms"][0]["sentence"]
    assert len(found["history"]) == len(found["alarms"]) >= 2
    at = datetime.fromtimestamp((SLOT + 130 * STEP_MS) / 1000, UTC).isoformat()
    meters = {one["meter"]: one for one in call(folder, "meters", "--at", at)["meters"]}
    main, spare = meters["main"], meters["spare"]
    assert (main["expected"], main["received"], main["good"], main["late"], main["refused"]) == (384, 344, 344, 4, 0)
    assert (spare["received"], spare["good"]) == (344, 300)
    assert spare["reasons"] == {"no answer": 44}
    assert (spare["state"], spare["flags"]) == ("stale", ["meter-silent"])
    assert spare["last_slot"] == datetime.fromtimestamp((SLOT + 109 * STEP_MS) / 1000, UTC).isoformat().replace(
        "+00:00", "Z"
    )
    text = CliRunner().invoke(ingest, ["meters", "--at", at, "--config", str(folder / "ingest.toml")]).output
    assert "no answer" in text
    assert call(folder, "meters", "--edge", "none-e1")["meters"] == []
    assert day.MAX_REASONS == 5


def test_of_a_young_edge_no_slots_before_it_are_expected_and_held_samples_are_said(folder: Path) -> None:
    with closing(Site(folder, roster_of(EDGE, epochs=[FIRST]))) as site:
        site.run(0, 3)
        cut = site.plant.sampled(FIRST, site.cfg, SLOT + 4 * STEP_MS)
        waits = msgspec.structs.replace(cut, samples=[], sync=Sync("unsynchronised"))
        site.plant.store(FIRST, encode(waits), SLOT + 4 * STEP_MS)
    at = datetime.fromtimestamp((SLOT + 4 * STEP_MS) / 1000, UTC).isoformat()
    (main,) = call(folder, "meters", "--at", at)["meters"]
    assert (main["received"], main["good"]) == (16, 16)
    assert main["expected"] == 20
    assert main["reasons"] == {"the edge is there; its samples wait at the edge until its time is known": 1}


def test_a_time_that_is_none_and_alarms_that_are_off(folder: Path) -> None:
    config = ["--config", str(folder / "ingest.toml")]
    done = CliRunner().invoke(ingest, ["meters", "--at", "soon", *config])
    assert done.exit_code == 2
    assert "'soon' is no time" in done.output
    (folder / "ingest.toml").write_text(SETTINGS + '[alarms]\nfile = ""\n')
    assert "nothing is alarmed" in str(CliRunner().invoke(ingest, ["alarms", *config]).exception)
