"""The message on the wire: one version byte, the signed checkpoint, the deflated leaf.

Layout: 0x01 · length of the checkpoint (2 bytes, big endian) · checkpoint · raw deflate of the leaf.
Of a leaf whose body the edge no longer has (I11): 0x02 · length · checkpoint · leaf hash (32 bytes) · the number after
the last leaf that it so lacks (8 bytes, big endian) · the edge's signature over that (`hakari/log/gone.py`).
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.wire.leaf import MAX_CARRIER_BYTES

VERSION = 1
HASH_ONLY = 2
HASH_BYTES = 32
_STOP_BYTES = 8
_SIGNATURE_BYTES = 64
MAX_MESSAGE_BYTES = 96 * 1024
MAX_CHECKPOINT_BYTES = 2048
_HEAD_BYTES = 3


class EnvelopeMalformed(DataProblem):
    """A message is too large or is not an envelope."""


class BodyGone(EnvelopeMalformed):
    """Of a leaf only the hash is kept, by a recorded decision: it gives no reading."""


class Envelope(NamedTuple):
    """A message taken apart: the checkpoint's bytes, the leaf as sent and the leaf's body.

    Without a body (I11) `deflated` and `body` are empty, `leaf_hash` is what was sent in their place and `stop` the
    number after the last leaf whose body the sender lacks; `gone` is its signature over both.
    """

    checkpoint: bytes
    deflated: bytes
    body: bytes
    leaf_hash: bytes = b""
    stop: int = 0
    gone: bytes = b""


def deflate(body: bytes) -> bytes:
    """The leaf as it is sent and stored."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


def inflate(deflated: bytes) -> bytes:
    """The body of a sent or stored leaf, never more than its limit; EnvelopeMalformed otherwise.

    BodyGone where there is none because its leaf is kept by its hash alone.
    """
    if not deflated:
        raise BodyGone("the body of this leaf is gone for good, only its hash is kept; see: hakari log decisions")
    unpacker = zlib.decompressobj(-15)
    try:
        body = unpacker.decompress(deflated, MAX_CARRIER_BYTES + 1)
    except zlib.error as error:
        raise EnvelopeMalformed(f"leaf is not deflated data: {error}") from error
    if len(body) > MAX_CARRIER_BYTES:
        raise EnvelopeMalformed(f"leaf inflates to more than {MAX_CARRIER_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise EnvelopeMalformed("leaf is cut off or has bytes after its end")
    return body


def seal(checkpoint: bytes, deflated: bytes) -> bytes:
    """The message of one leaf."""
    if len(checkpoint) > MAX_CHECKPOINT_BYTES:
        raise EnvelopeMalformed(f"checkpoint has {len(checkpoint)} bytes, limit {MAX_CHECKPOINT_BYTES}")
    message = bytes([VERSION]) + len(checkpoint).to_bytes(2, "big") + checkpoint + deflated
    if len(message) > MAX_MESSAGE_BYTES:
        raise EnvelopeMalformed(f"message has {len(message)} bytes, limit {MAX_MESSAGE_BYTES}")
    return message


def seal_hash(checkpoint: bytes, leaf_hash: bytes, stop: int, gone: bytes) -> bytes:
    """The message of a leaf whose body is lost; `stop` is the number after the last such leaf."""
    if len(checkpoint) > MAX_CHECKPOINT_BYTES or len(leaf_hash) != HASH_BYTES:
        raise EnvelopeMalformed(f"checkpoint of {len(checkpoint)} or hash of {len(leaf_hash)} bytes cannot be sent")
    head = bytes([HASH_ONLY]) + len(checkpoint).to_bytes(2, "big")
    return head + checkpoint + leaf_hash + stop.to_bytes(_STOP_BYTES, "big") + gone


def unseal(message: bytes) -> Envelope:
    """The envelope in `message`; EnvelopeMalformed says what is wrong."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise EnvelopeMalformed(f"message has {len(message)} bytes, limit {MAX_MESSAGE_BYTES}")
    if len(message) < _HEAD_BYTES or message[0] not in (VERSION, HASH_ONLY):
        raise EnvelopeMalformed(f"message does not begin with version {VERSION} or {HASH_ONLY}")
    end = _HEAD_BYTES + int.from_bytes(message[1:3], "big")
    checkpoint = message[_HEAD_BYTES:end]
    if end > len(message) or len(checkpoint) > MAX_CHECKPOINT_BYTES:
        raise EnvelopeMalformed("message is cut off inside its checkpoint, or its checkpoint is too large")
    rest = message[end:]
    if message[0] == HASH_ONLY:
        end = HASH_BYTES + _STOP_BYTES
        if len(rest) != end + _SIGNATURE_BYTES:
            raise EnvelopeMalformed(f"message without a body ends with {len(rest)} bytes, not {end + _SIGNATURE_BYTES}")
        stop = int.from_bytes(rest[HASH_BYTES:end], "big")
        return Envelope(checkpoint, b"", b"", rest[:HASH_BYTES], stop, rest[end:])
    return Envelope(checkpoint, rest, inflate(rest))
