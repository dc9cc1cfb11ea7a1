"""Line protocol as it leaves us: what each kind of row, name and number becomes, and what is refused."""

from __future__ import annotations

import math

import pytest

from hakari.store.lines import (
    MAX_NS,
    MIN_NS,
    LineInvalid,
    Serializer,
    cursor_line,
    generation_line,
    line,
    refusal_lines,
    spans,
)
from hakari.store.view import Refusal
from hakari.wire.rows import Row

ROW = Row("sola-north-e1/inverter/energy", 1_467_356_400_000, "u32", 123_456, -3, 0, "", 1_467_356_000, 7, "ab12", 900)


def test_a_reading() -> None:
    assert " ".join(Serializer().readings([ROW]).lines) == (
        "reading,edge=sola-north-e1,epoch=1467356000,meter=inverter,point=sola-north-e1/inverter/energy,"
        'site=sola-north,type=u32 raw=123456i,value=123456e-3,exponent=-3i,quality=0i,leaf=7i,mono_ms=900i,boot="ab12"'
        " 1467356400000000007"
    )


@pytest.mark.parametrize(
    ("type_", "raw", "exponent", "quality", "fields"),
    [
        ("u64", 2**64 - 1, 0, 0, "raw=-1i,value=18446744073709551615e0,"),
        ("u64", 2**63, -2, 0, "raw=-9223372036854775808i,value=9223372036854775808e-2,"),
        ("i16", 0xFFFE, 1, 0, "raw=65534i,value=-2e1,"),
        ("i64", 2**64 - 5, 0, 0, "raw=-5i,value=-5e0,"),
        ("f32", 0x3FC00000, 0, 0, "raw=1069547520i,value=1.5,"),
        ("f32", 0x7FC00000, 0, 0, "raw=2143289344i,exponent="),
        ("f64", 0xFFF0000000000000, 0, 0, "raw=-4503599627370496i,exponent="),
        ("bcd32", 0x00124311, -2, 0, "raw=1196817i,value=124311e-2,"),
        ("bcd16", 0x001A, 0, 0, "raw=26i,exponent="),
        ("m10k32", 0x0001_270F, 1, 0, "raw=75535i,value=19999e1,"),
        ("m10k32", 0x0001_2710, 0, 0, "raw=75536i,exponent="),
        ("u16", 0, 0, 2, "raw=0i,exponent=0i,quality=2i,"),
        ("u16", 7, 201, 0, "raw=7i,exponent=201i,"),
        ("unheard", 7, 0, 0, "raw=7i,exponent=0i,"),
    ],
)
def test_raw_is_twos_complement_and_the_value_is_left_out_where_there_is_none(
    type_: str, raw: int, exponent: int, quality: int, fields: str
) -> None:
    row = ROW._replace(type=type_, raw=raw, exponent=exponent, quality=quality)
    assert f" {fields}" in Serializer().readings([row]).lines[0]


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
    assert generation_line(12) == "cursor cleared=12i 12"


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
