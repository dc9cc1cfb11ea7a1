"""What Mosquitto is given: its configuration with TLS, and who may do what by the name in its certificate. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hakari.errors import BadConfiguration
from hakari.names import INGEST_CLIENT_ID, batches_of_shard, check_local, config_topic, ingest_client_id, mark_topic

MAX_TOPIC_CHARS = 200
SHARDS = 256
HEALTH_USER = "health"

ACL = """\
# An edge (user name = client id = edge id) writes its own batches and reads its own marks and configuration.
pattern write hakari/v1/batch/+/%u
pattern read hakari/v1/mark/%u
pattern read hakari/v1/config/%u

user ingest-all
topic read hakari/v1/batch/#
topic write hakari/v1/mark/+
topic write hakari/v1/config/+

# The broker's own health check.
user health
topic read $SYS/broker/uptime
"""

CONFIGURATION = """\
# Mosquitto for hakari over TLS: transport only. What it loses, the edges send again.
# Start it in this folder: mosquitto -c mosquitto.conf. SIGHUP lets it read acl, certificates and crl.pem again; who is
# connected stays so until a restart.
per_listener_settings true
listener {port}
cafile ca.pem
crlfile crl.pem
certfile server.pem
keyfile server.key
tls_version tlsv1.2
# The name in the certificate is user name and client id, whatever the client says: nobody can pass for another.
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file acl
persistence false
set_tcp_nodelay true
# The default of 1,000 drops acknowledged messages without a word.
max_queued_messages 0
max_queued_bytes 268435456
max_packet_size 131072
"""
_TOPIC = re.compile(r"[A-Za-z0-9_.$#+/-]+")


class SenderInvalid(BadConfiguration):
    """A sender's right cannot be written into the access list."""


class Sender(NamedTuple):
    """Somebody else who sends: the name in its certificate and the topics that it may write."""

    name: str
    topic: str


def configuration(port: int) -> str:
    """`mosquitto.conf` for a TLS listener at `port`."""
    return CONFIGURATION.format(port=port)


def access_list(senders: Sequence[Sender] = ()) -> str:
    """`acl`: edges, ingest as one or as a worker a shard, the health check, and other senders.

    Ingest reads what other senders write. Errors: SenderInvalid.
    """
    for sender in senders:
        _check(sender)
    workers = "\n".join(_worker(f"{number:02x}") for number in range(SHARDS))
    others = "".join(f"\nuser {one.name}\ntopic write {one.topic}\n" for one in senders)
    heard = "".join(f"topic read {topic}\n" for topic in sorted({one.topic for one in senders}))
    edges = ACL.replace("topic write hakari/v1/config/+\n", f"topic write hakari/v1/config/+\n{heard}")
    return f"{edges}\n# Ingest as one worker a shard.\n{workers}{others}"


def check_sender_name(name: str) -> None:
    """Returns when another sender may have this name at the broker; SenderInvalid for one of ours."""
    check_local(name.replace("-", "_"), "sender's name")
    if name.startswith("ingest") or name == HEALTH_USER:
        raise SenderInvalid(f"sender {name!r} is a name of ours; give it another")


def _worker(shard: str) -> str:
    return (
        f"user {ingest_client_id(shard)}\ntopic read {batches_of_shard(shard)}\n"
        f"topic write {mark_topic('+')}\ntopic write {config_topic('+')}\n"
    )


def _check(sender: Sender) -> None:
    check_sender_name(sender.name)
    topic = sender.topic
    levels = topic.split("/")
    wild = [k for k, level in enumerate(levels) if "#" in level or "+" in level]
    whole = all(levels[k] == "+" or (levels[k] == "#" and k == len(levels) - 1) for k in wild)
    if len(topic) > MAX_TOPIC_CHARS or not _TOPIC.fullmatch(topic) or not whole:
        raise SenderInvalid(f"topic {topic[:80]!r} of sender {sender.name} is no MQTT topic filter; correct it")
    if levels[0] in ("hakari", "+", "#") or topic.startswith("$"):
        raise SenderInvalid(f"topic {topic[:80]!r} of sender {sender.name} would take in ours or the broker's own")


INGEST_USERS = (INGEST_CLIENT_ID, *(ingest_client_id(f"{number:02x}") for number in range(SHARDS)))
