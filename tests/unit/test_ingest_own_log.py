"""Ingest's own log: values count once, contradictions are refused, and no crash or restore makes it sign twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hakari.log.mark import open_mark
from hakari.store.evidence import EvidenceLog
from hakari.store.opened import open_evidence
from hakari.wire.configuration import parse
from hakari.wire.envelope import inflate
from hakari.wire.leaf import MAX_LEAF_BYTES
from hakari.wire.rows import Place, derive
from ingest.evidence.fsck import fsck
from ingest.sources.own_index import index_file
from ingest.sources.own_log import OwnLog, OwnLogUnknown
from ingest.sources.own_state import OwnStateUnusable, state_file
from tests.system.postgres import PostgresServer
from tests.unit.own_log_world import HOUR_MS, LOG, NOW_MS, OwnWorld, leaves_of, values_of

LATER_MS = NOW_MS + 1000 * HOUR_MS
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(tmp_path: Path) -> OwnWorld:
    """An own log that was never written."""
    return OwnWorld(tmp_path)


def test_values_are_signed_leaves_with_marks_that_give_rows_of_their_origin(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        assert world.take(own, (1, "10.50"), (0, "10"))[:3] == (2, 0, [])
        assert values_of(evidence) == [("energy", 0, "10"), ("energy", 1, "10.50")]
        report = fsck(evidence, world.roster(), lambda _: None)
        assert report.problem_count == 0
        (origin,) = evidence.origins()
        size = evidence.head(origin).size
        mark = evidence.mark(origin, size)
        assert mark is not None
        assert open_mark(mark, world.roster().cosigner_keys()).checkpoint.size == size
        declared = world.mapping().declared
        configurations = {declared.cfg: parse(declared.text)}
        assert configurations[declared.cfg].meters[0].origin == "declared"
        leaf = leaves_of(evidence)[-1][1]
        rows = derive(Place(LOG, origin.epoch, leaf.i), leaf, configurations).rows
        assert [(row.point, row.raw, row.exponent) for row in rows] == [
            (f"{LOG}/main/energy", 10, 0),
            (f"{LOG}/main/energy", 1050, -2),
        ]
        event = next(event for _, leaf in leaves_of(evidence) for event in leaf.events if event.kind == "import")
        assert {"who", "why", "sha256", "mapping", "name", "new"} <= set(event.data)


def test_a_value_given_twice_counts_once_and_another_one_is_refused(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (0, "10"))
        assert world.take(own, (0, "10.0"), (1, "11"))[:3] == (1, 1, [])
        refused = world.take(own, (0, "12"), (2, "13"), (2, "14")).refused
        assert ["is 10 in the log, and 12 came" in refused[0], "is 13 in the log, and 14 came" in refused[1]] == [
            True
        ] * 2
        assert values_of(evidence) == [("energy", 0, "10"), ("energy", 1, "11"), ("energy", 2, "13")]
        assert evidence.quarantine_total().kept == 1
        assert "never written over" in evidence.quarantined()[0].payload.decode()


def test_the_very_file_again_counts_nothing_and_grows_nothing(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (0, "10"))
        before = leaves_of(evidence)
        assert world.take(own, (0, "10")).again
        assert leaves_of(evidence) == before


@pytest.mark.parametrize(
    ("value", "hours", "why"),
    [
        ("1e5", 0, "not a decimal number"),
        ("NaN", 0, "not a decimal number"),
        ("99999999999999999999", 0, "more digits than 64 bits hold"),
        ("1", 1001, "is not within 1970 and 300 s after now"),
        ("1", -(10**9), "is not within 1970"),
    ],
)
def test_what_cannot_be_a_reading_is_refused_with_its_reason(world: OwnWorld, value: str, hours: int, why: str) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        (sentence,) = world.take(own, (hours, value)).refused
        assert why in sentence
        assert not evidence.origins()


def test_a_large_import_is_cut_into_leaves(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        assert world.take(own, *((hours, f"{hours}.5") for hours in range(-5000, 0))).new == 5000
        (origin,) = evidence.origins()
        sizes = [len(inflate(one.deflated)) for one in evidence.leaves(origin, 0, 1000)]
        assert len(sizes) > 5
        assert max(sizes) <= MAX_LEAF_BYTES
        assert len(values_of(evidence)) == 5000


def test_a_log_that_the_roster_does_not_list_as_a_source_is_not_written(world: OwnWorld) -> None:
    unlisted = world.roster(())
    with closing(world.evidence()) as evidence, pytest.raises(OwnLogUnknown, match="add-source"):
        OwnLog(evidence, LOG, world.key_file, world.key, unlisted, world.cosigner, "hakari test")


@pytest.mark.parametrize("point", ["own_log.signed", "own_log.committed"])
def test_a_crash_around_the_commit_signs_nothing_twice(world: OwnWorld, point: str) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.unit.own_log_world import OwnWorld\n"
        "w = OwnWorld.__new__(OwnWorld); w.folder = Path(sys.argv[1]); w.key_file = w.folder / 'import.pem'\n"
        "from hakari.log import keyfile; from hakari.log.mark import Cosigner\n"
        "w.key = keyfile.load(w.key_file); w.cosigner = Cosigner('ingest', keyfile.load(w.folder / 'ingest.pem'))\n"
        "e = w.evidence(); own = w.own(e); w.take(own, (0, '10')); w.take(own, (1, '11')); w.take(own, (2, '12'))\n"
    )
    for nth in (1, 2, 3):
        killed = subprocess.run(
            [sys.executable, "-c", program, str(world.folder)], cwd=ROOT, check=False, timeout=60,
            env={**os.environ, "HAKARI_CRASH": f"{point}:{nth}"}, capture_output=True,
        )  # fmt: skip
        assert killed.returncode in (-9, 0), killed.stderr
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        for hours in range(3):
            world.take(own, (hours, f"{10 + hours}"))
        assert values_of(evidence) == [("energy", hours, f"{10 + hours}") for hours in range(3)]
        assert len(evidence.origins()) == 1
        assert fsck(evidence, world.roster(), lambda _: None).problem_count == 0


def test_after_a_restored_evidence_log_it_goes_on_in_a_new_epoch_that_cites(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (0, "10"))
    shutil.copy(world.folder / "evidence.db", world.folder / "backup.db")
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        for hours in (1, 2, 3):
            world.take(own, (hours, str(10 + hours)))
    for left in world.folder.glob("evidence.db*"):
        left.unlink()
    shutil.copy(world.folder / "backup.db", world.folder / "evidence.db")
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        # Another value than the one that was lost: the epoch in which that was signed must not be signed in again.
        assert world.take(own, (1, "99"), (0, "10"))[:3] == (1, 1, [])
        old, new = evidence.origins()
        first = next(leaf for origin, leaf in leaves_of(evidence) if origin == new)
        assert first.cites.startswith(str(old))
        assert values_of(evidence) == [("energy", 0, "10"), ("energy", 1, "99")]
        assert fsck(evidence, world.roster(), lambda _: None).problem_count == 0


def test_what_was_committed_last_and_lost_is_appended_again_byte_for_byte(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (0, "10"))
    shutil.copy(world.folder / "evidence.db", world.folder / "backup.db")
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (1, "11"))
        before = leaves_of(evidence)
    for left in world.folder.glob("evidence.db*"):
        left.unlink()
    shutil.copy(world.folder / "backup.db", world.folder / "evidence.db")
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        assert world.take(own, (1, "11")).again
        assert leaves_of(evidence) == before


def test_a_lost_or_foreign_record_beside_the_key_never_leads_to_signing_again(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence, closing(world.own(evidence)) as own:
        world.take(own, (0, "10"))
        state_file(world.key_file).unlink()
        world.take(own, (1, "11"))
        assert len(evidence.origins()) == 2
        state_file(world.key_file).write_text("{}")
        with pytest.raises(OwnStateUnusable, match="restore it, or move it away"):
            world.take(own, (2, "12"))
        assert len(values_of(evidence)) == 2


def test_the_index_is_made_again_from_the_log(world: OwnWorld) -> None:
    with closing(world.evidence()) as evidence:
        with closing(world.own(evidence)) as own:
            world.take(own, (0, "10"), (1, "11"))
        for left in world.folder.glob(f"{index_file(world.key_file).name}*"):
            left.unlink()
        with closing(world.own(evidence)) as own:
            assert world.take(own, (1, "11"), (0, "9"), (2, "12")).new == 1


def both_workers(world: OwnWorld, opened: Callable[[], EvidenceLog]) -> None:
    """Two workers write at once; what the log holds then is checked."""
    errors: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            with closing(opened()) as evidence, closing(world.own(evidence)) as own:
                for k in range(20):
                    world.take(own, (2 * k + worker, "5"), (500 + k, str(k)))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with closing(opened()) as evidence:
        found = values_of(evidence)
        assert len(found) == len({(point, hours) for point, hours, _ in found}) == 60
        assert fsck(evidence, world.roster(), lambda _: None).problem_count == 0
        assert len(evidence.origins()) == 1


def test_two_workers_with_one_own_log_lose_and_double_nothing(world: OwnWorld) -> None:
    both_workers(world, world.evidence)


def test_two_workers_with_one_own_log_on_postgresql(world: OwnWorld, postgres: PostgresServer) -> None:
    given = postgres.settings(world.folder, "own_log")
    path = world.folder / "ingest.toml"
    with closing(open_evidence(path, "", given)) as evidence, closing(world.own(evidence)) as own:
        assert world.take(own, (0, "5"))[:3] == (1, 0, [])
    both_workers(world, lambda: open_evidence(path, "", given))
