"""Alarms: each fault raises its own and no other, once, and none ends by silence or by a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hakari.names import batch_topic
from hakari.wire.leaf import Sync, encode
from ingest.receive.protocol import KEY_ENDED
from ingest.receive.shards import Shards
from ingest.watch.alarm_settings import CheckTable, check_problems
from ingest.watch.alarming import of_worker
from ingest.watch.alarms import KINDS, Alarm, Alarms, Subject, sentence
from ingest.watch.health import MINUTE_MS
from ingest.watch.run_alarms import Watching
from simulate.faults import AnyFault, Silence, Spike, Stuck, Zero
from tests.unit.alarm_world import Site
from tests.unit.ingest_world import EDGE, FIRST, SLOT, STEP_MS, roster_of

MAIN = f"{EDGE}/main"


def moment(k: int) -> datetime:
    return datetime.fromtimestamp((SLOT + k * STEP_MS) / 1000, UTC)


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    made: list[Site] = []
    yield made
    for one in made:
        one.close()


def site_of(
    sites: list[Site], folder: Path, meters: Sequence[str] = ("main",), checks: Sequence[CheckTable] = ()
) -> Site:
    sites.append(Site(folder, roster_of(EDGE, epochs=[FIRST]), meters, checks))
    return sites[-1]


@pytest.fixture
def site(sites: list[Site], tmp_path: Path) -> Site:
    return site_of(sites, tmp_path)


def test_three_clean_days_alarm_nothing(site: Site) -> None:
    site.run(0, 3 * 96)
    assert site.changes == []
    meter = site.minutes.meters[max(site.minutes.meters)][0]
    assert (meter.meter, meter.points, meter.points_ok, meter.state, meter.frozen, meter.flags) == (
        "main", 4, 4, "ok", 0, None,
    )  # fmt: skip


# Slots 32 to 40 are a morning in which power flows.
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Silence(starts=moment(120)), "meter-silent"),
        (Stuck(starts=moment(120)), "meter-frozen"),
        (Stuck(starts=moment(136), quantities=["energy_import"]), "counter-still"),
        (Zero(starts=moment(136)), "counter-backward"),
        (Zero(starts=moment(136), counts=True), "counter-backward"),
        (Spike(starts=moment(136), factor=1.5, quantities=["energy_import"]), "counter-step"),
        (Spike(starts=moment(136), value=1e6, quantities=["active_power"]), "out-of-range"),
        (Spike(starts=moment(130), factor=0.1, quantities=["active_power"]), "power-energy"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.kind(),
)
def test_a_fault_raises_its_alarm_and_no_other(site: Site, fault: AnyFault, kind: str) -> None:
    site.run(0, 170, {"main": [fault]})
    assert site.raised() == {(kind, MAIN)}
    assert site.standing() == {(kind, MAIN)}
    assert len(site.changes) == 1, "raised once"
    flags = {one.meter: one.flags for one in site.minutes.meters[max(site.minutes.meters)]}
    assert flags == {"main": kind}


def test_a_fault_that_ends_clears_its_alarm_once(site: Site) -> None:
    site.run(0, 150, {"main": [Silence(starts=moment(120), until=moment(130))]})
    assert [(one.alarm.subject.kind, one.cleared) for one in site.changes] == [
        ("meter-silent", False),
        ("meter-silent", True),
    ]
    assert site.changes[0].alarm.id == site.changes[1].alarm.id
    assert site.standing() == set()


def test_late_and_out_of_order_leaves_give_the_same_findings(sites: list[Site], tmp_path: Path) -> None:
    details = set()
    for name, order in (("a", range(40, 60)), ("b", reversed(range(40, 60)))):
        (tmp_path / name).mkdir()
        one = site_of(sites, tmp_path / name)
        one.run(0, 39)
        for k in order:
            one.slot(
                k, {"main": [Stuck(starts=moment(44), quantities=["energy_import"])]}, received_ms=SLOT + 60 * STEP_MS
            )
        one.minute(SLOT + 60 * STEP_MS)
        assert one.raised() == {("counter-still", MAIN)}
        details.add(one.changes[0].alarm.detail)
    assert len(details) == 1


def test_one_dead_uplink_is_one_alarm_and_what_stood_stands(sites: list[Site], tmp_path: Path) -> None:
    site = site_of(sites, tmp_path, ("main", "spare", "third"))
    site.run(0, 100, {"spare": [Silence(starts=moment(90))]})
    assert site.standing() == {("meter-silent", f"{EDGE}/spare")}
    site.run(101, 140, silent=True)
    assert site.standing() == {("meter-silent", f"{EDGE}/spare"), ("edge-silent", EDGE)}
    site.run(141, 142, {"spare": [Silence(starts=moment(90))]})
    assert site.standing() == {("meter-silent", f"{EDGE}/spare")}
    site.run(143, 144)
    assert site.standing() == set()
    assert len(site.changes) == 4


def test_a_restart_neither_forgets_nor_repeats(site: Site) -> None:
    fault = {"main": [Stuck(starts=moment(136), quantities=["energy_import"])]}
    site.run(0, 150, fault)
    assert len(site.changes) == 1
    for k in range(151, 160):
        site.store.close()
        site.restart()
        site.run(k, k, fault)
    assert len(site.changes) == 1
    assert site.standing() == {("counter-still", MAIN)}
    site.store.close()
    site.restart().run(160, 162)
    assert len(site.changes) >= 2
    assert ("counter-still", MAIN) in site.cleared()


def test_a_source_that_has_stopped_is_an_alarm_until_it_works(site: Site) -> None:
    site.run(0, 10)
    watched = Watching(site.health, None)
    watched.see_sources(lambda: "source js has stopped")
    site.run(11, 20)
    assert site.standing() == {("source-stopped", "")}
    watched.see_sources(str)
    site.run(21, 30)
    assert site.standing() == set()


def test_while_the_view_is_away_nothing_of_meters_is_judged_and_the_edge_is(site: Site) -> None:
    site.run(0, 100, {"main": [Silence(starts=moment(80))]})
    assert site.standing() == {("meter-silent", MAIN)}
    site.away = "gives no answer"
    site.run(101, 120)
    assert site.standing() == {("meter-silent", MAIN), ("view-away", ""), ("view-behind", "")}
    assert not site.minutes.edges.get(SLOT + 110 * STEP_MS + MINUTE_MS)
    site.away = ""
    site.run(121, 122)
    assert site.standing() == set()
    away = SLOT + 110 * STEP_MS + MINUTE_MS
    assert site.minutes.edges[away][0].state == "ok", "the minutes of the outage are written as they were known"
    assert (site.minutes.points[away], site.minutes.meters[away]) == ([], [])
    assert {one.kind for one in site.minutes.alarms[away]} == {"meter-silent", "view-away"}


def table(kind: str, points: Sequence[str], **more: object) -> CheckTable:
    return CheckTable(kind=kind, points=[f"{EDGE}/{one}" for one in points], **more)  # type: ignore[arg-type]


def test_main_and_check_meter(sites: list[Site], tmp_path: Path) -> None:
    pair = table("pair", ["main/energy_import", "check/energy_import"])
    site = site_of(sites, tmp_path, ("main", "check"), [pair])
    site.run(0, 96)
    assert site.changes == []
    site.run(97, 140, {"check": [Stuck(starts=moment(130), quantities=["energy_import"])]})
    assert ("pair", f"{EDGE}/check/energy_import") in site.raised()


def test_inverters_against_their_feeder(sites: list[Site], tmp_path: Path) -> None:
    points = ["one/energy_import", "two/energy_import", "feeder/energy_import"]
    site = site_of(sites, tmp_path, ("one", "two", "feeder"), [table("sum", points)])
    site.run(0, 80)
    assert site.raised() == {("sum", f"{EDGE}/feeder/energy_import")}, "the feeder counts but one of two"


def test_capacity_of_the_plan(sites: list[Site], tmp_path: Path) -> None:
    site = site_of(sites, tmp_path, checks=[table("capacity", ["main/energy_import"], capacity_kw=4.0)])
    site.run(0, 60)
    assert site.raised() == {("counter-step", MAIN)}


def test_bad_input_31_readings_of_the_future_or_before_commissioning_alarm(sites: list[Site], tmp_path: Path) -> None:
    since = table("commissioned", ["main/energy_import"], since=moment(5))
    site = site_of(sites, tmp_path, checks=[since])
    site.run(5, 8)
    assert site.changes == []
    site.slot(12, received_ms=SLOT + 9 * STEP_MS)
    site.slot(4, received_ms=SLOT + 9 * STEP_MS)
    site.minute(SLOT + 9 * STEP_MS)
    assert site.raised() == {("future", EDGE), ("before-commissioning", MAIN), ("refused", EDGE)}
    rows = list(site.view.read(f"{MAIN}/energy_import", 0, 2**60))
    assert len(rows) == 6, "nothing is altered or dropped: calc decides"
    site.run(14, 18)
    assert site.standing() == set()


def test_bad_input_32_a_meter_that_is_in_no_configuration_alarms(site: Site) -> None:
    site.run(0, 3)
    site.meters = ("main", "stranger")
    site.slot(4)
    site.minute(SLOT + 4 * STEP_MS)
    assert site.raised() == {("refused", EDGE)}
    assert "'stranger'" in site.changes[0].alarm.detail


def test_quarantine_and_refused_keys(site: Site) -> None:
    site.run(0, 1)
    with site.evidence.transaction():
        site.evidence.quarantine("topic", "the roster has no key of edge x-1 for epoch 1, size 1", b"x", SLOT)
        site.evidence.quarantine("topic", "not a batch", b"x", SLOT)
        site.evidence.quarantine(batch_topic("gone-e9"), f"leaf 4 is signed by {KEY_ENDED} of edge gone-e9", b"x", SLOT)
    site.run(2, 3)
    assert site.raised() == {("key-refused", ""), ("quarantine", ""), ("key-ended", "gone-e9")}
    site.run(4, 8)
    assert site.standing() == set()


def test_a_full_disk(site: Site) -> None:
    site.min_free_percent = 100.0
    site.store.close()
    site.restart().run(0, 1)
    assert site.raised() == {("disk", "")}


def test_an_edge_that_leaves_the_roster_ends_its_alarms(site: Site) -> None:
    site.run(0, 60, {"main": [Silence(starts=moment(40))]})
    assert site.standing() == {("meter-silent", MAIN)}
    site.health.roster = roster_of()
    site.run(61, 61)
    assert site.standing() == set()


def test_another_workers_edges_are_not_judged(site: Site) -> None:
    site.health._mine = lambda edge_id: edge_id != EDGE
    site.run(0, 60, {"main": [Silence(starts=moment(40))]})
    assert site.changes == []
    assert not site.minutes.edges[max(site.minutes.edges)]


def test_what_is_about_all_of_ingest_is_raised_by_the_worker_of_shard_00_alone(
    sites: list[Site], tmp_path: Path
) -> None:
    raised = []
    for text in ("00-7f", "80-ff"):
        (tmp_path / text).mkdir()
        site = site_of(sites, tmp_path / text)
        shards = Shards(text)
        site.min_free_percent = 100.0
        site.store.close()
        site.restart(of_worker(shards.mine, first=shards.first)).run(0, 1)
        with site.evidence.transaction():
            site.evidence.quarantine("topic", "not a batch", b"x", SLOT)
        site.run(2, 3)
        raised.append(site.raised())
    assert raised == [{("disk", ""), ("quarantine", "")}, set()]
    assert Shards("all").first
    assert not Shards("01-ff").first


def test_an_edge_that_does_not_know_the_time_is_said_to_hold_its_samples(site: Site) -> None:
    site.run(0, 4)
    begun = site.plant.sampled(FIRST, site.cfg, SLOT + 5 * STEP_MS)
    waits = msgspec.structs.replace(begun, samples=[], sync=Sync("unsynchronised"))
    site.plant.store(FIRST, encode(waits), SLOT + 5 * STEP_MS)
    for k in range(4):
        site.minute(SLOT + 5 * STEP_MS + k * MINUTE_MS)
    assert site.raised() == {("time-unknown", EDGE)}
    assert "wait until its time is known" in sentence(site.changes[0].alarm, "en")
    site.run(6, 7)
    assert site.standing() == set()


def test_hysteresis() -> None:
    alarms, subject = Alarms(), Subject("clock", EDGE)

    def minute(k: int, *, there: bool, judged: bool = True) -> list[bool]:
        found = alarms.minute(k * MINUTE_MS, {subject: "off"} if there else {}, lambda _: not judged)
        return [one.cleared for one in found]

    assert [minute(k, there=True) for k in range(5)] == [[]] * 5
    assert minute(5, there=False) == [], "gone before it was raised"
    assert [minute(k, there=True) for k in range(6, 12)] == [[]] * 5 + [[False]]
    assert minute(12, there=False) == []
    assert minute(13, there=True) == [], "it flaps"
    assert [minute(k, there=False, judged=False) for k in range(14, 30)] == [[]] * 16
    assert [minute(k, there=False) for k in range(30, 35)] == [[]] * 4 + [[True]]
    assert minute(35, there=False) == []


def test_every_kind_says_what_it_is_in_both_languages() -> None:
    for kind in KINDS:
        alarm = Alarm(Subject(kind, MAIN), "detail", 0)
        english, japanese = sentence(alarm, "en"), sentence(alarm, "ja")
        assert english != japanese
        assert "detail" in english
        assert "detail" in japanese


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (table("pair", ["a/b"], window_h=1.0), "has 1 entries"),
        (table("sum", ["a/b", "c/d"]), "name two inverters"),
        (table("capacity", ["a/b"]), "capacity_kw belongs"),
        (table("commissioned", ["a/b"], since=datetime(2026, 1, 1)), "has no zone"),  # noqa: DTZ001
        (table("pair", ["a/b", "a/b"]), "named twice"),
        (table("pair", ["a/b", "a/c"], capacity_kw=1.0), "capacity_kw belongs"),
    ],
)
def test_a_check_that_contradicts_itself_is_refused(check: CheckTable, words: str) -> None:
    assert words in " ".join(check_problems([check]))
