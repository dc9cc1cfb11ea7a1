"""Sparkplug B: the specification's rules for a host application, each by its test id, and exact numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.declared import DeclaredMeter, DeclaredPoint
from ingest.sources.port import GivenReading, Message
from ingest.sources.sparkplug import REBIRTH_EVERY_S, Heard, SparkplugHost, SparkplugMapping, SparkplugMetric
from ingest.sources.sparkplug_payload import decode, number_text
from ingest.sources.sparkplug_pb2 import Payload as WirePayload
from tests.unit.sparkplug_bytes import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT32,
    UINT64,
    bd_seq,
    chunk,
    count,
    metric,
    payload,
)

T_MS = 1_700_000_000_000
METERS = [
    DeclaredMeter("m1", "S-1", [DeclaredPoint("energy", "kWh", "counter")]),
    DeclaredMeter("n1", "S-2", [DeclaredPoint("power", "W", "gauge")]),
]
MAPPING = SparkplugMapping(
    60,
    METERS,
    [SparkplugMetric("e1", "Energy/Total", "m1", "energy", "d1", -3), SparkplugMetric("e1", "Power", "n1", "power")],
)


class Plant:
    """A host, and the messages of edge node e1 with device d1."""

    def __init__(self) -> None:
        self.host = SparkplugHost(MAPPING, "g")
        self.now_s = 0.0
        self.readings: list[GivenReading] = []
        self.refused: list[str] = []
        self.unmapped: list[str] = []
        self.rebirths: list[str] = []
        self.host.connected(T_MS)

    def hear(self, topic: str, data: bytes) -> Plant:
        return self.note(self.host.message(Message("s", f"spBv1.0/g/{topic}", data), T_MS, self.now_s))

    def note(self, heard: Heard) -> Plant:
        for _, parsed in heard.parsed:
            self.readings += parsed.readings
            self.refused += parsed.refused
            self.unmapped += parsed.unmapped
        self.rebirths += [one.node for one in heard.rebirths]
        return self

    def later(self, seconds: float) -> Plant:
        self.now_s += seconds
        return self.note(self.host.tick(T_MS, self.now_s))

    def nbirth(self, seq: int = 0, session: int = 0, t_ms: int = T_MS) -> Plant:
        power = metric("Power", 7, INT32, alias=1, t_ms=t_ms)
        control = metric("Node Control/Rebirth", 0, BOOLEAN)
        return self.hear("NBIRTH/e1", payload(seq, bd_seq(session), power, control, t_ms=t_ms))

    def dbirth(self, seq: int = 1, alias: int = 2, wh: object = 1000) -> Plant:
        return self.hear("DBIRTH/e1/d1", payload(seq, metric("Energy/Total", wh, INT64, alias=alias)))

    def ddata(self, seq: int, wh: object, alias: int = 2, t_ms: int = T_MS, **other: bool) -> Plant:
        return self.hear(
            "DDATA/e1/d1", payload(seq, metric("", wh, INT64, alias=alias, t_ms=t_ms, birth=False, **other))
        )

    def values(self) -> list[str]:
        return [one.value for one in self.readings if one.point == "energy"]

    def born(self) -> Plant:
        return self.nbirth().dbirth()


def nothing_waits(plant: Plant) -> None:
    assert plant.later(3600).rebirths == []


def births_and_alias() -> None:
    plant = Plant().born().ddata(2, 2000)
    assert plant.values() == ["1.000", "2.000"]
    assert plant.readings[0] == GivenReading("n1", "power", T_MS, "7")
    assert plant.host.stale == {}
    nothing_waits(plant)


def births_need_bd_seq() -> None:
    plant = Plant().hear("NBIRTH/e1", payload(0, metric("Power", 7, INT32, alias=1)))
    assert plant.readings == []
    assert "bdSeq" in plant.refused[0]


def births_need_seq() -> None:
    plant = Plant().hear("NBIRTH/e1", payload(None, bd_seq(0), metric("Power", 7, INT32)))
    assert plant.readings == []
    assert "seq" in plant.refused[0]


def sequence_wraps() -> None:
    plant = Plant().nbirth(254).dbirth(255).ddata(0, 2000).ddata(1, 3000)
    assert plant.values() == ["1.000", "2.000", "3.000"]
    nothing_waits(plant)


def reordered_in_time() -> None:
    plant = Plant().born().ddata(3, 3000)
    assert plant.values() == ["1.000"]
    plant.later(4.9).ddata(2, 2000)
    assert plant.values() == ["1.000", "2.000", "3.000"]
    nothing_waits(plant)


def reorder_timeout_asks_a_rebirth() -> None:
    plant = Plant().born().ddata(3, 3000).later(5)
    assert plant.rebirths == ["e1"]
    assert plant.values() == ["1.000"]
    assert plant.refused == ["not read: sequence number 2 did not come within 5 s"]
    assert set(plant.host.stale) == {("e1", ""), ("e1", "d1")}
    assert plant.nbirth(0, 1).dbirth().ddata(2, 4000).values() == ["1.000", "1.000", "4.000"]


def reorder_timeout_is_a_setting() -> None:
    assert MAPPING.reorder_s == 5
    plant = Plant()
    plant.host = SparkplugHost(SparkplugMapping(60, METERS, MAPPING.metric, 60), "g")
    plant.host.connected(T_MS)
    assert plant.born().ddata(3, 3000).later(59).rebirths == []
    assert plant.later(1).rebirths == ["e1"]


def node_death_makes_all_stale() -> None:
    plant = Plant().born().hear("NDEATH/e1", payload(None, bd_seq(0)))
    assert {key: one.why for key, one in plant.host.stale.items()} == {
        ("e1", ""): "the node died (NDEATH)",
        ("e1", "d1"): "the node died (NDEATH)",
    }
    assert plant.host.stale["e1", ""].since_ms == T_MS
    assert plant.ddata(2, 2000).values() == ["1.000"]
    assert plant.rebirths == ["e1"]


def death_of_another_session() -> None:
    plant = Plant().nbirth(0, 5).dbirth().hear("NDEATH/e1", payload(None, bd_seq(4)))
    assert plant.host.stale == {}
    assert plant.ddata(2, 2000).values() == ["1.000", "2.000"]


def device_death_makes_it_stale() -> None:
    plant = Plant().born().hear("DDEATH/e1/d1", payload(2, t_ms=T_MS + 5))
    assert plant.host.stale == {("e1", "d1"): (T_MS + 5, "the device died (DDEATH)")}
    assert plant.dbirth(3).host.stale == {}


def unknown_alias() -> None:
    plant = Plant().born().ddata(2, 2000, alias=9)
    assert plant.values() == ["1.000"]
    assert plant.rebirths == ["e1"]
    assert "alias 9" in plant.refused[0]


def alias_of_another_device() -> None:
    """An alias of the node in a device's data is no definition of the device."""
    plant = Plant().born().ddata(2, 2000, alias=1)
    assert plant.values() == ["1.000"]
    assert plant.rebirths == ["e1"]


