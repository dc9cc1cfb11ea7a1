"""Sparkplug B payloads: bytes to metrics whose numbers are exact text, and the two payloads that a host sends. Pure.

Floats become the shortest decimal that gives the same bits again, as senders and their displays print them.
Source: Sparkplug specification 3.0.0, chapter 6; `sparkplug.proto` beside this file.
"""

from __future__ import annotations

import json
import math
import struct
from typing import NamedTuple

from google.protobuf.message import DecodeError

from hakari.errors import DataProblem
from ingest.sources.exact import NotExact
from ingest.sources.sparkplug_pb2 import Payload as WirePayload

MAX_METRICS = 10_000
BOOLEAN = 11
BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"

# Bits of each integer type and whether it has a sign: Int8 … Int64, UInt8 … UInt64.
_INTEGERS = {1: (8, True), 2: (16, True), 3: (32, True), 4: (64, True)} | {
    5: (8, False),
    6: (16, False),
    7: (32, False),
    8: (64, False),
}
_FLOATS = {9: "float_value", 10: "double_value"}


class PayloadMalformed(DataProblem):
    """A message on a Sparkplug topic is no Sparkplug B payload."""


class Metric(NamedTuple):
    """One metric as it was sent; `datatype` is 0 and `t_ms` None where it was not said, `alias` likewise.

    `integer` and `floating` are the number as it stands on the wire: which type it has is known from its birth.
    """

    name: str
    alias: int | None
    t_ms: int | None
    datatype: int
    null: bool
    transient: bool
    integer: tuple[int, int] | None
    floating: tuple[str, float] | None
    boolean: bool | None


class Payload(NamedTuple):
    """One payload: when it was sent, its sequence number, its metrics."""

    t_ms: int | None
    seq: int | None
    metrics: list[Metric]


def decode(data: bytes) -> Payload:
    """The payload that `data` is; PayloadMalformed where it is none."""
    try:
        wire = WirePayload.FromString(data)
        if len(wire.metrics) > MAX_METRICS:
            raise PayloadMalformed(f"the payload has {len(wire.metrics)} metrics, limit {MAX_METRICS}; send fewer")
        metrics = [_metric(one) for one in wire.metrics]
    except (DecodeError, UnicodeDecodeError) as error:
        raise PayloadMalformed("the message is no Sparkplug B payload") from error
    return Payload(
        wire.timestamp if wire.HasField("timestamp") else None, wire.seq if wire.HasField("seq") else None, metrics
    )


def number_text(metric: Metric, datatype: int) -> str:
    """The metric's value as a type of that number, exactly; NotExact where it is no number or not of that type."""
    if datatype in _INTEGERS and metric.integer is not None:
        return str(_integer(*metric.integer, *_INTEGERS[datatype]))
    if datatype in _FLOATS and metric.floating is not None and metric.floating[0] == _FLOATS[datatype]:
        return _shortest(*metric.floating)
    raise NotExact(f"the value is no number of its datatype {datatype}")


def rebirth_request(now_ms: int) -> bytes:
    """The NCMD that asks a node to publish its births again."""
    metric = WirePayload.Metric(name=REBIRTH, timestamp=now_ms, datatype=BOOLEAN, boolean_value=True)
    return WirePayload(timestamp=now_ms, metrics=[metric]).SerializeToString()


def state(*, online: bool, t_ms: int) -> bytes:
    """A host application's STATE payload."""
    return json.dumps({"online": online, "timestamp": t_ms}).encode()


def _metric(wire: WirePayload.Metric) -> Metric:
    kind = wire.WhichOneof("value")
    integer = floating = None
    if kind == "int_value":
        integer = (wire.int_value, 32)
    elif kind == "long_value":
        integer = (wire.long_value, 64)
    elif kind == "float_value":
        floating = (kind, wire.float_value)
    elif kind == "double_value":
        floating = (kind, wire.double_value)
    return Metric(
        wire.name,
        wire.alias if wire.HasField("alias") else None,
        wire.timestamp if wire.HasField("timestamp") else None,
        wire.datatype,
        wire.is_null or kind is None,
        wire.is_transient,
        integer,
        floating,
        wire.boolean_value if kind == "boolean_value" else None,
    )


def _integer(number: int, carrier_bits: int, bits: int, signed: bool) -> int:
    """What `number` means as an integer of `bits`; senders extend a negative one to the carrier or leave it short."""
    if signed and bits > carrier_bits:
        raise NotExact(f"a signed integer of {bits} bits came in {carrier_bits}, so that its sign is not known")
    if signed:
        low, high = -(1 << (bits - 1)), 1 << (bits - 1)
        for width in {bits, 32, carrier_bits}:
            as_signed = number - (1 << width) if number >> (width - 1) == 1 else number
            if width <= carrier_bits and low <= as_signed < high:
                return as_signed
    elif number < 1 << bits:
        return number
    raise NotExact(f"{number} is not an integer of {bits} bits")


def _shortest(kind: str, value: float) -> str:
    if not math.isfinite(value):
        raise NotExact(f"{value} is not a number")
    if kind == "double_value":
        return repr(value)
    bits = _single(value)
    return next(text for digits in range(1, 10) if _single(float(text := f"{value:.{digits}g}")) == bits)


def _single(value: float) -> bytes:
    """The bits of `value` as a float of 32 bits; none where it is beyond them, as the largest one rounded up is."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return b""
