"""The stored mark: a checkpoint's text with ingest's C2SP cosignature/v1 (c2sp.org/tlog-cosignature v1.0.0).

Guaranteed: a mark says that its signer had, at `time_s` (UTC seconds), all leaves up to the checkpoint on
disk; every byte of it is bound by the signature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hakari.errors import DataProblem
from hakari.log.checkpoint import Checkpoint, CheckpointInvalid, check, one_signature
from hakari.log.note import (
    COSIGNATURE,
    SIGNATURE_BYTES,
    NoteInvalid,
    VerifierKey,
    compose,
    key_of,
    take_apart,
    verifies,
)
from hakari.names import MAX_EPOCH

MAX_TIME_S = MAX_EPOCH
TIME_BYTES = 8
_ENDING = re.compile(r"(?<=\n)frozen\n(?:fork ([1-9][0-9]{0,15})\n)?\Z")


class MarkInvalid(DataProblem):
    """Bytes are not a mark in its one form, or not signed by a cosigner that the roster names."""


class Mark(NamedTuple):
    """What `signer` (a key name) has stored at `time_s`, UTC seconds.

    A `frozen` origin never grows again; `fork` is the smallest size for which its cosigner has just seen a second
    signed root, 0 where it tells none.
    """

    checkpoint: Checkpoint
    time_s: int
    signer: str
    frozen: bool = False
    fork: int = 0


@dataclass(frozen=True)
class Cosigner:
    """Ingest's private key with the name under which it cosigns marks and notes of backups; used for nothing else."""

    name: str
    private: Ed25519PrivateKey

    @cached_property
    def verifier(self) -> VerifierKey:
        """The key that verifies this cosigner's marks."""
        return VerifierKey(self.name, COSIGNATURE, self.private.public_key().public_bytes_raw())


def _message(time_s: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def cosigned_at(text: str, blob: bytes, key: VerifierKey) -> int | None:
    """The time (UTC seconds) at which `key` cosigned the checkpoint `text`, None when `blob` is not that."""
    time_s = int.from_bytes(blob[:TIME_BYTES], "big")
    if key.algorithm != COSIGNATURE or len(blob) != TIME_BYTES + SIGNATURE_BYTES or time_s > MAX_TIME_S:
        return None
    return time_s if verifies(key.public, blob[TIME_BYTES:], _message(time_s, text)) else None


def cosign(checkpoint: Checkpoint, cosigner: Cosigner, time_s: int, *, frozen: bool = False, fork: int = 0) -> bytes:
    """The mark of `checkpoint` at `time_s` (UTC seconds); `frozen` and `fork` are said in C2SP extension lines."""
    if not 0 <= time_s <= MAX_TIME_S:
        raise MarkInvalid(f"mark time {time_s} s is not from 0 to {MAX_TIME_S}; check the clock")
    ending = ("frozen\n" + (f"fork {fork}\n" if fork else "")) if frozen else ""
    return cosign_text(check(checkpoint).text() + ending, cosigner, time_s)


def cosign_text(text: str, cosigner: Cosigner, time_s: int) -> bytes:
    """The note of `text` with a cosignature of `time_s`; its first line must tell it from a checkpoint, if it is none.

    NoteInvalid where the text is too long.
    """
    signature = cosigner.private.sign(_message(time_s, text))
    return compose(text, cosigner.verifier, time_s.to_bytes(TIME_BYTES, "big") + signature)


class Cosigned(NamedTuple):
    """A text that `signer` (a key name) cosigned at `time_s`, UTC seconds."""

    text: str
    signer: str
    time_s: int


def open_cosigned(note: bytes, keys: Sequence[VerifierKey]) -> Cosigned:
    """The text in `note` with its one signature, by one of `keys` (cosigner keys); NoteInvalid otherwise."""
    parts = take_apart(note)
    key = key_of(parts.signatures[0], keys)
    time_s = cosigned_at(parts.text, parts.signatures[0].blob, key) if key is not None else None
    if key is None or time_s is None or len(parts.signatures) != 1:
        raise NoteInvalid(f"it is not signed by a known cosigner alone, but by {parts.signatures[0].name[:80]!r}")
    return Cosigned(parts.text, key.name, time_s)


def open_mark(mark: bytes, keys: Sequence[VerifierKey]) -> Mark:
    """The mark in these bytes, signed by one of `keys` (cosigner keys); MarkInvalid says what is wrong."""
    try:
        parts = one_signature(mark)
        ending = _ENDING.search(parts.text)
        checkpoint = Checkpoint.parse(parts.text[: ending.start()] if ending else parts.text)
        signature = parts.signatures[0]
        key = key_of(signature, keys)
    except (CheckpointInvalid, NoteInvalid) as error:
        raise MarkInvalid(f"mark cannot be read: {error}") from error
    if key is None:
        raise MarkInvalid(f"mark of {checkpoint.origin} is signed by {signature.name[:80]!r}, not a known cosigner")
    time_s = cosigned_at(parts.text, signature.blob, key)
    if time_s is None:
        raise MarkInvalid(f"mark {checkpoint.size} of {checkpoint.origin} does not fit the signature of {key.name}")
    fork = int(ending[1]) if ending and ending[1] else 0
    return Mark(checkpoint, time_s, key.name, frozen=ending is not None, fork=fork)
