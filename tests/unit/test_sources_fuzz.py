"""No message and no file makes a parser raise, whatever its bytes are."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.exact import NotExact, strict_json
from ingest.sources.mapping import read_mapping
from ingest.sources.plain import JsonMapping, JsonValue, PlainParser
from ingest.sources.port import Message, Parser
from ingest.sources.sparkplug import SparkplugHost
from ingest.sources.table import TableParser
from ingest.sources.telegraf import Series, TelegrafMapping, TelegrafParser
from tests.unit.own_log_world import LOG, TABLE, OwnWorld
from tests.unit.sparkplug_bytes import DOUBLE, FLOAT, INT32, INT64, bd_seq, metric, payload
from tests.unit.test_sources_sparkplug import MAPPING, METERS

NOW_MS = 1_767_225_600_000
JSON = PlainParser(JsonMapping(60, METERS, [JsonValue("v", "m1", "energy")], "t", "iso", "/i", "n"))
COUNTED = PlainParser(JsonMapping(60, METERS, [JsonValue("v.0", "m1", "energy", power_of_ten=-3)], "t", "ns"))
SERIES = [Series("e", "v", "m1", "energy", {"a": "b"}), Series("e", "w", "n1", "power", power_of_ten=18)]
LINES = TelegrafParser(TelegrafMapping(60, METERS, SERIES))
METRICS = TelegrafParser(TelegrafMapping(60, METERS, SERIES, "json"))

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30),
    st.sampled_from(["1e9999", "-0", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]),
)  # fmt: skip
keys = st.one_of(
    st.sampled_from(["v", "t", "i", "n", "metrics", "name", "tags", "fields", "timestamp", "w"]), st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=30
)
pieces = st.sampled_from([b"e", b",a=b", b" ", b"v=", b"w=", b"1", b"i", b"u", b"-", b"e308", b'"', b"\\", b"\n", b"#",
                          b"\xff", b"\x00", b"99999999999999999999", b"1767225600000000000", b".", b"="])  # fmt: skip
cells = st.sampled_from([
    "Tag", "Zeit", "Zähler", "Leistung", ";", ";", "\n", "\r\n", '"', "01.01.0001", "00:00", "31.12.9999", "23:59", "-",
    "29.03.2026", "02:30", "25.10.2026", "1,5", "9" * 45, "\ufeff", "\x00", "sep=;", "\u2028", "+", "'", "\udcff",
])  # fmt: skip
HEADER = "Tag;Zeit;Zähler;Leistung\n"


def read(parser: Parser, data: bytes) -> None:
    found = parser.parse(Message("s", "x/y", data), NOW_MS)
    for one in (*found.refused, *found.unmapped):
        one.encode()


@given(st.one_of(st.binary(max_size=200), values.map(lambda one: json.dumps(one).encode())))
def test_json(data: bytes) -> None:
    for parser in (JSON, COUNTED, METRICS):
        read(parser, data)


@given(st.one_of(st.binary(max_size=200), st.lists(pieces, max_size=40).map(b"".join)))
def test_line_protocol(data: bytes) -> None:
    read(LINES, data)


@pytest.fixture(scope="module", params=["", 'twice = "in-order"\n'])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TableParser:
    world = OwnWorld(tmp_path_factory.mktemp("table"))
    file = Path(world.folder / "table.toml")
    file.write_text(TABLE.replace("[table.time]\n", f"[table.time]\n{request.param}", 1))
    return TableParser(read_mapping(file, LOG))


@given(data=st.one_of(st.binary(max_size=200), st.lists(cells, max_size=60).map("".join).map(
    lambda text: (HEADER + text).encode(errors="surrogateescape"))))  # fmt: skip
def test_tables(table: TableParser, data: bytes) -> None:
    read(table, data)


floats = st.floats(width=32)
sent = st.one_of(
    st.builds(lambda v, t: metric("Power", v, FLOAT, alias=1, t_ms=t), floats, st.integers(0, 2**64 - 1)),
    st.builds(lambda v: metric("Energy/Total", v, DOUBLE, alias=2), st.floats()),
    st.builds(lambda v: metric("Energy/Total", v, INT64, alias=2), st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda v: metric("Power", v, INT32, alias=1), st.integers(-(2**31), 2**31 - 1)),
    st.just(bd_seq(0)),
)
verbs = st.sampled_from(["NBIRTH/e1", "NDATA/e1", "NDEATH/e1", "DBIRTH/e1/d1", "DDATA/e1/d1", "DDEATH/e1/d1"])
payloads = st.one_of(
    st.binary(max_size=100), st.builds(lambda seq, all_of: payload(seq, *all_of), st.integers(0, 3), st.lists(sent))
)


@settings(deadline=None)
@given(st.lists(st.tuples(verbs, payloads), max_size=12))
def test_sparkplug(messages: list[tuple[str, bytes]]) -> None:
    host = SparkplugHost(MAPPING, "g")
    host.connected(NOW_MS)
    for k, (topic, data) in enumerate(messages):
        heard = host.message(Message("s", f"spBv1.0/g/{topic}", data), NOW_MS, float(k))
        for _, parsed in (*heard.parsed, *host.tick(NOW_MS, k + 0.5).parsed):
            assert all(struct.pack("<q", one.t_ms) for one in parsed.readings)


def test_an_object_of_many_keys_is_read_once() -> None:
    pairs = ",".join(f'"k{k}":1' for k in range(60_000))
    began_s = time.perf_counter()
    with pytest.raises(NotExact, match="'k59999' stands twice"):
        strict_json(f'{{{pairs},"k59999":2}}'.encode())
    assert time.perf_counter() - began_s < 2
