"""Leaves whose bodies nobody has any more, from the log to a verified pack: a measurement gap and its decision."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calc import source
from calc.lock import LockRefused, check_logs_at
from calc.source import EvidenceBroken
from calc.texts import verdict_text
from hakari.cli.root import main
from hakari.log.checkpoint import Checkpoint
from hakari.log.gone import is_word, sign_gone, word_of
from hakari.log.roster import ApprovedEpoch, EdgeKey, Roster
from hakari.names import Origin
from hakari.pack.layout import HashOnly, hash_record, record, records
from hakari.pack.reader import load, read
from hakari.pack.writer import EvidenceMissing
from hakari.store.evidence import Decision
from hakari.store.evidence_sqlite import SqliteEvidenceLog
from hakari.store.forgone import ForgoRefused, forgo, forgone_of
from hakari.wire.forgone import Forgone, ForgoneMalformed, decode
from ingest.evidence.fsck import fsck
from tests.unit import calc_world as w
from tests.unit.test_calc_worker import JULY, Plant

LOST = range(20, 31)
DECIDED = Forgone(LOST.start, LOST.stop, 1_470_000_000_000, "K. Sato", "the server was lost, and its backup was older")


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with w.fixture_methodology():
        yield Plant(tmp_path)


def lose(plant: Plant, lost: range = LOST, *, signed: bool = True, key: Ed25519PrivateKey | None = None) -> None:
    """Takes the bodies away, as an ingest has them that was led on by hashes, or as a hand that nobody signed for."""
    plant.world.evidence.close()
    with closing(sqlite3.connect(plant.folder / "evidence.db", isolation_level=None)) as db:
        kept = db.execute("SELECT sql FROM sqlite_master WHERE name='leaf_holds'").fetchone()[0]
        db.execute("DROP TRIGGER leaf_holds")
        db.execute("UPDATE leaf SET deflated=x'' WHERE i >= ? AND i < ?", (lost.start, lost.stop))
        for i, digest in db.execute("SELECT i, leaf_hash FROM leaf WHERE deflated=x''").fetchall():
            word = word_of(lost.stop, sign_gone(w.ORIGIN, i, digest, lost.stop, key or plant.world.edge_key))
            db.execute("UPDATE leaf SET gone=? WHERE i=?", (word if signed else b"", i))
        db.execute(kept)
    plant.world.evidence = SqliteEvidenceLog(plant.folder / "evidence.db")


def decide(plant: Plant, lost: range = LOST) -> None:
    told = f'{{"start":{lost.start},"stop":{lost.stop}}}'
    with plant.world.evidence.transaction():
        plant.world.evidence.decide(
            Decision(DECIDED.at_ms, "bodies-forgone", str(w.ORIGIN), DECIDED.who, DECIDED.why, told)
        )


def roster(plant: Plant) -> Roster:
    return plant.world.roster()


def test_forgone_bodies_are_a_measurement_gap_that_a_pack_carries_and_verifying_names(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.begin(w.project_text())
    lose(plant)
    decide(plant)
    assert forgone_of(plant.world.evidence, w.ORIGIN) == [DECIDED]
    plant.feed_view()
    computed = plant.computed()[JULY]
    after = plant.result()
    assert [one.quantity for one in after.inputs] == ["6.55", "0.744"], "89 h of export are not credited, imports count"
    assert (after.reference_tco2, after.project_tco2, after.reductions_tco2) == ("3.275", "0.372", "2.903")
    told = [(one.rule, one.point, one.hours, one.quantity, one.unit, one.effect) for one in after.lines]
    assert told == [
        ("measurement-gap", w.EXPORT, "89", "890000", "Wh", "less"),
        ("measurement-gap", w.IMPORT, "89", "89000", "Wh", "counted"),
    ]
    assert after.completeness < "1"
    assert computed.state == "closed"
    assert main(["period", "show", JULY, "--config", str(plant.config)]) == 0
    assert_told(capsys.readouterr().out)
    verdict = plant.verify(plant.pack())
    assert (verdict.ok, verdict.problems) == (True, [])
    assert verdict.result is not None
    assert verdict.result.lines == after.lines
    assert_told(verdict_text(verdict))
    assert f"signed leaves, of {len(LOST)} only the hash\n" in verdict_text(verdict)
    assert [one for one in verdict.notes if DECIDED.why in one] == [f"leaf {w.EDGE} 1/{LOST.start}: {DECIDED}"]
    checked = fsck(plant.world.evidence, roster(plant), lambda _: None)
    assert (checked.problem_count, checked.origins[0].bodiless, checked.origins[0].forgone) == (0, len(LOST), [DECIDED])


def assert_told(shown: str) -> None:
    """Both gaps are shown: class, hours, quantity and what they do to the reductions, in both languages."""
    lines = [line for line in shown.splitlines() if line.startswith("measurement-gap: ")]
    export, imported = lines
    assert ", 89 h, 890000 Wh, less: " in export
    assert "lowers the reductions / 計測欠損" in export
    assert ", 89 h, 89000 Wh, counted: " in imported
    assert "counted whole" in imported


def test_a_month_that_ends_in_lost_bodies_credits_none_of_them_and_is_debited_all(plant: Plant) -> None:
    readings = w.month(extra_ms=40 * w.HOUR_MS)
    plant.begin(w.project_text(), readings)
    whole = plant.result()
    last = (w.END_MS - w.START_MS) // w.HOUR_MS // 8 + 1
    lose(plant, range(last - 2, last + 2))
    decide(plant, range(last - 2, last + 2))
    after = plant.result()
    assert [one.quantity for one in whole.inputs] == ["7.44", "0.744"]
    before_h, after_h = (last - 3) * 8 - 1, (last + 1) * 8
    assert [one.quantity for one in after.inputs] == [str(Decimal(before_h) / 100), str(Decimal(after_h) / 1000)]
    assert after.refusals == []
    assert not [one for one in after.lines if one.rule == "telemetry-gap"]
    verdict = plant.verify(plant.pack())
    assert (verdict.ok, verdict.problems) == (True, [])


def test_a_measurement_gap_stands_before_all_that_period_show_leaves_out(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    hourly = w.month()
    plant.begin(w.project_text(), [one for k, one in enumerate(hourly) if k % 24 > 2 or k > 600 or k == 0])
    late = range(60, 62)
    lose(plant, late)
    decide(plant, late)
    plant.computed()
    assert main(["period", "show", JULY, "--config", str(plant.config)]) == 0
    shown = capsys.readouterr().out
    assert "more lines; see --json" in shown
    assert shown.count("measurement-gap: ") == 2


def test_without_the_decision_nothing_takes_a_leaf_without_its_body(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    lose(plant)
    checked = fsck(plant.world.evidence, roster(plant), lambda _: None)
    assert checked.problem_count == len(LOST)
    assert "no decision says" in checked.problems[0].text
    with pytest.raises((EvidenceMissing, EvidenceBroken), match="no decision says so"):
        plant.pack()


@pytest.mark.parametrize("signed", [False, True])
def test_whoever_holds_the_log_cannot_empty_leaves_and_decide_that_they_are_lost(plant: Plant, *, signed: bool) -> None:
    """Bodies are taken out, an invented person has forgone them, and at most a stranger signed that they are gone."""
    plant.begin(w.project_text())
    plant.feed_view()
    plant.computed()
    lose(plant, signed=signed, key=Ed25519PrivateKey.generate())
    decide(plant)
    checked = fsck(plant.world.evidence, roster(plant), lambda _: None)
    assert checked.problem_count == len(LOST)
    assert checked.problems[0].text == "it has no body, and its edge has not signed that it is gone"
    if signed:
        assert "its edge has not signed that it is gone" in plant.verify(plant.pack()).problems[0].text
        return
    with pytest.raises(EvidenceMissing, match="its edge has not signed so"):
        plant.pack()


def test_what_no_edge_signed_is_not_locked(plant: Plant) -> None:
    plant.begin(w.project_text())
    lose(plant)
    decide(plant)
    evidence, held = plant.world.evidence, plant.world.roster()
    size = evidence.head(w.ORIGIN).size
    cut = Checkpoint(w.ORIGIN, size, evidence.head(w.ORIGIN).root)
    check_logs_at([cut], evidence, held, [w.EDGE], w.END_MS)
    lose(plant, key=Ed25519PrivateKey.generate())
    with pytest.raises(LockRefused, match=rf"leaf {LOST.start} has no body, and its edge has not signed that it is"):
        check_logs_at([cut], plant.world.evidence, held, [w.EDGE], w.END_MS)


def test_a_pack_with_hashes_that_no_edge_signed_does_not_verify(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds ingest and calc signs statement and pack alike; what the edge did not sign stands against it."""
    plant.begin(w.project_text())
    lose(plant, key=Ed25519PrivateKey.generate())
    decide(plant)
    with monkeypatch.context() as theirs:
        theirs.setattr(source, "is_word", lambda *_: True)
        plant.computed()
        pack = plant.pack()
    verdict = plant.verify(pack)
    assert (verdict.ok, verdict.exit_code) == (False, 5)
    told = [one.text for one in verdict.problems]
    assert f"leaf {LOST.start} has no body, and its edge has not signed that it is gone" in told
    assert len([one for one in told if "has not signed" in one]) == len(LOST)


