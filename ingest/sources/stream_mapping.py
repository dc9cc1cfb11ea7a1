"""The mapping files of sources over MQTT: read, checked, and ready to parse with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hakari import settings
from hakari.errors import BadConfiguration
from hakari.smallfile import TooLarge, read_bytes
from ingest.sources.declared import Declared, Origin, declare
from ingest.sources.plain import JsonMapping, PlainParser
from ingest.sources.port import Parser
from ingest.sources.settings import JsonSource, MqttSource, TelegrafSource
from ingest.sources.sparkplug import SparkplugHost, SparkplugMapping
from ingest.sources.telegraf import TelegrafMapping, TelegrafParser

MAX_MAPPING_BYTES = 1024 * 1024
RECEIVED: Origin = "received"


class StreamMappingInvalid(BadConfiguration):
    """The mapping file of a source over MQTT cannot be used."""


class Stream(NamedTuple):
    """What a source over MQTT is read with: its declaration, and a parser or a host that keeps the nodes' state."""

    declared: Declared
    reader: Parser | SparkplugHost


def read_stream(path: Path, source: MqttSource) -> Stream:
    """The mapping of `source` in the file `path`. Errors: BadConfiguration, each names the file and the key."""
    table = _table(path)
    if isinstance(source, TelegrafSource):
        telegraf = settings.convert(table, TelegrafMapping, str(path))
        rows: Iterable[tuple[str, str]] = ((one.meter, one.point) for one in telegraf.series)
        return Stream(_declared(path, source, telegraf, rows), TelegrafParser(telegraf))
    if isinstance(source, JsonSource):
        plain = settings.convert(table, JsonMapping, str(path))
        rows = ((one.meter, one.point) for one in plain.value)
        return Stream(_declared(path, source, plain, rows), PlainParser(plain))
    sparkplug = settings.convert(table, SparkplugMapping, str(path))
    rows = ((one.meter, one.point) for one in sparkplug.metric)
    keys = [(one.node, one.device, one.name) for one in sparkplug.metric]
    if len(set(keys)) != len(keys):
        raise StreamMappingInvalid(f"{path}: a metric is mapped twice; keep one [[metric]] for it")
    return Stream(_declared(path, source, sparkplug, rows), SparkplugHost(sparkplug, source.group))


def _table(path: Path) -> dict[str, object]:
    try:
        text = read_bytes(path, MAX_MAPPING_BYTES).decode("utf-8-sig")
    except (OSError, TooLarge, UnicodeDecodeError) as error:
        raise StreamMappingInvalid(f"mapping {path} cannot be read: {error}; name a UTF-8 file") from error
    return settings.parse(text, str(path))


def _declared(
    path: Path,
    source: MqttSource,
    mapping: TelegrafMapping | JsonMapping | SparkplugMapping,
    rows: Iterable[tuple[str, str]],
) -> Declared:
    """What the mapping declares, every row of it going to a declared point."""
    try:
        declared = declare(source.log, mapping.meter, RECEIVED, mapping.interval_s)
    except BadConfiguration as error:
        raise StreamMappingInvalid(f"{path}: {error}") from error
    for meter, point in rows:
        if (meter, point) not in declared.points:
            raise StreamMappingInvalid(f"{path}: {meter}/{point} is no point that a [[meter]] declares; declare it")
    return declared
