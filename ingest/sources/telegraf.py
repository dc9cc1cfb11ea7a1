"""Telegraf's line protocol and JSON under a declared mapping: pure; a series is ours only where the mapping names it.

Formats: Telegraf's output data formats `influx` and `json`, the latter alone or as a batch `{"metrics": [...]}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec

from hakari.store.line_reader import FloatText, LineProblem, Unsigned, read_lines
from ingest.sources.declared import DeclaredMeter
from ingest.sources.exact import MAX_POWER, NotExact, NumberText, TimeUnit, decimal_text, epoch_ms, shown, strict_json
from ingest.sources.port import MAX_MESSAGE_BYTES, MAX_READINGS, GivenReading, Message, Parsed

MAX_SERIES = 10_000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Power = Annotated[int, msgspec.Meta(ge=-MAX_POWER, le=MAX_POWER)]


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[series]]`: a field of a measurement is a point of a meter.

    `tags` must all be there with these values; other tags are not looked at. The value is multiplied by ten to the
    power of `power_of_ten`: -3 where Wh are sent and the point is declared in kWh.
    """

    measurement: Name
    field: Name
    meter: Name
    point: Name
    tags: dict[str, str] = {}
    power_of_ten: Power = 0


class TelegrafMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mapping file of a source of kind "telegraf".

    A value is expected every `interval_s` seconds. `format` is Telegraf's `data_format`, `time_unit` the unit of its
    times: ns for influx; for json as its `json_timestamp_units` says, which is s where that is not set.
    """

    interval_s: Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400)]
    meter: list[DeclaredMeter]
    series: Annotated[list[Series], msgspec.Meta(min_length=1, max_length=MAX_SERIES)]
    format: Literal["influx", "json"] = "influx"
    time_unit: TimeUnit | None = None


class _Sent(NamedTuple):
    """One metric: its fields as text or, where they are no number, a sentence; the place for sentences about it."""

    where: str
    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, str | NotExact]
    t_ms: int


class TelegrafParser:
    """The parser of one mapping."""

    def __init__(self, mapping: TelegrafMapping) -> None:
        self._influx = mapping.format == "influx"
        self._unit: TimeUnit = mapping.time_unit or ("ns" if self._influx else "s")
        self._series: dict[tuple[str, str], list[Series]] = {}
        for one in mapping.series:
            self._series.setdefault((one.measurement, one.field), []).append(one)

    def parse(self, message: Message, now_ms: int) -> Parsed:  # noqa: ARG002
        """The readings in `message`; its own times count, never that of its arrival."""
        if len(message.payload) > MAX_MESSAGE_BYTES:
            return Parsed([], [f"the message is over the limit of {MAX_MESSAGE_BYTES} bytes; send smaller ones"])
        readings: list[GivenReading] = []
        refused: list[str] = []
        unmapped: dict[str, None] = {}
        for one in self._lines(message.payload) if self._influx else self._metrics(message.payload):
            if isinstance(one, str):
                refused.append(one)
            else:
                self._take(one, readings, refused, unmapped)
            if len(readings) + len(refused) >= MAX_READINGS:
                refused.append(f"the message holds more than {MAX_READINGS} readings; the rest of it is not read")
                break
        return Parsed(readings, refused, tuple(unmapped))

    def _take(self, sent: _Sent, readings: list[GivenReading], refused: list[str], unmapped: dict[str, None]) -> None:
        for field, value in sent.fields.items():
            series = [
                one
                for one in self._series.get((sent.measurement, field), ())
                if all(sent.tags.get(key) == said for key, said in one.tags.items())
            ]
            if not series:
                unmapped[f"series {shown(sent.measurement)} field {shown(field)} is not mapped"] = None
            for one in series:
                try:
                    if isinstance(value, NotExact):
                        raise value
                    text = decimal_text(value, one.power_of_ten)
                    readings.append(GivenReading(one.meter, one.point, sent.t_ms, text))
                except NotExact as error:
                    refused.append(f"{sent.where}, field {shown(field)}: {error}")

    def _lines(self, payload: bytes) -> Iterator[_Sent | str]:
        """Line protocol: every point, or the sentence why there is none."""
        # The reader counts times in nanoseconds whatever the precision was.
        for one in read_lines(payload, self._unit):
            if isinstance(one, LineProblem):
                yield f"line {one.line}: {one.reason}"
            elif one.time_ns is None:
                yield f"line {one.line}: there is no time; let the sender write one"
            elif one.time_ns < 0:
                yield f"line {one.line}: time {one.time_ns} is before 1970"
            else:
                fields = {key: _line_value(value) for key, value in one.fields.items()}
                yield _Sent(f"line {one.line}", one.measurement, one.tags, fields, one.time_ns // 1_000_000)

    def _metrics(self, payload: bytes) -> Iterator[_Sent | str]:
        """JSON: one metric, or an array of them under `metrics`."""
        try:
            whole = strict_json(payload)
        except NotExact as error:
            yield str(error)
            return
        metrics = whole.get("metrics", [whole]) if isinstance(whole, dict) else [whole]
        if not isinstance(metrics, list):
            yield "metrics is no array"
            return
        for number, metric in enumerate(metrics, 1):
            try:
                yield self._metric(f"metric {number}", metric)
            except NotExact as error:
                yield f"metric {number}: {error}"

    def _metric(self, where: str, metric: object) -> _Sent:
        if not isinstance(metric, dict):
            raise NotExact("is no object")
        name, tags, fields, time = (metric.get(key) for key in ("name", "tags", "fields", "timestamp"))
        if type(name) is not str or not isinstance(fields, dict) or not isinstance(tags or {}, dict):
            raise NotExact("needs name as text, and fields and tags as objects")
        if not isinstance(time, NumberText):
            raise NotExact("has no timestamp; let the sender write one")
        told = {key: value for key, value in (tags or {}).items() if type(value) is str}
        values = {key: _json_value(value) for key, value in fields.items()}
        return _Sent(where, name, told, values, epoch_ms(time, self._unit))


def _line_value(value: object) -> str | NotExact:
    if isinstance(value, FloatText):
        return value.text
    if isinstance(value, bool | str):
        return NotExact("is text or a boolean, not a number")
    return str(int(value)) if isinstance(value, int | Unsigned) else NotExact("is not a number")


def _json_value(value: object) -> str | NotExact:
    return value if isinstance(value, NumberText) else NotExact("is not a number")