def test_an_edges_word_is_of_one_leaf_and_by_a_key_of_that_place_or_later() -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    texts = [base64.b64encode(one.public_key().public_bytes_raw()).decode() for one in (old, new)]
    keys = [EdgeKey(w.EDGE, texts[0], 0, 0, 1, 4), EdgeKey(w.EDGE, texts[1], 1, 4)]
    held = Roster(w.NAMESPACE, 1, keys, [ApprovedEpoch(w.EDGE, 1)])
    digest = bytes(32)

    def word(i: int, key: Ed25519PrivateKey, origin: Origin = w.ORIGIN) -> bytes:
        return word_of(9, sign_gone(origin, i, digest, 9, key))

    assert is_word(held, w.ORIGIN, 2, digest, word(2, old))
    assert is_word(held, w.ORIGIN, 2, digest, word(2, new)), "it is said later, by the key of then"
    assert is_word(held, w.ORIGIN, 3, digest, word(3, new))
    assert not is_word(held, w.ORIGIN, 3, digest, word(3, old)), "the key had ended"
    assert not is_word(held, w.ORIGIN, 2, digest, word(1, old))
    assert not is_word(held, w.ORIGIN, 2, bytes([1]) * 32, word(2, old))
    assert not is_word(held, w.ORIGIN, 2, digest, word(2, old, Origin(w.NAMESPACE, w.EDGE, 2)))
    assert not is_word(held, w.ORIGIN, 2, digest, (8).to_bytes(8, "big") + word(2, old)[8:])
    assert not is_word(held, w.ORIGIN, 2, digest, b"")
    own = Roster(w.NAMESPACE, 1, keys, [ApprovedEpoch(w.EDGE, 1)], sources=[w.EDGE])
    assert not is_word(own, w.ORIGIN, 2, digest, word(2, old)), "ingest loses no body of its own log unseen"


