"""Every fault of a simulated meter in a run of the chain: flagged, never credited more, the same total again."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from hakari.ledger.result import encode
from simulate.faults import KINDS
from tests.system.fault_runs import LATE_S, METERS, SLOTS, SLOW_S, Case, FaultRun, Outcome

pytestmark = pytest.mark.system

DAY = "2016-07-31T"
MORNING = f"from={DAY}10:00:00-07:00 until={DAY}13:00:00-07:00"
SHORTLY = f"from={DAY}10:00:00-07:00 until={DAY}10:30:00-07:00"
MIDNIGHT = f"from={DAY}22:00:00-07:00 until=2016-08-01T01:00:00-07:00"
FOR_EVER = f"from={DAY}10:00:00-07:00"
GAP = {"lines": "telemetry-gap"}
SILENT = {**GAP, "view": "timeout", "log": "answers nothing: timeout"}
BUSY = {**GAP, "view": "exception 6", "log": "answers nothing: exception 6"}
HOLE = {**GAP, "view": "exception 2", "log": "answers nothing: exception 2"}
FROZEN = {"lines": "frozen", "log": "has answered the same words"}
NO_END = {"refusals": "no GOOD reading within 1 h before the end"}
RESET = {"refusals": "the register fell and does not return"}
PHANTOM = {"lines": "phantom"}
MOVED = {"lines": "boundary-moved"}
CAPACITY = {"lines": "capacity"}
SERIAL = {"view": "identity mismatch: serial holds"}
TIMED_OUT = (
    Case("aux", f"kind=silence {SHORTLY}", SILENT),
    Case("inverter", f"kind=late delay_s={LATE_S} {SHORTLY}", SILENT),
)
CASES = [
    *TIMED_OUT,
    Case("primary", f"kind=silence {SHORTLY}", {"lines": "energised-gap", "view": "timeout"}),
    Case("primary", f"kind=stuck {MORNING}", {"lines": "energised-gap", "log": "has answered the same words"}),
    Case("primary", f"kind=spike value=0 {MORNING}", {"lines": "outage"}),
    Case("power", f"kind=stuck {MIDNIGHT}", {**FROZEN, **MOVED}),
    Case("power", f"kind=late delay_s={LATE_S} {SHORTLY}", SILENT),
    Case("power", f"kind=replaced start=1000000000 {FOR_EVER}", CAPACITY),
    Case("aux", f"kind=slow delay_s={SLOW_S} {SHORTLY}", {}),
    Case("inverter", f"kind=slow delay_s={SLOW_S} {SHORTLY}", {}),
    Case("heat", f"kind=exception code=6 {MORNING}", BUSY),
    Case("export", f"kind=exception {MIDNIGHT}", MOVED),
    Case("aux", f"kind=exception {MIDNIGHT}", NO_END),
    Case("aux", f"kind=spike factor=10 {MORNING}", RESET),
    Case("heat", f"kind=spike factor=10 {MORNING}", PHANTOM),
    Case("export", f"kind=spike value=0 {MIDNIGHT}", {**PHANTOM, **MOVED}),
    Case("inverter", f"kind=spike factor=1.001 {MIDNIGHT}", RESET),
    Case("aux", f"kind=stuck {MORNING}", FROZEN),
    Case("aux", f"kind=stuck {MIDNIGHT}", {**NO_END, "log": "has answered the same words"}),
    Case("export", f"kind=stuck {MORNING}", FROZEN),
    Case("inverter", f"kind=stuck {FOR_EVER}", FROZEN),
    Case("heat", f"kind=stuck {MIDNIGHT}", {"log": "has answered the same words"}),
    Case("aux", f"kind=zero {MORNING}", PHANTOM),
    Case("aux", f"kind=zero counts=true {MORNING}", RESET),
    Case("heat", f"kind=zero counts=true {MIDNIGHT}", {**PHANTOM, **MOVED}),
    Case("inverter", f"kind=zero {MORNING}", {**GAP, "view": "not accumulated"}),
    Case("aux", f"kind=replaced start=0 {FOR_EVER}", RESET),
    Case("aux", f"kind=replaced start=1000000000000 {FOR_EVER}", CAPACITY),
    Case("heat", f"kind=replaced start=0 {FOR_EVER}", RESET),
    Case("heat", f"kind=replaced start=1000000000000 {FOR_EVER}", CAPACITY),
    Case("export", f"kind=replaced start=1000000000000 {FOR_EVER}", CAPACITY),
    Case("inverter", f"kind=replaced start=0 {FOR_EVER}", SERIAL),
    Case("inverter", f"kind=replaced start=1000000000000 {FOR_EVER}", SERIAL),
    Case("aux", f"kind=hole {MIDNIGHT}", {**NO_END, "view": "exception 2"}),
    Case("export", f"kind=hole address=3207 count=4 {MORNING}", {**GAP, "view": "exception 2"}),
    Case("inverter", f"kind=hole {MORNING}", HOLE),
]
BOTH = (MORNING, MIDNIGHT)
WILD = ("factor=10", "factor=1.001", "value=0", "value=1e12")
WORDS = {
    "silence": (SHORTLY,),
    "exception": (f"code=11 {MORNING}", MIDNIGHT),
    "slow": (f"delay_s={SLOW_S} {MORNING}",),
    "late": (f"delay_s={LATE_S} {SHORTLY}",),
    "spike": tuple(f"{wild} {when}" for wild in WILD for when in BOTH),
    "stuck": (MORNING, MIDNIGHT, FOR_EVER),
    "zero": tuple(f"counts={counts} {when}" for counts in ("true", "false") for when in BOTH),
    "replaced": (f"start=0 {FOR_EVER}", f"start=1000000000000 {FOR_EVER}", f"start=7 {MIDNIGHT}"),
    "hole": (MORNING, MIDNIGHT, FOR_EVER),
}
# Of the transformer's analyser it is the voltage that counts, to which counters and serials are nothing.
NO_MATTER = {("primary", "spike"), ("primary", "zero"), ("primary", "replaced")}
MATRIX = [
    Case(meter, f"kind={kind} {words}", {})
    for kind, meter in product(WORDS, METERS)
    if (meter, kind) not in NO_MATTER
    for words in WORDS[kind]
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FaultRun:
    """One run with every case, computed."""
    driven = FaultRun(tmp_path_factory.mktemp("faults"), CASES)
    driven.drive()
    return driven


def test_the_kinds_and_meters_are_all_there() -> None:
    kinds = {kind.kind() for kind in KINDS}
    assert {case.words.split()[0].removeprefix("kind=") for case in CASES} == kinds == set(WORDS)
    assert {case.meter for case in CASES} == set(METERS)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_fault_is_flagged_and_never_credits_more(run: FaultRun, case: Case) -> None:
    places = run.places(case)
    for place, text in case.flagged.items():
        assert text in places[place], places
    never_more(run.outcome(run.meter_of(case)), run.outcome(run.true_of(case)))


def never_more(found: Outcome, true: Outcome) -> None:
    """Refused, or a credited quantity not above and a debited one not below the truth; reductions never above."""
    assert true.quantity is not None
    assert true.reductions is not None
    assert (found.quantity is None) == (found.reductions is None)
    if found.quantity is None or found.reductions is None:
        return
    if found.input.role == "debited":
        assert found.quantity >= true.quantity
    else:
        assert found.quantity <= true.quantity
    assert found.reductions <= true.reductions


def test_what_is_no_fault_costs_nothing(run: FaultRun) -> None:
    """A slow meter's samples are all there; so are those of every meter around silent and late ones on its bus."""
    for case in CASES:
        true, found = run.outcome(run.true_of(case)), run.outcome(run.meter_of(case))
        assert len(true.values) == SLOTS
        if "kind=slow" in case.words:
            assert found.values == true.values
            assert (found.quantity, found.reductions) == (true.quantity, true.reductions)


