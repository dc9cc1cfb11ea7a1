"""The one way in which a room opens MQTT: 3.1.1, named user, TCP_NODELAY, retrying for ever.

A PUBACK means that a broker took a message, never that anybody stored it; nothing here is storage.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hakari.errors import BadConfiguration
from hakari.logs import guard
from hakari.settings import within
from hakari.tlsreason import TlsRefusal, watched

MAX_PASSWORD_CHARS = 4096
RECONNECT_MIN_S = 1
RECONNECT_MAX_S = 30
# Connections that end so soon, so many one after the other, are ended by somebody; that is over after a calm.
BRIEF_S = 5.0
MANY_BRIEF = 3
CALM_S = 60.0
# A client sends a ping after this share of the keepalive, and waits as long again for the answer.
PING_SHARE = 2 / 3


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[broker]: where it is and who we are. The password is read from a file, never written in a configuration.

    `{user}` in `password_file`, `certificate_file` and `key_file` stands for the user's name, for rooms that have
    several. A dead connection is noticed within 1.5 times `keepalive_s`.
    """

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=300)] = 60


class Link(enum.IntEnum):
    """How a room stands with its broker. The numbers are kept in spools: none is ever given another meaning."""

    UNTRIED = 0
    CONNECTED = 1
    UNREACHABLE = 2
    REFUSED = 3
    UNHEARD = 4
    STOPPED = 5
    ENDED = 6


class Standing:
    """How the connection stands, said in the log once each time that it changes.

    `link` may be read from any thread; `refusal` says what stands in the way, "" while nothing does.
    """

    def __init__(
        self, settings: BrokerSettings, user: str, log: logging.Logger, machine_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker = f"broker {settings.host}:{settings.port}"
        self._user = user
        self._log = log
        self._machine_s = machine_s
        self._let_in_s: float | None = None
        self._brief = 0  # connections one after the other that ended at once
        self.link = Link.UNTRIED
        self.refusal = ""

    def connected(self) -> None:
        """The broker let us in and everything was subscribed to."""
        self._let_in_s = self._machine_s()
        level = logging.INFO if self._brief < MANY_BRIEF else logging.DEBUG
        self._change(Link.CONNECTED, "", f"connected to {self._broker} as {self._user}", level)

    def refused(self, reason: object) -> None:
        """The broker answered and does not let us in."""
        said = f"{self._broker} refuses user {self._user}: {reason}"
        advice = "correct [broker].password_file and start again, or the broker's user; trying on meanwhile"
        self._change(Link.REFUSED, str(reason), f"{said}; {advice}", logging.ERROR)

    def unheard(self, topic: str) -> None:
        """The broker let us in and does not let us subscribe."""
        reason = f"{self._broker} does not let {self._user} subscribe to {topic}"
        self._change(Link.UNHEARD, reason, f"{reason}; correct the broker's access list", logging.ERROR)

    def unreachable(self, tls: str = "") -> None:
        """No connection, or no longer one; that a refused one is closed is no news. `tls` says why TLS was refused."""
        if tls and self.link is not Link.STOPPED:
            self._let_in_s = None
            self._change(Link.REFUSED, tls, f"{self._broker} refuses TLS: {tls}; trying on meanwhile", logging.ERROR)
            return
        if self.link in (Link.REFUSED, Link.UNHEARD, Link.STOPPED):
            return
        if self._let_in_s is not None:
            brief_s = BRIEF_S if self._brief < MANY_BRIEF else CALM_S
            self._brief = self._brief + 1 if self._machine_s() - self._let_in_s < brief_s else 0
            self._let_in_s = None
        if self._brief >= MANY_BRIEF:
            reason = f"{self._broker} lets {self._user} in, and connections are ended at once"
            advice = f"another client may use the id {self._user}: stop it, or give it its own; trying on meanwhile"
            level = logging.WARNING if self._brief == MANY_BRIEF else logging.DEBUG
            self._change(Link.ENDED, reason, f"{reason}; {advice}", level)
        else:
            reason = f"{self._broker} is not reachable"
            self._change(Link.UNREACHABLE, reason, f"{reason}; trying until it is", logging.WARNING)

    def stopped(self) -> None:
        """We end the connection ourselves, which is no news either."""
        self.link = Link.STOPPED

    def _change(self, link: Link, refusal: str, sentence: str, level: int) -> None:
        if (link, refusal) != (self.link, self.refusal):
            self.link, self.refusal = link, refusal
            self._log.log(level, sentence)


class BrokerUnusable(BadConfiguration):
    """The broker's settings name a file that cannot be used."""


def client(settings: BrokerSettings, folder: Path, user: str, *, clean: bool, manual_ack: bool = False) -> paho.Client:
    """A client named `user` (client id = user name), not yet connected; file names are relative to `folder`."""
    made = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=user,
        clean_session=clean,
        protocol=MQTTProtocolVersion.MQTTv311,
        manual_ack=manual_ack,
    )
    if bool(settings.certificate_file) != bool(settings.key_file):
        raise BrokerUnusable("[broker] needs certificate_file and key_file together; give the other one too")
    if settings.certificate_file and not settings.ca_file:
        raise BrokerUnusable(
            "[broker].certificate_file without ca_file would send everything in clear; give the broker's ca_file"
        )
    made.suppress_exceptions = False
    made.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
    made.username_pw_set(user, password(settings, folder))
    if settings.ca_file:
        context = _tls(settings, folder)
        made.tls_set_context(context)
        refusal = watched(context)
        made.user_data_set(refusal)
        made.on_pre_connect = lambda *_: _renewed(context, settings, folder, refusal)
    made.on_socket_open = _no_delay
    return made


