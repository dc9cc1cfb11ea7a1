"""An MQTT 3.1.1 broker for the demo and the tests: amqtt with named users, their topics and a message limit.

It keeps everything in memory and loses it when it is killed: the end-to-end marks repair that. A session is
kept only for a named user; unacknowledged messages are not sent again by it. Production
uses Mosquitto or another broker.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BaseContext
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from hakari.errors import NotReachable
from simulate import acl, users

MAX_PACKET_BYTES = 256 * 1024
MAX_CONNECTIONS = 200
ACTIONS: dict[Action, acl.Action] = {
    Action.PUBLISH: "publish",
    Action.SUBSCRIBE: "subscribe",
    Action.RECEIVE: "receive",
}
_LOG = logging.getLogger(__name__)


class PortTaken(NotReachable):
    """The broker's address cannot be listened on."""


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A broker's file. `users_file` is relative to it and made by `hakari simulate users`."""

    users_file: str
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1883


@dataclass
class UsersConfig:
    """What amqtt hands to the user check."""

    users_file: str


class NamedUsers(BaseAuthPlugin):
    """Lets a client in whose password is right, whose client id is its user name, and that leaves no will."""

    Config = UsersConfig  # type: ignore[assignment]  # amqtt finds a plugin's own class by this name

    def __init__(self, context: BaseContext) -> None:
        """Reads the users file once."""
        super().__init__(context)
        config = cast(UsersConfig, context.config)
        self._users = users.load(Path(config.users_file))

    async def authenticate(self, *, session: Session) -> bool | None:
        """A will is refused because the broker would publish it past the topic check."""
        right = users.matches(self._users, session.username, session.password)
        if right and session.client_id == session.username and not session.will_flag:
            return True
        _LOG.warning("refused client %r as user %r", session.client_id, session.username)
        return False


class OwnTopics(BaseTopicPlugin):
    """Lets a user publish, subscribe and receive what `simulate.acl` allows."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """False for everything that is not known and allowed."""
        if session is None or session.username is None or topic is None or action is None:
            return False
        if acl.allowed(session.username, ACTIONS[action], topic):
            return True
        _LOG.warning("denied %r to %s %r", session.username, action.value, topic)
        return False


class BoundedReader(StreamReaderAdapter):
    """Ends the connection at a packet larger than MAX_PACKET_BYTES, before a byte of it is kept."""

    _ended = False

    async def read(self, n: int = -1) -> bytes:
        """As asyncio's readexactly; after too large a packet every read finds the end of the stream."""
        if self._ended or n > MAX_PACKET_BYTES:
            if not self._ended:
                _LOG.warning("closed a connection: a packet of %d bytes is over the limit of %d", n, MAX_PACKET_BYTES)
            self._ended = True
            raise asyncio.IncompleteReadError(b"", n)
        return await super().read(n)


class BoundedBroker(Broker):
    """amqtt's broker reading through BoundedReader. asyncio sets TCP_NODELAY on every socket by itself."""

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """See `Broker.stream_connected`."""
        await self._client_connected(listener_name, BoundedReader(reader), StreamWriterAdapter(writer))


def configuration(settings_: BrokerSettings, users_file: Path) -> dict[str, Any]:
    """What amqtt is given: no anonymous client, no $SYS topics, sessions kept for named users."""
    here = f"{__name__}."
    return {
        "listeners": {
            "default": {
                "type": "tcp",
                "bind": f"{settings_.host}:{settings_.port}",
                "max_connections": MAX_CONNECTIONS,
            }
        },
        "plugins": {
            here + NamedUsers.__name__: {"users_file": str(users_file)},
            here + OwnTopics.__name__: {},
        },
    }


async def serve(settings_: BrokerSettings, users_file: Path, stopped: asyncio.Event) -> None:
    """Runs the broker until `stopped` is set. PortTaken, or UsersInvalid for the users file."""
    users.load(users_file)
    broker = BoundedBroker(configuration(settings_, users_file))
    try:
        await broker.start()
    except BrokerError as error:
        raise PortTaken(
            f"the broker cannot listen on {settings_.host}:{settings_.port}; free the port or set `port`"
        ) from error
    await stopped.wait()
    await broker.shutdown()
