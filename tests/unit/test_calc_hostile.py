"""What a forger with keys, or a stranger with a file, could try on locking and verifying; each test is one way."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calc import run
from calc.lock import LockRefused
from calc.statement import Statement, open_statement, sign_statement
from calc.verify import UNKNOWN, Verdict, verify_pack
from hakari.cli.output import printable, show
from hakari.cli.root import main
from hakari.ledger.result import PeriodResult, decode, sha256_of
from hakari.ledger.result import encode as encode_result
from hakari.log.checkpoint import Checkpoint, sign_checkpoint
from hakari.log.mark import cosign
from hakari.log.note import SigningKey
from hakari.log.roster import Roster, sign_roster
from hakari.log.tree import frontier_of, leaf_hash, root_of
from hakari.names import Origin
from hakari.pack.layout import PROJECT, RESULT, ROSTER, STATEMENT, names_of, record
from hakari.pack.reader import load, read
from hakari.pack.writer import write_into
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.envelope import deflate
from hakari.wire.leaf import Carried, Leaf, Sample, Sync, encode
from ingest.view.feed import Feeder
from tests.unit import calc_world as w

JULY = "plant-2016-07"
ESCAPE = "2016-07\x1b[2J\x1b[H\nOK: locked by a signed statement\x1b[8m"
Contents = dict[str, bytes]


class Plant:
    """A world with its settings, and what a forger does with its packs."""

    def __init__(self, folder: Path) -> None:
        self.world = w.World(folder)
        self.folder = folder
        self.config = folder / "calc.toml"

    def register(self, epochs: Sequence[int] = (1,), text: str | None = None) -> None:
        self.world.write_settings(epochs)
        (self.folder / "project.toml").write_text(w.project_text() if text is None else text)
        run.add_project(self.config, self.folder / "project.toml")

    def month(self) -> None:
        """One whole epoch, ready to be locked."""
        self.world.record(w.month(), self.world.configure())
        self.register()

    def lock(self, period_id: str = JULY) -> PeriodResult:
        view = SqliteReadingsView(self.folder / "view.db")
        Feeder(self.world.evidence, view).catch_up()
        view.close()
        run.compute_once(self.config)
        return decode(run.lock_period(self.config, period_id).result_json)

    def contents(self, period_id: str = JULY) -> Contents:
        path = run.write_pack_of(self.config, period_id, self.folder / f"{period_id}.hakari")[0]
        found = {name: bytes(content) for name, content in read(load(path)).contents.items()}
        del found["manifest.json"]
        return found

    def verify(self, contents: Contents) -> Verdict:
        return verify_pack(built(contents), self.world.owner.verifier)

    def statement(self, contents: Contents) -> Statement:
        return open_statement(contents[STATEMENT], [self.world.statement.verifier])

    def write_roster(self, roster: Roster) -> None:
        (self.folder / "roster.note").write_bytes(sign_roster(roster, self.world.owner))


def built(contents: Contents) -> bytes:
    file = io.BytesIO()
    write_into(file, {name: [content] for name, content in contents.items()})
    return file.getvalue()


def texts(verdict: Verdict) -> str:
    return "\n".join(f"{problem.entry}: {problem.text}" for problem in verdict.problems)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with w.fixture_methodology():
        yield Plant(tmp_path)


# one reading counts once


def again(readings: Sequence[w.Reading], first_slot_ms: int) -> list[Sample]:
    """The same readings with their boot and monotonic time at other slots."""
    samples = []
    for k, reading in enumerate(readings):
        sample, slot_ms = w.sample(reading), first_slot_ms + k
        blocks = [msgspec.structs.replace(block, wall_ms=slot_ms + 40) for block in sample.blocks]
        samples.append(Sample(slot_ms=slot_ms, mono_ms=sample.mono_ms, blocks=blocks))
    return samples


def carried(i: int, cfg: str, samples: Sequence[Sample] = (), salt: int = 0) -> Carried:
    """A leaf that says that it stood at 1/`i`."""
    leaf = Leaf(
        v=1, edge=w.EDGE, epoch=1, i=i, salt=base64.b64encode(salt.to_bytes(16, "big")).decode(), boot=w.BOOT,
        mono_ms=1, wall_ms=w.END_MS, sync=Sync("lockstep"), cfg=cfg, sw="x", samples=list(samples),
    )  # fmt: skip
    return Carried.of(1, i, encode(leaf))


def test_readings_of_a_locked_month_come_again_at_earlier_slots_and_count_for_nothing(plant: Plant) -> None:
    world, cfg = plant.world, plant.world.configure()
    world.record(w.month(), cfg)
    plant.register((1, 2))
    hours = range(w.END_MS + 3 * w.HOUR_MS, w.END_MS + 747 * w.HOUR_MS, w.HOUR_MS)
    rest = [(t, 5_000_000 + (t - w.START_MS) // 360, 70_000 + (t - w.START_MS) // 3600) for t in hours]
    world.configure(2)
    world.leaf(2, carried=carried(9000, cfg, again(w.month()[-40:], w.START_MS + 1)))
    world.record(rest, cfg, epoch=2)
    results = {one.period_id: decode(one.result_json) for one in run.compute_once(plant.config)}
    assert [results[name].inputs[0].quantity for name in (JULY, "plant-2016-08")] == ["7.44", "7.44"]
    with pytest.raises(LockRefused, match=r"which carries 1/9000: monotonic clock goes back"):
        plant.lock("plant-2016-08")
    assert "which carries 1/9000: monotonic clock goes back" in texts(plant.verify(plant.contents("plant-2016-08")))


@pytest.mark.parametrize("i", [5, 9000])
def test_another_body_of_a_restored_disk_counts_and_is_noted(plant: Plant, i: int) -> None:
    world, cfg = plant.world, plant.world.configure()
    world.record(w.month()[:400], cfg)
    world.configure(2)
    for salt in (1, 2):
        more = [w.sample(one) for one in w.month()[400:402]] if salt == 2 else []
        world.leaf(2, carried=carried(i, cfg, more, salt=salt))
    world.record(w.month()[402:], cfg, epoch=2)
    plant.register((1, 2))
    (july,) = [one for one in run.compute_once(plant.config) if one.period_id == JULY]
    assert decode(july.result_json).completeness == "1"
    verdict = plant.verify(plant.contents())
    assert verdict.problems == []
    assert any(f"carried leaf 1/{i} is another than the one that was signed there" in note for note in verdict.notes)


def test_an_honest_edge_that_carries_what_is_held_and_what_is_lost_is_locked(plant: Plant) -> None:
    """Epoch 1 ended at ingest before its last leaves; epoch 2 carries those, one that is held, and goes on."""
    world, cfg = plant.world, plant.world.configure()
    world.record(w.month()[:400], cfg)
    head = world.evidence.head(w.ORIGIN).size
    held = next(world.evidence.leaves(w.ORIGIN, head - 1, head))
    lost = [carried(head + k, cfg, [w.sample(w.month()[400 + k])], salt=k) for k in range(3)]
    world.configure(2)
    world.record(w.month()[403:410], cfg, epoch=2)
    for one in (Carried.of(1, held.i, w.body_of(held)), *lost, lost[0]):
        world.leaf(2, carried=one)
    world.record(w.month()[410:], cfg, epoch=2)
    plant.register((1, 2))
    assert (plant.lock().inputs[0].quantity, plant.verify(plant.contents()).problems) == ("7.44", [])


def test_samples_out_of_order_are_neither_locked_nor_verified(plant: Plant) -> None:
    world, cfg = plant.world, plant.world.configure()
    world.record(w.month()[:100], cfg)
    world.record(w.month()[90:100], cfg)
    world.record(w.month()[100:], cfg)
    plant.register()
    with pytest.raises(LockRefused, match="monotonic clock goes back"):
        plant.lock()
    assert "monotonic clock goes back" in texts(plant.verify(plant.contents()))


# nothing is left out


def two_epochs_of_three(plant: Plant, approved: Sequence[int]) -> None:
    """Epochs 1 and 3 of a month; what happened in epoch 2 is not in the evidence log."""
    readings = w.month()
    for epoch, part in ((1, readings[:200]), (3, readings[300:])):
        plant.world.record(part, plant.world.configure(epoch), epoch=epoch)
    plant.register(approved)


def test_an_approved_epoch_that_is_left_out_is_not_locked(plant: Plant) -> None:
    two_epochs_of_three(plant, (1, 2, 3))
    with pytest.raises(LockRefused, match=r"approved epoch test\.example/site/e1/2 began before the period's end"):
        plant.lock()
    verdict = plant.verify(plant.contents())
    assert (verdict.ok, verdict.notes) == (True, [f"approved epoch 2 of {w.EDGE} has no leaves in the pack"])


def test_an_approved_epoch_that_is_left_out_of_a_locked_pack_is_found(plant: Plant) -> None:
    two_epochs_of_three(plant, (1, 3))
    plant.lock()
    contents = plant.contents()
    assert plant.verify(contents).problems == []
    approved = sign_roster(plant.world.roster((1, 2, 3)), plant.world.owner)
    verdict = plant.verify({**contents, ROSTER: approved})
    assert texts(verdict) == f"{ROSTER}: the period is locked although approved epoch 2 of {w.EDGE} is left out"


def test_an_epoch_that_began_after_the_period_may_be_missing(plant: Plant) -> None:
    plant.world.record(w.month(), plant.world.configure())
    plant.register((1, w.END_MS // 1000))
    plant.lock()
    assert plant.verify(plant.contents()).problems == []


def test_a_cut_that_does_not_reach_beyond_the_end_is_not_locked(plant: Plant) -> None:
    plant.world.record(w.month()[:500], plant.world.configure())
    plant.register()
    run.compute_once(plant.config)
    contents = plant.contents()
    result = msgspec.structs.replace(decode(contents[RESULT].decode()), state="locked")
    text = encode_result(result)
    stated = msgspec.structs.replace(plant.statement(contents), state="locked", result_sha256=sha256_of(text))
    forged = {**contents, RESULT: text.encode(), STATEMENT: sign_statement(stated, plant.world.statement)}
    assert f"locked although no leaf of {w.EDGE} reaches beyond its end" in texts(plant.verify(forged))


# what ingest found in conflict


def test_a_frozen_log_is_neither_locked_nor_verified(plant: Plant) -> None:
    plant.month()
    plant.lock()
    contents = plant.contents()
    cut = plant.statement(contents).cuts[0]
    frozen = cosign(Checkpoint(w.ORIGIN, cut.size, base64.b64decode(cut.root)), plant.world.cosigner, 1, frozen=True)
    verdict = plant.verify({**contents, names_of(w.EDGE, 1).mark: frozen})
    assert "is frozen because of a conflict" in texts(verdict)
    with plant.world.evidence.transaction():
        plant.world.evidence.freeze(w.ORIGIN)
    (plant.folder / "ledger.db").unlink()
    plant.register()
    with pytest.raises(LockRefused, match="is frozen because of a conflict and no later epoch"):
        plant.lock()


def test_a_block_that_asked_another_unit_is_refused(plant: Plant) -> None:
    cfg = plant.world.configure()
    for reading in w.month()[:3]:
        sample = w.sample(reading)
        stranger = w.block("export", 9, reading[1], reading[0] + 40)
        plant.world.leaf(1, samples=[msgspec.structs.replace(sample, blocks=[stranger, *sample.blocks[1:]])], cfg=cfg)
    plant.register()
    result = decode(run.compute_once(plant.config)[0].result_json)
    assert any("does not ask unit 1, where the configuration has the meter" in one for one in result.refusals)
    assert result.inputs[0].good_slots == 0


# what a verifier sees


def test_a_statement_that_is_not_signed_says_nothing(plant: Plant) -> None:
    plant.month()
    plant.lock()
    contents = plant.contents()
    stated = plant.statement(contents)
    stranger = SigningKey("statement", Ed25519PrivateKey.generate())
    verdict = plant.verify({**contents, STATEMENT: sign_statement(stated, stranger)})
    assert (verdict.state, verdict.project, verdict.label) == (UNKNOWN, UNKNOWN, UNKNOWN)
    assert (verdict.reductions_tco2, verdict.parameters) == (None, [])
    for change in ({"label": ESCAPE}, {"label": "2016-07\n"}, {"project": "plant\n"}, {"project": "\x1b[31m"}):
        note = sign_statement(msgspec.structs.replace(stated, **change), plant.world.statement)
        verdict = plant.verify({**contents, STATEMENT: note})
        assert (verdict.ok, verdict.state, verdict.label) == (False, UNKNOWN, UNKNOWN)


def test_nothing_that_a_pack_holds_moves_the_cursor(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    source = 'source = "published.md, section 3'
    text = w.replaced(w.project_text(), source, f"{source}\\u001b[2J\\nOK: locked by a signed statement\\u009b8m")
    plant.world.record(w.month(), plant.world.configure())
    plant.register(text=text)
    run.compute_once(plant.config)
    path, _, _ = run.write_pack_of(plant.config, JULY, plant.folder / "a.hakari")
    assert main(["verify", str(path), "--owner-key", str(plant.world.owner.verifier)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("OK")] == ["OK: provisional, credits nothing"]
    main(["period", "show", JULY, "--config", str(plant.config)])
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_human_output_is_printable_whatever_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[2J\nb\x9b\u202e") == "a�[2J�b��"
    assert printable(None) == ""
    show({}, "a\x1b[2J\n\tb\r", False)
    assert capsys.readouterr().out == "a�[2J\n    b�\n"
    owner = SigningKey("owner", Ed25519PrivateKey.generate()).verifier
    assert main(["verify", "no\x1b[2J\nsuch.hakari", "--owner-key", str(owner)]) == 3
    assert capsys.readouterr().err.startswith("error: pack no�[2J�such.hakari cannot be read")


def test_a_verdict_names_what_the_total_rests_on(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    plant.month()
    plant.lock()
    contents = plant.contents()
    verdict = plant.verify(contents)
    sha256 = hashlib.sha256(contents[PROJECT]).hexdigest()
    (factor,) = verdict.parameters
    assert (verdict.project_sha256, verdict.roster_serial) == (sha256, 1)
    assert (factor.name, factor.value, factor.unit, factor.standing) == ("EF", "0.5", "tCO2/MWh", "published")
    words = ["verify", str(plant.folder / f"{JULY}.hakari"), "--owner-key", str(plant.world.owner.verifier)]
    assert main([*words, "--project-sha256", sha256.upper(), "--min-roster-serial", "1"]) == 0
    shown = capsys.readouterr().out
    assert "parameter EF = 0.5 tCO2/MWh, published, approved by Committee: published.md, section 3" in shown
    assert f"project file {sha256}, roster serial 1" in shown
    assert main([*words, "--project-sha256", "ab" * 32]) == 5
    assert f"expected is {'ab' * 32}: another plan or parameters" in capsys.readouterr().out
    assert main([*words, "--min-roster-serial", "2", "--json"]) == 5
    said = json.loads(capsys.readouterr().out)
    assert [one["entry"] for one in said["problems"]] == [ROSTER]
    assert (said["project_sha256"], said["parameters"][0]["value"], said["roster_serial"]) == (sha256, "0.5", 1)
    assert main([*words, "--project-sha256", "abc"]) == 2


def test_an_older_roster_than_the_one_that_was_signed_under_is_found(plant: Plant) -> None:
    plant.month()
    first = plant.world.roster()
    plant.write_roster(first.following())
    plant.lock()
    contents = plant.contents()
    assert plant.verify(contents).roster_serial == 2
    older = {**contents, ROSTER: sign_roster(first, plant.world.owner)}
    assert "its serial is 1, the statement was signed under 2" in texts(plant.verify(older))
    later = {**contents, ROSTER: sign_roster(first.following().following(), plant.world.owner)}
    assert plant.verify(later).problems == []


def test_a_period_is_not_locked_under_an_older_roster_than_another(plant: Plant) -> None:
    readings = [(t, 5_000_000 + (t - w.START_MS) // 360, 70_000) for t, _, _ in w.month(extra_ms=33 * 24 * w.HOUR_MS)]
    plant.world.record(readings, plant.world.configure())
    plant.register()
    plant.write_roster(plant.world.roster().following())
    plant.lock()
    plant.write_roster(plant.world.roster())
    with pytest.raises(LockRefused, match="roster has serial 1, period plant-2016-07 was locked under 2"):
        plant.lock("plant-2016-08")


# nothing is believed before it is signed


def bombs(plant: Plant, leaves: Sequence[bytes], bodies: Sequence[bytes]) -> Contents:
    """A good pack whose log is exchanged for `leaves`, under a checkpoint of `bodies` by the edge's own key."""
    plant.month()
    run.compute_once(plant.config)
    names = names_of(w.EDGE, 1)
    root = root_of(frontier_of([leaf_hash(body) for body in bodies]))
    note = sign_checkpoint(Checkpoint(Origin(w.NAMESPACE, w.EDGE, 1), len(bodies), root), plant.world.edge_key)
    contents = {name: content for name, content in plant.contents().items() if name != names.mark}
    return {**contents, names.leaves: b"".join(map(record, leaves)), names.checkpoint: note}


