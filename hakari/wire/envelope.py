"""The message on the wire: one version byte, the signed checkpoint, the deflated leaf.

Layout: 0x01 · length of the checkpoint (2 bytes, big endian) · checkpoint · raw deflate of the leaf.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from hakari.errors import DataProblem
from hakari.wire.leaf import MAX_CARRIER_BYTES

VERSION = 1
MAX_MESSAGE_BYTES = 96 * 1024
MAX_CHECKPOINT_BYTES = 2048
_HEAD_BYTES = 3


class EnvelopeMalformed(DataProblem):
    """A message is too large or is not an envelope."""


class Envelope(NamedTuple):
    """A message taken apart: the checkpoint's bytes, the leaf as sent and the leaf's body."""

    checkpoint: bytes
    deflated: bytes
    body: bytes


def deflate(body: bytes) -> bytes:
    """The leaf as it is sent and stored."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


def inflate(deflated: bytes) -> bytes:
    """The body of a sent or stored leaf, never more than its limit; EnvelopeMalformed otherwise."""
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


def unseal(message: bytes) -> Envelope:
    """The envelope in `message`; EnvelopeMalformed says what is wrong."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise EnvelopeMalformed(f"message has {len(message)} bytes, limit {MAX_MESSAGE_BYTES}")
    if len(message) < _HEAD_BYTES or message[0] != VERSION:
        raise EnvelopeMalformed(f"message does not begin with version {VERSION}")
    end = _HEAD_BYTES + int.from_bytes(message[1:3], "big")
    checkpoint = message[_HEAD_BYTES:end]
    if end > len(message) or len(checkpoint) > MAX_CHECKPOINT_BYTES:
        raise EnvelopeMalformed("message is cut off inside its checkpoint, or its checkpoint is too large")
    deflated = message[end:]
    return Envelope(checkpoint, deflated, inflate(deflated))
