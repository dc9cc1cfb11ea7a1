"""What `hakari simulate faults` tells: every kind of fault with its parameters, read from the kinds themselves."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import msgspec

from hakari.cli.output import table
from simulate.faults import KINDS, Fault

COMMON = {
    "unit": "the meter by its unit",
    "serial": "or by its serial number",
    "plant": "the plant's name, where several plants have such a meter",
    "from": "ISO 8601 time with offset, plant time; left out: from the beginning",
    "until": "the same, not included; left out: for ever",
}
TOLD = {
    "code": "Modbus exception code, 1 to 255",
    "delay_s": "seconds of machine time, at most 60",
    "quantities": "only these, such as heat_wh,heat_power_w; left out: all",
    "factor": "times the truth",
    "value": "in W, Wh, kg …",
    "counts": "true: counts on from zero",
    "start": "first count in Wh, kg …",
    "new_serial": "letters, digits, hyphens",
    "address": "first address, as on the wire",
    "count": "how many addresses",
}
EXAMPLE = """\
hakari simulate plants boiler.toml --at 2016-07-01T00:00:00Z \\
    --fault "unit=1 kind=silence from=2016-07-01T00:01:00Z until=2016-07-01T00:03:00Z"

the same in a file for --faults, or for `faults = "schedule.toml"` in a scenario:

    [[fault]]
    unit = 1
    kind = "silence"
    from = 2016-07-01T00:01:00Z
    until = 2016-07-01T00:03:00Z"""


class Parameter(NamedTuple):
    """One parameter of a kind; `default` as one would write it, None where there is none."""

    name: str
    default: str | None
    told: str


def parameters(kind: type[Fault]) -> list[Parameter]:
    """The kind's own parameters, without those that every fault has."""
    fields = [field for field in msgspec.structs.fields(kind) if field.encode_name not in COMMON]
    return [Parameter(field.encode_name, _default(field), TOLD[field.encode_name]) for field in fields]


def kinds_as_json() -> dict[str, Any]:
    """Every kind for a program."""
    return {
        "common": COMMON,
        "kinds": [
            {
                "kind": kind.kind(),
                "does": inspect.getdoc(kind),
                "needs_from": kind.needs_start,
                "parameters": [parameter._asdict() for parameter in parameters(kind)],
            }
            for kind in KINDS
        ],
    }


def kinds_text() -> str:
    """Every kind for a person."""
    rows: list[tuple[str, str]] = []
    for kind in KINDS:
        rows.append((kind.kind(), str(inspect.getdoc(kind)) + (" Needs from." if kind.needs_start else "")))
        rows += [("", f"  {_written(parameter)}: {parameter.told}") for parameter in parameters(kind)]
    every = list(COMMON.items())
    return f"{table(('kind', 'the meter …'), rows)}\n\n{table(('every fault', ''), every)}\n\n{EXAMPLE}"


def _written(parameter: Parameter) -> str:
    return parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"


def _default(field: msgspec.structs.FieldInfo) -> str | None:
    default = field.default
    if default is None or default is msgspec.NODEFAULT:
        return None
    return str(default).lower() if isinstance(default, bool) else str(default)
