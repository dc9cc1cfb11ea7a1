"""C2SP checkpoints (c2sp.org/tlog-checkpoint v1.0.0): origin, tree size and root, signed by the edge.

Guaranteed: exactly three lines and exactly one signature line, whose key name is the origin; no extension
line. What can be read can be written again to the same bytes.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.errors import DataProblem
from hakari.log.note import (
    CACHED_KEYS,
    ED25519,
    NoteInvalid,
    Parts,
    SigningKey,
    VerifierKey,
    decode64,
    key_of,
    sign,
    take_apart,
    verifies,
)
from hakari.log.tree import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from hakari.names import BadName, Origin

MAX_CHECKPOINT_BYTES = 2048

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class CheckpointInvalid(DataProblem):
    """Bytes are not a checkpoint in its one form, or not signed by the key that holds."""


class Checkpoint(NamedTuple):
    """The tree of `size` leaves of `origin` has this RFC 6962 root."""

    origin: Origin
    size: int
    root: bytes

    def text(self) -> str:
        """The note text to sign."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint that `text` writes; CheckpointInvalid names the line that is wrong."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] != "":
            raise CheckpointInvalid("checkpoint has not exactly three lines: origin, size, root")
        if not _SIZE.fullmatch(lines[1]) or int(lines[1]) > MAX_SIZE:
            raise CheckpointInvalid(f"checkpoint size {lines[1][:80]!r} is not a number from 0 to {MAX_SIZE}")
        try:
            checkpoint = cls(Origin.parse(lines[0]), int(lines[1]), decode64(lines[2], "checkpoint root"))
        except (BadName, NoteInvalid) as error:
            raise CheckpointInvalid(str(error)) from error
        return check(checkpoint)


def check(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` itself when its size and root can be a tree's; CheckpointInvalid otherwise."""
    if not 0 <= checkpoint.size <= MAX_SIZE or len(checkpoint.root) != HASH_BYTES:
        raise CheckpointInvalid(
            f"checkpoint of size {checkpoint.size} with a root of {len(checkpoint.root)} bytes;"
            f" sizes go from 0 to {MAX_SIZE}, roots have {HASH_BYTES} bytes"
        )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise CheckpointInvalid("checkpoint of size 0 does not have the empty tree's root")
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, private: Ed25519PrivateKey) -> bytes:
    """The signed note of `checkpoint`; the key's name is the origin."""
    return sign(check(checkpoint).text(), SigningKey(str(checkpoint.origin), private))


def open_checkpoint(note: bytes, public: bytes) -> Checkpoint:
    """The checkpoint in `note`, signed by the raw `public` key under the name of its origin."""
    return stated(note).verified(public)


def one_signature(note: bytes) -> Parts:
    """The text and the only signature line of a checkpoint or mark, not verified; CheckpointInvalid otherwise."""
    try:
        parts = take_apart(note, MAX_CHECKPOINT_BYTES)
    except NoteInvalid as error:
        raise CheckpointInvalid(str(error)) from error
    if len(parts.signatures) != 1:
        raise CheckpointInvalid(f"checkpoint has {len(parts.signatures)} signature lines, exactly one is allowed")
    return parts


class Stated(NamedTuple):
    """A checkpoint that somebody states, nothing verified yet: `checkpoint` is to find the key by."""

    checkpoint: Checkpoint
    parts: Parts

    def verified(self, public: bytes) -> Checkpoint:
        """The checkpoint, signed by the raw `public` key under the name of its origin; CheckpointInvalid otherwise."""
        (signature,) = self.parts.signatures
        try:
            key = _key(self.checkpoint.origin, public)
        except NoteInvalid as error:
            raise CheckpointInvalid(str(error)) from error
        if key_of(signature, [key]) is None or not verifies(public, signature.blob, self.parts.text.encode()):
            raise CheckpointInvalid(
                f"checkpoint {self.checkpoint.size} of {self.checkpoint.origin} is not signed by its edge's key"
            )
        return self.checkpoint


def stated(note: bytes) -> Stated:
    """What `note` states and who is to have signed it; CheckpointInvalid where it has not the one form."""
    parts = one_signature(note)
    return Stated(Checkpoint.parse(parts.text), parts)


def claimed(note: bytes) -> Checkpoint:
    """The checkpoint that `note` claims, nothing verified: to find the key, or from where it was verified before."""
    return stated(note).checkpoint


@lru_cache(maxsize=CACHED_KEYS)
def _key(origin: Origin, public: bytes) -> VerifierKey:
    return VerifierKey(str(origin), ED25519, public)
