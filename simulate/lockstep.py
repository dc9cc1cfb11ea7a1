"""The lockstep driver's thinking, without a socket: who was told which tick, who answered, whom it waits for.

A tick goes first to the watchers (processes that only follow the clock), then to the edges. Every expected
edge must answer, also one that is killed and comes back; a watcher that goes away is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

import msgspec

from hakari.errors import DataProblem
from hakari.lockstep import Answer, Hello, Tick

MAX_CLIENTS = 256
FIRST_TICK = 1


class ClientRefused(DataProblem):
    """A client of the driver says something that the protocol does not allow."""


class Send(NamedTuple):
    """What must go to which connection."""

    connection: int
    tick: Tick


class Phase(Enum):
    """Whom the driver is waiting for."""

    IDLE = "no tick yet"
    WATCHERS = "watchers"
    EDGES = "edges"
    FLUSH = "edges that flush"


class Client(msgspec.Struct):
    """One connected client: its name, the last message that it was told and whether it answered that.

    `unsure` when it was told before it answered the message before: its next answer may be to either.
    """

    name: str
    role: str
    told: Tick | None = None
    answered: bool = False
    unsure: bool = False


class Lockstep:
    """The state of one run. Every method returns what must be sent; none blocks or reads a clock."""

    def __init__(self, edges: Iterable[str], watchers: Iterable[str] = ()) -> None:
        """`edges` are the clients of role edge that every tick waits for; others are refused.

        The first tick also waits until every one of `watchers` has connected.
        """
        self.expected = frozenset(edges)
        self.first_watchers = frozenset(watchers)
        self.phase = Phase.IDLE
        self.tick = Tick(0, 0, flush=False)
        self._clients: dict[int, Client] = {}
        self._done: set[str] = set()
        self._behind: dict[str, Answer] = {}

    def hello(self, connection: int, hello: Hello) -> tuple[list[Send], list[int]]:
        """A client is there: what it is told at once, and older connections of the same client to close.

        Errors: ClientRefused for an edge that nobody expects, a second hello, or too many clients.
        """
        if connection in self._clients:
            raise ClientRefused(f"client {hello.client!r} said hello twice on one connection; say it once")
        if hello.role == "edge" and hello.client not in self.expected:
            raise ClientRefused(
                f"edge {hello.client!r} is not expected; expected are {', '.join(sorted(self.expected)) or 'none'}:"
                " add it to `edges` of the scenario"
            )
        old = [at for at, c in self._clients.items() if (c.name, c.role) == (hello.client, hello.role)]
        for at in old:
            del self._clients[at]
        if len(self._clients) >= MAX_CLIENTS:
            raise ClientRefused(f"client {hello.client!r} is one too many; at most {MAX_CLIENTS} are served")
        self._clients[connection] = Client(hello.client, hello.role)
        return self._tell([connection]), old

    def gone(self, connection: int) -> None:
        """A connection was lost. An edge stays expected."""
        self._clients.pop(connection, None)

    def answer(self, connection: int, answer: Answer) -> None:
        """A client is done with a tick. An answer to an older tick than the present one changes nothing.

        Errors: ClientRefused without a hello, or for a tick that the client was not told.
        """
        client = self._clients.get(connection)
        if client is None or client.told is None:
            raise ClientRefused(f"an answer to tick {answer.tick} came before it was told; say hello and wait")
        if answer.tick > client.told.tick:
            raise ClientRefused(f"client {client.name!r} answered tick {answer.tick}, told was {client.told.tick}")
        if answer.tick < self.tick.tick or client.told != self.tick:
            return
        sure, client.unsure, client.answered = not client.unsure, False, True
        if client.role != "edge":
            return
        self._behind[client.name] = answer
        if self.phase is not Phase.FLUSH or (sure and answer.mark == answer.size):
            self._done.add(client.name)

    def begin(self, tick: int, t_ms: int) -> list[Send]:
        """The next tick begins with the watchers that are connected."""
        self.tick = Tick(tick, t_ms, flush=False)
        return self._enter(Phase.WATCHERS)

    def tell_edges(self) -> list[Send]:
        """The watchers are done: the edges' turn."""
        return self._enter(Phase.EDGES)

    def begin_flush(self) -> list[Send]:
        """Asks every edge to cut its open batch; `poll_flush` repeats it until everything is stored."""
        self.tick = Tick(self.tick.tick, self.tick.t_ms, flush=True)
        return self._enter(Phase.FLUSH)

    def poll_flush(self) -> list[Send]:
        """Asks again those edges that answered and have leaves which are not known as stored."""
        again = [at for at, c in self._clients.items() if c.role == "edge" and c.answered and c.name not in self._done]
        return self._tell(again)

    def waiting(self) -> list[str]:
        """Who is waited for: before the first tick and in WATCHERS the watchers, else every expected edge."""
        if self.phase is Phase.WATCHERS:
            return sorted(c.name for c in self._clients.values() if c.role == "watch" and not c.answered)
        if self.phase is Phase.IDLE:
            return sorted(self.first_watchers - {c.name for c in self._clients.values() if c.role == "watch"})
        return sorted(self.expected - self._done)

    def described(self, name: str) -> str:
        """What a person needs to know about one that is waited for."""
        if not any(c.name == name for c in self._clients.values()):
            return f"{name} (not connected)"
        if self.phase is Phase.FLUSH and name in self._behind:
            return f"{name} ({self._behind[name].mark} of {self._behind[name].size} leaves known as stored)"
        return f"{name} (connected)"

    def _enter(self, phase: Phase) -> list[Send]:
        self.phase = phase
        self._done.clear()
        self._behind.clear()
        role = "watch" if phase is Phase.WATCHERS else "edge"
        return self._tell([at for at, client in self._clients.items() if client.role == role])

    def _tell(self, connections: list[int]) -> list[Send]:
        sends = []
        for at in connections:
            client = self._clients[at]
            if self.phase is Phase.IDLE or (client.role == "edge" and self.phase is Phase.WATCHERS):
                continue  # an edge must not sample before the watchers' clocks are set
            client.unsure = client.told is not None and not client.answered
            client.told = self.tick
            client.answered = False
            sends.append(Send(at, self.tick))
        return sends