def alias_twice() -> None:
    twice = payload(0, bd_seq(0), metric("Power", 7, INT32, alias=1), metric("B", 8, INT32, alias=1))
    plant = Plant().hear("NBIRTH/e1", twice)
    assert plant.readings == []
    assert "alias 1" in plant.refused[0]
    assert Plant().nbirth().dbirth(1, alias=1).values() == []


def names_without_aliases() -> None:
    plant = Plant().nbirth().hear("DBIRTH/e1/d1", payload(1, metric("Energy/Total", 1000)))
    plant.hear("DDATA/e1/d1", payload(2, metric("Energy/Total", 2000, birth=False)))
    assert plant.values() == ["1.000", "2.000"]


def data_without_a_birth() -> None:
    plant = Plant().ddata(7, 2000)
    assert plant.readings == []
    assert plant.rebirths == ["e1"]


def device_without_a_birth() -> None:
    plant = Plant().nbirth().ddata(1, 2000)
    assert plant.readings == plant.readings[:1]
    assert plant.rebirths == ["e1"]


def device_birth_may_come_before_the_nodes() -> None:
    assert Plant().dbirth().nbirth().ddata(2, 2000).values() == ["1.000", "2.000"]


def a_device_defines_anew() -> None:
    """After a new birth of the device the old alias means nothing, however plausible the value."""
    plant = Plant().born().dbirth(2, alias=5).ddata(3, 2000, alias=2)
    assert plant.values() == ["1.000", "1.000"]
    assert plant.rebirths == ["e1"]


