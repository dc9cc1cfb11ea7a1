"""The sources over MQTT at work: what has arrived is parsed, stored in ingest's own logs, and then acknowledged.

Guaranteed: a message is acknowledged only after what it holds is on disk as leaves, or in the quarantine with its
reason, so that a poison message never stands in the way of the next, not even one that a parser fails at. Parts that no
mapping asks for are recorded once a kind and then counted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from hakari.crash import crash_point
from hakari.mqtt import BrokerSettings
from hakari.names import source_client_id
from hakari.settings import beside
from ingest.sources.mqtt_inbox import Access, Arrival, MqttInbox
from ingest.sources.own_log import Taken, Taking
from ingest.sources.port import Message, Parsed
from ingest.sources.settings import MqttSource, SparkplugSource
from ingest.sources.sparkplug import Heard, SparkplugHost, Stale
from ingest.sources.sparkplug_host import SparkplugInbox
from ingest.sources.stopped import failure_of
from ingest.sources.stream_mapping import Stream, read_stream

MAX_KINDS = 1000
OUR_FAULT = "our own fault: the parser failed at a message"

_log = logging.getLogger("hakari.ingest.sources")


class Store(Protocol):
    """Where readings go: an own log."""

    def take(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
        """What became of each, durably."""
        ...


class StreamSource:
    """One source with its session. `counts` says what became of values and messages, by word."""

    def __init__(self, source: MqttSource, stream: Stream, inbox: MqttInbox, store: Store) -> None:
        self.source = source
        self.inbox = inbox
        self.counts: Counter[str] = Counter()
        self._declared = stream.declared
        self._reader = stream.reader
        self._store = store
        self._kinds: set[str] = set()
        self._shown: dict[tuple[str, str], Stale] = {}

    @property
    def stale(self) -> Mapping[tuple[str, str], Stale]:
        """The Sparkplug nodes and devices without a current value, by (node, device)."""
        return self._reader.stale if isinstance(self._reader, SparkplugHost) else {}

    def work(self, now_ms: int, now_s: float) -> bool:
        """Stores and acknowledges what has arrived; whether anything was stored. Never waits."""
        arrivals = self.inbox.take()
        parsed = self._parsed(arrivals, now_ms, now_s)
        takings = [
            Taking(self._declared, message, found)
            for message, found in ((message, self._sifted(found)) for message, found in parsed)
            if found.readings or found.refused
        ]
        results = self._store.take(takings, now_ms) if takings else []
        for taken in results:
            self.counts.update(new=taken.new, duplicate=taken.duplicates, refused=len(taken.refused))
        if takings:
            crash_point("source.stored")
        for arrival in arrivals:
            self.inbox.acknowledge(arrival)
        self.counts["messages"] += sum(not one.began for one in arrivals)
        self._tell()
        return any(taken.new for taken in results)

    def _parsed(self, arrivals: Sequence[Arrival], now_ms: int, now_s: float) -> list[tuple[Message, Parsed]]:
        """What the arrivals hold; of Sparkplug also what the time that passed brought."""
        parsed: list[tuple[Message, Parsed]] = []
        for one in arrivals:
            message = Message(self.source.name, one.topic, one.payload)
            error = failure_of(partial(self._take_apart, message, one, parsed, now_ms, now_s))
            if error is not None:
                parsed.append((message, self._fault(error)))
                if isinstance(self._reader, SparkplugHost):
                    self._heard(self._reader.forget(now_ms, OUR_FAULT), parsed)
        if isinstance(self._reader, SparkplugHost):
            self._heard(self._reader.tick(now_ms, now_s), parsed)
        return parsed

    def _take_apart(
        self, message: Message, arrival: Arrival, parsed: list[tuple[Message, Parsed]], now_ms: int, now_s: float
    ) -> None:
        if not isinstance(self._reader, SparkplugHost):
            if not arrival.began:
                parsed.append((message, self._reader.parse(message, now_ms)))
        elif arrival.began:
            self._reader.connected(now_ms)
        else:
            self._heard(self._reader.message(message, now_ms, now_s), parsed)

    def _fault(self, error: Exception) -> Parsed:
        """A parser that failed at a message is wrong itself: the message is kept whole, and others are read."""
        self.counts["faults"] += 1
        _log.error("source %s: %s; the message is in the quarantine", self.source.name, OUR_FAULT, exc_info=error)
        return Parsed([], [f"{OUR_FAULT} ({type(error).__name__}): report it with this message"])

    def _heard(self, heard: Heard, parsed: list[tuple[Message, Parsed]]) -> None:
        parsed.extend(heard.parsed)
        for one in heard.rebirths:
            self.counts["rebirths"] += 1
            _log.warning("source %s: a rebirth is asked of node %s: %s", self.source.name, one.node, one.why)
            if isinstance(self.inbox, SparkplugInbox):
                self.inbox.ask_rebirth(one.node)

    def _sifted(self, found: Parsed) -> Parsed:
        """`found` with the kinds that come for the first time among what is refused; all are counted."""
        self.counts["unmapped"] += len(found.unmapped)
        fresh = [one for one in found.unmapped if one not in self._kinds][: MAX_KINDS - len(self._kinds)]
        self._kinds.update(fresh)
        return Parsed(found.readings, [*found.refused, *(f"{one}; said once, then counted" for one in fresh)])

    def _tell(self) -> None:
        """Says in the log which nodes and devices became STALE, and which are back."""
        now = dict(self.stale)
        for key in (key for key, one in now.items() if self._shown.get(key) != one):
            _log.warning("source %s: %s is STALE: %s", self.source.name, "/".join(filter(None, key)), now[key].why)
        for key in self._shown.keys() - now.keys():
            _log.info("source %s: %s is live", self.source.name, "/".join(filter(None, key)))
        self._shown = now


def open_streams(
    config: Path,
    broker: BrokerSettings,
    sources: Sequence[MqttSource],
    stores: Mapping[str, Store],
    wall_ms: Callable[[], int],
) -> list[StreamSource]:
    """The sources that the settings file `config` names, not yet connected; `stores` are its own logs by id.

    Errors: BadConfiguration of a mapping or of a broker's files.
    """
    made = []
    for source in sources:
        stream = read_stream(beside(config, source.mapping), source)
        client_id = source_client_id(source.name)
        access = Access(source.broker or broker, config.parent, client_id, source.user or client_id)
        if isinstance(source, SparkplugSource):
            inbox: MqttInbox = SparkplugInbox(access, source.group, source.host_id, wall_ms)
        else:
            inbox = MqttInbox(access, [source.topic])
        made.append(StreamSource(source, stream, inbox, stores[source.log]))
    return made
