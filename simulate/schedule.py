"""Which meter has which faults: read from a schedule file or from the command line, and checked against the plants."""

from __future__ import annotations

import difflib
import shlex
import tomllib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

import msgspec

from hakari import settings
from hakari.errors import BadConfiguration
from simulate.faults import ALWAYS_MS, KINDS, NEVER_MS, AnyFault, Fault
from simulate.plant import ROOM, Meter, Plant, shown

MAX_FAULTS = 1000
TEXT_KEYS = frozenset({"kind", "plant", "serial", "new_serial"})
TIME_KEYS = frozenset({"from", "until"})


class FaultInvalid(BadConfiguration):
    """A fault cannot be understood, or no meter has what it names."""


class ScheduleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule file: a `[[fault]]` each."""

    faults: Annotated[list[AnyFault], msgspec.Meta(min_length=1, max_length=MAX_FAULTS)] = msgspec.field(name="fault")


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule file before its faults are looked at, each for itself, so that a refusal names the one."""

    faults: Annotated[list[dict[str, object]], msgspec.Meta(min_length=1, max_length=MAX_FAULTS)] = msgspec.field(
        name="fault"
    )


class Faults:
    """The faults of a run, each with the meter that has it; `lines` tells them to a person, one each."""

    def __init__(self, faults: Iterable[Fault], plants: Sequence[Plant]) -> None:
        """FaultInvalid where a fault contradicts itself, or its meter or quantity is not there."""
        self._of: dict[tuple[str, int], list[Fault]] = {}
        self.lines: list[str] = []
        for number, fault in enumerate(faults, 1):
            where = f"fault {number} ({fault.kind()})"
            plant, meter = _meter(fault, plants, where)
            if problem := fault.problem() or _quantity_problem(fault, meter) or _span_problem(fault, plant):
                raise FaultInvalid(f"{where}: {problem}")
            self._of.setdefault((plant.name, meter.unit), []).append(fault)
            self.lines.append(f"{plant.name} unit {meter.unit} ({meter.plate.serial}): {fault.kind()} {_span(fault)}")

    def of(self, plant: Plant, meter: Meter) -> Sequence[Fault]:
        """The meter's faults in the order of the schedule."""
        return self._of.get((plant.name, meter.unit), ())

    def check_within(self, start_ms: int, end_ms: int) -> None:
        """FaultInvalid where a fault is over before the run or begins after it: a slip of the pen."""
        for fault in (fault for faults in self._of.values() for fault in faults):
            if fault.end_ms <= start_ms or fault.start_ms > end_ms:
                raise FaultInvalid(
                    f"fault {fault.kind()} lasts {_span(fault)}, but plant time runs from {shown(start_ms)}"
                    f" until {_end(end_ms)}; correct the fault's time or its offset from UTC"
                )


NO_FAULTS = Faults((), ())


def load_schedule(path: Path) -> list[AnyFault]:
    """The faults in the TOML file `path`; BadConfiguration says what cannot be used, in the words of `parse_fault`."""
    for number, table in enumerate(settings.load(path, _Written, ROOM, {}).faults, 1):
        _check_table(f"{path}: fault {number}", table)
    return settings.load(path, ScheduleSettings, ROOM, {}).faults


def _check_table(where: str, table: dict[str, object]) -> None:
    """What no fault can be made of, told by its own kind instead of by all of them at once."""
    kind = _kind_of(where, table)
    times = {key: _moment(where, key, _as_text(value)) for key, value in table.items() if key in TIME_KEYS}
    settings.convert(table | times, kind, where)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | time) else str(value)


def parse_fault(text: str) -> Fault:
    """A fault as words: `unit=1 kind=silence from=2016-07-02T00:00:00Z until=…`; FaultInvalid or SettingsRefused."""
    where = f"--fault {text!r}"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise FaultInvalid(f"{where}: a quote is not closed; close it") from error
    table: dict[str, object] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise FaultInvalid(f"{where}: {word!r} is no key=value; write words such as unit=1 kind=silence")
        if key in table:
            raise FaultInvalid(f"{where}: {key} is given twice; keep one")
        table[key] = _typed(where, key, value)
    return settings.convert(table, _kind_of(where, table), where)


