"""A request to an edge: one signed note, the only thing but marks that an edge takes from the broker.

Note text: `hakari request v1`, one line of compact ASCII JSON, line feed; it is read only in the form that is written.
`serial` rises with every request to an edge, so that none is taken twice; times are UTC seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.log.note import NoteInvalid, Signer, VerifierKey, open_note, sign
from hakari.names import MAX_EPOCH, BadName, check_edge_id

HEADER = "hakari request v1"
CONFIGURATION, DIAGNOSTICS = "configuration", "diagnostics"
KINDS = (CONFIGURATION, DIAGNOSTICS)
QUESTIONS = ("status", "link", "bus")
MAX_REQUEST_BYTES = 64 * 1024
MAX_BODY_CHARS = 48_000
MAX_SERIAL = 2**53
MAX_VALID_S = 31 * 86_400


class RequestInvalid(DataProblem):
    """Bytes are not a request in its one form, or no configurer of the roster signed it."""


class Request(NamedTuple):
    """What `edge` is asked: `kind` with its `body` (settings in TOML, or a question), from `made_s` to `expires_s`."""

    edge: str
    serial: int
    kind: str
    made_s: int
    expires_s: int
    body: str

    def text(self) -> str:
        """The note text to sign."""
        return f"{HEADER}\n{json.dumps(self._asdict(), separators=(',', ':'))}\n"

    @property
    def body_sha256(self) -> str:
        """The hash (hex) of the body, by which the answer names it."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def check(request: Request) -> Request:
    """`request` itself when every field is within its limits; RequestInvalid otherwise."""
    try:
        check_edge_id(request.edge)
        request.body.encode()
    except (BadName, UnicodeEncodeError) as error:
        raise RequestInvalid(f"request: {error}") from error
    if request.kind not in KINDS:
        raise RequestInvalid(f"request of kind {request.kind[:80]!r}; known are {', '.join(KINDS)}")
    if not 1 <= request.serial <= MAX_SERIAL:
        raise RequestInvalid(f"request serial {request.serial} is not from 1 to {MAX_SERIAL}")
    if not 0 <= request.made_s < request.expires_s <= min(request.made_s + MAX_VALID_S, MAX_EPOCH):
        raise RequestInvalid(
            f"request is made at {request.made_s} s and expires at {request.expires_s} s;"
            f" it must expire later, and at most {MAX_VALID_S // 86_400} days later"
        )
    if len(request.body) > MAX_BODY_CHARS:
        raise RequestInvalid(f"request body has {len(request.body)} characters, limit {MAX_BODY_CHARS}; shorten it")
    if request.kind == DIAGNOSTICS and request.body not in QUESTIONS:
        raise RequestInvalid(f"question {request.body[:80]!r} is not known; known are {', '.join(QUESTIONS)}")
    return request


def sign_request(request: Request, configurer: Signer) -> bytes:
    """The signed note; RequestInvalid where it would be refused for its form."""
    note = sign(check(request).text(), configurer)
    if len(note) > MAX_REQUEST_BYTES:
        raise RequestInvalid(f"request has {len(note)} bytes, limit {MAX_REQUEST_BYTES}; shorten its body")
    return note


def open_request(note: bytes, configurers: Sequence[VerifierKey]) -> Request:
    """The request in `note`, signed by one of `configurers`; RequestInvalid says what is wrong."""
    if len(note) > MAX_REQUEST_BYTES:
        raise RequestInvalid(f"request has {len(note)} bytes, limit {MAX_REQUEST_BYTES}")
    try:
        text = open_note(note, configurers)
    except NoteInvalid as error:
        raise RequestInvalid(f"request is not signed by a configurer of the roster: {error}") from error
    return parse(text)


def parse(text: str) -> Request:
    """The request that `text` writes; RequestInvalid unless writing it again gives the same text."""
    header, _, rest = text.partition("\n")
    if header != HEADER:
        raise RequestInvalid(f"request begins with {header[:80]!r}, known is {HEADER!r}; update hakari")
    try:
        content = json.loads(rest)
    except (ValueError, RecursionError) as error:
        raise RequestInvalid(f"request is not JSON: {error}") from error
    if not isinstance(content, dict) or tuple(content) != Request._fields:
        raise RequestInvalid(f"request must have the fields {', '.join(Request._fields)}, in this order")
    for name in Request._fields:
        wanted = str if name in ("edge", "kind", "body") else int
        if type(content[name]) is not wanted:
            raise RequestInvalid(f"request field {name} is {str(content[name])[:80]!r}; it must be {wanted.__name__}")
    request = check(Request(**content))
    if request.text() != text:
        raise RequestInvalid("request is not in its one form (repeated field or white space)")
    return request
