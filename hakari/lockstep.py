"""Client of the lockstep driver: plant time in discrete ticks, shared by the rooms that follow a simulated plant.

JSON lines over TCP: hello {"client","role"}; tick {"tick","t_ms","flush"}; answer {"tick","size","mark"}.
Reconnects for ever; on connecting it gets the present tick again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from hakari.clock import LOCKSTEP, PlantTime
from hakari.names import BadName, check_address

RETRY_S = 0.1
CONNECT_TIMEOUT_S = 5.0
MAX_LINE_BYTES = 4096

_log = logging.getLogger("hakari.lockstep")


Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class ClockTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[clock]`: the machine's clock, or a lockstep driver at `address` (host:port)."""

    source: Literal["system", "lockstep"] = "system"
    address: str = ""

    def problem(self) -> str:
        """What contradicts itself, "" if nothing does."""
        if bool(self.address) != (self.source == "lockstep"):
            return (
                f"[clock].address = {self.address!r} does not go with source {self.source!r};"
                " give the driver's host:port with source lockstep, and only then"
            )
        try:
            if self.address:
                check_address(self.address, "[clock].address")
        except BadName as error:
            return str(error)
        return ""


class Hello(msgspec.Struct, frozen=True):
    """A client's first line: who connects, and whether every tick waits for it ("edge") or not ("watch")."""

    client: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    role: Literal["edge", "watch"]


class Tick(msgspec.Struct, frozen=True):
    """The driver's line: plant time `t_ms` (UTC); `flush` asks an edge to cut its open batch now."""

    tick: int
    t_ms: int
    flush: bool = False


class Answer(msgspec.Struct, frozen=True):
    """A client's line: done with `tick`. An edge adds the leaves it committed and those known as stored."""

    tick: Count
    size: Count = 0
    mark: Count = 0


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of a checked `host:port`."""
    host, _, port = address.rpartition(":")
    return host, int(port)


class LockstepClient:
    """Calls `on_tick` from its own thread for every tick; `answer` may be called from any thread."""

    def __init__(self, host: str, port: int, hello: Hello, on_tick: Callable[[Tick], None]) -> None:
        self._address = (host, port)
        self._hello = hello
        self._on_tick = on_tick
        self._socket: socket.socket | None = None
        self._stopped = threading.Event()
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lockstep", daemon=True)

    def start(self) -> None:
        """Begins to connect."""
        self._thread.start()

    def told(self, wait_s: float) -> bool:
        """Whether there was a first tick, waiting up to `wait_s` for it."""
        return self._told.wait(wait_s)

    def stop(self) -> None:
        """Ends the connection."""
        self._stopped.set()
        if self._socket is not None:
            self._socket.close()

    def answer(self, answer: Answer) -> None:
        """Tells the driver; silently nothing when it is gone, since it asks again on the next connection."""
        connection = self._socket
        if connection is not None:
            try:
                connection.sendall(msgspec.json.encode(answer) + b"\n")
            except OSError:
                return

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except OSError:
                time.sleep(RETRY_S)
            except msgspec.DecodeError as error:
                _log.error("the driver at %s:%d says what is no tick: %s", *self._address, error)
                time.sleep(RETRY_S)

    def _follow(self) -> None:
        with socket.create_connection(self._address, CONNECT_TIMEOUT_S) as connection:
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(msgspec.json.encode(self._hello) + b"\n")
            self._socket = connection
            with connection.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE_BYTES):
                    self._on_tick(msgspec.json.decode(line, type=Tick))
                    self._told.set()
        time.sleep(RETRY_S)


class LockstepClock:
    """Plant time that stands still between ticks; `mono_ms` counts from the first tick of this boot."""

    def __init__(self) -> None:
        self._t_ms = 0
        self._first_ms: int | None = None

    def set(self, tick: Tick) -> None:
        """Time is now that of `tick`."""
        if self._first_ms is None:
            self._first_ms = tick.t_ms
        self._t_ms = tick.t_ms

    def now(self) -> PlantTime:
        """The present tick's instant."""
        return PlantTime(self._t_ms, self._t_ms - (self._first_ms or 0), LOCKSTEP)
