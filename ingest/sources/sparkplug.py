"""Sparkplug B as a host application hears it: births, data by alias, sequence, deaths. Pure: messages in, readings out.

Guaranteed: a value is a reading only under the birth that defines its metric, in the order of the node's sequence
numbers; where order or definition is in doubt, the message is refused and a rebirth asked for, because an alias that
was defined anew would be read as another meter's. A dead node's or device's points are STALE, which shows as
no readings: no value is ever held or repeated. Source: Sparkplug specification 3.0.0; docs/senders.md names the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from ingest.sources.declared import DeclaredMeter
from ingest.sources.exact import MAX_POWER, NotExact, decimal_text, epoch_ms, shown
from ingest.sources.port import MAX_MESSAGE_BYTES, GivenReading, Message, Parsed
from ingest.sources.sparkplug_payload import BD_SEQ, Metric, Payload, PayloadMalformed, decode, number_text

NAMESPACE = "spBv1.0"
SEQUENCE = 256
MAX_WAITING = 64
MAX_MAPPED = 10_000
REBIRTH_EVERY_S = 60.0
NODE_VERBS = ("NBIRTH", "NDATA", "NDEATH")
DEVICE_VERBS = ("DBIRTH", "DDATA", "DDEATH")
CONTROL = "Node Control/"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Key = tuple[str, str]


class SparkplugMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[metric]]`: a metric of an edge node, or of a `device` behind it, is a point of a meter.

    The value is multiplied by ten to the power of `power_of_ten`.
    """

    node: Name
    name: Name
    meter: Name
    point: Name
    device: str = ""
    power_of_ten: Annotated[int, msgspec.Meta(ge=-MAX_POWER, le=MAX_POWER)] = 0


class SparkplugMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mapping file of a source of kind "sparkplug".

    A value is expected every `interval_s` seconds. A message that comes out of order waits `reorder_s` for the missing
    one; then a rebirth is asked for.
    """

    interval_s: Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400)]
    meter: list[DeclaredMeter]
    metric: Annotated[list[SparkplugMetric], msgspec.Meta(min_length=1, max_length=MAX_MAPPED)]
    reorder_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 5.0


class Rebirth(NamedTuple):
    """A rebirth to ask `node` for, and why."""

    node: str
    why: str


class Stale(NamedTuple):
    """Since when and why the points of a node or device have no current value; UTC milliseconds."""

    since_ms: int
    why: str


class Heard(NamedTuple):
    """What messages came to: for each what is in it, and the rebirths to ask for."""

    parsed: list[tuple[Message, Parsed]]
    rebirths: list[Rebirth]


class _Arrived(NamedTuple):
    """A message, taken apart."""

    message: Message
    verb: str
    device: str
    payload: Payload


class _Doubt(Exception):
    """Why a message cannot be read under the births that are known: a rebirth has to be asked for."""


class _Node:
    """What is known of one edge node of the mapping."""

    def __init__(self) -> None:
        self.online = False
        self.bd_seq = -1
        self.next_seq = 0
        self.datatypes: dict[Key, int] = {}
        self.aliases: dict[int, Key] = {}
        self.waiting: dict[int, _Arrived] = {}
        self.gap_since_s: float | None = None
        self.asked_s: float | None = None

    def forget(self, device: str | None = None) -> None:
        """Forgets the definitions of one device, or of all."""
        self.datatypes = {} if device is None else {k: v for k, v in self.datatypes.items() if k[0] != device}
        self.aliases = {} if device is None else {k: v for k, v in self.aliases.items() if v[0] != device}

    def define(self, device: str, metrics: list[Metric]) -> None:
        """Takes a birth's definitions; NotExact where they contradict themselves, and then none are known."""
        self.forget(device or None)
        for one in metrics:
            key = (device, one.name)
            if not one.name or self.datatypes.get(key, one.datatype) != one.datatype:
                self.forget(device or None)
                raise NotExact(f"the birth has a metric {shown(one.name)} without a name, or with two datatypes")
            self.datatypes[key] = one.datatype
            if one.alias is not None and self.aliases.setdefault(one.alias, key) != key:
                self.forget(device or None)
                raise NotExact(f"alias {one.alias} stands for two metrics")

    def defined(self, device: str, metric: Metric) -> tuple[str, int]:
        """Name and datatype of a metric in data; _Doubt where no birth defined it."""
        key = (device, metric.name) if metric.name else self.aliases.get(-1 if metric.alias is None else metric.alias)
        if key is None or key[0] != device or key not in self.datatypes:
            what = shown(metric.name) if metric.name else f"alias {metric.alias}"
            raise _Doubt(f"no birth defined {what} of {device or 'the node'}")
        return key[1], self.datatypes[key]


