"""From signed leaves to a locked period and its pack: the worker, the rules of locking, verification."""

from __future__ import annotations

import base64
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calc import run
from calc.compute import compute
from calc.issue import signed
from calc.lock import LockRefused
from calc.methodologies.registry import find
from calc.project import read_project
from calc.source import ProjectSource
from calc.statement import StatementInvalid, open_statement
from calc.verify import CREDITS_NOTHING, Verdict, verify_pack
from calc.worker import MethodologyChanged, locked_cuts
from hakari.errors import HakariError, Refused
from hakari.ledger.result import PeriodResult, decode, encode
from hakari.ledger.types import PeriodRecord
from hakari.log.note import SigningKey
from hakari.pack.reader import load, read
from hakari.pack.writer import write_into
from hakari.period import Period
from hakari.store.view_sqlite import SqliteReadingsView
from hakari.wire.leaf import Carried, LeafMalformed
from hakari.wire.leaf import decode as leaf_decode
from hakari.wire.rows import Configurations, Row, derive
from ingest.view.feed import Feeder
from tests.unit import calc_world as w

JULY = "plant-2016-07"


class Plant:
    """A world with a registered project and what its commands do."""

    def __init__(self, folder: Path) -> None:
        self.world = w.World(folder)
        self.folder = folder
        self.config = folder / "calc.toml"

    def begin(self, text: str, readings: list[w.Reading] | None = None, epochs: tuple[int, ...] = (1,)) -> None:
        """Logs readings and registers the project."""
        self.world.record(w.month() if readings is None else readings, self.world.configure())
        self.world.write_settings(epochs)
        self.register(text)

    def register(self, text: str) -> None:
        (self.folder / "project.toml").write_text(text)
        run.add_project(self.config, self.folder / "project.toml")

    def computed(self) -> dict[str, PeriodRecord]:
        return {period.period_id: period for period in run.compute_once(self.config)}

    def result(self, period_id: str = JULY) -> PeriodResult:
        return decode(self.computed()[period_id].result_json)

    def feed_view(self, changed: tuple[str, int] | None = None) -> None:
        """Fills the view from the evidence as ingest would; `changed` alters one reading's raw bits."""
        view = SqliteReadingsView(self.folder / "view.db")
        feed(self.world, view, changed)
        view.close()

    def pack(self, period_id: str = JULY) -> Path:
        return run.write_pack_of(self.config, period_id, self.folder / f"{period_id}.hakari")[0]

    def verify(self, pack: Path | bytes) -> Verdict:
        return verify_pack(pack, self.world.owner.verifier)


def feed(world: w.World, view: SqliteReadingsView, changed: tuple[str, int] | None) -> None:
    """Derives every leaf's rows again, independently of calc's reader."""
    known: Configurations = {w.configuration_sha256(): w.configuration()}
    for origin in world.evidence.origins():
        head = world.evidence.head(origin)
        rows: list[Row] = []
        for stored in world.evidence.leaves(origin, 0, head.size):
            leaf = w.decode_stored(stored)
            if leaf.samples or leaf.carried:
                rows += derive(w.place(origin, stored.i), leaf, known).rows
        if changed is not None:
            rows = [row._replace(raw=row.raw + 1) if (row.point, row.t_ms) == changed else row for row in rows]
        view.write(origin.edge_id, origin.epoch, head.size, rows, [])


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with w.fixture_methodology():
        yield Plant(tmp_path)


def test_a_month_comes_out_with_the_origin_of_every_figure(plant: Plant) -> None:
    plant.begin(w.project_text())
    result = plant.result()
    assert (result.reference_tco2, result.project_tco2, result.reductions_tco2) == ("3.72", "0.372", "3.348")
    assert result.reductions_whole_tco2 == 3
    assert result.completeness == "1"
    exported = result.inputs[0]
    assert exported.start is not None
    assert exported.end is not None
    assert (exported.start.t_ms, exported.end.t_ms) == (w.START_MS, w.END_MS)
    assert exported.start.words == f"{5_000_000:08x}"
    assert exported.quantity == "7.44"
    leaf = w.decode_stored(next(plant.world.evidence.leaves(w.ORIGIN, exported.end.leaf, exported.end.leaf + 1)))
    assert any(sample.slot_ms == w.END_MS for sample in leaf.samples)
    assert result.cuts[0].size <= plant.world.evidence.head(w.ORIGIN).size
    assert result.refusals == []


