"""Plain JSON by declared paths."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.declared import DeclaredMeter, DeclaredPoint
from ingest.sources.plain import JsonMapping, JsonValue, PlainParser
from ingest.sources.port import GivenReading, Message

NOW_MS = 1_777_569_400_000
T_MS = 1_777_569_300_000
METERS = [DeclaredMeter("m1", "S-1", [DeclaredPoint("energy", "kWh", "counter")])]
ITEMS = PlainParser(
    JsonMapping(
        900, METERS, [JsonValue("counters.0.wh", "m1", "energy", "EM-1", power_of_ten=-3)], "ts", "iso", "data", "id"
    )
)
FLAT = PlainParser(JsonMapping(900, METERS, [JsonValue("kwh", "m1", "energy", topic="plant/m1")], "/sent", "ms"))


def parse(parser: PlainParser, payload: object, topic: str = "plant/m1") -> object:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return parser.parse(Message("plant", topic, data), NOW_MS)


def item(**other: object) -> dict[str, object]:
    return {"id": "EM-1", "ts": "2026-05-01T00:15:00+07:00", "counters": [{"wh": 12345}], **other}


def test_objects_of_an_array_give_readings_by_name_and_path() -> None:
    parsed = ITEMS.parse(Message("p", "t", json.dumps({"data": [item(), item(id="other")]}).encode()), NOW_MS)
    assert parsed.readings == [GivenReading("m1", "energy", T_MS, "12.345")]
    assert parsed.refused == []
    assert parsed.unmapped == ("meter 'other' is not mapped",)


def test_one_object_with_its_time_at_the_top_and_a_number_as_text() -> None:
    parsed = FLAT.parse(Message("p", "plant/m1", b'{"sent": 1777569300000, "kwh": "1.50"}'), NOW_MS)
    assert parsed.readings == [GivenReading("m1", "energy", T_MS, "1.50")]


def test_another_topic_is_a_kind_and_no_reading() -> None:
    parsed = FLAT.parse(Message("p", "plant/m2", b"{"), NOW_MS)
    assert (parsed.readings, parsed.refused) == ([], [])
    assert parsed.unmapped == ("topic 'plant/m2' is not mapped",)


def test_an_absent_or_null_value_is_a_kind() -> None:
    for payload in (b'{"sent": 1}', b'{"sent": 1, "kwh": null}'):
        parsed = FLAT.parse(Message("p", "plant/m1", payload), NOW_MS)
        assert (parsed.readings, parsed.refused) == ([], [])
        assert len(parsed.unmapped) == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"kwh": 1}', "no time"),
        (b'{"kwh": 1, "sent": "2026-05-01T00:15:00Z"}', "form ms"),
        (b'{"kwh": 1, "sent": true}', "form ms"),
        (b'{"kwh": true, "sent": 1}', "boolean"),
        (b'{"kwh": [1], "sent": 1}', "array"),
        (b'{"kwh": 1e400, "sent": 1}', "64 bits"),
        (b'{"kwh": NaN, "sent": 1}', "NaN"),
        (b"5", "no object"),
        (b"[[1]]", "no object"),
    ],
)
def test_what_gives_no_reading_says_why(payload: bytes, reason: str) -> None:
    parsed = FLAT.parse(Message("p", "plant/m1", payload), NOW_MS)
    assert parsed.readings == []
    assert len(parsed.refused) == 1
    assert reason in parsed.refused[0]


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "id", "ts", "kwh", "sent"]), inner)
    ),
    max_leaves=10,
)


@given(JSONS | st.binary(max_size=100))
def test_no_message_makes_the_parser_raise(payload: object) -> None:
    for parser in (ITEMS, FLAT):
        parse(parser, payload)