def what_waited_under_an_older_birth_is_not_read_under_a_new_one() -> None:
    plant = Plant().born().ddata(3, 9000, t_ms=T_MS).nbirth(1, 1, t_ms=T_MS + 10)
    plant.hear("DBIRTH/e1/d1", payload(2, metric("Energy/Total", 1000, alias=2), t_ms=T_MS + 11))
    assert plant.values() == ["1.000", "1.000"]
    assert "came out of order" in plant.refused[0]


def historical_values_count_at_their_time() -> None:
    plant = Plant().born().ddata(2, 500, t_ms=T_MS - 60_000, historical=True)
    assert plant.readings[-1] == GivenReading("m1", "energy", T_MS - 60_000, "0.500")


def transient_values_are_not_stored() -> None:
    assert Plant().born().ddata(2, 2000, transient=True).values() == ["1.000"]


def null_is_no_value() -> None:
    plant = Plant().nbirth().dbirth(wh=None).ddata(2, None)
    assert plant.values() == []
    assert plant.refused == []


def a_metric_without_time_is_refused() -> None:
    plant = Plant().born().hear("DDATA/e1/d1", payload(2, metric("", 1, alias=2, t_ms=None, birth=False)))
    assert plant.values() == ["1.000"]
    assert "timestamp" in plant.refused[0]


def a_new_connection_knows_nothing() -> None:
    plant = Plant().born()
    plant.host.connected(T_MS)
    assert set(plant.host.stale) == {("e1", ""), ("e1", "d1")}
    assert plant.ddata(2, 2000).values() == ["1.000"]


def rebirths_are_asked_for_sparingly() -> None:
    plant = Plant()
    for seq in range(200):
        plant.ddata(seq % 256, seq)
    assert plant.rebirths == ["e1"]
    assert plant.later(REBIRTH_EVERY_S).ddata(201, 1).rebirths == ["e1", "e1"]


RULES: dict[str, Callable[[], None]] = {
    "payloads-alias-data-cmd-requirement": births_and_alias,
    "topics-nbirth-bdseq-included": births_need_bd_seq,
    "payloads-nbirth-seq": births_need_seq,
    "payloads-sequence-num-incrementing": sequence_wraps,
    "operational-behavior-host-reordering-success": reordered_in_time,
    "operational-behavior-host-reordering-start": reorder_timeout_asks_a_rebirth,
    "operational-behavior-host-reordering-rebirth": reorder_timeout_asks_a_rebirth,
    "operational-behavior-host-reordering-param": reorder_timeout_is_a_setting,
    "operational-behavior-edge-node-termination-host-action-ndeath-node-offline": node_death_makes_all_stale,
    "operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale": node_death_makes_all_stale,
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-offline": node_death_makes_all_stale,
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale": node_death_makes_all_stale,
    "payloads-ndeath-bdseq": death_of_another_session,
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-offline": device_death_makes_it_stale,
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale": device_death_makes_it_stale,
    "payloads-alias-birth-requirement": unknown_alias,
    "payloads-alias-uniqueness": alias_twice,
    "payloads-name-requirement": names_without_aliases,
    "payloads-name-birth-data-requirement": a_metric_without_time_is_refused,
}
OURS = [
    alias_of_another_device,
    data_without_a_birth,
    device_without_a_birth,
    device_birth_may_come_before_the_nodes,
    a_device_defines_anew,
    what_waited_under_an_older_birth_is_not_read_under_a_new_one,
    historical_values_count_at_their_time,
    transient_values_are_not_stored,
    null_is_no_value,
    a_new_connection_knows_nothing,
    rebirths_are_asked_for_sparingly,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"tck-id-{rule}")
