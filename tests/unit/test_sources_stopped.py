"""A source that fails stops alone: what is shown of it, and what goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as paho
import pytest

from hakari.mqtt import BrokerSettings
from hakari.names import Origin
from hakari.store.evidence_sqlite import EvidenceStoreFailed
from ingest.settings import load_settings
from ingest.sources.folder import Folder
from ingest.sources.folder_thread import FolderThread
from ingest.sources.mqtt_inbox import Access, Arrival, MqttInbox
from ingest.sources.mqtt_thread import MqttThread
from ingest.sources.own_index import OwnIndexFailed
from ingest.sources.own_log import Taken, Taking
from ingest.sources.plain import JsonMapping, JsonValue, PlainParser
from ingest.sources.port import Message, Parsed
from ingest.sources.settings import JsonSource, SparkplugSource
from ingest.sources.sparkplug import SparkplugHost
from ingest.sources.stopped import Stopped
from ingest.sources.stream_mapping import Stream
from ingest.sources.streams import StreamSource
from tests.unit.own_log_world import LOG, NOW_MS, SETTINGS, OwnWorld
from tests.unit.sparkplug_bytes import INT32, bd_seq, metric, payload
from tests.unit.test_ingest_folders import FOLDER
from tests.unit.test_sources_sparkplug import MAPPING, METERS

ACCESS = Access(BrokerSettings("127.0.0.1", 1), Path(), "ingest-source-x", "ingest-source-x")


class Kept:
    """A store that remembers what it was given."""

    def __init__(self) -> None:
        self.takings: list[Taking] = []

    def take(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
        del now_ms
        self.takings += takings
        return [Taken(len(one.parsed.readings), 0, one.parsed.refused) for one in takings]


class FailingParser(PlainParser):
    """Our own parser with a fault at one message."""

    def parse(self, message: Message, now_ms: int) -> Parsed:
        if message.payload == b"poison":
            raise OverflowError("too large")
        return super().parse(message, now_ms)


class FailingHost(SparkplugHost):
    """As FailingParser."""

    def _opened(self, name: str, message: Message) -> Any:
        if message.payload == b"poison":
            raise OverflowError("too large")
        return super()._opened(name, message)


def source_of(reader: Any, source: Any, store: Kept) -> StreamSource:
    made = StreamSource(source, Stream(cast("Any", None), reader), MqttInbox(ACCESS, ["x/#"]), store)
    made.inbox.acknowledge = lambda arrival: acknowledged.append(arrival.mid)  # type: ignore[method-assign]
    acknowledged: list[int] = []
    cast("Any", made).acknowledged = acknowledged
    return made


def arrive(one: StreamSource, *messages: tuple[str, bytes]) -> None:
    for k, (topic, data) in enumerate(messages):
        cast("Any", one.inbox)._put(Arrival(0, k, 1, topic, data))


def test_a_message_at_which_a_parser_fails_is_kept_with_our_own_fault_and_the_next_is_read() -> None:
    store = Kept()
    reader = FailingParser(JsonMapping(60, METERS, [JsonValue("v", "m1", "energy")], "t", "ms"))
    one = source_of(reader, JsonSource(name="js", log=LOG, mapping="m", topic="x/#"), store)
    arrive(one, ("x/a", b"poison"), ("x/a", b'{"v":1,"t":1700000000000}'))
    assert one.work(NOW_MS, 0.0)
    assert [len(taking.parsed.readings) for taking in store.takings] == [0, 1]
    assert store.takings[0].message.payload == b"poison"
    assert "our own fault" in store.takings[0].parsed.refused[0]
    assert "OverflowError" in store.takings[0].parsed.refused[0]
    assert cast("Any", one).acknowledged == [0, 1]
    assert one.counts["faults"] == 1


def test_after_a_fault_a_sparkplug_host_reads_nothing_before_the_next_birth() -> None:
    store = Kept()
    source = SparkplugSource(name="sp", log=LOG, mapping="m", group="g", host_id="h")
    one = source_of(FailingHost(MAPPING, "g"), source, store)
    birth = payload(0, bd_seq(0), metric("Power", 7, INT32, alias=1))
    data = payload(1, metric("", 8, INT32, alias=1, birth=False))
    arrive(one, ("spBv1.0/g/NBIRTH/e1", birth), ("spBv1.0/g/NDATA/e1", b"poison"), ("spBv1.0/g/NDATA/e1", data))
    one.work(NOW_MS, 0.0)
    assert [one.value for taking in store.takings for one in taking.parsed.readings] == ["7"]
    assert ("e1", "") in one.stale
    assert one.counts["rebirths"] == 1


def test_what_stops_is_shown_and_a_failing_evidence_log_is_no_sources_fault() -> None:
    stopped = Stopped()
    assert (stopped.trouble, "a" in stopped) == ("", False)
    stopped.stop("a", OwnIndexFailed("the index\nis damaged"))
    stopped.stop("b", ValueError())
    assert stopped.trouble == (
        "source a has stopped (the index is damaged); mend that and start ingest again; "
        "source b has stopped (ValueError); mend that and start ingest again"
    )
    with pytest.raises(EvidenceStoreFailed):
        stopped.stop("c", EvidenceStoreFailed("disk full"))


def nobody(grown: Collection[Origin]) -> None:
    del grown


def eventually(true: Callable[[], object]) -> None:
    until_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_a_folder_that_fails_stops_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, looked = OwnWorld(tmp_path), threading.Event()
    other = FOLDER.replace('"logger"', '"other"').replace('"drop"', '"other"')
    (tmp_path / "ingest.toml").write_text(SETTINGS + FOLDER + other)
    right = Folder.look

    def look(folder: Folder, now_ms: int, machine_s: float) -> int:
        if cast("Any", folder)._name == "logger":
            raise MemoryError
        looked.set()
        return right(folder, now_ms, machine_s)

    monkeypatch.setattr(Folder, "look", look)
    config = tmp_path / "ingest.toml"
    given = load_settings(config, {})
    thread = FolderThread(config, given, world.roster(), lambda: closing(world.evidence()), lambda: NOW_MS, nobody)
    thread.start()
    eventually(lambda: thread.trouble)
    looked.clear()
    assert looked.wait(20)
    thread.check()
    thread.stop()
    thread.check()
    assert thread.trouble == "source logger has stopped (MemoryError); mend that and start ingest again"


def test_a_stream_that_fails_stops_alone_and_acknowledges_nothing(tmp_path: Path) -> None:
    config, world = tmp_path / "ingest.toml", OwnWorld(tmp_path)
    config.write_text(SETTINGS)
    thread = cast(
        "Any",
        MqttThread(
            config, load_settings(config, {}), world.roster(), lambda: closing(world.evidence()), lambda: NOW_MS, nobody
        ),
    )

    class Broken(Kept):
        def take(self, takings: Sequence[Taking], now_ms: int) -> list[Taken]:
            del takings, now_ms
            raise RuntimeError("nothing works")

    reader = PlainParser(JsonMapping(60, METERS, [JsonValue("v", "m1", "energy")], "t", "ms"))
    one = source_of(reader, JsonSource(name="js", log=LOG, mapping="m", topic="x/#"), Broken())
    arrive(one, ("x/a", b'{"v":1,"t":1700000000000}'))
    assert thread._round(one, {}) is False
    assert thread._round(one, {}) is False
    assert "source js has stopped (nothing works)" in thread.trouble
    assert cast("Any", one).acknowledged == []


def test_a_session_that_the_broker_did_not_keep_is_said_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    kept, clean = MqttInbox(ACCESS, ["x/#"]), MqttInbox(ACCESS, ["x/#"], clean=True)
    for one in (kept, clean):
        for present in (True, False, True):
            cast("Any", one)._connected(one.client, None, paho.ConnectFlags(session_present=present), 0, None)
    assert (kept.sessions_gone, clean.sessions_gone) == (1, 0)
    assert "ingest-source-x: the broker kept none" in caplog.text
    assert "may be lost" in caplog.text
