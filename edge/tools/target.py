"""A bus written as one word on the command line: `tcp://host`, `rtu:///dev/ttyUSB0?baud=9600`, `rtu-over-tcp://host:port`.

Pure: nothing is opened, no name is looked up.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from edge.settings import BusTable
from hakari import names
from hakari.errors import BadConfiguration

MAX_TARGET_CHARS = 500
BUS_ID = "bus"
EXAMPLES = "tcp://10.0.0.7, rtu:///dev/ttyUSB0?baud=9600&parity=none&stop=1 or rtu-over-tcp://10.0.0.7:4001"
KINDS = ("tcp", "rtu", "rtu-over-tcp")
# What a target says, the key of [[bus]] that it becomes, and whether that is a number.
SERIAL_KEYS = {"baud": ("baud_rate", True), "parity": ("parity", False), "stop": ("stop_bits", True)}

Kind = Literal["tcp", "rtu", "rtu-over-tcp"]


class TargetInvalid(BadConfiguration):
    """A target on the command line does not say one bus."""


def is_target(text: str) -> bool:
    """Whether `text` is meant as a target, not as the path of a settings file."""
    return "://" in text


def parse_target(text: str, timeout_s: float = 1.0) -> BusTable:
    """The bus that `text` names, with the id "bus"; TargetInvalid says what is wrong and what is allowed."""
    if len(text) > MAX_TARGET_CHARS:
        raise TargetInvalid(f"target has {len(text)} characters, limit {MAX_TARGET_CHARS}; write one like {EXAMPLES}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise TargetInvalid(f"target {text!r} cannot be read: {error}; write one such as {EXAMPLES}") from error
    kind = _kind(text, parts.scheme)
    if parts.username is not None or parts.fragment:
        raise TargetInvalid(f"target {text!r} has a user or a #; Modbus knows neither, leave them out")
    found = _serial(text, parts) if kind == "rtu" else _network(text, kind, parts, port)
    return _bus(text, {"id": BUS_ID, "kind": kind, "timeout_s": timeout_s, **found})


def shown_target(bus: BusTable) -> str:
    """`bus` as a target that `parse_target` reads."""
    if bus.kind == "rtu":
        return f"rtu://{bus.device}?baud={bus.baud_rate}&parity={bus.parity}&stop={bus.stop_bits}"
    host = f"[{bus.host}]" if ":" in bus.host else bus.host
    return f"{bus.kind}://{host}:{bus.port}"


def _kind(text: str, scheme: str) -> Kind:
    if scheme in KINDS:
        return cast(Kind, scheme)
    near = difflib.get_close_matches(scheme, KINDS, n=1)
    advice = f"did you mean {near[0]}://?" if near else f"write one such as {EXAMPLES}"
    raise TargetInvalid(f"target {text!r} is of kind {scheme!r}, which is not known; {advice}")


def _network(text: str, kind: str, parts: SplitResult, port: int | None) -> dict[str, object]:
    if parts.path not in ("", "/") or parts.query:
        raise TargetInvalid(
            f"target {text!r} has more than host and port; baud, parity and stop belong to rtu:// alone, and for"
            f" {kind} the serial server is set up with them"
        )
    if not parts.hostname:
        raise TargetInvalid(f"target {text!r} has no host; write one such as {kind}://10.0.0.7:502")
    if kind == "rtu-over-tcp" and port is None:
        raise TargetInvalid(f"target {text!r} has no port; serial servers have no usual one, look it up in its set-up")
    try:
        host = names.check_host(parts.hostname, "target: host")
    except names.BadName as error:
        raise TargetInvalid(str(error)) from error
    return {"host": host, "port": 502 if port is None else port}


def _serial(text: str, parts: SplitResult) -> dict[str, object]:
    if parts.netloc or not parts.path.startswith("/"):
        raise TargetInvalid(f"target {text!r} names no device; write three strokes: rtu:///dev/ttyUSB0")
    found: dict[str, object] = {"device": unquote(parts.path)}
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), max_num_fields=10)
    except ValueError as error:
        raise TargetInvalid(f"target {text!r}: what follows ? is not key=value&key=value; mend it") from error
    for key, value in pairs:
        if key not in SERIAL_KEYS:
            raise TargetInvalid(f"target {text!r}: {key!r} is not a known key; {_advice(key)}")
        name, is_number = SERIAL_KEYS[key]
        if name in found:
            raise TargetInvalid(f"target {text!r}: {key} is given twice; keep one")
        found[name] = _number(text, key, value) if is_number else value
    return found


def _advice(key: str) -> str:
    near = difflib.get_close_matches(key, SERIAL_KEYS, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(SERIAL_KEYS)}"


def _number(text: str, key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise TargetInvalid(f"target {text!r}: {key} = {value!r} is not a whole number; write one such as {key}=9600")
    return int(value)


def _bus(text: str, table: Mapping[str, object]) -> BusTable:
    try:
        return msgspec.convert(table, BusTable)
    except msgspec.ValidationError as error:
        raise TargetInvalid(f"target {text!r}: {_allowed(str(error))}") from error


def _allowed(reason: str) -> str:
    """What the target may say where msgspec refuses a value."""
    for key, (name, _) in SERIAL_KEYS.items():
        if f"$.{name}" in reason:
            values = {"baud": "1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200", "parity": "none, even or odd"}
            return f"{key} is not one of {values.get(key, '1 or 2')}; mend it"
    return f"{reason[:1].lower()}{reason[1:]}; mend it"