def as_user(settings: BrokerSettings, user: str) -> BrokerSettings:
    """The settings of one of several users: the files that name `{user}` are that user's."""
    files = {
        field: getattr(settings, field).replace("{user}", user)
        for field in ("password_file", "certificate_file", "key_file")
    }
    return msgspec.structs.replace(settings, **files)


def prepare(made: paho.Client, settings: BrokerSettings) -> None:
    """Tells the client where its broker is; nothing is sent before it connects."""
    made.connect_async(settings.host, settings.port, max(1, int(settings.keepalive_s * PING_SHARE)))


def start(made: paho.Client, settings: BrokerSettings) -> threading.Thread:
    """Connects in a thread of its own, for as long as it takes, and again after every loss.

    The thread ends only after `disconnect()`; one that ended before that died of a fault of ours, which the
    caller has to notice, since paho goes on to say that it is connected.
    """
    prepare(made, settings)
    thread = threading.Thread(
        target=made.loop_forever, kwargs={"retry_first_connection": True}, name="mqtt", daemon=True
    )
    thread.start()
    return thread


def topic_of(message: paho.MQTTMessage) -> str:
    """A message's topic; bytes that are no UTF-8, which a broker should not pass on, are shown escaped."""
    try:
        return message.topic
    except UnicodeDecodeError as error:
        return error.object.decode(errors="backslashreplace")


def _no_delay(_client: paho.Client, _userdata: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def password(settings: BrokerSettings, folder: Path) -> str | None:
    """The password in the file that the settings name, None where they name none; BrokerUnusable otherwise."""
    if not settings.password_file:
        return None
    path = within(folder, settings.password_file)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_PASSWORD_CHARS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerUnusable(
            f"[broker].password_file {path} cannot be read: {error}; put the password there, one line"
        ) from error
    if not 0 < len(text) <= MAX_PASSWORD_CHARS or "\n" in text:
        raise BrokerUnusable(
            f"[broker].password_file {path} must hold one line of 1 to {MAX_PASSWORD_CHARS} characters"
        )
    return guard(text)


def tls_refusal(made: paho.Client) -> str:
    """Why TLS with the broker failed at the last try of a client that `client` made, "" where nothing was said."""
    told = made.user_data_get()
    return told.said if isinstance(told, TlsRefusal) else ""


def _renewed(context: ssl.SSLContext, settings: BrokerSettings, folder: Path, refusal: TlsRefusal) -> None:
    """Takes a certificate that was renewed meanwhile; one that cannot be used shows when the broker refuses it."""
    refusal.said = ""
    if settings.certificate_file:
        with contextlib.suppress(OSError, ssl.SSLError):
            context.load_cert_chain(within(folder, settings.certificate_file), within(folder, settings.key_file))


def _tls(settings: BrokerSettings, folder: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(within(folder, settings.ca_file)))
        if settings.certificate_file:
            context.load_cert_chain(within(folder, settings.certificate_file), within(folder, settings.key_file))
    except (OSError, ssl.SSLError) as error:
        raise BrokerUnusable(
            f"[broker] certificates cannot be used: {error}; check ca_file, certificate_file, key_file"
        ) from error
    return context