class SparkplugHost:
    """The state of every edge node that the mapping names. `now_s` counts machine time, `now_ms` is UTC."""

    def __init__(self, mapping: SparkplugMapping, group: str) -> None:
        self._group = group
        self._reorder_s = mapping.reorder_s
        self._mapped = {(one.node, one.device, one.name): one for one in mapping.metric}
        self._nodes = {one.node: _Node() for one in mapping.metric}
        self.stale: dict[tuple[str, str], Stale] = {}

    def connected(self, now_ms: int) -> None:
        """A new session began: what was missed meanwhile is not known, so nothing is known before the next births."""
        for name in self._nodes:
            self._nodes[name] = _Node()
            self._die(name, None, now_ms, "no birth since the connection to the broker")

    def message(self, message: Message, now_ms: int, now_s: float) -> Heard:
        """What `message` came to, and those that waited for it."""
        found = self._place(message.name)
        if found is None:
            return Heard([], [])
        name, verb, device = found
        parsed = self._opened(name, message)
        if isinstance(parsed, Parsed):
            return Heard([(message, parsed)], [])
        arrived = _Arrived(message, verb, device, parsed)
        if verb == "NBIRTH":
            return self._birth(name, arrived, now_ms, now_s)
        if verb == "NDEATH":
            return self._death(name, arrived, now_ms)
        return self._in_order(name, arrived, now_ms, now_s)

    def tick(self, now_ms: int, now_s: float) -> Heard:
        """What came of the time that passed: messages that waited in vain are refused, and rebirths asked for."""
        heard = Heard([], [])
        for name, node in self._nodes.items():
            if node.gap_since_s is not None and now_s - node.gap_since_s >= self._reorder_s:
                why = f"sequence number {node.next_seq} did not come within {self._reorder_s:g} s"
                self._doubt(name, why, heard, now_ms, now_s)
        return heard

    def forget(self, now_ms: int, why: str) -> Heard:
        """Forgets every birth, because what is known may be wrong; what waited is refused."""
        heard = Heard([], [])
        for node in self._nodes.values():
            heard.parsed.extend((one.message, Parsed([], [f"not read: {why}"])) for one in _all(node))
        for name in self._nodes:
            self._nodes[name] = _Node()
            self._die(name, None, now_ms, why)
        return heard

    def _opened(self, name: str, message: Message) -> Payload | Parsed:
        """The payload of a message of a node, or why it cannot be taken apart."""
        if name not in self._nodes:
            return Parsed([], [], (f"node {shown(name)} is not mapped",))
        if len(message.payload) > MAX_MESSAGE_BYTES:
            return Parsed([], [f"the message is over the limit of {MAX_MESSAGE_BYTES} bytes; send smaller ones"])
        try:
            return decode(message.payload)
        except PayloadMalformed as error:
            return Parsed([], [str(error)])

    def _place(self, topic: str) -> tuple[str, str, str] | None:
        """Node, verb and device of a topic; None where it is none that a host reads."""
        parts = topic.split("/")
        if parts[:2] != [NAMESPACE, self._group] or len(parts) not in (4, 5):
            return None
        if parts[2] not in (NODE_VERBS if len(parts) == 4 else DEVICE_VERBS):
            return None
        return parts[3], parts[2], parts[4] if len(parts) == 5 else ""

    def _birth(self, name: str, arrived: _Arrived, now_ms: int, now_s: float) -> Heard:
        """NBIRTH: a new session of the node; what came before it and belongs to it is read after it."""
        node, payload = self._nodes[name], arrived.payload
        bd_seq = _bd_seq(payload)
        if bd_seq is None or payload.seq is None or payload.seq >= SEQUENCE:
            return Heard([(arrived.message, Parsed([], ["the NBIRTH has no seq of 0 to 255 or no bdSeq"]))], [])
        self._die(name, None, now_ms, "born anew: no birth of the device since")
        node.online, node.bd_seq, node.next_seq, node.gap_since_s = False, bd_seq, payload.seq, None
        born_ms = payload.t_ms or 0
        waiting, node.waiting = node.waiting, {}
        heard = Heard([], [])
        for seq, one in waiting.items():
            if (one.payload.t_ms or 0) >= born_ms:
                node.waiting[seq] = one
            else:
                heard.parsed.append((one.message, Parsed([], ["came out of order before a new birth of its node"])))
        try:
            node.define("", payload.metrics)
        except NotExact as error:
            heard.parsed.append((arrived.message, Parsed([], [str(error)])))
            return heard
        node.online = True
        del self.stale[name, ""]
        heard.parsed.append((arrived.message, self._values(name, arrived)))
        node.next_seq = (payload.seq + 1) % SEQUENCE
        self._drain(name, heard, now_ms, now_s)
        return heard

    def _death(self, name: str, arrived: _Arrived, now_ms: int) -> Heard:
        """NDEATH: ends the session whose bdSeq it names, and no other."""
        node = self._nodes[name]
        if not node.online or _bd_seq(arrived.payload) != node.bd_seq:
            return Heard([(arrived.message, Parsed([], [], ("an NDEATH of another session is not heeded",)))], [])
        heard = Heard(
            [(one.message, Parsed([], ["its node died before what was missing came"])) for one in _all(node)], []
        )
        self._die(name, None, now_ms, "the node died (NDEATH)")
        return heard

    def _in_order(self, name: str, arrived: _Arrived, now_ms: int, now_s: float) -> Heard:
        """A message that counts in the sequence: now, later, or not at all."""
        node, seq, heard = self._nodes[name], arrived.payload.seq, Heard([], [])
        if seq is None or seq >= SEQUENCE:
            heard.parsed.append((arrived.message, Parsed([], ["the message has no seq of 0 to 255"])))
            return heard
        if seq in node.waiting or len(node.waiting) >= MAX_WAITING:
            heard.parsed.append((arrived.message, _unread(node, f"waits for a birth or a missing message; seq {seq}")))
            if node.online:
                self._doubt(name, f"sequence number {seq} came twice, or too many wait", heard, now_ms, now_s)
            else:
                self._ask(name, "it sends without a birth", heard, now_s)
            return heard
        node.waiting[seq] = arrived
        if not node.online:
            self._ask(name, "it sends without a birth", heard, now_s)
            return heard
        self._drain(name, heard, now_ms, now_s)
        return heard

    def _drain(self, name: str, heard: Heard, now_ms: int, now_s: float) -> None:
        """Reads what is next in the sequence, as far as it is there; the timer runs while something waits."""
        node = self._nodes[name]
        while (arrived := node.waiting.pop(node.next_seq, None)) is not None:
            node.next_seq = (node.next_seq + 1) % SEQUENCE
            node.gap_since_s = None
            try:
                heard.parsed.append((arrived.message, self._read(name, arrived, now_ms)))
            except _Doubt as doubt:
                heard.parsed.append((arrived.message, Parsed([], [str(doubt)])))
                self._doubt(name, str(doubt), heard, now_ms, now_s)
                return
        if node.waiting and node.gap_since_s is None:
            node.gap_since_s = now_s

    def _read(self, name: str, arrived: _Arrived, now_ms: int) -> Parsed:
        """A message in its place; _Doubt where no birth defines what is in it."""
        node, device = self._nodes[name], arrived.device
        if arrived.verb == "DBIRTH":
            try:
                node.define(device, arrived.payload.metrics)
            except NotExact as error:
                raise _Doubt(str(error)) from error
            self.stale.pop((name, device), None)
        elif arrived.verb == "DDEATH":
            self._die(name, device, arrived.payload.t_ms or now_ms, "the device died (DDEATH)")
            return Parsed([], [])
        return self._values(name, arrived)

    def _values(self, name: str, arrived: _Arrived) -> Parsed:
        """The readings among the metrics of a birth or of data; _Doubt before any of them where one is not defined."""
        node, device = self._nodes[name], arrived.device
        parsed, unmapped = Parsed([], []), dict[str, None]()
        for metric, (said, datatype) in [(one, node.defined(device, one)) for one in arrived.payload.metrics]:
            mapped = self._mapped.get((name, device, said))
            where = f"metric {shown(said)} of {name}{'/' + device if device else ''}"
            if mapped is None:
                if said != BD_SEQ and not said.startswith(CONTROL):
                    unmapped[f"{where} is not mapped"] = None
            elif metric.null or metric.transient:
                unmapped[f"{where} is {'null' if metric.null else 'transient'}"] = None
            else:
                try:
                    parsed.readings.append(_reading(mapped, metric, datatype))
                except NotExact as error:
                    parsed.refused.append(f"{where}: {error}")
        return parsed._replace(unmapped=tuple(unmapped))

    def _doubt(self, name: str, why: str, heard: Heard, now_ms: int, now_s: float) -> None:
        """Reads nothing more of the node before its next birth, which is asked for."""
        node = self._nodes[name]
        heard.parsed.extend((one.message, Parsed([], [f"not read: {why}"])) for one in _all(node))
        self._die(name, None, now_ms, why)
        self._ask(name, why, heard, now_s)

    def _ask(self, name: str, why: str, heard: Heard, now_s: float) -> None:
        node = self._nodes[name]
        if node.asked_s is None or now_s - node.asked_s >= REBIRTH_EVERY_S:
            node.asked_s = now_s
            heard.rebirths.append(Rebirth(name, why))

    def _die(self, name: str, device: str | None, since_ms: int, why: str) -> None:
        """Marks a device, or a node with everything behind it, as STALE; definitions are forgotten."""
        node = self._nodes[name]
        node.forget(device)
        if device is None:
            node.online, node.gap_since_s = False, None
        for key in {(one.node, one.device) for one in self._mapped.values()} | {(name, "")}:
            if key[0] == name and device in (None, key[1]):
                self.stale[key] = Stale(since_ms, why)


def _reading(mapped: SparkplugMetric, metric: Metric, datatype: int) -> GivenReading:
    if metric.t_ms is None:
        raise NotExact("there is no timestamp; let the node send one with every metric")
    value = decimal_text(number_text(metric, datatype), mapped.power_of_ten)
    return GivenReading(mapped.meter, mapped.point, epoch_ms(str(metric.t_ms), "ms"), value)


def _bd_seq(payload: Payload) -> int | None:
    return next((one.integer[0] for one in payload.metrics if one.name == BD_SEQ and one.integer is not None), None)


def _all(node: _Node) -> Iterator[_Arrived]:
    """Takes what waits."""
    waiting, node.waiting = node.waiting, {}
    return iter(waiting.values())


def _unread(node: _Node, why: str) -> Parsed:
    """A message that is not read: refused while its node is known, else one of a kind that comes with every message."""
    return Parsed([], [f"not read: {why}"]) if node.online else Parsed([], [], ("data of a node before its birth",))
