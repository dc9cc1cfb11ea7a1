"""Telegraf's line protocol and JSON under a mapping: exact, and every part either a reading, refused, or a kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.declared import DeclaredMeter, DeclaredPoint
from ingest.sources.port import MAX_MESSAGE_BYTES, GivenReading, Message
from ingest.sources.telegraf import Series, TelegrafMapping, TelegrafParser

NOW_MS = 1_777_569_400_000
T_MS = 1_777_569_300_000
METERS = [DeclaredMeter("m1", "S-1", [DeclaredPoint("energy", "kWh", "counter")])]
SERIES = [Series("meter", "energy_wh", "m1", "energy", {"id": "A"}, -3)]
INFLUX = TelegrafParser(TelegrafMapping(900, METERS, SERIES))
JSON = TelegrafParser(TelegrafMapping(900, METERS, SERIES, "json"))
ENERGY = GivenReading("m1", "energy", T_MS, "12.345")


def message(payload: bytes) -> Message:
    return Message("plant", "telegraf/x", payload)


def metric(value: str, **other: str) -> bytes:
    parts = {"name": '"meter"', "tags": '{"id":"A"}', "fields": f'{{"energy_wh":{value}}}', "timestamp": "1777569300"}
    return ("{" + ",".join(f'"{k}":{v}' for k, v in {**parts, **other}.items()) + "}").encode()


def test_line_protocol_gives_readings_by_measurement_tags_and_field() -> None:
    lines = b"meter,host=h,id=A energy_wh=12345i,power=1.5 1777569300000000000\nmeter,id=B energy_wh=1i 1\n"
    parsed = INFLUX.parse(message(lines), NOW_MS)
    assert parsed.readings == [ENERGY]
    assert parsed.refused == []
    assert parsed.unmapped == (
        "series 'meter' field 'power' is not mapped",
        "series 'meter' field 'energy_wh' is not mapped",
    )


@pytest.mark.parametrize("number", ["12345i", "12345u", "12345", "12345.0", "1.2345e4"])
def test_every_spelling_of_a_number_is_the_same_reading(number: str) -> None:
    (one,) = INFLUX.parse(message(f"meter,id=A energy_wh={number} 1777569300000000000".encode()), NOW_MS).readings
    assert float(one.value) == 12.345


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"meter,id=A energy_wh=1i", "no time"),
        (b"meter,id=A energy_wh=1i -5", "before 1970"),
        (b"meter,id=A energy_wh=t 5", "boolean"),
        (b'meter,id=A energy_wh="1" 5', "text"),
        (b"meter,id=A energy_wh=99999999999999999999999 5", "64 bits"),
        (b"meter,id=A energy_wh=NaN 5", "NaN"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_line_that_gives_no_reading_says_why_and_the_next_is_read(line: bytes, reason: str) -> None:
    parsed = INFLUX.parse(message(line + b"\nmeter,id=A energy_wh=12345i 1777569300000000000"), NOW_MS)
    assert parsed.readings == [ENERGY]
    assert len(parsed.refused) == 1
    assert reason in parsed.refused[0]


def test_json_alone_and_in_a_batch_gives_the_same_readings() -> None:
    assert JSON.parse(message(metric("12345")), NOW_MS).readings == [ENERGY]
    batch = b'{"metrics":[' + metric("12345") + b"," + metric("true") + b"]}"
    parsed = JSON.parse(message(batch), NOW_MS)
    assert parsed.readings == [ENERGY]
    assert parsed.refused == ["metric 2, field 'energy_wh': is not a number"]


def test_bad_input_27_numbers_that_json_lets_pass_are_refused() -> None:
    for value in ("NaN", "Infinity", "1e400", "1" * 30, '{"a":1,"a":2}'):
        parsed = JSON.parse(message(metric(value)), NOW_MS)
        assert parsed.readings == []
        assert len(parsed.refused) == 1
    parsed = JSON.parse(message(b'{"name":"meter","name":"meter"}'), NOW_MS)
    assert "twice" in parsed.refused[0]


@pytest.mark.parametrize(
    "payload",
    [metric("1", timestamp="null"), metric("1", name="5"), b"[]", b"7", b'{"metrics":{}}', b'{"metrics":[1]}'],
)
def test_json_that_is_no_metric_is_refused(payload: bytes) -> None:
    parsed = JSON.parse(message(payload), NOW_MS)
    assert parsed.readings == []
    assert len(parsed.refused) == 1


def test_too_large_a_message_is_refused_unread() -> None:
    for parser in (INFLUX, JSON):
        parsed = parser.parse(message(b" " * (MAX_MESSAGE_BYTES + 1)), NOW_MS)
        assert parsed.readings == []
        assert "limit" in parsed.refused[0]


@given(st.binary(max_size=300))
def test_no_bytes_make_a_parser_raise(data: bytes) -> None:
    for parser in (INFLUX, JSON):
        parsed = parser.parse(message(data), NOW_MS)
        assert parsed.readings == [] or parsed.readings[0].meter == "m1"


WORTH = st.tuples(st.sampled_from("AB"), st.integers(0, 5), st.integers(0, 10**6))


@given(st.lists(WORTH, max_size=20), st.randoms())
def test_permutation_and_repetition_give_the_same_readings(rows: list[tuple[str, int, int]], random: object) -> None:
    lines = [f"meter,id={tag} energy_wh={value}i {slot * 10**9}" for tag, slot, value in rows]
    mixed = lines * 2
    random.shuffle(mixed)  # type: ignore[attr-defined]
    first, second = (set(INFLUX.parse(message("\n".join(one).encode()), NOW_MS).readings) for one in (lines, mixed))
    assert first == second
    metrics = [
        {"name": "meter", "tags": {"id": tag}, "fields": {"energy_wh": value}, "timestamp": slot}
        for tag, slot, value in rows
    ]
    assert set(JSON.parse(message(json.dumps({"metrics": metrics}).encode()), NOW_MS).readings) == first
