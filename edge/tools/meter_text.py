"""`[[bus]]` and `[[meter]]` tables as a person reviews them. Pure."""

from __future__ import annotations

import json

from edge.settings import BusTable

ASK_UNIT = "  # the meter's Modbus address: correct it"
ASK_SERIAL = "  # from the nameplate: fill it in"


def bus_text(bus: BusTable) -> str:
    """The `[[bus]]` table of a bus; a timeout is left to its default."""
    lines = ["[[bus]]", f"id = {text(bus.id)}"]
    if bus.kind != "tcp":
        lines.append(f"kind = {text(bus.kind)}")
    if bus.kind == "rtu":
        lines += [f"device = {text(bus.device)}", f"baud_rate = {bus.baud_rate}", f"parity = {text(bus.parity)}"]
        lines.append(f"stop_bits = {bus.stop_bits}")
    else:
        lines += [f"host = {text(bus.host)}", f"port = {bus.port}"]
    return "\n".join(lines) + "\n"


def meter_text(bus: str, unit: int | None, profile: str, meter: str, serial: str = "") -> str:
    """The `[[meter]]` table that uses a profile; what is not known yet is said beside it."""
    return (
        f"[[meter]]\nid = {text(meter)}\nbus = {text(bus)}\nunit = {1 if unit is None else unit}"
        f"{ASK_UNIT if unit is None else ''}\nprofile = {text(profile)}\n"
        f"serial = {text(serial)}{'' if serial else ASK_SERIAL}\n"
    )


def text(value: str) -> str:
    """A TOML string: JSON's, but for the one character that JSON leaves and TOML escapes."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
