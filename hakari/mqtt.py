"""The one way in which a room opens MQTT: 3.1.1, named user, TCP_NODELAY, retrying for ever.

A PUBACK means that a broker took a message, never that anybody stored it; nothing here is storage.
"""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Annotated

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hakari.errors import BadConfiguration

MAX_PASSWORD_BYTES = 4096
RECONNECT_MIN_S = 1
RECONNECT_MAX_S = 30


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[broker]: where it is and who we are. The password is read from a file, never written in a configuration."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=300)] = 60


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
    made.suppress_exceptions = False
    made.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
    made.username_pw_set(user, _password(settings, folder))
    if settings.ca_file:
        made.tls_set_context(_tls(settings, folder))
    made.on_socket_open = _no_delay
    return made


def start(made: paho.Client, settings: BrokerSettings) -> threading.Thread:
    """Connects in a thread of its own, for as long as it takes, and again after every loss.

    The thread ends only after `disconnect()`; one that ended before that died of a fault of ours, which the
    caller has to notice, since paho goes on to say that it is connected.
    """
    made.connect_async(settings.host, settings.port, settings.keepalive_s)
    thread = threading.Thread(
        target=made.loop_forever, kwargs={"retry_first_connection": True}, name="mqtt", daemon=True
    )
    thread.start()
    return thread


def _no_delay(_client: paho.Client, _userdata: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _password(settings: BrokerSettings, folder: Path) -> str | None:
    if not settings.password_file:
        return None
    path = folder / settings.password_file
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerUnusable(
            f"[broker].password_file {path} cannot be read: {error}; put the password there, one line"
        ) from error
    if not text.strip() or len(text) > MAX_PASSWORD_BYTES:
        raise BrokerUnusable(f"[broker].password_file {path} must hold one line of at most {MAX_PASSWORD_BYTES} bytes")
    return text.strip()


def _tls(settings: BrokerSettings, folder: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(folder / settings.ca_file))
        if settings.certificate_file:
            context.load_cert_chain(folder / settings.certificate_file, folder / settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise BrokerUnusable(
            f"[broker] certificates cannot be used: {error}; check ca_file, certificate_file, key_file"
        ) from error
    return context
