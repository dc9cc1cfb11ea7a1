"""Line protocol as it leaves us: what each kind of row, name and number becomes, and what is refused."""

from __future__ import annotations

import math

import pytest

from hakari.store.influx_rows import spans
from hakari.store.lines import (
    MAX_NS,
    MIN_NS,
    LineInvalid,
    Serializer,
    cursor_line,
    flaw_in,
    form_in,
    generation_line,
    line,
    refusal_lines,
)
from hakari.store.view import Refusal
from hakari.wire.rows import Row
from hakari.wire.wide import Rows, Shape, Wide

ROW = Row("sola-north-e1/inverter/energy", 1_467_356_400_000, "u32", 123_456, -3, 0, "", 1_467_356_000, 7, "ab12", 900)


def test_a_sample_of_a_meter() -> None:
    power = ROW._replace(point="sola-north-e1/inverter/power", type="f32", raw=0x3FC00000, exponent=0)
    late = ROW._replace(point="sola-north-e1/inverter/v1", quality=1, reason="late")
    dead = ROW._replace(point="sola-north-e1/inverter/v2", raw=0, quality=2, reason='no "answer"')
    made = Serializer().readings([ROW, power, late, dead])
    assert "\n".join(made.lines) == (
        "reading,edge=sola-north-e1,epoch=1467356000,meter=inverter,site=sola-north"
        " energy.raw=123456i,energy.value=123456e-3,power.raw=1069547520i,power.value=1.5,"
        'v1.raw=123456i,v1.uncertain=123456e-3,v1.flaw="1 late",v2.raw=0i,v2.flaw="2 no \\"answer\\"",'
        'good=2i,uncertain=1i,bad=1i,shape="u32e-3 energy v1 v2;f32e0 power",leaf=7i,mono_ms=900i,boot="ab12"'
        " 1467356400000000007"
    )
    assert made.rows == [ROW, power, late, dead]


@pytest.mark.parametrize(
    ("type_", "raw", "exponent", "quality", "fields"),
    [
        ("u64", 2**64 - 1, 0, 0, "energy.raw=-1i,energy.value=18446744073709551615e0,good"),
        ("u64", 2**63, -2, 0, "energy.raw=-9223372036854775808i,energy.value=9223372036854775808e-2,good"),
        ("i16", 0xFFFE, 1, 0, "energy.raw=65534i,energy.value=-2e1,good"),
        ("i64", 2**64 - 5, 0, 0, "energy.raw=-5i,energy.value=-5e0,good"),
        ("f32", 0x3FC00000, 0, 0, "energy.raw=1069547520i,energy.value=1.5,good"),
        ("f32", 0x7FC00000, 0, 0, "energy.raw=2143289344i,good"),
        ("f64", 0xFFF0000000000000, 0, 0, "energy.raw=-4503599627370496i,good"),
        ("bcd32", 0x00124311, -2, 0, "energy.raw=1196817i,energy.value=124311e-2,good"),
        ("bcd16", 0x001A, 0, 0, "energy.raw=26i,good"),
        ("m10k32", 0x0001_270F, 1, 0, "energy.raw=75535i,energy.value=19999e1,good"),
        ("m10k32", 0x0001_2710, 0, 0, "energy.raw=75536i,good"),
        ("u16", 0, 0, 2, 'energy.raw=0i,energy.flaw="2 ",bad'),
        ("u16", 7, 0, 1, 'energy.raw=7i,energy.uncertain=7e0,energy.flaw="1 ",uncertain'),
        ("u16", 7, 201, 0, "energy.raw=7i,good"),
        ("unheard", 7, 0, 0, "energy.raw=7i,good"),
    ],
)
def test_raw_is_twos_complement_and_the_value_is_left_out_where_there_is_none(
    type_: str, raw: int, exponent: int, quality: int, fields: str
) -> None:
    row = ROW._replace(type=type_, raw=raw, exponent=exponent, quality=quality)
    (text,) = Serializer().readings([row]).lines
    assert f" {fields}=1i," in text
    assert f'shape="{type_}e{exponent} energy"' in text


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ("u32e-3 energy v1;f32e0 power", [("u32", -3), ("f32", 0), None]),
        ("u32e-3 energy;f32e0 energy power", [None, ("f32", 0), None]),
        ("u32 energy;f32e power;", [None, None, None]),
        ("", [None, None, None]),
        ("u32e9999 energy;-e0 power", [None, None, None]),
    ],
)
def test_type_and_exponent_of_a_point_stand_in_the_shape_once_or_are_not_known(
    shape: str, found: list[tuple[str, int] | None]
) -> None:
    assert [form_in(shape, name) for name in ("energy", "power", "v")] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, (0, "")), ("1 late", (1, "late")), ("2 ", (2, "")), ("2", (2, "")), ("0 a  b ", (0, "a  b ")),
        ("3 x", None), ("-1", None), ("", None), ("good", None), ("٢ x", None),
    ],
)  # fmt: skip
def test_a_flaw_tells_quality_and_reason_or_nothing(text: str | None, found: tuple[int, str] | None) -> None:
    assert flaw_in(text) == found


