"""The port through which leaves come: deliveries in, an acknowledgement after they are on disk, marks out.

Today it is MQTT (`ingest.receive.inbox`): one kept session a shard. A consumer group over a log of messages would be
another adapter; nothing that decides about a leaf knows which one it is.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Delivery(NamedTuple):
    """One message as the source delivered it.

    `session`, `generation` and `mid` are the source's own: what it needs to acknowledge exactly this delivery, and to
    leave alone what was delivered over a connection (or to an owner of the shard) that is no more.
    """

    generation: int
    mid: int
    topic: str
    payload: bytes
    session: int = 0


class Outlet(Protocol):
    """Where acknowledgements and marks go. Both only hand over: neither waits for a network."""

    def acknowledge(self, delivery: Delivery) -> None:
        """Says that the message is on disk; without effect where its connection is no more: it comes again."""
        ...

    def publish_mark(self, edge_id: str, mark: bytes) -> None:
        """Sends a mark; a lost one is asked for again."""
        ...


class RequestOutlet(Protocol):
    """Where signed requests go."""

    def publish_request(self, edge_id: str, note: bytes) -> None:
        """Sends a request; a lost one is sent again."""
        ...


class Source(Outlet, RequestOutlet, Protocol):
    """Where messages come from: at least once, in any order, until they are acknowledged."""

    def start(self) -> None:
        """Begins to connect, and goes on for as long as it takes."""
        ...

    def stop(self) -> None:
        """Ends the connections; what was not acknowledged comes again."""
        ...

    def check(self) -> None:
        """Raises when the source has died by a fault of ours, which nothing else would show."""
        ...

    def take(self, wait_s: float) -> list[Delivery]:
        """The messages that are there, as many as make one commit, waiting up to `wait_s` for the first."""
        ...

    def subscribed(self, wait_s: float) -> bool:
        """Whether messages of every shard have once begun to come, waiting up to `wait_s` for it."""
        ...

    @property
    def refusal(self) -> str:
        """What stands between us and the messages, "" while nothing does."""
        ...

    @property
    def connected(self) -> bool:
        """Whether every shard of ours can arrive."""
        ...
