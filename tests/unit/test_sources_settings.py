"""Tables and mapping files of sources over MQTT: what contradicts itself is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from hakari.errors import BadConfiguration
from hakari.mqtt import BrokerSettings
from ingest.sources.settings import JsonSource, OwnLogTable, Source, SparkplugSource, TelegrafSource, source_problems
from ingest.sources.sparkplug import SparkplugHost
from ingest.sources.stream_mapping import read_stream

LOGS = [OwnLogTable("sola-given", "own.pem")]
METER = '[[meter]]\nid = "m1"\nserial = "S"\n[[meter.point]]\nname = "energy"\nunit = "kWh"\nkind = "counter"\n'
SERIES = '[[series]]\nmeasurement = "m"\nfield = "f"\nmeter = "m1"\npoint = "energy"\n'
METRIC = '[[metric]]\nnode = "e1"\nname = "E"\nmeter = "m1"\npoint = "energy"\n'


def telegraf(topic: str, broker: BrokerSettings | None = None) -> Source:
    return TelegrafSource("tele", "sola-given", "m.toml", broker=broker, topic=topic)


def sparkplug(name: str = "a", group: str = "g", host_id: str = "h") -> Source:
    return SparkplugSource(name, "sola-given", "m.toml", group=group, host_id=host_id)


def test_what_is_right_has_no_problems() -> None:
    sources = [telegraf("tele/+/x/#"), JsonSource("j", "sola-given", "j.toml", topic="plain"), sparkplug()]
    assert list(source_problems(LOGS, sources)) == []


@pytest.mark.parametrize("topic", ["#", "+/x", "hakari/v1/batch/#", "spBv1.0/g/#", "a/#/b", "a/b+", "a#", "$SYS/x"])
def test_a_topic_of_others_or_none_at_all_is_refused(topic: str) -> None:
    assert "topic" in next(source_problems(LOGS, [telegraf(topic)]))


def test_sparkplug_ids_are_plain_and_hosts_differ() -> None:
    assert "group" in next(source_problems(LOGS, [sparkplug(group="a/b")]))
    assert "host_id" in next(source_problems(LOGS, [sparkplug(host_id="#")]))
    assert "twice" in next(source_problems(LOGS, [sparkplug("a"), sparkplug("b")]))


def test_a_broker_of_its_own_has_a_host_that_can_be_one() -> None:
    assert "broker.host" in next(source_problems(LOGS, [telegraf("t", BrokerSettings("no host"))]))


def test_mappings_are_read_by_kind(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(f"interval_s = 60\n{METER}{METRIC}")
    stream = read_stream(file, sparkplug())  # type: ignore[arg-type]
    assert isinstance(stream.reader, SparkplugHost)
    assert stream.declared.origin == "received"
    assert list(stream.declared.points) == [("m1", "energy")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"interval_s = 60\n{METER}{SERIES}".replace('point = "energy"', 'point = "power"'), "m1/power"),
        (f"interval_s = 60\n{METER}{SERIES}".replace("field", "feld"), "did you mean field"),
        (f"interval_s = 60\n{METER}{SERIES}power_of_ten = 19\n", "power_of_ten"),
        (f"interval_s = 60\n{METER}{SERIES}".replace("kWh", "kwh"), "kWh"),
        (f'interval_s = 60\ntime_unit = "h"\n{METER}{SERIES}', "time_unit"),
        ("", "empty"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_which_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(BadConfiguration, match=said):
        read_stream(file, telegraf("t"))  # type: ignore[arg-type]


def test_a_metric_is_mapped_once_and_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(f"interval_s = 60\n{METER}{METRIC}{METRIC}")
    with pytest.raises(BadConfiguration, match="twice"):
        read_stream(file, sparkplug())  # type: ignore[arg-type]
    with pytest.raises(BadConfiguration, match="cannot be read"):
        read_stream(tmp_path / "none.toml", sparkplug())  # type: ignore[arg-type]