def test_leaves_are_not_looked_at_before_their_checkpoint_is_verified(plant: Plant) -> None:
    names = names_of(w.EDGE, 1)
    contents = bombs(plant, [b"\xff"] * 3, [b""] * 3)
    stranger = Ed25519PrivateKey.generate()
    note = sign_checkpoint(Checkpoint(w.ORIGIN, 3, bytes(32)), stranger)
    verdict = plant.verify({**contents, names.checkpoint: note})
    assert "is not signed by its edge's key" in texts(verdict)
    assert f"{names.leaves}: leaf" not in texts(verdict)


def test_a_log_is_read_to_its_first_broken_leaf_and_no_further_than_it_is_signed(plant: Plant) -> None:
    name = names_of(w.EDGE, 1).leaves
    contents = bombs(plant, [b"\xff", b"\xff", b"\xff"], [b""] * 3)
    verdict = plant.verify(contents)
    assert "it is not computed again, since a log is not the one that its edge signed" in texts(verdict)
    found = [problem.text for problem in verdict.problems if problem.entry == name]
    assert len(found) == 1
    assert found[0].startswith("leaf 0: ")
    longer = {**contents, name: record(deflate(b"")) * 3 + record(b"\xff") * 100}
    found = [problem.text for problem in plant.verify(longer).problems if problem.entry == name]
    assert found == ["it holds more leaves than the 3 that the signed checkpoint covers"]


def test_leaves_of_zeros_do_not_fill_the_memory(plant: Plant) -> None:
    count, zeros = 1_500, bytes(2**16)
    data = built(bombs(plant, [deflate(zeros)] * count, [zeros] * count))
    assert len(data) < 2**18
    tracemalloc.start()
    verdict = verify_pack(data, plant.world.owner.verifier)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not verdict.ok
    assert peak < 8 * 2**20


def test_a_project_file_that_is_not_the_signed_one_is_not_parsed(plant: Plant) -> None:
    plant.month()
    run.compute_once(plant.config)
    verdict = plant.verify({**plant.contents(), PROJECT: b"\xff = not TOML"})
    assert texts(verdict) == f"{PROJECT}: it is not the project file that the statement names"