def _kind_of(where: str, table: dict[str, object]) -> type[Fault]:
    known = {one.kind(): one for one in KINDS}
    if "kind" not in table:
        raise FaultInvalid(f"{where}: kind is missing; there are {', '.join(known)}")
    kind = str(table["kind"])
    if kind not in known:
        near = difflib.get_close_matches(kind, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise FaultInvalid(f"{where}: kind {kind!r} is unknown; {hint}")
    return known[kind]


def _typed(where: str, key: str, value: str) -> object:
    """A value as TOML would have it; what is no TOML value is text."""
    if key in TEXT_KEYS:
        return value
    if key in TIME_KEYS:
        return _moment(where, key, value)
    if key == "quantities":
        return value.split(",")
    try:
        return tomllib.loads(f"v = {value}")["v"]
    except ValueError:
        return value


def _moment(where: str, key: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise FaultInvalid(
            f"{where}: {key} {value!r} is no ISO 8601 time; write one such as 2016-07-01T00:00:00Z"
        ) from error
    if moment.tzinfo is None:
        raise FaultInvalid(f"{where}: {key} {value!r} has no zone; add its offset, such as Z or +08:00")
    return moment


def _meter(fault: Fault, plants: Sequence[Plant], where: str) -> tuple[Plant, Meter]:
    """The one meter that the fault names."""
    if fault.unit is None and not fault.serial:
        raise FaultInvalid(f"{where}: no meter is named; give its unit or serial")
    if fault.plant and fault.plant not in {plant.name for plant in plants}:
        known = ", ".join(plant.name for plant in plants)
        raise FaultInvalid(f"{where}: there is no plant {fault.plant!r}; there are {known}")
    among = [(plant, meter) for plant in plants if fault.plant in ("", plant.name) for meter in plant.meters]
    unit, serial = fault.unit, fault.serial
    found = [one for one in among if unit in (None, one[1].unit) and serial in ("", one[1].plate.serial)]
    named = " ".join((f"unit {unit}" if unit is not None else "", f"serial {serial}" if serial else "")).strip()
    if not found:
        known = ", ".join(f"{plant.name} unit {meter.unit} ({meter.plate.serial})" for plant, meter in among)
        raise FaultInvalid(f"{where}: no meter has {named}; there are {known}")
    if len(found) > 1:
        several = ", ".join(plant.name for plant, _ in found)
        raise FaultInvalid(f"{where}: {named} is in the plants {several}; say which by plant")
    return found[0]


def _quantity_problem(fault: Fault, meter: Meter) -> str:
    known = [name for name in meter.quantities if not fault.counters_only or name in meter.model.counters]
    if not known:
        return f"meter {meter.plate.serial} has no counter, which this kind needs; name another meter or kind"
    for name in fault.named():
        if name not in known:
            does = "counts" if fault.counters_only else "measures"
            return f"quantities names {name!r}, which the meter has not; it {does} {', '.join(known)}"
    return ""


def _span_problem(fault: Fault, plant: Plant) -> str:
    """A fault that holds what the meter showed at `from` needs a source that knows that time."""
    span = plant.source.span
    if not fault.needs_start or span.start_ms <= fault.start_ms <= span.end_ms:
        return ""
    return (
        f"from {shown(fault.start_ms)} is outside what plant {plant.name} knows,"
        f" {shown(span.start_ms)} to {shown(span.end_ms)}; correct it"
    )


def _span(fault: Fault) -> str:
    start = "the beginning" if fault.start_ms == ALWAYS_MS else shown(fault.start_ms)
    return f"from {start} until {_end(fault.end_ms)}"


def _end(t_ms: int) -> str:
    return "the end" if t_ms == NEVER_MS else shown(t_ms)