@pytest.mark.parametrize("case", TIMED_OUT, ids=[case.id for case in TIMED_OUT])
def test_what_came_late_or_not_at_all_was_never_taken(run: FaultRun, case: Case) -> None:
    """Two slots are missing, and every other reading is the true one of its own slot."""
    true, found = run.outcome(run.true_of(case)).values, run.outcome(run.meter_of(case)).values
    assert len(found) == SLOTS - 2
    assert found.items() <= true.items()


def test_the_same_totals_after_a_rebuild_and_from_packs(run: FaultRun) -> None:
    meters = [run.meter_of(case) for case in CASES]
    before = {meter: run.outcome(meter) for meter in meters}
    run.rebuild()
    run.compute()
    for meter, one in before.items():
        again = run.outcome(meter)
        assert encode(again.result) == encode(one.result), meter
        assert list(again.rows) == list(one.rows), meter
    for kind in ("late", "stuck", "replaced"):
        meter = next(run.meter_of(case) for case in CASES if f"kind={kind} " in case.words)
        verdict = run.verdict(meter)
        assert verdict.problems == []
        assert verdict.reductions_tco2 == before[meter].result.reductions_tco2


@pytest.mark.prove
@pytest.mark.parametrize("kind", list(WORDS))
def test_every_kind_on_every_meter(tmp_path: Path, kind: str) -> None:
    """The whole matrix; a fault is flagged in one place at least, and packs verify to the same."""
    cases = [case for case in MATRIX if case.words.split()[0] == f"kind={kind}"]
    run = FaultRun(tmp_path, cases)
    run.drive()
    before = {run.meter_of(case): run.outcome(run.meter_of(case)) for case in cases}
    for case in cases:
        meter = run.meter_of(case)
        never_more(before[meter], run.outcome(run.true_of(case)))
        places = run.places(case)
        rules = places["lines"].replace("commissioned: nothing is counted before the point was commissioned;", "")
        assert kind == "slow" or rules.strip() or places["refusals"] or places["view"] or places["log"], case.words
        verdict = run.verdict(meter)
        assert verdict.problems == []
        assert verdict.reductions_tco2 == before[meter].result.reductions_tco2
    run.rebuild()
    run.compute()
    for meter, one in before.items():
        assert encode(run.outcome(meter).result) == encode(one.result), meter
