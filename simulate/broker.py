"""An MQTT 3.1.1 broker for the demo and the tests: amqtt with named users, their topics and a message limit.

It keeps everything in memory and loses it when it is killed: the end-to-end marks repair that. A session is
kept only for a named user; unacknowledged messages are not sent again by it. Production
uses Mosquitto or another broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BaseContext
from amqtt.errors import AMQTTError, BrokerError, CodecError, MQTTError, NoDataError
from amqtt.mqtt.connack import CONNECTION_ACCEPTED, NOT_AUTHORIZED, UNACCEPTABLE_PROTOCOL_VERSION, ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.packet import CONNECT, MQTTFixedHeader
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from hakari.errors import NotReachable
from simulate import acl, users

MAX_PACKET_BYTES = 256 * 1024
MAX_CONNECTIONS = 200
CONNECT_LIMIT_S = 10.0
MQTT_311 = 4
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


def may_enter(known: Mapping[str, str], client: Session | ConnectPacket) -> bool:
    """Whether user name and password are right, the client id is the user name, and there is no will.

    A will is refused because amqtt would publish it past the topic check.
    """
    right = users.matches(known, client.username, client.password)
    return right and client.client_id == client.username and not client.will_flag


class NamedUsers(BaseAuthPlugin):
    """Lets in whom `may_enter` does."""

    Config = UsersConfig  # type: ignore[assignment]  # amqtt finds a plugin's own class by this name

    def __init__(self, context: BaseContext) -> None:
        """Reads the users file once."""
        super().__init__(context)
        config = cast(UsersConfig, context.config)
        self._users = users.load(Path(config.users_file))

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the client may enter; `BoundedBroker` asks the same before amqtt touches a session."""
        return may_enter(self._users, session)


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
    """Ends the connection at a packet larger than MAX_PACKET_BYTES, before a byte of it is kept.

    What was read before `rewind` is read again after it.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        """Remembers what is read until `rewind`."""
        super().__init__(reader)
        self._ended = False
        self._seen: bytearray | None = bytearray()
        self._again = b""

    def rewind(self) -> None:
        """Begins again at the first byte, once."""
        self._again, self._seen = bytes(self._seen or b""), None

    async def read(self, n: int = -1) -> bytes:
        """As asyncio's readexactly; after too large a packet every read finds the end of the stream."""
        if self._ended or n > MAX_PACKET_BYTES:
            if not self._ended:
                _LOG.warning("closed a connection: a packet of %d bytes is over the limit of %d", n, MAX_PACKET_BYTES)
            self._ended = True
            raise asyncio.IncompleteReadError(b"", n)
        content, self._again = self._again[:n], self._again[n:]
        if len(content) < n:
            content += await super().read(n - len(content))
        if self._seen is not None:
            self._seen += content
        return content


class BoundedBroker(Broker):
    """amqtt's broker behind a door: it sees bounded packets of clients that may enter, and no others.

    amqtt itself ends a session of the same client id before it looks at the password. asyncio sets
    TCP_NODELAY on every socket by itself.
    """

    def __init__(self, config: dict[str, Any], known: Mapping[str, str]) -> None:
        """`known` are the users' password hashes."""
        super().__init__(config)
        self._known = known
        self._live: dict[str, tuple[asyncio.StreamWriter, asyncio.Event]] = {}

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """See `Broker.stream_connected`."""
        incoming, outgoing = BoundedReader(reader), StreamWriterAdapter(writer)
        client_id = ""
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                code, client_id = await _answer_to_connect(incoming, self._known)
                if code != CONNECTION_ACCEPTED:
                    await ConnackPacket.build(0, code).to_stream(outgoing)
        except (AMQTTError, MQTTError, NoDataError, CodecError, ValueError, OSError):
            code = NOT_AUTHORIZED  # not MQTT, gone, or silent for too long
        if code != CONNECTION_ACCEPTED:
            writer.close()
            return
        incoming.rewind()
        await self._end_older(client_id)
        ended = asyncio.Event()
        self._live[client_id] = (writer, ended)
        try:
            await self._client_connected(listener_name, incoming, outgoing)
        finally:
            ended.set()
            if self._live.get(client_id) == (writer, ended):
                del self._live[client_id]

    async def _end_older(self, client_id: str) -> None:
        """Ends the connection of the same client and waits until amqtt is done with it.

        amqtt keeps one session object a client: the end of the older connection, handled after the newer one
        came, would mark the newer one as gone, and it would hear nothing any more.
        """
        while client_id in self._live:
            writer, ended = self._live[client_id]
            _LOG.warning("client %r connected again; its older connection is ended", client_id)
            writer.close()
            await ended.wait()


async def _answer_to_connect(incoming: BoundedReader, known: Mapping[str, str]) -> tuple[int, str]:
    """CONNACK code and client id for the first packet; amqtt's errors, or ValueError, where it is no CONNECT."""
    fixed = await MQTTFixedHeader.from_stream(incoming)
    if fixed is None or fixed.packet_type != CONNECT or fixed.remaining_length > MAX_PACKET_BYTES:
        raise MQTTError("the first packet is no CONNECT")
    header = await ConnectVariableHeader.from_stream(incoming, fixed)
    if header.proto_level != MQTT_311:
        _LOG.warning("refused protocol level %d; only MQTT 3.1.1 is spoken", header.proto_level)
        return UNACCEPTABLE_PROTOCOL_VERSION, ""
    connect = ConnectPacket(fixed, header, await ConnectPayload.from_stream(incoming, fixed, header))
    if may_enter(known, connect):
        return CONNECTION_ACCEPTED, connect.client_id or ""
    _LOG.warning("refused client %r as user %r", connect.client_id, connect.username)
    return NOT_AUTHORIZED, ""


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
    broker = BoundedBroker(configuration(settings_, users_file), users.load(users_file))
    try:
        await broker.start()
    except BrokerError as error:
        raise PortTaken(
            f"the broker cannot listen on {settings_.host}:{settings_.port}; free the port or set `port`"
        ) from error
    await stopped.wait()
    await broker.shutdown()