def test_a_point_whose_name_no_field_can_begin_with_is_our_own_fault() -> None:
    for name in ("En", "a.b", "a b", "", 41 * "a"):
        with pytest.raises(LineInvalid, match="is not of a-z, 0-9 and _"):
            Serializer().readings([ROW._replace(point=f"sola-north-e1/inverter/{name}")])


def test_what_influxdb_cannot_hold_in_time_is_told_and_not_written() -> None:
    first, last = -(-MIN_NS // 10**6), MAX_NS // 10**6 - 1
    rows = [ROW._replace(t_ms=t_ms) for t_ms in (first, first - 1, last, last + 2, 2**62, -(2**62))]
    made = Serializer().readings(rows)
    assert made.rows == [rows[0], rows[2]]
    assert made.unstorable == [rows[1], *rows[3:]]


def test_rows_that_share_a_place_get_a_tag_of_their_own_and_the_same_one_again() -> None:
    rows = [ROW, ROW._replace(mono_ms=899), ROW._replace(boot="aa"), ROW._replace(leaf=1_000_007)]
    made = Serializer().readings(rows)
    assert [text.split(" ")[0].partition(",more=")[2] for text in made.lines] == ["0-2", "0-1", "", "1-0"]
    again = Serializer().readings(rows[::-1])
    assert sorted(again.lines) == sorted(made.lines)
    assert len({(text.split(" ")[0], text.split(" ")[-1]) for text in made.lines}) == len(rows)


def test_a_serializer_remembers_nothing_that_changes_what_it_writes() -> None:
    serializer = Serializer()
    rows = [ROW, ROW._replace(epoch=1), ROW._replace(type="u16"), ROW._replace(reason="late"), ROW._replace(quality=1)]
    for row in [*rows, *rows[::-1]]:
        assert serializer.readings([row]).lines == Serializer().readings([row]).lines


def test_names_are_escaped_and_what_has_no_form_is_refused() -> None:
    text = line("my measure", (("a b", "x=y, z"), ("empty", "")), (("f", 'say "\\"'), ("none", None), ("n", 1)), 5)
    assert text == 'my\\ measure,a\\ b=x\\=y\\,\\ z f="say \\"\\\\\\"",n=1i 5'
    assert line("m", (), (("a", math.nan), ("b", math.inf), ("c", None)), 5) == ""
    assert line("m", (), (("a", 1.5), ("b", -0.0), ("c", 1e300)), 5) == "m a=1.5,b=-0.0,c=1e+300 5"
    for tag in ("back\\slash", "line\nfeed", "nul\0"):
        with pytest.raises(LineInvalid, match="backslash or a control character"):
            line("m", (("t", tag),), (("f", 1),), 5)
    with pytest.raises(LineInvalid, match="no integer of 64 bits"):
        line("m", (), (("f", 2**63),), 5)
    with pytest.raises(LineInvalid, match="outside what InfluxDB can hold"):
        line("m", (), (("f", 1),), MAX_NS + 1)


def test_cursors_lie_later_the_farther_they_are() -> None:
    assert cursor_line("sola-e1", 1700, "12", 40) == "cursor,edge=sola-e1,epoch=1700,generation=12 next=40i 40"
    assert generation_line(12) == "cursor cleared=12i,layout=2i 12"


def test_refusals_of_a_leaf_stay_apart_and_are_the_same_again() -> None:
    refusals = [Refusal("sola-e1", 1700, leaf, f"reason {k}") for leaf in (1, 2) for k in range(25)]
    lines = refusal_lines(refusals)
    assert len({text.rsplit(" ", 1)[1] for text in lines}) == 50
    assert refusal_lines([*refusals[::-1], refusals[3]]) == lines
    times = [int(text.rsplit(" ", 1)[1]) for text in lines]
    assert sorted(times[:25]) < sorted(times[25:])


def test_spans_hold_every_time_and_leave_out_the_largest_gaps() -> None:
    assert spans([], 10, 3) == []
    assert spans([5], 10, 3) == [(5, 5)]
    assert spans([5, 1, 5, 9], 10, 3) == [(1, 9)]
    assert spans([1, 100, 300, 301, 1000], 10, 3) == [(1, 100), (300, 301), (1000, 1000)]
    assert spans([1, 100, 300, 301, 1000], 10, 2) == [(1, 301), (1000, 1000)]
    assert spans([1, 100, 300, 301, 1000], 10, 1) == [(1, 1000)]


@pytest.mark.parametrize("leaf", [7, 1_000_007])
@pytest.mark.parametrize(
    ("types", "raws", "exponents"),
    [
        (("u16", "u32"), (65535, 7), (-1, 0)),
        (("i16", "u64", "i64"), (0xFFFE, 2**64 - 1, 2**63), (0, -2, 1)),
        (("f32", "u16", "f64"), (0x43661999, 9, 0x406CC33333333333), (0, 3, 2)),
        (("f64", "f32"), (0x7FEFFFFFFFFFFFFF, 1), (200, 0)),
        (("bcd32", "u16"), (0x1243, 1), (0, 0)),
    ],
)
def test_rows_kept_wide_give_the_lines_of_single_rows(
    types: tuple[str, ...], raws: tuple[int, ...], exponents: tuple[int, ...], leaf: int
) -> None:
    names = [f"p{k}" for k in range(len(types))]
    shape = Shape("sola-e1", "m", names, types, exponents, [0, 1, 0][: len(types)], ["", "a % b\n", ""][: len(types)])
    wide = [Wide(shape, 1000 * k, 5, leaf, 'b"t', k, raws) for k in (1, 2)]
    made, single = Serializer().readings(Rows(wide)), Serializer().readings(list(Rows(wide)))
    assert made.lines == single.lines
    assert made.rows == single.rows
    assert len(made.lines) == 2
    again = Serializer().readings(Rows([wide[0], wide[0]._replace(mono_ms=9)]))
    assert len({(text.split(" ")[0], text.split(" ")[-1]) for text in again.lines}) == 2


def test_what_a_meter_gave_in_several_parts_of_a_sample_is_one_line_and_a_repetition_another() -> None:
    names = ["v1", "v2", "v3", "v4"]
    rows = [ROW._replace(point=f"sola-north-e1/inverter/{name}") for name in names]
    shape = Shape("sola-north-e1", "inverter", names[1:3], ["u32"] * 2, [-3] * 2, [0] * 2, [""] * 2)
    wide = Wide(shape, ROW.t_ms, ROW.epoch, ROW.leaf, ROW.boot, ROW.mono_ms, (ROW.raw, ROW.raw))
    assert Serializer().readings(Rows([rows[0], wide, rows[3]])).lines == Serializer().readings(rows).lines
    twice = Serializer().readings([*rows, rows[1]._replace(raw=9)])
    assert [len(one.raws) for one in twice.held] == [4, 1]
    assert len({(text.split(" ")[0], text.split(" ")[-1]) for text in twice.lines}) == 1


def test_the_rows_of_a_line_by_themselves_and_joined_again_stand_at_its_place() -> None:
    serializer = Serializer()
    rows = [ROW._replace(point=f"sola-north-e1/inverter/v{k}", mono_ms=clock) for clock in (8, 9) for k in range(3)]
    made = serializer.readings(rows)
    for wide, text in zip(made.held, made.lines, strict=True):
        singles = serializer.single(wide)
        place = (text.split(" ")[0], text.split(" ")[-1])
        assert {(one.split(" ")[0], one.split(" ")[-1]) for one in serializer.lines(singles, made.mores).lines} == {
            place
        }
        assert serializer.lines([serializer.joined(singles)], made.mores).lines == [text]
