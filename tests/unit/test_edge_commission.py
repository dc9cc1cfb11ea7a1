"""Commissioning: what matches, what does not, and what a display proves."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edge.commission.commission import (
    COARSE,
    DIFFERS,
    MATCHED,
    MATCHED_COARSELY,
    NO_VALUE,
    NOT_BACKED,
    NOT_COMPARED,
    DisplayUnreadable,
    PointResult,
    Record,
    Single,
    compared,
    digit_of,
    direction_of,
    events_of,
    meter_result,
    note_of,
    number,
    still_commissioned,
)
from edge.commission.commissioning import AnotherMeter, NotAllowed, check_identity, measured, read_all
from edge.commission.examination import Fingerprint
from edge.commission.identity import Known
from edge.tools.cli_commission import _asking
from hakari.cli.root import main
from hakari.quality import Quality
from hakari.registers.decode import NOT_AVAILABLE
from hakari.registers.profile_hash import profile_sha256
from hakari.registers.reading import Reading
from hakari.wire.configuration import Meter
from tests.unit.edge_display import PROFILE, Clock, DisplayBus, meter

ALONE = Single("070300000002", "030400011d4c", "")


def reading(raw: int, exponent: int = -1) -> Reading:
    return Reading("m1", "energy_import", "u32", raw, exponent, Quality.GOOD)


def against(display: str, *raws: int, stated: str = "", accept_coarse: bool = False, error: str = "") -> PointResult:
    point = next(point for point in meter().profile.points if point.name == "energy_import")
    single = ALONE._replace(error=error)
    limit = Decimal(stated) if stated else None
    return compared(point, single, [reading(raw) for raw in raws], display, limit, accept_coarse=accept_coarse)


@pytest.mark.parametrize(
    ("display", "raws", "verdict"),
    [
        ("7303.6", (73036, 73036), MATCHED),
        ("7303.5", (73036, 73036), MATCHED),  # one digit as typed
        ("7303.4", (73036, 73036), DIFFERS),
        ("7304", (73036, 73036), MATCHED),  # a coarser display
        ("7303.8", (73036, 73039), MATCHED),  # it counted while one looked
        ("7304.1", (73036, 73039), DIFFERS),
        ("", (73036, 73036), NOT_COMPARED),
        ("0.0", (0, 0), COARSE),
        ("1", (7, 7), COARSE),
    ],
)
def test_a_register_is_held_against_the_display(display: str, raws: tuple[int, ...], verdict: str) -> None:
    assert against(display, *raws).verdict == verdict


def test_the_figures_of_a_point_are_exact_and_in_its_unit() -> None:
    told = against("7303.4", 73036, 73037)
    assert (told.register, told.display, told.difference, told.tolerance) == ("7303.7", "7303.4", "0.2", "0.1")
    assert (told.unit, told.request, told.answer) == ("kWh", "070300000002", "030400011d4c")


def test_a_difference_to_a_float_is_told_whole() -> None:
    point = next(point for point in meter().profile.points if point.name == "voltage_l1")
    held = Reading("m1", "voltage_l1", "f32", 0x3B871BC9, 0, Quality.GOOD)
    told = compared(point, ALONE, [held], "0.0", None, accept_coarse=False)
    assert told.difference == told.register == "0.0041231852956116199493408203125"


def test_a_stated_tolerance_counts_and_must_still_prove_the_scale() -> None:
    assert against("7300", 73036, 73036, stated="5").verdict == MATCHED
    assert against("7300", 73036, 73036, stated="0.5").verdict == DIFFERS
    assert against("7300", 73036, 73036, stated="7000").verdict == COARSE


def test_nearly_nothing_proves_no_scale_unless_somebody_takes_it_upon_himself() -> None:
    assert against("0", 0, 0, accept_coarse=True).verdict == MATCHED_COARSELY
    assert against("5", 0, 0, accept_coarse=True).verdict == DIFFERS


def test_a_register_refused_alone_never_matches() -> None:
    told = against("7303.6", 73036, 73036, error="exception 2 (illegal data address)")
    assert (told.verdict, "exception 2" in told.reason) == (NOT_BACKED, True)


def test_what_has_no_value_is_told_and_contradicts_only_a_display() -> None:
    point = meter().profile.points[0]
    bad = Reading("m1", "energy_import", "u32", 0, 0, Quality.BAD, NOT_AVAILABLE)
    results = [compared(point, ALONE, [bad, bad], display, None, accept_coarse=False) for display in ("", "5")]
    assert [one.verdict for one in results] == [NO_VALUE, NO_VALUE]
    assert [meter_result(meter(), {}, ("not seen", ""), [one]).ok for one in results] == [True, False]


@pytest.mark.parametrize(
    ("display", "verdict", "tolerance"),
    [
        ("7303.6 kWh", MATCHED, "0.1"),
        ("7.3036 MWh", MATCHED, "0.1"),
        ("7.304MWh", MATCHED, "1"),
        ("7303600 Wh", MATCHED, "0.001"),
        ("7.303 MWh", MATCHED, "1"),
        ("7.302 MWh", DIFFERS, "1"),
        ("7303600", DIFFERS, "1"),
    ],
)
def test_a_display_in_another_unit_counts_its_own_last_digit(display: str, verdict: str, tolerance: str) -> None:
    told = against(display, 73036, 73036)
    assert (told.verdict, Decimal(told.tolerance)) == (verdict, Decimal(tolerance))


@pytest.mark.parametrize("text", ["7303.6 kwh", "7303.6 kW", "1 kWh kWh", "7303.6 l33t"])
def test_a_display_in_no_unit_of_its_kind_is_refused(text: str) -> None:
    with pytest.raises(DisplayUnreadable, match="type the number in kWh, or in a unit of its kind"):
        against(text, 73036, 73036)


@pytest.mark.parametrize(
    ("display", "raws", "parts"),
    [
        ("7303600", (73036, 73036), ["the display is about 1000 times the register", "with its own unit"]),
        ("7.303", (73036, 73036), ["the register is about 1000 times the display"]),
        ("730.4", (73036, 73036), ["the register is about 10 times the display"]),
        ("7300", (73036, 73036), ["--tolerance energy_import=VALUE allows it"]),
        ("7303.0", (73036, 73039), ["the register counted 0.3 while it was read", "--tolerance energy_import"]),
    ],
)
def test_a_difference_says_what_may_lie_behind_it(display: str, raws: tuple[int, ...], parts: list[str]) -> None:
    told = against(display, *raws)
    assert told.verdict == DIFFERS
    assert [part for part in parts if part not in told.reason] == []


def test_energies_are_asked_first_and_back_takes_an_entry_back() -> None:
    def run(typed: str) -> list[str]:
        @click.command()
        def asked() -> None:
            found = _asking({})(meter(), measured(meter()))
            click.echo("|".join(f"{name}={text}" for name, text in found.items()))

        done = CliRunner().invoke(asked, input=typed)
        return [line for line in done.stdout.splitlines() if "=" in line]

    assert run("1\n\n2 kW\n3\n") == ["energy_import=1|active_power=2 kW|voltage_l1=3"]
    assert run("back\n1\n9\nback\n5\n2\n3\n") == ["energy_import=1|energy_export=5|active_power=2|voltage_l1=3"]


@pytest.mark.parametrize("text", ["1,5", "", "nan", "1e", "inf", "9" * 60])
def test_a_display_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(DisplayUnreadable, match="is no number"):
        number(text, "point p")


def test_one_digit_as_typed() -> None:
    assert [digit_of(Decimal(text)) for text in ("1234.5", "1200", "0.001", "1E+3")] == [
        Decimal("0.1"), Decimal(1), Decimal("0.001"), Decimal(1),
    ]  # fmt: skip


def energies(power: int, taken: str, given: str) -> dict[str, Decimal]:
    return {"active_power": Decimal(power), "energy_import": Decimal(taken), "energy_export": Decimal(given)}


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (energies(900, "10.0", "5"), energies(800, "10.1", "5"), "as wired"),
        (energies(-900, "10", "5.0"), energies(-800, "10", "5.1"), "as wired"),
        (energies(900, "10", "5.0"), energies(900, "10", "5.1"), "reversed"),
        (energies(-900, "10.0", "5"), energies(-900, "10.1", "5"), "reversed"),
        (energies(900, "10", "5"), energies(900, "10", "5"), "not seen"),
        (energies(0, "10", "5"), energies(900, "10.1", "5"), "not seen"),
        (energies(900, "10", "5"), energies(-900, "10", "5.1"), "not seen"),
        (energies(900, "10", "5"), energies(900, "11", "6"), "not seen"),
        ({}, {}, "not seen"),
    ],
)
def test_the_energys_direction(before: dict[str, Decimal], after: dict[str, Decimal], verdict: str) -> None:
    assert direction_of(before, after)[0] == verdict


def test_a_meter_that_counts_on_the_wrong_side_commissions_no_energy() -> None:
    told = meter_result(meter(), {}, ("reversed", "energy_export rose"), [against("7303.6", 73036, 73036)])
    assert (told.matched, told.ok) == ([], False)


def test_points_commissioned_before_stay_where_nobody_compared_them_again() -> None:
    before = ["energy_import", "voltage_l1"]
    for display, kept in (("", ["energy_import"]), ("7303.6", []), ("1", [])):
        told = meter_result(meter(), {}, ("not seen", ""), [against(display, 73036, 73036)])
        assert still_commissioned(told, before) == kept
    reversed_ = meter_result(meter(), {}, ("reversed", ""), [against("", 73036, 73036)])
    assert still_commissioned(reversed_, before) == []
    assert note_of(told, Record("Ann"), 9, ["voltage_l1"]).points == ["voltage_l1"]


def test_the_record_names_who_what_and_every_word() -> None:
    one = meter(serial="A-100", identity_proof="seal 4711")
    told = meter_result(one, {"serial": "A-100"}, ("as wired", "rose"), [against("7303.6", 73036, 73036)] * 30)
    head, *parts = events_of(told, Record("Ann", "Bob", "200/5", "rainy"), [("0703", "0304")], 9)
    assert head.kind == "commissioning"
    assert head.data == {
        "meter": "m1", "bus": "b1", "unit": "7", "profile": "case-meter", "profile_sha256": profile_sha256(one.profile),
        "serial": "A-100", "identity_proof": "seal 4711", "by": "Ann", "witness": "Bob", "ct": "200/5",
        "note": "rainy", "direction": "as wired: rose", "matched": " ".join(["energy_import"] * 30),
        "result": "matched", "field.serial": "A-100", "raw.0": "0703 0304",
    }  # fmt: skip
    assert parts[0].data["point.energy_import"] == (
        "7303.6 kWh | 7303.6 | 0.0 | 0.1 | matched | 070300000002 030400011d4c"
    )
    assert len(parts) == 2


def test_the_whole_plan_is_read_as_the_edge_reads_it() -> None:
    readings, words = asyncio.run(read_all(DisplayBus(), meter(), Clock()))
    assert {name: str(one.value) for name, one in readings.items()} == {
        "energy_import": "7303.6", "energy_export": "41.0", "active_power": "2300", "voltage_l1": "230.4",
    }  # fmt: skip
    assert words[0][0].startswith("0703")


def found(**fields: str) -> Fingerprint:
    return Fingerprint(fields, [])


def unnamed(**fields: str) -> Meter:
    return meter(PROFILE[: PROFILE.index('[[points]]\nname = "serial"')], **fields)


def test_a_meter_that_tells_no_serial_needs_another_proof() -> None:
    with pytest.raises(NotAllowed, match="write identity_proof"):
        check_identity(unnamed(), None, found())
    check_identity(unnamed(identity_proof="seal 4711"), None, found())
    check_identity(meter(), None, found(serial="A-100"))


def test_another_or_a_suspended_meter_is_not_commissioned() -> None:
    with pytest.raises(NotAllowed, match="replace-meter"):
        check_identity(meter(), Known({"serial": "A-100"}), found(serial="B-200"))
    with pytest.raises(NotAllowed, match="ct_ratio was 40"):
        check_identity(meter(), Known({"serial": "A-100"}, suspended="ct_ratio was 40"), found(serial="A-100"))
    expecting = meter(PROFILE.replace('kind = "identity"', 'kind = "identity"\nexpect = "A-100"', 1))
    with pytest.raises(AnotherMeter, match="tells serial 'B-200'"):
        check_identity(expecting, None, found(serial="B-200"))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--meter", "m1"], 2, "there is no terminal to ask at"),
        (["--meter", "all", "--display", "energy_import=1"], 2, "--display is for one --meter"),
        (["--meter", "m1", "--display", "energy_import"], 3, "write POINT=VALUE"),
        (["--meter", "m1", "--displays", "none.json"], 3, "cannot be read"),
        (["--meter", "m1", "--displays", "odd.json"], 3, "write values as texts"),
        (["--meter", "m1", "--display", "energy_import=1", "--tolerance", "energy_import=x"], 3, "is no number"),
        (["--meter", "m1", "--display", "energy_import=1", "--note", "x" * 1001], 2, "limit 1000"),
    ],
)
def test_bad_words_end_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    (tmp_path / "odd.json").write_text('{"m1": {"energy_import": 1.5}}')
    given = [str(tmp_path / word) if word.endswith(".json") else word for word in words]
    assert main(["edge", "commission", str(tmp_path / "edge.toml"), "--by", "Ann", *given]) == code
    assert sentence in capsys.readouterr().err
