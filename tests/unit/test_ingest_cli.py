"""The commands of ingest on real files: what they print, and what they end with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hakari.errors import BAD_CONFIGURATION, DATA_PROBLEM, NOT_REACHABLE, REFUSED
from hakari.log.roster import Roster, sign_roster
from hakari.log.tree import extend, leaf_hash, root_of
from hakari.names import Origin
from hakari.store.evidence import StoredLeaf
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.view_sqlite import SqliteReadingsView
from ingest.settings import load_settings
from tests.unit.ingest_world import OWNER, SETTINGS

ORIGIN = Origin("plant.example", "sola-e1", 1700)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file with its stores: one leaf that no roster vouches for, one quarantined message."""
    path = tmp_path / "ingest.toml"
    path.write_text(SETTINGS)
    (tmp_path / "roster").write_bytes(sign_roster(Roster("plant.example", 1), OWNER))
    log = SqliteEvidenceLog(tmp_path / "evidence.db")
    digest = leaf_hash(b"x")
    frontier = extend((), 0, digest)
    with log.transaction():
        assert log.append(ORIGIN, 0, StoredLeaf(0, digest, b"x", b"c", 1), frontier, root_of(frontier))
        log.quarantine("hakari/v1/batch/00/x\x1b[2J", "not an envelope", b"\x00garbage", 1_467_356_400_000)
    log.close()
    SqliteReadingsView(tmp_path / "view.db").close()
    return path


def hakari(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from hakari.cli.root import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_log_list(config: Path) -> None:
    shown = json.loads(hakari(config, "log", "list", "--json").stdout)
    assert shown["origins"] == [
        {"origin": "plant.example/sola/e1/1700", "size": 1, "root": leaf_hash(b"x").hex(), "frozen": False}
    ]
    assert "plant.example/sola/e1/1700       1  " in hakari(config, "log", "list").stdout


def test_fsck_ends_with_five_when_it_finds_something(config: Path) -> None:
    told = hakari(config, "log", "fsck", "--json")
    assert told.returncode == DATA_PROBLEM
    report = json.loads(told.stdout)
    assert report["problem_count"] == len(report["problems"]) == 2
    assert "PROBLEMS" in hakari(config, "log", "fsck").stdout
    (config.parent / "evidence.db").unlink()
    SqliteEvidenceLog(config.parent / "evidence.db").close()
    clean = hakari(config, "log", "fsck")
    assert (clean.returncode, clean.stderr) == (0, "")
    assert "0 leaves of 0 origins: every leaf is what its edge signed" in clean.stdout


def test_view_rebuild_and_status(config: Path) -> None:
    assert json.loads(hakari(config, "view", "rebuild", "--json").stdout) == {"leaves": 1, "rows": 0, "refusals": 1}
    status = json.loads(hakari(config, "view", "status", "--json").stdout)
    assert status["origins"] == [{"origin": "plant.example/sola/e1/1700", "leaves": 1, "in_view": 1}]
    assert (status["rows"], status["points"], status["refusals"]) == (0, 0, 1)
    assert "leaf is cut off or has bytes after its end" in hakari(config, "view", "status").stdout


def test_quarantine_list_and_show(config: Path) -> None:
    listed = hakari(config, "quarantine", "list")
    assert "not an envelope" in listed.stdout
    assert "\x1b" not in listed.stdout
    entry = json.loads(hakari(config, "quarantine", "list", "--json").stdout)["messages"][0]
    assert (entry["bytes"], entry["received"]) == (8, "2016-07-01T07:00:00Z")
    shown = hakari(config, "quarantine", "show", str(entry["id"]))
    assert "00000000  00 67 61 72 62 61 67 65" in shown.stdout
    assert hakari(config, "quarantine", "show", str(entry["id"]), "--raw").stdout == "\x00garbage"
    absent = hakari(config, "quarantine", "show", "99")
    assert (absent.returncode, absent.stdout) == (REFUSED, "")
    assert absent.stderr.startswith("error: quarantine has no message 99")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("evidence =", "evidense =", "[ingest].evidense is not a known key; did you mean evidence?"),
        ('"plant.example"', '"Plant"', "namespace 'Plant' must be a lower-case domain name"),
        ("owner+", "owner-", "[ingest].owner_key is not a public key"),
        ("[broker]", '[clock]\nsource = "lockstep"\n[broker]', "[clock].address = '' does not go with source"),
        ('"roster"', '"absent"', "cannot be read: No such file or directory; check [ingest].roster_file"),
    ],
)
def test_wrong_settings_are_one_sentence(config: Path, before: str, after: str, sentence: str) -> None:
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after, 1))
    told = hakari(config, "log", "fsck")
    assert told.returncode == BAD_CONFIGURATION
    assert sentence in told.stderr
    assert told.stderr.count("\n") == 1


def test_absent_evidence_is_not_made_by_looking_for_it(config: Path) -> None:
    (config.parent / "evidence.db").unlink()
    told = hakari(config, "log", "list")
    assert told.returncode == NOT_REACHABLE
    assert "unable to open database file" in told.stderr
    assert not (config.parent / "evidence.db").exists()


def test_environment_overrides_the_file(config: Path) -> None:
    given = load_settings(config, {"HAKARI_INGEST__BROKER__PORT": "1884"})
    assert given.broker.port == 1884


def test_one_bad_number_among_several_keeps_no_other_from_being_decided(config: Path) -> None:
    done = hakari(config, "quarantine", "discard", "99", "1", "--who", "An Operator", "--why", "a port scan", "--json")
    assert done.returncode == REFUSED
    said = json.loads(done.stdout)
    assert [one["subject"] for one in said["records"]] == ["1"]
    assert [one["message"] for one in said["failed"]] == [99]
    assert "1 of 2 messages stay as they are: quarantine has no message 99" in done.stderr
    (record,) = json.loads(hakari(config, "quarantine", "records", "--json").stdout)["records"]
    assert record["subject"] == "1"


def test_the_sign_of_a_worker_that_was_killed_is_believed_for_three_beats_alone(config: Path) -> None:
    config.write_text(SETTINGS.replace("[broker]", 'alive_file = "alive"\n[broker]'))
    for age_s, code in ((10, 0), (17, NOT_REACHABLE)):
        sign = {"at_s": time.time() - age_s, "trouble": "", "without": ""}
        (config.parent / "alive").write_text(json.dumps(sign))
        assert hakari(config, "ingest", "status").returncode == code