def test_the_specifications_rule_holds(rule: str) -> None:
    RULES[rule]()


@pytest.mark.parametrize("rule", OURS, ids=lambda rule: rule.__name__)
def test_our_rule_holds(rule: Callable[[], None]) -> None:
    rule()


@pytest.mark.parametrize(
    ("datatype", "given", "text"),
    [
        (INT8, -1, "-1"),
        (INT16, -300, "-300"),
        (INT32, -(2**31), str(-(2**31))),
        (INT64, -(2**63), str(-(2**63))),
        (UINT8, 255, "255"),
        (UINT32, 2**32 - 1, str(2**32 - 1)),
        (UINT64, 2**64 - 1, str(2**64 - 1)),
        (FLOAT, 0.1, "0.1"),
        (FLOAT, 16777216.0, "16777216"),
        (FLOAT, -1234.56, "-1234.56"),
        (DOUBLE, 0.1, "0.1"),
        (DOUBLE, 1e-7, "1e-07"),
    ],
)
def test_numbers_become_their_exact_or_shortest_text(datatype: int, given: float, text: str) -> None:
    (one,) = decode(payload(1, metric("x", given, datatype))).metrics
    told = number_text(one, datatype)
    assert told == text or float(told) == float(text)


def test_a_short_negative_integer_and_one_extended_mean_the_same() -> None:
    for raw in (0xFE, 0xFFFFFFFE):
        (one,) = decode(payload(1, chunk(1, b"x") + count(10, raw))).metrics
        assert number_text(one, INT8) == "-2"


@pytest.mark.parametrize(
    ("datatype", "given"),
    [(FLOAT, float("nan")), (DOUBLE, float("inf")), (BOOLEAN, 1), (STRING, "5"), (UINT8, 256), (INT8, 128 + 256)],
)
def test_what_is_no_number_of_its_type_is_refused(datatype: int, given: object) -> None:
    plant = Plant().nbirth().hear("DBIRTH/e1/d1", payload(1, metric("Energy/Total", given, datatype)))
    assert plant.values() == []
    assert len(plant.refused) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["NBIRTH/e1", "NDATA/e1", "DBIRTH/e1/d1", "NDEATH/e1", "x"]), st.binary(max_size=60))
    )
)
def test_no_bytes_make_the_host_raise(messages: list[tuple[str, bytes]]) -> None:
    plant = Plant()
    for topic, data in messages:
        plant.hear(topic, data).later(1)
    assert plant.readings == []


@given(st.permutations(range(2, 12)))
def test_any_order_within_the_window_gives_the_same_readings(order: list[int]) -> None:
    plant = Plant().born()
    for seq in order:
        plant.ddata(seq, seq * 1000, t_ms=T_MS + seq)
    assert plant.values() == ["1.000", *(f"{seq}.000" for seq in range(2, 12))]
    nothing_waits(plant)


def test_our_definition_is_that_of_the_specification() -> None:
    """Every field of ours has number, type and name of the specification's own definition, where one is named."""
    named = os.environ.get("HAKARI_TEST_SPARKPLUG_PROTO")
    if not named:
        pytest.skip("set HAKARI_TEST_SPARKPLUG_PROTO to the specification's sparkplug_b.proto")
    text = re.sub(r"//.*", "", Path(named).read_text())
    theirs = _fields(text[text.index("message Metric ") : text.index("message MetricValueExtension")])
    theirs_payload = _fields(text[text.rindex("}", 0, text.rindex("optional bytes")) :])
    kinds = {4: "uint64", 13: "uint32", 2: "float", 1: "double", 8: "bool", 9: "string", 11: "Metric"}
    for ours, known in ((WirePayload.Metric.DESCRIPTOR, theirs), (WirePayload.DESCRIPTOR, theirs_payload)):
        for field in ours.fields:
            assert known[field.name] == (kinds[field.type], field.number)


def _fields(text: str) -> dict[str, tuple[str, int]]:
    found = re.findall(r"(?:optional|repeated)?\s+(\w+)\s+(\w+)\s*=\s*(\d+)\s*;", text)
    return {name: (kind, int(number)) for kind, name, number in found}
