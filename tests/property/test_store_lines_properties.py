"""What is written as line protocol is read back the same: by a parser made from its description, and by InfluxDB."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hakari.registers.reading import WIDTH_BITS, exact_value
from hakari.store.lines import MAX_NS, MIN_NS, Serializer, flaw_in, form_in, line
from hakari.store.view_influx import InfluxReadingsView
from hakari.wire.rows import Row
from tests.system.influx import TOKEN, InfluxServer

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class Parsed(NamedTuple):
    """One line, taken apart."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Any]
    ns: int


def parse(text: str) -> Parsed:
    """A line by the rules of the line protocol's description, character by character."""
    chars = iter(text)
    measurement, end = _word(chars, ", ", ", ")
    tags: dict[str, str] = {}
    while end == ",":
        name, _ = _word(chars, "=")
        tags[name], end = _word(chars, ", ")
    fields: dict[str, Any] = {}
    end = ","
    while end == ",":
        name, _ = _word(chars, "=")
        fields[name], end = _value(chars)
    return Parsed(measurement, tags, fields, int("".join(chars)))


def _word(chars: Iterator[str], ends: str, special: str = ", =") -> tuple[str, str]:
    """Up to an unescaped one of `ends`; a backslash takes the next character as it is, where that is special."""
    word = ""
    for char in chars:
        if char == "\\":
            following = next(chars)
            word += following if following in special else char + following
        elif char in ends:
            return word, char
        else:
            assert char not in special + "\n", f"{char!r} stands unescaped after {word!r}"
            word += char
    raise AssertionError(f"the line ends in {word!r}")


def _value(chars: Iterator[str]) -> tuple[Any, str]:
    first = next(chars)
    if first == '"':
        text = ""
        for char in chars:
            if char == '"':
                return text, next(chars)
            text += next(chars) if char == "\\" else char
        raise AssertionError("a text without an end")
    word = first
    for char in chars:
        if char in ", ":
            if word.endswith("i"):
                return int(word[:-1]), char
            assert NUMBER.fullmatch(word), word
            return Decimal(word), char
        word += char
    raise AssertionError("a field without a time")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\\x7f"), min_size=1, max_size=20)
numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), texts)
locals_ = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=10)
rows = st.builds(
    Row,
    point=st.builds("plant-north-e1/{}/{}".format, locals_, locals_),
    t_ms=st.integers(-(-MIN_NS // 10**6), MAX_NS // 10**6 - 1) | st.integers(1_467_356_400_000, 1_467_356_400_003),
    type=st.sampled_from(sorted(WIDTH_BITS)),
    raw=st.integers(0, 2**64 - 1) | st.integers(0, 2**16 - 1),
    exponent=st.integers(-10, 10),
    quality=st.integers(0, 2),
    reason=texts,
    epoch=st.just(1_467_356_000),
    leaf=st.integers(0, 5) | st.integers(999_998, 2_000_003),
    boot=texts,
    mono_ms=st.integers(0, 2**53),
)


@given(
    measurement=names, tags=st.dictionaries(names, names | st.just(""), max_size=4),
    fields=st.dictionaries(names, numbers, min_size=1, max_size=4), ns=st.integers(MIN_NS, MAX_NS),
)  # fmt: skip
def test_any_point_is_read_back(measurement: str, tags: dict[str, str], fields: dict[str, Any], ns: int) -> None:
    found = parse(line(measurement, tags.items(), fields.items(), ns))
    assert found.measurement == measurement
    assert found.tags == {name: value for name, value in tags.items() if value}
    assert found.ns == ns
    assert found.fields.keys() == fields.keys()
    for name, value in fields.items():
        assert type(value)(found.fields[name]) == value


@given(st.lists(rows, max_size=30, unique_by=lambda row: (row.point, row.t_ms, row.leaf, row.boot, row.mono_ms)))
def test_rows_are_read_back_and_share_no_place(given_rows: list[Row]) -> None:
    made = Serializer().readings(given_rows)
    assert made.unstorable == []
    found = [parse(text) for text in made.lines]
    assert len({(str(sorted(one.tags.items())), one.ns) for one in found}) == len(found)
    assert sorted(made.rows) == sorted(given_rows)
    for wide, one, ns in zip(made.held, found, made.times_ns, strict=True):
        assert one.ns == ns
        assert one.ns // 10**6 == wide.t_ms
        assert one.measurement == "reading"
        edge_id, meter, _ = wide.shape.points[0].split("/")
        tags = {"site": "plant-north", "edge": edge_id, "meter": meter, "epoch": str(wide.epoch)}
        assert {name: value for name, value in one.tags.items() if name != "more"} == tags
        for row, name in zip(wide.rows(), wide.shape.names, strict=True):
            assert one.fields.pop(f"{name}.raw") % 2**64 == row.raw
            assert form_in(one.fields["shape"], name) == (row.type, row.exponent)
            assert flaw_in(one.fields.pop(f"{name}.flaw", None)) == (row.quality, row.reason)
            _assert_value(row, one.fields.pop(f"{name}.{'uncertain' if row.quality == 1 else 'value'}", None))
        counts = [(name, wide.shape.qualities.count(k)) for k, name in enumerate(("good", "uncertain", "bad"))]
        assert one.fields.pop("shape")
        assert one.fields == {
            "leaf": wide.leaf, "mono_ms": wide.mono_ms, "boot": wide.boot, **{name: n for name, n in counts if n},
        }  # fmt: skip


def _assert_value(row: Row, value: Decimal | None) -> None:
    """`value` is the exact value as a float, and absent where that is no number."""
    if row.raw >> WIDTH_BITS[row.type]:
        return
    try:
        exact = exact_value(row.type, row.raw, row.exponent) if row.quality != 2 else None
    except ArithmeticError:
        exact = None
    if exact is None or value is None:
        assert value is None or row.type in ("f32", "f64")
        assert exact is None or row.type in ("f32", "f64")
        return
    rel = 5e-9 if row.type == "f32" else 1e-15
    assert float(value) == pytest.approx(float(exact), rel=rel, abs=0)


@pytest.fixture(scope="module")
def bucket(influxd: InfluxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxReadingsView]:
    name = f"lines-{secrets.token_hex(8)}"
    influxd.make_bucket(name)
    with closing(InfluxReadingsView(influxd.settings(name, tmp_path_factory.mktemp("lines")), TOKEN)) as view:
        yield view
    influxd.delete_bucket(name)


# Years of shards for every run would take the server minutes: slots lie within a week, and at both ends of time.
near = st.integers(1_467_356_400_000, 1_467_356_400_000 + 3 * 86_400_000)
ends = st.sampled_from([-(-MIN_NS // 10**6), MAX_NS // 10**6 - 3, -1, 0])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    given_rows=st.lists(
        st.builds(Row._replace, rows, t_ms=near | ends),
        max_size=60, unique_by=lambda row: (row.point, row.t_ms, row.leaf, row.boot, row.mono_ms),
    )
)  # fmt: skip
def test_the_real_server_gives_rows_back(bucket: InfluxReadingsView, given_rows: list[Row]) -> None:
    bucket.clear()
    bucket.write("plant-north-e1", 1_467_356_000, 3_000_000, given_rows, [])
    found = [row for point in bucket.points() for row in bucket.read(point, -(2**62), 2**62)]
    order = sorted(given_rows, key=lambda r: (r.point, r.t_ms, r.epoch, r.leaf, r.boot, r.mono_ms))
    assert found == order
