"""How an edge is let in: a one-time code, a request that proves it, a reply that proves it back. Pure.

Both travel as files over any way, also one that somebody reads or alters: only who has the code can make either. The
private keys never leave the device. Text: a header, one line of compact JSON, `mac ` and HMAC-SHA-256 in hex of all
before that line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from hakari.errors import BadConfiguration, DataProblem, Refused
from hakari.names import BadName, check_edge_id

CODE_BYTES = 17  # 136 bits
CHECK_BYTES = 3
GROUP_CHARS = 4
MAX_REQUEST_BYTES = 65_536
MAX_REPLY_BYTES = 8 * 1024 * 1024
REQUEST_HEADER = "hakari enrolment request v1"
REPLY_HEADER = "hakari enrolment reply v1"
RESERVED_SITES = ("ingest",)
_ALIKE = str.maketrans("018", "OIB", " -\t\r\n")

Short = Annotated[str, msgspec.Meta(max_length=200)]
Pem = Annotated[str, msgspec.Meta(max_length=16_384)]


class CodeWrong(BadConfiguration):
    """What was typed is no code."""


class EnrolmentInvalid(DataProblem):
    """A file is no request or reply, was altered, or was made with another code."""


class NotEnrollable(Refused):
    """An edge id that may never be let in."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the edge asks: its id, the public key of its log (base64), a certificate for its TLS key."""

    edge: Short
    log_key: Short
    certificate_request: Pem
    software: Short


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the edge needs to begin; `request` is the SHA-256 of the very request that it answers."""

    edge: Short
    request: Short
    certificate: Pem
    authority: Pem
    roster: str
    namespace: Short
    owner_key: Short
    broker_host: Short
    broker_port: Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Secrets(NamedTuple):
    """What is derived from a code: one key for each direction. The code itself is kept nowhere."""

    request: bytes
    reply: bytes


Message = TypeVar("Message", Request, Reply)


def check_enrollable(edge_id: str) -> str:
    """`edge_id` itself where it may be let in: no wildcard, no `$`, no `/`, no name of ingest's. NotEnrollable else.

    At the broker the name decides what may be heard: an edge called `ingest-3f` would hear a whole shard.
    """
    try:
        check_edge_id(edge_id)
    except BadName as error:
        raise NotEnrollable(str(error)) from error
    if edge_id.partition("-")[0] in RESERVED_SITES:
        raise NotEnrollable(f"edge id {edge_id!r} is like the names of ingest's own users; give the site another name")
    return edge_id


def new_code() -> str:
    """A code that nobody can guess, as groups of A–Z and 2–7; its last characters tell a typing error."""
    drawn = secrets.token_bytes(CODE_BYTES)
    text = base64.b32encode(drawn + _check_of(drawn)).decode()
    return "-".join(text[k : k + GROUP_CHARS] for k in range(0, len(text), GROUP_CHARS))


def secrets_of(code: str, edge_id: str) -> Secrets:
    """The keys that `code` stands for at this edge; case, spaces and hyphens do not matter. Errors: CodeWrong."""
    try:
        content = base64.b32decode(code.upper().translate(_ALIKE))
    except (binascii.Error, ValueError) as error:
        raise CodeWrong("the code has another length or characters than a code has; type it again, whole") from error
    drawn = content[:CODE_BYTES]
    if len(content) != CODE_BYTES + CHECK_BYTES or content[CODE_BYTES:] != _check_of(drawn):
        raise CodeWrong("the code has a typing error; compare it group by group")
    return Secrets(*(_derived(drawn, f"{what} {edge_id}") for what in ("request", "reply")))


def sealed(message: Request | Reply, key: bytes) -> bytes:
    """The file of `message`, proven by `key`."""
    header = REQUEST_HEADER if isinstance(message, Request) else REPLY_HEADER
    text = f"{header}\n{msgspec.json.encode(message).decode()}\n"
    return f"{text}mac {_mac(text, key)}\n".encode()


def opened_request(content: bytes, key: bytes) -> Request:
    """The request in `content`, made with the code of `key`. Errors: EnrolmentInvalid."""
    return _opened(content, key, Request, REQUEST_HEADER)


def opened_reply(content: bytes, key: bytes) -> Reply:
    """The reply in `content`, made with the code of `key`. Errors: EnrolmentInvalid."""
    return _opened(content, key, Reply, REPLY_HEADER)


def claimed_edge(content: bytes) -> str:
    """The edge id that a request names, not yet believed but well formed. Errors: EnrolmentInvalid, NotEnrollable."""
    _text, line, _mac_line = _parts(content, REQUEST_HEADER)
    return check_enrollable(_decoded(line, Request).edge)


def hash_of(content: bytes) -> str:
    """By which a reply names its request."""
    return hashlib.sha256(content).hexdigest()


def _opened(content: bytes, key: bytes, kind: type[Message], header: str) -> Message:
    text, line, mac_line = _parts(content, header)
    if not hmac.compare_digest(mac_line.encode(), f"mac {_mac(text, key)}".encode()):
        raise EnrolmentInvalid(
            f"the {header.split()[2]} was altered, or made with another code or for another edge; make it again"
        )
    return _decoded(line, kind)


def _parts(content: bytes, header: str) -> tuple[str, str, str]:
    """The text that is proven, its JSON, and the line that proves it."""
    what = header.split()[2]
    if len(content) > (MAX_REQUEST_BYTES if header == REQUEST_HEADER else MAX_REPLY_BYTES):
        raise EnrolmentInvalid(f"the file is too large for an enrolment {what}; give the right file")
    lines = content.decode("utf-8", errors="replace").split("\n")
    if len(lines) != 4 or lines[0] != header or lines[3]:
        raise EnrolmentInvalid(f"the file is no {header}; give the right file, whole and unaltered")
    return f"{lines[0]}\n{lines[1]}\n", lines[1], lines[2]


def _decoded(line: str, kind: type[Message]) -> Message:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise EnrolmentInvalid(f"the {kind.__name__.lower()} cannot be read: {error}; make it again") from error


def _check_of(drawn: bytes) -> bytes:
    return hashlib.sha256(b"hakari code check" + drawn).digest()[:CHECK_BYTES]


def _derived(drawn: bytes, what: str) -> bytes:
    return hmac.digest(drawn, f"hakari enrolment v1 {what}".encode(), "sha256")


def _mac(text: str, key: bytes) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()