def test_a_pack_whose_decision_is_about_other_leaves_is_not_taken(plant: Plant) -> None:
    plant.begin(w.project_text())
    lose(plant)
    decide(plant)
    plant.computed()
    data = bytearray(load(plant.pack()))
    content = bytes(read(bytes(data)).contents[f"leaves/{w.EDGE}/1.leaves"])
    kept = list(records("x", memoryview(content)))
    hashes = [one for one in kept if isinstance(one, HashOnly)]
    assert [one.forgone for one in hashes] == [DECIDED] * len(LOST)
    assert b"".join(hash_record(one) if isinstance(one, HashOnly) else record(one) for one in kept) == content
    at = data.find(DECIDED.encode())
    data[at : at + len(DECIDED.encode())] = DECIDED.encode().replace(b'"stop":31', b'"stop":21')
    assert not plant.verify(bytes(data)).ok


@pytest.mark.parametrize(
    ("start", "stop", "who", "part"),
    [(0, 9, "a", "are stored"), (2**40, 2**40, "a", "no range"), (2**40, 2**41, "a", "no range"),
     (2**40, 2**40 + 1, " ", "must say something"), (2**40, 2**40 + 1, "a" * 201, "at most 200")],
)  # fmt: skip
def test_what_would_decide_nothing_is_refused(tmp_path: Path, start: int, stop: int, who: str, part: str) -> None:
    world = w.World(tmp_path)
    world.record(w.month()[:80], world.configure())
    with pytest.raises(ForgoRefused, match=part):
        forgo(world.evidence, w.ORIGIN, Forgone(start, stop, 0, who, "why"))
    assert world.evidence.decisions() == []


def test_a_decision_has_one_form() -> None:
    assert decode(DECIDED.encode()) == DECIDED
    for wrong in (b"", b"[]", DECIDED.encode() + b" ", DECIDED.encode().replace(b'"who":"K. Sato"', b'"who":""')):
        with pytest.raises(ForgoneMalformed):
            decode(wrong)
