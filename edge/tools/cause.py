"""Why a meter does not answer, told apart as far as can be seen from here, each with what to do.

`meaning_of` is pure; `line_problem` opens the line once and closes it again, without a byte.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket

from edge.modbus.bus import is_gateway, is_lost, is_mismatch
from edge.settings import BusTable
from edge.tools.target import shown_target

CONNECT_S = 3.0
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_SERIAL = {
    errno.ENOENT: "there is no such device; see `ls /dev/serial/by-id/`, and whether the adapter is plugged in",
    errno.ENXIO: "there is no such device behind that name; see whether the adapter is plugged in",
    errno.ENODEV: "there is no such device behind that name; see whether the adapter is plugged in",
    errno.EACCES: "this user may not open it; add the user to the group that `ls -l` shows for it (often dialout)",
    errno.EPERM: "this user may not open it; add the user to the group that `ls -l` shows for it (often dialout)",
    errno.EBUSY: "another program has it open; stop that one (`fuser` names it)",
}


def line_problem(bus: BusTable, timeout_s: float = CONNECT_S) -> str:
    """Why the line itself cannot be opened, with what to do; "" where it can be."""
    problem = _device_problem(bus.device) if bus.kind == "rtu" else _host_problem(bus.host, bus.port, timeout_s)
    return f"{shown_target(bus)}: {problem}" if problem else ""


def _host_problem(host: str, port: int, timeout_s: float) -> str:
    try:
        with socket.create_connection((host, port), timeout_s):
            return ""
    except TimeoutError:
        return (
            f"nothing answers within {timeout_s:g} s; wrong address, or a firewall drops it: try `ping`, and whether"
            " this machine stands in the same network"
        )
    except socket.gaierror as error:
        return f"the name is not known ({error.strerror}); correct it or give the IP address"
    except OSError as error:
        return _refused(error)


def _refused(error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return (
            "the host refuses the connection: nothing listens at that port, or the meter takes one client and has one;"
            " correct the port, switch Modbus TCP on, or stop the other program"
        )
    if error.errno in _UNREACHABLE:
        return "the host is unreachable from here; correct the address or the route to its network"
    return f"the connection fails ({error.strerror or error}); see the network between here and the meter"


def _device_problem(device: str) -> str:
    try:
        handle = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        known = _SERIAL.get(error.errno or 0)
        return known or f"it cannot be opened ({error.strerror}); see the adapter and its driver"
    try:
        if not os.isatty(handle):
            return "it is no serial line; name the adapter's device"
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _SERIAL[errno.EBUSY]
    finally:
        os.close(handle)
    return ""


def meaning_of(error: str, bus: BusTable, unit: int) -> str:
    """What an exchange's `error` says of the meter at `unit`, and what to do; for a line that does open."""
    if is_gateway(error):
        return (
            f"the gateway answers and says that unit {unit} does not ({error}); see the unit number, the RS-485 wires"
            " (A and B exchanged?), and the speed and parity that gateway and meter are set to"
        )
    if is_mismatch(error):
        return (
            f"something answers, and it is no answer to what was asked ({error}); see whether"
            f" {'another program or master is on the line' if bus.kind == 'rtu' else _other_kind(bus)}"
        )
    if bus.kind == "rtu":
        return (
            f"the line opens and unit {unit} stays silent ({error}); see unit number, speed, parity and stop bits,"
            " the wires A and B, their termination, or wait longer"
        )
    return (
        f"the connection opens and unit {unit} stays silent ({error}); see the unit number,"
        f" whether the meter serves one client only and has one, {_other_kind(bus)}, or wait longer"
    )


def _other_kind(bus: BusTable) -> str:
    other = "rtu-over-tcp" if bus.kind == "tcp" else "tcp"
    return f"whether it speaks {other} (try {other}://{bus.host}:{bus.port})"


def why_silent(error: str, bus: BusTable, unit: int) -> str:
    """One sentence on a unit that gave no word: what is wrong with a lost line, else what the error means."""
    if is_lost(error):
        problem = line_problem(bus)
        if problem:
            return problem
    return f"{shown_target(bus)}: {meaning_of(error, bus, unit)}"
