"""The one home of every name that crosses a process: edge ids, origins, topics, shards and points."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from hakari.errors import BadConfiguration

MAX_EDGE_ID_CHARS = 64
MAX_NAMESPACE_CHARS = 100
MAX_HOST_CHARS = 253
MAX_PORT = 65535
REMEMBERED = 16_384
MAX_EPOCH = 2**40
INGEST_CLIENT_ID = "ingest-all"
ALL_BATCHES = "hakari/v1/batch/+/+"
IMPORT_EVENT = "import"

_EDGE_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_NAMESPACE = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_LOCAL = re.compile(r"[a-z0-9_]{1,40}")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


class BadName(BadConfiguration):
    """A name breaks the rules that brokers, databases and file systems impose together."""


class Origin(NamedTuple):
    """One log of one edge: its C2SP origin line is `{namespace}/{site}/{edge}/{epoch}`."""

    namespace: str
    edge_id: str
    epoch: int

    def __str__(self) -> str:
        site, edge = self.edge_id.rsplit("-", 1)
        return f"{self.namespace}/{site}/{edge}/{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> Origin:
        """The origin written in `text`; BadName unless writing it again gives the same text."""
        return _origin(text)


@lru_cache(maxsize=REMEMBERED)
def _origin(text: str) -> Origin:
    parts = text.split("/")
    if len(parts) != 4 or not parts[3].isascii() or not parts[3].isdigit():
        raise BadName(f"origin {text!r} is not namespace/site/edge/epoch; use four parts, the last one a number")
    origin = Origin(check_namespace(parts[0]), check_edge_id(f"{parts[1]}-{parts[2]}"), int(parts[3]))
    if origin.epoch > MAX_EPOCH or str(origin) != text:
        raise BadName(f"origin {text!r} is not in its one form {str(origin)!r}")
    return origin


def check_edge_id(edge_id: str) -> str:
    """`edge_id` itself when it is `{site}-{edge}` of [a-z0-9-], at most 64 characters; BadName otherwise."""
    if len(edge_id) > MAX_EDGE_ID_CHARS or not _EDGE_ID.fullmatch(edge_id):
        raise BadName(
            f"edge id {edge_id!r} must be site-edge of a-z, 0-9 and single hyphens,"
            f" at most {MAX_EDGE_ID_CHARS} characters; the part after the last hyphen is the edge"
        )
    return edge_id


def check_namespace(namespace: str) -> str:
    """`namespace` itself when it is a lower-case domain name; BadName otherwise."""
    if len(namespace) > MAX_NAMESPACE_CHARS or not _NAMESPACE.fullmatch(namespace):
        raise BadName(f"namespace {namespace!r} must be a lower-case domain name such as plant.example")
    return namespace


def check_local(name: str, what: str) -> str:
    """`name` itself when it can name a meter, bus or point ([a-z0-9_], at most 40); BadName otherwise."""
    if not _LOCAL.fullmatch(name):
        raise BadName(f"{what} {name!r} must be of a-z, 0-9 and _, at most 40 characters")
    return name


def check_host(host: str, what: str) -> str:
    """`host` itself when it is an IP address or can be a host name; BadName otherwise.

    What is neither would fail inside the resolver, with an error that no client library expects.
    """
    labels = host.removesuffix(".").split(".")
    if len(host) <= MAX_HOST_CHARS and all(_LABEL.fullmatch(label) for label in labels):
        return host
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise BadName(
            f"{what} = {host[:80]!r} is neither a host name nor an IP address; write one such as 10.0.0.7"
        ) from error
    return host


def check_address(address: str, what: str) -> str:
    """`address` itself when it is host:port; BadName otherwise."""
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= MAX_PORT):
        raise BadName(f"{what} = {address[:80]!r} is not host:port with a port of 1 to {MAX_PORT}; mend it")
    check_host(host, what)
    return address


@lru_cache(maxsize=REMEMBERED)
def shard(edge_id: str) -> str:
    """The fixed shard of an edge: first byte of the SHA-256 of its id, two hex digits."""
    return hashlib.sha256(edge_id.encode()).hexdigest()[:2]


def batch_topic(edge_id: str) -> str:
    """Where the edge publishes its leaves."""
    return f"hakari/v1/batch/{shard(edge_id)}/{edge_id}"


def mark_topic(edge_id: str) -> str:
    """Where ingest answers with stored marks."""
    return f"hakari/v1/mark/{edge_id}"


def config_topic(edge_id: str) -> str:
    """Where signed configuration and diagnostics requests for the edge go."""
    return f"hakari/v1/config/{edge_id}"


def batches_of_shard(two_digits: str) -> str:
    """The subscription to the batches of one shard."""
    return f"hakari/v1/batch/{two_digits}/+"


def source_client_id(name: str) -> str:
    """Client id, and user where none is given, of ingest's session for another sender's topics."""
    return f"ingest-source-{name}"


def ingest_client_id(two_digits: str) -> str:
    """Client id and user of the worker that owns one shard: a second one throws the first out at the broker."""
    return f"ingest-{two_digits}"


@lru_cache(maxsize=REMEMBERED)
def edge_id_of_batch_topic(topic: str) -> str | None:
    """The edge id that a batch topic names, or None where the topic is not one in its exact form."""
    edge_id = topic.rsplit("/", 1)[-1]
    try:
        return edge_id if topic == batch_topic(check_edge_id(edge_id)) else None
    except BadName:
        return None


def point_id(edge_id: str, meter: str, point: str) -> str:
    """The name of a metering point in the readings view: `{edge id}/{meter}/{point}`."""
    return f"{edge_id}/{meter}/{point}"
