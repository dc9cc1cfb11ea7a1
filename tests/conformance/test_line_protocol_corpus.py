"""The public line-protocol corpus (github.com/influxdata/line-protocol-corpus, corpus.json): our reader and our writer.

The file is named by HAKARI_TEST_LINE_PROTOCOL_CORPUS; nothing of it is kept here.
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hakari.store.line_reader import NS_OF, FloatText, LineProblem, Point, Unsigned, Value, read_lines
from hakari.store.lines import LineInvalid, line

VARIABLE = "HAKARI_TEST_LINE_PROTOCOL_CORPUS"
PRECISIONS = {"1ns": "ns", "1µs": "us", "1ms": "ms", "1s": "s"}
LEAST_DECODED, LEAST_ENCODED = 6000, 80

# What our writer never writes, and why that is right; everything else of the corpus holds.
NOT_WRITTEN = {
    "bool": "hakari has no boolean quantity: states are texts, counts are integers",
    "uint": "raw words are written as signed integers (two's complement), which every InfluxDB 2 takes",
    "backslash or control": "no name of ours has one (hakari.names); the writer refuses them instead of escaping",
    "empty tag value": "the corpus refuses it, our writer leaves the tag out: a measurement's optional tags rely on it",
}


@pytest.fixture(scope="module")
def corpus() -> dict[str, dict[str, Any]]:
    file = os.environ.get(VARIABLE)
    if not file:
        pytest.skip(f"the line-protocol corpus is not here; set {VARIABLE} to its corpus.json")
    found: dict[str, dict[str, Any]] = json.loads(Path(file).read_text(encoding="utf-8"))
    return found


def data_of(text: Any) -> bytes:
    return base64.b64decode(text["binary"]) if isinstance(text, dict) else str(text).encode()


def text_of(text: Any) -> str:
    return data_of(text).decode()


def told(value: dict[str, Any]) -> tuple[str, Any]:
    ((kind, content),) = value.items()
    if kind == "string":
        return kind, text_of(content)
    return kind, bool(content) if kind == "bool" else float(content) if kind == "float" else int(content)


def read(value: Value) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, FloatText):
        return "float", float(value.text)
    if isinstance(value, str):
        return "string", value
    return "uint" if isinstance(value, Unsigned) else "int", int(value)


def points_of(result: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            text_of(point["name"]),
            {text_of(tag["key"]): text_of(tag["value"]) for tag in point.get("tags") or []},
            {text_of(field["key"]): told(field["value"]) for field in point["fields"]},
            int(point["time"]),
        )
        for point in result
    ]


def test_every_decode_case(corpus: dict[str, dict[str, Any]]) -> None:
    wrong = {}
    for name, case in corpus["decode"].items():
        given, expected = case["input"], case["output"]
        precision = PRECISIONS[given["precision"]]
        found = list(read_lines(data_of(given["text"]), precision))
        points = [one for one in found if isinstance(one, Point)]
        if "error" in expected:
            if not any(isinstance(one, LineProblem) for one in found):
                wrong[name] = f"was read, but {expected['error']}"
            continue
        unit = NS_OF[precision]
        default_ns = int(given["defaultTime"]) // unit * unit
        ours = [
            (one.measurement, one.tags, {key: read(value) for key, value in one.fields.items()},
             default_ns if one.time_ns is None else one.time_ns)
            for one in points
        ]  # fmt: skip
        if len(points) != len(found) or ours != points_of(expected["result"]):
            wrong[name] = f"gives {found}"
    assert wrong == {}
    assert len(corpus["decode"]) >= LEAST_DECODED


def test_every_encode_case_that_our_writer_can_meet(corpus: dict[str, dict[str, Any]]) -> None:
    left_out: Counter[str] = Counter()
    wrong = {}
    for name, case in corpus["encode"].items():
        point, expected = case["input"]["point"], case["output"]
        assert case["input"]["precision"] == "1ns"
        fields = {text_of(one["key"]): told(one["value"]) for one in point["fields"]}
        tags = [(text_of(tag["key"]), text_of(tag["value"])) for tag in point.get("tags") or []]
        exception = exception_of(fields, tags)
        if exception:
            left_out[exception] += 1
            continue
        try:
            made = line(
                text_of(point["name"]), tags, [(key, value) for key, (_, value) in fields.items()], int(point["time"])
            )
        except LineInvalid:
            left_out["backslash or control"] += 1
            continue
        (ours,) = read_lines(made.encode())
        (theirs,) = read_lines(data_of(expected["result"]))
        if not isinstance(ours, Point) or isinstance(theirs, LineProblem) or as_read(ours) != as_read(theirs):
            wrong[name] = (made, expected)
    assert wrong == {}
    assert left_out.keys() <= NOT_WRITTEN.keys()
    assert len(corpus["encode"]) - left_out.total() >= LEAST_ENCODED, left_out


def exception_of(fields: dict[str, tuple[str, Any]], tags: list[tuple[str, str]]) -> str:
    """Which row of the table a case falls under, "" for none."""
    if any(not value for _, value in tags):
        return "empty tag value"
    return next((kind for kind, _ in fields.values() if kind in NOT_WRITTEN), "")


def as_read(point: Point) -> tuple[Any, ...]:
    """A point with numbers as numbers: 1 and 1.0 are the same float."""
    return point.measurement, point.tags, {key: read(value) for key, value in point.fields.items()}, point.time_ns
