"""Plain JSON under a declared mapping: which path holds a value, which its time, and whose meter it is. Pure.

A path is keys joined by dots (`data.energy_kwh`); a number in it counts into an array from 0; one that begins with a
slash (`/sent_at`) starts at the message instead of the object.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ingest.sources.declared import DeclaredMeter
from ingest.sources.exact import (
    MAX_POWER,
    NotExact,
    NumberText,
    decimal_text,
    epoch_ms,
    iso_ms,
    number_of,
    shown,
    strict_json,
)
from ingest.sources.port import MAX_MESSAGE_BYTES, MAX_READINGS, GivenReading, Message, Parsed

MAX_VALUES = 10_000
MAX_STEPS = 16

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Path = Annotated[str, msgspec.Meta(max_length=1000)]
Power = Annotated[int, msgspec.Meta(ge=-MAX_POWER, le=MAX_POWER)]


class JsonValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[value]]`: what stands at `path` in an object is a point of a meter.

    `name` is what the object must say at the mapping's `name` path, `topic` the topic on which the message must come;
    left out, either is not looked at. The value is multiplied by ten to the power of `power_of_ten`.
    """

    path: Name
    meter: Name
    point: Name
    name: str = ""
    topic: str = ""
    power_of_ten: Power = 0


class JsonMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mapping file of a source of kind "json".

    A value is expected every `interval_s` seconds. `items` is the path to an array of objects, "" for a message that is
    one object or an array of them. `time` is the path to the time of an object's values; `time_form` is "iso", with an
    offset, or the unit of a count since 1970. `name` is the path to what the sender calls the meter, where it says so.
    """

    interval_s: Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400)]
    meter: list[DeclaredMeter]
    value: Annotated[list[JsonValue], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]
    time: Name
    time_form: Literal["iso", "s", "ms", "us", "ns"]
    items: Path = ""
    name: Path = ""


_ABSENT = object()


class PlainParser:
    """The parser of one mapping."""

    def __init__(self, mapping: JsonMapping) -> None:
        self._mapping = mapping

    def parse(self, message: Message, now_ms: int) -> Parsed:  # noqa: ARG002
        """The readings in `message`; its own times count, never that of its arrival."""
        if len(message.payload) > MAX_MESSAGE_BYTES:
            return Parsed([], [f"the message is over the limit of {MAX_MESSAGE_BYTES} bytes; send smaller ones"])
        values = [one for one in self._mapping.value if one.topic in ("", message.name)]
        if not values:
            return Parsed([], [], (f"topic {shown(message.name)} is not mapped",))
        try:
            whole = strict_json(message.payload)
        except NotExact as error:
            return Parsed([], [str(error)])
        found = _at(whole, self._mapping.items, whole) if self._mapping.items else whole
        items = found if isinstance(found, list) else [found]
        parsed = Parsed([], [])
        unmapped: dict[str, None] = {}
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict):
                parsed.refused.append(f"item {number} is no object")
            else:
                self._item(f"item {number}", item, whole, values, parsed, unmapped)
            if len(parsed.readings) + len(parsed.refused) >= MAX_READINGS:
                parsed.refused.append(f"the message holds more than {MAX_READINGS} readings; the rest is not read")
                break
        return parsed._replace(unmapped=tuple(unmapped))

    def _item(
        self,
        where: str,
        item: dict[str, object],
        whole: object,
        values: list[JsonValue],
        parsed: Parsed,
        unmapped: dict[str, None],
    ) -> None:
        said = _at(item, self._mapping.name, whole) if self._mapping.name else ""
        mine = [one for one in values if one.name in ("", said)]
        if not mine:
            unmapped[f"meter {shown(str(said)) if said is not _ABSENT else 'without a name'} is not mapped"] = None
            return
        sent = [(one, _at(item, one.path, whole)) for one in mine]
        for one, value in sent:
            if value is _ABSENT or value is None:
                unmapped[f"{shown(one.path)} of meter {one.meter} is absent or null"] = None
        given = [(one, value) for one, value in sent if value is not _ABSENT and value is not None]
        if not given:
            return
        try:
            t_ms = self._time(_at(item, self._mapping.time, whole))
        except NotExact as error:
            parsed.refused.append(f"{where}: {error}")
            return
        for one, value in given:
            try:
                text = decimal_text(number_of(value), one.power_of_ten)
            except NotExact as error:
                parsed.refused.append(f"{where}, {shown(one.path)}: {error}")
            else:
                parsed.readings.append(GivenReading(one.meter, one.point, t_ms, text))

    def _time(self, value: object) -> int:
        form = self._mapping.time_form
        if value is _ABSENT:
            raise NotExact(f"there is no time at {shown(self._mapping.time)}")
        if not isinstance(value, str) or (form == "iso") == isinstance(value, NumberText):
            raise NotExact(f"the time at {shown(self._mapping.time)} is not of the form {form}")
        return iso_ms(value) if form == "iso" else epoch_ms(value, form)


def _at(item: object, path: str, whole: object) -> object:
    """What stands at `path`, _ABSENT where nothing does."""
    found = whole if path.startswith("/") else item
    for step in path.removeprefix("/").split(".")[:MAX_STEPS]:
        if isinstance(found, dict):
            found = found.get(step, _ABSENT)
        elif isinstance(found, list) and step.isascii() and step.isdigit() and len(step) < 7 and int(step) < len(found):
            found = found[int(step)]
        else:
            return _ABSENT
    return found