def test_computing_again_changes_and_stores_nothing(plant: Plant) -> None:
    plant.begin(w.project_text())
    first = plant.computed()
    assert plant.computed() == first
    with run.room(plant.config) as room:
        worker = room.worker()
        worker.compute_all(1)
        assert worker.compute_all(2) == []


def test_a_recalled_methodology_computes_and_cannot_be_locked(plant: Plant) -> None:
    text = w.replaced(w.project_text(standing="demo"), "FIXTURE_PUBLISHED", "PV_CONSERVATIVE")
    text = text.replace('name = "EF"', 'name = "EF_RE"').replace('"EXP"', '"EG"')
    text = text[: text.index('[[monitored]]\nparameter = "IMP"')]
    plant.begin(text)
    result = plant.result()
    assert result.reductions_tco2 == "3.72"
    assert result.methodology.notice == "not checked against the approved text"
    plant.feed_view()
    with pytest.raises(Refused, match=r"PV_CONSERVATIVE.*recalled.*only a published") as refused:
        run.lock_period(plant.config, JULY)
    assert "parameter EF_RE is demo" in str(refused.value)
    assert plant.computed()[JULY].state == "closed"


def test_a_locked_period_verifies_and_says_so(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    plant.feed_view()
    provisional = plant.verify(plant.pack())
    assert (provisional.ok, provisional.meaning, provisional.exit_code) == (True, CREDITS_NOTHING, 0)
    locked = run.lock_period(plant.config, JULY)
    statement = open_statement(locked.statement.encode(), [plant.world.statement.verifier])
    assert (statement.state, statement.reductions_tco2) == ("locked", "3.348")
    verdict = plant.verify(plant.pack())
    assert verdict.problems == []
    assert (verdict.state, verdict.meaning) == ("locked", "locked by a signed statement")
    assert verdict.reductions_tco2 == "3.348"
    with pytest.raises(LockRefused, match="is locked; a correction is a further version"):
        run.lock_period(plant.config, JULY)
    assert plant.computed()[JULY] == locked


def test_a_view_that_differs_in_one_bit_is_refused_naming_point_and_day(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    plant.feed_view(changed=(w.IMPORT, w.START_MS + 100 * w.HOUR_MS))
    with pytest.raises(LockRefused, match=rf"view and leaves differ at {w.IMPORT} on 2016-07-05 \(1 days"):
        run.lock_period(plant.config, JULY)


def test_the_cut_moves_on_to_where_ingest_cosigned(plant: Plant) -> None:
    plant.world.mark_every = 7
    plant.begin(w.project_text(), w.month(extra_ms=200 * 3_600_000))
    (cut,) = plant.result().cuts
    assert cut.size % 7 == 0
    plant.feed_view()
    run.lock_period(plant.config, JULY)
    verdict = plant.verify(plant.pack())
    assert verdict.ok
    assert verdict.notes == []


def test_without_a_mark_at_the_cut_nothing_is_locked(plant: Plant) -> None:
    plant.world.mark_every = 10_000
    plant.begin(w.project_text())
    plant.computed()
    plant.feed_view()
    with pytest.raises(LockRefused, match="has no mark of ingest"):
        run.lock_period(plant.config, JULY)
    assert plant.verify(plant.pack()).notes != []


def test_a_view_that_has_not_reached_the_cut_is_refused(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    SqliteReadingsView(plant.folder / "view.db").close()
    with pytest.raises(LockRefused, match="has reached leaf 0, the cut is"):
        run.lock_period(plant.config, JULY)


def test_rows_after_the_cut_do_not_disturb_locking(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    late = [(w.START_MS + 30 * 60_000, 5_000_500, 70_050)]
    plant.world.record(late, w.configuration_sha256())
    plant.feed_view()
    assert run.lock_period(plant.config, JULY).state == "locked"


def ahead(plant: Plant, *, wall_ms: int) -> int:
    """A month with a leaf in its middle that has a slot ten days after the month; when that leaf was received."""
    readings, cfg = w.month(), plant.world.configure()
    plant.world.record(readings[:200], cfg)
    now_ms = readings[199][0]
    late = w.sample((w.END_MS + 240 * w.HOUR_MS, 9_000_000, 90_000))
    late = msgspec.structs.replace(late, mono_ms=w.sample(readings[199]).mono_ms + 1)
    plant.world.leaf(1, samples=[late], cfg=cfg, wall_ms=wall_ms, received_ms=now_ms)
    plant.world.record(readings[200:], cfg)
    plant.world.write_settings()
    plant.register(w.project_text())
    view = SqliteReadingsView(plant.folder / "view.db")
    Feeder(plant.world.evidence, view).catch_up()
    view.close()
    return now_ms


def test_an_edge_whose_clock_was_ahead_for_a_leaf_can_be_locked_and_makes_no_period(plant: Plant) -> None:
    """The view used to leave out what lay in ingest's future, which the leaves of a pack cannot tell."""
    ahead(plant, wall_ms=w.END_MS + 240 * w.HOUR_MS)
    assert sorted(plant.computed()) == ["plant-2016", JULY, "plant-2016-08"]
    locked = run.lock_period(plant.config, JULY)
    assert decode(locked.result_json).reductions_tco2 == "3.348"
    verdict = plant.verify(plant.pack())
    assert (verdict.problems, verdict.state, verdict.reductions_tco2) == ([], "locked", "3.348")


def test_a_slot_in_its_leafs_future_is_refused_alike_by_compute_lock_and_verify(plant: Plant) -> None:
    now_ms = ahead(plant, wall_ms=w.START_MS + 199 * w.HOUR_MS)
    assert now_ms == w.START_MS + 199 * w.HOUR_MS
    result = plant.result()
    (refusal,) = result.refusals
    assert "evidence cannot be read: leaf site-e1 1/26: slot" in refusal
    assert "in the future of leaf 1/26, limit 300 s" in refusal
    with pytest.raises(LockRefused, match="in the future of leaf 1/26"):
        run.lock_period(plant.config, JULY)
    verdict = plant.verify(plant.pack())
    assert (verdict.problems, verdict.reductions_tco2, verdict.refusals) == ([], "3.348", [refusal])


def test_a_slot_in_ingests_future_makes_no_period(plant: Plant) -> None:
    cfg = plant.world.configure()
    plant.world.record(w.month(), cfg)
    far = w.sample((4_000_000_000_000, 9_000_000, 90_000))
    plant.world.leaf(1, samples=[far], cfg=cfg, received_ms=w.END_MS)
    plant.world.write_settings()
    plant.register(w.project_text())
    assert sorted(plant.computed()) == ["plant-2016", JULY, "plant-2016-08"]


def test_another_methodology_than_the_registered_one_is_said_as_such(plant: Plant) -> None:
    plant.begin(w.project_text())
    with run.room(plant.config) as room:
        (record,) = room.ledger.projects()
        other = msgspec.structs.replace(record, methodology_sha256="ab" * 32)
        with pytest.raises(MethodologyChanged, match="was registered with methodology content"):
            room.worker().compute_project(other, 1)


def test_an_open_period_is_refused(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    plant.feed_view()
    with pytest.raises(LockRefused, match=r"plant-2016 cannot be locked: .*it is open"):
        run.lock_period(plant.config, "plant-2016")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('serial = "S-import"', 'serial = "S-other"', "serial 'S-other' in the plan but S-import"),
        ("valid_to = 2026-01-01", "valid_to = 2016-07-15", "not the whole period"),
        ('capacity_kw = "100"\n', "", "no capacity_kw"),
        ('approver = "Committee"\n', "", "must be published, with its document"),
    ],
)
def test_what_stands_in_the_way_of_locking_is_named(plant: Plant, old: str, new: str, reason: str) -> None:
    plant.begin(w.replaced(w.project_text(), old, new))
    result = plant.result()
    assert result.reductions_tco2 == "3.348"
    assert any(reason in refusal for refusal in result.refusals)
    plant.feed_view()
    with pytest.raises(LockRefused):
        run.lock_period(plant.config, JULY)


def test_a_debited_meter_that_is_silent_at_the_boundary_gives_no_result(plant: Plant) -> None:
    readings = [(t, e, None if t >= w.END_MS - 3 * w.HOUR_MS and t <= w.END_MS else i) for t, e, i in w.month()]
    plant.begin(w.project_text(), readings)
    result = plant.result()
    assert result.reductions_tco2 is None
    assert any("IMP at site-e1/import/energy: no GOOD reading within 1 h before the end" in r for r in result.refusals)


def test_an_epoch_that_is_not_approved_earns_nothing(plant: Plant) -> None:
    plant.begin(w.project_text(), epochs=())
    assert plant.computed() == {}


def test_a_second_epoch_carries_on_and_a_carried_leaf_counts_once(plant: Plant) -> None:
    readings = w.month()
    half = len(readings) // 2
    cfg = plant.world.configure(1)
    plant.world.record(readings[:half], cfg, epoch=1)
    plant.world.configure(2)
    stored = list(plant.world.evidence.leaves(w.ORIGIN, 10, 12))
    for one in stored:
        carried = Carried(epoch=1, i=one.i, body=base64.b64encode(w.body_of(one)).decode())
        plant.world.leaf(2, carried=carried)
    plant.world.record(readings[half:], cfg, epoch=2)
    plant.world.write_settings((1, 2))
    plant.register(w.project_text())
    result = plant.result()
    assert result.reductions_tco2 == "3.348"
    assert result.completeness == "1"
    assert [cut.origin.rsplit("/", 1)[1] for cut in result.cuts] == ["1", "2"]
    assert plant.verify(plant.pack()).problems == []


def test_a_period_over_new_year_is_split_at_the_plants_midnight_and_rounded_once_a_vintage(plant: Plant) -> None:
    new_year_ms = 1_483_196_400_000  # 2016-12-31T15:00:00Z is midnight in Tokyo
    slots = range(new_year_ms - 400 * w.HOUR_MS, new_year_ms + 400 * w.HOUR_MS + 1, w.HOUR_MS)
    readings: list[w.Reading] = [(t, (t - slots[0]) // 360, (t - slots[0]) // 3600) for t in slots]
    text = w.project_text(zone="Asia/Tokyo").replace("commissioned = 2016-07-01", "commissioned = 2016-12-16")
    plant.begin(text, readings)
    with run.room(plant.config) as room:
        project = read_project(text.encode(), "p.toml")
        source = ProjectSource(project, room.signed.roster, room.evidence)
        source.refresh()
        period = Period(slots[0], slots[-1])
        methodology = find("FIXTURE_PUBLISHED", "1.0")
        result = compute(project, methodology, source.at(period.end_ms).evidence, "winter", period)
    assert [vintage.year for vintage in result.vintages] == [2016, 2017]
    first, second = result.inputs[0], result.inputs[2]
    assert first.end is not None
    assert first.end == second.start
    assert first.end.t_ms == new_year_ms
    # 384 h from commissioning on, 400 h after New Year, 9 kWh net an hour at 0.5 t/MWh.
    assert [vintage.reductions_tco2 for vintage in result.vintages] == ["1.728", "1.8"]
    assert result.reductions_tco2 == "3.528"
    assert result.reductions_whole_tco2 == 2
    assert plant.result("plant-2016").reductions_tco2 == "1.728"


def test_reductions_below_zero_are_kept_and_rounded_down(plant: Plant) -> None:
    plant.begin(w.project_text(), [(t, i, e) for t, e, i in w.month()])
    result = plant.result()
    assert result.reductions_tco2 == "-3.348"
    assert result.reductions_whole_tco2 == -4
    assert Decimal(result.reductions_whole_tco2) <= Decimal(result.reductions_tco2)


def test_a_leaf_that_cannot_be_read_is_named_and_prevents_locking(plant: Plant) -> None:
    cfg = plant.world.configure()
    plant.world.record(w.month()[:200], cfg)
    plant.world.append(w.ORIGIN, b"not a leaf", w.START_MS)
    plant.world.record(w.month()[200:], cfg)
    plant.world.write_settings()
    plant.register(w.project_text())
    result = plant.result()
    assert result.reductions_tco2 == "3.348"
    assert any("evidence cannot be read: leaf site-e1 1/26" in refusal for refusal in result.refusals)
    assert plant.verify(plant.pack()).problems == []


def test_evidence_that_its_edge_did_not_sign_is_not_computed(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    plant.begin(w.project_text())
    with closing(sqlite3.connect(plant.folder / "evidence.db")) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("UPDATE leaf SET deflated = (SELECT deflated FROM leaf WHERE i = 4) WHERE i = 5")
    assert plant.computed() == {}
    assert "do not give the root that was signed" in caplog.text


def _rebuilt(pack: Path, **changes: bytes) -> bytes:
    """The pack with other contents, its manifest and container made anew."""
    contents = {name: [bytes(content)] for name, content in read(load(pack)).contents.items()}
    del contents["manifest.json"]
    file = io.BytesIO()
    write_into(file, {name: [changes.get(name.replace(".", "_"), content[0])] for name, content in contents.items()})
    return file.getvalue()


def test_a_better_result_signed_by_the_statement_key_itself_is_found(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    pack = plant.pack()
    opened = read(load(pack))
    result = decode(opened.bytes_of("result.json").decode())
    better = msgspec.structs.replace(result, reductions_tco2="33.48", reductions_whole_tco2=33)
    with run.room(plant.config) as room:
        cuts = locked_cuts(result)
        note = signed(better, cuts, room.evidence, room.keys)
    forged = _rebuilt(pack, result_json=encode(better).encode(), statement_note=note)
    verdict = plant.verify(forged)
    assert not verdict.ok
    assert any(p.text.startswith("reductions_tco2: stated ") and p.entry == "result.json" for p in verdict.problems)
    assert verdict.reductions_tco2 == "3.348"


def test_a_pack_claims_to_be_locked_though_nothing_was_published(plant: Plant) -> None:
    plant.begin(w.project_text(standing="demo"))
    plant.computed()
    pack = plant.pack()
    result = decode(read(load(pack)).bytes_of("result.json").decode())
    locked = msgspec.structs.replace(result, state="locked")
    with run.room(plant.config) as room:
        note = signed(locked, locked_cuts(result), room.evidence, room.keys)
    verdict = plant.verify(_rebuilt(pack, result_json=encode(locked).encode(), statement_note=note))
    assert any("the period is locked although parameter EF is demo" in problem.text for problem in verdict.problems)


def test_another_owners_key_verifies_nothing(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    other = SigningKey("owner", Ed25519PrivateKey.generate())
    verdict = verify_pack(plant.pack(), other.verifier)
    assert [problem.entry for problem in verdict.problems] == ["roster.note"]
    assert verdict.exit_code == 5


def test_a_statement_by_another_key_is_refused(plant: Plant) -> None:
    plant.begin(w.project_text())
    plant.computed()
    note = read(load(plant.pack())).bytes_of("statement.note")
    with pytest.raises(HakariError):
        open_statement(note, [SigningKey("statement", Ed25519PrivateKey.generate()).verifier])
    with pytest.raises(StatementInvalid):
        open_statement(note.replace(b"statement v1", b"statement v2"), [plant.world.statement.verifier])


def test_a_leaf_whose_text_is_not_utf8_is_malformed_and_nothing_else() -> None:
    # msgspec raises UnicodeDecodeError, which is no DecodeError, for such a key or text.
    for body in (b'{"v":1,"\xf4":1}', b'{"v":1,"edge":"\xff"}'):
        with pytest.raises(LeafMalformed):
            leaf_decode(body)
