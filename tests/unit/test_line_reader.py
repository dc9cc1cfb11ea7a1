"""Line protocol of others: numbers keep their text, a bad line is named, and what follows it is read."""

from __future__ import annotations

import pytest

from hakari.store.line_reader import (
    MAX_DATA_BYTES,
    MAX_FIELDS,
    MAX_NAME_BYTES,
    MAX_STRING_BYTES,
    MAX_TAGS,
    FloatText,
    LineProblem,
    Point,
    Unsigned,
    read_lines,
)


def test_kinds_of_values_are_told_apart_and_numbers_keep_their_text() -> None:
    data = b'm,a\\ b=c\\,d f=230.10,g=1e-3,n=-5i,u=18446744073709551615u,s="say \\"hi\\" \\\\",b=T 7\n'
    assert list(read_lines(data, "s")) == [
        Point(
            "m",
            {"a b": "c,d"},
            {"f": FloatText("230.10"), "g": FloatText("1e-3"), "n": -5, "u": 2**64 - 1, "s": 'say "hi" \\', "b": True},
            7 * 10**9,
            1,
        )
    ]
    (point,) = read_lines(b"m n=5i,u=5u")
    assert isinstance(point, Point)
    assert type(point.fields["n"]) is int
    assert type(point.fields["u"]) is Unsigned
    assert point.time_ns is None


def test_a_bad_line_is_named_and_the_others_are_read() -> None:
    data = b'a v=1 1\n\n# comment\nb v=1x 2\nc v="two\nlines" 3\r\nd,t= v=1\ne v="open\nf v=1 4'
    found = list(read_lines(data))
    assert [(one.line, one.measurement) for one in found if isinstance(one, Point)] == [(1, "a"), (5, "c"), (9, "f")]
    assert [one for one in found if isinstance(one, LineProblem)] == [
        LineProblem(4, "field 'v': '1x' is no number, string or boolean"),
        LineProblem(7, "tag 't' has no value"),
        LineProblem(8, "the string of field 'v' is not closed"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"m v=9223372036854775808i", "beyond 64 bits"),
        (b"m v=-1u", "no unsigned integer"),
        (b"m v=1e999", "beyond what a float can hold"),
        (b"m v=" + b"1" * 401, "more than 400 characters"),
        (b"m v=1 9223372036854775808", "outside the years 1677 to 2262"),
        (b"m v=1,v=2", "there twice with different values"),
        (b"m,t=1,t=2 v=1", "tag 't' is there twice"),
        (b"m v=NaN", "no number, string or boolean"),
        (b"m\xff v=1", "not UTF-8"),
        (b"m v=1 5 6", "the time as an integer and nothing else"),
        (b"m" * (MAX_NAME_BYTES + 10) + b" v=1", "a name of 65545 bytes"),
        (b'm v="' + b"x" * (MAX_STRING_BYTES + 1) + b'"', "limit 65536"),
        (b"m," + b",".join(b"t%d=1" % k for k in range(MAX_TAGS + 1)) + b" v=1", "more than 256 tags"),
        (b"m " + b",".join(b"f%d=1" % k for k in range(MAX_FIELDS + 1)), "more than 10000 fields"),
        (b"x" * (MAX_DATA_BYTES + 1), "send it in parts"),
    ],
)
def test_what_is_refused_and_why(data: bytes, reason: str) -> None:
    (found,) = read_lines(data)
    assert isinstance(found, LineProblem)
    assert reason in found.reason
    assert len(found.reason) < 400


def test_an_unknown_precision_is_our_own_fault() -> None:
    with pytest.raises(ValueError, match="precision 'm' is not known"):
        list(read_lines(b"m v=1", "m"))
