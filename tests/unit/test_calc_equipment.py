"""Methodologies with equipment: worked examples by hand, service time, classes, hours under voltage, hostile files."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from api.results import detail
from calc.compute import compute_prepared, prepare
from calc.methodologies import chiller, transformer
from calc.methodologies.base import FormulaRefused, load
from calc.methodologies.declared import MethodologyInvalid
from calc.project import read_project
from calc.readiness import standing_refusals
from calc.statement import parameters_sha256
from hakari.errors import BadConfiguration
from hakari.ledger.result import ResultMalformed, decode, encode, sha256_of
from hakari.ledger.types import PeriodRecord
from hakari.period import Period
from tests.unit import calc_world as w
from tests.unit import equipment_world as e

OLD_RESULT = Path(__file__).parents[1] / "fixtures" / "results" / "result-1.json"
DAY_MS = 24 * w.HOUR_MS
CHILLERS, TRANSFORMERS = e.chiller_text(), e.transformer_text()
VOLTS = e.evidence({e.VOLTAGE: e.gauge_rows(e.july_voltage())}, "V", "gauge")
CHILLER = {name: Decimal(value) for name, value in {
    "EF_elec": "0.8", "capacity": "400", "COP_PJ": "6.4", "T_cooling_out": "36", "T_chilled_out": "8", "COP_RE": "5.33",
    "TD_chilled": "1.5", "TD_cooling": "1.5", "T_cooling_std": "37", "T_chilled_std": "7", "units": "1",
}.items()}  # fmt: skip
TRANSFORMER = {name: Decimal(value) for name, value in {
    "EF_grid": "0.5", "Br": "0.01", "tolerance": "0.1", "NLL_RE": "1400", "NLL_PJ": "450", "units": "20",
}.items()}  # fmt: skip


def test_two_chillers_by_hand() -> None:
    """EC[ch-1] = 744 h × 10 kWh; ch-2 serves from 11 July, 21 d × 24 h × 1 kWh.

    ch-1: COP_PJ,tc = 6.4 × (36 − 8 + 3) ÷ (37 − 7 + 3) = 198.4 ÷ 33; PE = 7.44 × 0.8 = 5.952;
    RE = 5.952 × 198.4 ÷ (33 × 5.33) = 1180.8768 ÷ 175.89 = 6.71372334982…
    ch-2: COP_PJ,tc = 5.5 × 33 ÷ 33; PE = 0.504 × 0.8 = 0.4032; RE = 0.4032 × 5.5 ÷ 4.92 = 0.45073170731…
    """
    result = e.result_of(CHILLERS, e.july_energy())
    assert result.vintages[0].quantities == {"EC[ch-1]": "7.44", "EC[ch-2]": "0.504"}
    assert result.project_tco2 == "6.3552"
    one, two = result.equipment
    assert [(x.id, x.class_, x.units, x.in_service, x.out_of_service) for x in result.equipment] == [
        ("ch-1", "300-450", 1, "2016-06-01", ""),
        ("ch-2", "below-300", 1, "2016-07-11", ""),
    ]
    assert (one.class_values[0].name, one.class_values[0].value, one.class_values[0].standing) == (
        "COP_RE", "5.33", "recalled",
    )  # fmt: skip
    assert one.vintages[0].reference_tco2 == "6.7137233498209107965205526181135937233498209107964"
    assert two.vintages[0].reference_tco2 == "0.45073170731707317073170731707317073170731707317073"
    assert result.reference_tco2 == "7.1644550571379839672522599351867644550571379839671"
    assert result.reductions_tco2 == "0.8092550571379839672522599351867644550571379839671"
    assert result.reductions_whole_tco2 == 0
    assert [(c.name, c.value) for c in result.methodology.constants] == [
        ("TD_chilled", "1.5"), ("TD_cooling", "1.5"), ("T_cooling_std", "37"), ("T_chilled_std", "7"),
    ]  # fmt: skip
    assert [(line.rule, line.hours, line.text) for line in result.lines] == [
        ("service", "240", "ch-2 was not in service")
    ]
    assert {one.equipment: one.expected_slots for one in result.inputs} == {"ch-1": 744, "ch-2": 504}


def test_two_classes_of_transformers_by_hand() -> None:
    """744 h less 4 h beside readings of zero less 6 h without readings = 734 h; t-400 five days = 120 h.

    RE = 0.5 × (20 × 1400 × 0.99 × 734 + 3 × 700 × 0.99 × 120) × 10⁻⁶ = 0.5 × (20,346,480 + 249,480) × 10⁻⁶ = 10.29798
    PE = 0.5 × (20 × 495 × 0.99 × 734 + 3 × 220 × 0.99 × 120) × 10⁻⁶ = 0.5 × (7,193,934 + 78,408) × 10⁻⁶ = 3.636171
    """
    result = e.result_of(TRANSFORMERS, VOLTS)
    assert result.vintages[0].quantities == {"H[t-1000]": "734", "H[t-400]": "120"}
    assert (result.reference_tco2, result.project_tco2) == ("10.29798", "3.636171")
    assert (result.reductions_tco2, result.reductions_whole_tco2) == ("6.661809", 6)
    assert [(line.rule, line.hours, line.quantity, line.unit, line.effect) for line in result.lines] == [
        ("outage", "4", "4", "h", "less"),
        ("energised-gap", "6", "6", "h", "less"),
        ("service", "360", "0", "h", "none"),
        ("service", "264", "0", "h", "none"),
    ]
    first = result.inputs[0]
    assert (first.equipment, first.energised_above, first.role) == ("t-1000", "6000", "both")
    assert first.start is not None
    assert (first.start.value, first.start.unit, first.start.t_ms) == ("6350", "V", w.START_MS)


def test_time_across_midnight_is_split_exactly_and_hours_of_days_add_up_to_the_month() -> None:
    """No reading stands at midnight, and 31 days give what the month gives."""
    project = read_project(TRANSFORMERS.encode(), "p.toml")
    shifted = [(t + 1_234_567, volt) for t, volt in [(w.START_MS - w.HOUR_MS, 63_500), *e.july_voltage()]]
    found = e.evidence({e.VOLTAGE: e.gauge_rows(shifted)}, "V", "gauge")
    prepared = prepare(project, transformer.METHODOLOGY, found)
    whole = compute_prepared(prepared, "2016-07", Period(w.START_MS, w.END_MS))
    days = [compute_prepared(prepared, "d", Period(t, t + DAY_MS)) for t in range(w.START_MS, w.END_MS, DAY_MS)]
    hours = [Decimal(day.vintages[0].quantities["H[t-1000]"]) for day in days]
    assert sum(hours) == Decimal(whole.vintages[0].quantities["H[t-1000]"]) == 734
    assert hours[0] == 24
    assert sum(e.total(day) for day in days) == e.total(whole)


def test_a_period_computed_from_prepared_courses_is_that_of_compute() -> None:
    project, found = read_project(CHILLERS.encode(), "p.toml"), e.july_energy()
    prepared = prepare(project, chiller.METHODOLOGY, found)
    assert compute_prepared(prepared, "2016-07", Period(w.START_MS, w.END_MS)) == e.result_of(CHILLERS, found)


def test_equipment_out_of_service_need_not_be_read_on() -> None:
    text = w.replaced(
        CHILLERS, 'class = "below-300"\nin_service = 2016-07-11', "in_service = 2016-07-01\nout_of_service = 2016-07-03"
    )
    found = e.july_energy()
    short = [row for row in found.rows[w.IMPORT] if row.t_ms < w.START_MS + 40 * w.HOUR_MS]
    result = e.result_of(text, found._replace(rows={**found.rows, w.IMPORT: short}))
    assert result.measured_end_ms == w.END_MS
    # The register of hour 39 is the last one; nobody knows what ran after it.
    assert result.vintages[0].quantities == {"EC[ch-1]": "7.44", "EC[ch-2]": "0.039"}
    assert [line.rule for line in result.lines] == ["service", "boundary-moved"]
    open_ = e.result_of(text, found._replace(rows=dict.fromkeys(found.rows, short)))
    assert open_.measured_end_ms < w.START_MS + 2 * DAY_MS
    assert any("not over" in reason for reason in open_.refusals)


def test_equipment_not_in_service_gives_zero_and_no_refusal() -> None:
    text = w.replaced(CHILLERS, "in_service = 2016-07-11", "in_service = 2017-01-01")
    found = e.july_energy()
    result = e.result_of(text, found._replace(rows={**found.rows, w.IMPORT: []}))
    assert result.vintages[0].quantities == {"EC[ch-1]": "7.44", "EC[ch-2]": "0"}
    assert result.equipment[1].vintages[0].reductions_tco2 == "0"
    assert not any("ch-2 " in reason and "EC" in reason for reason in result.refusals)
    assert result.completeness == "1"


def test_a_quantity_that_is_refused_refuses_the_sum_and_shows_what_the_others_gave() -> None:
    found = e.july_energy()
    reset = [row._replace(raw=row.raw - 69_000) if k > 700 else row for k, row in enumerate(found.rows[w.IMPORT])]
    result = e.result_of(CHILLERS, found._replace(rows={**found.rows, w.IMPORT: reset}))
    assert (result.reductions_tco2, result.vintages[0].quantities) == (None, {})
    assert result.equipment[0].vintages[0].project_tco2 == "5.952"
    assert (result.equipment[1].vintages[0].project_tco2, result.equipment[1].vintages[0].quantities) == (None, {})
    assert any(reason.startswith("EC at site-e1/import/energy") for reason in result.refusals)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("COP_RE", "6.1", "COP_PJ,tc = 6.012121 is not above COP_RE = 6.1, so that the project saves no electricity"),
        ("T_cooling_out", "8", "COP_PJ,tc = 0.581818 is not above"),
        ("COP_PJ", "5.67", "is not above COP_RE = 5.33"),
    ],
)
def test_a_chiller_that_saves_nothing_is_refused(name: str, value: str, sentence: str) -> None:
    with pytest.raises(FormulaRefused, match=sentence):
        chiller.METHODOLOGY.evaluate({"EC": Decimal(1)}, CHILLER | {name: Decimal(value)})


def test_a_chiller_at_its_reference_cop_is_refused_and_one_digit_above_it_is_not() -> None:
    same = CHILLER | {"T_cooling_out": Decimal(37), "T_chilled_out": Decimal(7), "COP_PJ": Decimal("5.33")}
    with pytest.raises(FormulaRefused, match=r"COP_PJ,tc = 5\.33 is not above COP_RE = 5\.33"):
        chiller.METHODOLOGY.evaluate({"EC": Decimal(1)}, same)
    above = chiller.METHODOLOGY.evaluate({"EC": Decimal(1)}, same | {"COP_PJ": Decimal("5.330001")})
    assert above.reference > above.project == Decimal("0.8")


def test_what_a_shared_analyser_saw_for_several_classes_stands_once() -> None:
    text = w.replaced(TRANSFORMERS, "in_service = 2016-07-16\nout_of_service = 2016-07-21", "in_service = 2016-06-01")
    result = e.result_of(text, VOLTS)
    assert result.vintages[0].quantities == {"H[t-1000]": "734", "H[t-400]": "734"}
    assert [line.rule for line in result.lines] == ["outage", "energised-gap"]


def test_a_plan_that_expects_fewer_readings_than_the_edge_takes_bridges_no_gap() -> None:
    """Quarter-hourly readings under a plan of hours: an hour without a GOOD one a day is counted by neither."""
    quarter_ms = w.HOUR_MS // 4
    readings = [(w.START_MS + k * quarter_ms, None if 1 <= k % 96 <= 4 else 63_500 + k % 2) for k in range(747 * 4)]
    told = e.evidence({e.VOLTAGE: e.gauge_rows(readings)}, "V", "gauge")
    facts = {name: [fact._replace(interval_ms=quarter_ms) for fact in found] for name, found in told.facts.items()}
    text = w.replaced(TRANSFORMERS, "in_service = 2016-07-16\nout_of_service = 2016-07-21", "in_service = 2016-06-01")
    result = e.result_of(text, told._replace(facts=facts))
    assert result.vintages[0].quantities["H[t-1000]"] == "705.25"  # 31 days of 24 h, less five quarters each
    assert {line.rule for line in result.lines} == {"energised-gap"}


def test_a_transformer_that_saves_nothing_with_its_tolerance_is_refused_by_its_name() -> None:
    parameters = TRANSFORMER | {"NLL_RE": Decimal(495)}
    with pytest.raises(FormulaRefused, match="NLL_PJ with its tolerance is 495 W and not below NLL_RE = 495 W"):
        transformer.METHODOLOGY.evaluate({"H": Decimal(1)}, parameters)
    above = transformer.METHODOLOGY.evaluate({"H": Decimal(1)}, parameters | {"NLL_RE": Decimal("495.000001")})
    assert above.reference > above.project
    text = w.replaced(TRANSFORMERS, 'value = "700"', 'value = "220"')
    result = e.result_of(text, VOLTS)
    assert result.reductions_tco2 is None
    assert any(reason.startswith("equipment t-400: NLL_PJ with its tolerance is 220 W") for reason in result.refusals)


@pytest.mark.parametrize(
    ("capacity", "class_", "cop"),
    [
        ("299.999", "below-300", "4.92"), ("300", "300-450", "5.33"), ("449.9", "300-450", "5.33"),
        ("450", "450-550", "5.59"), ("550", "550-825", "5.69"), ("825", "825-1250", "5.85"),
        ("1249.9", "825-1250", "5.85"),
    ],
)  # fmt: skip
def test_the_capacity_decides_the_class(capacity: str, class_: str, cop: str) -> None:
    text = w.replaced(CHILLERS, 'value = "400"', f'value = "{capacity}"')
    used = e.result_of(text, e.july_energy()).equipment[0]
    assert (used.class_, used.class_values[0].value) == (class_, cop)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('value = "400"', 'value = "1250"', r"ch-1: capacity = 1250 USRt is outside every class .*≤ capacity < 1250"),
        ('class = "below-300"', 'class = "300-450"', "belongs to class below-300, not '300-450'"),
        ('class = "below-300"', 'clas = "below-300"', r"\[equipment#2\]\.clas is not a known key; did you mean class"),
        ('id = "ch-2"', 'id = "ch-1"', r"\[\[equipment\]\] ch-1 is given twice"),
        ('id = "ch-2"', 'id = "Ch 2"', r"\[equipment#2\]\.id"),
        ('id = "ch-2"', 'id = "ch-2\\n"', r"\[equipment#2\]\.id"),
        ('equipment = "ch-2"', 'equipment = "ch-3"', "'ch-3', which no .*; known are ch-1, ch-2"),
        ('equipment = "ch-2"\n', "", "names no equipment"),
        ('equipment = "ch-2"', 'equipment = "ch-1"', r"\[\[equipment\]\] ch-2 has no point that measures EC"),
        ('equipment = "ch-2"', 'equipment = "ch-2"\nenergised_above = "1"', "is a register; leave energised_above out"),
        ("in_service = 2016-07-11", "in_service = 2016-07-11\nunits = 0", "units"),
        ("in_service = 2016-07-11", "in_service = 2016-07-11\nunits = 1.5", "units"),
        ("in_service = 2016-07-11", "in_service = 2016-07-11\nout_of_service = 2016-07-11", "not after in_service"),
        ("in_service = 2016-07-11", 'in_service = "soon"', "in_service"),
        ("in_service = 2016-07-11", "in_service = 0001-01-01", "give a day from 1990 to 2200"),
        ("in_service = 2016-07-11\n", "", "in_service is missing"),
        ('name = "COP_PJ"', 'name = "COP"', r"ch-1: \[\[equipment\.parameter\]\] COP_PJ is missing"),
        ('name = "COP_PJ"', 'name = "COP_RE"', r"COP_PJ is missing"),
        ('value = "6.4"', 'value = "64"', "ch-1: parameter COP_PJ = 64 1 is outside 0.1 to 30 1"),
        ('value = "250"', 'value = "0"', "ch-2: parameter capacity = 0 USRt is outside 1 to 100000 USRt"),
        ('value = "36"', 'value = "70"', "ch-1: parameter T_cooling_out = 70 °C is outside 15 to 60 °C"),
        ('value = "8"', 'value = "-30"', "ch-1: parameter T_chilled_out = -30 °C is outside -20 to 25 °C"),
        ('unit = "USRt"', 'unit = "kW"', "USRt"),
        ("[[monitored]]", '[[equipments]]\nid = "x"\n[[monitored]]', "did you mean equipment"),
        ('parameter = "EC"', 'parameter = "H"', r"\[\[monitored\]\] EC is missing"),
    ],
)  # fmt: skip
def test_a_wrong_register_of_chillers_is_refused_in_one_sentence(old: str, new: str, sentence: str) -> None:
    with pytest.raises(BadConfiguration, match=sentence) as refused:
        e.result_of(w.replaced(CHILLERS, old, new), e.july_energy())
    assert "\n" not in str(refused.value)


SECOND = e.point(e.ANALYSER, "S-import", 'energised_above = "6000"')
THIRD = e.point("site-e1/third/energy", "S-3", 'energised_above = "6000"', 'equipment = "THIRD"')
OWN = SECOND.replace("energised_above", 'equipment = "t-400"\nenergised_above')


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (w.replaced(TRANSFORMERS, 'energised_above = "6000"\n', ""), "has no energised_above; give the threshold"),
        (w.replaced(TRANSFORMERS, '"6000"', '"0"'), "energised_above of .* is 0; it must be above 0"),
        (w.replaced(TRANSFORMERS, '"6000"', '"6 kV"'), "energised_above"),
        (w.replaced(TRANSFORMERS, 'value = "200"', 'value = "0"'), "t-400: parameter NLL_PJ = 0 W is outside 1 to"),
        (w.replaced(TRANSFORMERS, 'value = "700"', 'value = "0.9"'), r"NLL_RE = 0\.9 W is outside 1 to"),
        (w.replaced(TRANSFORMERS, "interval_s = 3600", "interval_s = 3601"), "too long for energised hours H"),
        (TRANSFORMERS + SECOND, r"\[\[equipment\]\] t-1000 has 2 points for H, whose hours would be added up"),
        (
            TRANSFORMERS + OWN + THIRD.replace("THIRD", "t-400"),
            "t-400 has 2 points",
        ),
        (
            TRANSFORMERS + OWN + THIRD.replace("THIRD", "t-1000"),
            "point site-e1/export/energy measures H for no equipment",
        ),
        (w.replaced(TRANSFORMERS, "units = 20", "units = 1000001"), "units"),
        (w.project_text(methodology="PV_CONSERVATIVE") + '[[equipment]]\nid = "x"\nin_service = 2016-01-01\n', "EF_RE"),
    ],
)
def test_a_wrong_register_of_transformers_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadConfiguration, match=sentence) as refused:
        e.result_of(text, VOLTS)
    assert "\n" not in str(refused.value)


def test_a_methodology_without_equipment_takes_none() -> None:
    more = '[[equipment]]\nid = "x"\nin_service = 2016-01-01\n'
    with w.fixture_methodology():
        with pytest.raises(BadConfiguration, match="FIXTURE_PUBLISHED has no equipment"):
            e.result_of(w.project_text() + more, e.july_energy())
        named = w.replaced(w.project_text(), 'serial = "S-export"', 'serial = "S-export"\nequipment = "x"')
        with pytest.raises(BadConfiguration, match=r"which no .* is; known are none"):
            e.result_of(named, e.july_energy())
        result = e.result_of(w.project_text(), e.july_energy())
    assert b'"equipment"' not in msgspec.json.encode(result)
    assert b'"constants"' not in msgspec.json.encode(result)
    assert b"energised" not in msgspec.json.encode(result)
    text = w.replaced(CHILLERS, CHILLERS[CHILLERS.index("[[equipment]]") : CHILLERS.index("[[monitored]]")], "")
    with pytest.raises(BadConfiguration, match=r"no \[\[equipment\]\] is; known are none"):
        e.result_of(text, e.july_energy())
    with pytest.raises(BadConfiguration, match=r"\[\[equipment\]\] is missing"):
        e.result_of(text.replace('equipment = "ch-1"\n', "").replace('equipment = "ch-2"\n', ""), e.july_energy())


@pytest.mark.parametrize(
    ("unit", "kind", "sentence"),
    [
        ("V", "counter", "it is a counter, and only a gauge tells energised hours"),
        ("Hz", "gauge", "its unit Hz does not convert to V"),
        ("", "gauge", r"its unit \(none\) does not convert to V"),
    ],
)
def test_a_point_that_is_no_voltage_is_refused(unit: str, kind: str, sentence: str) -> None:
    found = e.evidence({e.VOLTAGE: e.gauge_rows(e.july_voltage())}, unit, kind)
    result = e.result_of(TRANSFORMERS, found)
    assert result.reductions_tco2 is None
    assert any(sentence.replace("\\", "") in reason for reason in result.refusals)


def test_a_threshold_is_in_the_points_unit() -> None:
    found = e.evidence({e.VOLTAGE: e.gauge_rows(e.july_voltage())}, "kV", "gauge")
    assert e.result_of(TRANSFORMERS, found).vintages[0].quantities["H[t-1000]"] == "734"
    higher = w.replaced(TRANSFORMERS, '"6000"', '"6350"')
    assert e.result_of(higher, VOLTS).vintages[0].quantities["H[t-1000]"] == "0"
    assert (
        e.result_of(w.replaced(TRANSFORMERS, '"6000"', '"6349.9"'), VOLTS).vintages[0].quantities["H[t-1000]"] == "734"
    )


@pytest.mark.parametrize("serial", ["S-export", "s-EXPORT "])
def test_one_meter_bound_as_two_points_is_not_locked(serial: str) -> None:
    text = w.replaced(CHILLERS, "S-import", serial)
    sentence = (
        f"points {w.EXPORT} and {w.IMPORT} of EC, both with serial 's-export', are of one meter, so its energy may"
        " count twice"
    )
    assert sentence in e.result_of(text, e.july_energy()).refusals
    moved = w.replaced(text, "in_service = 2016-06-01", "in_service = 2016-06-01\nout_of_service = 2016-07-11")
    for other in (CHILLERS, moved):
        assert not any("count twice" in reason for reason in e.result_of(other, e.july_energy()).refusals)


def test_what_must_stand_before_a_lock_names_equipment_classes_and_constants() -> None:
    project = read_project(CHILLERS.encode(), "p.toml")
    prepared = prepare(project, chiller.METHODOLOGY, e.july_energy())
    reasons = standing_refusals(project, chiller.METHODOLOGY, prepared.uses, Period(w.START_MS, w.END_MS))
    own = "capacity, COP_PJ, T_cooling_out, T_chilled_out of equipment"
    published = "must be published to lock, each with its document's SHA-256 and an approver"
    classes = "class 300-450, class below-300 of methodology CHILLER_COP_RATIO must stand in the published text to lock"
    constants = "constant TD_chilled, constant TD_cooling, constant T_cooling_std, constant T_chilled_std"
    assert [reason for reason in reasons if "ch-" in reason or "class" in reason] == [
        f"{own} ch-1 {published}",
        f"{own} ch-2 {published}",
        f"{constants}, {classes}",
    ]
    assert not any("capacity_kw" in reason for reason in e.result_of(TRANSFORMERS, VOLTS).refusals)
    late = w.replaced(CHILLERS, "in_service = 2016-07-11", "in_service = 2026-01-01")
    assert not any("calibration" in reason for reason in e.result_of(late, e.july_energy()).refusals)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('below = "450"', 'below = "451"', "overlap"),
        ('below = "450"', 'below = "300"', "empty or overlap"),
        ('key = "450-550"', 'key = "300-450"', "keys of their own"),
        ('COP_RE = "5.33"', 'COP = "5.33"', r"class 300-450 .* gives \['COP'\], not \['COP_RE'\]"),
        ('parameter = "capacity"\nbelow', "below", "one equipment_parameter"),
        ('name = "TD_chilled"', 'name = "EF_elec"', "declares a name twice"),
        ('name = "TD_chilled"', 'name = "units"', "which every equipment has"),
        ('unit = "K"', 'unit = "k"', "did you mean"),
        ('role = "both"', 'role = "both"\nkind = "energised_hours"', "is a time; declare it in h"),
    ],
)
def test_a_data_file_with_wrong_classes_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    module = Path(chiller.__file__)
    shutil.copy(module, tmp_path)
    text = w.replaced(module.with_suffix(".toml").read_text(), old, new)
    (tmp_path / "chiller.toml").write_text(text)
    with pytest.raises((MethodologyInvalid, BadConfiguration), match=sentence):
        load(str(tmp_path / "chiller.py"), chiller.evaluate)


def test_results_of_the_first_release_stay_in_their_one_form() -> None:
    text = OLD_RESULT.read_text()
    assert encode(decode(text)) == text
    assert decode(text).equipment == []
    # The hash of the parameter set that its statement names stays what it was: that of the list of parameters.
    assert parameters_sha256(decode(text)) == sha256_of(msgspec.json.encode(decode(text).parameters).decode())
    for new in ('"equipment":"",', '"energised_above":"",'):
        with pytest.raises(ResultMalformed, match="one form"):
            decode(w.replaced(text, '"expected_slots":744}', f'"expected_slots":744,{new[:-1]}}}'))
    with pytest.raises(ResultMalformed, match="one form"):
        decode(text[: text.rindex("}")] + ',"equipment":[]}\n')


def test_a_result_with_equipment_comes_back_and_its_factors_are_in_the_parameter_hash() -> None:
    result = e.result_of(CHILLERS, e.july_energy())
    assert decode(encode(result)) == result
    for old, new in (
        ('value = "6.4"', 'value = "6.5"'),
        ('value = "400"', 'value = "460"'),
        ("2016-06-01\n", "2016-06-01\nunits = 2\n"),
    ):
        assert parameters_sha256(e.result_of(w.replaced(CHILLERS, old, new), e.july_energy())) != parameters_sha256(
            result
        )


def test_the_api_shows_equipment() -> None:
    text = encode(e.result_of(TRANSFORMERS, VOLTS))
    record = PeriodRecord(
        period_id="plant-2016-07", project_id="plant", kind="month", start_ms=w.START_MS, end_ms=w.END_MS,
        zone="Etc/UTC", version=1, state="open", result_json=text, result_sha256=sha256_of(text), statement="",
        supersedes=None, computed_ms=w.END_MS,
    )  # fmt: skip
    shown = detail(record, list, has_pack=False).model_dump(by_alias=True)
    assert [(one["id"], one["class"], one["units"]) for one in shown["equipment"]] == [
        ("t-1000", "t-1000 kVA", 20),
        ("t-400", "t-400 kVA", 3),
    ]
    assert shown["equipment"][0]["vintages"][0]["quantities"] == {"H": "734"}
    assert [one["equipment"] for one in shown["inputs"]] == ["t-1000", "t-400"]
    assert shown["inputs"][0]["energised_above"] == "6000"
