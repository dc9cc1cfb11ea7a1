"""The tables of `ingest.toml` for other senders: `[[own_log]]` takes their readings, `[[source]]` is who they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from hakari.mqtt import BrokerSettings
from hakari.names import BadName, check_edge_id, check_host, check_local

MAX_SOURCES = 64
MAX_OWN_LOGS = 64

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=86_400)]


class OwnLogTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[own_log]]`: a log of ingest's own, named like an edge in the roster and listed in its `sources`.

    `id` is its edge id (`sola-import`), `key_file` its private key. Beside the key stand `{key_file}.signed`, what it
    signed last, and `{key_file}.index`, what the log holds; the first belongs to the key and must not be deleted.
    """

    id: Text
    key_file: Text


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every source says: its name in records, the `[[own_log]]` it writes into, and its mapping file."""

    name: Text
    log: Text
    mapping: Text


class FolderSource(_Source, frozen=True, tag="folder"):
    """`[[source]]` with `kind = "folder"`: files that data loggers and historians drop.

    `name` stands in records, `log` is the `id` of an `[[own_log]]`, `mapping` the mapping file. `folder` is watched;
    a file in it is taken once it has not changed for `still_s` seconds. `done` is where `done/` and `refused/` stand,
    on the same file system and out of the sender's reach; left out it is the watched folder itself.
    """

    folder: Text
    still_s: Seconds = 10.0
    done: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class _MqttSource(_Source, frozen=True, kw_only=True):
    """What every source over MQTT says. Without `[source.broker]` its messages are on the broker of `[broker]`.

    The session's client id is `ingest-source-{name}`; `user` logs in, left out the client id does.
    """

    user: Annotated[str, msgspec.Meta(max_length=200)] = ""
    broker: BrokerSettings | None = None


class TelegrafSource(_MqttSource, frozen=True, tag="telegraf"):
    """`[[source]]` with `kind = "telegraf"`: Telegraf over MQTT.

    `name`, `log` and `mapping` as for every source; `topic` is what is subscribed to. `user` logs in, left out it is
    the client id `ingest-source-{name}`; `[source.broker]` is a broker of its own, left out it is that of `[broker]`.
    """

    topic: Text


class JsonSource(_MqttSource, frozen=True, tag="json"):
    """`[[source]]` with `kind = "json"`: plain JSON over MQTT.

    `name`, `log` and `mapping` as for every source; `topic` is what is subscribed to. `user` logs in, left out it is
    the client id `ingest-source-{name}`; `[source.broker]` is a broker of its own, left out it is that of `[broker]`.
    """

    topic: Text


class SparkplugSource(_MqttSource, frozen=True, tag="sparkplug"):
    """`[[source]]` with `kind = "sparkplug"`: Sparkplug B edge nodes of `group`; we are host application `host_id`.

    `name`, `log` and `mapping` as for every source. `user` logs in, left out it is the client id
    `ingest-source-{name}`; `[source.broker]` is a broker of its own, left out it is the one of `[broker]`.
    """

    group: Text
    host_id: Text


MqttSource = TelegrafSource | JsonSource | SparkplugSource
Source = FolderSource | TelegrafSource | JsonSource | SparkplugSource


def source_problems(own_logs: Sequence[OwnLogTable], sources: Sequence[Source]) -> Iterator[str]:
    """What is wrong with these tables, a sentence each."""
    ids = [one.id for one in own_logs]
    names = [one.name for one in sources]
    for what, given, limit in (("own_log", ids, MAX_OWN_LOGS), ("source", names, MAX_SOURCES)):
        if len(given) > limit:
            yield f"[[{what}]] is given {len(given)} times, limit {limit}; leave some out"
        if twice := sorted({one for one in given if given.count(one) > 1}):
            yield f"[[{what}]] {twice[0]!r} is given twice; keep one"
    for name in ids:
        try:
            check_edge_id(name)
        except BadName as error:
            yield f"[[own_log]].id: {error}"
    for one in sources:
        try:
            check_local(one.name, "[[source]].name")
        except BadName as error:
            yield str(error)
        if one.log not in ids:
            yield f"[[source]] {one.name}: log = {one.log!r} is no [[own_log]]; add one with this id and its key_file"
    yield from _mqtt_sources_problems([one for one in sources if not isinstance(one, FolderSource)])


def _mqtt_sources_problems(sources: Sequence[MqttSource]) -> Iterator[str]:
    """What is wrong with the sources over MQTT."""
    for one in sources:
        yield from _mqtt_problems(one)
    hosts = [one.host_id for one in sources if isinstance(one, SparkplugSource)]
    if twice := sorted({one for one in hosts if hosts.count(one) > 1}):
        yield f"[[source]] host_id {twice[0]!r} is given twice; give each source of kind sparkplug its own"


def _mqtt_problems(source: MqttSource) -> Iterator[str]:
    """What is wrong with a source over MQTT."""
    if source.broker is not None:
        try:
            check_host(source.broker.host, f"[[source]] {source.name}: broker.host")
        except BadName as error:
            yield str(error)
    if isinstance(source, SparkplugSource):
        for key, given in (("group", source.group), ("host_id", source.host_id)):
            if set(given) & set("+#/\0"):
                yield f"[[source]] {source.name}: {key} = {given!r} holds one of + # /; give the plain id"
        return
    levels = source.topic.split("/")
    if "\0" in source.topic or "#" in levels[:-1] or any(set(one) & set("+#") and len(one) > 1 for one in levels):
        yield f"[[source]] {source.name}: topic = {source.topic!r} is no MQTT topic filter; + and # stand alone, # last"
    if levels[0] in ("#", "+", "hakari", "spBv1.0", "$SYS"):
        yield (
            f"[[source]] {source.name}: topic = {source.topic!r} takes in topics that are not its sender's; name the"
            " sender's own first level, other than hakari, spBv1.0 and $SYS"
        )
